//! With the feature `metrics` the ledger is published through the facade of that crate.

use crate::own_process::own_process;
use crate::support::spooling::Directory;
use crate::support::*;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use std::collections::BTreeMap;
use tracing_posthog::testing::Answer;
use tracing_posthog::{CaptureHandle, Event};

/// The sums of all that was published so far: a snapshot starts from zero again.
#[derive(Default)]
struct Published {
    counters: BTreeMap<String, u64>,
    gauges: BTreeMap<String, f64>,
}

impl Published {
    fn read(&mut self, recorder: &Snapshotter) {
        for (key, _, _, value) in recorder.snapshot().into_vec() {
            let labels: String = key
                .key()
                .labels()
                .map(|l| format!("{{{}={}}}", l.key(), l.value()))
                .collect();
            let name = format!("{}{labels}", key.key().name());
            match value {
                DebugValue::Counter(n) => *self.counters.entry(name).or_default() += n,
                DebugValue::Gauge(n) => *self.gauges.entry(name).or_default() += n.into_inner(),
                DebugValue::Histogram(_) => panic!("{name} is a histogram"),
            }
        }
    }

    fn counter(&self, name: &str) -> u64 {
        self.counters.get(name).copied().unwrap_or_default()
    }
}

fn capture(posthog: &CaptureHandle, events: u64) {
    for n in 0..events {
        posthog.capture(Event::new("tick").distinct_id("user_1").property("n", n));
    }
}

#[test]
fn two_actors_add_up_to_their_ledgers() {
    own_process!();
    let left_behind = Directory::new();
    leave_behind(&left_behind, 7);
    let recorder = DebuggingRecorder::new();
    let published = recorder.snapshotter();
    recorder.install().unwrap();
    let mut seen = Published::default();

    let (fine, refusing) = (server(), server());
    refusing.answer_with(|_| Some(Answer::status(400)));
    let first = capture_to(&fine).start().unwrap();
    let second = capture_to(&refusing).start().unwrap();
    capture(&first, 30);
    capture(&second, 12);
    // Asleep, an actor has published what happened.
    wait_until("both ledgers are published", || {
        seen.read(&published);
        seen.counter("posthog_events_delivered_total") == 30
            && seen.counter("posthog_events_dropped_total{reason=rejected}") == 12
    });
    assert_eq!(seen.counter("posthog_events_captured_total"), 42);
    assert_eq!(seen.gauges["posthog_events_queued"], 0.0);
    assert_eq!(seen.gauges["posthog_events_in_flight"], 0.0);

    // Waiting events are shown while they wait, and are gone when they are.
    fine.answer_next(Answer::stall());
    capture(&first, 5);
    wait_until("a request is shown under way", || {
        seen.read(&published);
        seen.gauges["posthog_events_in_flight"] == 5.0
    });
    first.shutdown_blocking(ms(50));
    second.shutdown_blocking(LONG);
    wait_until("the end is published", || {
        seen.read(&published);
        seen.gauges["posthog_events_in_flight"] == 0.0
    });
    assert_eq!(seen.counter("posthog_events_captured_total"), 47);
    let stats = [first.stats(), second.stats()];
    let batches = stats.iter().map(|s| s.batches).sum::<u64>();
    assert_eq!(seen.counter("posthog_batches_sent_total"), batches);
    assert_eq!(
        seen.counter("posthog_events_dropped_total{reason=shutdown}"),
        5
    );

    without_its_runtime(&published, &mut seen);
    spooled_and_recovered(&published, &mut seen, &left_behind);
}

/// Nothing is shown under way in an actor that is gone, however it went.
fn without_its_runtime(published: &Snapshotter, seen: &mut Published) {
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
    capture(&posthog, 3);
    wait_until("a request is shown under way", || {
        seen.read(published);
        seen.gauges["posthog_events_in_flight"] == 3.0
    });
    drop(runtime);
    seen.read(published);
    assert_eq!(seen.gauges["posthog_events_in_flight"], 0.0);
    let dropped = seen.counter("posthog_events_dropped_total{reason=shutdown}");
    assert_eq!(dropped, 8);
}

/// A process that ended with so many events on disk, which go to the port that PostHog will have.
fn leave_behind(directory: &Directory, events: u64) {
    let posthog = down(directory).start().unwrap();
    capture(&posthog, events);
    wait_until("on disk", || posthog.stats().spooled == events);
    posthog.shutdown_blocking(LONG);
}

/// Sends to where nobody listens.
fn down(directory: &Directory) -> tracing_posthog::CaptureBuilder {
    let client = client_at("http://127.0.0.1:9").retry(quick().attempts(1));
    capture_with(client).spool(directory.spool())
}

fn spooled_and_recovered(published: &Snapshotter, seen: &mut Published, left: &Directory) {
    let recovering = down(left).start().unwrap();
    wait_until("what was left behind is shown", || {
        seen.read(published);
        seen.counter("posthog_events_recovered_total") == 7
            && seen.gauges["posthog_events_spooled"] == 7.0
    });
    capture(&recovering, 4);
    wait_until("what goes to disk is shown", || {
        seen.read(published);
        seen.gauges["posthog_events_spooled"] == 11.0
    });
    assert_eq!(seen.counter("posthog_events_recovered_total"), 7);

    // Comes from disk, and leaves the gauge where it is delivered.
    let (server, own) = (server(), Directory::new());
    server.answer_with(|_| Some(Answer::status(503)));
    let client = client_of(&server).retry(quick().attempts(1));
    let posthog = capture_with(client).spool(own.spool()).start().unwrap();
    capture(&posthog, 5);
    wait_until("both are shown", || {
        seen.read(published);
        seen.gauges["posthog_events_spooled"] == 16.0
    });
    server.answer_with(|_| None);
    wait_until("it is delivered", || {
        posthog.flush_blocking(LONG);
        posthog.stats().delivered == 5
    });
    wait_until("the gauge falls", || {
        seen.read(published);
        seen.gauges["posthog_events_spooled"] == 11.0
    });
    assert_eq!(seen.gauges["posthog_events_queued"], 0.0);
}
