//! What flags cost when they are evaluated locally: one flag of each kind, all of a project, and loading definitions.
#![allow(clippy::unwrap_used)]

use divan::{AllocProfiler, Bencher, black_box};
use serde_json::{Value, json};
use std::time::SystemTime;
use tracing_posthog::{EvaluationContext, FlagDefinitions};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

fn filter(key: &str, operator: &str, value: Value) -> Value {
    json!({"key": key, "type": "person", "operator": operator, "value": value})
}

fn flag(key: &str, filters: Value) -> Value {
    json!({
        "id": 91, "team_id": 1, "name": "What it is for", "key": key, "filters": filters, "deleted": false,
        "active": true, "ensure_experience_continuity": false, "version": 4, "has_experiment": false,
        "rollout_percentage": null, "evaluation_runtime": "all", "bucketing_identifier": null, "tags": [],
    })
}

fn boolean() -> Value {
    json!({
        "groups": [{"variant": null, "properties": [], "rollout_percentage": 50}],
        "payloads": {}, "multivariate": null,
    })
}

fn five_filters() -> Value {
    json!({
        "groups": [{
            "variant": null, "rollout_percentage": 100,
            "properties": [
                filter("plan", "exact", json!(["pro", "team"])),
                filter("email", "icontains", json!("@acme.com")),
                filter("seats", "gte", json!(10)),
                filter("country", "is_not", json!(["US"])),
                filter("beta", "is_set", json!("is_set")),
            ],
        }],
        "payloads": {}, "multivariate": null,
    })
}

fn three_variants() -> Value {
    json!({
        "groups": [{"variant": null, "properties": [], "rollout_percentage": 100}],
        "multivariate": {"variants": [
            {"key": "control", "name": "", "rollout_percentage": 34},
            {"key": "blue", "name": "", "rollout_percentage": 33},
            {"key": "red", "name": "", "rollout_percentage": 33},
        ]},
        "payloads": {"control": "{\"color\": \"grey\"}", "blue": "{\"color\": \"#00f\"}", "red": "{\"color\": \"#f00\"}"},
    })
}

fn in_cohort(cohort: u32) -> Value {
    json!({
        "groups": [{
            "variant": null, "rollout_percentage": 100,
            "properties": [{"key": "id", "type": "cohort", "operator": "in", "value": cohort}],
        }],
        "payloads": {}, "multivariate": null,
    })
}

const PATTERNS: [&str; 5] = [
    r"^[\w.]+@(acme|globex)\.com$",
    r"@acme\.com$",
    "^(de|at|ch)-[0-9]+$",
    "(?i)^ada",
    r"^[^@]+@[^@]+$",
];

fn regex(pattern: &str) -> Value {
    json!({
        "groups": [{
            "variant": null, "rollout_percentage": 100,
            "properties": [filter("email", "regex", json!(pattern))],
        }],
        "payloads": {}, "multivariate": null,
    })
}

/// A cohort within another one, with six filters in all, which all have to be looked at.
fn cohorts() -> Value {
    json!({
        "1": {"type": "OR", "values": [
            {"type": "AND", "values": [
                filter("plan", "exact", json!(["free"])),
                filter("seats", "lt", json!(3)),
            ]},
            {"type": "AND", "values": [
                filter("country", "exact", json!(["DE", "AT", "CH"])),
                filter("seats", "gte", json!(10)),
            ]},
        ]},
        "2": {"type": "AND", "values": [
            {"type": "OR", "values": [
                filter("email", "ends_with", json!("@globex.com")),
                {"key": "id", "type": "cohort", "operator": "in", "value": 1},
            ]},
            {"type": "AND", "values": [
                filter("plan", "is_not", json!("free")),
                filter("name", "is_set", json!("is_set")),
            ]},
        ]},
    })
}

/// As many flags, of the kinds above.
fn flags(count: usize) -> Vec<u8> {
    let kinds = [
        boolean,
        five_filters,
        three_variants,
        || in_cohort(2),
        boolean,
        three_variants,
        five_filters,
        boolean,
        || in_cohort(1),
        boolean,
    ];
    let flags: Vec<Value> = (0..count)
        .map(|at| {
            // One of fifty has a pattern, of which there are five.
            let filters = if at % 50 == 17 {
                regex(PATTERNS[at / 50 % PATTERNS.len()])
            } else {
                kinds[at % kinds.len()]()
            };
            flag(&format!("flag-of-the-project-{at}"), filters)
        })
        .collect();
    body(flags)
}

fn body(flags: Vec<Value>) -> Vec<u8> {
    let body = json!({
        "flags": flags, "group_type_mapping": {"0": "company", "1": "project"}, "cohorts": cohorts(),
    });
    serde_json::to_vec(&body).unwrap()
}

fn user() -> EvaluationContext {
    EvaluationContext::new("0195f0aa-1111-7222-8333-444455556666")
        .person("name", "Ada Lovelace")
        .person("email", "ada.lovelace@acme.com")
        .person("country", "DE")
        .person("language", "de")
        .person("plan", "pro")
        .person("seats", 40)
        .person("beta", true)
        .person("signed_up", "2026-02-03T09:30:00Z")
        .group("company", "acme")
        .group_property("company", "seats", 40)
}

/// One flag. Conditions for all are for nine of ten here, so that everybody has to be hashed.
fn one(bencher: Bencher<'_, '_>, mut filters: Value) {
    if filters["groups"][0]["rollout_percentage"] == 100 && filters["multivariate"].is_null() {
        filters["groups"][0]["rollout_percentage"] = json!(90);
    }
    let body = body(vec![flag("checkout-redesign", filters)]);
    let definitions = FlagDefinitions::parse(&body).unwrap();
    let (user, now) = (user(), SystemTime::now());
    let decision = definitions
        .evaluate("checkout-redesign", &user, now)
        .unwrap();
    let reason = decision.reason().unwrap();
    assert_ne!(reason.code, "no_condition_match");
    bencher.bench_local(|| {
        let decision = definitions.evaluate(black_box("checkout-redesign"), black_box(&user), now);
        decision.unwrap().value()
    });
}

#[divan::bench(name = "boolean")]
fn one_boolean(bencher: Bencher<'_, '_>) {
    one(bencher, boolean());
}

#[divan::bench(name = "five_filters")]
fn one_with_five_filters(bencher: Bencher<'_, '_>) {
    one(bencher, five_filters());
}

#[divan::bench(name = "three_variants")]
fn one_with_three_variants(bencher: Bencher<'_, '_>) {
    one(bencher, three_variants());
}

#[divan::bench]
fn nested_cohort_with_six_filters(bencher: Bencher<'_, '_>) {
    one(bencher, in_cohort(2));
}

#[divan::bench(name = "regex")]
fn one_with_regex(bencher: Bencher<'_, '_>) {
    one(bencher, regex(PATTERNS[0]));
}

#[divan::bench]
fn all_of_100(bencher: Bencher<'_, '_>) {
    let definitions = FlagDefinitions::parse(&flags(100)).unwrap();
    let (user, now) = (user(), SystemTime::now());
    bencher.bench_local(|| {
        let mut on = 0_u32;
        definitions.evaluate_all(black_box(&user), now, |_, decision| {
            on += u32::from(decision.value().unwrap().is_enabled());
        });
        on
    });
}

#[divan::bench]
fn load_1000(bencher: Bencher<'_, '_>) {
    let body = flags(1000);
    bencher.bench_local(|| FlagDefinitions::parse(black_box(&body)).unwrap());
}

/// For comparison: the same body, read into values.
#[divan::bench]
fn load_1000_as_json_only(bencher: Bencher<'_, '_>) {
    let body = flags(1000);
    bencher.bench_local(|| serde_json::from_slice::<Value>(black_box(&body)).unwrap());
}
