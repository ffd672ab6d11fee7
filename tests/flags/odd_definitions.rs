//! Definitions that are odd, broken or hostile. What cannot be read is undecided by itself.

use crate::definitions::{body, condition, depends_on, filter, flag, in_cohort, parse, value};
use serde_json::{Map, Value, json};
use tracing_posthog::{EvaluationContext, FlagDefinitions, FlagValue, UnresolvedReason};

const ON: Result<FlagValue<'_>, UnresolvedReason> = Ok(FlagValue::Bool(true));
const UNSUPPORTED: Result<FlagValue<'_>, UnresolvedReason> =
    Err(UnresolvedReason::UnsupportedDefinition);

fn somebody() -> EvaluationContext {
    EvaluationContext::new("user_42").person("plan", "pro")
}

/// The flag `odd` as that text, before and after flags that are on.
fn beside_good_ones(odd: &str) -> FlagDefinitions {
    let good = |key| flag(key, &[condition(&[])]).to_string();
    let text = format!(
        r#"{{"flags": [{}, {odd}, {}]}}"#,
        good("before"),
        good("after")
    );
    let definitions = FlagDefinitions::parse(text.as_bytes()).unwrap();
    assert_eq!(value(&definitions, "before", &somebody()), ON, "{odd}");
    assert_eq!(value(&definitions, "after", &somebody()), ON, "{odd}");
    definitions
}

#[test]
fn a_flag_that_cannot_be_read_is_undecided_and_costs_no_other() {
    let deep = |depth| "[".repeat(depth) + &"]".repeat(depth);
    let filters = [
        "5".to_owned(),
        r#""text""#.to_owned(),
        "[]".to_owned(),
        "true".to_owned(),
        r#"{"groups": 5}"#.to_owned(),
        r#"{"groups": {}}"#.to_owned(),
        r#"{"groups": [5]}"#.to_owned(),
        r#"{"groups": [[]]}"#.to_owned(),
        r#"{"groups": [{"properties": "none"}]}"#.to_owned(),
        r#"{"groups": [{"properties": [7]}]}"#.to_owned(),
        r#"{"groups": [{"rollout_percentage": "50"}]}"#.to_owned(),
        r#"{"groups": [{"rollout_percentage": [50]}]}"#.to_owned(),
        r#"{"groups": [{"variant": 5}]}"#.to_owned(),
        r#"{"groups": [{"aggregation_group_type_index": "0"}]}"#.to_owned(),
        r#"{"groups": [{}], "multivariate": []}"#.to_owned(),
        r#"{"groups": [{}], "multivariate": {"variants": {}}}"#.to_owned(),
        r#"{"groups": [{}], "multivariate": {"variants": [{"key": "a"}]}}"#.to_owned(),
        r#"{"groups": [{}], "multivariate": {"variants": [{"rollout_percentage": 5}]}}"#.to_owned(),
        r#"{"groups": [{}], "holdout": 5}"#.to_owned(),
        r#"{"groups": [{}], "holdout": {"id": "x", "exclusion_percentage": 5}}"#.to_owned(),
        r#"{"groups": [{}], "early_exit": "yes"}"#.to_owned(),
        r#"{"groups": [{}], "feature_enrollment": "yes"}"#.to_owned(),
        r#"{"groups": [{}], "aggregation_group_type_index": 9}"#.to_owned(),
        r#"{"groups": [{}], "version": "1"}"#.to_owned(),
        r#"{"groups": [{}], "version": 1.5}"#.to_owned(),
        // Not a number that there is, text that is none, and deeper than anybody reads.
        r#"{"groups": [{"rollout_percentage": 1e999}]}"#.to_owned(),
        r#"{"groups": [{"properties": [{"key": "\ud800"}]}]}"#.to_owned(),
        format!(
            r#"{{"groups": [{{"properties": [{{"key": "plan", "value": {}}}]}}]}}"#,
            deep(200_000)
        ),
    ];
    for filters in filters {
        let odd = format!(r#"{{"key": "odd", "active": true, "filters": {filters}}}"#);
        let definitions = beside_good_ones(&odd);
        let short = &odd[..odd.len().min(200)];
        assert_eq!(
            value(&definitions, "odd", &somebody()),
            UNSUPPORTED,
            "{short}"
        );
        assert_eq!(
            definitions.undecidable().collect::<Vec<_>>(),
            [("odd", UnresolvedReason::UnsupportedDefinition)],
            "{short}"
        );
    }
    for odd in [
        r#"{"key": "odd", "active": "yes"}"#,
        r#"{"key": "odd", "active": true, "ensure_experience_continuity": 1}"#,
        r#"{"key": "odd", "active": true, "bucketing_identifier": 1}"#,
    ] {
        let definitions = beside_good_ones(odd);
        assert_eq!(
            value(&definitions, "odd", &somebody()),
            UNSUPPORTED,
            "{odd}"
        );
    }
}

#[test]
fn every_key_may_be_missing_or_null() {
    for absent in [
        r#"{"key": "odd", "active": true}"#,
        r#"{"key": "odd", "active": null}"#,
        r#"{"key": "odd", "active": true, "filters": null}"#,
        r#"{"key": "odd", "active": true, "filters": {"groups": null, "multivariate": null, "payloads": null}}"#,
    ] {
        let definitions = beside_good_ones(absent);
        let off = Ok(FlagValue::Bool(false));
        assert_eq!(value(&definitions, "odd", &somebody()), off, "{absent}");
    }
    let definitions = beside_good_ones(
        r#"{"key": "odd", "active": true, "filters": {"groups": [{"properties": null,
            "rollout_percentage": null, "variant": null}], "multivariate": {"variants": null},
            "holdout": null, "super_groups": null, "early_exit": null, "version": null}}"#,
    );
    assert_eq!(value(&definitions, "odd", &somebody()), ON);
}

#[test]
fn a_flag_without_a_key_is_left_out() {
    for odd in ["5", "null", "[]", "{}", r#"{"key": 5}"#, r#"{"key": null}"#] {
        assert_eq!(beside_good_ones(odd).len(), 2, "{odd}");
    }
}

#[test]
fn of_a_key_that_comes_twice_the_last_counts() {
    let definitions = parse(&body(
        &[
            flag("twice", &[]),
            flag("other", &[]),
            flag("twice", &[condition(&[])]),
        ],
        json!({}),
    ));
    assert_eq!(value(&definitions, "twice", &somebody()), ON);
    assert_eq!(definitions.keys().collect::<Vec<_>>(), ["twice", "other"]);

    let definitions = beside_good_ones(
        r#"{"key": "first", "key": "odd", "active": false, "active": true,
            "filters": 5, "filters": {"groups": [{}]}}"#,
    );
    assert_eq!(value(&definitions, "odd", &somebody()), ON);
}

#[test]
fn a_body_without_a_list_of_flags_is_an_error_that_shows_nothing_of_it() {
    for body in [
        &b""[..],
        b"secret",
        b"{",
        br#"{"secret": []}"#,
        br#"{"flags": "secret"}"#,
        br#"{"flags": null}"#,
        br#"["secret"]"#,
        br#""secret""#,
        b"5",
        b"null",
        b"<html>secret</html>",
        b"{\"flags\": [\"\xff secret\"]}",
    ] {
        let error = FlagDefinitions::parse(body).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("secret"), "{shown}");
    }
}

#[test]
fn odd_neighbours_of_the_flags_cost_none() {
    for (key, odd) in [
        ("cohorts", json!(5)),
        ("cohorts", json!([{"1": {}}])),
        (
            "cohorts",
            json!({"1": null, "2": 5, "3": {"type": "XOR", "values": []}}),
        ),
        ("group_type_mapping", json!("company")),
        ("group_type_mapping", json!({"0": 5})),
        ("property_matching_version", json!("2")),
        ("minimal_flag_called_events", json!("yes")),
    ] {
        let mut body = body(&[flag("good", &[condition(&[])])], json!({}));
        body[key] = odd;
        assert_eq!(value(&parse(&body), "good", &somebody()), ON, "{body}");
    }
}

#[test]
fn an_odd_cohort_is_undecided_by_itself() {
    let odd = [
        json!(null),
        json!(5),
        json!({}),
        json!({"type": "OR", "values": []}),
        json!({"type": "XOR", "values": [filter("plan", "exact", json!("pro"))]}),
        json!({"type": "AND", "values": "all"}),
        json!({"type": "AND", "values": [5]}),
        json!({"type": "AND", "values": [{"type": "AND", "values": 5}]}),
        json!({"type": "AND", "values": [{"key": "plan", "value": "pro", "negation": "yes"}]}),
    ];
    for odd in odd {
        let definitions = parse(&body(
            &[
                flag("odd", &[condition(&[in_cohort(1)])]),
                flag("good", &[condition(&[in_cohort(2)])]),
            ],
            json!({"1": odd, "2": {"type": "AND", "values": [filter("plan", "exact", json!("pro"))]}}),
        ));
        assert_eq!(
            value(&definitions, "odd", &somebody()),
            UNSUPPORTED,
            "{odd}"
        );
        assert_eq!(value(&definitions, "good", &somebody()), ON, "{odd}");
    }
}

#[test]
fn flags_and_cohorts_in_circles_are_undecided() {
    let definitions = parse(&body(
        &[
            flag("itself", &[condition(&[depends_on("itself", json!(true))])]),
            flag("one", &[condition(&[depends_on("other", json!(true))])]),
            flag("other", &[condition(&[depends_on("one", json!(true))])]),
            flag("by_cohort", &[condition(&[in_cohort(1)])]),
            flag("behind", &[condition(&[depends_on("one", json!(true))])]),
            flag(
                "decided",
                &[
                    condition(&[depends_on("decided", json!(true))]),
                    condition(&[filter("plan", "exact", json!("pro"))]),
                ],
            ),
        ],
        json!({"1": {"type": "OR", "values": [
            filter("plan", "exact", json!("free")),
            depends_on("by_cohort", json!(true)),
        ]}}),
    ));
    for (key, expected) in [
        ("itself", UNSUPPORTED),
        ("one", UNSUPPORTED),
        ("other", UNSUPPORTED),
        ("by_cohort", UNSUPPORTED),
        ("behind", Err(UnresolvedReason::UnresolvedDependency)),
        ("decided", ON),
    ] {
        assert_eq!(value(&definitions, key, &somebody()), expected, "{key}");
    }
    let never: Vec<_> = definitions.undecidable().map(|(key, _)| key).collect();
    assert_eq!(never, ["itself", "one", "other", "by_cohort", "behind"]);
}

/// So many cohorts, each of which refers to the next one so often.
fn chain(length: u32, times: usize) -> FlagDefinitions {
    let mut cohorts = Map::new();
    for at in 0..length {
        let next = vec![in_cohort(at + 1); times];
        cohorts.insert(at.to_string(), json!({"type": "AND", "values": next}));
    }
    let last = json!({"type": "AND", "values": [filter("plan", "exact", json!("pro"))]});
    cohorts.insert(length.to_string(), last);
    parse(&body(
        &[flag("first", &[condition(&[in_cohort(0)])])],
        Value::Object(cohorts),
    ))
}

#[test]
fn cohorts_within_cohorts_end_soon() {
    assert_eq!(value(&chain(50, 1), "first", &somebody()), ON);
    // Deeper than the stack.
    assert_eq!(value(&chain(10_000, 1), "first", &somebody()), UNSUPPORTED);
    // Half a million million ways from the first to the last one.
    assert_eq!(value(&chain(39, 2), "first", &somebody()), UNSUPPORTED);
}

/// So many flags, each of which depends on the next one so often.
fn flags_in_a_row(length: u32, times: usize) -> FlagDefinitions {
    let mut flags: Vec<Value> = (0..length)
        .map(|at| {
            let next = depends_on(&format!("flag-{}", at + 1), json!(true));
            flag(&format!("flag-{at}"), &[condition(&vec![next; times])])
        })
        .collect();
    flags.push(flag(&format!("flag-{length}"), &[condition(&[])]));
    parse(&body(&flags, json!({})))
}

#[test]
fn flags_within_flags_end_soon() {
    let first = |definitions: &FlagDefinitions| value(definitions, "flag-0", &somebody()).is_ok();
    assert!(first(&flags_in_a_row(50, 1)));
    assert!(!first(&flags_in_a_row(10_000, 1)));
    assert!(!first(&flags_in_a_row(39, 2)));
}

#[test]
fn the_deepest_definitions_need_little_stack() {
    let cohorts = chain(97, 1);
    let flags = flags_in_a_row(98, 1);
    let evaluate = move || {
        assert_eq!(value(&cohorts, "first", &somebody()), ON);
        assert_eq!(value(&flags, "flag-0", &somebody()), ON);
    };
    // An eighth of what threads of `tokio` have.
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    thread.spawn(evaluate).unwrap().join().unwrap();
}

#[test]
fn groups_within_a_cohort_end_soon() {
    for (depth, expected) in [(20, ON), (110, UNSUPPORTED), (100_000, UNSUPPORTED)] {
        let cohort = r#"{"type": "AND", "values": ["#.repeat(depth)
            + &filter("plan", "exact", json!("pro")).to_string()
            + &"]}".repeat(depth);
        let text = format!(
            r#"{{"flags": [{}], "cohorts": {{"1": {cohort}}}}}"#,
            flag("f", &[condition(&[in_cohort(1)])])
        );
        let definitions = FlagDefinitions::parse(text.as_bytes()).unwrap();
        assert_eq!(value(&definitions, "f", &somebody()), expected, "{depth}");
    }
}

#[test]
fn patterns_are_bounded() {
    let matches = |pattern: &str, operator: &str, text: &str| {
        let definitions = parse(&body(
            &[flag(
                "f",
                &[condition(&[filter("p", operator, json!(pattern))])],
            )],
            json!({}),
        ));
        let context = EvaluationContext::new("user_42").person("p", text);
        value(&definitions, "f", &context).map(FlagValue::is_enabled)
    };
    // Steps back too often: no match, whatever is asked.
    let hard = format!("{}b", "a".repeat(40));
    for operator in ["regex", "not_regex"] {
        assert_eq!(matches(r"^(a|a)*\1$(?=x)", operator, &hard), Ok(false));
    }
    // Larger than is compiled here, and not for PostHog.
    for operator in ["regex", "not_regex"] {
        assert_eq!(
            matches(r"(?:\w{100}){3}", operator, "text"),
            Err(UnresolvedReason::UnsupportedDefinition)
        );
    }
    assert_eq!(matches(r"(?:\w{2}){2}", "regex", "text"), Ok(true));
    // Too long to be tried: compiling takes a thousand times the memory.
    let long = |spaces| format!("(?x){}text", " ".repeat(spaces));
    assert_eq!(matches(&long(60_000), "regex", "text"), Ok(true));
    for operator in ["regex", "not_regex"] {
        assert_eq!(
            matches(&long(70_000), operator, "text"),
            Err(UnresolvedReason::UnsupportedDefinition)
        );
    }
}

#[test]
fn many_slow_patterns_do_not_keep_definitions_from_loading() {
    // About ten milliseconds each.
    let flags: Vec<Value> = (0..2_000)
        .map(|at| {
            let pattern = json!(format!(r"^\w{{30}}{at}$"));
            flag(
                &format!("f{at}"),
                &[condition(&[filter("p", "regex", pattern)])],
            )
        })
        .collect();
    let definitions = parse(&body(&flags, json!({})));
    // One that was not compiled yet.
    let context = EvaluationContext::new("user_42").person("p", "a".repeat(30) + "1999");
    assert_eq!(value(&definitions, "f1999", &context), ON);
    assert_eq!(
        value(&definitions, "f1998", &context),
        Ok(FlagValue::Bool(false))
    );
}
