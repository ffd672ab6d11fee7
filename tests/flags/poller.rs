//! Loads of definitions on real sockets: when they happen, what is sent, and what is waited for.

use crate::support::*;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tracing_posthog::testing::{Answer, Flags, PostHogServer, RecordedRequest};
use tracing_posthog::{
    FeatureFlags, FlagMode, FlagSettings, PostHogClient, PostHogClientBuilder, PostHogError,
    UnresolvedReason,
};

pub(crate) const SECRET_KEY: &str = "phs_secret_key_of_the_tests";

/// A client that evaluates by definitions.
pub(crate) fn deciding(server: &PostHogServer) -> PostHogClientBuilder {
    deciding_at(server.url())
}

pub(crate) fn deciding_at(url: impl Into<String>) -> PostHogClientBuilder {
    PostHogClient::builder()
        .project_api_key(PROJECT_KEY)
        .feature_flags_secret_key(SECRET_KEY)
        .host(url)
        .flags(|flags| flags.definitions_timeout(LONG).request_timeout(LONG))
}

/// The flags of a client that loads definitions now and again only.
pub(crate) fn flags_of(server: &PostHogServer) -> FeatureFlags {
    deciding(server).build().unwrap().flags()
}

/// Definitions of flags that are on for everybody.
pub(crate) fn definitions(keys: &[&str]) -> Value {
    let flags = keys.iter().enumerate().map(|(id, key)| {
        json!({"id": id, "key": key, "active": true, "version": 1,
            "filters": {"groups": [{"properties": [], "rollout_percentage": 100}]}})
    });
    json!({"flags": flags.collect::<Vec<_>>(), "group_type_mapping": {}, "cohorts": {}})
}

pub(crate) fn is_load(request: &RecordedRequest) -> bool {
    request.path == "/flags/definitions"
}

pub(crate) fn loads(server: &PostHogServer) -> Vec<RecordedRequest> {
    let mut requests = server.requests();
    requests.retain(is_load);
    requests
}

pub(crate) fn keys(flags: &FeatureFlags) -> Vec<String> {
    let definitions = flags.definitions();
    let keys = |it: &tracing_posthog::FlagDefinitions| it.keys().map(str::to_owned).collect();
    definitions.as_deref().map(keys).unwrap_or_default()
}

/// Answers to loads, one after the other, the last one for good. Other requests are answered as by PostHog.
pub(crate) fn answer_loads(server: &PostHogServer, answers: impl IntoIterator<Item = Answer>) {
    let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
    server.answer_with(move |request| {
        if !is_load(request) {
            return None;
        }
        let mut answers = answers.lock().unwrap();
        match answers.len() {
            1 => answers.front().cloned(),
            _ => answers.pop_front(),
        }
    });
}

pub(crate) fn good(keys: &[&str]) -> Answer {
    Answer::status(200).json(definitions(keys))
}

#[tokio::test]
async fn nothing_is_requested_before_the_first_use() {
    let server = server();
    answer_loads(&server, [good(&["a"])]);
    let client = deciding(&server).build().unwrap();
    let flags = client.flags();
    drop(flags.evaluate("user_42").person("plan", "pro"));
    let said = format!("{flags:?} {client:?} {}", flags.stats());
    assert!(said.contains("no definitions"), "{said}");
    assert_eq!(flags.definitions().map(|it| it.len()), None);
    assert_eq!(server.connection_count(), 0);

    let user = flags.evaluate("user_42").await.unwrap();
    assert!(user.is_enabled("a"));
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn a_load_is_as_posthog_specifies_it() {
    let server = server();
    answer_loads(&server, [good(&["a"])]);
    flags_of(&server).ready().await.unwrap();
    let load = &loads(&server)[0];
    assert_eq!(load.method, "GET");
    let bearer = format!("Bearer {SECRET_KEY}");
    assert_eq!(load.header("authorization"), Some(&*bearer));
    assert_eq!(load.header("if-none-match"), None);
    let query = load.query.as_deref().unwrap();
    let token = format!("token={PROJECT_KEY}&send_cohorts");
    assert!(query.starts_with(&token), "{query}");
}

#[tokio::test]
async fn the_personal_key_reads_definitions_where_there_is_no_other() {
    let server = server();
    answer_loads(&server, [good(&["a"])]);
    let client = client_of(&server).build().unwrap();
    client.flags().ready().await.unwrap();
    let bearer = format!("Bearer {PERSONAL_KEY}");
    assert_eq!(loads(&server)[0].header("authorization"), Some(&*bearer));
}

#[tokio::test]
async fn definitions_are_never_loaded_where_posthog_evaluates() {
    let server = server();
    let remote = |flags: FlagSettings| flags.mode(FlagMode::Remote);
    let keyless = || PostHogClient::builder().host(server.url());
    for client in [
        deciding(&server).flags(remote),
        keyless().project_api_key(PROJECT_KEY),
        keyless()
            .project_api_key(PROJECT_KEY)
            .personal_api_key("pha_access_token_of_the_tests"),
        keyless().personal_api_key(PERSONAL_KEY),
    ] {
        let flags = client.build().unwrap().flags();
        flags.ready().await.unwrap();
        flags.refresh().await.unwrap();
        let _ = flags.evaluate("user_42").locally();
        let _ = flags.evaluate("user_42").await;
        assert_eq!(loads(&server).len(), 0);
        assert_eq!(flags.stats().loads, 0);
    }
}

#[tokio::test]
async fn all_flags_of_a_client_share_one_task() {
    let server = server();
    let held = Held::answering(&server, || Some(good(&["a"])));
    let client = deciding(&server).build().unwrap();
    let mut waiting: Vec<_> = (0..50)
        .map(|_| {
            let flags = FeatureFlags::new(&client.clone());
            tokio::spawn(async move {
                let _ = flags.evaluate("user_42").locally();
                flags.ready().await
            })
        })
        .collect();
    tokio::task::spawn_blocking(move || {
        held.wait();
        drop(held);
    })
    .await
    .unwrap();
    for ready in waiting.drain(..) {
        ready.await.unwrap().unwrap();
    }
    assert_eq!(client.flags().stats().loads, 1);
    assert_eq!((server.request_count(), server.connection_count()), (1, 1));
}

#[tokio::test]
async fn definitions_are_loaded_again_and_again() {
    let server = server();
    answer_loads(&server, [good(&["a"]), good(&["b"]), good(&["c"])]);
    let often = |flags: FlagSettings| flags.poll_interval(ms(1_000));
    let flags = deciding(&server).flags(often).build().unwrap().flags();
    let _ = flags.evaluate("user_42").locally();
    until("the third definitions are there", || keys(&flags) == ["c"]).await;
    let loads = loads(&server);
    for two in loads.windows(2) {
        let wait = two[1].received_at - two[0].received_at;
        assert!(wait >= ms(800), "{wait:?}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let server = server();
    let tag = |answer: Answer, tag: &str| answer.header("etag", tag);
    let first = r#"W/"first""#;
    let same = || Answer::status(304).body("");
    answer_loads(
        &server,
        [
            tag(good(&["a"]), first),
            same(),
            tag(same(), "\"second\""),
            tag(good(&["b"]), "third"),
            good(&["c"]),
            good(&["d"]),
        ],
    );
    let flags = flags_of(&server);
    flags.ready().await.unwrap();
    let loaded = flags.definitions().unwrap();
    for _ in 0..2 {
        flags.refresh().await.unwrap();
        let kept = flags.definitions().unwrap();
        assert!(Arc::ptr_eq(&kept, &loaded));
    }
    let stats = flags.stats();
    assert_eq!((stats.loads, stats.not_modified), (1, 2));
    for key in ["b", "c", "d"] {
        flags.refresh().await.unwrap();
        assert_eq!(keys(&flags), [key]);
    }
    let sent: Vec<_> = loads(&server)
        .iter()
        .map(|load| load.header("if-none-match").map(str::to_owned))
        .collect();
    let sent: Vec<_> = sent.iter().map(Option::as_deref).collect();
    assert_eq!(
        sent,
        [
            None,
            Some(first),
            Some(first),
            Some("\"second\""),
            Some("third"),
            None
        ]
    );
}

#[tokio::test]
async fn the_local_posthog_is_polled_as_posthog_is() {
    let server = server();
    server.flags(Flags::new().on("a").variant("checkout", "b"));
    let flags = flags_of(&server);
    let user = flags.evaluate("user_42").await.unwrap();
    assert_eq!(
        (user.is_enabled("a"), user.variant("checkout")),
        (true, Some("b"))
    );
    flags.refresh().await.unwrap();
    server.flags(Flags::new().off("a"));
    flags.refresh().await.unwrap();
    assert!(!flags.evaluate("user_42").await.unwrap().is_enabled("a"));
    let stats = flags.stats();
    assert_eq!((stats.loads, stats.not_modified, stats.requests), (2, 1, 0));
    let said = stats.to_string();
    assert!(said.starts_with("1 flags, confirmed "), "{said}");
    assert!(
        said.contains("(loaded 2, not modified 1, failed 0)"),
        "{said}"
    );
}

#[tokio::test]
async fn a_refresh_is_answered_by_a_load_that_began_after_it() {
    let server = server();
    let began = Arc::new(AtomicUsize::new(0));
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let (count, gone) = (began.clone(), Mutex::new(gone));
    server.answer_with(move |_| {
        let n = count.fetch_add(1, SeqCst);
        if n == 0 {
            let _ = gone.lock().unwrap().recv();
        }
        Some(good(&[&format!("load-{n}")]))
    });
    let flags = flags_of(&server);
    let _ = flags.evaluate("user_42").locally();
    until("the first load is under way", || began.load(SeqCst) == 1).await;
    let refreshes: Vec<_> = (0..20)
        .map(|_| {
            let flags = flags.clone();
            // Asked for when it is polled first.
            let mut refresh = Box::pin(async move { flags.refresh().await });
            assert!((&mut refresh).now_or_never().is_none());
            refresh
        })
        .collect();
    go.send(()).unwrap();
    for refresh in refreshes {
        refresh.await.unwrap();
        assert_eq!(keys(&flags), ["load-1"]);
    }
    // All of them by the one load that followed.
    assert_eq!(began.load(SeqCst), 2);
}

#[tokio::test]
async fn the_first_evaluations_wait_for_definitions_and_not_longer_than_for_an_answer() {
    let server = server();
    server.answer_with(|request| is_load(request).then(Answer::stall));
    let impatient = |flags: FlagSettings| flags.request_timeout(ms(100));
    let flags = deciding(&server).flags(impatient).build().unwrap().flags();
    let start = Instant::now();
    let user = flags.evaluate("user_42").await.unwrap();
    assert!(start.elapsed() >= ms(100));
    // So PostHog is asked.
    assert_eq!(user.error().map(ToString::to_string), None);
    assert_eq!(server.request_count(), 2);
    // From then on nobody waits: however many there are, it takes no longer than their requests.
    for _ in 0..200 {
        flags.evaluate("user_42").await.unwrap();
    }
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
    assert_eq!(server.request_count(), 202);
}

#[tokio::test]
async fn an_evaluation_here_never_waits() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let flags = flags_of(&server);
    let user = flags.evaluate("user_42").locally();
    assert!(user.is_enabled_or("a", true) && !user.is_enabled_or("a", false));
    let named = flags.evaluate("user_42").keys(["a"]).locally();
    assert_eq!(named.unresolved(), [("a", UnresolvedReason::NotLoaded)]);
}

#[test]
fn local_only_needs_a_key_that_reads_definitions() {
    let local = |client: PostHogClientBuilder| {
        client
            .flags(|flags| flags.mode(FlagMode::LocalOnly))
            .build()
    };
    let builder = PostHogClient::builder;
    local(
        builder()
            .project_api_key(PROJECT_KEY)
            .personal_api_key(PERSONAL_KEY),
    )
    .unwrap();
    local(
        builder()
            .project_api_key(PROJECT_KEY)
            .feature_flags_secret_key(SECRET_KEY),
    )
    .unwrap();
    for (client, lacks) in [
        (
            builder().project_api_key(PROJECT_KEY),
            "POSTHOG_FEATURE_FLAGS_SECRET_KEY",
        ),
        (
            builder()
                .project_api_key(PROJECT_KEY)
                .personal_api_key("pha_access_token_of_the_tests"),
            "feature_flags_secret_key",
        ),
        (builder().personal_api_key(PERSONAL_KEY), "POSTHOG_API_KEY"),
    ] {
        let error = local(client).unwrap_err();
        assert!(matches!(error, PostHogError::Config { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.starts_with("flags.mode: local_only"), "{said}");
        assert!(said.contains(lacks), "{said}");
    }
}

#[test]
fn a_key_of_another_kind_reads_no_definitions() {
    for (key, says) in [
        ("phc_project_key", "project API key (phc_…)"),
        ("pha_access_token", "OAuth access token"),
        ("\"phs_quoted\"", "quotes"),
        ("", "empty"),
        ("${FLAGS_KEY}", "template"),
    ] {
        let builder = PostHogClient::builder().project_api_key(PROJECT_KEY);
        let error = builder.feature_flags_secret_key(key).build().unwrap_err();
        let said = error.to_string();
        assert!(said.starts_with("feature_flags_secret_key: "), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(key.is_empty() || !said.contains(key), "{said}");
    }
}
