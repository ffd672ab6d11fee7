//! `$exception_steps`: what was logged before an exception, within the same root span.

use serde_json::Value;
use std::error::Error;
use std::fmt;
use tracing::{Level, Span, debug, error, event, info, info_span, warn};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{Errors, Stacks};
use tracing_subscriber::prelude::*;

fn kit(steps: usize) -> CapturedEvents {
    let errors = Errors::new().stacks(Stacks::None).steps(steps);
    let errors = errors.duplicate_window(std::time::Duration::ZERO);
    CapturedEvents::builder()
        .layer(move |layer| layer.errors(errors.clone()))
        .build()
        .unwrap()
}

fn captured(steps: usize, run: impl FnOnce()) -> Vec<RecordedEvent> {
    let kit = kit(steps);
    kit.in_scope(run);
    kit.events()
}

fn steps_of(event: &RecordedEvent) -> Vec<Value> {
    let steps = event.properties.get("$exception_steps");
    steps.map_or_else(Vec::new, |steps| steps.as_array().unwrap().clone())
}

fn messages(event: &RecordedEvent) -> Vec<String> {
    let steps = steps_of(event);
    let text = |step: &Value| step["$message"].as_str().unwrap().to_owned();
    steps.iter().map(text).collect()
}

#[test]
fn the_last_events_of_the_root_span_come_with_an_exception() {
    let events = captured(3, || {
        info!("outside of every span");
        let _request = info_span!("request").entered();
        info!("one");
        warn!(attempt = 2, "two");
        info_span!("query").in_scope(|| info!("three \"quoted\" {}", '\n'));
        debug!("more verbose than INFO");
        info!(target: "tracing_posthog::capture", "of this crate");
        info!("four");
        error!("failed");
        error!("failed again");
    });
    let [first, second] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(messages(first), ["two", "three \"quoted\" \n", "four"]);
    // An exception is a step of those after it.
    assert_eq!(messages(second), ["three \"quoted\" \n", "four", "failed"]);
    let step = &steps_of(first)[0];
    assert_eq!(step["$level"], "warning");
    assert_eq!(step["target"], "errors::steps");
    let at = step["$timestamp"].as_str().unwrap();
    assert!(
        at.starts_with("20") && at.ends_with('Z') && at.len() == 24,
        "{at}"
    );
}

#[test]
fn they_are_off_by_default_and_a_span_of_its_own_has_its_own() {
    let events = captured(0, || {
        let _request = info_span!("request").entered();
        info!("one");
        error!("failed");
    });
    assert!(!events[0].properties.contains_key("$exception_steps"));

    let events = captured(5, || {
        for name in ["ada", "bob"] {
            let _request = info_span!("request", name).entered();
            info!("hello {name}");
            error!("failed");
        }
        error!("in no span");
    });
    let all: Vec<_> = events.iter().map(messages).collect();
    assert_eq!(all, [vec!["hello ada"], vec!["hello bob"], vec![]]);
}

#[test]
fn other_tasks_of_the_same_root_span_add_to_it() {
    let kit = kit(5);
    let subscriber = tracing::Dispatch::new(tracing_subscriber::registry().with(kit.layer()));
    tracing::dispatcher::with_default(&subscriber, || {
        let request = info_span!("request");
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    tracing::dispatcher::with_default(&subscriber, || {
                        let _child = info_span!(parent: &request, "child").entered();
                        info!("from another thread");
                    });
                })
                .join()
                .unwrap();
        });
        error!(parent: &request, "failed");
    });
    assert_eq!(messages(&kit.events()[0]), ["from another thread"]);
}

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

#[test]
fn odd_messages_cost_their_own_text_at_most() {
    let failed = std::fs::read("/no such file").unwrap_err();
    let events = captured(20, || {
        let _request = info_span!("request").entered();
        info!("half {:?}", Panics);
        info!("{}", "ü".repeat(1000));
        warn!(error = &failed as &dyn Error);
        info!(answer = 42);
        event!(
            Level::INFO,
            posthog.event = "signup",
            "also an analytics event"
        );
        error!(posthog.exception = false, "opted out");
        error!("failed");
    });
    let exception = events.iter().find(|e| e.event == "$exception").unwrap();
    let messages = messages(exception);
    let [half, long, io, nameless, signup, opted_out] = &messages[..] else {
        panic!("{messages:?}");
    };
    assert!("half ".starts_with(half.as_str()), "{half}");
    assert_eq!(*long, format!("{}…", "ü".repeat(128)));
    assert!(io.contains("No such file"), "{io}");
    assert!(nameless.starts_with("event "), "{nameless}");
    assert_eq!(
        [signup.as_str(), opted_out.as_str()],
        ["also an analytics event", "opted out"]
    );
}

#[test]
fn at_most_32_kib_are_sent_the_newest_ones() {
    let events = captured(usize::MAX, || {
        let _request = info_span!("request").entered();
        for n in 0..300 {
            // Each of these takes six bytes in JSON.
            info!("{n}{}", "\u{1}".repeat(500));
        }
        error!("failed");
    });
    let steps = steps_of(&events[0]);
    let length = Value::from(steps.clone()).to_string().len();
    assert!((25_000..=32_768).contains(&length), "{length}");
    assert!(steps.len() < 100);
    assert!(messages(&events[0]).last().unwrap().starts_with("299"));
}

#[test]
fn errors_captured_by_hand_have_them_too() {
    let kit = kit(5);
    kit.in_scope(|| {
        let _request = info_span!("request").entered();
        let _query = info_span!("query").entered();
        info!("one");
        let failed = std::fs::read("/no such file").unwrap_err();
        kit.handle().capture_error(&failed);
    });
    assert_eq!(messages(&kit.events()[0]), ["one"]);
}

#[test]
fn a_span_that_closed_leaves_nothing() {
    let events = captured(5, || {
        for _ in 0..10_000 {
            let request = info_span!("request").entered();
            info!("hello");
            drop(request);
        }
        let _request = info_span!("request").entered();
        assert!(!Span::current().is_none());
        error!("failed");
    });
    assert_eq!(messages(&events[0]), [""; 0]);
}
