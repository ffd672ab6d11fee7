//! Every type, as JSON, against PostHog's schema.
//!
//! Each type makes samples of itself: what its constructor makes, with everything set, with everything cleared, and with
//! each value of each enum. They must fit the schema in api/schemas.json, which knows no fields beyond those it names.
//! api/bodies.txt corrects it where it is wrong; `generated/checks.rs` says where.

use crate::rest::body::sample::{ANY, Sample};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// A type, the schema that it fits, and how the table corrects that.
pub(super) struct Check {
    name: &'static str,
    schema: &'static str,
    /// Fields that the schema lacks.
    added: &'static [&'static str],
    /// Fields that are required, though the schema does not say so.
    needed: &'static [&'static str],
    /// Fields that are not required, though the schema says so.
    free: &'static [&'static str],
    /// Fields that have another type.
    other: &'static [&'static str],
    samples: fn() -> Vec<Value>,
}

pub(super) fn check<T: Sample + Serialize>(
    name: &'static str,
    schema: &'static str,
    added: &'static [&'static str],
    needed: &'static [&'static str],
    free: &'static [&'static str],
    other: &'static [&'static str],
) -> Check {
    Check {
        name,
        schema,
        added,
        needed,
        free,
        other,
        samples: || {
            let samples = T::samples().into_iter();
            samples.map(|s| serde_json::to_value(s).unwrap()).collect()
        },
    }
}

/// The list of all types.
macro_rules! checks {
    ($( $name:ident: $schema:literal, $added:expr, $needed:expr, $free:expr, $other:expr; )*) => {
        pub(in crate::rest::bodies) fn all() -> Vec<$crate::rest::bodies::check::Check> {
            vec![$( $crate::rest::bodies::check::check::<$name>(
                stringify!($name), $schema, $added, $needed, $free, $other) ),*]
        }
    };
}

pub(super) use checks;

/// api/schemas.json, which the published package does not have, nor any other file of that folder.
fn seen() -> Option<&'static Value> {
    static SEEN: OnceLock<Option<Value>> = OnceLock::new();
    SEEN.get_or_init(|| {
        let api = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/api"));
        match std::fs::read_to_string(api.join("schemas.json")) {
            Ok(text) => Some(serde_json::from_str(&text).unwrap()),
            Err(_) if !api.join("bodies.txt").exists() => None,
            Err(error) => panic!("api/schemas.json cannot be read: {error}"),
        }
    })
    .as_ref()
}

/// The values of an enum of the schemas.
pub(super) fn values_of(schema: &str) -> Vec<String> {
    let values = seen().and_then(|seen| seen[schema]["values"].as_array());
    let values = values.into_iter().flatten();
    values
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}

/// A JSON Schema of a type, with what it refers to under `$defs`.
fn json_schema(seen: &Value, all: &[Check], check: &Check) -> Value {
    let mut root = corrected(seen, check);
    // Only what it refers to: the validator reads all that is there.
    let mut defs = Map::new();
    let mut wanted = vec![root.to_string()];
    while let Some(text) = wanted.pop() {
        for name in text
            .split("#/$defs/")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
        {
            if !defs.contains_key(name) {
                let corrections = all.iter().find(|check| check.schema == name);
                let def = match corrections {
                    Some(check) => corrected(seen, check),
                    None => model(&seen[name]),
                };
                wanted.push(def.to_string());
                defs.insert(name.to_owned(), def);
            }
        }
    }
    root["$defs"] = defs.into();
    root
}

/// A schema, as the table corrects it.
fn corrected(seen: &Value, check: &Check) -> Value {
    let mut root = model(&seen[check.schema]);
    let properties = root["properties"].as_object_mut().unwrap();
    for name in check.added {
        assert!(
            properties.insert((*name).to_owned(), json!(true)).is_none(),
            "{}: the schema has `{name}` now",
            check.name
        );
    }
    for name in check.other {
        properties.insert((*name).to_owned(), json!(true));
    }
    let required = root["required"].as_array_mut().unwrap();
    required.retain(|name| !check.free.contains(&name.as_str().unwrap()));
    required.extend(check.needed.iter().map(|name| json!(name)));
    root
}

fn model(of: &Value) -> Value {
    let text = |key: &str| of[key].as_str().unwrap_or_default();
    match text("kind") {
        "object" => {
            let mut properties = Map::new();
            let mut required = Vec::new();
            for field in of["fields"].as_array().unwrap() {
                let name = field["name"].as_str().unwrap();
                let mut schema = of_type(field["type"].as_str().unwrap());
                if let Some(value) = field.get("const") {
                    schema = json!({"const": value});
                }
                if field["format"] == "date-time" {
                    schema = json!({"type": "string", "format": "date-time"});
                }
                if field["nullable"] == true {
                    schema = json!({"anyOf": [schema, {"type": "null"}]});
                }
                if field["required"] == true && field["read_only"] != true {
                    required.push(json!(name));
                }
                properties.insert(name.to_owned(), schema);
            }
            json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
        }
        "enum" => json!({"enum": of["values"]}),
        "union" => {
            let variants = of["variants"].as_array().unwrap();
            json!({"anyOf": variants.iter().map(|v| of_type(v.as_str().unwrap_or("any"))).collect::<Vec<_>>()})
        }
        _ => of_type(of["type"].as_str().unwrap_or("any")),
    }
}

fn of_type(of: &str) -> Value {
    // What takes any JSON shows this text. It stands for more than a text, number or boolean only.
    let or_any = |schema: Value| json!({"anyOf": [schema, {"const": ANY}]});
    let inner = |prefix: &str| of.strip_prefix(prefix)?.strip_suffix('>');
    match of {
        "any" => json!(true),
        "string" | "number" | "integer" | "boolean" => json!({"type": of}),
        _ if top_level(of).len() > 1 => {
            let parts: Vec<_> = top_level(of).into_iter().map(of_type).collect();
            or_any(json!({"anyOf": parts}))
        }
        _ => match (inner("array<"), inner("map<")) {
            (Some(item), _) => or_any(json!({"type": "array", "items": of_type(item)})),
            (_, Some(item)) => {
                or_any(json!({"type": "object", "additionalProperties": of_type(item)}))
            }
            _ => or_any(json!({"$ref": format!("#/$defs/{of}")})),
        },
    }
}

/// The parts of a union that stand in no brackets.
fn top_level(of: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0, 0);
    for (at, c) in of.char_indices() {
        match c {
            '<' => depth += 1,
            '>' => depth -= 1,
            '|' if depth == 0 => {
                parts.push(of[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(of[from..].trim());
    parts
}

/// What is wrong with a value, by the schema of a type.
fn problems(seen: &Value, all: &[Check], check: &Check, samples: &[Value]) -> Vec<String> {
    let schema = json_schema(seen, all, check);
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let mut problems = Vec::new();
    for sample in samples {
        for error in validator.iter_errors(sample) {
            let at = error.instance_path().to_string();
            problems.push(format!("{} {at}: {error}: {sample}", check.name));
        }
    }
    problems
}

#[test]
fn every_body_fits_its_schema() {
    let Some(seen) = seen() else {
        // The published package has no schemas.
        return;
    };
    let checks = super::generated::checks::all();
    assert!(checks.len() > 180, "{}", checks.len());
    let problems: Vec<_> = checks
        .iter()
        .flat_map(|check| problems(seen, &checks, check, &(check.samples)()))
        .collect();
    let count = problems.len();
    assert!(
        problems.is_empty(),
        "{count} problems:\n{}",
        problems.join("\n")
    );
}

/// Corrections that change nothing are to leave the table: the schema is right by now.
#[test]
fn every_correction_is_needed() {
    let Some(seen) = seen() else {
        return;
    };
    let checks = super::generated::checks::all();
    let mut stale = Vec::new();
    for (at, check) in checks.iter().enumerate() {
        let plain = model(&seen[check.schema]);
        let is_field = |name: &str| plain["properties"].get(name).is_some();
        let is_required = |name: &str| {
            let required = plain["required"].as_array().unwrap();
            required.iter().any(|required| required == name)
        };
        let mut is_stale = |is_stale: bool, what: &str, name: &str| {
            if is_stale {
                stale.push(format!("{}: `{name}` in `{what}`", check.name));
            }
        };
        for name in check.added {
            is_stale(is_field(name), "added", name);
        }
        for name in check.needed {
            is_stale(is_required(name), "needed", name);
        }
        for name in check.free {
            is_stale(!is_required(name), "free", name);
        }
        let samples = (check.samples)();
        for (place, name) in check.other.iter().enumerate() {
            let mut others: Vec<_> = check.other.to_vec();
            others.remove(place);
            let mut all = super::generated::checks::all();
            all[at].other = others.leak();
            let fits = problems(seen, &all, &all[at], &samples).is_empty();
            is_stale(!is_field(name) || fits, "other", name);
        }
    }
    assert!(stale.is_empty(), "{}:\n{}", stale.len(), stale.join("\n"));
}

/// So that the tests above mean something.
#[test]
fn what_does_not_fit_is_found() {
    let Some(seen) = seen() else {
        return;
    };
    let checks = super::generated::checks::all();
    let wrong = |name: &str, value: Value| {
        let check = checks.iter().find(|c| c.name == name).unwrap();
        !problems(seen, &checks, check, &[value]).is_empty()
    };
    let survey = |with: Value| {
        let mut survey = json!({"name": "a", "type": "popover"});
        for (name, value) in with.as_object().unwrap() {
            survey[name] = value.clone();
        }
        survey
    };
    assert!(!wrong("NewSurvey", survey(json!({}))));
    for with in [
        json!({"unknown": 1}),
        json!({"type": "pop-over"}),
        json!({"name": null}),
        json!({"start_date": "2031-04-05 06:00:00 UTC"}),
        json!({"responses_limit": "3"}),
        json!({"questions": [{"type": "open", "question": "?", "scale": 5}]}),
        json!({"targeting_flag_filters": {"payloads": {"a": 1}}}),
    ] {
        assert!(wrong("NewSurvey", survey(with.clone())), "{with}");
    }
    assert!(wrong("NewSurvey", json!({"name": "a"})));
    // Required by the table only.
    assert!(wrong("NewFeatureFlag", json!({"name": "a"})));
}
