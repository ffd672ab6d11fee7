//! Loads that bring nothing: what stays in force, what the next load waits for, and how it recovers.

use crate::poller::{
    answer_loads, deciding, deciding_at, definitions, flags_of, good, is_load, keys, loads,
};
use crate::support::*;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CircuitBreaker, CircuitState, Destination, FeatureFlags, FlagSettings, PostHogError,
    RequestErrorKind,
};

/// Flags with definitions of one flag; the next load is answered like this, and those after it are good again.
async fn after(answer: Answer) -> (PostHogServer, FeatureFlags, PostHogError) {
    let server = server();
    let first = good(&["a"]).header("etag", "\"first\"");
    answer_loads(&server, [first, answer, good(&["b"])]);
    let flags = flags_of(&server);
    flags.ready().await.unwrap();
    let error = flags.refresh().await.unwrap_err();
    let stats = flags.stats();
    assert_eq!((stats.loads, stats.load_failures), (1, 1));
    assert_eq!(stats.load_error, Some(error.to_string()));
    assert!(error.to_string().contains("definitions"), "{error}");
    (server, flags, error)
}

/// The next load is good.
async fn assert_recovers(flags: &FeatureFlags) {
    flags.refresh().await.unwrap();
    assert_eq!(keys(flags), ["b"]);
    let stats = flags.stats();
    assert_eq!((stats.loads, stats.load_error), (2, None));
    assert!(stats.definitions_age.is_some());
}

#[tokio::test]
async fn definitions_are_gone_where_the_key_or_the_quota_is() {
    for status in [401, 402] {
        let (server, flags, error) = after(Answer::status(status)).await;
        assert_eq!(error.status(), Some(status));
        assert!(flags.definitions().is_none());
        assert_eq!(flags.stats().definitions_age, None);
        assert_recovers(&flags).await;
        // The tag went with the definitions.
        assert_eq!(loads(&server)[2].header("if-none-match"), None);
    }
}

#[tokio::test]
async fn definitions_stay_whatever_else_a_load_ends_with() {
    let half = definitions(&["a", "b", "c"]).to_string();
    let cut = half.as_bytes()[..half.len() / 2].to_vec();
    for answer in [
        Answer::status(400),
        Answer::status(403),
        Answer::status(404),
        Answer::status(429),
        Answer::status(500),
        Answer::status(502),
        Answer::status(503),
        Answer::status(301).header("location", "https://elsewhere.example/"),
        Answer::reset(),
        Answer::close(),
        good(&["a"]).header("content-length", "5"),
        Answer::half().json(definitions(&["a", "b"])),
        Answer::status(200).body("<!doctype html><html><title>Log in</title>"),
        Answer::status(200).body(""),
        Answer::status(200).body("null"),
        Answer::status(200).body("{}"),
        Answer::status(200).body(r#"{"flags": {}}"#),
        Answer::status(200).body(r#"[{"key": "a"}]"#),
        Answer::status(200).body(cut),
        Answer::raw("no HTTP at all"),
    ] {
        let (server, flags, error) = after(answer.clone()).await;
        assert_eq!(keys(&flags), ["a"], "{answer:?}: {error}");
        assert!(flags.stats().definitions_age.is_some());
        assert_recovers(&flags).await;
        let tag = loads(&server)[2].header("if-none-match").map(str::to_owned);
        assert_eq!(tag.as_deref(), Some("\"first\""), "{answer:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_named() {
    let html = "<!doctype html><html><title>Log in</title></html>";
    let (_server, _flags, error) = after(Answer::status(200).body(html)).await;
    let is_misfit = matches!(error, PostHogError::SerializationError { .. });
    assert!(is_misfit, "{error:?}");
    assert!(error.to_string().contains("HTML"), "{error}");
}

#[tokio::test]
async fn not_modified_without_anything_to_modify_is_a_failure() {
    let server = server();
    answer_loads(&server, [Answer::status(304).body(""), good(&["b"])]);
    let flags = flags_of(&server);
    let error = flags.ready().await.unwrap_err();
    assert_eq!(error.status(), Some(304));
    assert!(flags.definitions().is_none());
    flags.ready().await.unwrap();
    assert_eq!(keys(&flags), ["b"]);
}

#[tokio::test]
async fn a_load_has_a_time_of_its_own() {
    let server = server();
    answer_loads(&server, [Answer::stall(), good(&["b"])]);
    let impatient = |flags: FlagSettings| flags.definitions_timeout(ms(50));
    let client = deciding(&server).attempt_timeout(LONG).flags(impatient);
    let flags = client.build().unwrap().flags();
    let start = Instant::now();
    let error = flags.ready().await.unwrap_err();
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
    let PostHogError::RequestError(error) = error else {
        panic!("{error}");
    };
    assert_eq!((error.kind, error.attempts), (RequestErrorKind::Timeout, 1));
}

#[tokio::test]
async fn loads_that_fail_stop_no_requests_and_requests_that_fail_no_loads() {
    let server = server();
    let loads_fail = Arc::new(AtomicBool::new(true));
    let fails = loads_fail.clone();
    server.answer_with(move |request| {
        (is_load(request) == fails.load(SeqCst)).then(|| Answer::status(503))
    });
    let breaker = CircuitBreaker::after_failures(2).cool_down(LONG);
    let client = deciding(&server).circuit_breaker(breaker).build().unwrap();
    let flags = client.flags();
    for _ in 0..4 {
        flags.refresh().await.unwrap_err();
    }
    let circuit = || client.circuit_state(Destination::Flags);
    assert_eq!(circuit(), CircuitState::Closed);
    let user = flags.evaluate("user_42").await.unwrap();
    assert!(user.error().is_none(), "{user:?}");

    loads_fail.store(false, SeqCst);
    for _ in 0..2 {
        flags.evaluate("user_42").remotely().await.unwrap();
    }
    assert_eq!(circuit(), CircuitState::Open);
    flags.refresh().await.unwrap();
    assert_eq!(flags.stats().loads, 1);
}

#[tokio::test]
async fn the_next_load_comes_no_earlier_than_posthog_asks() {
    for status in [429, 503] {
        let server = server();
        let later = Answer::status(status).header("retry-after", "3");
        answer_loads(&server, [later, good(&["b"])]);
        let often = |flags: FlagSettings| flags.poll_interval(ms(1_000));
        let flags = deciding(&server).flags(often).build().unwrap().flags();
        let error = flags.ready().await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        until("it is loaded", || keys(&flags) == ["b"]).await;
        let loads = loads(&server);
        let wait = loads[1].received_at - loads[0].received_at;
        assert!(wait >= ms(2_900), "{wait:?}");
    }
}

/// Programs call `ready` again until it succeeds.
#[tokio::test]
async fn readiness_is_not_asked_for_while_posthog_wants_to_be_left_alone() {
    let server = server();
    let later = Answer::status(429).header("retry-after", "60");
    answer_loads(&server, [later, Answer::status(500), good(&["b"])]);
    let flags = deciding(&server).build().unwrap().flags();
    for _ in 0..20 {
        assert_eq!(flags.ready().await.unwrap_err().status(), Some(429));
    }
    assert_eq!(loads(&server).len(), 1);
    // Whoever wants it now gets it now. A failure that asks for no time keeps nobody.
    assert_eq!(flags.refresh().await.unwrap_err().status(), Some(500));
    flags.ready().await.unwrap();
    assert_eq!(keys(&flags), ["b"]);
}

#[tokio::test]
async fn a_posthog_that_is_down_at_the_start_is_found_later() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let seldom = |flags: FlagSettings| flags.poll_interval(Duration::from_secs(3_600));
    let client = deciding_at(format!("http://{address}")).flags(seldom);
    let flags = client.build().unwrap().flags();
    let error = flags.ready().await.unwrap_err();
    // All who waited for it are told the same.
    let again = flags.refresh().await.unwrap_err();
    for error in [error, again] {
        let PostHogError::RequestError(failure) = &error else {
            panic!("{error}");
        };
        assert_eq!(failure.kind, RequestErrorKind::Connect);
        assert!(error.to_string().contains("refused"), "{error}");
    }
    assert!(flags.stats().load_failures >= 2);

    let server = PostHogServer::start_on(address).unwrap();
    answer_loads(&server, [good(&["a"])]);
    // Though the interval is an hour: without any definitions it hurries.
    until("definitions are loaded", || keys(&flags) == ["a"]).await;
    assert!(flags.evaluate("user_42").await.unwrap().is_enabled("a"));
}

#[tokio::test]
async fn a_posthog_that_goes_down_and_comes_back_costs_nothing() {
    let server = server();
    answer_loads(&server, [good(&["a"])]);
    let often = |flags: FlagSettings| flags.poll_interval(ms(1_000));
    let flags = deciding(&server).flags(often).build().unwrap().flags();
    flags.ready().await.unwrap();
    server.stop();
    until("a load failed", || flags.stats().load_failures > 0).await;
    let user = flags.evaluate("user_42").await.unwrap();
    assert!(user.is_enabled("a") && user.error().is_none());

    let server = PostHogServer::start_on(server.addr()).unwrap();
    answer_loads(&server, [good(&["b"])]);
    until("it is back", || keys(&flags) == ["b"]).await;
    assert_eq!(flags.stats().load_error, None);
}
