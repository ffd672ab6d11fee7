//! Under a global subscriber nothing keeps a layer from being called within itself.

use crate::own_process::own_process;
use std::cell::RefCell;
use std::fmt;
use std::sync::{OnceLock, mpsc};
use std::time::Duration;
use tracing::field::{Empty, debug};
use tracing::{info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{PostHogLayer, SpanFields};
use tracing_subscriber::prelude::*;

fn captured() -> &'static CapturedEvents {
    static CAPTURED: OnceLock<CapturedEvents> = OnceLock::new();
    CAPTURED.get_or_init(|| {
        let captured = CapturedEvents::new();
        let layer = PostHogLayer::builder(captured.handle()).span_fields(SpanFields::all());
        tracing_subscriber::registry().with(layer.build()).init();
        captured
    })
}

/// Events of those names, in order.
fn named(names: &[&str]) -> Vec<RecordedEvent> {
    let mut events = captured().events();
    events.retain(|e| names.contains(&e.event.as_str()));
    events
}

/// Runs `f` on a thread of its own; fails where it does not come back.
fn in_time(f: impl FnOnce() + Send + 'static) {
    captured();
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        f();
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(10))
        .expect("it comes back");
}

/// Logs while it is formatted: lines, spans, and an analytics event of that name.
struct Logs(&'static str);

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!("a log line");
        info_span!("a span", posthog.session_id = "inner", n = 1).in_scope(|| {
            info!(posthog.event = self.0, inner = true);
        });
        f.write_str("formatted")
    }
}

#[test]
fn a_value_that_captures_an_event_delivers_both() {
    own_process!();
    in_time(|| {
        info_span!("s", posthog.distinct_id = "ada").in_scope(|| {
            info!(posthog.event = "event outer", before = 1, value = ?Logs("event inner"), after = 2);
        });
    });
    let [inner, outer] = named(&["event outer", "event inner"]).try_into().unwrap();
    assert_eq!(inner.event, "event inner");
    assert_eq!(
        (inner.distinct_id.as_str(), outer.distinct_id.as_str()),
        ("ada", "ada")
    );
    assert_eq!(inner.properties["$session_id"], "inner");
    assert_eq!(outer.properties["value"], "formatted");
    assert_eq!(
        [&outer.properties["before"], &outer.properties["after"]],
        [1, 2]
    );
    assert!(
        !outer.properties.contains_key("inner") && !outer.properties.contains_key("$session_id")
    );
}

#[test]
fn so_does_one_in_a_span_at_its_creation_and_recorded_later() {
    own_process!();
    in_time(|| {
        let span =
            info_span!("s", posthog.event = "span", first = ?Logs("at creation"), later = Empty);
        span.in_scope(|| span.record("later", debug(Logs("on record"))));
    });
    let names: Vec<_> = named(&["span", "at creation", "on record"])
        .into_iter()
        .map(|e| e.event)
        .collect();
    assert_eq!(names, ["at creation", "on record", "span"]);
    let span = named(&["span"]).remove(0);
    assert_eq!(span.properties["first"], "formatted");
    assert_eq!(span.properties["later"], "formatted");
}

/// A value in a value in a value, each with an event of its own.
struct Nested(u32);

impl fmt::Debug for Nested {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(below) = self.0.checked_sub(1) {
            info!(posthog.event = "nested", depth = self.0, below = ?Nested(below));
        }
        write!(f, "{}", self.0)
    }
}

#[test]
fn values_may_nest() {
    own_process!();
    in_time(|| info!(posthog.event = "nested", depth = 11, below = ?Nested(10)));
    let events = named(&["nested"]);
    assert_eq!(events.len(), 11);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(
            event.properties["depth"],
            n + 1,
            "the innermost is done first"
        );
        assert_eq!(event.properties["below"], n.to_string());
    }
}

struct AtExit;

impl Drop for AtExit {
    fn drop(&mut self) {
        // No span: the registry itself makes none on a thread that goes away.
        info!(posthog.event = "at exit", posthog.distinct_id = "ada");
    }
}

thread_local! {
    static BEFORE_TRACING: RefCell<Option<AtExit>> = const { RefCell::new(None) };
    static AFTER_TRACING: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

#[test]
fn events_from_the_destructors_of_a_thread_do_not_panic() {
    own_process!();
    captured();
    let thread = std::thread::spawn(|| {
        // What is used first is destroyed last, or the other way round: one of each.
        BEFORE_TRACING.with(|at| *at.borrow_mut() = Some(AtExit));
        info!(posthog.event = "before exit");
        AFTER_TRACING.with(|at| *at.borrow_mut() = Some(AtExit));
    });
    thread.join().expect("no panic at exit");
    assert_eq!(named(&["before exit"]).len(), 1);
    assert_eq!(named(&["at exit"]).len(), 2);
}

#[test]
fn events_from_a_panic_hook_are_captured() {
    own_process!();
    in_time(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if panic.payload_as_str() == Some("report me") {
                info!(posthog.event = "panicked", location = ?panic.location());
            } else {
                before(panic);
            }
        }));
        let caught = std::panic::catch_unwind(|| {
            info_span!("s", posthog.distinct_id = "ada").in_scope(|| panic!("report me"));
        });
        assert!(caught.is_err());
    });
    let [event] = named(&["panicked"]).try_into().unwrap();
    assert_eq!(event.distinct_id, "ada");
}

/// Captures an event in its `Debug`, and panics there.
struct LogsAndPanics;

impl fmt::Debug for LogsAndPanics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(posthog.event = "before the panic");
        panic!("in Debug")
    }
}

#[test]
fn a_value_that_captures_and_panics_costs_its_field() {
    own_process!();
    in_time(|| {
        for _ in 0..100 {
            info!(posthog.event = "around the panic", value = ?LogsAndPanics, after = 1);
        }
    });
    let events = named(&["around the panic"]);
    assert_eq!(events.len(), 100);
    assert!(events.iter().all(|e| e.properties["after"] == 1));
    assert_eq!(named(&["before the panic"]).len(), 100);
}
