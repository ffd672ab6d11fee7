//! Takes schemas of a document over into `schemas.json`.

use super::document::Document;
use super::{NO_DOCUMENTS, Report, take_over};
use serde_json::{Map, Value};

/// Facts of a field that a document knows.
const FACTS: [&str; 10] = [
    "type",
    "required",
    "nullable",
    "read_only",
    "deprecated",
    "enum",
    "const",
    "format",
    "default",
    "description",
];

pub fn merge(
    mut schemas: Map<String, Value>,
    document: &Document,
    label: &str,
    report: &mut Report,
) -> Map<String, Value> {
    for (name, new) in &document.schemas {
        match schemas.get_mut(name).and_then(Value::as_object_mut) {
            Some(old) if is_of_another_source(old) => {
                report
                    .kept
                    .push(format!("{name}: a schema of another source has this name"));
            }
            Some(old) => update(old, name, new, label, report),
            None => {
                let mut new = new.clone();
                new.insert("since".into(), label.into());
                report.new.push(format!("schema {name}"));
                schemas.insert(name.clone(), Value::Object(new));
            }
        }
    }
    for (name, schema) in &schemas {
        let other = schema.as_object().is_none_or(is_of_another_source);
        // `Cohort@2026-05` is `Cohort` as another document has it.
        if !other && !name.contains('@') && !document.schemas.contains_key(name) {
            report.gone.push(format!("schema {name}"));
        }
    }
    let mut sorted: Vec<(String, Value)> = schemas.into_iter().collect();
    sorted.sort_by(|a, b| a.0.cmp(&b.0));
    sorted.into_iter().collect()
}

/// Of posthog-cli, or made by hand of its parts.
fn is_of_another_source(schema: &Map<String, Value>) -> bool {
    let since = schema.get("since").and_then(Value::as_str);
    since.is_some_and(|since| NO_DOCUMENTS.contains(&since))
        || schema.contains_key("like")
        || schema.contains_key("nested_in")
}

fn update(
    old: &mut Map<String, Value>,
    name: &str,
    new: &Map<String, Value>,
    label: &str,
    report: &mut Report,
) {
    if old.get("kind") != new.get("kind") {
        let (was, is) = (&old["kind"], &new["kind"]);
        report
            .changed
            .push(format!("schema {name}: kind {was} -> {is}"));
        let since = old.get("since").cloned();
        *old = new.clone();
        old.extend(since.map(|since| ("since".to_owned(), since)));
        return;
    }
    match new["kind"].as_str() {
        Some("object") => fields(old, name, new, label, report),
        Some("enum") => values(old, name, new, "values", report),
        Some("union") => values(old, name, new, "variants", report),
        _ => take_over(old, new, &["type"], &format!("schema {name}"), report),
    }
}

fn fields(
    old: &mut Map<String, Value>,
    name: &str,
    new: &Map<String, Value>,
    label: &str,
    report: &mut Report,
) {
    let list = |schema: &Map<String, Value>| -> Vec<Map<String, Value>> {
        let fields = schema.get("fields").and_then(Value::as_array);
        let fields = fields.into_iter().flatten();
        fields.filter_map(|f| f.as_object().cloned()).collect()
    };
    let mut fields = list(old);
    let news = list(new);
    for field in &mut fields {
        let what = format!("{name}.{}", field["name"].as_str().unwrap_or_default());
        match news.iter().find(|f| f["name"] == field["name"]) {
            Some(new) => take_over(field, new, &FACTS, &what, report),
            None => report.gone.push(what),
        }
    }
    for mut field in news {
        if !fields.iter().any(|f| f["name"] == field["name"]) {
            report.new.push(format!(
                "{name}.{}",
                field["name"].as_str().unwrap_or_default()
            ));
            field.insert("since".into(), label.into());
            fields.push(field);
        }
    }
    old.insert("fields".into(), fields.into());
}

/// The values of an enum or the variants of a union: new ones are added, others kept.
fn values(
    old: &mut Map<String, Value>,
    name: &str,
    new: &Map<String, Value>,
    list: &str,
    report: &mut Report,
) {
    let all = |schema: &Map<String, Value>| {
        let values = schema.get(list).and_then(Value::as_array);
        values.cloned().unwrap_or_default()
    };
    let (mut values, news) = (all(old), all(new));
    for gone in values.iter().filter(|v| !news.contains(v)) {
        report.gone.push(format!("{name}: {gone}"));
    }
    for value in news {
        if !values.contains(&value) {
            report.new.push(format!("{name}: {value}"));
            values.push(value);
        }
    }
    old.insert(list.to_owned(), values.into());
}
