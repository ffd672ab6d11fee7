//! Writes the models of answers from api/answers.txt and api/schemas.json, and compares the hand-written ones.
//!
//! ```text
//! api/answers.txt ──read──► Answers ─┐
//! api/schemas.json ─────────────────┼─► src/rest/models/generated/*.rs
//! src/rest/models/*.rs: their names ─┘     every `-> Model` of api/operations.txt must be one of them
//! ```
//!
//! What the lines mean is written at the top of api/answers.txt. A type that nobody knows, a correction of a field that
//! the schema lacks, and a schema with a field that a hand-written model neither has nor leaves out are errors.

use crate::table::Table;
use read::{Answers, Item, hand_written, read};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

mod read;
mod types;
mod write;

pub const GENERATED: &str = "src/rest/models/generated";
const MODELS: &str = "src/rest/models";

type Schemas = serde_json::Map<String, Value>;

/// Every generated file of models, by its path, not formatted yet. None where there is no api/answers.txt.
pub fn files(home: &Path, table: &Table) -> Result<BTreeMap<String, String>, String> {
    let path = home.join("api/answers.txt");
    let Ok(text) = fs::read_to_string(&path) else {
        return Ok(BTreeMap::new());
    };
    let at = |e: String| format!("api/answers.txt: {e}");
    let schemas = fs::read_to_string(home.join("api/schemas.json")).map_err(|e| e.to_string())?;
    let schemas = serde_json::from_str(&schemas).map_err(|e| format!("api/schemas.json: {e}"))?;
    let made = Made {
        answers: read(&text).map_err(at)?,
        schemas,
        hand: hand_written(&home.join(MODELS))?,
    };
    made.check(table)?;
    made.write(table).map_err(at)
}

struct Made {
    answers: Answers,
    schemas: Schemas,
    hand: BTreeMap<String, BTreeSet<String>>,
}

/// A field of a schema, as the schema has it.
struct Wire<'s> {
    name: &'s str,
    of: &'s Value,
}

impl Made {
    /// Fields of the schemas, each once: later schemas come first, as they are newer.
    fn fields<'s>(&'s self, item: &Item) -> Result<Vec<Wire<'s>>, String> {
        let mut fields: Vec<Wire<'s>> = Vec::new();
        for name in &item.schemas {
            let at = |e| format!("line {}: {e}", item.line);
            let schema = self
                .schemas
                .get(name)
                .ok_or_else(|| at(format!("api/schemas.json has no {name}")))?;
            for of in schema["fields"].as_array().into_iter().flatten() {
                let name = of["name"].as_str().unwrap_or_default();
                let is_internal = name.starts_with('_');
                match fields.iter_mut().find(|f| f.name == name) {
                    Some(known) => known.of = of,
                    None if is_internal => {}
                    None => fields.push(Wire { name, of }),
                }
            }
        }
        Ok(fields)
    }

    fn known(&self, name: &str) -> bool {
        self.hand.contains_key(name) || self.answers.items().any(|i| i.name == name)
    }

    /// The Rust type that stands for a schema.
    fn of_schema(&self, schema: &str) -> Option<&str> {
        let mut all = self.answers.items().chain(&self.answers.hand);
        all.find(|i| i.schemas.iter().any(|s| s == schema))
            .map(|i| i.name.as_str())
    }

    fn check(&self, table: &Table) -> Result<(), String> {
        let mut problems = Vec::new();
        for row in table.resources.iter().flat_map(|r| &r.rows) {
            let Some(answer) = row.answer.as_deref() else {
                continue;
            };
            let model = answer
                .split_once('<')
                .map_or(answer, |(_, item)| item.trim_end_matches('>'));
            if !["done", "Page", "Vec"].contains(&model) && !self.known(model) {
                problems.push(format!(
                    "api/operations.txt: line {}: no model is called {model}",
                    row.line
                ));
            }
        }
        let mut names = BTreeMap::new();
        for item in self.answers.items() {
            let at = |e| format!("api/answers.txt: line {}: {e}", item.line);
            if let Some(line) = names.insert(&item.name, item.line) {
                problems.push(at(format!("{} is also on line {line}", item.name)));
            }
            if self.hand.contains_key(&item.name) {
                problems.push(at(format!("{} is also written by hand", item.name)));
            }
        }
        for item in &self.answers.hand {
            let at = |e| format!("api/answers.txt: line {}: {e}", item.line);
            let Some(has) = self.hand.get(&item.name) else {
                problems.push(at(format!("no hand-written model is called {}", item.name)));
                continue;
            };
            let fields = self
                .fields(item)
                .map_err(|e| format!("api/answers.txt: {e}"))?;
            for field in &fields {
                let left_out = item.without.iter().any(|w| w == field.name);
                if !left_out && !has.contains(field.name) {
                    problems.push(at(format!(
                        "{} has no field `{}`, which {} has; add it, or name it behind `without`",
                        item.name,
                        field.name,
                        item.schemas.join(" and ")
                    )));
                }
            }
            for name in &item.without {
                if has.contains(name) || !fields.iter().any(|f| f.name == name) {
                    problems.push(at(format!(
                        "`without {name}` says nothing: no schema has it, or the model has it"
                    )));
                }
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(problems.join("\n")),
        }
    }
}
