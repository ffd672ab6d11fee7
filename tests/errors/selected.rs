//! Which events become exceptions.

use std::error::Error;
use tracing::{error, info, warn};
use tracing_posthog::Errors;
use tracing_posthog::testing::CapturedEvents;

fn captured(errors: Errors, run: impl FnOnce()) -> Vec<String> {
    let captured = CapturedEvents::builder()
        .layer(move |layer| layer.errors(errors.clone()))
        .build()
        .unwrap();
    captured.in_scope(run);
    captured.events().into_iter().map(|e| e.event).collect()
}

#[test]
fn errors_of_the_programs_own_code_are_exceptions() {
    let failed = std::fs::read("/no such file").unwrap_err();
    let events = captured(Errors::new(), || {
        error!(error = &failed as &dyn Error, "cannot read");
        error!("no value");
        error!(posthog.exception = false, "not this one");
        error!(target: "hyper::client", "a target does not make a dependency");
        warn!("less severe");
        info!(posthog.exception = true, "opted in");
        error!(posthog.event = "an event", "not an exception");
    });
    let exception = "$exception";
    assert_eq!(
        events,
        [exception, exception, exception, exception, "an event"]
    );
}
