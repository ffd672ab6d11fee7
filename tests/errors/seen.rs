//! What is captured of errors.

use serde_json::Value;
use std::time::Duration;
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{Errors, PostHogLayerBuilder, SpanFields, Stacks};

pub(crate) fn list_of(event: &RecordedEvent) -> Vec<Value> {
    let list = event.properties.get("$exception_list");
    list.and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Types and texts of an exception.
pub(crate) fn links_of(event: &RecordedEvent) -> Vec<(String, String)> {
    let text = |link: &Value, name: &str| link[name].as_str().unwrap_or_default().to_owned();
    let list = list_of(event);
    list.iter()
        .map(|link| (text(link, "type"), text(link, "value")))
        .collect()
}

/// Without stacks and windows, which have tests of their own.
pub(crate) fn plain() -> Errors {
    Errors::new()
        .stacks(Stacks::None)
        .duplicate_window(Duration::ZERO)
}

pub(crate) fn options(layer: PostHogLayerBuilder) -> PostHogLayerBuilder {
    layer
        .errors(plain())
        .span_fields(SpanFields::named(["route"]))
}

pub(crate) fn kit() -> CapturedEvents {
    CapturedEvents::builder().layer(options).build().unwrap()
}

/// What is captured while `run` runs.
pub(crate) fn captured(run: impl FnOnce()) -> Vec<RecordedEvent> {
    let kit = kit();
    kit.in_scope(run);
    kit.events()
}
