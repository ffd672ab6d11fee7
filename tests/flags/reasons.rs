//! Why a flag has its value, who is asked about, and what a flag's payload is.

use crate::definitions::{body, condition, depends_on, filter, flag, in_cohort, parse, value};
use serde_json::{Value, json};
use std::time::SystemTime;
use tracing_posthog::{EvaluationContext, FlagDefinitions, FlagValue, UnresolvedReason};

fn why(definitions: &FlagDefinitions, context: &EvaluationContext) -> (String, Option<u32>) {
    let decision = definitions
        .evaluate("f", context, SystemTime::now())
        .unwrap();
    let reason = decision.reason().unwrap();
    assert_eq!(reason.description, None);
    (reason.code.to_owned(), reason.condition_index)
}

fn is_on(
    definitions: &FlagDefinitions,
    context: &EvaluationContext,
) -> Result<bool, UnresolvedReason> {
    value(definitions, "f", context).map(FlagValue::is_enabled)
}

fn with(flag: Value) -> FlagDefinitions {
    parse(&body(&[flag], json!({})))
}

fn share(filters: &[Value], percentage: u32) -> Value {
    json!({"properties": filters, "rollout_percentage": percentage})
}

#[test]
fn a_decision_says_why() {
    let pro = EvaluationContext::new("user_42").person("plan", "pro");
    let is = |plan| filter("plan", "exact", json!(plan));
    let changed = |key: &str, value: Value| {
        let mut flag = flag("f", &[condition(&[])]);
        flag["filters"][key] = value;
        flag
    };
    let mut inactive = flag("f", &[condition(&[])]);
    inactive["active"] = json!(false);
    for (flag, code, condition) in [
        (
            flag("f", &[condition(&[is("free")]), condition(&[is("pro")])]),
            "condition_match",
            Some(1),
        ),
        (
            flag("f", &[condition(&[is("free")])]),
            "no_condition_match",
            None,
        ),
        (flag("f", &[]), "no_condition_match", None),
        (
            flag(
                "f",
                &[condition(&[is("free")]), share(&[], 0), share(&[], 0)],
            ),
            "out_of_rollout_bound",
            Some(1),
        ),
        (inactive, "flag_disabled", None),
        (
            changed("aggregation_group_type_index", json!(0)),
            "no_group_type",
            None,
        ),
        (
            changed("holdout", json!({"id": 7, "exclusion_percentage": 100})),
            "holdout_condition_value",
            None,
        ),
    ] {
        let shown = flag.to_string();
        assert_eq!(
            why(&with(flag), &pro),
            (code.to_owned(), condition),
            "{shown}"
        );
    }
    let enrolled = pro.clone().person("$feature_enrollment/f", "true");
    let enrollment = with(changed("feature_enrollment", json!(true)));
    assert_eq!(
        why(&enrollment, &enrolled),
        ("super_condition_value".to_owned(), None)
    );
}

#[test]
fn the_gravest_reason_is_named() {
    let missing = || filter("gone", "exact", json!("x"));
    let unsupported = || filter("plan", "matches", json!("x"));
    let dependency = || depends_on("open", json!(true));
    let mut continuity = flag("f", &[condition(&[unsupported()])]);
    continuity["ensure_experience_continuity"] = json!(true);
    for (flag, expected) in [
        (
            flag("f", &[condition(&[missing()])]),
            UnresolvedReason::MissingContext,
        ),
        (
            flag("f", &[condition(&[missing(), dependency()])]),
            UnresolvedReason::UnresolvedDependency,
        ),
        (
            flag(
                "f",
                &[
                    condition(&[dependency()]),
                    condition(&[missing()]),
                    condition(&[unsupported()]),
                ],
            ),
            UnresolvedReason::UnsupportedDefinition,
        ),
        (continuity, UnresolvedReason::ExperienceContinuity),
    ] {
        let open = crate::definitions::flag("open", &[condition(&[missing()])]);
        let definitions = parse(&body(&[flag, open], json!({})));
        let context = EvaluationContext::new("user_42").person("plan", "pro");
        assert_eq!(value(&definitions, "f", &context), Err(expected));
    }
}

/// A static cohort, which definitions do not have, ends the evaluation; another undecided filter does not.
#[test]
fn nothing_after_a_cohort_that_only_posthog_knows_counts() {
    let everybody = condition(&[]);
    let context = EvaluationContext::new("user_42");
    let after = |filters: &[Value]| {
        let definitions = with(flag("f", &[condition(filters), everybody.clone()]));
        let never = definitions.undecidable().count();
        (is_on(&definitions, &context).ok(), never)
    };
    let on = Some(true);
    let missing = filter("gone", "exact", json!("x"));
    assert_eq!(after(std::slice::from_ref(&missing)).0, on);
    assert_eq!(after(&[in_cohort(9)]), (None, 1));
    assert_eq!(after(&[in_cohort(9), missing.clone()]).0, None);
    assert_eq!(after(&[missing, in_cohort(9)]).0, on);
}

/// With one condition for a third of the people, whose id is asked for decides.
#[test]
fn a_group_a_device_or_a_person_is_in_a_rollout() {
    let decisions =
        |change: &dyn Fn(&mut Value), who: &dyn Fn(EvaluationContext, u32) -> EvaluationContext| {
            let mut third = flag("f", &[share(&[], 33)]);
            change(&mut third);
            let definitions = with(third);
            (0..50)
                .map(|at| is_on(&definitions, &who(EvaluationContext::new("user_42"), at)))
                .collect::<Vec<_>>()
        };
    let by_person = decisions(&|_| (), &|_, at| EvaluationContext::new(format!("id-{at}")));
    assert!(by_person.contains(&Ok(true)));
    assert!(by_person.contains(&Ok(false)));
    let by_group = decisions(
        &|flag| flag["filters"]["aggregation_group_type_index"] = json!(1),
        &|context, at| context.group("project", format!("id-{at}")),
    );
    assert_eq!(by_group, by_person);
    let by_condition = decisions(
        &|flag| flag["filters"]["groups"][0]["aggregation_group_type_index"] = json!(1),
        &|context, at| context.group("project", format!("id-{at}")),
    );
    assert_eq!(by_condition, by_person);
    let device = |flag: &mut Value| flag["bucketing_identifier"] = json!("device_id");
    let by_device = decisions(&device, &|context, at| {
        context.device_id(format!("id-{at}"))
    });
    assert_eq!(by_device, by_person);
    let by_property = decisions(&device, &|context, at| {
        context.person("$device_id", format!("id-{at}"))
    });
    assert_eq!(by_property, by_person);
    let without = decisions(&device, &|context, _| context);
    assert!(
        without
            .iter()
            .all(|value| *value == Err(UnresolvedReason::MissingContext))
    );
}

#[test]
fn a_filter_reads_the_properties_of_its_own_source() {
    let group_filter = |index: Value| json!({"key": "seats", "type": "group", "group_type_index": index, "operator": "gt", "value": 10});
    let person_filter = filter("seats", "gt", json!(10));
    let context = EvaluationContext::new("user_42")
        .person("seats", 5)
        .group("company", "acme")
        .group_property("company", "seats", 20)
        .group("project", "p1");
    let of_company = |filter: Value| {
        let mut flag = flag("f", &[condition(&[filter])]);
        flag["filters"]["aggregation_group_type_index"] = json!(0);
        is_on(&with(flag), &context)
    };
    let of_person = |filter: Value| {
        value(&with(flag("f", &[condition(&[filter])])), "f", &context).map(FlagValue::is_enabled)
    };
    assert_eq!(of_company(group_filter(json!(0))), Ok(true));
    assert_eq!(of_company(group_filter(json!(null))), Ok(true));
    assert_eq!(of_company(person_filter.clone()), Ok(false));
    assert_eq!(of_person(person_filter), Ok(false));
    assert_eq!(of_person(group_filter(json!(0))), Ok(true));
    assert_eq!(
        of_person(group_filter(json!(1))),
        Err(UnresolvedReason::MissingContext)
    );
    assert_eq!(
        of_person(group_filter(json!(null))),
        Err(UnresolvedReason::UnsupportedDefinition)
    );
    let key = json!({"key": "$group_key", "type": "group", "group_type_index": 1, "value": "P1"});
    assert_eq!(of_person(key), Ok(true));
}

#[test]
fn payloads_are_decoded_when_asked_for() {
    let mut flag = flag("f", &[condition(&[])]);
    flag["filters"]["payloads"] = json!({
        "true": "{\"a\": 1}", "text": "\"t\"", "plain": {"b": 2}, "broken": "{", "null": "null", "none": null,
    });
    let definitions = with(flag);
    for (value, expected) in [
        (FlagValue::Bool(true), Some(json!({"a": 1}))),
        (FlagValue::Bool(false), None),
        (FlagValue::Variant("text"), Some(json!("t"))),
        (FlagValue::Variant("plain"), Some(json!({"b": 2}))),
        (FlagValue::Variant("broken"), None),
        (FlagValue::Variant("none"), None),
        (FlagValue::Variant("other"), None),
    ] {
        assert_eq!(definitions.payload("f", value), expected, "{value}");
    }
    assert_eq!(definitions.payload("g", FlagValue::Bool(true)), None);
}
