//! A thousand processes after an outage: the real actors, attempts, pauses and breakers, in virtual time.
//!
//! `cargo test --lib thundering_herd -- --nocapture` prints the figures.

use crate::backend::EventCaptureBackend;
use crate::capture::CaptureHandle;
use crate::client::PostHogClient;
use crate::event::Event;
use crate::http::fake::{FakeAnswer, FakeNetwork};
use crate::http::retry::JITTERS;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until};

const PROCESSES: u16 = 1_000;
/// Within this time all have to be back: the breaker's cool-down and its jitter, and what one more failed
/// call takes.
const RETURN: Duration = Duration::from_secs(90);

/// How many came within each 100 ms after the return.
struct Arrivals {
    /// Each process once, when it first came.
    processes: BTreeMap<u128, u32>,
    requests: BTreeMap<u128, u32>,
}

impl Arrivals {
    fn last(&self) -> u128 {
        self.processes.keys().copied().max().unwrap_or_default()
    }
}

fn peak(histogram: &BTreeMap<u128, u32>) -> u32 {
    histogram.values().copied().max().unwrap_or_default()
}

/// All capture so many events in the same instant, and nothing after that: what comes is what was kept, by
/// its own schedule.
async fn come_back(events: u32, outage: Duration, jitter: bool) -> Arrivals {
    let back_at = Instant::now() + outage;
    JITTERS.set(jitter);
    let came: Arc<Mutex<Vec<(u16, Instant)>>> = Arc::default();
    let fleet: Vec<CaptureHandle> = (0..PROCESSES)
        .map(|n| process(n, back_at, came.clone()))
        .collect();
    for posthog in &fleet {
        for _ in 0..events {
            posthog.capture(Event::new("tick").distinct_id("user_1"));
        }
    }
    sleep_until(back_at + RETURN).await;
    let mut seen = HashSet::new();
    let mut arrivals = Arrivals {
        processes: BTreeMap::new(),
        requests: BTreeMap::new(),
    };
    JITTERS.set(true);
    for (process, at) in came.lock().unwrap().drain(..) {
        let bucket = (at - back_at).as_millis() / 100;
        *arrivals.requests.entry(bucket).or_default() += 1;
        if seen.insert(process) {
            *arrivals.processes.entry(bucket).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), usize::from(PROCESSES), "all are back");
    for posthog in &fleet {
        assert_eq!(posthog.stats().delivered, u64::from(events));
    }
    arrivals
}

/// A process whose requests are refused until then.
fn process(n: u16, back_at: Instant, came: Arc<Mutex<Vec<(u16, Instant)>>>) -> CaptureHandle {
    let mut client = PostHogClient::builder()
        .project_api_key("phc_fleet")
        .host(format!("http://127.0.0.1:{}", 10_000 + n));
    client.fake = Some(FakeNetwork::new(move |_, _, _| {
        let now = Instant::now();
        if now < back_at {
            return FakeAnswer::NoConnection;
        }
        came.lock().unwrap().push((n, now));
        FakeAnswer::ok()
    }));
    EventCaptureBackend::builder(client.build().unwrap())
        .batch_events(1)
        .spawn_on(&Handle::current())
        .start()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_fleet_does_not_return_in_step() {
    // Each event is a batch: one, which waits longer after each failure, or enough to open the breakers.
    for events in [1, 5] {
        for outage in [10, 120] {
            let outage = Duration::from_secs(outage);
            let with = come_back(events, outage, true).await;
            let without = come_back(events, outage, false).await;
            // Were they spread evenly over the time that it takes them with jitter.
            let mean = f64::from(PROCESSES) / (with.last() + 1) as f64;
            let line = format!(
                "{events} events each, away for {outage:?}: back within {:.1} s, {mean:.1} processes in \
                 100 ms on the average; peak with jitter {} ({:.1} times that; {} requests), without {} \
                 ({:.0} times; {} requests)",
                with.last() as f64 / 10.0,
                peak(&with.processes),
                f64::from(peak(&with.processes)) / mean,
                peak(&with.requests),
                peak(&without.processes),
                f64::from(peak(&without.processes)) / mean,
                peak(&without.requests),
            );
            use std::io::Write as _;
            writeln!(std::io::stderr(), "{line}").unwrap();
            // Random, and some are between two attempts when it is back: a third of this is reached.
            assert!(peak(&with.processes) < u32::from(PROCESSES) / 5, "{line}");
            assert!(
                peak(&without.processes) >= u32::from(PROCESSES) * 9 / 10,
                "{line}"
            );
        }
    }
}
