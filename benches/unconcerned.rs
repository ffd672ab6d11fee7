//! What the layer costs spans and events that do not concern it, in three set-ups, each with and without.
#![allow(clippy::unwrap_used)]

#[path = "work/mod.rs"]
mod work;

use divan::Bencher;
use std::fmt;
use std::io;
use tracing::{Dispatch, Level, info, info_span, trace};
use tracing_posthog::PostHogLayer;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt as log};
use work::dead_end;

fn main() {
    divan::main();
}

/// What else is installed.
#[derive(Debug, Clone, Copy)]
enum Setup {
    /// Nothing else.
    Alone,
    /// `EnvFilter` for all, and the log.
    Global,
    /// The log with an `EnvFilter` of its own.
    PerLayer,
}

#[derive(Debug, Clone, Copy)]
struct Case(Setup, bool);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(setup, ours) = self;
        write!(f, "{setup:?} {}", if *ours { "with" } else { "without" })
    }
}

const CASES: [Case; 6] = [
    Case(Setup::Alone, false),
    Case(Setup::Alone, true),
    Case(Setup::Global, false),
    Case(Setup::Global, true),
    Case(Setup::PerLayer, false),
    Case(Setup::PerLayer, true),
];

fn installed(Case(setup, ours): Case) -> Dispatch {
    let ours = ours.then(|| PostHogLayer::new(dead_end(100)));
    let filter = || EnvFilter::new("info");
    let registry = tracing_subscriber::registry();
    // `Option<Layer>` is no stand-in for a layer that is not there: it has a level hint of its own.
    match (setup, ours) {
        (Setup::Alone, None) => registry.into(),
        (Setup::Alone, Some(ours)) => registry.with(ours).into(),
        (Setup::Global, None) => registry
            .with(filter())
            .with(log::layer().with_writer(io::sink))
            .into(),
        (Setup::Global, Some(ours)) => registry
            .with(filter())
            .with(log::layer().with_writer(io::sink))
            .with(ours)
            .into(),
        (Setup::PerLayer, None) => registry
            .with(log::layer().with_writer(io::sink).with_filter(filter()))
            .into(),
        (Setup::PerLayer, Some(ours)) => registry
            .with(log::layer().with_writer(io::sink).with_filter(filter()))
            .with(ours)
            .into(),
    }
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
