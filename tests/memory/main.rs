//! Memory bounds, and capturing from within an allocator. Needs its own binary (a global allocator), and each test
//! runs in its own process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "../shared/hostile.rs"]
mod hostile;
#[path = "../shared/own_process.rs"]
mod own_process;
#[path = "../shared/support/mod.rs"]
mod support;

use hostile::{Peer, read_request, watch_over};
use own_process::own_process;
use std::alloc::System;
use std::io::Write;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use support::*;
use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_posthog::testing::{Answer, CapturedEvents, PostHogServer, Recording};
use tracing_posthog::{
    CaptureHandle, CircuitBreaker, Compression, Event, PostHogLayer, PostHogSpanExt, SpanFields,
    Stats,
};
use tracing_subscriber::prelude::*;
use tracking_allocator::{AllocationGroupId, AllocationRegistry, AllocationTracker, Allocator};

#[global_allocator]
static ALLOCATOR: Allocator<System> = Allocator::system();

/// Captures an event for each large allocation.
struct Reporter;

static HANDLE: OnceLock<CaptureHandle> = OnceLock::new();
static REPORTED: AtomicUsize = AtomicUsize::new(0);
const LARGE: usize = 4 << 10;

impl AllocationTracker for Reporter {
    fn allocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId) {
        if size >= LARGE
            && let Some(posthog) = HANDLE.get()
        {
            REPORTED.fetch_add(1, SeqCst);
            posthog.capture(Event::new("large allocation").property("bytes", size));
        }
    }

    fn deallocated(
        &self,
        _: usize,
        _: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
    }
}

#[test]
fn an_allocator_that_captures_events_does_not_hang() {
    own_process!();
    watch_over("an allocator that captures", SLOW);
    let server = server();
    let posthog = capture_to(&server).start().unwrap();
    assert!(HANDLE.set(posthog.clone()).is_ok());
    AllocationRegistry::set_global_tracker(Reporter).unwrap();
    AllocationRegistry::enable_tracking();
    // Small events make the queue's segments grow; large ones allocate by themselves.
    for n in 0..2_000 {
        let text = "x".repeat(if n % 100 == 0 { 2 * LARGE } else { 100 });
        posthog.capture(Event::new("e").property("text", text));
    }
    AllocationRegistry::disable_tracking();
    let report = posthog.flush_blocking(LONG);
    assert_eq!(report.pending, 0, "{report}");
    assert!(REPORTED.load(SeqCst) >= 20, "it captured");
    let stats = posthog.stats();
    let events = server.events();
    let own = events.iter().filter(|e| e.event == "e").count();
    assert_eq!((own, stats.dropped.total()), (2_000, 0), "{stats:?}");
    assert!(server.event_count() >= 2_020, "also those of the allocator");
}

/// Captures an event by `tracing` for each allocation of a kilobyte or more, within whatever span is current.
struct TracingReporter;

impl AllocationTracker for TracingReporter {
    fn allocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId) {
        if size >= 1 << 10 {
            REPORTED.fetch_add(1, SeqCst);
            tracing::info!(posthog.event = "allocated", bytes = size);
        }
    }

    fn deallocated(
        &self,
        _: usize,
        _: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
    }
}

#[test]
fn an_allocator_that_captures_events_within_spans_does_not_hang() {
    own_process!();
    watch_over("an allocator that captures within spans", SLOW);
    let captured = CapturedEvents::new();
    let layer = PostHogLayer::builder(captured.handle()).span_fields(SpanFields::all());
    tracing_subscriber::registry().with(layer.build()).init();
    AllocationRegistry::set_global_tracker(TracingReporter).unwrap();

    let outer = info_span!("outer", posthog.distinct_id = "ada", note = Empty);
    let _outer = outer.enter();
    AllocationRegistry::enable_tracking();
    // So many open spans that what the layer keeps of them grows again and again.
    let mut open = Vec::new();
    for n in 0..40_000 {
        let span = info_span!("s", posthog.session_id = n, note = Empty);
        if n % 1_000 == 0 {
            let _entered = span.enter();
            let note = "x".repeat(2_000 + n);
            span.record("note", &*note);
            outer.record("note", &*note);
            outer.set_property("set", note);
            info!(posthog.event = "e");
        }
        open.push(span);
    }
    AllocationRegistry::disable_tracking();
    let reported = REPORTED.load(SeqCst);
    assert!(reported >= 200, "it captured: {reported}");
    let events = captured.events();
    assert_eq!(events.iter().filter(|e| e.event == "e").count(), 40);
    assert!(events.iter().all(|e| e.distinct_id == "ada"));
}

/// Counts the live bytes and their peak.
struct Counter;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

impl AllocationTracker for Counter {
    fn allocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId) {
        let now = NOW.fetch_add(size, SeqCst) + size;
        PEAK.fetch_max(now, SeqCst);
    }

    fn deallocated(
        &self,
        _: usize,
        size: usize,
        _: usize,
        _: AllocationGroupId,
        _: AllocationGroupId,
    ) {
        NOW.fetch_sub(size, SeqCst);
    }
}

const MIB: usize = 1 << 20;
const QUEUE_BYTES: usize = 32 * MIB;
const BATCH_BYTES: usize = 5 * MIB;
const REQUESTS: usize = 4;
/// The queue, plus two copies (JSON and request body) of each batch on the wire, plus some for everything else.
const BOUND: usize = QUEUE_BYTES + 2 * REQUESTS * BATCH_BYTES + 6 * MIB;

/// Text that hardly compresses.
fn noise(length: usize, seed: u64) -> String {
    let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // The ASCII range from '0' to 'z', without the one character that JSON escapes.
        match b'0' + (state % 75) as u8 {
            b'\\' => '/',
            letter => char::from(letter),
        }
    };
    std::iter::repeat_with(letter).take(length).collect()
}

/// The events that a child process captures.
#[derive(Clone, Copy)]
struct Events {
    bytes: usize,
    /// Consist of control characters; JSON writes each as six characters.
    escaped: bool,
    /// Compress requests, which is slow in debug builds.
    gzip: bool,
}

impl Events {
    fn of(bytes: usize) -> Self {
        Self {
            bytes,
            escaped: false,
            gzip: false,
        }
    }

    /// Reads them from the environment.
    fn told() -> Option<(String, Self)> {
        let told = std::env::var("CORE_TEST_EVENTS").ok()?;
        let mut words = told.split(' ');
        let mut next = || words.next().unwrap().to_owned();
        let url = next();
        let events = Self {
            bytes: next().parse().unwrap(),
            escaped: next().parse().unwrap(),
            gzip: next().parse().unwrap(),
        };
        Some((url, events))
    }

    fn tell(self, url: &str) -> String {
        let Self {
            bytes,
            escaped,
            gzip,
        } = self;
        format!("{url} {bytes} {escaped} {gzip}")
    }

    fn text(self, seed: u64) -> String {
        match self.escaped {
            true => "\u{1}".repeat(self.bytes),
            false => noise(self.bytes, seed),
        }
    }
}

/// Keeps the queue full while sending to a PostHog in the parent process, and prints the peak memory.
#[test]
fn child_that_captures_large_events() {
    let Some((url, events)) = Events::told() else {
        return;
    };
    let client = client_at(url)
        .retry(quick().attempts(2))
        .circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client)
        .queue_bytes(QUEUE_BYTES)
        .batch_bytes(BATCH_BYTES)
        .requests_in_flight(REQUESTS)
        .compression(match events.gzip {
            true => Compression::Gzip,
            false => Compression::Off,
        })
        .start()
        .unwrap();
    let texts: Vec<_> = (0..8).map(|n| events.text(n)).collect();
    let rss_before = rss();
    AllocationRegistry::set_global_tracker(Counter).unwrap();
    AllocationRegistry::enable_tracking();
    let mut captured = 0;
    let start = Instant::now();
    // Ends once more than one whole queue was sent, or, where PostHog hangs, after some seconds.
    let sent = |stats: &Stats| (stats.batches - REQUESTS as u64) as usize * BATCH_BYTES;
    while start.elapsed() < Duration::from_secs(6) {
        let stats = posthog.stats();
        if stats.batches > REQUESTS as u64 && sent(&stats) > QUEUE_BYTES {
            break;
        }
        if stats.queued + stats.in_flight < (QUEUE_BYTES / events.bytes) as u64 {
            for _ in 0..(BATCH_BYTES / events.bytes).max(1) {
                let text = texts[captured % texts.len()].as_str();
                posthog.capture(Event::new("large").property("text", text));
                captured += 1;
            }
        }
        std::thread::sleep(ms(1));
    }
    let (peak, rss) = (PEAK.load(SeqCst), rss() - rss_before);
    println!(
        "\npeak {peak} {} MiB of RSS; {:?}",
        rss / MIB,
        posthog.stats()
    );
    posthog.shutdown_blocking(ms(1));
}

/// The peak resident memory of this process.
fn rss() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB"));
    kib.map_or(0, |kib| kib.trim().parse::<usize>().unwrap() << 10)
}

/// The peak of live bytes in a process that captures such events, and its final stats.
fn peak(url: &str, events: Events) -> (usize, String) {
    let child = child_that_captures_large_events;
    // `binary::module::test`
    let name = std::any::type_name_of_val(&child);
    let (_, name) = name.split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env("CORE_TEST_EVENTS", events.tell(url))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let line = said.lines().find_map(|line| line.strip_prefix("peak "));
    let Some((peak, how)) = line.and_then(|line| line.split_once(' ')) else {
        panic!("{said}{}", String::from_utf8_lossy(&output.stderr));
    };
    (peak.parse().unwrap(), how.to_owned())
}

#[track_caller]
fn assert_bounded(url: &str, kinds: &[Events]) {
    let bound = BOUND / MIB;
    let mut peaks = Vec::new();
    for events in kinds {
        let (peak, how) = peak(url, *events);
        println!("{}: at most {} MiB; {how}", events.tell(url), peak / MIB);
        peaks.push(peak / MIB);
    }
    let bounded = peaks.iter().all(|peak| *peak <= bound);
    assert!(bounded, "{peaks:?} MiB, not {bound}");
}

/// Large events, and events near PostHog's size limit.
fn large() -> [Events; 3] {
    let gzip = Events {
        gzip: true,
        ..Events::of(850 << 10)
    };
    [Events::of(100 << 10), Events::of(850 << 10), gzip]
}

fn answering(answer: fn() -> Option<Answer>) -> PostHogServer {
    let server = server();
    server.record(Recording::CountsOnly);
    server.answer_with(move |_| answer());
    server
}

#[test]
fn memory_is_bounded_while_posthog_answers() {
    assert_bounded(&answering(|| None).url(), &large());
}

#[test]
fn memory_is_bounded_while_posthog_hangs() {
    assert_bounded(&answering(|| Some(Answer::stall())).url(), &large());
}

#[test]
fn memory_is_bounded_while_posthog_fails() {
    let server = answering(|| Some(Answer::status(503)));
    assert_bounded(&server.url(), &large());
}

#[test]
fn memory_is_bounded_while_answers_have_no_end() {
    let peer = Peer::start(|mut stream, _| {
        if read_request(&mut stream).is_some() {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let chunk = vec![b' '; 64 << 10];
            while stream.write_all(&chunk).is_ok() {}
        }
    });
    assert_bounded(&peer.url(), &large());
}

#[test]
fn memory_is_bounded_where_json_is_six_times_as_long_as_the_text() {
    let events = Events {
        escaped: true,
        ..Events::of(100 << 10)
    };
    let gzip = Events {
        gzip: true,
        ..events
    };
    assert_bounded(&answering(|| None).url(), &[events, gzip]);
}
