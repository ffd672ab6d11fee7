//! Which properties an evaluation lacks.

use serde_json::json;
use tracing_posthog::{EvaluationContext, FeatureFlags, FlagDefinitions};

fn definitions() -> FlagDefinitions {
    let of = |key: &str| json!({"key": key, "type": "person", "operator": "exact", "value": "x"});
    let flag = |key: &str, groups: serde_json::Value| json!({"key": key, "active": true, "filters": {"groups": groups}});
    let of_group = json!({"key": "seats", "type": "group", "group_type_index": 0, "operator": "gt", "value": 3});
    let member = json!({"key": "id", "type": "cohort", "operator": "in", "value": 7});
    let depends = json!({"key": "base", "type": "flag", "operator": "flag_evaluates_to", "value": true,
        "dependency_chain": ["base"]});
    let mut by_device = flag("device", json!([{"properties": [of("plan")]}]));
    by_device["bucketing_identifier"] = "device_id".into();
    let mut enrolled = flag("enrolled", json!([]));
    enrolled["filters"]["feature_enrollment"] = true.into();
    let body = json!({
        "flags": [
            flag("plain", json!([{"properties": [of("plan"), of("city")]}, {"properties": [of("plan")]}])),
            flag("base", json!([{"properties": [of("base_property")]}])),
            flag("all", json!([{"properties": [member, depends, of("distinct_id")]}])),
            json!({"key": "group", "active": true, "filters": {"aggregation_group_type_index": 0,
                "groups": [{"properties": [of_group]}]}}),
            by_device,
            enrolled,
            json!({"key": "off", "active": false, "filters": {"groups": [{"properties": [of("plan")]}]}}),
        ],
        "group_type_mapping": {"0": "company"},
        "cohorts": {"7": {"type": "OR", "values": [{"type": "AND", "values": [of("email"), of("age")]}]}},
    });
    FlagDefinitions::parse(body.to_string().as_bytes()).unwrap()
}

#[test]
fn what_lacks_is_named_wherever_it_is_read() {
    let definitions = definitions();
    let nothing = EvaluationContext::new("ada");
    let missing =
        |key: &str, context: &EvaluationContext| definitions.missing(key, context).join(" ");
    assert_eq!(missing("plain", &nothing), "city plan");
    assert_eq!(
        missing("plain", &nothing.clone().person("plan", "x")),
        "city"
    );
    assert_eq!(missing("all", &nothing), "age base_property email");
    assert_eq!(
        missing("group", &nothing.clone().group("company", "acme")),
        "company.seats"
    );
    let acme = nothing
        .clone()
        .group("company", "acme")
        .group_property("company", "seats", 4);
    assert_eq!(missing("group", &acme), "");
    assert_eq!(missing("device", &nothing), "$device_id plan");
    assert_eq!(missing("device", &nothing.clone().device_id("d")), "plan");
    assert_eq!(
        missing("enrolled", &nothing),
        "$feature_enrollment/enrolled"
    );
    assert_eq!(missing("off", &nothing), "");
    assert_eq!(missing("unheard-of", &nothing), "");
}

#[test]
fn a_snapshot_names_what_was_not_given_to_it() {
    let flags = FeatureFlags::from_definitions(definitions());
    let user = flags.evaluate("ada").person("city", "x").locally();
    assert_eq!(user.missing("plain"), ["plan"]);
    assert!(user.only(["all"]).missing("plain").is_empty());
}
