//! `$groups`, `$set` and `$set_once` as objects among the properties. They are merged with what the grammar and
//! [`Event`] say: the nearest value of each key wins, and beside each other the grammar.

use super::text::is_blank;
use crate::event::Event;
use crate::event::record::Slot;
use serde_json::{Map, Value};

const KEYS: [&str; 3] = ["$groups", "$set", "$set_once"];

/// What an object of that name holds.
pub(super) fn slot_of(key: &str) -> Option<Slot> {
    match key {
        "$groups" => Some(Slot::Group),
        "$set" => Some(Slot::Set),
        "$set_once" => Some(Slot::SetOnce),
        _ => None,
    }
}

/// Where an event keeps what goes by that slot.
pub(super) fn map_of(event: &mut Event, slot: Slot) -> &mut Map<String, Value> {
    match slot {
        Slot::Group => &mut event.groups,
        Slot::Set => &mut event.set,
        Slot::SetOnce => &mut event.set_once,
        _ => &mut event.properties,
    }
}

/// Adds properties that are nearer than what the event has; of such objects, their entries.
pub(super) fn add(event: &mut Event, properties: Map<String, Value>) {
    for (key, value) in properties {
        match (slot_of(&key), value) {
            (Some(slot), Value::Object(entries)) => add_entries(event, slot, entries),
            (_, value) => drop(event.properties.insert(key, value)),
        }
    }
}

pub(super) fn add_entries(event: &mut Event, slot: Slot, entries: Map<String, Value>) {
    let says = |(_, value): &(String, Value)| slot != Slot::Group || !is_blank(value);
    map_of(event, slot).extend(entries.into_iter().filter(says));
}

/// Merges the objects that a hook left among the properties into what the event says itself, which wins.
pub(super) fn gather(event: &mut Event) {
    for key in KEYS {
        if let Some(slot) = slot_of(key)
            && let Some(Value::Object(_)) = event.properties.get(key)
            && let Some(Value::Object(entries)) = event.properties.remove(key)
        {
            let own = std::mem::take(map_of(event, slot));
            add_entries(event, slot, entries);
            add_entries(event, slot, own);
        }
    }
}

/// Replaces NUL characters in the keys of an event, as they are when it is written. Of several that become the same, one
/// stays.
pub(super) fn replace_nul_in_keys(event: &mut Event) {
    for slot in [Slot::Property, Slot::Group, Slot::Set, Slot::SetOnce] {
        replace_nul(map_of(event, slot));
    }
}

pub(super) fn replace_nul(map: &mut Map<String, Value>) {
    if map.keys().any(|key| key.contains('\0')) {
        let odd = std::mem::take(map).into_iter();
        *map = odd
            .map(|(key, value)| (key.replace('\0', "\u{fffd}"), value))
            .collect();
    }
}

/// A default property as it is sent: group keys are text, and empty ones are none.
pub(super) fn default_of(key: &str, value: &Value) -> Value {
    match value {
        Value::Object(groups) if key == "$groups" => {
            let groups = groups.iter().filter(|(_, key)| !is_blank(key));
            let text = |key: &Value| match key {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            Value::Object(
                groups
                    .map(|(kind, key)| (kind.clone(), text(key).into()))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}
