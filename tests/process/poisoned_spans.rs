//! A span that another layer left poisoned, and a panic hook that captures events: nothing is lost. Alone in its process: the hook
//! and the subscriber are everybody's.

use crate::own_process::own_process;
use std::fmt;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use tracing::field::{Empty, debug};
use tracing::{info, info_span};
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("within another layer's lock");
    }
}

#[test]
fn a_panic_hook_that_captures_within_a_poisoned_span_ends_nothing() {
    own_process!();
    let captured = CapturedEvents::new();
    // Keeps analytics out of the log, so that nobody but us is at those events.
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(filter_fn(|m| {
            m.is_span() || m.fields().field("posthog.event").is_none()
        }));
    let second = CapturedEvents::new();
    tracing_subscriber::registry()
        .with(log)
        .with(captured.layer())
        .with(second.layer())
        .init();
    panic::set_hook(Box::new(|_| {
        info!(posthog.event = "panicked");
        let timed = info_span!("timed", posthog.event = "hook");
        timed.in_scope(|| info!(posthog.event = "panicked"));
    }));

    // The log formats the value while it holds the span's lock.
    let poison = |span: &tracing::Span| {
        let poisoned = catch_unwind(AssertUnwindSafe(|| span.record("x", debug(Panics))));
        assert!(poisoned.is_err());
    };
    let outer = info_span!("outer", posthog.distinct_id = "ada").entered();
    let around = info_span!("around", posthog.distinct_id = "eve", x = Empty);
    let span = info_span!(parent: &around, "s", posthog.distinct_id = "bob", x = Empty);
    poison(&around);
    poison(&span);
    let around = around.entered();
    span.in_scope(|| info!(posthog.event = "checkout"));
    drop((span, around, outer));
    let _ = panic::take_hook();

    let checkout = captured.find("checkout").unwrap();
    assert_eq!(checkout.distinct_id, "bob", "the nearest counts");
    let hooks = captured
        .events()
        .iter()
        .filter(|e| e.event == "panicked")
        .count();
    assert!(hooks >= 2, "{hooks}");
}
