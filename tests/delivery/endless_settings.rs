//! Durations of any length are settings like others.

use crate::support::*;
use std::time::Duration;
use tracing_posthog::testing::Answer;
use tracing_posthog::{
    CaptureHandle, CircuitBreaker, CircuitState, Event, QueuePolicy, RetryPolicy,
};

fn events(posthog: &CaptureHandle, from: u64, to: u64) {
    for n in from..to {
        posthog.capture(Event::new(format!("e{n}")).distinct_id(format!("user_{n}")));
    }
}

#[test]
fn a_caller_may_wait_for_ever() {
    let server = server();
    server.answer_with(|_| Some(Answer::accept().delay(ms(300))));
    let posthog = capture_to(&server)
        .queue_events(1)
        .queue_policy(QueuePolicy::Block {
            timeout: Duration::MAX,
        })
        .start()
        .unwrap();
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| events(&posthog, 0, 3)));
    assert!(
        caught.is_ok(),
        "the caller panicked; stats {}",
        posthog.stats()
    );
    posthog.shutdown_blocking(LONG);
    assert_eq!(posthog.stats().delivered, 3);
}

#[test]
fn an_interval_may_be_endless() {
    let server = server();
    let posthog = capture_to(&server)
        .flush_interval(Duration::MAX)
        .start()
        .unwrap();
    events(&posthog, 0, 1);
    let report = posthog.flush_blocking(LONG);
    assert!(report.is_complete(), "{report}; {}", posthog.stats());
    assert_eq!(posthog.stats().delivered, 1);
}

#[test]
fn a_cool_down_may_be_endless() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(503)));
    let client = client_of(&server)
        .retry(RetryPolicy::none())
        .circuit_breaker(CircuitBreaker::after_failures(1).cool_down(Duration::MAX));
    let posthog = capture_with(client).start().unwrap();
    events(&posthog, 0, 1);
    wait_until("it is open", || {
        posthog.stats().circuit == Some(CircuitState::Open)
    });
    let report = posthog.flush_blocking(ms(50));
    assert_eq!((report.pending, report.dropped), (1, 0), "{report}");
}
