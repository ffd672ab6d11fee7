//! PostHog's own events: who is whom, and what a group is.

use crate::capture::ledger::DropReason;
use crate::event::Event;
use serde_json::{Map, Value};

/// What PostHog's own events about people and groups need. It ignores them without that, and where they say that
/// no profile is to be processed. `None`: another event.
pub(super) fn needs(name: &str) -> Option<&'static str> {
    match name {
        "$identify" | "$set" | "$merge_dangerously" => Some("a distinct id"),
        "$create_alias" => Some("a distinct id and an alias"),
        "$groupidentify" => Some("one group, by type and key"),
        _ => None,
    }
}

/// The property that says so.
pub(super) const PROCESS: &str = "$process_person_profile";

/// Fills in what PostHog's identity events need, from what the layer's grammar can say.
pub(super) fn complete(event: &mut Event) -> Result<(), DropReason> {
    let text = |v: Option<&Value>| match v {
        Some(Value::String(s)) if !s.trim().is_empty() => Some(s.clone()),
        Some(Value::Number(n)) => Some(n.to_string()),
        _ => None,
    };
    match event.name.as_str() {
        "$create_alias" => {
            let id = event
                .distinct_id
                .clone()
                .or_else(|| text(event.properties.get("distinct_id")))
                .ok_or(DropReason::Invalid)?;
            text(event.properties.get("alias")).ok_or(DropReason::Invalid)?;
            event
                .properties
                .insert("distinct_id".into(), id.clone().into());
            event.distinct_id = Some(id);
        }
        "$groupidentify" => {
            if !event.properties.contains_key("$group_type") && event.groups.len() == 1 {
                for (kind, key) in std::mem::take(&mut event.groups) {
                    event.properties.insert("$group_type".into(), kind.into());
                    event.properties.insert("$group_key".into(), key);
                }
            }
            let kind = text(event.properties.get("$group_type")).ok_or(DropReason::Invalid)?;
            let key = text(event.properties.get("$group_key")).ok_or(DropReason::Invalid)?;
            let id = format!("${kind}_{key}");
            event.properties.insert("$group_key".into(), key.into());
            let mut group = std::mem::take(&mut event.set_once);
            group.extend(std::mem::take(&mut event.set));
            if let Value::Object(given) = event
                .properties
                .entry("$group_set")
                .or_insert_with(|| Map::new().into())
            {
                given.extend(group);
            }
            event.distinct_id.get_or_insert(id);
        }
        _ => {}
    }
    Ok(())
}
