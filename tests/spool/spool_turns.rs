//! A batch that always fails takes turns with the others: it holds up none of them.

use crate::support::spooling::*;
use crate::support::*;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{CircuitBreaker, CircuitState, Event, RetryPolicy};

/// Fails every request that has that event.
fn fail_with(server: &PostHogServer, event: &'static str) {
    server.answer_with(move |request| {
        let has_it = batch(request).iter().any(|e| e["event"] == event);
        has_it.then(|| Answer::status(503))
    });
}

#[test]
fn a_batch_from_disk_that_always_fails_holds_up_no_other() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 30);
    fail_with(&server, "e0");
    let posthog = spooling(&server, spool.spool()).start().unwrap();
    wait_until("the others are delivered", || {
        posthog.flush_blocking(ms(100));
        posthog.stats().delivered == 20
    });
    let stats = posthog.stats();
    assert_conserved(&stats);
    assert_eq!((stats.spooled, stats.dropped.total()), (10, 0), "{stats}");
    assert_eq!(spool.events()[0]["event"], "e0");
    recover(&server);
    wait_until("it is delivered too", || {
        posthog.flush_blocking(ms(100));
        posthog.stats().delivered == 30
    });
    assert_eq!(server.event_count(), 30);
}

/// Where PostHog fails at random, what waits for its pause meanwhile would fill the queue.
#[test]
fn what_failed_goes_again_as_soon_as_others_succeed() {
    let server = server();
    let left = AtomicU64::new(4);
    server.answer_with(move |request| {
        let has_it = batch(request).iter().any(|e| e["event"] == "e0");
        (has_it
            && left
                .fetch_update(SeqCst, SeqCst, |n| n.checked_sub(1))
                .is_ok())
        .then(|| Answer::status(503))
    });
    let client = client_of(&server)
        .retry(RetryPolicy::none())
        .circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client)
        .requests_in_flight(1)
        .flush_at(1)
        .start()
        .unwrap();
    events(&posthog, 0, 1);
    wait_until("it failed", || posthog.stats().batches_kept == 1);
    // Each success lets it go once more.
    for n in 1..=30 {
        events(&posthog, n, n + 1);
        wait_until("delivered", || posthog.stats().delivered >= n);
    }
    assert!(server.find("e0").is_some());
}

#[test]
fn a_batch_from_disk_that_always_fails_does_not_keep_the_circuit_open() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 10);
    fail_with(&server, "e0");
    let client = client_of(&server)
        .retry(RetryPolicy::none())
        .circuit_breaker(CircuitBreaker::after_failures(1).cool_down(ms(500)));
    let posthog = capture_with(client)
        .batch_events(10)
        .spool(spool.spool())
        .start()
        .unwrap();
    wait_until("it opens", || {
        posthog.stats().circuit == Some(CircuitState::Open)
    });
    events(&posthog, 10, 30);
    wait_until("what came since is delivered", || {
        posthog.stats().delivered == 20
    });
    let stats = posthog.stats();
    assert_conserved(&stats);
    assert_eq!((stats.spooled, stats.dropped.total()), (10, 0), "{stats}");
}

#[test]
fn a_batch_in_memory_that_always_fails_does_not_hold_up_the_disk() {
    let (server, spool) = (server(), Directory::new());
    leave_behind(&server, &spool, 20);
    fail(&server);
    // A large batch is too large for the spool.
    let posthog = spooling(&server, spool.spool().max_bytes(16 * 4096))
        .requests_in_flight(1)
        .start()
        .unwrap();
    for _ in 0..10 {
        let event = Event::new("large").distinct_id("user_1");
        posthog.capture(event.property("text", "x".repeat(8_000)));
    }
    wait_until("kept", || posthog.stats().batches_kept > 0);
    server.answer_with(|request| {
        let is_large = batch(request)[0]["event"] == "large";
        is_large.then(|| Answer::status(503))
    });
    wait_until("the disk has its turn", || {
        posthog.flush_blocking(ms(100));
        posthog.stats().delivered == 20
    });
    let stats = posthog.stats();
    assert_conserved(&stats);
    assert_eq!((stats.spooled, stats.dropped.total()), (0, 0), "{stats}");
    posthog.shutdown_blocking(ms(100));
}
