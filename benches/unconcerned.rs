//! What the layer costs spans and events that do not concern it, in three set-ups, each with and without.
#![allow(clippy::unwrap_used)]

#[path = "work/mod.rs"]
mod work;

use divan::Bencher;
use tracing::{Level, info, info_span, trace};
use work::setups::{CASES, Case, installed};

fn main() {
    divan::main();
}

fn bench(bencher: Bencher<'_, '_>, case: Case, what: impl Fn()) {
    tracing::dispatcher::with_default(&installed(case), || bencher.bench_local(&what));
}

/// A `trace!`, which only a registry on its own lets through.
#[divan::bench(args = CASES, sample_count = 200, sample_size = 1000)]
fn trace_event(bencher: Bencher<'_, '_>, case: Case) {
    bench(bencher, case, || trace!(n = 1, kind = "x", "not for us"));
}

#[divan::bench(args = CASES, sample_count = 200, sample_size = 1000)]
fn info_event(bencher: Bencher<'_, '_>, case: Case) {
    bench(bencher, case, || info!(n = 1, kind = "x", "not for us"));
}

/// A span made, entered, left and closed.
#[divan::bench(args = CASES, sample_count = 200, sample_size = 1000)]
fn span(bencher: Bencher<'_, '_>, case: Case) {
    bench(bencher, case, || {
        info_span!("unrelated", n = 1, kind = "x").in_scope(|| ());
    });
}

/// An open span entered and left.
#[divan::bench(args = CASES, sample_count = 200, sample_size = 1000)]
fn enter_and_exit(bencher: Bencher<'_, '_>, case: Case) {
    tracing::dispatcher::with_default(&installed(case), || {
        let span = tracing::span!(Level::INFO, "unrelated", n = 1, kind = "x");
        bencher.bench_local(|| span.in_scope(|| ()));
    });
}
