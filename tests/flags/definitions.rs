//! Short ways to write definitions.

use serde_json::{Value, json};
use std::time::SystemTime;
use tracing_posthog::{EvaluationContext, FlagDefinitions, FlagValue, UnresolvedReason};

pub(crate) fn filter(key: &str, operator: &str, value: Value) -> Value {
    json!({"key": key, "type": "person", "operator": operator, "value": value})
}

pub(crate) fn in_cohort(cohort: u32) -> Value {
    json!({"key": "id", "type": "cohort", "operator": "in", "value": cohort})
}

pub(crate) fn depends_on(flag: &str, value: Value) -> Value {
    json!({
        "key": flag, "type": "flag", "operator": "flag_evaluates_to", "value": value,
        "dependency_chain": [flag],
    })
}

/// A condition for all that the filters match.
pub(crate) fn condition(filters: &[Value]) -> Value {
    json!({"properties": filters, "rollout_percentage": 100})
}

pub(crate) fn flag(key: &str, conditions: &[Value]) -> Value {
    json!({"id": 1, "key": key, "active": true, "filters": {"groups": conditions}})
}

pub(crate) fn body(flags: &[Value], cohorts: Value) -> Value {
    json!({
        "flags": flags, "cohorts": cohorts, "group_type_mapping": {"0": "company", "1": "project"},
    })
}

pub(crate) fn parse(body: &Value) -> FlagDefinitions {
    FlagDefinitions::parse(&serde_json::to_vec(body).unwrap()).unwrap()
}

/// What a flag is, now.
pub(crate) fn value<'a>(
    definitions: &'a FlagDefinitions,
    key: &str,
    context: &EvaluationContext,
) -> Result<FlagValue<'a>, UnresolvedReason> {
    definitions
        .evaluate(key, context, SystemTime::now())
        .unwrap()
        .value()
}
