//! Memory, batches and waits have bounds, and what a bound costs is counted and said.

use crate::support::clock::Clock;
use crate::support::*;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use tracing_posthog::testing::{Answer, PostHogServer, Recording};
use tracing_posthog::{
    CaptureHandle, CircuitBreaker, DropReason, Event, QueuePolicy, TryCaptureError,
};

const NEVER: Duration = Duration::from_secs(3600);
const FULL: DropReason = DropReason::QueueFull;

fn event(n: u64) -> Event {
    Event::new("tick").distinct_id("user_1").property("n", n)
}

fn large(n: u64) -> Event {
    event(n).property("text", "x".repeat(1_000))
}

/// The numbers of the events that arrived.
fn numbers(server: &PostHogServer) -> Vec<u64> {
    let mut numbers: Vec<u64> = server
        .events()
        .iter()
        .map(|e| e.properties["n"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// Events in the bodies of all requests so far, one number for each request.
fn batch_sizes(server: &PostHogServer) -> Vec<usize> {
    server.requests().iter().map(|r| batch(r).len()).collect()
}

// The queue.

#[test]
fn drop_newest_keeps_the_first_events() {
    let server = server();
    let posthog = capture_to(&server)
        .queue_events(50)
        .flush_interval(NEVER)
        .requests_in_flight(1)
        .batch_events(1000)
        .start()
        .unwrap();
    let held = Held::by(&server);
    for n in 0..50 {
        posthog.capture(event(n));
    }
    // The queue is full, which makes a batch; the answer comes later than these.
    for n in 50..80 {
        posthog.capture(event(n));
    }
    drop(held);
    posthog.shutdown_blocking(LONG);
    assert_eq!(numbers(&server), (0..50).collect::<Vec<_>>());
    assert_eq!(posthog.stats().dropped.by(FULL), 30);
    assert_settled(&posthog.stats());
}

#[test]
fn drop_oldest_keeps_the_last_events() {
    let server = server();
    let held = Held::by(&server);
    let posthog = capture_to(&server)
        .queue_events(50)
        .queue_policy(QueuePolicy::DropOldest)
        .batch_events(10)
        .requests_in_flight(1)
        .start()
        .unwrap();
    for n in 0..10 {
        posthog.capture(event(n));
    }
    held.wait();
    // Ten are under way; of these, forty stay.
    for n in 10..80 {
        posthog.capture(event(n));
    }
    assert_eq!(posthog.stats().dropped.by(FULL), 30);
    drop(held);
    posthog.shutdown_blocking(LONG);
    let kept: Vec<u64> = (0..10).chain(40..80).collect();
    assert_eq!(numbers(&server), kept);
    assert_settled(&posthog.stats());
}

#[test]
fn drop_oldest_drops_nothing_where_that_makes_no_room() {
    let server = server();
    let held = Held::by(&server);
    let posthog = capture_to(&server)
        .queue_bytes(20_000)
        .queue_policy(QueuePolicy::DropOldest)
        .flush_at(1)
        .requests_in_flight(1)
        .start()
        .unwrap();
    posthog.capture(event(0).property("text", "x".repeat(15_000)));
    held.wait();
    posthog.capture(event(1));
    posthog.capture(event(2).property("text", "x".repeat(6_000)));
    posthog.capture(event(3).property("text", "x".repeat(30_000)));
    drop(held);
    posthog.shutdown_blocking(LONG);
    assert_eq!(numbers(&server), [0, 1]);
    let dropped = posthog.stats().dropped;
    assert_eq!(dropped.by(FULL), 1);
    // The last has no room in an empty queue either.
    assert_eq!(dropped.by(DropReason::TooLarge), 1);
}

#[test]
fn block_waits_for_room_and_loses_nothing() {
    let server = server();
    server.answer_with(|_| Some(Answer::accept().delay(ms(5))));
    let posthog = capture_to(&server)
        .queue_events(20)
        .batch_events(10)
        .requests_in_flight(1)
        .queue_policy(QueuePolicy::Block { timeout: LONG })
        .start()
        .unwrap();
    for n in 0..200 {
        posthog.capture(event(n));
    }
    assert!(posthog.shutdown_blocking(LONG).pending == 0);
    assert_eq!(numbers(&server), (0..200).collect::<Vec<_>>());
}

#[test]
fn block_waits_no_longer_than_it_was_told() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let timeout = ms(100);
    let posthog = capture_to(&server)
        .queue_events(5)
        .queue_bytes(100_000)
        .queue_policy(QueuePolicy::Block { timeout })
        .shutdown_timeout(ms(10))
        .start()
        .unwrap();
    for n in 0..5 {
        posthog.capture(event(n));
    }
    let start = Instant::now();
    posthog.capture(event(5));
    let took = start.elapsed();
    assert!(took >= timeout && took < SLOW, "{took:?}");
    assert_eq!(posthog.stats().dropped.by(FULL), 1);

    let posthog = capture_to(&server)
        .queue_bytes(100_000)
        .queue_policy(QueuePolicy::Block { timeout: LONG })
        .start()
        .unwrap();
    let start = Instant::now();
    posthog.capture(event(6).property("text", "x".repeat(200_000)));
    assert!(start.elapsed() < SLOW, "no wait makes room for that");
}

#[test]
fn the_queue_is_bounded_by_bytes_those_under_way_included() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let posthog = capture_to(&server).queue_bytes(100_000).start().unwrap();
    for n in 0..500 {
        posthog.capture(large(n));
    }
    let stats = posthog.stats();
    let kept = stats.queued + stats.in_flight;
    assert!((60..=100).contains(&kept), "{stats:?}");
    assert_eq!(stats.dropped.by(FULL), 500 - kept);
    posthog.shutdown_blocking(ms(10));
    wait_for_end(&posthog);
}

#[test]
fn the_counts_are_exact_under_sixteen_producers() {
    let policies = [
        QueuePolicy::DropNewest,
        QueuePolicy::DropOldest,
        QueuePolicy::Block { timeout: LONG },
    ];
    for policy in policies {
        let server = server();
        server.record(Recording::CountsOnly);
        let posthog = capture_to(&server)
            .queue_events(200)
            .queue_policy(policy)
            .start()
            .unwrap();
        std::thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    for n in 0..500 {
                        posthog.capture(event(n));
                        assert_conserved(&posthog.stats());
                    }
                });
            }
        });
        posthog.shutdown_blocking(LONG);
        let stats = posthog.stats();
        assert_settled(&stats);
        assert_eq!(stats.captured, 8_000, "{policy:?}");
        assert_eq!(stats.delivered, server.event_count() as u64);
        assert_eq!(stats.dropped.total(), stats.dropped.by(FULL), "{policy:?}");
        if matches!(policy, QueuePolicy::Block { .. }) {
            assert_eq!(stats.delivered, 8_000);
        }
    }
}

#[test]
fn a_caller_never_waits_at_a_full_queue_of_a_stalled_posthog() {
    for policy in [QueuePolicy::DropNewest, QueuePolicy::DropOldest] {
        let server = server();
        server.answer_with(|_| Some(Answer::stall()));
        let posthog = capture_to(&server)
            .queue_events(500)
            .queue_policy(policy)
            .shutdown_timeout(ms(10))
            .start()
            .unwrap();
        let mut took: Vec<Duration> = (0..20_000)
            .map(|n| {
                let start = Instant::now();
                posthog.capture(event(n));
                start.elapsed()
            })
            .collect();
        took.sort_unstable();
        // The scheduler of a busy machine may take a few of them away for longer.
        let nearly_all = took[took.len() * 99 / 100];
        assert!(nearly_all < ms(2), "{policy:?}: {nearly_all:?}");
        assert_eq!(posthog.stats().dropped.by(FULL), 19_500);
    }
}

#[tokio::test]
async fn a_queue_that_fills_and_drains_by_turns_is_reported_once() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    let posthog = capture_to(&server)
        .queue_events(10)
        .spawn_on(&tokio::runtime::Handle::current())
        .start()
        .unwrap();
    server.answer_with(|_| Some(Answer::accept().delay(ms(200))));
    for episode in 1..=3 {
        for _ in 0..3 {
            for n in 0..20 {
                posthog.capture(event(n));
            }
            tokio::task::yield_now().await;
        }
        assert!(posthog.stats().dropped.by(FULL) >= 10 * episode);
        until("a warning", || !diagnostics.warnings().is_empty()).await;
        assert!(posthog.flush().await.pending == 0);
        // Not more than once a minute.
        let warnings = diagnostics.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(warnings[0].contains("queue is full"), "{warnings:#?}");
    }
}

#[tokio::test]
async fn a_full_queue_is_reported_although_posthog_stalls() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let posthog = capture_to(&server)
        .queue_events(10)
        .requests_in_flight(1)
        .spawn_on(&tokio::runtime::Handle::current())
        .start()
        .unwrap();
    for n in 0..10 {
        posthog.capture(event(n));
    }
    until("a request", || server.request_count() == 1).await;
    for n in 0..1_000 {
        posthog.capture(event(n));
        tokio::task::yield_now().await;
    }
    until("a warning", || !diagnostics.warnings().is_empty()).await;
    assert_eq!(diagnostics.warnings().len(), 1);
}

#[tokio::test]
async fn an_event_that_is_too_large_to_be_queued_is_reported_once() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    let posthog = capture_to(&server)
        .event_bytes(1_000)
        .spawn_on(&tokio::runtime::Handle::current())
        .start()
        .unwrap();
    for n in 0..3 {
        posthog.capture(large(n));
        until("a warning", || !diagnostics.warnings().is_empty()).await;
    }
    // This one fits until it is encoded.
    posthog.capture(event(3).property("text", "\n".repeat(800)));
    posthog.flush().await;
    let warnings = diagnostics.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].contains("limit=1000"), "{warnings:#?}");
    assert_eq!(posthog.stats().dropped.by(DropReason::TooLarge), 4);
}

// What makes a batch go: each threshold alone.

#[test]
fn a_batch_goes_when_it_has_enough_events() {
    let server = server();
    let posthog = capture_to(&server)
        .flush_interval(NEVER)
        .batch_events(10)
        .start()
        .unwrap();
    for n in 0..35 {
        posthog.capture(event(n));
    }
    assert!(server.wait_for_events(30, LONG));
    assert_eq!(batch_sizes(&server), [10, 10, 10]);
    assert_eq!(posthog.stats().queued, 5);
}

#[test]
fn a_batch_goes_when_enough_events_wait() {
    let server = server();
    let posthog = capture_to(&server)
        .flush_interval(NEVER)
        .flush_at(4)
        .start()
        .unwrap();
    for n in 0..4 {
        posthog.capture(event(n));
    }
    assert!(server.wait_for_events(4, LONG));
}

#[test]
fn no_setting_makes_a_batch_larger_than_posthog_takes() {
    let server = server();
    let posthog = capture_to(&server)
        .flush_interval(NEVER)
        .queue_bytes(64 << 20)
        .batch_bytes(24 << 20)
        .batch_events(1_000)
        .flush_at(1_000)
        .start()
        .unwrap();
    for n in 0..30 {
        posthog.capture(event(n).property("text", "x".repeat(800_000)));
    }
    let report = posthog.flush_blocking(LONG);
    assert_eq!((report.delivered, report.dropped), (30, 0), "{report}");
}

#[test]
fn a_batch_goes_when_it_has_enough_bytes() {
    let (server, clock) = (server(), Clock::stopped());
    let posthog = capture_to(&server)
        .flush_interval(NEVER)
        .batch_bytes(20_000)
        .spawn_on(clock.handle())
        .start()
        .unwrap();
    // The first event wakes the actor; let it fall asleep again, as it does between events.
    posthog.capture(large(0));
    clock.advance(ms(20));
    for n in 1..40 {
        posthog.capture(large(n));
    }
    clock.wait_until("some batches", || server.event_count() >= 20);
    assert!(batch_sizes(&server).iter().all(|n| *n < 20));
}

#[test]
fn a_batch_goes_when_the_queue_has_no_more_bytes_for_it() {
    let server = server();
    let posthog = capture_to(&server)
        .flush_interval(NEVER)
        .queue_bytes(20_000)
        .start()
        .unwrap();
    for n in 0..40 {
        posthog.capture(large(n));
    }
    assert!(server.wait_for_events(5, LONG));
}

#[test]
fn a_lone_event_goes_when_the_interval_is_over_and_not_before() {
    let server = server();
    let posthog = capture_to(&server).flush_interval(ms(150)).start().unwrap();
    let start = Instant::now();
    posthog.capture(event(0));
    assert!(server.wait_for_events(1, LONG));
    assert!(start.elapsed() >= ms(140), "{:?}", start.elapsed());
}

#[test]
fn the_interval_ends_under_constant_traffic_too() {
    let server = server();
    server.record(Recording::CountsOnly);
    let posthog = capture_to(&server)
        .batch_events(1_000_000)
        .flush_at(1_000_000)
        .queue_events(1_000_000)
        .start()
        .unwrap();
    wait_until("ten batches", || {
        posthog.capture(event(0));
        server.request_count() >= 10
    });
}

#[test]
fn a_hundred_events_go_and_what_waits_for_a_request_goes_together() {
    let server = server();
    let held = Held::by(&server);
    let posthog = capture_to(&server)
        .flush_interval(NEVER)
        .requests_in_flight(1)
        .start()
        .unwrap();
    for n in 0..100 {
        posthog.capture(event(n));
    }
    held.wait();
    for n in 100..450 {
        posthog.capture(event(n));
    }
    drop(held);
    assert!(server.wait_for_requests(3, LONG));
    let sizes: Vec<_> = server.requests().iter().map(|r| batch(r).len()).collect();
    assert_eq!(sizes, [100, 250, 100]);
}

#[test]
fn no_batch_is_larger_than_its_bounds() {
    let server = server();
    let posthog = capture_to(&server)
        .batch_events(30)
        .batch_bytes(10_000)
        .start()
        .unwrap();
    for n in 0..300 {
        posthog.capture(if n % 3 == 0 { large(n) } else { event(n) });
    }
    assert!(posthog.shutdown_blocking(LONG).dropped == 0);
    assert_eq!(numbers(&server), (0..300).collect::<Vec<_>>());
    for request in server.requests() {
        assert!(batch(&request).len() <= 30);
        // With what stands around the events.
        assert!(request.body.len() <= 10_000 + 200, "{}", request.body.len());
    }
}

// Time, and rest.

#[tokio::test]
async fn a_flush_returns_in_its_time_although_nobody_answers_with_the_queue_full_or_not() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let posthog = capture_to(&server)
        .queue_events(100)
        .flush_timeout(ms(150))
        .shutdown_timeout(ms(10))
        .start()
        .unwrap();
    for events in [1_u64, 1_000] {
        for n in 0..events {
            posthog.capture(event(n));
        }
        let start = Instant::now();
        let report = posthog.flush().await;
        let took = start.elapsed();
        assert!(took >= ms(140) && took < SLOW, "{took:?}");
        assert!(report.pending > 0 && report.delivered == 0, "{report}");
    }
    let start = Instant::now();
    assert_eq!(posthog.flush_blocking(ms(50)).pending, 100);
    assert!(start.elapsed() < SLOW);
}

/// An actor on a runtime of its own, so that its rest can be measured.
fn on_own_runtime(
    server: &PostHogServer,
    breaker: CircuitBreaker,
) -> (tokio::runtime::Runtime, CaptureHandle) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let client = client_of(server)
        .retry(quick().attempts(1))
        .circuit_breaker(breaker);
    let posthog = capture_with(client)
        .requests_in_flight(1)
        .batch_events(5)
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    (runtime, posthog)
}

#[test]
fn the_actor_rests_while_it_is_idle_and_while_nobody_answers() {
    let server = server();
    let (runtime, posthog) = on_own_runtime(&server, CircuitBreaker::off());
    posthog.capture(event(0));
    runtime.block_on(until("delivery", || posthog.stats().delivered == 1));
    let idle = busy_time(&runtime, ms(300));
    assert!(idle < ms(60), "idle, and busy for {idle:?} of 300 ms");

    server.answer_with(|_| Some(Answer::stall()));
    for n in 0..50 {
        posthog.capture(event(n));
    }
    runtime.block_on(until("a request", || server.request_count() == 2));
    let waiting = busy_time(&runtime, ms(300));
    assert!(
        waiting < ms(60),
        "waiting, and busy for {waiting:?} of 300 ms"
    );
}

#[test]
fn the_actor_rests_while_kept_batches_pause_and_while_the_breaker_is_open() {
    for breaker in [CircuitBreaker::off(), CircuitBreaker::after_failures(1)] {
        let server = server();
        server.answer_with(|_| Some(Answer::status(503)));
        let (runtime, posthog) = on_own_runtime(&server, breaker);
        for n in 0..20 {
            posthog.capture(event(n));
        }
        runtime.block_on(until("a failure", || posthog.stats().batches_kept > 0));
        // The first pause is a second long.
        let busy = busy_time(&runtime, ms(300));
        assert!(busy < ms(60), "pausing, and busy for {busy:?} of 300 ms");
        assert_eq!(posthog.stats().queued + posthog.stats().in_flight, 20);
    }
}

// Told, not hidden.

/// Whoever tries again until there is room would do so for ever.
#[tokio::test]
async fn an_event_that_the_empty_queue_has_no_room_for_is_too_large() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    let posthog = capture_to(&server)
        .queue_bytes(1_000)
        .spawn_on(&tokio::runtime::Handle::current())
        .start()
        .unwrap();
    let large = event(0).property("text", "x".repeat(2_000));
    assert_eq!(posthog.try_capture(&large), Err(TryCaptureError::TooLarge));
    posthog.capture(large);
    until("a warning", || !diagnostics.warnings().is_empty()).await;
    let warnings = diagnostics.warnings();
    assert!(warnings[0].contains("limit=1000"), "{warnings:#?}");
    posthog.capture(event(1));
    posthog.flush().await;
    let stats = posthog.stats();
    assert_eq!(stats.dropped.by(DropReason::TooLarge), 2);
    assert_eq!(stats.delivered, 1);
}

#[test]
fn try_capture_says_why_it_did_not_take_an_event() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let posthog = capture_to(&server)
        .queue_events(2)
        // Waits are for `capture`: this would never end.
        .queue_policy(QueuePolicy::Block { timeout: NEVER })
        .event_bytes(5_000)
        .shutdown_timeout(ms(10))
        .start()
        .unwrap();
    let huge = event(0).property("text", "x".repeat(5_000));
    assert_eq!(posthog.try_capture(&huge), Err(TryCaptureError::TooLarge));
    assert_eq!(posthog.try_capture(&event(1)), Ok(()));
    assert_eq!(posthog.try_capture(&event(2)), Ok(()));
    assert_eq!(
        posthog.try_capture(&event(3)),
        Err(TryCaptureError::QueueFull)
    );
    posthog.opt_out();
    assert_eq!(
        posthog.try_capture(&event(4)),
        Err(TryCaptureError::OptedOut)
    );
    posthog.opt_in();
    posthog.shutdown_blocking(ms(10));
    assert_eq!(
        posthog.try_capture(&event(5)),
        Err(TryCaptureError::Shutdown)
    );
    let stats = posthog.stats();
    assert_eq!(stats.captured, 5, "opted out, nothing is captured: {stats}");
    assert_eq!(stats.dropped.by(DropReason::TooLarge), 1);
    assert_eq!(stats.dropped.by(FULL), 1);
    assert_eq!(
        CaptureHandle::disabled().try_capture(&event(6)),
        Err(TryCaptureError::Disabled)
    );
}

#[test]
fn try_capture_in_a_hook_is_refused() {
    let server = server();
    let (told, refusals) = channel();
    let slot: std::sync::Arc<std::sync::OnceLock<CaptureHandle>> = Default::default();
    let own = slot.clone();
    let posthog = capture_to(&server)
        .before_send(move |event| {
            told.send(own.get().unwrap().try_capture(&event)).unwrap();
            Some(event)
        })
        .start()
        .unwrap();
    slot.set(posthog.clone()).unwrap();
    posthog.capture(event(1));
    posthog.shutdown_blocking(LONG);
    assert_eq!(refusals.recv().unwrap(), Err(TryCaptureError::WithinHook));
    assert_eq!(posthog.stats().delivered, 1);
}

#[test]
fn many_too_large_events_are_one_warning() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(413)));
    let (told, _listening) = Diagnostics::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let posthog = capture_to(&server)
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    for n in 0..100 {
        posthog.capture(Event::new(format!("e{n}")).distinct_id("user_1"));
    }
    runtime.block_on(posthog.flush());
    assert_eq!(told.warnings().len(), 1);
}

#[test]
fn taking_turns_is_one_warning() {
    let server = server();
    let n = AtomicUsize::new(0);
    server.answer_with(move |_| {
        n.fetch_add(1, SeqCst)
            .is_multiple_of(2)
            .then(|| Answer::status(400))
    });
    let (told, _listening) = Diagnostics::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let posthog = capture_to(&server)
        .batch_events(1)
        .requests_in_flight(1)
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    for n in 0..100 {
        posthog.capture(Event::new(format!("e{n}")).distinct_id("user_1"));
    }
    runtime.block_on(posthog.flush());
    assert_eq!(told.warnings().len(), 1);
}
