//! `$exception_list` and what stands beside it, as PostHog specifies it.

use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use tracing::{error, warn};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{Errors, Exception, Stacks};

#[derive(Debug)]
struct Chain(&'static str, Option<Box<Chain>>);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Chain {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|source| source as &dyn Error)
    }
}

fn only(errors: Errors, run: impl FnOnce(&CapturedEvents)) -> RecordedEvent {
    let builder = CapturedEvents::builder().layer(move |layer| layer.errors(errors.clone()));
    let captured = builder.build().unwrap();
    captured.in_scope(|| run(&captured));
    let events = captured.events();
    assert_eq!(events.len(), 1, "{captured:?}");
    events.into_iter().next().unwrap()
}

fn plain() -> Errors {
    Errors::new().stacks(Stacks::None)
}

#[test]
fn mechanisms_have_ids_and_parents() {
    let failed = Chain(
        "outer",
        Some(Box::new(Chain(
            "inner",
            Some(Box::new(Chain("root", None))),
        ))),
    );
    let event = only(plain(), |_| error!(error = &failed as &dyn Error));
    let list = event.properties["$exception_list"].as_array().unwrap();
    let mechanisms: Vec<_> = list.iter().map(|entry| &entry["mechanism"]).collect();
    let chained = |n: u64| json!({"type": "chained", "source": "cause", "synthetic": false, "exception_id": n, "parent_id": n - 1});
    let outermost =
        json!({"type": "logger", "handled": true, "synthetic": false, "exception_id": 0});
    assert_eq!(mechanisms, [&outermost, &chained(1), &chained(2)]);
    assert_eq!(event.properties["$exception_source"], "tracing.layer");
    assert_eq!(event.properties["$exception_level"], "error");
}

#[test]
fn what_is_captured_by_hand_has_no_source_and_its_own_level() {
    let event = only(plain(), |captured| {
        let exception = Exception::new("Timeout", "too late").level(tracing::Level::WARN);
        captured.handle().capture_error(exception);
    });
    let entry = &event.properties["$exception_list"][0];
    assert_eq!(entry["mechanism"]["type"], "generic");
    assert_eq!(entry["type"], "Timeout");
    assert_eq!(event.properties["$exception_level"], "warning");
    assert!(!event.properties.contains_key("$exception_source"));
}

#[test]
fn fields_take_the_place_of_nothing_that_posthog_reads_or_adds() {
    let event = only(plain().level(tracing::Level::WARN), |_| {
        warn!(
            "$exception_list" = "mine",
            "$exception_level" = "fatal",
            "$exception_source" = "mine",
            "$debug_images" = "mine",
            "$exception_types" = "mine",
            "$exception_issue_id" = "mine",
            "$cymbal_errors" = "mine",
            own = "mine",
            "low on paper"
        );
    });
    let mine: Vec<_> = event
        .properties
        .iter()
        .filter(|(_, value)| **value == "mine")
        .collect();
    assert_eq!(mine, [(&"own".to_owned(), &Value::from("mine"))]);
    assert_eq!(event.properties["$exception_level"], "warning");
}

#[test]
fn nothing_is_said_that_is_not_known() {
    fn has_null(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Array(items) => items.iter().any(has_null),
            Value::Object(fields) => fields.values().any(has_null),
            _ => false,
        }
    }
    for errors in [plain(), Errors::new()] {
        let event = only(errors, |_| error!("no card"));
        assert!(!event.properties.values().any(has_null), "{event:?}");
    }
}

#[test]
fn long_texts_are_cut_and_cost_no_event() {
    let long: &'static str = Box::leak("päth ".repeat(40_000).into_boxed_str());
    let failed = (0..60).fold(Chain("root", None), |source, _| {
        Chain(long, Some(Box::new(source)))
    });
    let event = only(plain(), |_| {
        error!(error = &failed as &dyn Error, posthog.issue_name = long);
    });
    let list = event.properties["$exception_list"].as_array().unwrap();
    assert!((1..=50).contains(&list.len()), "{}", list.len());
    let first = list[0]["value"].as_str().unwrap();
    assert_eq!(first.chars().count(), 10_000);
    let title = event.properties["$issue_name"].as_str().unwrap();
    assert!(title.chars().count() <= 200);
    let size = serde_json::to_vec(&event.properties).unwrap().len();
    assert!(size < 400 << 10, "{size}");
}
