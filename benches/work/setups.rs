//! A program's subscriber as it may be without us, and with.

use super::dead_end;
use std::fmt;
use std::io;
use tracing::{Dispatch, Subscriber};
use tracing_posthog::PostHogLayer;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full};
use tracing_subscriber::layer::Identity;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, fmt as log};

/// What else is installed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Setup {
    /// Nothing else.
    Alone,
    /// `EnvFilter` for all, and the log.
    Global,
    /// The log with an `EnvFilter` of its own.
    PerLayer,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Case(pub(crate) Setup, pub(crate) bool);

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(setup, ours) = self;
        write!(f, "{setup:?} {}", if *ours { "with" } else { "without" })
    }
}

pub(crate) const CASES: [Case; 6] = [
    Case(Setup::Alone, false),
    Case(Setup::Alone, true),
    Case(Setup::Global, false),
    Case(Setup::Global, true),
    Case(Setup::PerLayer, false),
    Case(Setup::PerLayer, true),
];

/// The log, to nowhere. Without the time, whose digits cost more and less.
type Line<S> = log::Layer<S, DefaultFields, Format<Full, ()>, fn() -> io::Sink>;

fn line<S>() -> Line<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    log::layer()
        .without_time()
        .with_writer(io::sink as fn() -> io::Sink)
}

pub(crate) fn installed(Case(setup, ours): Case) -> Dispatch {
    let ours = ours.then(|| PostHogLayer::new(dead_end(100)));
    let filter = || EnvFilter::new("info");
    let registry = tracing_subscriber::registry();
    // `Option<Layer>` is no stand-in for a layer that is not there: it has a level hint of its own.
    match (setup, ours) {
        // A registry with no layer at all never gets rid of a span.
        (Setup::Alone, None) => registry.with(Identity::new()).into(),
        (Setup::Alone, Some(ours)) => registry.with(ours).into(),
        (Setup::Global, None) => registry.with(filter()).with(line()).into(),
        (Setup::Global, Some(ours)) => registry.with(filter()).with(line()).with(ours).into(),
        (Setup::PerLayer, None) => registry.with(line().with_filter(filter())).into(),
        (Setup::PerLayer, Some(ours)) => registry
            .with(line().with_filter(filter()))
            .with(ours)
            .into(),
    }
}
