//! Filters keep what was read, and lose nothing that was set.

use super::*;
use crate::rest::bodies::PropertyOperator;

fn json(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

#[test]
fn filters_that_were_read_keep_all_they_have() {
    let read = json!({
        "groups": [{
            "properties": [{"key": "a", "value": 1, "new": true}, {"key": "b", "value": [2.0], "new": 3.0}],
            "rollout_percentage": 10,
            "later": 1,
        }],
        "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]},
        "payloads": {"a": "1"},
        "unknown": {"a": [null]},
    });
    let model: models::FeatureFlagFilters = serde_json::from_value(read.clone()).unwrap();
    let mut wanted = read;
    assert_eq!(json(FlagFilters::from(model.clone())), wanted);
    wanted["groups"][0]["rollout_percentage"] = json!(50);
    wanted["payloads"]["b"] = json!("{\"x\":1}");
    let variants = wanted["multivariate"]["variants"].as_array_mut().unwrap();
    variants.push(json!({"key": "b", "rollout_percentage": 0.5}));
    let edited = FlagFilters::from(model)
        .rollout_percentage(50)
        .variant(FlagVariant::new("b", 0.5))
        .payload("b", json!({"x": 1}));
    assert_eq!(json(edited), wanted);
}

#[test]
fn filters_without_conditions_say_so() {
    // PostHog takes filters without `groups` for no change.
    let none = FlagFilters::from(models::FeatureFlagFilters::default());
    assert_eq!(json(&none), json!({"groups": []}));
    let one = none.condition(FlagCondition::new().rollout_percentage(5));
    assert_eq!(
        json(one)["groups"],
        json!([{"properties": [], "rollout_percentage": 5}])
    );
    assert_eq!(
        json(FlagFilters::new())["groups"][0]["rollout_percentage"],
        100
    );
    assert_eq!(
        json(FlagFilters::new().conditions([])),
        json!({"groups": []})
    );
}

#[test]
fn a_variant_of_the_same_key_is_replaced() {
    let filters = FlagFilters::new()
        .variant(FlagVariant::new("a", 100))
        .variant(FlagVariant::new("a", 50))
        .variant(FlagVariant::new("b", 50));
    assert_eq!(
        json(filters)["multivariate"]["variants"],
        json!([{"key": "a", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}])
    );
}

#[test]
fn short_forms_edit_filters_and_filters_never_replace_them() {
    let condition =
        FlagCondition::new().property(PropertyFilter::new("plan", PropertyOperator::Exact, "pro"));
    let filters = FlagFilters::new().condition(condition).payload("a", 1);
    let flag = NewFeatureFlag::new("x")
        .filters(filters.clone())
        .variant("a", 100);
    let flag = json(flag.rollout_percentage(5));
    assert_eq!(flag["filters"]["groups"][0]["rollout_percentage"], 5);
    assert_eq!(flag["filters"]["groups"][0]["properties"][0]["key"], "plan");
    assert_eq!(flag["filters"]["payloads"]["a"], "1");
    assert_eq!(flag["filters"]["multivariate"]["variants"][0]["key"], "a");

    let twice = NewFeatureFlag::new("x").variant("a", 100).filters(filters);
    let error = serde_json::to_value(twice).unwrap_err().to_string();
    assert!(error.contains("filters: they are set already"), "{error}");
}

#[test]
fn a_percentage_that_is_no_number_is_an_error() {
    let flag = NewFeatureFlag::new("x").rollout_percentage(f64::NAN);
    let error = serde_json::to_value(flag).unwrap_err().to_string();
    assert!(error.starts_with("rollout_percentage: NaN"), "{error}");
}

#[test]
fn what_is_added_after_a_field_was_set_is_sent_or_an_error() {
    let condition = || FlagCondition::new().rollout_percentage(5);
    let a = || FlagVariant::new("a", 100);
    // `null` is nothing, so that something can be added.
    let filters = FlagFilters::new()
        .set("groups", Value::Null)
        .condition(condition())
        .set("payloads", Value::Null)
        .payload("a", 1)
        .set("multivariate", json!({"variants": null, "other": 1}))
        .variant(a());
    assert_eq!(
        json(filters),
        json!({
            "groups": [{"properties": [], "rollout_percentage": 5}],
            "payloads": {"a": "1"},
            "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}], "other": 1},
        })
    );
    let property = FlagCondition::new()
        .set("properties", Value::Null)
        .property(PropertyFilter::is_set("plan"));
    assert_eq!(json(property)["properties"][0]["key"], "plan");

    for (field, filters) in [
        (
            "groups",
            FlagFilters::new().set("groups", "x").condition(condition()),
        ),
        (
            "groups",
            FlagFilters::new().set("groups", "x").rollout_percentage(5),
        ),
        (
            "payloads",
            FlagFilters::new().set("payloads", "x").payload("a", 1),
        ),
        (
            "multivariate",
            FlagFilters::new().set("multivariate", "x").variant(a()),
        ),
        (
            "multivariate",
            FlagFilters::new()
                .set("multivariate", json!({"variants": {"a": 1}}))
                .variant(a()),
        ),
    ] {
        let error = serde_json::to_value(filters).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{field}: it is set to")),
            "{error}"
        );
    }
    let flag = NewFeatureFlag::new("x").set("filters", "x").variant("a", 1);
    let error = serde_json::to_value(flag).unwrap_err().to_string();
    assert!(error.starts_with("filters: it is set to"), "{error}");
}
