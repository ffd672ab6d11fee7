//! PostHog's own events: who is whom, and what a group is.
//!
//! PostHog takes each of them and ignores those that it can do nothing with. These are dropped here, and the user is told
//! why: [`Ignored`].

use super::envelope::illegal_id;
use crate::event::Event;
use serde_json::{Map, Value};

/// What PostHog's own events about people and groups need. It ignores them without that, and where they say that
/// no profile is to be processed. `None`: another event.
pub(super) fn needs(name: &str) -> Option<&'static str> {
    match name {
        "$identify" | "$set" => Some("a distinct id"),
        "$create_alias" | "$merge_dangerously" => Some("a distinct id and an alias"),
        "$groupidentify" => Some("one group, by type and key"),
        _ => None,
    }
}

/// The property that says so.
pub(super) const PROCESS: &str = "$process_person_profile";

/// Why PostHog would ignore an event about people or groups.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ignored {
    /// Without what it [`needs`].
    Incomplete,
    /// One of its ids is one that PostHog merges with nobody.
    Unmergeable,
    /// It says that no profile is to be processed.
    Personless,
}

/// Ids that PostHog merges with nobody, in letters of either case.
const UNMERGEABLE: [&str; 10] = [
    "anonymous",
    "distinct_id",
    "distinctid",
    "email",
    "false",
    "guest",
    "id",
    "not_authenticated",
    "true",
    "undefined",
];

/// The same, in just these letters.
const UNMERGEABLE_AS_IT_IS: [&str; 6] = ["0", "NaN", "None", "[object Object]", "none", "null"];

/// Whether PostHog merges this id with nobody. It looks within quotes too.
fn is_unmergeable(id: &str) -> bool {
    let within = |quote| id.strip_prefix(quote)?.strip_suffix(quote);
    let id = within('"').or(within('\'')).unwrap_or(id);
    UNMERGEABLE.iter().any(|it| it.eq_ignore_ascii_case(id)) || UNMERGEABLE_AS_IT_IS.contains(&id)
}

/// Fills in what PostHog's identity events need, from what the layer's grammar can say.
pub(super) fn complete(event: &mut Event) -> Result<(), Ignored> {
    let text = |v: Option<&Value>| match v {
        Some(Value::String(s)) if !s.trim().is_empty() => Some(s.clone()),
        Some(Value::Number(n)) => Some(n.to_string()),
        _ => None,
    };
    match event.name.as_str() {
        name @ ("$create_alias" | "$merge_dangerously") => {
            let creates = name == "$create_alias";
            let given = event.properties.get("distinct_id").filter(|_| creates);
            let id = event.distinct_id.clone().or_else(|| text(given));
            let id = id.ok_or(Ignored::Incomplete)?;
            let alias = text(event.properties.get("alias")).ok_or(Ignored::Incomplete)?;
            if is_unmergeable(&alias) || is_unmergeable(&id) || illegal_id(&id).is_some() {
                return Err(Ignored::Unmergeable);
            }
            if creates {
                let id = id.clone().into();
                event.properties.insert("distinct_id".into(), id);
            }
            event.distinct_id = Some(id);
        }
        "$groupidentify" => {
            if !event.properties.contains_key("$group_type") && event.groups.len() == 1 {
                for (kind, key) in std::mem::take(&mut event.groups) {
                    event.properties.insert("$group_type".into(), kind.into());
                    event.properties.insert("$group_key".into(), key);
                }
            }
            let kind = text(event.properties.get("$group_type")).ok_or(Ignored::Incomplete)?;
            let key = text(event.properties.get("$group_key")).ok_or(Ignored::Incomplete)?;
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
