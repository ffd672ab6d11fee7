//! What the harness asserts of feature flags that are evaluated here, by definitions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::*;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tracing_posthog::testing::{Answer, Flags, RecordedRequest};
use tracing_posthog_adapter::Protocol;

async fn started() -> Case {
    let case = Case::new(Protocol::V0).await;
    case.init(json!({"personal_api_key": "phx_test_key"})).await;
    case
}

fn requests_to(case: &Case, path: &str) -> Vec<RecordedRequest> {
    let requests = case.requests().into_iter();
    requests.filter(|r| r.path == path).collect()
}

/// PostHog was not asked to evaluate anything.
#[track_caller]
fn assert_all_was_local(case: &Case) {
    assert_eq!(requests_to(case, "/flags/").len(), 0);
}

/// Asks for a flag that is evaluated here.
async fn ask_locally(case: &Case, more: Value) -> (Value, bool) {
    let mut body =
        json!({"key": "beta-ui", "distinct_id": "user_1", "only_evaluate_locally": true});
    merge(&mut body, more);
    let answer = case.succeed("/get_feature_flag", Some(&body)).await;
    let is_local = answer["locally_evaluated"].as_bool().unwrap();
    (answer["value"].clone(), is_local)
}

async fn reload(case: &Case) -> bool {
    let body = json!({"timeout_ms": LONG.as_millis() as u64});
    let path = "/reload_feature_flag_definitions";
    case.succeed(path, Some(&body)).await["ready"]
        .as_bool()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_are_loaded_anew_when_asked_for() {
    let case = started().await;
    for (flags, value) in [
        (Flags::new().on("beta-ui"), json!(true)),
        (Flags::new().variant("beta-ui", "b"), json!("b")),
        (Flags::new().off("beta-ui"), json!(false)),
    ] {
        case.posthog.flags(flags);
        assert!(reload(&case).await);
        assert_eq!(ask_locally(&case, json!({})).await, (value, true));
    }
    assert_eq!(
        ask_locally(&case, json!({"key": "other"})).await,
        (Value::Null, false)
    );
    assert_all_was_local(&case);
    let loads = requests_to(&case, "/flags/definitions");
    assert!(loads.len() >= 3);
    for load in headers(&loads, "authorization") {
        assert_eq!(load, "Bearer phx_test_key");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_cannot_be_decided_is_not_false() {
    let case = started().await;
    case.posthog
        .flags(Flags::new().on_for_group("beta-ui", "company", "acme"));
    assert!(reload(&case).await);
    let of_acme = json!({"groups": {"company": "acme"}});
    assert_eq!(ask_locally(&case, of_acme).await, (json!(true), true));

    case.posthog.flags(Flags::new().unresolved("beta-ui"));
    assert!(reload(&case).await);
    assert_eq!(ask_locally(&case, json!({})).await, (Value::Null, false));
    assert_all_was_local(&case);
}

#[tokio::test(flavor = "multi_thread")]
async fn definitions_that_do_not_come_are_not_ready() {
    let without_key = Case::new(Protocol::V0).await;
    without_key.init(json!({})).await;
    assert!(!reload(&without_key).await);

    let case = started().await;
    case.posthog.answer_with(|request| {
        let is_load = request.path == "/flags/definitions";
        is_load.then(|| Answer::status(401))
    });
    assert!(!reload(&case).await);

    case.posthog.answer_with(|request| {
        let is_load = request.path == "/flags/definitions";
        is_load.then(Answer::stall)
    });
    let path = "/reload_feature_flag_definitions";
    let (status, answer) = case.adapter.post(path, &json!({"timeout_ms": 50})).await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT, "{answer}");
    let error = answer["error"].as_str().unwrap();
    assert!(
        error.contains(&format!("{:?}", Duration::from_millis(50))),
        "{error}"
    );
}

/// A filter's value, a property's, and whether they are equal: by the older rules, and by version 2.
fn comparisons() -> Vec<(Value, Value, bool, bool)> {
    vec![
        (json!(false), json!("banana"), true, false),
        (json!(false), json!(0), true, false),
        (json!(false), json!("FALSE"), true, true),
        (json!(false), json!(null), true, false),
        (json!(true), json!([true]), true, false),
        (json!(["true", "false"]), json!("true"), false, true),
        (json!(["true", "false"]), json!("pro"), true, false),
        (json!(["TrUe", "FALSE"]), json!(true), false, true),
        (json!([false, "PRO"]), json!("pro"), true, true),
        (json!(["FREE", "PRO"]), json!("pro"), true, true),
        (json!([]), json!(true), true, true),
        (json!([]), json!([]), true, true),
        (json!([]), json!([true, ["TRUE", []]]), true, true),
        (json!([]), json!([true, [false]]), false, false),
        (json!([]), json!(false), false, false),
        (json!([]), json!(0), false, false),
        (json!([]), json!("banana"), false, false),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_compared_by_the_version_in_the_definitions() {
    let case = started().await;
    let filter = |kind: &str, operator: &str, value: &Value| json!({"key": "value", "type": kind, "operator": operator, "value": value});
    let flag = |key: String, properties: Value, group_type: Option<u32>| {
        json!({"key": key, "active": true, "filters": {
            "aggregation_group_type_index": group_type,
            "groups": [{"properties": properties, "rollout_percentage": 100}],
        }})
    };
    let in_cohort = json!([{"key": "id", "type": "cohort", "value": 1}]);
    let comparisons = comparisons();
    for version in [None, Some(1), Some(2), Some(1), None] {
        let mut flags = vec![
            flag(
                "of-group".into(),
                json!([filter("group", "exact", &json!(false))]),
                Some(0),
            ),
            flag("of-cohort".into(), in_cohort.clone(), None),
        ];
        for (n, (value, ..)) in comparisons.iter().enumerate() {
            for operator in ["exact", "is_not"] {
                let properties = json!([filter("person", operator, value)]);
                flags.push(flag(format!("{operator}-{n}"), properties, None));
            }
        }
        let mut definitions = json!({
            "flags": flags,
            "group_type_mapping": {"0": "company"},
            "cohorts": {
                "1": {"type": "AND", "values": [{"key": "id", "type": "cohort", "value": 2}]},
                "2": {"type": "OR", "values": [filter("person", "exact", &json!(false))]},
            },
        });
        if let Some(version) = version {
            definitions["property_matching_version"] = json!(version);
        }
        case.posthog
            .flags(Flags::from_definitions(definitions).unwrap());
        assert!(reload(&case).await);

        let is_older = version != Some(2);
        for (n, (value, property, by_older, by_2)) in comparisons.iter().enumerate() {
            let equal = if is_older { *by_older } else { *by_2 };
            for (operator, expected) in [("exact", equal), ("is_not", !equal)] {
                let person = json!({"key": format!("{operator}-{n}"), "person_properties": {"value": property}});
                assert_eq!(
                    ask_locally(&case, person).await,
                    (json!(expected), true),
                    "{version:?}: {property} {operator} {value}"
                );
            }
        }
        let company = json!({
            "key": "of-group", "groups": {"company": "acme"},
            "group_properties": {"company": {"value": "banana"}},
        });
        assert_eq!(ask_locally(&case, company).await, (json!(is_older), true));
        let person = json!({"key": "of-cohort", "person_properties": {"value": "banana"}});
        assert_eq!(ask_locally(&case, person).await, (json!(is_older), true));
    }
    assert_all_was_local(&case);
}
