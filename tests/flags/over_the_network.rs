//! The flags of a local PostHog, by our client.

use crate::local_posthog::some_flags;
use crate::support::{LONG, PROJECT_KEY, client_of, server};
use serde_json::{Value, json};
use tracing::Instrument;
use tracing_posthog::testing::{Answer, CapturedEvents, Flags, PostHogServer};
use tracing_posthog::{FeatureFlags, FlagMode, FlagValue, UnresolvedReason};

pub(crate) fn flags_of(server: &PostHogServer, mode: FlagMode) -> FeatureFlags {
    let client = client_of(server).flags(|flags| {
        flags
            .mode(mode)
            .request_timeout(LONG)
            .definitions_timeout(LONG)
    });
    client.build().unwrap().flags()
}

fn requests_to(server: &PostHogServer, path: &str) -> Vec<Value> {
    let requests = server.requests();
    let there = requests.iter().filter(|request| request.path == path);
    there
        .map(|request| request.json().unwrap_or_default())
        .collect()
}

#[tokio::test]
async fn a_client_that_evaluates_remotely_gets_the_same_as_one_without_a_network() {
    let server = server();
    server.flags(some_flags());
    let remote = flags_of(&server, FlagMode::Remote);
    let here = some_flags().build();
    for user in ["ada", "grace"] {
        let remote = remote
            .evaluate(user)
            .group("company", "acme")
            .await
            .unwrap();
        let here = here.evaluate(user).group("company", "acme").locally();
        assert!(remote.error().is_none(), "{remote:?}");
        for key in here.keys() {
            assert_eq!(remote.flag(key), here.flag(key), "{key} of {user}");
        }
        // PostHog knows what was before the login.
        assert_eq!(remote.flag("kept"), Some(FlagValue::Bool(true)));
        assert_eq!(
            remote.unresolved(),
            [("fails", UnresolvedReason::NotComputed)]
        );
        assert_eq!(
            remote.payload("variant").unwrap(),
            Some(json!({"items": 20}))
        );
        assert!(remote.request_id().is_some());
    }
    assert_eq!(server.request_count(), 2);
}

#[tokio::test]
async fn a_client_that_evaluates_locally_asks_for_what_is_unresolved_only() {
    let server = server();
    server.flags(Flags::new().on("a").unresolved("kept").variant("kept", "b"));
    let flags = flags_of(&server, FlagMode::Auto);
    flags.ready().await.unwrap();

    let user = flags.evaluate("ada").keys(["a"]).await.unwrap();
    assert!(user.is_enabled("a"));
    assert_eq!(requests_to(&server, "/flags/").len(), 0);

    let user = flags.evaluate("ada").person("plan", "pro").await.unwrap();
    assert!(user.is_enabled("a"));
    assert_eq!(user.variant("kept"), Some("b"));
    let asked = requests_to(&server, "/flags/");
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0]["distinct_id"], "ada");
    assert_eq!(asked[0]["person_properties"], json!({"plan": "pro"}));

    let user = flags.evaluate("ada").locally();
    assert!(user.is_enabled("a") && user.flag("kept").is_none());
    assert_eq!(requests_to(&server, "/flags/").len(), 1);
    assert_eq!(requests_to(&server, "/flags/definitions").len(), 1);
}

#[tokio::test]
async fn flags_can_be_changed_at_run_time() {
    let server = server();
    server.flags(Flags::new().on("a"));
    let flags = flags_of(&server, FlagMode::LocalOnly);
    flags.ready().await.unwrap();
    let before = flags.evaluate("u").locally();

    server.flags(Flags::new().off("a").on("b"));
    flags.refresh().await.unwrap();
    let after = flags.evaluate("u").locally();
    assert_eq!(
        (after.is_enabled("a"), after.is_enabled("b")),
        (false, true)
    );
    // A snapshot keeps what it began with.
    assert_eq!((before.is_enabled("a"), before.flag("b")), (true, None));

    flags.refresh().await.unwrap();
    let statuses: Vec<_> = server.requests().iter().map(|it| it.status).collect();
    assert_eq!(statuses, [Some(200), Some(200), Some(304)]);
    let requests = server.requests();
    let query = requests[0].query.as_deref().unwrap_or_default();
    assert!(query.contains(&format!("token={PROJECT_KEY}")), "{query}");
}

#[tokio::test]
async fn answers_of_a_test_come_before_its_flags() {
    let server = server();
    server.flags(Flags::new().on("a"));
    let flags = flags_of(&server, FlagMode::Remote);
    server.answer_next(Answer::status(500));
    let user = flags.evaluate("u").await.unwrap();
    assert!(user.error().is_some() && !user.is_enabled_or("a", false));
    assert!(flags.evaluate("u").await.unwrap().is_enabled("a"));
}

#[tokio::test]
async fn what_is_asked_of_the_current_person_is_what_the_span_says() {
    let server = server();
    server.flags(Flags::new().on("a"));
    let captured = CapturedEvents::new();
    let flags = flags_of(&server, FlagMode::Remote).capture_to(captured.handle());
    captured
        .scope(async {
            let span = tracing::info_span!(
                "request",
                posthog.distinct_id = "ada",
                posthog.group.company = "acme",
                posthog.properties = r#"{"plan": "pro"}"#,
            );
            async {
                // The second one finds the flags of the first one on the span.
                for _ in 0..2 {
                    let here = flags.evaluate_current().await.unwrap();
                    assert!(here.is_enabled("a"), "{here:?}");
                }
            }
            .instrument(span)
            .await;
        })
        .await;
    let asked = requests_to(&server, "/flags/");
    assert_eq!(asked.len(), 2);
    for asked in asked {
        assert_eq!(asked["distinct_id"], "ada");
        assert_eq!(asked["groups"], json!({"company": "acme"}));
        assert_eq!(asked["person_properties"], json!({"plan": "pro"}));
    }
}
