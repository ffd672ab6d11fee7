//! One error that is logged, returned and logged again is one exception.

use std::error::Error;
use std::time::Duration;
use tracing::{error, info_span, instrument};
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{CaptureHandle, DropReason, Errors};

#[derive(Debug, thiserror::Error)]
#[error("the bank declined")]
struct Declined;

#[derive(Debug, thiserror::Error)]
#[error("payment failed")]
struct PaymentFailed(#[source] Declined);

fn charge() -> Result<(), Declined> {
    error!(error = &Declined as &dyn Error, "not charged");
    Err(Declined)
}

#[instrument(err, skip_all)]
fn pay() -> Result<(), PaymentFailed> {
    charge()
        .inspect_err(|error| error!("cannot charge: {error}"))
        .map_err(PaymentFailed)
}

/// As a framework does with what a handler returns.
fn handle(posthog: &CaptureHandle) {
    if let Err(failed) = pay() {
        error!(error = &failed as &dyn Error, "a handler failed");
        posthog.capture_error(&failed);
    }
}

fn kit(errors: Errors) -> CapturedEvents {
    let builder = CapturedEvents::builder().layer(move |layer| layer.errors(errors.clone()));
    builder.build().unwrap()
}

#[test]
fn an_error_on_its_way_out_is_one_exception() {
    let captured = kit(Errors::new());
    captured.in_scope(|| {
        for _ in 0..2 {
            info_span!("request").in_scope(|| handle(&captured.handle()));
        }
    });
    let titles: Vec<_> = captured
        .exceptions()
        .iter()
        .map(|e| e.issue_name().map(str::to_owned))
        .collect();
    // `#[instrument(err)]` has no message, and shows "payment failed" alone, a text that was not seen before.
    let expected = ["not charged", "error in pay"].map(|title| Some(title.to_owned()));
    assert_eq!(titles, [expected.clone(), expected].concat());
    let stats = captured.handle().stats();
    assert_eq!(stats.dropped.by(DropReason::Duplicate), 6);
    assert_eq!(stats.captured, stats.delivered + stats.dropped.total());
}

#[test]
fn without_a_window_all_are_captured() {
    let captured = kit(Errors::new().duplicate_window(Duration::ZERO));
    captured.in_scope(|| handle(&captured.handle()));
    assert_eq!(captured.exceptions().len(), 5);
}
