//! Durations of any length are settings like others, and so are numbers of any size.

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

#[test]
fn a_wait_between_attempts_may_be_endless() {
    for (first, longest) in [
        (Duration::MAX, Duration::MAX),
        (Duration::MAX / 2, Duration::MAX / 2),
        (ms(1), Duration::MAX),
        (Duration::MAX, ms(1)),
    ] {
        let server = server();
        let asked = "18446744073709551615";
        server.answer_next(Answer::status(503).header("retry-after", asked));
        let policy = RetryPolicy::default().first_delay(first);
        let client = client_of(&server).retry(policy.max_delay(longest).attempts(u32::MAX));
        let posthog = capture_with(client).start().unwrap();
        events(&posthog, 0, 1);
        wait_until("it waits for its second attempt", || {
            let was_tried = server.request_count() > 0;
            // Answered when the actor has counted what is on the wire.
            posthog.flush_blocking(ms(1));
            was_tried && posthog.stats().in_flight == 0
        });
        // Who ends tries once more at once.
        let report = posthog.shutdown_blocking(LONG);
        let stats = posthog.stats();
        assert!(report.dropped == 0 && stats.delivered == 1, "{stats}");
    }
}

#[test]
fn any_number_of_requests_may_be_on_the_wire() {
    let server = server();
    let posthog = capture_to(&server)
        .requests_in_flight(usize::MAX)
        .batch_events(1)
        .start()
        .unwrap();
    events(&posthog, 0, 20);
    let report = posthog.flush_blocking(LONG);
    assert!(report.is_complete(), "{report}; {}", posthog.stats());
    assert_eq!(posthog.stats().delivered, 20);
}
