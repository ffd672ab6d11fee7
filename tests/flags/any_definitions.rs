//! Any definitions: nothing panics or runs without end, and undecided is never `false`.

use crate::definitions::{body, condition, depends_on, filter, flag, in_cohort, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing_posthog::{EvaluationContext, FlagDefinitions, FlagValue};

/// Names of properties. Nobody has one of another name.
const PROPERTIES: [&str; 6] = ["plan", "seats", "seen", "app", "name", "on"];
const FLAGS: [&str; 5] = ["a", "b", "c", "d", "unknown"];
const VARIANTS: [&str; 4] = ["control", "test", "", "holdout-7"];
#[rustfmt::skip]
const OPERATORS: [&str; 35] = [
    "exact", "is_not", "is_set", "is_not_set", "icontains", "not_icontains", "icontains_multi", "not_icontains_multi",
    "starts_with", "not_starts_with", "ends_with", "not_ends_with", "regex", "not_regex", "gt", "gte", "lt", "lte",
    "between", "not_between", "semver_eq", "semver_neq", "semver_gt", "semver_gte", "semver_lt", "semver_lte",
    "semver_tilde", "semver_caret", "semver_wildcard", "is_date_before", "is_date_after", "is_date_exact", "in",
    "matches", "",
];

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_930_000_000)
}

fn any_value() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(vec![
            "true", "FALSE", "", "pro", "Pro", "PRÓ", "ΣΑΣ", "free", "5", "5.0", "-3", "NaN",
            "1e999"
        ])
        .prop_map(Value::from),
        select(vec![
            "1.2.3",
            "v1.2",
            "1.*",
            "*",
            "1.2.3-beta.1",
            "03.08",
            "1.2.3.4",
            "-7d",
            "31m",
            "9999y",
            "-10000d"
        ])
        .prop_map(Value::from),
        select(vec![
            "2031-02-28",
            "2031-02-30",
            "2031-03-01T00:00:00+02:00",
            "1 May 2031",
            "^p",
            "(p)\\1",
            "(",
            "a{2,1}"
        ])
        .prop_map(Value::from),
        (-10..10_i64).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,6}".prop_map(Value::from),
    ];
    let some = one.clone();
    prop_oneof![
        8 => one,
        2 => vec(some.clone(), 0..4).prop_map(Value::from),
        1 => some.prop_map(|value| json!({"a": value})),
    ]
}

fn percentage() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(json!(100)),
        2 => Just(Value::Null),
        1 => Just(json!(0)),
        3 => (0.0..100.0).prop_map(|share: f64| json!(share)),
        1 => (-1e9..1e9).prop_map(|share: f64| json!(share)),
    ]
}

fn property_filter() -> impl Strategy<Value = Value> {
    let kinds = vec![
        "person",
        "person",
        "person",
        "group",
        "person_metadata",
        "galaxy",
    ];
    (select(&PROPERTIES[..]), select(&OPERATORS[..]), any_value(), select(kinds), 0..3_u32, any::<bool>()).prop_map(
        |(key, operator, value, kind, index, negation)| {
            json!({
                "key": key, "operator": operator, "value": value, "type": kind, "group_type_index": index,
                "negation": negation,
            })
        },
    )
}

fn any_filter() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => property_filter(),
        1 => (0..6_u32, select(vec!["in", "not_in", "exact", "is_set"])).prop_map(|(cohort, operator)| {
            let mut filter = in_cohort(cohort);
            filter["operator"] = json!(operator);
            filter
        }),
        1 => (select(&FLAGS[..]), prop_oneof![any::<bool>().prop_map(Value::from), Just(json!("test"))])
            .prop_map(|(flag, value)| depends_on(flag, value)),
    ]
}

fn any_cohort(filter: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let group = |values: Vec<Value>, all: bool| json!({"type": if all { "AND" } else { "OR" }, "values": values});
    let entry = filter.prop_recursive(3, 12, 3, move |entry| {
        (vec(entry, 0..3), any::<bool>()).prop_map(move |(values, all)| group(values, all))
    });
    (vec(entry, 0..4), any::<bool>()).prop_map(move |(values, all)| group(values, all))
}

fn any_flag(key: &'static str, filter: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let aggregation = select(vec![json!(null), json!(null), json!(0), json!(1), json!(2)]);
    let variants = vec((select(&VARIANTS[..]), 0..60_u32), 0..4);
    let conditions = vec(
        (
            vec(filter, 0..4),
            percentage(),
            select(&VARIANTS[..]),
            prop::option::of(aggregation.clone()),
        ),
        0..4,
    );
    let rare = |json: Value| prop_oneof![9 => Just(Value::Null), 1 => Just(json)];
    let switches = (
        rare(json!(true)),
        select(vec![json!(null), json!(true)]),
        rare(json!({"id": 7, "exclusion_percentage": 30})),
        rare(json!("device_id")),
        prop_oneof![9 => Just(true), 1 => Just(false)],
        rare(json!(true)),
    );
    (conditions, variants, aggregation, switches).prop_map(
        move |(conditions, variants, aggregation, switches)| {
            let (enrollment, early_exit, holdout, bucketing, active, continuity) = switches;
            let groups: Vec<Value> = conditions
            .into_iter()
            .map(|(properties, percentage, variant, aggregation)| {
                let mut group = json!({
                    "properties": properties, "rollout_percentage": percentage, "variant": variant,
                });
                if let Some(aggregation) = aggregation {
                    group["aggregation_group_type_index"] = aggregation;
                }
                group
            })
            .collect();
            let variants: Vec<Value> = variants
                .into_iter()
                .map(|(key, share)| json!({"key": key, "rollout_percentage": share}))
                .collect();
            json!({
                "id": 1, "key": key, "active": active, "ensure_experience_continuity": continuity,
                "filters": {
                    "groups": groups, "multivariate": {"variants": variants}, "holdout": holdout,
                    "aggregation_group_type_index": aggregation, "feature_enrollment": enrollment,
                    "early_exit": early_exit, "bucketing_identifier": bucketing,
                    "payloads": {"true": "1", "test": "[", "control": {"a": 1}},
                },
            })
        },
    )
}

fn any_body(filter: BoxedStrategy<Value>) -> impl Strategy<Value = Value> {
    let cohorts = vec(any_cohort(filter.clone()), 5);
    let flags = (
        any_flag("a", filter.clone()),
        any_flag("b", filter.clone()),
        any_flag("c", filter.clone()),
        any_flag("d", filter),
    );
    (flags, cohorts, 0..3_u32).prop_map(|((a, b, c, d), cohorts, matching)| {
        let cohorts = (0..)
            .zip(cohorts)
            .map(|(id, cohort): (u32, _)| (id.to_string(), cohort));
        let mut body = body(&[a, b, c, d], Value::Object(cohorts.collect()));
        body["property_matching_version"] = json!(matching);
        body
    })
}

type Properties = Vec<(&'static str, Value)>;

fn properties() -> impl Strategy<Value = Properties> {
    vec((select(&PROPERTIES[..]), any_value()), 0..8)
}

/// Somebody in a company, and in a project, with those properties.
fn somebody(id: &str, person: &Properties, company: &Properties) -> EvaluationContext {
    let mut context = EvaluationContext::new(id)
        .person_properties(person.clone())
        .device_id("device-1")
        .group("company", "acme")
        .group("project", "p1");
    for (name, value) in company {
        context = context.group_property("company", *name, value.clone());
    }
    context
}

/// The part of JSON with that number, counted as it is written.
fn part(value: &mut Value, number: usize) -> Result<&mut Value, usize> {
    let Some(mut number) = number.checked_sub(1) else {
        return Ok(value);
    };
    let parts: Vec<&mut Value> = match value {
        Value::Array(all) => all.iter_mut().collect(),
        Value::Object(all) => all.values_mut().collect(),
        _ => Vec::new(),
    };
    for one in parts {
        match part(one, number) {
            Ok(found) => return Ok(found),
            Err(left) => number = left,
        }
    }
    Err(number)
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(all) => all.iter().map(count).sum(),
        Value::Object(all) => all.values().map(count).sum(),
        _ => 0,
    }
}

/// Evaluates everything in both ways, which have to agree.
fn evaluate(
    definitions: &FlagDefinitions,
    context: &EvaluationContext,
) -> Result<(), TestCaseError> {
    let mut all = Vec::new();
    definitions.evaluate_all(context, now(), |key, decision| all.push((key, decision)));
    prop_assert_eq!(all.len(), definitions.len());
    for (key, decision) in all {
        prop_assert_eq!(definitions.evaluate(key, context, now()), Some(decision));
        prop_assert_eq!(decision.value().is_ok(), decision.reason().is_some());
        if let Ok(value) = decision.value() {
            definitions.payload(key, value);
        }
    }
    for (key, _) in definitions.undecidable() {
        let decision = definitions.evaluate(key, context, now()).unwrap();
        // Without its group a flag is off, whatever it asks for.
        let no_group = decision.reason().map(|reason| reason.code) == Some("no_group_type");
        prop_assert!(
            decision.value().is_err() || no_group,
            "{key} was decided: {decision:?}"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_definitions_are_evaluated(
        body in any_body(any_filter().boxed()), id in ".{0,20}", person in properties(), company in properties(),
    ) {
        evaluate(&parse(&body), &somebody(&id, &person, &company))?;
    }

    #[test]
    fn any_json_in_any_place_is_taken(
        mut body in any_body(any_filter().boxed()), odd in vec((any::<Index>(), any_value()), 1..6),
        person in properties(), company in properties(),
    ) {
        for (at, odd) in odd {
            let at = at.index(count(&body));
            *part(&mut body, at).unwrap() = odd;
        }
        if let Ok(definitions) = FlagDefinitions::parse(&serde_json::to_vec(&body).unwrap()) {
            evaluate(&definitions, &somebody("user_42", &person, &company))?;
        }
    }

    #[test]
    fn any_bytes_are_taken(
        body in any_body(any_filter().boxed()), at in any::<Index>(), bytes in vec(any::<u8>(), 0..4), cut: bool,
        person in properties(),
    ) {
        let mut text = serde_json::to_vec(&body).unwrap();
        let at = at.index(text.len());
        let end = if cut { text.len() } else { (at + bytes.len()).min(text.len()) };
        text.splice(at..end, bytes);
        if let Ok(definitions) = FlagDefinitions::parse(&text) {
            evaluate(&definitions, &somebody("user_42", &person, &Vec::new()))?;
        }
    }

    /// With what else there is, or without: what is `false` for somebody of whom little is known is `false` for the same
    /// somebody of whom more is known. Other flags are left out, since a flag that is on may become another variant.
    #[test]
    fn undecided_is_never_false(
        body in any_body(prop_oneof![
            6 => property_filter(),
            1 => (0..6_u32).prop_map(in_cohort),
        ].boxed()),
        id in ".{0,20}", person in properties(), company in properties(), known in any::<(Index, Index)>(),
    ) {
        let definitions = parse(&body);
        let more = somebody(&id, &person, &company);
        // A name that comes twice has the last value, so the last ones are known.
        let less = somebody(
            &id,
            &person[known.0.index(person.len() + 1)..].to_vec(),
            &company[known.1.index(company.len() + 1)..].to_vec(),
        );
        definitions.evaluate_all(&less, now(), |key, decision| {
            if decision.value() == Ok(FlagValue::Bool(false)) {
                let full = definitions.evaluate(key, &more, now()).unwrap();
                assert_eq!(full.value(), Ok(FlagValue::Bool(false)), "{key} of {body}");
            }
        });
    }

    #[test]
    fn a_flag_that_asks_for_an_absent_property_is_undecided(
        operator in select(&OPERATORS[..]), asked in any_value(), others in vec(select(&PROPERTIES[..]), 0..3),
        percentage in percentage(), early_exit: bool, variant in select(&VARIANTS[..]), person in properties(),
    ) {
        let mut filters: Vec<Value> = others
            .into_iter()
            .map(|key| filter(key, "is_set", Value::Null))
            .collect();
        filters.insert(filters.len() / 2, filter("absent", operator, asked));
        let mut asks = condition(&filters);
        asks["rollout_percentage"] = percentage;
        asks["variant"] = json!(variant);
        let mut flag = flag("asks", &[asks]);
        flag["filters"]["early_exit"] = json!(early_exit);
        let definitions = parse(&body(&[flag], json!({})));
        let decision = definitions.evaluate("asks", &somebody("user_42", &person, &Vec::new()), now());
        prop_assert!(decision.unwrap().value().is_err());
    }
}
