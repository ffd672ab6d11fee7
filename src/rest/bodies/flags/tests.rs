//! Filters keep what was read, and lose nothing that was set.

use super::*;
use crate::rest::bodies::PropertyOperator;

fn json(of: impl Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

#[test]
fn filters_that_were_read_keep_all_they_have() {
    let read = json!({
        "groups": [{"properties": [{"key": "a", "value": 1, "new": true}], "rollout_percentage": 10, "later": 1}],
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

fn error(of: impl Serialize) -> String {
    serde_json::to_value(of).unwrap_err().to_string()
}

#[test]
fn a_percentage_holds_for_conditions_before_and_after_it() {
    let pro = || {
        FlagCondition::new().property(PropertyFilter::new("plan", PropertyOperator::Exact, "pro"))
    };
    let percentages = |filters: FlagFilters| {
        let groups = json(filters)["groups"].take();
        let groups = groups.as_array().unwrap().iter();
        groups
            .map(|group| group["rollout_percentage"].clone())
            .collect::<Vec<_>>()
    };
    let new = FlagFilters::new;
    assert_eq!(
        percentages(new().rollout_percentage(25).condition(pro())),
        [25]
    );
    assert_eq!(
        percentages(new().condition(pro()).rollout_percentage(25)),
        [25]
    );
    let own = new()
        .rollout_percentage(25)
        .condition(pro().rollout_percentage(50))
        .condition(pro());
    assert_eq!(percentages(own), [50, 25]);
    let all = new()
        .rollout_percentage(25)
        .conditions([pro(), pro().rollout_percentage(5)]);
    assert_eq!(percentages(all), [25, 5]);
    assert_eq!(percentages(new().condition(pro())), [Value::Null]);
}

#[test]
fn what_is_added_to_null_is_kept_and_to_anything_else_an_error() {
    let filters = FlagFilters::new()
        .set("payloads", Value::Null)
        .payload("a", 1)
        .set("groups", Value::Null)
        .condition(FlagCondition::new())
        .set("multivariate", json!({"variants": null}))
        .variant(FlagVariant::new("a", 100));
    let wanted = json!({
        "groups": [{"properties": []}],
        "payloads": {"a": "1"},
        "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100}]},
    });
    assert_eq!(json(filters), wanted);
    let new = FlagFilters::new;
    for (filters, field) in [
        (new().set("payloads", 1).payload("a", 1), "payloads: "),
        (
            new().set("groups", "a").condition(FlagCondition::new()),
            "groups: ",
        ),
        (new().set("groups", "a").rollout_percentage(5), "groups: "),
        (
            new()
                .set("multivariate", json!([]))
                .variant(FlagVariant::new("a", 100)),
            "multivariate: ",
        ),
        (
            new()
                .set("multivariate", json!({"variants": 1}))
                .variant(FlagVariant::new("a", 100)),
            "multivariate: ",
        ),
    ] {
        let error = error(filters);
        assert!(error.starts_with(field), "{field} {error}");
    }
    let flag = NewFeatureFlag::new("x")
        .set("filters", 7)
        .rollout_percentage(5);
    assert!(error(flag).starts_with("filters: "));
    let flag = NewFeatureFlag::new("x")
        .set("filters", Value::Null)
        .rollout_percentage(5);
    assert_eq!(json(flag)["filters"]["groups"][0]["rollout_percentage"], 5);
}

#[test]
fn only_percentages_lose_their_fraction() {
    let read = json!({
        "groups": [{
            "properties": [{"key": "a", "value": 1.0}],
            "rollout_percentage": 25,
            "users_affected": 3,
            "later": 2.0,
        }],
        "multivariate": {"variants": [{"key": "a", "rollout_percentage": 100, "weight": 1.0}]},
        "unknown": 3.0,
    });
    let model: models::FeatureFlagFilters = serde_json::from_value(read.clone()).unwrap();
    // By text: numbers that differ only in their type are to differ.
    assert_eq!(
        json(FlagFilters::from(model.clone())).to_string(),
        read.to_string()
    );
    let condition = model.groups[0].clone();
    let variant = model.multivariate.unwrap().variants[0].clone();
    let condition = json(FlagCondition::from(condition)).to_string();
    assert_eq!(condition, read["groups"][0].to_string());
    let variant = json(FlagVariant::from(variant)).to_string();
    assert_eq!(variant, read["multivariate"]["variants"][0].to_string());
}

#[test]
fn percentages_stay_between_none_and_all() {
    for good in [0.0, 0.5, 100.0] {
        json(FlagFilters::new().rollout_percentage(good));
    }
    for bad in [-0.5, 100.5, f64::INFINITY] {
        let variant = FlagVariant::new("a", bad);
        let errors = [
            error(FlagFilters::new().rollout_percentage(bad)),
            error(FlagFilters::new().variant(variant.clone())),
            error(variant),
            error(FlagCondition::new().rollout_percentage(bad)),
            error(NewFeatureFlag::new("x").rollout_percentage(bad)),
            error(NewFeatureFlag::new("x").variant("a", bad)),
        ];
        for error in errors {
            assert!(error.starts_with("rollout_percentage: "), "{error}");
        }
    }
}

#[test]
fn filters_without_conditions_take_no_percentage() {
    let read = FlagFilters::from(models::FeatureFlagFilters::default());
    assert_eq!(json(read.clone())["groups"], json!([]));
    let error = error(read.rollout_percentage(50));
    assert!(
        error.starts_with("rollout_percentage: the filters have no"),
        "{error}"
    );
}

#[test]
fn the_percentage_of_one_condition_has_the_same_bounds() {
    use crate::rest::bodies::FlagConditionRollout;
    assert_eq!(
        json(FlagConditionRollout::new(0, 100))["rollout_percentage"],
        100
    );
    let error = error(FlagConditionRollout::new(0, 101));
    assert!(error.starts_with("rollout_percentage: 101 "), "{error}");
}
