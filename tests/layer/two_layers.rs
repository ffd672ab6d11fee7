//! Two layers, for two projects, on one registry: each gets its own copy of all.

use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{CaptureHandle, PostHogLayer, SpanFields};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

fn program() {
    let span = info_span!(
        "s",
        posthog.distinct_id = Empty,
        posthog.event = "a span",
        route = "/pay"
    );
    span.record("posthog.distinct_id", "ada");
    span.in_scope(|| {
        info_span!("inner", posthog.session_id = "s1")
            .in_scope(|| info!(posthog.event = "x", n = 1));
    });
}

fn names(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|e| e.event.as_str()).collect()
}

#[test]
fn each_gets_its_own_copy() {
    let (one, two) = (CapturedEvents::new(), CapturedEvents::new());
    let all = PostHogLayer::builder(two.handle()).span_fields(SpanFields::all());
    let subscriber = registry().with(one.layer()).with(all.build());
    tracing::subscriber::with_default(subscriber, program);

    for captured in [&one, &two] {
        let events = captured.events();
        assert_eq!(names(&events), ["x", "a span"]);
        assert!(events.iter().all(|e| e.distinct_id == "ada"), "{events:?}");
        assert_eq!(events[0].properties["$session_id"], "s1");
    }
    // Each by its own options.
    assert!(!one.events()[0].properties.contains_key("route"));
    assert_eq!(two.events()[0].properties["route"], "/pay");
}

#[test]
fn one_disabled_opted_out_or_filtered_does_not_matter_to_the_other() {
    let (one, two, out) = (
        CapturedEvents::new(),
        CapturedEvents::new(),
        CapturedEvents::new(),
    );
    out.handle().opt_out();
    let not_inner = filter_fn(|meta| meta.name() != "inner");
    let subscriber = registry()
        .with(PostHogLayer::new(CaptureHandle::disabled()))
        .with(one.layer().with_filter(not_inner))
        .with(out.layer())
        .with(two.layer());
    tracing::subscriber::with_default(subscriber, program);

    assert_eq!(names(&one.events()), ["x", "a span"]);
    assert_eq!(one.events()[0].distinct_id, "ada");
    assert!(
        !one.events()[0].properties.contains_key("$session_id"),
        "it is hidden from this one"
    );
    assert_eq!(two.events()[0].properties["$session_id"], "s1");
    assert_eq!(out.events(), []);
}

#[test]
fn two_layers_of_one_handle_capture_twice() {
    let captured = CapturedEvents::new();
    let subscriber = registry().with(captured.layer()).with(captured.layer());
    tracing::subscriber::with_default(subscriber, program);
    assert_eq!(names(&captured.events()), ["x", "x", "a span", "a span"]);
}

#[test]
fn ten_layers_do_not_mix() {
    let all: [_; 10] = std::array::from_fn(|_| CapturedEvents::new());
    let layers: Vec<_> = all.iter().map(CapturedEvents::layer).collect();
    tracing::subscriber::with_default(registry().with(layers), program);
    for captured in all {
        assert_eq!(names(&captured.events()), ["x", "a span"]);
        assert_eq!(captured.events()[1].distinct_id, "ada");
    }
}
