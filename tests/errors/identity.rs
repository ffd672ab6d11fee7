//! Whom an exception belongs to, and what the spans around it say: wherever it is logged.

use crate::seen::{captured, kit, links_of, options, plain};
use serde_json::json;
use std::error::Error;
use tracing::instrument::WithSubscriber;
use tracing::level_filters::LevelFilter;
use tracing::{Instrument, debug_span, error, info_span, warn};
use tracing_posthog::PostHogLayer;
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

fn failed() {
    error!(error = %"no money", "payment failed");
}

fn user_span(id: &str) -> tracing::Span {
    info_span!(
        "order",
        posthog.distinct_id = id,
        posthog.group.company = "acme",
        posthog.session_id = "s-1",
        route = "/pay",
        secret = "not let through"
    )
}

fn is_personless(event: &RecordedEvent) -> bool {
    event.property("$process_person_profile") == Some(&json!(false))
}

#[track_caller]
fn only(events: &[RecordedEvent]) -> &RecordedEvent {
    match events {
        [event] => {
            assert_eq!(event.event, "$exception");
            event
        }
        _ => panic!("{events:?}"),
    }
}

#[test]
fn spans_say_whose_it_is() {
    let events = captured(|| user_span("ada").in_scope(failed));
    let event = only(&events);
    assert_eq!(event.distinct_id, "ada");
    assert_eq!(event.property("$groups"), Some(&json!({"company": "acme"})));
    assert_eq!(event.property("$session_id"), Some(&json!("s-1")));
    assert_eq!(event.property("route"), Some(&json!("/pay")));
    assert_eq!(event.property("secret"), None);
}

#[test]
fn the_nearest_span_wins_and_the_event_before_it() {
    let events = captured(|| {
        let _outer = user_span("ada").entered();
        let _inner = info_span!("inner", posthog.distinct_id = "grace").entered();
        failed();
        error!(posthog.distinct_id = "linus", "failed");
    });
    let ids: Vec<_> = events.iter().map(|event| &*event.distinct_id).collect();
    assert_eq!(ids, ["grace", "linus"]);
    assert_eq!(
        events[0].property("$groups"),
        Some(&json!({"company": "acme"}))
    );
}

#[test]
fn without_a_span_it_is_nobodys() {
    let events = captured(failed);
    assert!(is_personless(only(&events)));
}

#[test]
fn explicit_parents_count_and_explicit_roots_have_none() {
    let events = captured(|| {
        let ada = user_span("ada");
        let _current = user_span("grace").entered();
        error!(parent: &ada, error = %"x", "failed");
        error!(parent: None, error = %"x", "failed");
        let child = info_span!(parent: &ada, "child");
        child.in_scope(failed);
    });
    let ids: Vec<_> = events.iter().map(|event| &*event.distinct_id).collect();
    assert_eq!((ids.len(), ids[0], ids[2]), (3, "ada", "ada"));
    assert!(is_personless(&events[1]));
}

#[test]
fn a_late_record_counts() {
    let events = captured(|| {
        let span = info_span!("order", posthog.distinct_id = tracing::field::Empty);
        span.record("posthog.distinct_id", "ada");
        span.in_scope(failed);
    });
    assert_eq!(only(&events).distinct_id, "ada");
}

#[test]
fn tasks_keep_it_where_they_are_instrumented() {
    let kit = kit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    kit.in_scope(|| {
        let later = || async {
            tokio::task::yield_now().await;
            failed();
        };
        let _current = user_span("nobody").entered();
        let tasks = [
            runtime.spawn(
                later()
                    .instrument(user_span("ada"))
                    .with_current_subscriber(),
            ),
            runtime.spawn(later().in_current_span().with_current_subscriber()),
            runtime.spawn(later().with_current_subscriber()),
        ];
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
    });
    let events = kit.events();
    let mut ids: Vec<_> = events
        .iter()
        .map(|event| match is_personless(event) {
            true => "",
            false => &event.distinct_id,
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["", "ada", "nobody"]);
}

/// What is captured by a subscriber that `make` makes.
fn with_subscriber<S>(
    make: impl FnOnce(PostHogLayer) -> S,
    run: impl FnOnce(),
) -> Vec<RecordedEvent>
where
    S: tracing::Subscriber + Send + Sync,
{
    let kit: CapturedEvents = kit();
    let layer = options(PostHogLayer::builder(kit.handle())).build();
    tracing::subscriber::with_default(make(layer), run);
    kit.events()
}

fn within_spans() {
    let _user = user_span("ada").entered();
    let _between = debug_span!("between").entered();
    failed();
}

#[test]
fn filters_of_other_layers_hide_nothing() {
    let events = with_subscriber(
        |layer| {
            let log = tracing_subscriber::fmt::layer()
                .with_writer(std::io::sink)
                .with_filter(LevelFilter::OFF);
            let other = tracing_subscriber::fmt::layer()
                .with_writer(std::io::sink)
                .with_filter(filter_fn(|metadata| !metadata.is_span()));
            tracing_subscriber::registry()
                .with(log)
                .with(other)
                .with(layer)
        },
        within_spans,
    );
    assert_eq!(only(&events).distinct_id, "ada");
}

#[test]
fn a_filter_on_the_layer_itself_keeps_identity() {
    // Hides all spans and lets errors through.
    let only_events = filter_fn(|metadata| metadata.is_event() || metadata.name() == "order");
    let events = with_subscriber(
        |layer| tracing_subscriber::registry().with(layer.with_filter(only_events)),
        within_spans,
    );
    assert_eq!(only(&events).distinct_id, "ada");
    // `LevelFilter::ERROR` hides the spans that say who it is: what is left is the error.
    let events = with_subscriber(
        |layer| tracing_subscriber::registry().with(layer.with_filter(LevelFilter::ERROR)),
        within_spans,
    );
    assert!(is_personless(only(&events)));
}

#[test]
fn a_layer_in_an_option_or_a_box_is_the_same() {
    let events = with_subscriber(
        |layer| tracing_subscriber::registry().with(Some(layer)),
        within_spans,
    );
    assert_eq!(only(&events).distinct_id, "ada");
    let events = with_subscriber(
        |layer| tracing_subscriber::registry().with(layer.boxed()),
        within_spans,
    );
    assert_eq!(only(&events).distinct_id, "ada");
}

#[test]
fn an_error_in_a_span_field_is_a_field() {
    let failed = std::io::Error::other("full");
    let events = captured(|| {
        let error = &failed as &dyn Error;
        let _span = info_span!("store", posthog.distinct_id = "ada", error).entered();
        error!(error = %"no money", "payment failed");
    });
    let links = links_of(only(&events));
    let texts: Vec<_> = links.iter().map(|(_, text)| &**text).collect();
    assert_eq!(texts, ["no money"]);
}

/// Without the setting nothing is an exception, whatever the event says.
#[test]
fn off_until_asked_for() {
    let kit = CapturedEvents::new();
    kit.in_scope(|| {
        failed();
        error!(posthog.exception = true, "failed");
    });
    assert_eq!(kit.events().len(), 0);
}

#[test]
fn a_level_lets_warnings_in() {
    let kit = CapturedEvents::builder()
        .layer(|layer| layer.errors(plain().level(LevelFilter::WARN)))
        .build()
        .unwrap();
    kit.in_scope(|| {
        #[tracing::instrument(err(level = "warn"))]
        fn fails() -> Result<(), std::io::Error> {
            Err(std::io::Error::other("full"))
        }
        let _ = fails();
        warn!("less severe");
        tracing::info!("no");
    });
    assert_eq!(kit.events().len(), 2);
}
