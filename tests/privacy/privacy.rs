//! What is not let through is not even looked at, and keys and data show nowhere.

use crate::layers::{Seen, captured, captured_with};
use crate::own_process::own_process;
use crate::support::kept;
use std::fmt;
use std::time::Duration;
use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CaptureHandle, EventCaptureBackend, PostHogClient, PostHogLayer, SpanFields,
};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

/// Who formats it, fails.
struct Secret;

impl fmt::Debug for Secret {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::process::abort()
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::process::abort()
    }
}

#[test]
fn span_fields_that_are_not_let_through_are_never_formatted() {
    let events = captured_with(
        |o| o.span_fields(SpanFields::named(["route"])),
        || {
            let span = info_span!(
                "s",
                posthog.distinct_id = "ada",
                secret = ?Secret,
                displayed = %Secret,
                later = Empty,
                route = "/pay"
            );
            span.record("later", tracing::field::debug(Secret));
            span.in_scope(|| info!(posthog.event = "x"));
        },
    );
    assert_eq!(events[0].distinct_id, "ada");
    assert_eq!(events[0].properties["route"], "/pay");
}

#[test]
fn fields_of_events_that_are_none_of_ours_are_never_formatted() {
    let events = captured(|| info!(secret = ?Secret, posthog.distinct_id = %Secret, "{}", Secret));
    assert_eq!(events, []);
}

#[test]
fn messages_are_never_formatted_unless_asked_for() {
    let events = captured(|| info!(posthog.event = "x", "a message of {:?}", Secret));
    assert_eq!(events.len(), 1);
}

#[test]
fn what_is_opted_out_of_is_never_formatted() {
    let captured = tracing_posthog::testing::CapturedEvents::new();
    captured.handle().opt_out();
    tracing::subscriber::with_default(registry().with(captured.layer()), || {
        info!(posthog.event = "x", secret = ?Secret);
    });
    tracing::subscriber::with_default(
        registry().with(PostHogLayer::new(CaptureHandle::disabled())),
        || {
            info_span!("s", posthog.event = "x", secret = ?Secret)
                .in_scope(|| info!(posthog.event = "x", secret = ?Secret));
        },
    );
}

#[test]
fn span_fields_stay_out_of_events_however_deep() {
    let events = captured(|| {
        info_span!("a", email = "ada@example.com", posthog.distinct_id = "ada").in_scope(|| {
            info_span!("b", posthog.event = "a span", card = "4111").in_scope(|| {
                info!(posthog.event = "x");
            });
        });
    });
    let [event, span] = events.try_into().unwrap();
    assert!(!format!("{event:?}").contains("ada@example.com"));
    assert!(!format!("{event:?}").contains("4111"));
    assert!(!format!("{span:?}").contains("ada@example.com"));
}

const KEY: &str = "phc_verysecretkey";
const PERSONAL: &str = "phx_verysecretkey";

#[test]
fn keys_and_data_show_in_no_debug_output_no_error_and_no_diagnostic() {
    own_process!();
    let server = PostHogServer::start().unwrap();
    server.answer_with(|_| Some(Answer::status(401).body("no such project")));
    let client = PostHogClient::builder()
        .project_api_key(KEY)
        .personal_api_key(PERSONAL)
        .host(server.url());
    let mut shown = format!("{client:?}");
    let client = client.build().unwrap();
    shown += &format!("{client:?}");
    let (errors, received) = std::sync::mpsc::channel();
    let backend = EventCaptureBackend::builder(client).on_error(move |error| {
        let source = error.error.map(|e| format!("{e} {e:?}"));
        errors.send(format!("{error:?} {source:?}")).unwrap();
    });
    shown += &format!("{backend:?}");

    let seen = Seen::default();
    let handle = backend.start().unwrap();
    let layer = PostHogLayer::builder(handle.clone()).distinct_id("ada@example.com");
    shown += &format!("{layer:?} {handle:?}");
    let layer = layer.build();
    shown += &format!("{layer:?}");
    // Others see the user's own fields; this one only what the crate and the HTTP stack say.
    let others = tracing_subscriber::filter::filter_fn(|m| m.target() != module_path!());
    // A global subscriber: the actor has a thread of its own.
    registry()
        .with(seen.layer().with_filter(others))
        .with(LevelFilter::TRACE)
        .with(layer)
        .init();
    info_span!(
        "s",
        posthog.distinct_id = "ada@example.com",
        posthog.group.company = "acme corp"
    )
    .in_scope(|| {
        info!(
            posthog.event = "paid",
            card = "4111-1111",
            posthog.unknown = "4111-1111"
        );
        info!(
            posthog.event = "paid",
            posthog.timestamp = "4111-1111",
            posthog.uuid = "4111-1111"
        );
    });
    let report = handle.flush_blocking(Duration::from_secs(20));
    assert_eq!(report.dropped, 2, "{report}");
    shown += &received.recv_timeout(Duration::from_secs(5)).unwrap();
    shown += &format!("{handle:?} {:?}", handle.stats());
    drop(kept(handle));

    shown += &seen.lines().join("\n");
    assert!(shown.contains("401"), "there were errors to show: {shown}");
    assert!(
        shown.contains("posthog.unknown"),
        "and diagnostics: {shown}"
    );
    for secret in ["verysecretkey", "ada@example.com", "4111", "acme corp"] {
        let line = shown.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

#[test]
fn a_key_of_another_shape_is_redacted() {
    let server = PostHogServer::start().unwrap();
    server.answer_with(|_| {
        Some(Answer::status(400).body("bad api_key 'legacy-token-of-ours-1234' in request"))
    });
    let client = PostHogClient::builder()
        .project_api_key("legacy-token-of-ours-1234")
        .host(server.url())
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let summary = runtime
        .block_on(client.capture_batch([tracing_posthog::Event::new("a").distinct_id("u")]))
        .unwrap();
    let text = format!("{} {:?}", summary.errors[0], summary.errors[0]);
    assert!(!text.contains("legacy-token"), "{text}");
}
