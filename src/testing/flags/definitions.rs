//! Definitions, as PostHog has them, of what a test says of flags.
//!
//! Conditions are tried in order, and the first one that matches decides:
//!
//! | for | condition |
//! |---|---|
//! | people who have it off | their ids, with a rollout of 0 and `early_exit`: a miss ends the evaluation |
//! | other people | their ids, and the variant |
//! | groups | the group's key |
//! | everybody | nothing, and the variant |
//!
//! Ids are compared by regular expressions: PostHog's `exact` ignores case. Variants have a rollout of 0, so that nobody
//! has one by chance, and conditions name theirs.

use super::{State, TestFlag};
use serde_json::{Map, Value, json};

/// About how many bytes of ids make one regular expression.
const PATTERN_BYTES: usize = 4 << 10;

/// The body with these flags added.
pub(super) fn of(base: &Map<String, Value>, flags: &[TestFlag]) -> Value {
    let mut body = base.clone();
    let mut group_types = GroupTypes::of(&body);
    let is_replaced = |known: &Value| flags.iter().any(|flag| known["key"] == *flag.key);
    let mut all = match body.remove("flags") {
        Some(Value::Array(all)) => all,
        _ => Vec::new(),
    };
    all.retain(|known| !is_replaced(known));
    let taken = all.iter().filter_map(|known| known["id"].as_i64()).max();
    let first_id = taken.unwrap_or(0).saturating_add(1);
    for (id, flag) in (first_id..).zip(flags) {
        all.push(flag.definition(id, &mut group_types));
    }
    body.insert("flags".into(), all.into());
    body.insert("group_type_mapping".into(), group_types.mapping.into());
    body.entry("cohorts").or_insert_with(|| json!({}));
    body.into()
}

/// The numbers of group types.
struct GroupTypes {
    mapping: Map<String, Value>,
}

impl GroupTypes {
    fn of(body: &Map<String, Value>) -> Self {
        let mapping = body.get("group_type_mapping");
        Self {
            mapping: mapping
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// The number of that type: its own, or a new one.
    fn number(&mut self, group_type: &str) -> u64 {
        let mut known = self.mapping.iter();
        let known = known.find(|(_, name)| *name == group_type);
        if let Some(number) = known.and_then(|(number, _)| number.parse().ok()) {
            return number;
        }
        let numbers = self.mapping.keys().filter_map(|number| number.parse().ok());
        let number = numbers.max().map_or(0, |last: u64| last.saturating_add(1));
        self.mapping.insert(number.to_string(), group_type.into());
        number
    }
}

impl TestFlag {
    fn definition(&self, id: i64, group_types: &mut GroupTypes) -> Value {
        let mut filters = json!({
            "groups": self.conditions(group_types),
            "payloads": self.payloads(),
            "early_exit": self.people.iter().any(|(_, state)| *state == State::Off),
        });
        let variants: Vec<Value> = self
            .variants()
            .map(|key| json!({"key": key, "name": "", "rollout_percentage": 0}))
            .collect();
        if !variants.is_empty() {
            filters["multivariate"] = json!({"variants": variants});
        }
        json!({
            "id": id,
            "key": self.key,
            "name": "",
            "active": true,
            "version": 1,
            "ensure_experience_continuity": self.is_unresolved,
            "has_experiment": false,
            "filters": filters,
        })
    }

    /// What it is for those of whom nothing is said.
    fn everybody(&self) -> &State {
        let is_only_a_payload =
            self.payload.is_some() && self.people.is_empty() && self.groups.is_empty();
        match &self.everybody {
            Some(state) => state,
            None if is_only_a_payload => &State::On,
            None => &State::Off,
        }
    }

    /// Whether anything is said of its value.
    pub(super) fn has_value(&self) -> bool {
        self.everybody.is_some()
            || self.payload.is_some()
            || !self.people.is_empty()
            || !self.groups.is_empty()
    }

    fn states(&self) -> impl Iterator<Item = &State> {
        let people = self.people.iter().map(|(_, state)| state);
        people.chain(std::iter::once(self.everybody()))
    }

    /// Each once.
    fn variants(&self) -> impl Iterator<Item = &str> {
        let mut variants: Vec<&str> = self.states().filter_map(State::variant).collect();
        variants.sort_unstable();
        variants.dedup();
        variants.into_iter()
    }

    fn payloads(&self) -> Map<String, Value> {
        let Some(payload) = &self.payload else {
            return Map::new();
        };
        // PostHog keeps them as text.
        let text = || Value::String(payload.to_string());
        let values = self.variants().chain(["true"]);
        values.map(|value| (value.to_owned(), text())).collect()
    }

    fn conditions(&self, group_types: &mut GroupTypes) -> Vec<Value> {
        let mut conditions = Vec::new();
        for off in in_parts(self.people_with(&State::Off)) {
            conditions.push(json!({"properties": [is_one_of(&off)], "rollout_percentage": 0}));
        }
        let variants = self.variants().map(|key| State::Variant(key.to_owned()));
        for state in variants.chain([State::On]) {
            for people in in_parts(self.people_with(&state)) {
                conditions.push(condition(vec![is_one_of(&people)], &state));
            }
        }
        for (group_type, key) in &self.groups {
            let number = group_types.number(group_type);
            let mut on = condition(
                vec![json!({
                    "key": "$group_key", "type": "group", "group_type_index": number,
                    "operator": "regex", "value": any_of(&[key]),
                })],
                &State::On,
            );
            on["aggregation_group_type_index"] = number.into();
            conditions.push(on);
        }
        if *self.everybody() != State::Off {
            conditions.push(condition(Vec::new(), self.everybody()));
        }
        conditions
    }

    fn people_with(&self, state: &State) -> Vec<&String> {
        let people = self.people.iter().filter(|(_, known)| known == state);
        people.map(|(id, _)| id).collect()
    }
}

impl State {
    fn variant(&self) -> Option<&str> {
        match self {
            Self::Variant(key) => Some(key),
            Self::Off | Self::On => None,
        }
    }
}

/// Patterns that are too large are undecided, so people of any number get a condition for each of these parts.
fn in_parts(ids: Vec<&String>) -> Vec<Vec<&String>> {
    let mut parts: Vec<Vec<&String>> = Vec::new();
    let mut bytes = 0;
    for id in ids {
        bytes += id.len();
        match parts.last_mut() {
            Some(part) if bytes <= PATTERN_BYTES => part.push(id),
            _ => {
                bytes = id.len();
                parts.push(vec![id]);
            }
        }
    }
    parts
}

fn condition(properties: Vec<Value>, state: &State) -> Value {
    json!({"properties": properties, "rollout_percentage": 100, "variant": state.variant()})
}

fn is_one_of(distinct_ids: &[&String]) -> Value {
    json!({
        "key": "distinct_id", "type": "person", "operator": "regex",
        "value": any_of(distinct_ids),
    })
}

/// A regular expression for exactly these texts.
fn any_of(texts: &[&String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| escaped(text)).collect();
    format!(r"\A(?:{})\z", texts.join("|"))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::Flags;
    use serde_json::json;

    #[test]
    fn the_order_of_what_is_said_makes_no_difference() {
        let one = Flags::new()
            .variant("a", "b")
            .payload("a", 1)
            .on_for("a", "u");
        let other = Flags::new()
            .on_for("a", "u")
            .payload("a", 1)
            .variant("a", "b");
        assert_eq!(one.definitions(), other.definitions());
        assert_eq!(
            one.definitions()["flags"][0]["filters"]["payloads"],
            json!({"b": "1", "true": "1"})
        );
    }

    #[test]
    fn of_what_contradicts_the_later_counts() {
        let twice = Flags::new()
            .on("a")
            .off("a")
            .on_for("b", "u")
            .off_for("b", "u");
        let once = Flags::new().off("a").off_for("b", "u");
        assert_eq!(twice.definitions(), once.definitions());
    }

    #[test]
    fn definitions_of_posthog_are_kept_and_replaced_by_key() {
        let flags = Flags::from_definitions(json!({
            "flags": [{"key": "kept", "id": 7, "active": false}, {"key": "replaced", "id": 9}],
            "group_type_mapping": {"0": "company"},
            "cohorts": {"3": {}},
            "minimal_flag_called_events": true,
        }))
        .unwrap()
        .on("replaced")
        .on_for_group("new", "team", "a")
        .on_for_group("new", "company", "b");
        let body = flags.definitions();
        let keys: Vec<_> = body["flags"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| &f["key"])
            .collect();
        assert_eq!(keys, ["kept", "replaced", "new"]);
        assert_eq!(
            body["flags"][0],
            json!({"key": "kept", "id": 7, "active": false})
        );
        assert_eq!(
            (&body["flags"][1]["id"], &body["flags"][2]["id"]),
            (&json!(8), &json!(9))
        );
        assert_eq!(
            body["group_type_mapping"],
            json!({"0": "company", "1": "team"})
        );
        assert_eq!(body["cohorts"], json!({"3": {}}));
        assert_eq!(body["minimal_flag_called_events"], true);
    }
}
