//! Errors in async functions.

use crate::seen::list_of;
use serde_json::Value;
use std::error::Error;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tracing::error;
use tracing_posthog::Errors;
use tracing_posthog::testing::CapturedEvents;

/// Runs a future that never waits.
fn run(future: impl Future<Output = ()>) {
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(pin!(future).poll(&mut context), Poll::Ready(()));
}

async fn charge(failed: &std::fmt::Error) {
    error!(error = failed as &dyn Error, "not charged");
}

async fn refund(failed: &std::fmt::Error) {
    error!(error = failed as &dyn Error, "not refunded");
}

fn in_app(list: &[Value]) -> Vec<[Value; 2]> {
    let frames = list[0]["stacktrace"]["frames"].as_array().unwrap();
    let own = frames.iter().filter(|frame| frame["in_app"] == true);
    own.map(|frame| [frame["filename"].clone(), frame["function"].clone()])
        .collect()
}

#[test]
#[rustfmt::skip]
fn two_async_functions_of_one_file_are_told_apart() {
    let builder = CapturedEvents::builder().layer(|layer| layer.errors(Errors::new().duplicate_window(Duration::ZERO)));
    let captured = builder.build().unwrap();
    let failed = std::fmt::Error;
    captured.in_scope(|| {
        // One line, so that the frames of this function are the same.
        for future in 0..4 { if future % 2 == 0 { run(charge(&failed)) } else { run(refund(&failed)) } }
    });
    let frames: Vec<_> = captured.events().iter().map(|event| in_app(&list_of(event))).collect();
    assert_eq!(frames.len(), 4);
    assert_eq!(frames[0], frames[2]);
    assert_eq!(frames[1], frames[3]);
    assert_ne!(frames[0], frames[1]);
}
