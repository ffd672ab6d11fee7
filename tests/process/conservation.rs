//! No event vanishes: `captured = delivered + dropped + queued + in_flight` (and `spooled`), in every snapshot, through
//! every fault.

use crate::own_process::own_process;
use crate::support::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest, Recording};
use tracing_posthog::{CaptureHandle, CircuitBreaker, DropReason, Event, QueuePolicy, Stats};

const EVENTS: u64 = 200_000;
const THREADS: u64 = 8;

/// The most memory the process may ever have used, what the test itself remembers of 200,000 uuids
/// included. It uses about half of that; the large events below alone would be twice as much.
const MEMORY_KB: u64 = 80 << 10;

/// What a server that fails one request in five has accepted.
#[derive(Default)]
struct Arrivals {
    requests: AtomicU64,
    /// How often each event came in a request that the client was told is fine, and in one that it was
    /// told had failed.
    by_uuid: Mutex<HashMap<u128, (u32, u32)>>,
}

impl Arrivals {
    fn note(&self, request: &RecordedRequest, told_so: bool) {
        let uuids = uuids(&request.body);
        let mut seen = self.by_uuid.lock().unwrap();
        for uuid in uuids {
            let (fine, failed) = seen.entry(uuid).or_default();
            *(if told_so { fine } else { failed }) += 1;
        }
    }

    fn answer(&self, request: &RecordedRequest) -> Answer {
        // Scattered, or a batch could meet every fault by coming back in step with them.
        let n = self.requests.fetch_add(1, Relaxed);
        let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        if n % 5 != 4 {
            self.note(request, true);
            // The server need not read all of it again.
            return Answer::status(200);
        }
        match n / 5 % 7 {
            0 => Answer::status(503),
            1 => Answer::status(429),
            2 => Answer::reset(),
            3 => Answer::close(),
            // From here on PostHog has the events, and the client does not know.
            kind => {
                self.note(request, false);
                match kind {
                    4 => Answer::half(),
                    5 => Answer::status(503),
                    _ => Answer::reset(),
                }
            }
        }
    }
}

/// The uuids in a body, read by their place: parsing all of it would take longer than the test may.
fn uuids(body: &[u8]) -> Vec<u128> {
    let body = std::str::from_utf8(body).unwrap();
    let mut rest = body.split("{\"uuid\":\"");
    rest.next();
    rest.map(|event| event[..36].parse::<uuid::Uuid>().unwrap().as_u128())
        .collect()
}

fn start(policy: QueuePolicy) -> (PostHogServer, Arc<Arrivals>, CaptureHandle) {
    let server = server();
    server.record(Recording::CountsOnly);
    let arrivals = Arc::new(Arrivals::default());
    let answering = arrivals.clone();
    server.answer_with(move |request| Some(answering.answer(request)));
    // So many attempts that none of some thousand batches runs out of them.
    let client = client_of(&server)
        .retry(quick().attempts(20))
        .circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client)
        .queue_policy(policy)
        .queue_events(5_000)
        .shutdown_timeout(Duration::from_secs(60))
        .start()
        .unwrap();
    (server, arrivals, posthog)
}

/// Captures all events on eight threads, which look at the ledger now and then, as another one does all
/// the time.
fn capture_all(posthog: &CaptureHandle) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut before = posthog.stats();
            while !done.load(Relaxed) {
                let stats = posthog.stats();
                assert_conserved(&stats);
                assert_never_back(&before, &stats);
                assert!(stats.queued + stats.in_flight <= 5_000, "{stats:?}");
                before = stats;
                std::thread::yield_now();
            }
        });
        let producers: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn(move || {
                    for n in 0..EVENTS / THREADS {
                        let event = Event::new("tick").distinct_id("user_1");
                        posthog.capture(event.property("thread", thread).property("n", n));
                        if n % 500 == 0 {
                            assert_conserved(&posthog.stats());
                        }
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().unwrap();
        }
        done.store(true, Relaxed);
        watcher.join().unwrap();
    })
}

#[track_caller]
fn assert_never_back(before: &Stats, after: &Stats) {
    let forward = after.captured >= before.captured
        && after.delivered >= before.delivered
        && after.dropped.total() >= before.dropped.total();
    assert!(forward, "{before:?}, then {after:?}");
}

#[track_caller]
fn assert_arrivals_match(arrivals: &Arrivals, stats: &Stats) {
    let seen = arrivals.by_uuid.lock().unwrap();
    let acknowledged = seen.values().filter(|(fine, _)| *fine > 0).count();
    assert_eq!(acknowledged as u64, stats.delivered);
    let repeated = seen.values().filter(|(fine, _)| *fine > 1).count();
    assert_eq!(repeated, 0, "acknowledged, and sent again");
    let repeated = seen
        .values()
        .filter(|(fine, failed)| fine + failed > 1)
        .count();
    assert!(repeated > 0, "the faults after accepting did happen");
}

fn peak_memory_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// One test: the peak of its memory is that of all variants together.
#[test]
fn every_event_arrives_once_or_is_counted_as_dropped() {
    own_process!();
    for policy in [
        QueuePolicy::Block { timeout: LONG },
        QueuePolicy::DropNewest,
    ] {
        let (server, arrivals, posthog) = start(policy);
        capture_all(&posthog);
        let report = posthog.shutdown_blocking(Duration::from_secs(60));
        assert_eq!((report.dropped, report.pending), (0, 0), "{report}");

        let stats = posthog.stats();
        assert_settled(&stats);
        assert_eq!(stats.captured, EVENTS);
        let known = [DropReason::QueueFull, DropReason::Exhausted].map(|r| stats.dropped.by(r));
        assert_eq!(stats.dropped.total(), known.iter().sum::<u64>());
        if matches!(policy, QueuePolicy::Block { .. }) {
            assert_eq!(stats.delivered, EVENTS);
        }
        assert_arrivals_match(&arrivals, &stats);
        drop(server);
    }
    let (server, _, posthog) = start(QueuePolicy::DropNewest);
    server.answer_with(|_| Some(Answer::stall()));
    let text = "x".repeat(800);
    for _ in 0..EVENTS {
        posthog.capture(Event::new("large").property("text", text.as_str()));
    }
    assert_eq!(posthog.stats().captured, EVENTS);
    posthog.shutdown_blocking(ms(10));
    wait_for_end(&posthog);
    if let Some(peak) = peak_memory_kb() {
        assert!(peak < MEMORY_KB, "{peak} KiB at the peak");
    }
}
