//! Definitions and inputs with the answers that PostHog's rules give.
//!
//! `cases.jsonl.gz` has one case per line: definitions, an input, what is expected, and what else is right.

use flate2::read::GzDecoder;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};
use tracing_posthog::{EvaluationContext, FlagDefinitions};

fn cases() -> Option<impl Iterator<Item = Value>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/flags/cases.jsonl.gz");
    let lines = BufReader::new(GzDecoder::new(File::open(path).ok()?)).lines();
    Some(lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap()))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

fn object<'a>(value: &'a Value, key: &str) -> &'a Map<String, Value> {
    value[key].as_object().unwrap()
}

fn context(input: &Value) -> EvaluationContext {
    let mut context = EvaluationContext::new(text(input, "distinct_id"))
        .person_properties(object(input, "person_properties").clone());
    if let Some(device) = input["device_id"].as_str() {
        context = context.device_id(device);
    }
    for (group_type, key) in object(input, "groups") {
        context = context.group(group_type, key.as_str().unwrap());
    }
    for (group_type, properties) in object(input, "group_properties") {
        for (name, value) in properties.as_object().unwrap() {
            context = context.group_property(group_type, name, value.clone());
        }
    }
    context
}

/// What this crate says, in the words of the cases.
fn answer(case: &Value) -> Value {
    let definitions =
        FlagDefinitions::parse(&serde_json::to_vec(&case["definitions"]).unwrap()).unwrap();
    let now: jiff::Timestamp = text(case, "now").parse().unwrap();
    let now = UNIX_EPOCH + Duration::from_nanos(now.as_nanosecond().try_into().unwrap());
    let input = &case["input"];
    let flag = text(input, "flag");
    let decision = definitions.evaluate(flag, &context(input), now);
    match decision.unwrap().value() {
        Ok(value) => json!({
            "decided": true,
            "value": value.to_json(),
            "payload": definitions.payload(flag, value),
        }),
        Err(reason) => json!({"decided": false, "reason": reason.as_str()}),
    }
}

/// An expected answer without a reason leaves the reason open.
fn is(answer: &Value, expected: &Value) -> bool {
    expected
        .as_object()
        .unwrap()
        .iter()
        .all(|(key, value)| answer[key] == *value)
}

#[test]
fn every_case_has_the_answer_of_posthogs_rules() {
    let Some(cases) = cases() else {
        println!("SKIPPED: the package has no cases; they are in the repository");
        return;
    };
    let mut wrong = Vec::new();
    let mut tags = BTreeMap::<String, (u32, u32)>::new();
    let (mut all, mut decided) = (0, 0);
    for case in cases {
        all += 1;
        let answer = answer(&case);
        decided += u32::from(answer["decided"] == true);
        let more = case["accept"].as_array().into_iter().flatten();
        let right = [&case["expect"]]
            .into_iter()
            .chain(more)
            .any(|expected| is(&answer, expected));
        let tag = tags.entry(text(&case, "tag").to_owned()).or_default();
        tag.0 += u32::from(right);
        tag.1 += 1;
        if !right {
            wrong.push(format!("{}: {answer}, not {}", case["id"], case["expect"]));
        }
    }
    println!(
        "{} of {all} cases right, {decided} decided locally",
        all - wrong.len()
    );
    for (tag, (right, all)) in tags {
        println!("  {tag}: {right} of {all}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(all, 3442);
}
