//! [`HogQlCheck`]: what PostHog thinks of a query that it does not run.

use super::HogQlQuery;
use super::answer::{flag, list, number, text, text_of};
use crate::error::PostHogError;
use crate::rest::whole::read_object;
use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// What PostHog thinks of a HogQL query: [`HogQlQuery::check`].
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HogQlCheck {
    /// Whether the query would run.
    pub is_valid: bool,
    /// What keeps the query from running.
    pub errors: Vec<HogQlNotice>,
    /// What is probably not meant.
    pub warnings: Vec<HogQlNotice>,
    /// What is worth knowing.
    pub diagnostics: Vec<HogQlNotice>,
    /// The tables that the query reads.
    pub tables: Vec<String>,
    /// All other fields.
    pub extra: Map<String, Value>,
}

/// A remark on a place in a query.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HogQlNotice {
    /// PostHog's words.
    pub message: String,
    /// Where the place begins, in characters from the start of the query.
    pub start: Option<u64>,
    /// Where it ends.
    pub end: Option<u64>,
    /// What PostHog would write there instead.
    pub fix: Option<String>,
    /// All other fields.
    pub extra: Map<String, Value>,
}

impl HogQlNotice {
    fn read(value: Value) -> Self {
        match value {
            Value::Object(mut map) => Self {
                message: text(&mut map, "message").unwrap_or_default(),
                start: number(&mut map, "start"),
                end: number(&mut map, "end"),
                fix: text(&mut map, "fix"),
                extra: map,
            },
            other => Self {
                message: text_of(other),
                ..Self::default()
            },
        }
    }
}

/// What is left of the check and of what was around it. Of a name that both have, the check's is in `results`, as it came.
fn together(check: Map<String, Value>, around: Map<String, Value>) -> Map<String, Value> {
    let mut all = around;
    let mut others = Map::new();
    for (name, value) in check {
        match all.contains_key(&name) {
            true => others.insert(name, value),
            false => all.insert(name, value),
        };
    }
    if !others.is_empty() {
        all.insert("results".to_owned(), Value::Object(others));
    }
    all
}

impl<'de> Deserialize<'de> for HogQlCheck {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = read_object(deserializer, "HogQlCheck")?;
        // Asked as a query, the answer may be wrapped like one.
        let around = match map.remove("results") {
            Some(Value::Object(inner)) => std::mem::replace(&mut map, inner),
            Some(other) => Map::from_iter([("results".to_owned(), other)]),
            None => Map::new(),
        };
        let errors = list(&mut map, "errors", HogQlNotice::read);
        Ok(Self {
            is_valid: match map.contains_key("isValid") {
                true => flag(&mut map, "isValid"),
                false => errors.is_empty(),
            },
            errors,
            warnings: list(&mut map, "warnings", HogQlNotice::read),
            diagnostics: list(&mut map, "diagnostics", HogQlNotice::read),
            tables: list(&mut map, "table_names", text_of),
            extra: together(map, around),
        })
    }
}

impl HogQlQuery {
    /// Asks PostHog what is wrong with a HogQL query, and where, without running it.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let check = client.project(12345).hogql("SELECT evnt FROM events").check().await?;
    /// for error in &check.errors {
    ///     println!("{} at {:?}", error.message, error.start);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Any of [`PostHogError`]; errors of the query are in the answer.
    pub async fn check(self) -> Result<HogQlCheck, PostHogError> {
        let mut draft = self.draft;
        let mut node = draft.node?;
        let mut check = Map::from_iter([
            ("kind".to_owned(), json!("HogQLMetadata")),
            ("language".to_owned(), json!("hogQL")),
            ("query".to_owned(), node.remove("query").unwrap_or_default()),
        ]);
        for (field, here) in [
            ("filters", "filters"),
            ("variables", "variables"),
            ("modifiers", "modifiers"),
            // Without them a query with `{name}` in it would be called wrong.
            ("values", "globals"),
        ] {
            if let Some(value) = node.remove(field) {
                check.insert(here.into(), value);
            }
        }
        draft.node = Ok(check);
        draft.refresh = None;
        draft.run_as().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_reads_whatever_is_in_it() {
        let check: HogQlCheck = serde_json::from_value(json!({
            "isValid": false, "query": "x", "table_names": ["events"], "warnings": null,
            "errors": [{"message": "no", "start": 7, "end": 11, "fix": null}, "odd"],
        }))
        .unwrap();
        assert!(!check.is_valid);
        assert_eq!(
            (check.errors[0].start, check.errors[0].end),
            (Some(7), Some(11))
        );
        assert_eq!(check.errors[1].message, "odd");
        assert_eq!(check.tables, ["events"]);
        assert_eq!(Value::Object(check.extra), json!({"query": "x"}));
        let check: HogQlCheck = serde_json::from_value(json!({"errors": []})).unwrap();
        assert!(check.is_valid);

        // Wrapped, nothing of either is lost.
        let check: HogQlCheck = serde_json::from_value(json!({
            "timings": [], "results": {"isValid": true, "notices": [1],
                                       "warnings": [{"message": 5, "start": -1, "code": "c"}]},
        }))
        .unwrap();
        let left = json!({"timings": [], "notices": [1]});
        assert_eq!(Value::Object(check.extra), left);
        let left = json!({"message": 5, "start": -1, "code": "c"});
        assert_eq!(Value::Object(check.warnings[0].extra.clone()), left);
        let check: HogQlCheck = serde_json::from_value(json!({
            "timings": [1], "errors": ["no"], "results": {"isValid": true, "errors": [], "timings": [2], "x": 3},
        }))
        .unwrap();
        assert!(check.is_valid && check.errors.is_empty());
        let left = json!({"timings": [1], "errors": ["no"], "x": 3, "results": {"timings": [2]}});
        assert_eq!(Value::Object(check.extra), left);
        let check: HogQlCheck = serde_json::from_value(json!({"results": [1]})).unwrap();
        assert_eq!(check.extra["results"], json!([1]));
        assert!(serde_json::from_str::<HogQlCheck>(r#"{"a": 1, "a": 2}"#).is_err());
    }
}
