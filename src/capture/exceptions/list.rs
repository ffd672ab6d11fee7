//! `$exception_list`, and what stands beside it.

use super::symbols::Stack;
use super::{Config, Kind, Parts, scrub};
use crate::event::Event;
use serde_json::{Value, json};

/// Adds the properties of an exception to its event.
pub(super) fn write(parts: &Parts<'_>, stack: &Stack, config: &Config, event: &mut Event) {
    let text = |text: &str| match config.scrub {
        true => scrub::scrub(text).into_owned(),
        false => text.to_owned(),
    };
    let handled = !matches!(parts.kind, Some(Kind::Panic | Kind::FatalPanic));
    let mut list: Vec<Value> = Vec::new();
    for (n, link) in parts.links.iter().enumerate() {
        list.push(json!({
            "type": link.type_name,
            "value": text(link.value),
            "mechanism": {"type": "generic", "handled": handled, "exception_id": n},
        }));
    }
    let _ = stack;
    event
        .properties
        .insert("$exception_list".into(), list.into());
}
