//! Whatever the `Debug` of a value does, the program goes on, and so does the span it stands in.
//! What needs a global subscriber is in process/reentrancy_global.rs.

use crate::layers::{captured, one};
use std::error::Error;
use std::fmt;
use std::sync::mpsc;
use std::time::Duration;
use tracing::field::{Empty, debug};
use tracing::span::{Attributes, Id};
use tracing::{Span, Subscriber, info, info_span};
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;
use tracing_subscriber::registry::{LookupSpan, Registry};

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it")?;
        panic!("in Debug")
    }
}

impl fmt::Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Display")
    }
}

impl Error for Panics {}

#[test]
fn a_value_that_panics_costs_its_field_and_nothing_else() {
    let event = one(|| {
        info!(
            posthog.event = "x",
            before = 1,
            debugged = ?Panics,
            displayed = %Panics,
            error = &Panics as &dyn Error,
            posthog.session_id = ?Panics,
            posthog.set.name = ?Panics,
            after = 2,
        );
    });
    let p = &event.properties;
    assert_eq!([&p["before"], &p["after"]], [1, 2]);
    for name in ["debugged", "displayed", "error", "$session_id", "$set"] {
        assert!(!p.contains_key(name), "{name}");
    }
}

#[derive(Debug)]
struct Outer;

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("outer")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Panics)
    }
}

#[test]
fn a_source_that_panics_costs_the_chain() {
    let event = one(|| info!(posthog.event = "x", error = &Outer as &dyn Error, after = 2));
    assert_eq!(event.properties["error"], "outer");
    assert!(!event.properties.contains_key("error.chain"));
    assert_eq!(event.properties["after"], 2);
}

#[test]
fn a_span_goes_on_after_a_value_that_panics() {
    let events = captured(|| {
        let span = info_span!(
            "s",
            posthog.event = "a span",
            posthog.distinct_id = "ada",
            at_creation = ?Panics,
            recorded = Empty,
            later = Empty
        );
        span.record("recorded", debug(Panics));
        span.record("later", 1);
        for _ in 0..2 {
            span.in_scope(|| info!(posthog.event = "within"));
        }
    });
    let names: Vec<_> = events.iter().map(|e| e.event.as_str()).collect();
    assert_eq!(names, ["within", "within", "a span"]);
    assert!(events.iter().all(|e| e.distinct_id == "ada"));
    assert_eq!(events[2].properties["later"], 1);
    assert!(!events[2].properties.contains_key("at_creation"));
    assert!(!events[2].properties.contains_key("recorded"));
}

/// Panics again when what it threw is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in Drop")
    }
}

struct ThrowsABomb;

impl fmt::Debug for ThrowsABomb {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        std::panic::panic_any(Bomb)
    }
}

#[test]
fn what_was_thrown_may_panic_when_it_is_dropped() {
    let event = one(|| info!(posthog.event = "x", bomb = ?ThrowsABomb, after = 2));
    assert_eq!(event.properties["after"], 2);
}

/// Has text, and no peace when it is asked for what is behind it.
#[derive(Debug)]
struct SourceThrows;

impl fmt::Display for SourceThrows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("declined")
    }
}

impl Error for SourceThrows {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        std::panic::panic_any(Bomb)
    }
}

#[test]
fn a_source_that_throws_costs_the_chain_on_events_and_spans() {
    let error = &SourceThrows as &dyn Error;
    let events = captured(|| {
        let span = info_span!(
            "s",
            posthog.event = "a span",
            posthog.distinct_id = "bob",
            error
        );
        span.in_scope(|| info!(posthog.event = "paid", error, after = 1));
    });
    let names: Vec<_> = events.iter().map(|e| e.event.as_str()).collect();
    assert_eq!(names, ["paid", "a span"]);
    for event in &events {
        assert_eq!(event.distinct_id, "bob");
        assert_eq!(event.properties["error"], "declined");
        assert!(!event.properties.contains_key("error.chain"));
    }
    assert_eq!(events[0].properties["after"], 1);
}

#[test]
fn an_error_recorded_again_leaves_no_sources_of_the_one_before() {
    #[derive(Debug)]
    struct Said(&'static str, Option<Box<Said>>);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Said {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_deref().map(|source| source as &dyn Error)
        }
    }

    let first = Said("failed", Some(Box::new(Said("connection reset", None))));
    let event = one(|| {
        let span = info_span!("s", posthog.event = "tried", error = Empty);
        span.record("error", &first as &dyn Error);
        span.record("error", &Said("cancelled", None) as &dyn Error);
    });
    assert_eq!(event.properties["error"], "cancelled");
    assert!(!event.properties.contains_key("error.chain"));
}

struct GivesUp;

impl fmt::Debug for GivesUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("so far")?;
        Err(fmt::Error)
    }
}

#[test]
fn a_value_that_gives_up_is_what_it_wrote_so_far() {
    let event = one(|| info!(posthog.event = "x", value = ?GivesUp));
    assert_eq!(event.properties["value"], "so far");
}

/// Looks at the spans around it while it is formatted, as a `SpanTrace` does, and takes their locks.
struct LooksAround;

impl fmt::Debug for LooksAround {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Span::current().with_subscriber(|(id, dispatch)| {
            let registry = dispatch.downcast_ref::<Registry>().unwrap();
            for span in registry.span(id).unwrap().scope() {
                drop(span.extensions_mut());
                drop(span.extensions());
            }
        });
        f.write_str("looked around")
    }
}

#[test]
fn a_value_may_look_at_the_spans_it_is_recorded_in() {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let events = captured(|| {
            let span = info_span!("s", posthog.event = "a span", value = Empty);
            span.in_scope(|| {
                span.record("value", debug(LooksAround));
                info_span!("inner", posthog.event = "inner", value = ?LooksAround).in_scope(|| {});
                info!(posthog.event = "x", value = ?LooksAround);
            });
        });
        done.send(events).unwrap();
    });
    let events = wait
        .recv_timeout(Duration::from_secs(10))
        .expect("no deadlock");
    assert_eq!(events.len(), 3);
    for event in events {
        assert_eq!(event.properties["value"], "looked around");
    }
}

/// Another layer that panics while it holds the lock of a span's data.
struct Poisons;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Poisons {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if attributes.metadata().name() == "poisoned" {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let span = ctx.span(id).unwrap();
                let _lock = span.extensions_mut();
                panic!("under the lock")
            }));
            assert!(caught.is_err());
        }
    }
}

#[test]
fn a_span_that_another_layer_poisoned_loses_nothing() {
    let captured = CapturedEvents::new();
    let subscriber = registry().with(Poisons).with(captured.layer());
    tracing::subscriber::with_default(subscriber, || {
        let _outer = info_span!("outer", posthog.distinct_id = "ada").entered();
        let poisoned = info_span!(
            "poisoned",
            posthog.event = "a span",
            posthog.distinct_id = "bob",
            late = Empty
        );
        poisoned.record("late", 1);
        poisoned.in_scope(|| {
            info!(posthog.event = "in it");
            info_span!("inner", posthog.event = "inner").in_scope(|| {});
        });
        drop(poisoned);
        info!(posthog.event = "after");
    });
    let events = captured.events();
    let told: Vec<_> = events
        .iter()
        .map(|e| (e.event.as_str(), e.distinct_id.as_str()))
        .collect();
    let of_bob = ["in it", "inner", "a span"].map(|name| (name, "bob"));
    assert_eq!(told[..3], of_bob);
    assert_eq!(told[3..], [("after", "ada")]);
    assert_eq!(events[2].properties["late"], 1);
}

#[test]
fn events_during_unwinding_are_captured() {
    struct Says;
    impl Drop for Says {
        fn drop(&mut self) {
            info!(posthog.event = "unwinding", panicking = std::thread::panicking(), value = ?Panics);
        }
    }
    let event = one(|| {
        let caught = std::panic::catch_unwind(|| {
            let _says = Says;
            panic!("the program's own");
        });
        assert!(caught.is_err());
    });
    assert_eq!(event.properties["panicking"], true);
}
