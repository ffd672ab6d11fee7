//! A dropped guard that cannot deliver at once logs what it waits for and what was lost, or that waiting is useless.
//! Each test runs in its own process, because it records the log of the whole process.

use crate::hostile::{ProcessLog, holds};
use crate::own_process::own_process;
use crate::support::*;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tracing_posthog::testing::Answer;
use tracing_posthog::{CaptureHandle, Event, EventCaptureBackend};

/// An address where nothing listens. The returned socket keeps the port reserved.
fn nobody() -> (String, tokio::net::TcpSocket) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let holder = tokio::net::TcpSocket::new_v4().unwrap();
    holder.set_reuseaddr(true).unwrap();
    holder.bind(addr).unwrap();
    (format!("http://{addr}"), holder)
}

/// Drops a guard with 17 undeliverable events. Returns the warnings of the first seconds, and all warnings.
fn says_at_the_end(log: &ProcessLog, posthog: CaptureHandle) -> (Vec<String>, Vec<String>) {
    for n in 0..17 {
        posthog.capture(Event::new(format!("e{n}")));
    }
    let guard = kept(posthog);
    let before = log.warnings().len();
    let ended = Arc::new(AtomicBool::new(false));
    let tell = ended.clone();
    let dropping = std::thread::spawn(move || {
        drop(guard);
        tell.store(true, SeqCst);
    });
    // Expected after about one second; two allow for a busy machine.
    log.wait_for_warning(&["17", "wait"], ms(2_000));
    let early = log.warnings().split_off(before);
    assert!(!ended.load(SeqCst), "the guard waits");
    dropping.join().unwrap();
    (early, log.warnings().split_off(before))
}

#[track_caller]
fn assert_says_what_it_waits_for_and_what_was_lost(early: &[String], all: &[String]) {
    let waits: Vec<_> = early.iter().filter(|w| holds(w, &["17", "wait"])).collect();
    assert_eq!(waits.len(), 1, "within a second {early:?}, in all {all:?}");
    // Either the whole timeout (4 s) or what is left of it.
    let how_long = ["4", "3"].iter().any(|seconds| holds(waits[0], &[seconds]));
    assert!(how_long, "for how long? {waits:?}");
    // One line while waiting, one line about the result.
    let again = all.iter().filter(|w| holds(w, &["17", "wait"])).count();
    assert_eq!(again, 1, "{all:?}");
    let lost = all
        .iter()
        .skip(early.len())
        .filter(|w| holds(w, &["17"]) && (holds(w, &["lost"]) || holds(w, &["dropped"])));
    assert_eq!(lost.count(), 1, "{all:?}");
}

#[test]
fn a_guard_dropped_with_posthog_down_says_what_it_waits_for_and_what_was_lost() {
    own_process!();
    let log = ProcessLog::start();
    let (url, _holder) = nobody();
    let client = client_at(url).retry(tracing_posthog::RetryPolicy::default());
    let posthog = EventCaptureBackend::builder(client.build().unwrap())
        .shutdown_timeout(Duration::from_secs(4))
        .start()
        .unwrap();
    let (early, all) = says_at_the_end(&log, posthog);
    assert_says_what_it_waits_for_and_what_was_lost(&early, &all);
}

#[test]
fn a_guard_dropped_with_a_posthog_that_hangs_says_what_it_waits_for_and_what_was_lost() {
    own_process!();
    let log = ProcessLog::start();
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let client = client_of(&server).build().unwrap();
    let posthog = EventCaptureBackend::builder(client)
        .shutdown_timeout(Duration::from_secs(4))
        .start()
        .unwrap();
    let (early, all) = says_at_the_end(&log, posthog);
    assert_says_what_it_waits_for_and_what_was_lost(&early, &all);
}

#[test]
fn a_guard_that_waits_for_nothing_says_nothing() {
    own_process!();
    let log = ProcessLog::start();
    let server = server();
    let posthog = capture_to(&server).start().unwrap();
    posthog.capture(Event::new("e"));
    drop(kept(posthog));
    assert_eq!(server.event_count(), 1);
    assert_eq!(log.warnings(), Vec::<String>::new());
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Captures three events and measures how long dropping the guard takes.
fn time_to_drop(posthog: CaptureHandle) -> Duration {
    for n in 0..3 {
        posthog.capture(Event::new(format!("e{n}")));
    }
    let guard = kept(posthog);
    let start = Instant::now();
    drop(guard);
    start.elapsed()
}

/// A guard whose actor cannot run must return within this time.
const AT_ONCE: Duration = Duration::from_secs(1);

#[track_caller]
fn assert_said_at_once(log: &ProcessLog, time: Duration) {
    assert!(time < AT_ONCE, "the drop took {time:?}");
    let warnings = log.warnings();
    let said: Vec<_> = warnings
        .iter()
        .filter(|w| holds(w, &["not driven"]))
        .collect();
    assert_eq!(said.len(), 1, "{warnings:?}");
}

#[test]
fn a_guard_dropped_in_the_runtime_that_its_actor_needs_says_so_and_does_not_wait() {
    own_process!();
    let log = ProcessLog::start();
    let server = server();
    let client = client_of(&server).build().unwrap();
    let time = current_thread().block_on(async {
        let here = tokio::runtime::Handle::current();
        let posthog = EventCaptureBackend::builder(client).spawn_on(&here).start();
        time_to_drop(posthog.unwrap())
    });
    assert_said_at_once(&log, time);
    // With that runtime the actor ended, and what was lost is said too.
    let warnings = log.warnings();
    let lost = warnings
        .iter()
        .filter(|w| holds(w, &["runtime", "ended", "dropped", "events=3"]));
    assert_eq!(lost.count(), 1, "{warnings:?}");
}

#[test]
fn a_guard_dropped_after_the_runtime_that_its_actor_needs_was_left_says_so_and_does_not_wait() {
    own_process!();
    let log = ProcessLog::start();
    let server = server();
    let client = client_of(&server).build().unwrap();
    let runtime = current_thread();
    let posthog = EventCaptureBackend::builder(client)
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    // The actor has run once and is idle.
    runtime.block_on(posthog.flush());
    let time = time_to_drop(posthog);
    assert_said_at_once(&log, time);
}

#[test]
fn a_guard_dropped_by_the_only_worker_of_its_actors_runtime_delivers_or_says_so_and_does_not_wait()
{
    own_process!();
    let log = ProcessLog::start();
    let server = server();
    let client = client_of(&server).build().unwrap();
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build().unwrap();
    let posthog = EventCaptureBackend::builder(client)
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    let dropping = runtime.spawn(async move { time_to_drop(posthog) });
    let time = runtime.block_on(dropping).unwrap();
    if server.event_count() == 3 {
        assert!(time < AT_ONCE, "the drop took {time:?}");
    } else {
        assert_said_at_once(&log, time);
    }
}

#[test]
fn a_guard_dropped_on_another_thread_than_its_actors_runtime_delivers_and_says_nothing() {
    own_process!();
    let log = ProcessLog::start();
    let server = server();
    let client = client_of(&server).build().unwrap();
    current_thread().block_on(async {
        let here = tokio::runtime::Handle::current();
        let posthog = EventCaptureBackend::builder(client).spawn_on(&here).start();
        let dropping = std::thread::spawn(move || time_to_drop(posthog.unwrap()));
        // This drives the actor meanwhile.
        until("the end of the drop", || dropping.is_finished()).await;
    });
    assert_eq!(server.event_count(), 3);
    let mut said = log.said();
    said.retain(|line| !line.contains("capturing to"));
    assert_eq!(said, Vec::<String>::new());
}
