//! An event whose interval is over goes with the next free request, whatever else waits.

use crate::support::clock::Clock;
use crate::support::*;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Instant;
use tracing_posthog::testing::Answer;
use tracing_posthog::{CaptureHandle, CircuitBreaker, Event};

fn capture(posthog: &CaptureHandle, name: &str) {
    posthog.capture(Event::new(name).distinct_id("user_1"));
}

/// One request at a time, and a backlog that would keep it busy. Captured while the first of the backlog is
/// under way, so long after the last fresh event, an event is not last.
fn goes_before_the_backlog(idle: bool) {
    let interval = ms(100);
    let server = server();
    server.answer_with(|_| Some(Answer::status(503)));
    let client = client_of(&server)
        .retry(quick().attempts(1))
        .circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client)
        .flush_interval(interval)
        .requests_in_flight(1)
        .start()
        .unwrap();
    for n in 1..=6 {
        capture(&posthog, "old");
        wait_until("it is kept", || posthog.stats().batches_kept >= n);
    }
    server.clear();
    let (arrived, has_arrived) = channel();
    let (release, is_released) = channel::<()>();
    let is_released = Mutex::new(is_released);
    server.answer_with(move |request| {
        if batch(request)[0]["event"] != "old" {
            return None;
        }
        // Held until it is released, the others for longer than an interval.
        let _ = arrived.send(());
        let _ = is_released.lock().unwrap().recv();
        Some(Answer::accept().delay(2 * interval))
    });
    // Its success ends the pause of the others.
    capture(&posthog, "first");
    has_arrived.recv_timeout(LONG).unwrap();
    if idle {
        // The interval ends, and is noticed, while nothing waits.
        release.send(()).unwrap();
        has_arrived.recv_timeout(LONG).unwrap();
    }
    let before = server.request_count();
    let captured = Instant::now();
    capture(&posthog, "late");
    wait_until("it is overdue", || captured.elapsed() > interval);
    drop(release);
    assert!(server.wait_for_events(8, LONG));
    let place = server.requests().iter().position(|request| {
        let events = batch(request);
        events.iter().any(|event| event["event"] == "late")
    });
    // After the one that was held.
    assert!(place.unwrap() <= before + 1, "{place:?}, {before} before");
}

#[test]
fn an_overdue_event_goes_with_the_next_free_request() {
    goes_before_the_backlog(false);
}

#[test]
fn an_event_that_comes_while_all_requests_are_busy_waits_no_longer_than_an_interval() {
    goes_before_the_backlog(true);
}

#[test]
fn a_full_batch_does_not_put_off_what_came_behind_it() {
    let interval = ms(4_000);
    let (server, clock) = (server(), Clock::stopped());
    let held = Held::by(&server);
    let posthog = capture_to(&server)
        .flush_interval(interval)
        .batch_events(10)
        .requests_in_flight(1)
        .spawn_on(clock.handle())
        .start()
        .unwrap();
    for _ in 0..10 {
        capture(&posthog, "first");
    }
    clock.wait_until("all requests are busy", || held.has_come());
    for _ in 0..11 {
        capture(&posthog, "late");
    }
    clock.advance(interval / 2);
    drop(held);
    clock.wait_until("the full batch is delivered", || {
        posthog.stats().delivered == 20
    });
    clock.advance(interval / 2 - ms(2));
    assert_eq!(server.request_count(), 2, "the last one waits for others");
    clock.advance(ms(3));
    clock.wait_until("the last one goes when its interval is over", || {
        posthog.stats().delivered == 21
    });
}
