//! Some minutes of steady capture while PostHog fails at random: memory stays flat, and nothing is lost or
//! taken for another.
//!
//! `SOAK_SECONDS=300 cargo test --test process soak -- --ignored --nocapture`; 120 s by default.
#![allow(clippy::print_stdout)]

use crate::own_process::own_process;
use crate::support::spooling::Directory;
use crate::support::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tracing_posthog::testing::{Answer, RecordedRequest, Recording};
use tracing_posthog::{CaptureHandle, CircuitBreaker, DropReason, Event, QueuePolicy, SpoolMode};

const EVENTS_PER_SECOND: u64 = 5_000;
/// How much larger than after its first third the process may be at any later time.
const GROWTH_KB: u64 = 8 << 10;

/// What was acknowledged, by the number of each event: one bit each, so that the test itself stays small.
#[derive(Default)]
struct Arrivals {
    requests: AtomicU64,
    faults: AtomicU64,
    acknowledged: Mutex<Numbers>,
    /// Taken where the client was told otherwise, or nothing.
    in_doubt: Mutex<Numbers>,
    twice: AtomicU64,
}

/// A set of numbers.
#[derive(Default)]
struct Numbers(Vec<u64>);

impl Numbers {
    /// Reserved at once: growth is what is looked for.
    fn up_to(n: u64) -> Self {
        Self(vec![0; (n / 64 + 1) as usize])
    }

    /// Whether it was new.
    fn insert(&mut self, n: u64) -> bool {
        let (word, bit) = (&mut self.0[(n / 64) as usize], 1 << (n % 64));
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }
}

/// The numbers and uuids of the events in a body, read by their place.
fn events(body: &[u8]) -> impl Iterator<Item = (u64, u128)> {
    let body = std::str::from_utf8(body).unwrap();
    body.split("{\"uuid\":\"").skip(1).map(|event| {
        let uuid = event[..36].parse::<uuid::Uuid>().unwrap().as_u128();
        let n = event.split("\"n\":").nth(1).unwrap();
        let digits = n.bytes().take_while(u8::is_ascii_digit).count();
        (n[..digits].parse().unwrap(), uuid)
    })
}

impl Arrivals {
    fn answer(&self, request: &RecordedRequest, uuids: &Mutex<HashMap<u64, u128>>) -> Answer {
        let n = self.requests.fetch_add(1, Relaxed);
        let n = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        for (number, uuid) in events(&request.body) {
            // One in a thousand is looked at for its identity.
            if number % 1_000 == 0 {
                let first = *uuids.lock().unwrap().entry(number).or_insert(uuid);
                assert_eq!(first, uuid, "event {number} became another");
            }
        }
        let (taken, answer) = match n % 30 {
            0 | 1 => (false, Answer::status(503)),
            2 => (false, Answer::status(429).header("retry-after", "1")),
            3 => (false, Answer::reset()),
            4 => (false, Answer::close()),
            5 => (true, Answer::half()),
            6 => (true, Answer::reset()),
            7 => (true, Answer::status(500)),
            8 => (false, Answer::stall()),
            9 if events(&request.body).count() > 1 => (false, Answer::status(413)),
            kind => {
                let mut acknowledged = self.acknowledged.lock().unwrap();
                for (number, _) in events(&request.body) {
                    if !acknowledged.insert(number) {
                        self.twice.fetch_add(1, Relaxed);
                    }
                }
                let delay = if kind < 12 { ms(20) } else { Duration::ZERO };
                return Answer::status(200).delay(delay);
            }
        };
        self.faults.fetch_add(1, Relaxed);
        if taken {
            let mut in_doubt = self.in_doubt.lock().unwrap();
            for (number, _) in events(&request.body) {
                in_doubt.insert(number);
            }
        }
        answer
    }
}

fn resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Captures at a steady rate, and looks at the ledger and at the process every second.
fn capture_for(posthog: &CaptureHandle, time: Duration) -> (u64, Vec<u64>) {
    let start = Instant::now();
    let (mut captured, mut sizes) = (0, Vec::new());
    while start.elapsed() < time {
        let due = start.elapsed().as_millis() as u64 * EVENTS_PER_SECOND / 1_000;
        while captured < due {
            let event = Event::new("tick").distinct_id("user_1");
            let event = event.property("n", captured).property("plan", "pro");
            posthog.capture(event.property("note", "some text of no importance"));
            captured += 1;
        }
        if start.elapsed().as_secs() >= sizes.len() as u64 {
            let stats = posthog.stats();
            assert_conserved(&stats);
            assert_eq!(stats.captured, captured, "{stats:?}");
            sizes.extend(resident_kb());
            if sizes.len() % 30 == 1 {
                println!(
                    "{:>4} s: {} KiB, {stats:?}",
                    sizes.len(),
                    sizes[sizes.len() - 1]
                );
            }
        }
        // The pace of the load, not a wait for anything.
        std::thread::sleep(ms(2));
    }
    (captured, sizes)
}

#[test]
#[ignore = "takes minutes"]
fn memory_stays_flat_and_nothing_is_lost() {
    own_process!();
    let seconds = std::env::var("SOAK_SECONDS").map_or(120, |s| s.parse().unwrap());
    for mode in [None, Some(SpoolMode::WriteAhead)] {
        soak(Duration::from_secs(seconds) / 2, mode);
    }
}

fn soak(time: Duration, mode: Option<SpoolMode>) {
    let (server, directory) = (server(), Directory::new());
    server.record(Recording::CountsOnly);
    let most = (time.as_secs() + 1) * EVENTS_PER_SECOND;
    let arrivals = Arc::new(Arrivals {
        acknowledged: Mutex::new(Numbers::up_to(most)),
        in_doubt: Mutex::new(Numbers::up_to(most)),
        ..Arrivals::default()
    });
    let answering = arrivals.clone();
    let uuids = Mutex::new(HashMap::with_capacity(most as usize / 1_000 + 1));
    server.answer_with(move |request| Some(answering.answer(request, &uuids)));
    let client = client_of(&server)
        .retry(quick().attempts(3))
        .attempt_timeout(ms(500))
        .circuit_breaker(CircuitBreaker::default().cool_down(ms(50)));
    let builder = capture_with(client)
        .queue_policy(QueuePolicy::Block { timeout: LONG })
        .requests_in_flight(8)
        .flush_interval(ms(100));
    let posthog = match mode {
        Some(mode) => builder.spool(directory.spool().mode(mode)),
        None => builder,
    };
    let posthog = posthog.start().unwrap();

    let (captured, sizes) = capture_for(&posthog, time);
    wait_until("everything is settled", || {
        posthog.flush_blocking(LONG);
        let stats = posthog.stats();
        stats.queued + stats.in_flight + stats.spooled == 0
    });
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(stats.captured, captured);
    // A 413 for one alone would drop it, and there is none.
    assert_eq!(
        stats.dropped.total(),
        stats.dropped.by(DropReason::TooLarge)
    );
    assert_eq!(stats.delivered, captured);
    assert_eq!(arrivals.acknowledged.lock().unwrap().len(), captured);
    // Where a good answer came too late it is sent again: rare, and PostHog knows it by its uuid.
    let twice = arrivals.twice.load(Relaxed);
    assert!(twice * 1_000 <= captured, "{twice} acknowledged twice");
    println!(
        "{mode:?}: {captured} events in {} requests, {} of them faults; {} events taken in doubt first, \
         {twice} acknowledged twice",
        arrivals.requests.load(Relaxed),
        arrivals.faults.load(Relaxed),
        arrivals.in_doubt.lock().unwrap().len(),
    );
    if let Some((warm, later)) = sizes.split_at_checked(sizes.len() / 3)
        && let (Some(warm), Some(most)) = (warm.iter().max(), later.iter().max())
    {
        println!("at most {warm} KiB in the first third, {most} KiB after it");
        assert!(*most <= warm + GROWTH_KB, "{sizes:?}");
    }
}
