//! [`Inherited`]: what the spans around say, read back as an event within them would get it.

use super::objects;
use super::resolve::Resolved;
use super::text::to_value;
use crate::capture::diagnostics::{About, Diagnostics};
use crate::event::Event;
use crate::event::record::{Slot, Val};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What an event inherits.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Inherited {
    pub(crate) distinct_id: Option<String>,
    pub(crate) session_id: Option<String>,
    pub(crate) groups: BTreeMap<String, String>,
    pub(crate) properties: Map<String, Value>,
}

impl Inherited {
    /// Reads a record whose first segment, that of the event itself, is empty.
    pub(crate) fn of(record: &[u8]) -> Self {
        let resolved = Resolved::of(record, About(record), &Diagnostics::silent());
        let mut event = Event::new("");
        // The nearest comes last and wins; in one segment, its fields.
        for (_, near_objects, fields) in resolved.inwards() {
            for object in near_objects {
                if let Some(entries) = object.entries() {
                    match object.slot {
                        Slot::Property => objects::add(&mut event, entries),
                        slot => objects::add_entries(&mut event, slot, entries),
                    }
                }
            }
            for field in fields {
                let map = objects::map_of(&mut event, field.slot);
                map.insert(field.key.to_owned(), to_value(field.value));
            }
        }
        let group = |(kind, key): (String, Value)| match key {
            Value::String(key) => (kind, key),
            key => (kind, key.to_string()),
        };
        Self {
            distinct_id: resolved.distinct_id.get().map(Val::to_text),
            session_id: resolved.session_id.get().map(Val::to_text),
            groups: event.groups.into_iter().map(group).collect(),
            properties: event.properties,
        }
    }
}
