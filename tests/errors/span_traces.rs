//! The spans that errors of `tracing-error` and reports of `error-stack` arose in.

use crate::seen::{kit, links_of, options};
use serde_json::Value;
use std::error::Error;
use tracing::{error, info_span};
use tracing_error::{ErrorLayer, InstrumentError, TracedError};
use tracing_posthog::testing::RecordedEvent;
use tracing_posthog::{Exception, PostHogLayer};
use tracing_subscriber::prelude::*;

fn captured(run: impl FnOnce()) -> RecordedEvent {
    let kit = kit();
    let layer = options(PostHogLayer::builder(kit.handle())).build();
    let subscriber = tracing_subscriber::registry()
        .with(ErrorLayer::default())
        .with(layer);
    tracing::subscriber::with_default(subscriber, run);
    let mut events = kit.events();
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

fn in_spans<T>(make: impl FnOnce() -> T) -> T {
    let _outer = info_span!("order", email = "ada@example.com").entered();
    let _inner = info_span!("pay").entered();
    make()
}

fn traced() -> TracedError<std::io::Error> {
    in_spans(|| std::io::Error::other("full").in_current_span())
}

/// Names and places, without the number of the line.
fn trace_of(event: &RecordedEvent) -> Vec<&str> {
    let trace = event.property("span_trace").and_then(Value::as_array);
    let spans = trace.into_iter().flatten().filter_map(Value::as_str);
    spans.map(|span| span.rsplit_once(':').unwrap().0).collect()
}

const SPANS: [&str; 2] = [
    "pay at tests/errors/span_traces.rs",
    "order at tests/errors/span_traces.rs",
];

#[track_caller]
fn check(event: &RecordedEvent, links: &[(&str, &str)]) {
    let got = links_of(event);
    let got: Vec<_> = got.iter().map(|(of, text)| (&**of, &**text)).collect();
    assert_eq!(got, links);
    assert_eq!(trace_of(event), SPANS);
    let all = serde_json::to_string(&event.properties).unwrap();
    assert!(!all.contains("ada@example.com"), "{all}");
}

#[test]
fn a_traced_error_is_its_error_with_a_list_of_spans() {
    let event = captured(|| error!(error = &traced() as &dyn Error, "failed"));
    // Its `Debug` is that of `std::io::Error`.
    check(&event, &[("Custom", "full")]);
    let event = captured(|| {
        error!(error = &Exception::of(&traced()) as &dyn Error, "failed");
    });
    check(&event, &[("std::io::Error", "full")]);
}

#[test]
fn a_trace_deep_in_a_chain_is_found() {
    let event = captured(|| {
        let report = anyhow::Error::new(traced()).context("ordering");
        error!(error = &Exception::of(&report) as &dyn Error, "failed");
    });
    assert_eq!(trace_of(&event), SPANS);
}

#[test]
fn a_report_of_error_stack_has_one_too() {
    let event = captured(|| {
        let report = in_spans(|| error_stack::Report::new(std::io::Error::other("full")));
        error!(error = &Exception::of(&report) as &dyn Error, "failed");
    });
    check(&event, &[("std::io::Error", "full")]);
}

/// Where nobody keeps spans, nothing is said of them.
#[test]
fn without_a_layer_there_is_none() {
    let events = crate::seen::captured(|| error!(error = &traced() as &dyn Error, "failed"));
    assert_eq!(events[0].property("span_trace"), None);
    assert_eq!(links_of(&events[0]).len(), 1);
}
