//! What is said of fields for exceptions on events that are none.

use crate::layers::diagnostics_of;
use tracing::{info, info_span};
use tracing_posthog::Errors;
use tracing_posthog::testing::CapturedEvents;

fn with_errors() -> CapturedEvents {
    let builder = CapturedEvents::builder();
    let builder = builder.layer(|layer| layer.errors(Errors::new()));
    builder.build().unwrap()
}

#[test]
fn a_field_of_exceptions_needs_an_exception() {
    let captured = with_errors();
    let lines = diagnostics_of(&captured, |_| {
        info!(
            posthog.event = "order placed",
            posthog.fingerprint = "orders"
        );
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("`posthog.exception = true`"), "{lines:?}");
    assert!(lines[0].contains("order placed"), "{lines:?}");
}

#[test]
fn error_tracking_that_is_off_is_named() {
    let lines = diagnostics_of(&CapturedEvents::new(), |_| {
        info!(posthog.event = "order placed", posthog.exception = true);
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("`errors(Errors::new())`"), "{lines:?}");
}

#[test]
fn an_event_that_is_both_is_no_mistake() {
    let captured = with_errors();
    let lines = diagnostics_of(&captured, |_| {
        info!(
            posthog.event = "order failed",
            posthog.exception = true,
            posthog.fingerprint = "orders"
        );
    });
    assert_eq!(lines, [""; 0]);
    let names: Vec<_> = captured.events().into_iter().map(|e| e.event).collect();
    assert_eq!(names, ["order failed", "$exception"]);
}

#[test]
fn a_span_says_nothing_of_exceptions() {
    let captured = with_errors();
    let lines = diagnostics_of(&captured, |_| {
        let span = info_span!("order", posthog.fingerprint = "orders");
        span.in_scope(|| tracing::error!("no card"));
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("put them on the event"), "{lines:?}");
}
