//! One thing done so many times, to be counted from outside by `instructions.py`: instructions under
//! callgrind, system calls under strace.
//!
//! `instructions CASE N`. A case of unconcerned code has three words, such as `global:info:with`.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "work/mod.rs"]
mod work;

use std::env;
use std::error::Error;
use std::fmt;
use std::fs;
use std::io;
use std::thread;
use std::time::Duration;
use tracing::{Span, error, info, info_span, trace};
use tracing_posthog::testing::{Flags, PostHogServer, Recording};
use tracing_posthog::{
    CaptureHandle, Errors, Event, EventCaptureBackend, PostHogClient, PostHogLayer, SpanFields,
    Stacks,
};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use work::setups::{Case, Setup, installed};
use work::{Data, dead_end, event, in_spans};

/// More than any case captures.
const ENDLESS: usize = 1 << 20;

/// Done before it is counted: callsites are registered, buffers have grown.
const WARM_UP: u64 = 500;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    // `cargo test --benches` runs this too, and says nothing.
    let [case, times, ..] = &args[..] else {
        return;
    };
    let times = times.parse().unwrap();
    match case.as_str() {
        "event" => captured(SpanFields::none(), times, events),
        "event_all" => captured(SpanFields::all(), times, events),
        "event_flags" => captured(SpanFields::none(), times, events_with_flags),
        "request" => captured(SpanFields::none(), times, requests),
        "request_all" => captured(SpanFields::all(), times, requests),
        "refused" => refused(times),
        "error" => errors(without_limit(), times, 0),
        "error_foreign" => errors(
            without_limit().deny_target("instructions"),
            times,
            WARM_UP + times,
        ),
        // The limit lets one through.
        "error_held" => errors(one_an_hour(), times, WARM_UP + times - 1),
        "delivered" => delivered(times),
        "idle" => idle(times),
        words => unconcerned(&words.split(':').collect::<Vec<_>>(), times),
    }
}

fn captured(span_fields: SpanFields, times: u64, what: fn(u64)) {
    let handle = dead_end(ENDLESS);
    with_layer(handle.clone(), span_fields, WARM_UP + times, || what(times));
    assert_eq!(handle.stats().dropped.total(), 0);
}

/// Fails where what was to be counted was not done: `captured` is how many events `f` emits.
fn with_layer(handle: CaptureHandle, span_fields: SpanFields, captured: u64, f: impl FnOnce()) {
    let before = handle.stats().captured;
    let layer = PostHogLayer::builder(handle.clone())
        .span_fields(span_fields)
        .build();
    let subscriber = tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(layer);
    tracing::subscriber::with_default(subscriber, f);
    assert_eq!(handle.stats().captured - before, captured);
}

fn events(times: u64) {
    events_after(|| (), times);
}

fn events_with_flags(times: u64) {
    events_after(attach_three_flags, times);
}

fn attach_three_flags() {
    let flags = Flags::new().on("beta-ui").off("old");
    let flags = flags.variant("checkout", "b").build();
    let user = flags.evaluate("user_42").locally();
    user.only(user.keys()).attach(&Span::current());
}

fn events_after(prepare: fn(), times: u64) {
    in_spans(1, || {
        prepare();
        for i in 0..WARM_UP + times {
            event(&Data::at(i));
        }
    });
}

fn requests(times: u64) {
    for i in 0..WARM_UP + times {
        in_spans(i, || event(&Data::at(i)));
    }
}

/// Events that a full queue refuses.
fn refused(times: u64) {
    let handle = dead_end(100);
    for _ in 0..200 {
        handle.capture(Event::new("filling"));
    }
    let dropped = handle.stats().dropped.total();
    let all = WARM_UP + times;
    with_layer(handle.clone(), SpanFields::none(), all, || events(times));
    assert_eq!(handle.stats().dropped.total() - dropped, all);
}

fn without_limit() -> Errors {
    Errors::new().rate_limit(1, Duration::ZERO)
}

fn one_an_hour() -> Errors {
    Errors::new().rate_limit(1, Duration::from_secs(3600))
}

/// Errors with a source and a field, in two open spans, without a stack. So many of them are not captured, either held
/// back or not ours.
fn errors(settings: Errors, times: u64, but: u64) {
    let handle = dead_end(ENDLESS);
    let layer = PostHogLayer::builder(handle.clone())
        .errors(settings.stacks(Stacks::None))
        .build();
    let subscriber = tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(layer);
    let failed = Failed(io::ErrorKind::TimedOut.into());
    tracing::subscriber::with_default(subscriber, || {
        in_spans(1, || {
            for order in 0..WARM_UP + times {
                error!(error = &failed as &dyn Error, order, "payment failed");
            }
        });
    });
    let stats = handle.stats();
    assert_eq!(
        stats.captured - stats.dropped.total(),
        WARM_UP + times - but
    );
}

#[derive(Debug)]
struct Failed(io::Error);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cannot reach the bank")
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// What does not concern us: `setup:what:with` or `:without`.
fn unconcerned(words: &[&str], times: u64) {
    let &[setup, what, ours] = words else {
        return;
    };
    let setup = match setup {
        "alone" => Setup::Alone,
        "global" => Setup::Global,
        _ => Setup::PerLayer,
    };
    tracing::dispatcher::with_default(&installed(Case(setup, ours == "with")), || {
        let open = info_span!("unrelated", n = 1, kind = "x");
        for _ in 0..WARM_UP + times {
            match what {
                "trace" => trace!(n = 1, kind = "x", "not for us"),
                "info" => info!(n = 1, kind = "x", "not for us"),
                "span" => info_span!("unrelated", n = 1, kind = "x").in_scope(|| ()),
                _ => open.in_scope(|| ()),
            }
        }
    });
}

/// Steady load with default settings, all of it delivered. Looks for two files that are not there, so that
/// the part between is found among the system calls of this thread; says how many batches it made.
fn delivered(times: u64) {
    let server = PostHogServer::start().unwrap();
    server.record(Recording::CountsOnly);
    let handle = to(&server);
    let twice = 2 * (WARM_UP + times);
    with_layer(handle.clone(), SpanFields::none(), twice, || {
        // The same as below, so that all chunks there will be are there and have grown.
        events(times);
        handle.flush_blocking(Duration::from_secs(60));
        let before = handle.stats().batches;
        let _ = fs::metadata("/posthog/begin");
        events(times);
        let _ = fs::metadata("/posthog/end");
        handle.flush_blocking(Duration::from_secs(60));
        println!("{} batches", handle.stats().batches - before);
    });
}

fn to(server: &PostHogServer) -> CaptureHandle {
    let client = PostHogClient::builder()
        .project_api_key("phc_bench")
        .host(server.url())
        .build()
        .unwrap();
    EventCaptureBackend::builder(client).start().unwrap()
}

/// How often threads of this process run in so many milliseconds without events, this one left out.
/// Something was delivered before, as in a process that has been busy.
fn idle(millis: u64) {
    let server = PostHogServer::start().unwrap();
    let handle = to(&server);
    handle.capture(Event::new("once"));
    handle.flush_blocking(Duration::from_secs(60));
    drop(server);
    // The connection ends, and what else follows of what went before.
    thread::sleep(Duration::from_millis(500));
    let before = switches();
    thread::sleep(Duration::from_millis(millis));
    // A thread that ended in between took its count with it.
    println!("{} wake-ups", switches().saturating_sub(before));
}

/// How often all threads but the first gave up the processor by themselves.
fn switches() -> u64 {
    let own = std::process::id().to_string();
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(Result::ok)
        .filter(|task| task.file_name() != own.as_str())
        .filter_map(|task| fs::read_to_string(task.path().join("status")).ok())
        .filter_map(|status| {
            let line = status.lines().find(|l| l.starts_with("voluntary_"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}
