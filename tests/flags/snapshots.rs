//! What a snapshot says, and what it leaves out.

use serde_json::json;
use tracing_posthog::testing::{CapturedEvents, Flags, PostHogServer};
use tracing_posthog::{FeatureFlags, FlagValue, PostHog, PostHogError, UnresolvedReason};

#[test]
fn a_default_counts_only_where_there_is_no_value() {
    let flags = Flags::new()
        .on("on")
        .off("off")
        .unresolved("unresolved")
        .build();
    let user = flags.evaluate("ada").locally();
    for default in [true, false] {
        assert!(user.is_enabled_or("on", default));
        assert!(!user.is_enabled_or("off", default));
        assert_eq!(user.is_enabled_or("unresolved", default), default);
        assert_eq!(user.is_enabled_or("unknown", default), default);
    }
}

#[test]
fn a_payload_of_another_shape_names_the_flag_and_not_the_value() {
    #[derive(Debug, serde::Deserialize)]
    struct Limits {
        #[expect(dead_code)]
        items: u32,
    }
    let secret = "a-value-that-is-nobody's-business";
    let flags = Flags::new()
        .payload("limits", json!({"items": secret}))
        .build();
    let user = flags.evaluate("ada").locally();
    let error = user.payload::<Limits>("limits").unwrap_err();
    assert!(matches!(error, PostHogError::SerializationError { .. }));
    let mut texts = vec![error.to_string(), format!("{error:?}")];
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        texts.push(inner.to_string());
        source = inner.source();
    }
    assert!(texts[0].contains(r#""limits""#), "{texts:?}");
    assert!(texts[0].contains("Limits"), "{texts:?}");
    assert!(!texts.concat().contains(secret), "{texts:?}");
    // The value is there for those who take it as it is.
    let limits: Option<serde_json::Value> = user.payload("limits").unwrap();
    assert_eq!(limits, Some(json!({"items": secret})));
}

#[test]
fn flags_outside_of_keys_are_unknown() {
    let flags = Flags::new().on("a").on("b").unresolved("c").build();
    let user = flags.evaluate("ada").keys(["a", "c", "none"]).locally();
    assert_eq!(user.keys(), ["a"]);
    assert_eq!((user.is_enabled("a"), user.flag("b")), (true, None));
    assert_eq!(
        user.unresolved(),
        [("c", UnresolvedReason::ExperienceContinuity)]
    );
    assert_eq!(
        flags.evaluate("ada").keys([""; 0]).locally().keys(),
        [""; 0]
    );
}

#[test]
fn only_leaves_what_it_names() {
    let flags = Flags::new()
        .on("a")
        .off("b")
        .unresolved("c")
        .on("d")
        .build();
    let user = flags.evaluate("ada").locally();
    let some = user.only(["a", "b", "c", "none"]);
    assert_eq!(some.keys(), ["a", "b"]);
    assert_eq!(some.unresolved().len(), 1);
    assert_eq!(
        (some.flag("d"), some.flag("b")),
        (None, Some(FlagValue::Bool(false)))
    );
    assert_eq!(some.only(["b", "d"]).keys(), ["b"]);
    assert_eq!(user.keys(), ["a", "b", "d"]);
}

#[test]
fn only_accessed_leaves_what_was_asked_for_until_then() {
    let flags = Flags::new()
        .on("a")
        .off("b")
        .on("c")
        .payload("d", 1)
        .build();
    let user = flags.evaluate("ada").locally();
    assert_eq!(user.only_accessed().keys(), [""; 0]);
    let _ = (
        user.is_enabled("a"),
        user.flag("b"),
        user.payload::<u32>("d"),
    );
    let accessed = user.clone().only_accessed();
    assert_eq!(accessed.keys(), ["a", "b"]);
    let _ = user.is_enabled("c");
    assert_eq!(accessed.keys(), ["a", "b"]);
    assert_eq!(user.only_accessed().keys(), ["a", "b", "c"]);
}

/// A narrowed snapshot does not know the flag, which says nothing about it.
#[test]
fn asking_a_narrowed_snapshot_for_another_flag_takes_nothing_from_the_whole_one() {
    let captured = CapturedEvents::new();
    let flags = Flags::new()
        .on("a")
        .on("b")
        .build()
        .capture_to(captured.handle());
    let user = flags.evaluate("ada").locally();
    assert_eq!(user.only(["a"]).flag("b"), None);
    assert_eq!(user.only_accessed().keys(), [""; 0]);
    assert_eq!(flags.stats().unknown, 0);
    assert!(user.is_enabled("b"));
    let called = captured.find("$feature_flag_called").unwrap();
    assert_eq!(called.properties["$feature_flag_response"], true);
    assert_eq!(captured.events().len(), 1, "{captured:?}");
}

#[test]
fn debug_output_says_what_is_on_and_what_is_unknown() {
    let flags = Flags::new().on("beta-ui").unresolved("kept").build();
    let user = flags
        .evaluate("user_42")
        .person("email", "ada@example.com")
        .locally();
    let shown = format!("{user:?}");
    assert!(
        shown.contains("beta-ui") && shown.contains("kept"),
        "{shown}"
    );
    assert!(
        !shown.contains("user_42") && !shown.contains("ada@example.com"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_disabled_posthog_asks_for_nothing() {
    let server = PostHogServer::start().unwrap();
    server.flags(Flags::new().on("a"));
    let (_layer, posthog) = PostHog::builder()
        .project_api_key("phc_x")
        .feature_flags_secret_key("phs_x")
        .host(server.url())
        .disabled(true)
        .start()
        .unwrap();
    posthog.flags().ready().await.unwrap();
    let user = posthog.flags().evaluate("ada").keys(["a"]).await.unwrap();
    assert!(user.is_enabled_or("a", true) && user.flag("a").is_none());
    assert!(
        user.error()
            .unwrap()
            .to_string()
            .contains("POSTHOG_API_KEY")
    );
    assert_eq!(server.request_count(), 0, "{server:?}");

    // Its client is no part of what is disabled.
    let user = posthog.client().flags().evaluate("ada").await.unwrap();
    assert!(user.is_enabled("a"), "{user:?}");
}

#[tokio::test]
async fn without_a_key_no_flag_is_known_and_nothing_fails() {
    let disabled = PostHog::builder().disabled(true).start().unwrap().1;
    for flags in [disabled.flags().clone(), FeatureFlags::disabled()] {
        flags.ready().await.unwrap();
        flags.refresh().await.unwrap();
        for user in [
            flags.evaluate("ada").locally(),
            flags.evaluate("ada").await.unwrap(),
            flags.evaluate("ada").remotely().await.unwrap(),
            flags.evaluate_current().await.unwrap(),
        ] {
            assert!(!user.is_enabled("a") && user.is_enabled_or("a", true));
            assert_eq!((user.flag("a"), user.variant("a")), (None, None));
            assert_eq!(user.payload::<u32>("a").unwrap(), None);
            assert_eq!(user.keys(), [""; 0]);
            assert!(user.error().is_some() && user.request_id().is_none());
        }
        assert!(flags.definitions().is_none());
    }
}
