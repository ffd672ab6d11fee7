//! Steady capture while everything around it fails at random, all at once: PostHog, the network, the program's hooks,
//! clock, resolver, redirect policy and tracing layers, its runtimes, and those who flush. Every event is delivered or
//! counted, none becomes another, and neither memory nor threads grow.
//!
//! `cargo test` runs it for some seconds. `SOAK_SECONDS=300 cargo test --test process soak -- --nocapture` runs it for
//! longer, in more worlds; then memory is looked at too.
#![allow(clippy::print_stdout, unreachable_pub)]

mod callers;
mod posthog;
mod program;

use crate::own_process::own_process;
use crate::support::spooling::Directory;
use crate::support::*;
use callers::{Flushes, Rest};
use posthog::PostHog;
use program::Program;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tracing_posthog::{
    CaptureHandle, CaptureProtocol, CircuitBreaker, DropReason, Event, EventCaptureBackend,
    PostHogClient, QueuePolicy, SpoolMode, Stats,
};

const BATCH_EVENTS: u64 = 250;
const REQUESTS_IN_FLIGHT: usize = 8;
/// How much larger than after its first third the process may be at any later time.
const GROWTH_KB: u64 = 8 << 10;
/// What the process may use at any time: as much again as it used at its largest, when this was written.
const MEMORY_KB: u64 = 160 << 10;

/// Says yes one time in a number, at random and everywhere alike.
#[derive(Default)]
pub struct Dice(AtomicU64);

impl Dice {
    /// A number at random.
    pub fn roll(&self) -> u64 {
        // SplitMix64: what comes out is as scattered as the counter is regular.
        let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Relaxed);
        let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    pub fn one_in(&self, times: u64) -> bool {
        self.roll().is_multiple_of(times)
    }
}

/// One way to keep events and one way to send them.
#[derive(Debug, Clone, Copy)]
struct World {
    spool: Option<SpoolMode>,
    protocol: CaptureProtocol,
}

const SPOOLS: [Option<SpoolMode>; 3] = [
    None,
    Some(SpoolMode::OnFailure),
    Some(SpoolMode::WriteAhead),
];
const PROTOCOLS: [CaptureProtocol; 3] = [
    CaptureProtocol::V0,
    CaptureProtocol::V1,
    CaptureProtocol::Auto,
];

#[test]
fn everything_fails_at_once_and_every_event_is_accounted_for() {
    own_process!();
    let seconds = std::env::var("SOAK_SECONDS").map(|s| s.parse().unwrap());
    let program = Program::install();
    match seconds {
        // Each way once.
        Err(_) => {
            for (n, spool) in SPOOLS.into_iter().enumerate() {
                let protocol = PROTOCOLS[n];
                soak(World { spool, protocol }, ms(1_600), 1_000, &program);
            }
        }
        Ok(seconds) => {
            for spool in SPOOLS {
                for protocol in PROTOCOLS {
                    let time = Duration::from_secs(seconds) / 9;
                    soak(World { spool, protocol }, time, 5_000, &program);
                }
            }
        }
    }
    program.assert_no_other_panic();
}

/// What one process captured, and what became of it.
struct Life {
    captured: u64,
    stats: Stats,
}

fn soak(world: World, time: Duration, per_second: u64, program: &Arc<Program>) {
    let directory = Directory::new();
    let posthog = PostHog::start((time.as_secs() + 2) * per_second);
    let client = client_of(posthog.server())
        .host(posthog.url())
        .reqwest_client(program.http_client())
        .retry(quick().attempts(3))
        .attempt_timeout(ms(1_000))
        .circuit_breaker(CircuitBreaker::default().cool_down(ms(50)))
        .build()
        .unwrap();
    let rest = Rest::start(&client, program);
    let mut seen = Seen::default();

    // The first ends while all of it fails, without the time to deliver what it holds.
    let handle = start(world, &client, &directory, program);
    let captured = capture_for(time / 2, per_second, 0, &handle, program, &mut seen);
    posthog.lose_v1(world.protocol == CaptureProtocol::Auto);
    handle.shutdown_blocking(ms(50));
    let first = Life {
        captured,
        stats: wait_for_end(&handle),
    };
    drop(handle);
    wait_until("the first one's thread ends", || {
        Threads::now().capture == 0
    });

    // The second finds what the first left, and has the time.
    let handle = start(world, &client, &directory, program);
    let flushes = Flushes::start(&handle);
    let captured = capture_for(
        time / 2,
        per_second,
        first.captured,
        &handle,
        program,
        &mut seen,
    );
    let flushed = flushes.stop();
    // However much is left: as long as some of it is delivered now and then.
    let mut progress = (0, Instant::now());
    loop {
        handle.flush_blocking(LONG);
        let stats = handle.stats();
        assert_conserved(&stats);
        if stats.queued + stats.in_flight + stats.spooled == 0 {
            break;
        }
        if stats.delivered > progress.0 {
            progress = (stats.delivered, Instant::now());
        }
        assert!(progress.1.elapsed() < LONG, "stalled: {stats:?}");
    }
    assert!(handle.shutdown_blocking(LONG).is_complete());
    let second = Life {
        captured,
        stats: handle.stats(),
    };
    let calls = rest.stop();
    program.rest();
    println!(
        "{world:?}: {} events, {}; {calls} calls, {flushed} flushes, {} panics so far",
        first.captured + second.captured,
        posthog.summary(),
        program.panics(),
    );
    judge(world, &posthog, &first, &second, program);
    drop((client, handle));
    wait_until("the threads of the crate end", || {
        let threads = Threads::now();
        threads.capture + threads.io + threads.resolvers == 0
    });
    assert!(calls > 0 && flushed > 0 && posthog.faults() > 0);
    if time >= Duration::from_secs(10) {
        seen.assert_flat();
    }
}

fn start(
    world: World,
    client: &PostHogClient,
    directory: &Directory,
    program: &Arc<Program>,
) -> CaptureHandle {
    let builder = EventCaptureBackend::builder(client.clone())
        .protocol(world.protocol)
        .queue_policy(QueuePolicy::Block { timeout: LONG })
        .batch_events(BATCH_EVENTS as usize)
        .requests_in_flight(REQUESTS_IN_FLIGHT)
        .flush_interval(ms(100))
        .flush_timeout(LONG)
        .shutdown_timeout(LONG);
    let builder = match world.spool {
        Some(mode) => builder.spool(directory.spool().mode(mode)),
        None => builder,
    };
    let handle = program.disturb(builder).start().unwrap();
    program.meet(&handle);
    handle
}

/// The process, as it was seen once a second.
#[derive(Default)]
struct Seen {
    sizes: Vec<u64>,
}

impl Seen {
    /// Looks at the threads and the memory of this process.
    fn look(&mut self) {
        let threads = Threads::now();
        assert!(
            threads.capture <= 1 && threads.io <= 1 && threads.resolvers <= 4,
            "{threads:?}"
        );
        // The harness, this test, those who flush and call, and the one whose runtime starves.
        assert!(threads.others <= 6, "{threads:?}");
        if let Some(size) = resident_kb() {
            assert!(size <= MEMORY_KB, "{size} KiB");
            self.sizes.push(size);
        }
    }

    fn assert_flat(&self) {
        if let Some((warm, later)) = self.sizes.split_at_checked(self.sizes.len() / 3)
            && let (Some(warm), Some(most)) = (warm.iter().max(), later.iter().max())
        {
            println!("at most {warm} KiB in the first third, {most} KiB after it");
            assert!(*most <= warm + GROWTH_KB, "{:?}", self.sizes);
        }
    }
}

/// How many threads this process has, by what they are for; none where the system does not tell.
#[derive(Debug, Default)]
struct Threads {
    capture: usize,
    io: usize,
    resolvers: usize,
    others: usize,
}

impl Threads {
    fn now() -> Self {
        let mut threads = Self::default();
        let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
        for task in tasks.flatten() {
            // One that ends meanwhile has none.
            let Ok(name) = std::fs::read_to_string(task.path().join("comm")) else {
                continue;
            };
            match name.trim() {
                "posthog-capture" => threads.capture += 1,
                "posthog-io" => threads.io += 1,
                name if name.starts_with("posthog-resolv") => threads.resolvers += 1,
                // One per connection.
                name if name.starts_with("posthog-server") => {}
                _ => threads.others += 1,
            }
        }
        threads
    }
}

fn resident_kb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Captures at a steady rate, numbered from `first` on, and looks at the ledger and at the process every second.
fn capture_for(
    time: Duration,
    per_second: u64,
    first: u64,
    handle: &CaptureHandle,
    program: &Program,
    seen: &mut Seen,
) -> u64 {
    let start = Instant::now();
    let (mut captured, mut looks) = (0, 0);
    while start.elapsed() < time {
        let due = start.elapsed().as_millis() as u64 * per_second / 1_000;
        while captured < due && start.elapsed() < time {
            if program.dice.one_in(500) {
                handle.opt_out();
                handle.capture(Event::new("nobody wants this").property("n", u32::MAX));
                handle.opt_in();
            }
            let event = Event::new("tick").distinct_id("user_1");
            let event = event.property("n", first + captured);
            handle.capture(event.property("note", "some text of no importance"));
            captured += 1;
        }
        let stats = handle.stats();
        assert_conserved(&stats);
        assert_eq!(stats.captured, captured, "{stats:?}");
        if start.elapsed().as_secs() >= looks {
            looks += 1;
            seen.look();
        }
        // The pace of the load, not a wait for anything.
        std::thread::sleep(ms(2));
    }
    captured
}

/// Compares what both lives counted with what PostHog acknowledged and what the hooks took out.
fn judge(world: World, posthog: &PostHog, first: &Life, second: &Life, program: &Program) {
    let dropped = |reason| first.stats.dropped.by(reason) + second.stats.dropped.by(reason);
    for life in [first, second] {
        assert_settled(&life.stats);
        assert_eq!(life.stats.captured, life.captured);
    }
    let captured = first.captured + second.captured;
    // A hook that panics, or wants nothing to do with an event, costs that one alone.
    assert_eq!(dropped(DropReason::BeforeSend), program.take_refused());
    // Nothing else may be lost, but what a process has no time for at its end.
    let shutdown = first.stats.dropped.by(DropReason::Shutdown);
    let lost = dropped(DropReason::BeforeSend) + shutdown;
    let all = first.stats.dropped.total() + second.stats.dropped.total();
    assert_eq!(all, lost, "{:?}, {:?}", first.stats, second.stats);
    assert_eq!(second.stats.recovered, first.stats.spooled);
    if world.spool.is_some() {
        // As much as the disk took in that time.
        let kept = first.stats.spooled > 0 || shutdown == 0;
        assert!(kept, "{:?}", first.stats);
    }
    assert_eq!(second.stats.spooled, 0);
    let delivered = first.stats.delivered + second.stats.delivered;
    assert_eq!(delivered, captured - lost);
    // What was given up at the end may have been acknowledged, to nobody.
    let acknowledged = posthog.acknowledged();
    assert!(
        (delivered..=delivered + shutdown).contains(&acknowledged),
        "{acknowledged} acknowledged, {delivered} delivered, {shutdown} given up"
    );
    // What the first life had on the wire at its end is sent again by the second. Otherwise an acknowledgement is lost
    // only where it takes longer than an attempt may: rare, and PostHog knows the event by its uuid.
    let at_the_end = REQUESTS_IN_FLIGHT as u64 * BATCH_EVENTS;
    let twice = posthog.twice();
    assert!(
        twice <= at_the_end + captured / 1_000,
        "{twice} acknowledged twice"
    );
}
