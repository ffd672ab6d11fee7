//! A flush returns when what was captured before it is settled; a shutdown delivers what is there, in
//! bounded time, wherever it is asked for.

use crate::support::*;
use futures_util::FutureExt;
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CaptureHandle, CircuitBreaker, DropReason, Event, PostHogLayer, RetryPolicy,
};
use tracing_subscriber::prelude::*;

fn event(n: usize) -> Event {
    Event::new(format!("e{n}")).distinct_id("user_1")
}

fn capture_some(posthog: &CaptureHandle, events: std::ops::Range<usize>) {
    for n in events {
        posthog.capture(event(n));
    }
}

/// An actor whose interval never ends within a test: only a flush or shutdown makes it send.
fn patient(server: &PostHogServer) -> CaptureHandle {
    capture_to(server)
        .flush_interval(Duration::from_secs(3600))
        .start()
        .unwrap()
}

#[tokio::test]
async fn a_flush_returns_after_what_was_captured_before_it_has_arrived() {
    let server = server();
    let posthog = patient(&server);
    for round in 0..20 {
        capture_some(&posthog, 0..7);
        let report = posthog.flush().await;
        assert!(report.is_complete() && report.delivered == 7, "{report}");
        assert_eq!(server.event_count(), 7 * (round + 1));
    }
}

#[tokio::test]
async fn a_flush_waits_for_a_batch_that_is_already_under_way() {
    let server = server();
    server.answer_next(Answer::accept().delay(ms(200)));
    let posthog = capture_to(&server).flush_at(1).start().unwrap();
    posthog.capture(event(0));
    assert!(server.wait_for_requests(1, LONG));
    let report = posthog.flush().await;
    assert!(report.is_complete(), "{report}");
    assert_eq!(posthog.stats().delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_flushes_all_return_and_tell_the_truth() {
    let server = server();
    let posthog = capture_to(&server).start().unwrap();
    let mut tasks = Vec::new();
    for _ in 0..16 {
        let posthog = posthog.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..20 {
                capture_some(&posthog, 0..3);
                let report = posthog.flush().await;
                assert!(report.is_complete(), "nothing was lost, yet: {report}");
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(posthog.stats().delivered, 16 * 20 * 3);
    assert_settled(&posthog.stats());
}

#[test]
fn a_shutdown_that_loses_events_says_what_was_wrong() {
    let (seen, _listening) = Diagnostics::listen();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let retry = RetryPolicy::default().first_delay(LONG).max_delay(LONG);
    let client = client_at(url).retry(retry);
    let posthog = capture_with(client)
        .flush_at(1)
        .shutdown_timeout(ms(100))
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    posthog.capture(Event::new("e"));
    runtime.block_on(until("the first attempt fails", || {
        !seen.with(&["will retry"]).is_empty()
    }));
    runtime.block_on(posthog.shutdown());
    let said = seen.with(&["shut down before everything was delivered"]);
    assert!(
        said.len() == 1 && said[0].contains("no connection: "),
        "{said:?}"
    );
}

/// The actor cannot keep the time itself while a hook keeps it.
#[tokio::test]
async fn a_hook_that_takes_its_time_holds_up_no_flush_or_shutdown() {
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let server = server();
    let posthog = capture_to(&server)
        .flush_timeout(ms(100))
        .shutdown_timeout(ms(100))
        .before_send(move |event| {
            let _ = held.lock().unwrap().recv();
            Some(event)
        })
        .start()
        .unwrap();
    posthog.capture(Event::new("e"));
    let report = tokio::time::timeout(SLOW, posthog.flush()).await.unwrap();
    assert_eq!(report.pending, 1, "{report}");
    let report = tokio::time::timeout(SLOW, posthog.shutdown())
        .await
        .unwrap();
    assert_eq!(report.pending, 1, "{report}");
    drop(hold);
    wait_for_end(&posthog);
}

/// What happens to events between the call and the moment at which the actor hears of it is part of the report.
#[tokio::test]
async fn a_shutdown_reports_everything_since_it_was_asked_for() {
    let (arrive, arrived) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let server = server();
    let held = Held::by(&server);
    let posthog = capture_to(&server)
        .flush_at(1)
        .before_send(move |event| {
            arrive.send(()).unwrap();
            let _ = released.lock().unwrap().recv();
            (event.name == "e0").then_some(event)
        })
        .start()
        .unwrap();
    posthog.capture(event(0));
    release.send(()).unwrap();
    held.wait();
    posthog.capture(event(1));
    for _ in 0..2 {
        arrived.recv_timeout(LONG).unwrap();
    }
    // The actor is busy with the hook for the second one, and the first one is on the wire.
    let mut shutdown = std::pin::pin!(posthog.shutdown());
    assert!(shutdown.as_mut().now_or_never().is_none());
    drop((held, release));
    let report = shutdown.await;
    assert_eq!((report.delivered, report.dropped), (1, 1), "{report}");
}

#[test]
fn a_flush_that_meets_a_delivery_reports_no_loss() {
    let server = server();
    let posthog = capture_to(&server).flush_at(1).start().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let posthog = &posthog;
            scope.spawn(move || {
                for n in 0..400 {
                    posthog.capture(event(n));
                    for _ in 0..(n * 37 + thread * 11) % 400 {
                        std::hint::spin_loop();
                    }
                    let report = posthog.flush_blocking(LONG);
                    assert!(report.is_complete(), "nothing was lost, yet: {report}");
                }
            });
        }
    });
}

#[test]
fn a_flush_does_not_wait_for_the_pause_of_a_posthog_that_fails() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(503)));
    let client = client_of(&server)
        .retry(quick().attempts(1))
        .circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client)
        .requests_in_flight(1)
        .batch_events(1)
        .start()
        .unwrap();
    capture_some(&posthog, 0..3);
    wait_until("all are kept", || posthog.stats().batches_kept == 3);
    let start = Instant::now();
    // Each tries one of them. It fails, and the two others have to wait with it.
    for _ in 0..4 {
        assert_eq!(posthog.flush_blocking(LONG).pending, 3);
    }
    assert!(
        // Four pauses are more, which begin with a second.
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
}

#[test]
fn a_flush_returns_although_a_hook_drops_all_that_keeps_coming() {
    let server = server();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let posthog = capture_to(&server)
        .flush_at(1)
        .flush_timeout(ms(500))
        .before_send(|_| {
            for _ in 0..10_000 {
                std::hint::spin_loop();
            }
            None
        })
        .start()
        .unwrap();
    let done = AtomicBool::new(false);
    let flushed = std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    posthog.capture(event(0));
                }
            });
        }
        wait_until("events that keep coming", || {
            posthog.stats().dropped.by(DropReason::QueueFull) > 0
        });
        let flushed = runtime.block_on(async { tokio::time::timeout(SLOW, posthog.flush()).await });
        done.store(true, Relaxed);
        flushed
    });
    assert!(flushed.is_ok());
    assert_conserved(&posthog.stats());
    posthog.shutdown_blocking(ms(1));
}

#[tokio::test]
async fn a_flush_of_nothing_and_one_after_the_shutdown_return_at_once() {
    let server = server();
    let posthog = patient(&server);
    let start = Instant::now();
    assert_eq!(posthog.flush().await, Default::default());
    posthog.shutdown().await;
    assert_eq!(posthog.flush().await, Default::default());
    assert_eq!(posthog.flush_blocking(LONG), Default::default());
    assert!(start.elapsed() < SLOW);
    assert_eq!(server.request_count(), 0);
}

#[tokio::test]
async fn after_a_flush_that_was_cancelled_the_next_one_works() {
    let server = server();
    let held = Held::by(&server);
    let posthog = patient(&server);
    posthog.capture(event(0));
    let cancelled = tokio::time::timeout(ms(20), posthog.flush()).await;
    assert!(cancelled.is_err(), "there is no answer yet");
    drop(held);
    posthog.capture(event(1));
    assert!(posthog.flush().await.is_complete());
    let events = server.events();
    // Batches under way at the same time may overtake each other.
    let arrived: HashSet<_> = names(&events).into_iter().collect();
    assert_eq!((events.len(), arrived), (2, HashSet::from(["e0", "e1"])));
}

#[test]
fn flush_blocking_works_in_a_sync_main() {
    let server = server();
    let posthog = patient(&server);
    capture_some(&posthog, 0..3);
    assert_eq!(posthog.flush_blocking(LONG).delivered, 3);
    assert_eq!(server.event_count(), 3);
}

#[tokio::test]
async fn flush_blocking_works_in_a_current_thread_runtime() {
    let server = server();
    let posthog = patient(&server);
    posthog.capture(event(0));
    assert_eq!(posthog.flush_blocking(LONG).delivered, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flush_blocking_works_in_a_multi_thread_runtime_and_in_spawn_blocking() {
    let server = server();
    let posthog = patient(&server);
    posthog.capture(event(0));
    assert_eq!(posthog.flush_blocking(LONG).delivered, 1);
    let other = posthog.clone();
    let report = tokio::task::spawn_blocking(move || {
        other.capture(event(1));
        other.flush_blocking(LONG)
    });
    assert_eq!(report.await.unwrap().delivered, 1);
}

#[test]
fn asking_for_a_flush_or_shutdown_inside_a_hook_does_not_hang() {
    let server = server();
    server.answer_next(Answer::status(400));
    let own: Arc<OnceLock<CaptureHandle>> = Arc::default();
    let (in_hook, in_error_hook) = (own.clone(), own.clone());
    let posthog = capture_to(&server)
        .before_send(move |event| {
            in_hook.get()?.flush_blocking(LONG);
            Some(event)
        })
        .on_error(move |_| {
            let posthog = in_error_hook.get().unwrap();
            posthog.flush_blocking(LONG);
            drop(kept(posthog.clone()));
        })
        .start()
        .unwrap();
    own.set(posthog.clone()).unwrap();
    let start = Instant::now();
    posthog.capture(event(0));
    wait_until("the hook's shutdown", || {
        posthog.capture(event(1));
        posthog.stats().dropped.by(DropReason::Shutdown) > 0
    });
    posthog.shutdown_blocking(LONG);
    assert!(start.elapsed() < LONG / 2);
    assert_settled(&posthog.stats());
}

#[tokio::test]
async fn a_shutdown_delivers_what_is_there_and_refuses_what_comes_later() {
    let server = server();
    let posthog = patient(&server);
    capture_some(&posthog, 0..250);
    let report = posthog.shutdown().await;
    assert!(report.is_complete() && report.delivered == 250, "{report}");
    assert_eq!(server.event_count(), 250);
    capture_some(&posthog, 0..5);
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(
        (stats.captured, stats.dropped.by(DropReason::Shutdown)),
        (255, 5)
    );
}

#[tokio::test]
async fn events_that_come_after_the_shutdown_are_said_once() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    let posthog = capture_to(&server)
        .spawn_on(&tokio::runtime::Handle::current())
        .start()
        .unwrap();
    posthog.shutdown().await;
    assert_eq!(diagnostics.warnings(), [""; 0]);
    for n in 0..3 {
        posthog.capture(event(n));
    }
    let said = diagnostics.warnings();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("after the shutdown"), "{said:?}");
    assert_eq!(posthog.stats().dropped.by(DropReason::Shutdown), 3);
}

/// Captures what it hears.
struct Echo(CaptureHandle);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Echo {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        self.0.capture(Event::new("echo"));
    }
}

#[test]
fn what_is_said_of_late_events_is_not_captured() {
    let server = server();
    let posthog = capture_to(&server).start().unwrap();
    posthog.shutdown_blocking(LONG);
    let subscriber = tracing_subscriber::registry().with(Echo(posthog.clone()));
    tracing::subscriber::with_default(subscriber, || {
        posthog.capture(event(0));
        assert_eq!(posthog.stats().captured, 1);
        tracing::warn!("this is");
        assert_eq!(posthog.stats().captured, 2);
    });
}

#[tokio::test]
async fn what_a_layer_brings_during_the_shutdown_is_said_by_the_actor() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    server.answer_next(Answer::accept().delay(ms(200)));
    let posthog = capture_to(&server)
        .spawn_on(&tokio::runtime::Handle::current())
        .start()
        .unwrap();
    posthog.capture(event(0));
    let layer = PostHogLayer::new(posthog.clone());
    let late = async {
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..3 {
                tracing::info!(posthog.event = "late");
            }
        });
        // A layer's callback is no place to say anything.
        assert_eq!(diagnostics.warnings(), [""; 0]);
    };
    let (report, ()) = tokio::join!(posthog.shutdown(), late);
    assert_eq!(report.delivered, 1);
    assert_eq!(diagnostics.warnings().len(), 1);
    posthog.capture(event(1));
    assert_eq!(diagnostics.warnings().len(), 1);
    assert_eq!(posthog.stats().dropped.by(DropReason::Shutdown), 4);
}

#[tokio::test]
async fn many_shutdowns_do_the_same_as_one() {
    let server = server();
    let held = Held::by(&server);
    let posthog = patient(&server);
    posthog.capture(event(0));
    // Both have asked before the answer comes.
    let answer = async { drop(held) };
    let (a, b, ()) = tokio::join!(posthog.shutdown(), posthog.shutdown(), answer);
    assert_eq!((a.delivered, b.delivered), (1, 1));
    assert_eq!(posthog.shutdown().await, Default::default());
    drop(kept(posthog.clone()));
    drop(kept(posthog));
    assert_eq!(server.event_count(), 1);
}

#[test]
fn a_shutdown_ends_in_its_time_although_nobody_answers() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let posthog = patient(&server);
    capture_some(&posthog, 0..1000);
    let start = Instant::now();
    let report = posthog.shutdown_blocking(ms(200));
    let took = start.elapsed();
    assert!(took >= ms(200) && took < SLOW, "{took:?}");
    assert_eq!(report.dropped + report.pending, 1000, "{report}");
    let stats = wait_for_end(&posthog);
    assert_eq!(stats.dropped.by(DropReason::Shutdown), 1000);
}

#[tokio::test]
async fn a_shutdown_during_a_backoff_tries_once_more_at_once() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    server.answer_next(Answer::status(503).header("retry-after", "3600"));
    let client = client_of(&server).retry(RetryPolicy::default().max_delay(LONG * 100));
    let posthog = capture_with(client)
        .spawn_on(&tokio::runtime::Handle::current())
        .start()
        .unwrap();
    posthog.capture(event(0));
    until("a backoff", || {
        !diagnostics.with(&["will retry"]).is_empty()
    })
    .await;
    let start = Instant::now();
    assert_eq!(posthog.shutdown().await.delivered, 1);
    assert!(start.elapsed() < LONG / 2);
    assert_eq!(server.request_count(), 2);
}

#[test]
fn a_shutdown_tries_batches_that_were_kept_once_more_at_once() {
    let server = server();
    server.answer_next(Answer::status(503));
    let client = client_of(&server).retry(quick().attempts(1));
    let posthog = capture_with(client).start().unwrap();
    posthog.capture(event(0));
    wait_until("kept", || posthog.stats().batches_kept == 1);
    assert_eq!(posthog.shutdown_blocking(LONG).delivered, 1);
}

#[test]
fn a_shutdown_does_not_hammer_a_posthog_that_refuses() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(503)));
    let client = client_of(&server).retry(quick().attempts(1));
    let posthog = capture_with(client).start().unwrap();
    posthog.capture(event(0));
    posthog.shutdown_blocking(ms(500));
    assert_eq!(wait_for_end(&posthog).dropped.total(), 1);
    assert!(server.request_count() <= 3, "{}", server.request_count());
}

#[test]
fn a_dropped_guard_delivers_with_no_runtime_at_all() {
    let server = server();
    let guard = kept(patient(&server));
    guard.handle().capture(event(0));
    drop(guard);
    assert_eq!(server.event_count(), 1);
}

#[tokio::test]
async fn a_dropped_guard_delivers_in_a_current_thread_runtime() {
    let server = server();
    let guard = kept(patient(&server));
    guard.handle().capture(event(0));
    drop(guard);
    assert_eq!(server.event_count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_guard_delivers_in_a_multi_thread_runtime_and_in_spawn_blocking() {
    let server = server();
    let guard = kept(patient(&server));
    guard.handle().capture(event(0));
    drop(guard);
    assert_eq!(server.event_count(), 1);
    let guard = kept(patient(&server));
    guard.handle().capture(event(1));
    tokio::task::spawn_blocking(move || drop(guard))
        .await
        .unwrap();
    assert_eq!(server.event_count(), 2);
}

#[test]
fn a_dropped_guard_delivers_after_the_runtime_is_gone() {
    let server = server();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let guard = runtime.block_on(async { kept(patient(&server)) });
    drop(runtime);
    guard.handle().capture(event(0));
    drop(guard);
    assert_eq!(server.event_count(), 1);
}

#[test]
fn a_dropped_guard_is_bounded_in_time() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let started = capture_to(&server).shutdown_timeout(ms(200)).start();
    let guard = kept(started.unwrap());
    let posthog = guard.handle().clone();
    posthog.capture(event(0));
    let start = Instant::now();
    drop(guard);
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
    let stats = wait_for_end(&posthog);
    assert_eq!(stats.dropped.by(DropReason::Shutdown), 1);
}

#[test]
fn a_runtime_dropped_while_its_actor_sends_costs_events_that_are_counted() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let posthog = capture_to(&server)
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    capture_some(&posthog, 0..30);
    assert!(server.wait_for_requests(1, LONG));
    drop(runtime);
    posthog.capture(event(30));
    let start = Instant::now();
    posthog.flush_blocking(LONG);
    posthog.shutdown_blocking(LONG);
    assert!(start.elapsed() < LONG / 2, "nobody is left to wait for");
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(
        (stats.captured, stats.dropped.by(DropReason::Shutdown)),
        (31, 31)
    );
}

/// Not a word of a shutdown, which nobody asked for.
#[test]
fn a_runtime_that_goes_away_under_its_actor_is_told_loudly() {
    let (seen, _listening) = Diagnostics::listen();
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let lost = Arc::<AtomicU64>::default();
    let heard = lost.clone();
    let posthog = capture_to(&server)
        .on_error(move |failure| {
            heard.fetch_add(failure.events, Relaxed);
        })
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    capture_some(&posthog, 0..30);
    runtime.block_on(until("a request", || server.request_count() > 0));
    drop(runtime);
    let said = seen.with(&[
        "ERROR tracing_posthog::capture",
        "no event is delivered any more",
    ]);
    assert_eq!(said.len(), 1, "{:?}", seen.lines());
    let said = seen.with(&["WARN tracing_posthog::capture", "events=30"]);
    assert_eq!(said.len(), 1, "{:?}", seen.lines());
    assert_eq!(lost.load(Relaxed), 30);
    assert_settled(&posthog.stats());
}

#[test]
fn a_runtime_without_timers_is_an_error() {
    let server = server();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let started = capture_to(&server).spawn_on(runtime.handle()).start();
    let error = started.map(drop).unwrap_err().to_string();
    assert!(error.contains("enable_time"), "{error}");
}

#[test]
fn an_actor_without_handles_delivers_and_ends() {
    let server = server();
    server.answer_next(Answer::accept().delay(ms(50)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let posthog = patient(&server);
    posthog.capture(event(0));
    drop(posthog);
    assert!(server.wait_for_events(1, LONG));

    let on_runtime = capture_to(&server)
        .flush_interval(Duration::from_secs(3600))
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    capture_some(&on_runtime, 1..300);
    drop(on_runtime);
    runtime.block_on(until("the actor's end", || {
        runtime.metrics().num_alive_tasks() == 0 && server.event_count() == 300
    }));
}

#[test]
fn an_actor_without_handles_does_not_spin_while_it_waits_for_an_answer() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let posthog = capture_to(&server)
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    posthog.capture(event(0));
    drop(posthog);
    runtime.block_on(until("a request", || server.request_count() == 1));
    let busy = busy_time(&runtime, ms(300));
    assert!(busy < ms(100), "busy for {busy:?} of 300 ms");
}

#[test]
fn opted_out_nothing_is_captured_and_what_was_before_is_delivered() {
    let server = server();
    let posthog = patient(&server);
    posthog.capture(event(0));
    posthog.opt_out();
    posthog.capture(event(1));
    assert!(!posthog.is_enabled() && posthog.stats().disabled);
    assert_eq!(posthog.flush_blocking(LONG).delivered, 1);
    posthog.opt_in();
    posthog.capture(event(2));
    posthog.shutdown_blocking(LONG);
    assert_eq!(names(&server.events()), ["e0", "e2"]);
    assert_eq!(posthog.stats().captured, 2);
}

#[tokio::test]
async fn a_disabled_handle_does_nothing_and_returns_at_once() {
    let server = server();
    let disabled = capture_to(&server).disabled(true).start().unwrap();
    for posthog in [disabled, CaptureHandle::disabled()] {
        posthog.capture(event(0));
        assert_eq!(posthog.flush().await, Default::default());
        assert_eq!(posthog.flush_blocking(LONG), Default::default());
        assert_eq!(posthog.shutdown().await, Default::default());
        let stats = posthog.stats();
        assert!(stats.disabled && stats.captured == 0 && stats.circuit.is_none());
        assert!(!PostHogLayer::new(posthog.clone()).is_enabled());
        drop(kept(posthog));
    }
    assert_eq!(server.request_count(), 0);
}

#[test]
fn captures_during_a_shutdown_are_delivered_or_counted() {
    let server = server();
    let posthog = capture_to(&server).start().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let posthog = posthog.clone();
            scope.spawn(move || {
                while posthog.stats().dropped.by(DropReason::Shutdown) == 0 {
                    posthog.capture(event(0));
                }
            });
        }
        wait_until("events", || posthog.stats().delivered > 0);
        posthog.shutdown_blocking(LONG);
    });
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(
        stats.captured,
        stats.delivered
            + stats.dropped.by(DropReason::Shutdown)
            + stats.dropped.by(DropReason::QueueFull)
    );
    assert_eq!(server.event_count() as u64, stats.delivered);
}

#[test]
fn a_flush_whose_actor_went_away_is_not_complete() {
    let server = server();
    server.answer_with(|_| Some(Answer::accept().delay(ms(5000))));
    for flush in [true, false] {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        // Only what is asked for below sends them: once they are under way, it was asked.
        let posthog = capture_to(&server)
            .flush_interval(LONG)
            .spawn_on(runtime.handle())
            .start()
            .unwrap();
        for n in 0..10 {
            posthog.capture(Event::new(format!("e{n}")).distinct_id("user_1"));
        }
        let asking = posthog.clone();
        let thread = std::thread::spawn(move || {
            if flush {
                asking.flush_blocking(LONG)
            } else {
                asking.shutdown_blocking(LONG)
            }
        });
        wait_until("in flight", || posthog.stats().in_flight == 10);
        drop(runtime);
        let report = thread.join().unwrap();
        assert!(
            !report.is_complete(),
            "flush {flush}: {report}; {}",
            posthog.stats()
        );
    }
}
