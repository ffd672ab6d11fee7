//! Evaluating flags locally allocates nothing.

use serde_json::{Value, json};
use std::time::SystemTime;
use tracing_posthog::{EvaluationContext, FlagDefinitions};

fn filter(key: &str, operator: &str, value: Value) -> Value {
    json!({"key": key, "type": "person", "operator": operator, "value": value})
}

fn flag(key: &str, filters: Value) -> Value {
    json!({"key": key, "active": true, "filters": filters})
}

fn definitions() -> FlagDefinitions {
    let matching =
        |filters: &[Value]| json!({"groups": [{"properties": filters, "rollout_percentage": 50}]});
    let flags = [
        flag("boolean", matching(&[])),
        flag(
            "variants",
            json!({
                "groups": [{"properties": [], "rollout_percentage": 100}],
                "multivariate": {"variants": [
                    {"key": "control", "rollout_percentage": 50}, {"key": "test", "rollout_percentage": 50},
                ]},
                "payloads": {"control": "[1]", "test": "[2]"},
                "holdout": {"id": 7, "exclusion_percentage": 1},
            }),
        ),
        flag(
            "filters",
            matching(&[
                filter("plan", "exact", json!(["free", "PRO", "team"])),
                filter("name", "is_not", json!("Łukasz")),
                filter("name", "icontains", json!("love")),
                filter("seats", "exact", json!(["40", "50"])),
                filter("seats", "gte", json!(10)),
                filter("seats", "starts_with", json!("4")),
                filter("ratio", "between", json!([0.1, 1])),
                filter("ratio", "ends_with", json!("5")),
                filter("beta", "exact", json!(["true"])),
                filter("app", "semver_caret", json!("1.2")),
                filter("app", "semver_lt", json!("v2")),
                filter("signed_up", "is_date_after", json!("-24m")),
                filter("gone", "is_not", json!("x")),
                json!({"key": "seats", "type": "group", "group_type_index": 0, "operator": "gt", "value": 5}),
            ]),
        ),
        flag(
            "cohort",
            matching(&[json!({"key": "id", "type": "cohort", "operator": "in", "value": 2})]),
        ),
        flag(
            "dependency",
            matching(&[json!({
                "key": "boolean", "type": "flag", "operator": "flag_evaluates_to", "value": true,
                "dependency_chain": ["boolean"],
            })]),
        ),
        flag(
            "regex",
            matching(&[
                filter("name", "regex", json!("^[A-Z][a-z]+ ")),
                filter("app", "not_regex", json!(r"^\d+$")),
            ]),
        ),
    ];
    let body = json!({
        "flags": flags, "group_type_mapping": {"0": "company"},
        "cohorts": {
            "1": {"type": "OR", "values": [filter("plan", "exact", json!("free")), filter("seats", "gt", json!(3))]},
            "2": {"type": "AND", "values": [
                {"key": "id", "type": "cohort", "operator": "in", "value": 1},
                {"type": "OR", "values": [filter("name", "is_set", Value::Null)]},
            ]},
        },
    });
    FlagDefinitions::parse(&serde_json::to_vec(&body).unwrap()).unwrap()
}

fn users() -> Vec<EvaluationContext> {
    let user = |at| {
        EvaluationContext::new(format!("user_{at}"))
            .person("plan", "Pro")
            .person("name", "Ada Lovelace née Łovelace")
            .person("seats", 40)
            .person("ratio", 0.25)
            .person("beta", true)
            .person("app", "1.10.3")
            .person("signed_up", "2026-02-03T09:30:00+02:00")
            .group("company", "acme")
            .group_property("company", "seats", 40)
    };
    (0..20).map(user).collect()
}

#[test]
fn flags_are_evaluated_without_allocating() {
    let (definitions, users) = (definitions(), users());
    let evaluate = || {
        let mut on = 0;
        for user in &users {
            for key in definitions.keys() {
                let decision = definitions.evaluate(key, user, SystemTime::now()).unwrap();
                on += u32::from(decision.value().is_ok_and(|value| value.is_enabled()));
            }
            definitions.evaluate_all(user, SystemTime::now(), |_, decision| {
                on += u32::from(decision.value().is_ok_and(|value| value.is_enabled()));
            });
        }
        on
    };
    // A thread that uses a pattern for the first time gets memory for it.
    let on = evaluate();
    let of = 2 * 20 * definitions.len() as u32;
    assert!((of / 5..of).contains(&on), "{on} of {of} are on");
    let counted = allocation_counter::measure(|| {
        evaluate();
    });
    assert_eq!(counted.count_total, 0);
}
