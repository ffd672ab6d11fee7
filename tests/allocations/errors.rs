//! Exceptions allocate a small constant on the thread that captures them, and nothing where they are held back.

use std::error::Error;
use std::time::Duration;
use tracing::{error, info, info_span};
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{
    CaptureHandle, DropReason, Errors, EventCaptureBackend, PostHogClient, PostHogLayer, Stacks,
};
use tracing_subscriber::prelude::*;

fn backend(server: &PostHogServer) -> CaptureHandle {
    let client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host(server.url())
        .build()
        .unwrap();
    EventCaptureBackend::builder(client)
        .queue_events(100_000)
        .flush_interval(Duration::from_secs(3600))
        .batch_events(50_000)
        .flush_at(50_000)
        .start()
        .unwrap()
}

#[derive(Debug)]
struct Declined {
    code: u32,
    source: std::io::Error,
}

impl std::fmt::Display for Declined {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        source: std::io::ErrorKind::TimedOut.into(),
    }
}

fn pay(error: &Declined, order: u64) {
    error!(error = error as &dyn Error, order, "payment failed");
}

/// Allocations of this thread while `f` runs `times` times.
fn allocations(times: u64, f: impl FnMut(u64)) -> u64 {
    allocation_counter::measure(|| (0..times).for_each(f)).count_total
}

/// Runs `f` in a span of a subscriber with that error tracking.
fn within(errors: Errors, f: impl FnOnce(&CaptureHandle)) {
    let server = PostHogServer::start().unwrap();
    let handle = backend(&server);
    let layer = PostHogLayer::builder(handle.clone()).errors(errors).build();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let _request = info_span!("request", posthog.distinct_id = "user_42").entered();
        f(&handle);
    });
}

fn without_limit() -> Errors {
    Errors::new().rate_limit(1, Duration::ZERO)
}

#[test]
fn an_error_allocates_at_most_three_times_without_a_stack_and_five_times_with_one() {
    for (stacks, most) in [(Stacks::None, 3), (Stacks::All, 5)] {
        within(without_limit().stacks(stacks), |handle| {
            let error = declined();
            (0..500).for_each(|n| pay(&error, n));
            let count = allocations(1_000, |n| pay(&error, n));
            // The chunk that is being filled grows by doubling.
            assert!(
                count < most * 1_000 + 20,
                "{count} allocations in 1,000 errors"
            );
            assert_eq!(handle.stats().captured, 1_500);
            assert_eq!(handle.stats().dropped.total(), 0);
        });
    }
}

#[test]
fn an_error_that_the_limit_holds_back_allocates_nothing() {
    within(
        Errors::new().rate_limit(5, Duration::from_secs(3600)),
        |handle| {
            let error = declined();
            (0..10).for_each(|n| pay(&error, n));
            assert_eq!(allocations(1_000, |n| pay(&error, n)), 0);
            let held_back = handle.stats().dropped.by(DropReason::RateLimited);
            assert_eq!(held_back, 1_005);
        },
    );
}

#[test]
fn log_events_allocate_once_as_steps_and_never_without() {
    let log = |n: u64| info!(n, "a log line with {n} in it");
    within(Errors::new(), |_| {
        log(0);
        assert_eq!(allocations(1_000, log), 0);
    });
    within(Errors::new().steps(20), |_| {
        (0..50).for_each(log);
        assert_eq!(allocations(1_000, log), 1_000);
        // A span within is no root span.
        let inner = |n| info_span!("query").in_scope(|| log(n));
        inner(0);
        assert_eq!(allocations(1_000, inner), 1_000);
    });
    within(Errors::new().steps(20), |_| {
        let request = |n| {
            let _request = info_span!(parent: None, "request", posthog.distinct_id = n).entered();
            log(n);
        };
        (0..50).for_each(request);
        // The span's fields, its ring of steps (two) and the step.
        let count = allocations(1_000, request);
        assert!(count <= 4_000, "{count}");
    });
}
