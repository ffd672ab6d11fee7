//! What an exception costs the thread that captures it: with a stack, without, and where the limit holds it back.
//!
//! `cargo bench --bench errors -- first` times the first exceptions of the process, which are a run of their own.
#![allow(clippy::unwrap_used)]

#[path = "work/mod.rs"]
mod work;

use divan::{AllocProfiler, Bencher};
use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::io;
use std::time::Duration;
use tracing::{error, info};
use tracing_posthog::{CaptureHandle, Errors, PostHogLayer, Stacks};
use tracing_subscriber::prelude::*;
use work::{dead_end, in_spans};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

/// More than is captured.
const ENDLESS: usize = 1 << 22;

fn main() {
    divan::main();
}

#[derive(Debug)]
struct Declined {
    code: u32,
    source: io::Error,
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "declined with {}", self.code)
    }
}

impl Error for Declined {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

fn declined() -> Declined {
    Declined {
        code: 51,
        source: io::ErrorKind::TimedOut.into(),
    }
}

/// Calls `f` from that many frames further in.
#[inline(never)]
fn deep(frames: usize, f: &mut dyn FnMut()) {
    match frames {
        0 => f(),
        _ => deep(black_box(frames - 1), f),
    }
    black_box(frames);
}

/// Runs `f` within two spans of a subscriber with that error tracking.
fn within(errors: Errors, f: impl FnOnce(&CaptureHandle)) {
    let handle = dead_end(ENDLESS);
    let layer = PostHogLayer::builder(handle.clone()).errors(errors).build();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || in_spans(1, || f(&handle)));
}

fn without_limit() -> Errors {
    Errors::new().rate_limit(1, Duration::ZERO)
}

fn errors(bencher: Bencher<'_, '_>, errors: Errors, frames: usize) {
    let mut bencher = Some(bencher);
    within(errors, |_| {
        let failed = declined();
        deep(frames, &mut || {
            let Some(bencher) = bencher.take() else {
                return;
            };
            bencher.bench_local(|| {
                let order = black_box(17);
                error!(error = &failed as &dyn Error, order, "payment failed");
            });
        });
    });
}

#[divan::bench]
fn with_a_stack(bencher: Bencher<'_, '_>) {
    errors(bencher, without_limit(), 8);
}

#[divan::bench]
fn without_a_stack(bencher: Bencher<'_, '_>) {
    errors(bencher, without_limit().stacks(Stacks::None), 8);
}

#[divan::bench]
fn held_back(bencher: Bencher<'_, '_>) {
    errors(
        bencher,
        Errors::new().rate_limit(1, Duration::from_secs(3600)),
        8,
    );
}

#[divan::bench]
fn held_back_without_an_error_value(bencher: Bencher<'_, '_>) {
    within(
        Errors::new().rate_limit(1, Duration::from_secs(3600)),
        |_| {
            bencher.bench_local(|| error!(order = black_box(17), "payment failed"));
        },
    );
}

/// The same for four threads, each with errors of its own callsite's bucket: the ledger is one.
#[divan::bench(threads = [1, 2, 4])]
fn held_back_by_threads(bencher: Bencher<'_, '_>) {
    let handle = dead_end(ENDLESS);
    let errors = Errors::new().rate_limit(1, Duration::from_secs(3600));
    let layer = PostHogLayer::builder(handle.clone()).errors(errors).build();
    let subscriber = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    bencher.bench(|| {
        tracing::dispatcher::with_default(&subscriber, || {
            for order in 0..100 {
                error!(order, "payment failed");
            }
        });
    });
}

/// Of one exception: the first one of a backend, which also makes its table of buckets.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn first(bencher: Bencher<'_, '_>) {
    bencher
        .with_inputs(|| {
            let layer = PostHogLayer::builder(dead_end(ENDLESS)).errors(Errors::new());
            tracing::Dispatch::new(tracing_subscriber::registry().with(layer.build()))
        })
        .bench_local_refs(|subscriber| {
            tracing::dispatcher::with_default(subscriber, || {
                error!(error = &declined() as &dyn Error, "payment failed");
            });
        });
}

#[divan::bench]
fn a_log_line_as_a_step(bencher: Bencher<'_, '_>) {
    within(Errors::new().steps(20), |_| {
        bencher.bench_local(|| info!(order = black_box(17), "paying for order {}", 17));
    });
}

#[divan::bench]
fn a_log_line_without_steps(bencher: Bencher<'_, '_>) {
    within(Errors::new(), |_| {
        bencher.bench_local(|| info!(order = black_box(17), "paying for order {}", 17));
    });
}
