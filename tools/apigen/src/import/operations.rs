//! Takes operations of a document over into `operations.json`.

use super::document::{Document, Operation, shape};
use super::{Report, labels, of_a_document, take_over, with};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

type Row = Map<String, Value>;

/// Facts of a query parameter that a document knows.
const FACTS: [&str; 10] = [
    "type",
    "required",
    "nullable",
    "format",
    "enum",
    "item_enum",
    "const",
    "default",
    "deprecated",
    "description",
];

pub fn merge(
    mut rows: Vec<Row>,
    schemas: &Map<String, Value>,
    document: &Document,
    label: &str,
    report: &mut Report,
) -> Vec<Row> {
    let text = |row: &Row, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let key = |row: &Row| (text(row, "method"), shape(&text(row, "path")).0);
    let places: BTreeMap<_, _> = rows
        .iter()
        .enumerate()
        .map(|(i, row)| (key(row), i))
        .collect();
    let mut shapes: BTreeSet<String> = places.keys().map(|(_, shape)| shape.clone()).collect();
    shapes.extend(document.operations.keys().map(|(_, shape)| shape.clone()));
    for (key, operation) in &document.operations {
        match places.get(key) {
            Some(place) => update(&mut rows[*place], schemas, operation, label, report),
            None => {
                report.new.push(format!("{} {}", key.0, operation.path));
                rows.push(made(&key.0, operation, &shapes, label));
            }
        }
    }
    for (key, place) in places {
        let row = &rows[place];
        if of_a_document(&labels(row.get("seen_in"))) && !document.operations.contains_key(&key) {
            report.gone.push(format!("{} {}", key.0, text(row, "path")));
        }
    }
    let order = |row: &Row| ["resource", "path", "method"].map(|name| text(row, name));
    rows.sort_by_key(order);
    rows
}

fn update(
    row: &mut Row,
    schemas: &Map<String, Value>,
    operation: &Operation,
    label: &str,
    report: &mut Report,
) {
    let before = labels(row.get("seen_in"));
    let after = with(before.clone(), label);
    scopes(row, operation, &before, &after, label, report);
    let what = format!(
        "{} {}",
        row["method"].as_str().unwrap_or_default(),
        row["path"].as_str().unwrap_or_default()
    );
    params(row, operation, &before, &after, label, &what, report);
    body(row, schemas, operation, &what, report);
    let mut new = Map::new();
    new.insert("response".into(), operation.response.clone().into());
    new.insert("deprecated".into(), operation.deprecated.into());
    if !operation.description.is_empty() {
        new.insert("description".into(), operation.description.clone().into());
    }
    take_over(
        row,
        &new,
        &["response", "deprecated", "description"],
        &what,
        report,
    );
    let scopes = Value::Array(operation.key_scopes.clone());
    let known = row
        .get("scopes")
        .and_then(Value::as_array)
        .is_some_and(|s| !s.is_empty());
    match operation.key_scopes.is_empty() {
        false if !known => {
            report
                .changed
                .push(format!("{what}: scopes none -> {scopes}"));
            row.insert("scopes".into(), scopes);
        }
        false if row.get("scopes") != Some(&scopes) => {
            let ours = &row["scopes"];
            report
                .kept
                .push(format!("{what}: scopes {ours}, in the document {scopes}"));
        }
        _ => {}
    }
    row.insert("seen_in".into(), json!(after));
}

/// Under which prefixes it was seen, and when under which.
fn scopes(
    row: &mut Row,
    operation: &Operation,
    before: &[String],
    after: &[String],
    label: &str,
    report: &mut Report,
) {
    if operation.scopes.is_empty() {
        return;
    }
    let old = labels(row.get("scopes_of_path"));
    let method = row["method"].as_str().unwrap_or_default().to_owned();
    let path = row["path"].as_str().unwrap_or_default().to_owned();
    let mut by_scope = Map::new();
    for scope in ["projects", "environments"] {
        let (was, is) = (
            old.iter().any(|s| s == scope),
            operation.scopes.iter().any(|s| s == scope),
        );
        let at = row.get("seen_in_by_scope").and_then(|by| by.get(scope));
        let seen = match at {
            Some(at) => labels(Some(at)),
            None if was => before.to_vec(),
            None => Vec::new(),
        };
        match (was, is) {
            (false, true) => {
                report
                    .changed
                    .push(format!("{method} {path}: now also under {scope}"));
                by_scope.insert(scope.into(), json!([label]));
            }
            (true, true) => {
                by_scope.insert(scope.into(), json!(with(seen, label)));
            }
            (true, false) => {
                if of_a_document(&seen) {
                    report.gone.push(format!("{method} {path}: under {scope}"));
                }
                by_scope.insert(scope.into(), json!(seen));
            }
            (false, false) => {}
        }
    }
    let scopes: Vec<&String> = by_scope.keys().collect();
    let scopes = json!(scopes);
    if by_scope.len() == 2 {
        let both: Vec<&str> = path.splitn(4, '/').collect();
        row.insert("path".into(), format!("/api/{{scope}}/{}", both[3]).into());
    }
    row.insert("scope".into(), scopes.clone());
    row.insert("scopes_of_path".into(), scopes);
    match by_scope.values().all(|seen| *seen == json!(after)) {
        true => drop(row.shift_remove("seen_in_by_scope")),
        false => drop(row.insert("seen_in_by_scope".into(), by_scope.into())),
    }
}

fn params(
    row: &mut Row,
    operation: &Operation,
    before: &[String],
    after: &[String],
    label: &str,
    what: &str,
    report: &mut Report,
) {
    let old = row.get("query_params").and_then(Value::as_array);
    let mut params: Vec<Row> = old
        .into_iter()
        .flatten()
        .filter_map(|p| p.as_object().cloned())
        .collect();
    for param in &mut params {
        let name = param["name"].as_str().unwrap_or_default().to_owned();
        let mut seen = match param.get("seen_in") {
            Some(seen) => labels(Some(seen)),
            None => before.to_vec(),
        };
        match operation
            .query_params
            .iter()
            .find(|p| p["name"] == name.as_str())
        {
            Some(new) => {
                take_over(param, new, &FACTS, &format!("{what} ?{name}"), report);
                param.shift_remove("observed");
                seen = with(seen, label);
            }
            None if of_a_document(&seen) => report.gone.push(format!("{what} ?{name}")),
            None => {}
        }
        match seen == after {
            true => drop(param.shift_remove("seen_in")),
            false => drop(param.insert("seen_in".into(), json!(seen))),
        }
    }
    for new in &operation.query_params {
        if !params.iter().any(|p| p["name"] == new["name"]) {
            let name = new["name"].as_str().unwrap_or_default();
            report.new.push(format!("{what} ?{name}"));
            let mut new = new.clone();
            if [label] != after {
                new.insert("seen_in".into(), json!([label]));
            }
            params.push(new);
        }
    }
    params.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
    row.insert("query_params".into(), json!(params));
}

fn body(
    row: &mut Row,
    schemas: &Map<String, Value>,
    operation: &Operation,
    what: &str,
    report: &mut Report,
) {
    let old = row["request_body"].as_str().map(str::to_owned);
    let Some((name, media, required)) = &operation.body else {
        if let Some(old) = old.filter(|old| !of_another_source(schemas, old)) {
            report.gone.push(format!("{what}: its body {old}"));
        }
        return;
    };
    let mut new = Map::new();
    new.insert("request_body".into(), name.clone().into());
    new.insert("request_body_required".into(), (*required).into());
    new.insert("media_type".into(), media.clone().into());
    if let Some(old) = old.filter(|old| of_another_source(schemas, old)) {
        // Of the two, that of the newer source is what bodies are made of: it stays so.
        row.entry("request_body_2026").or_insert(old.into());
    }
    let facts = ["request_body", "request_body_required", "media_type"];
    take_over(row, &new, &facts, what, report);
}

/// Whether a schema is of a source that is no document.
fn of_another_source(schemas: &Map<String, Value>, name: &str) -> bool {
    let since = schemas.get(name).and_then(|s| s.get("since"));
    since
        .and_then(Value::as_str)
        .is_some_and(|s| super::NO_DOCUMENTS.contains(&s))
}

/// A row of what is new.
fn made(method: &str, operation: &Operation, shapes: &BTreeSet<String>, label: &str) -> Row {
    let path = &operation.path;
    let (resource, kind, action) = place(method, path, shapes);
    let scope = match operation.scopes.is_empty() {
        false => operation.scopes.clone(),
        true => vec![root(path).to_owned()],
    };
    let names: Vec<&str> = operation
        .query_params
        .iter()
        .filter_map(|p| p["name"].as_str())
        .collect();
    let paginated = match names.contains(&"cursor") {
        true => "cursor",
        false if names.contains(&"limit") && names.contains(&"offset") => "limit_offset",
        false => "none",
    };
    let body = operation.body.as_ref();
    let mut row = json!({
        "method": method,
        "path": path,
        "scope": scope,
        "scopes_of_path": operation.scopes,
        "seen_in": [label],
        "resource": resource,
        "kind": kind,
        "action": action,
        "operation_id": operation.id,
        "path_params": operation.path_params,
        "query_params": operation.query_params,
        "request_body": body.map(|(name, ..)| name),
        "request_body_required": body.map(|(_, _, required)| required),
        "media_type": body.map(|(_, media, _)| media),
        "response": operation.response,
        "paginated": paginated,
        "scopes": operation.key_scopes,
        "deprecated": operation.deprecated,
        "description": operation.description,
    });
    let row = row.as_object_mut().map(std::mem::take);
    let mut row = row.unwrap_or_default();
    for fact in ["action", "request_body_required"] {
        if row[fact].is_null() {
            row.shift_remove(fact);
        }
    }
    if !operation.deprecated {
        row.shift_remove("deprecated");
    }
    if operation.description.is_empty() {
        row.shift_remove("description");
    }
    row
}

/// The first word of where a path hangs that is under no project.
fn root(path: &str) -> &'static str {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments[..] {
        ["api", "organizations", _, next, ..] if !next.is_empty() => "organizations",
        ["api", "users", ..] => "users",
        ["api", ..] => "root",
        _ => "other",
    }
}

/// The resource of a path, what is done to it, and the name of an action.
fn place(method: &str, path: &str, shapes: &BTreeSet<String>) -> (String, &'static str, Value) {
    let below = match shape(path).1 {
        Some(_) => path.splitn(5, '/').nth(4).unwrap_or_default(),
        None if root(path) == "organizations" => path.splitn(5, '/').nth(4).unwrap_or_default(),
        None => path.trim_start_matches('/').trim_start_matches("api/"),
    };
    let segments: Vec<&str> = below.split('/').filter(|s| !s.is_empty()).collect();
    let is_id = |segment: &&str| segment.starts_with('{');
    let fixed = |segments: &[&str]| {
        let fixed = segments.iter().filter(|s| !is_id(s));
        fixed.copied().collect::<Vec<_>>().join("/")
    };
    let item = segments.last().is_some_and(is_id);
    let kind = match (method, item) {
        ("GET", true) => "retrieve",
        ("GET", false) => "list",
        ("POST", false) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "partial_update",
        ("DELETE", _) => "destroy",
        _ => "action",
    };
    // A collection has items somewhere; a last word without them is an action.
    let with_items = shape(path).0.trim_end_matches('/').to_owned() + "/{}";
    let collection = shapes.iter().any(|s| s.trim_end_matches('/') == with_items);
    if item || collection || segments.len() < 2 {
        return (fixed(&segments), kind, Value::Null);
    }
    let last_id = segments.iter().rposition(|s| s.starts_with('{'));
    let start = last_id.map_or(1, |at| at + 1);
    let name = segments[start..].join("/");
    let action = json!({"name": name, "detail": last_id.is_some()});
    (fixed(&segments[..start]), "action", action)
}
