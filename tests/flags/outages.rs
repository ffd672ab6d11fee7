//! A PostHog that is down, as the guide describes it: what a snapshot says then.

use crate::over_the_network::flags_of;
use crate::support::server;
use tracing_posthog::testing::{Flags, PostHogServer};
use tracing_posthog::{FlagEvaluations, FlagMode, UnresolvedReason};

fn down() -> PostHogServer {
    let server = server();
    server.stop();
    server
}

/// The flag has the default of the call, and the snapshot says why.
#[track_caller]
fn has_the_default(user: &FlagEvaluations, key: &str, why: UnresolvedReason) {
    assert!(!user.is_enabled(key), "{user:?}");
    assert!(user.is_enabled_or(key, true), "{user:?}");
    assert_eq!(user.unresolved(), [(key, why)], "{user:?}");
}

#[tokio::test]
async fn the_last_definitions_count() {
    let server = server();
    server.flags(Flags::new().on("a").unresolved("kept").on("kept"));
    let flags = flags_of(&server, FlagMode::Auto);
    flags.ready().await.unwrap();
    server.stop();

    let user = flags.evaluate("ada").keys(["a"]).await.unwrap();
    assert!(user.is_enabled("a") && user.error().is_none());
    assert!(flags.refresh().await.is_err());

    // What only PostHog can decide says why it is not decided here, and why PostHog did not.
    let user = flags.evaluate("ada").await.unwrap();
    assert!(user.is_enabled("a"));
    has_the_default(&user, "kept", UnresolvedReason::ExperienceContinuity);
    assert!(user.error().is_some());
    let user = flags.evaluate("ada").locally();
    has_the_default(&user, "kept", UnresolvedReason::ExperienceContinuity);
    assert!(user.error().is_none());
}

#[tokio::test]
async fn without_definitions_a_local_evaluation_knows_nothing() {
    let flags = flags_of(&down(), FlagMode::Auto);
    assert!(flags.ready().await.is_err());
    let user = flags.evaluate("ada").keys(["a"]).locally();
    has_the_default(&user, "a", UnresolvedReason::NotLoaded);
    assert!(user.error().is_none());
    // Without keys it does not know what there is.
    let user = flags.evaluate("ada").locally();
    assert!(user.is_enabled_or("a", true) && user.unresolved().is_empty());
}

#[tokio::test]
async fn without_definitions_posthog_is_asked_unless_it_must_not_be() {
    let flags = flags_of(&down(), FlagMode::Auto);
    let user = flags.evaluate("ada").keys(["a"]).await.unwrap();
    has_the_default(&user, "a", UnresolvedReason::RequestFailed);
    assert!(user.error().is_some());

    let flags = flags_of(&down(), FlagMode::LocalOnly);
    let user = flags.evaluate("ada").keys(["a"]).await.unwrap();
    has_the_default(&user, "a", UnresolvedReason::NotLoaded);
    assert!(user.error().is_none());
}

#[tokio::test]
async fn a_remote_evaluation_fails_as_a_snapshot_not_as_an_error() {
    let flags = flags_of(&down(), FlagMode::Remote);
    flags.ready().await.unwrap();
    let user = flags.evaluate("ada").keys(["a"]).await.unwrap();
    has_the_default(&user, "a", UnresolvedReason::RequestFailed);
    assert!(user.error().is_some() && user.request_id().is_none());
    let user = flags.evaluate("ada").await.unwrap();
    assert!(user.is_enabled_or("a", true) && user.unresolved().is_empty());
    assert!(user.error().is_some());
}
