//! Compares the table with what was seen of the API, and with the crate's types.
//!
//! What is found is a list of lines, each naming the operation and the remedy. None of it stops the files from being
//! written: who adds lines to the table one by one sees the rest of them.

use crate::emit::Emit;
use crate::table::{Body, Kind, Param, Resource, Row, Table};
use crate::tree::template;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What the table lacks, or has otherwise than `api/operations.json`.
pub fn seen(emit: &Emit<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut listed = BTreeSet::new();
    for (resource, row) in rows(emit.table).filter(|(_, row)| !row.alias) {
        let key = (row.method.clone(), template(resource, row));
        let what = format!("line {}: {} {}", row.line, key.0, key.1);
        let unlisted = row.marks.iter().any(|m| m == "unlisted");
        match emit.facts.seen.get(&key) {
            Some(_) if unlisted => {
                problems.push(format!(
                    "{what} is in operations.json; take `unlisted` away"
                ));
            }
            Some(seen) => {
                let at = |problem| format!("{what}: {problem}");
                problems.extend(row_problems(emit.table, row, seen).into_iter().map(at));
            }
            None if unlisted => {}
            None => problems.push(format!(
                "{what} is not in operations.json; if no document lists it, mark it `unlisted`"
            )),
        }
        listed.insert(key);
    }
    for (method, path) in emit.facts.seen.keys() {
        if !listed.contains(&(method.clone(), path.clone())) {
            problems.push(format!("{method} {path} has no line; add one"));
        }
    }
    problems.extend(texts(emit));
    problems
}

fn row_problems(table: &Table, row: &Row, seen: &crate::data::Seen) -> Vec<String> {
    let mut problems = Vec::new();
    let mut say = |wrong: bool, problem: &str| {
        if wrong {
            problems.push(problem.to_owned());
        }
    };
    let marked = |mark: &str| row.marks.iter().any(|m| m == mark);
    say(
        marked("2025-10") != seen.only_2025(),
        "the mark `2025-10` is for what was seen in 2025 only",
    );
    say(
        marked("deprecated") != seen.is_deprecated(),
        "the mark `deprecated` is not as in operations.json",
    );
    say(
        marked("preview") != seen.is_preview(),
        "the mark `preview` is for what has a flag, a plan or AI consent in operations.json",
    );
    let scopes = seen.scopes();
    say(
        row.scopes != scopes,
        &match scopes.is_empty() {
            true => "no key scopes were seen".to_owned(),
            false => format!("its key scopes are {}", scopes.join("  ")),
        },
    );
    let multipart = seen.media_type() == Some("multipart/form-data");
    say(
        multipart != (row.body == Body::Multipart),
        "`multipart` is for what takes a form",
    );
    say(
        seen.media_type() == Some("application/json") && row.body == Body::None,
        "it takes JSON: `json`, or `json?` if it need not",
    );
    let optional = table.params_of(row);
    let mut ours: Vec<String> = row.required.iter().map(|p| p.wire.clone() + "!").collect();
    ours.extend(optional.iter().map(|p| p.wire.clone()));
    let name = |p: &serde_json::Value| {
        let end = if p["required"] == true { "!" } else { "" };
        p["name"].as_str().unwrap_or_default().to_owned() + end
    };
    let theirs: BTreeSet<String> = seen.params().iter().map(name).collect();
    for missing in theirs.iter().filter(|p| !ours.contains(p)) {
        say(true, &format!("the parameter `?{missing}` is missing"));
    }
    for invented in ours.iter().filter(|p| !theirs.contains(*p)) {
        say(true, &format!("the parameter `?{invented}` was not seen"));
    }
    for param in row.required.iter().chain(optional) {
        let Some(seen) = seen.param(&param.wire) else {
            continue;
        };
        let format = seen["format"].as_str().unwrap_or_default();
        say(
            format.starts_with("date") && param.kind != Kind::Time,
            &format!("`?{}` is a time", param.wire),
        );
        for value in unknown_values(table, param, seen) {
            let problem = format!("`?{}`: its enum lacks {value}", param.wire);
            say(true, &problem);
        }
    }
    problems
}

/// The values that were seen and that the enum of a parameter does not have.
fn unknown_values(table: &Table, param: &Param, seen: &serde_json::Value) -> Vec<String> {
    let kind = match &param.kind {
        Kind::List(item, _) => item,
        kind => kind,
    };
    let Kind::Enum(name) = kind else {
        return Vec::new();
    };
    let list = table.enums.iter().find(|e| e.name == *name);
    let known = |value: &str| list.is_some_and(|l| l.values.iter().any(|(_, v)| v == value));
    ["enum", "item_enum"]
        .iter()
        .filter_map(|fact| seen.get(fact)?.as_array())
        .flatten()
        .map(crate::names::plain)
        .filter(|value| !known(value))
        .collect()
}

/// Texts of operations, parameters and sets that do not exist.
fn texts(emit: &Emit<'_>) -> Vec<String> {
    let mut operations = BTreeSet::new();
    let mut params = BTreeSet::new();
    for (of, row) in emit.named_rows() {
        for param in row.required.iter().chain(&row.optional) {
            params.insert(format!("{of}.{}", param.wire));
            params.insert(param.wire.clone());
        }
        operations.insert(of);
    }
    for set in &emit.table.sets {
        for param in &set.params {
            params.insert(format!("{}.{}", set.name, param.wire));
            params.insert(param.wire.clone());
        }
    }
    let descriptions = emit.facts.descriptions.keys();
    let parameters = emit.facts.parameters.keys();
    let descriptions = descriptions
        .filter(|name| !operations.contains(*name))
        .map(|name| format!("descriptions.txt: there is no operation `{name}`"));
    let parameters = parameters
        .filter(|name| !params.contains(*name))
        .map(|name| format!("parameters.txt: there is no parameter `{name}`"));
    descriptions.chain(parameters).collect()
}

/// Names of bodies and models in the table that the crate does not have.
pub fn types(home: &Path, table: &Table) -> Vec<String> {
    let bodies = names_in(&[
        home.join("src/rest/bodies.rs"),
        home.join("src/rest/bodies"),
    ]);
    let models = names_in(&[
        home.join("src/rest/models"),
        home.join("src/rest/models.rs"),
    ]);
    let mut problems = Vec::new();
    for (_, row) in rows(table) {
        let answer = row.answer.as_deref().map(|answer| {
            let item = answer.split_once('<').map(|(_, item)| item);
            item.map_or(answer, |item| item.trim_end_matches('>'))
        });
        let model = answer.filter(|a| !["done", "Page", "Vec"].contains(a));
        for (name, known, place) in [
            (row.body_type.as_deref(), &bodies, "bodies"),
            (model, &models, "models"),
        ] {
            if let Some(name) = name.filter(|name| !known.contains(*name)) {
                problems.push(format!(
                    "line {}: there is no `{name}` in src/rest/{place}",
                    row.line
                ));
            }
        }
    }
    problems
}

/// The names of public types in files and folders.
fn names_in(places: &[std::path::PathBuf]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for place in places {
        if let Ok(entries) = fs::read_dir(place) {
            let inner: Vec<_> = entries.flatten().map(|e| e.path()).collect();
            names.extend(names_in(&inner));
        } else if let Ok(text) = fs::read_to_string(place) {
            names.extend(types_of(&text));
        }
    }
    names
}

fn types_of(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let code: Vec<&str> = text
        .lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect();
    let code = code.join("\n");
    let mut words = code
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ';'))
        .filter(|w| !w.is_empty());
    while let Some(word) = words.next() {
        match word {
            "struct" | "enum" | "type" => {
                let name = words.next().map(|n| n.trim_end_matches(';'));
                names.extend(name.map(str::to_owned));
            }
            // Also what is given another name: all words up to the end of the statement.
            "use" => {
                for word in words.by_ref() {
                    names.insert(word.trim_end_matches(';').to_owned());
                    if word.ends_with(';') {
                        break;
                    }
                }
            }
            _ => {}
        }
    }
    names
}

pub fn rows(table: &Table) -> impl Iterator<Item = (&Resource, &Row)> {
    let resources = table.resources.iter();
    resources.flat_map(|resource| resource.rows.iter().map(move |row| (resource, row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_by_how_they_are_written() {
        let found = types_of(
            "pub struct One { a: u8 }\nvalues! { pub enum Two { A } }\npub type Three = One;\n\
             pub use super::{four::Four, Five as Six};\nstruct Seven;\n// A struct Eight\n\
             /// The enum Nine.\n",
        );
        for name in ["One", "Two", "Three", "Four", "Six", "Seven"] {
            assert!(found.contains(name), "{name}: {found:?}");
        }
        assert!(
            !found.contains("Eight") && !found.contains("Nine"),
            "{found:?}"
        );
    }
}
