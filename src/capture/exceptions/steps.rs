//! `$exception_steps`: what was logged before the exception.

use super::{Config, Parts, scrub};
use crate::event::Event;
use serde_json::Value;

/// Adds the steps that the caller wrote, without what looks like credentials.
pub(super) fn write(parts: &Parts<'_>, config: &Config, event: &mut Event) {
    if parts.steps.is_empty() {
        return;
    }
    // A list that cannot be read costs the steps, not the exception.
    let Ok(Value::Array(mut steps)) = serde_json::from_str(parts.steps) else {
        return;
    };
    if config.scrub {
        for step in &mut steps {
            if let Some(Value::String(message)) = step.get_mut("$message") {
                *message = scrub::scrub(message).into_owned();
            }
        }
    }
    let name = "$exception_steps".to_owned();
    event.properties.insert(name, Value::Array(steps));
}
