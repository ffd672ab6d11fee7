//! The files: each type with its fields, as the macros of the crate take them, and how it differs from its schema.

use super::table::{Bodies, Field, Mark, Type};
use super::{FOLDER, NOTE, Seen, method};
use crate::names::plain;
use crate::words::{self, quoted};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One field, as it is written.
struct Line {
    wire: String,
    rust: String,
    kind: String,
    doc: String,
    clear: bool,
}

impl Line {
    /// The name of the method that sets it to null.
    fn clear(&self) -> String {
        format!("clear_{}", self.rust.trim_end_matches('_'))
    }
}

/// Makes the files.
pub struct Writer<'a> {
    pub bodies: &'a Bodies,
    pub seen: &'a Seen,
    /// The path of the method that makes an operation, by its method and path.
    pub links: &'a BTreeMap<(String, String), String>,
}

impl Writer<'_> {
    pub fn files(&self) -> Result<BTreeMap<String, String>, String> {
        let mut objects = BTreeMap::new();
        for of in self.bodies.groups.iter().flat_map(|g| &g.types) {
            if let (true, Some(schema)) = (of.takes.is_empty(), &of.schema) {
                objects.insert(schema.clone(), of.name.clone());
            }
        }
        let mut files = BTreeMap::new();
        let mut index =
            String::from("//! The types that are made from PostHog's schemas, by product.\n\n");
        let mut checks = String::new();
        let mut problems = Vec::new();
        let mut enums: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
        for group in &self.bodies.groups {
            let mut code = format!(
                "//! {}\n\nuse super::prelude::*;\n\nbody! {{\n",
                group.title
            );
            let mut made = String::new();
            for of in &group.types {
                let mut writing = One {
                    writer: self,
                    objects: &objects,
                    enums: &mut enums,
                    made: &mut made,
                    of,
                };
                match writing.write() {
                    Ok((text, check)) => {
                        code += &text;
                        checks += &check;
                    }
                    Err(e) => problems.push(format!("line {}: {}: {e}", of.line, of.name)),
                }
            }
            code += "}\n";
            if !made.is_empty() {
                code += &format!("\none_of! {{\n{made}}}\n");
            }
            index += &format!("mod {0};\npub use {0}::*;\n", group.name);
            files.insert(
                format!("{FOLDER}/{}.rs", group.name),
                NOTE.to_owned() + &code,
            );
        }
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        index += "\nmod prelude;\n#[cfg(test)]\npub(super) mod checks;\n";
        // Sets of values that are in answers too, by name, with the schema of those that bodies take.
        let mut shared: BTreeMap<&str, &str> = BTreeMap::new();
        for (schema, (name, is_model)) in &self.bodies.enums {
            if *is_model {
                shared.entry(name).or_insert(schema);
            }
        }
        index.push('\n');
        for name in shared.keys() {
            index += &format!("pub use crate::rest::models::{name};\n");
        }
        index += "\nmodel_values! {\n";
        for (name, schema) in shared {
            index += &format!("    {name} = {schema:?},\n");
        }
        index += "}\n";
        files.insert(format!("{FOLDER}/mod.rs"), NOTE.to_owned() + &index);
        files.insert(
            format!("{FOLDER}/prelude.rs"),
            NOTE.to_owned()
                + "//! What the files of this folder use.\n\n\
                   pub(super) use super::super::*;\n\
                   pub(super) use crate::rest::body::macros::{body, body_clear, body_default, body_set, body_type, body_wire, object, one_of, text_part};\n\
                   #[cfg(test)]\npub(super) use crate::rest::body::sample::{body_samples, more_samples, sample, sample_count};\n\
                   pub(super) use crate::rest::models;\n",
        );
        files.insert(
            format!("{FOLDER}/checks.rs"),
            format!(
                "{NOTE}//! Which schema each type fits, and where the table corrects it: fields that the schema lacks,\n\
                 //! that are required without it, that are not required with it, and that have another type.\n\n\
                 use super::*;\nuse crate::rest::bodies::check::checks;\n\nchecks! {{\n{checks}}}\n"
            ),
        );
        Ok(files)
    }
}

/// One type while it is written.
pub(super) struct One<'a> {
    pub(super) writer: &'a Writer<'a>,
    pub(super) objects: &'a BTreeMap<String, String>,
    pub(super) enums: &'a mut BTreeMap<String, (Vec<String>, String)>,
    pub(super) made: &'a mut String,
    pub(super) of: &'a Type,
}

impl One<'_> {
    fn write(&mut self) -> Result<(String, String), String> {
        let of = self.of;
        let schema = match (&of.schema, of.takes.first()) {
            // PostHog's document gives the operation the whole resource.
            (Some(schema), _) if schema == "none" => None,
            (Some(schema), _) => Some(schema.clone()),
            (None, Some(operation)) => self.writer.seen.bodies.get(operation).cloned(),
            (None, None) => None,
        };
        let none = Vec::new();
        let seen: &Vec<Value> = match &schema {
            Some(name) => match self.writer.seen.schemas[name]["fields"].as_array() {
                Some(fields) => fields,
                None => return Err(format!("the schema {name} is no object")),
            },
            None => &none,
        };
        let is_change = of
            .takes
            .first()
            .is_some_and(|(method, _)| method == "PATCH");
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        let mut presets = Vec::new();
        let (mut added, mut needed, mut free, mut other) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for json in seen {
            let wire = json["name"].as_str().unwrap_or_default();
            let own = of.fields.iter().find(|f| f.wire == wire);
            let said = self.said(wire);
            if json["read_only"] == true && own.is_none() || said.mark == Mark::Dropped {
                if said.mark == Mark::Dropped && json["required"] == true {
                    free.push(wire.to_owned());
                }
                continue;
            }
            let by_schema = json["required"] == true;
            let is_required = said.required.unwrap_or(by_schema);
            match (is_required, by_schema) {
                (true, false) => needed.push(wire.to_owned()),
                (false, true) => free.push(wire.to_owned()),
                _ => {}
            }
            if !by_schema && own.is_some_and(|own| own.required == Some(false)) {
                return Err(format!(
                    "the schema does not require `{wire}`, so `~` says nothing"
                ));
            }
            if said.corrects {
                other.push(wire.to_owned());
            }
            let nullable = json["nullable"] == true || said.nullable;
            if let (Some(text), true) = (json["const"].as_str(), said.kind.is_none()) {
                if is_required || !is_change && of.takes.is_empty() {
                    presets.push(format!("{wire:?} = {text:?}"));
                }
                continue;
            }
            let kind = match &said.kind {
                Some(kind) => kind.clone(),
                None => self.kind(wire, json)?,
            };
            if is_required && nullable && json["required"] == true && said.required.is_none() {
                presets.push(format!("{wire:?} = ()"));
                optional.push(self.line_of(&said, kind, false, json));
            } else if is_required && !of.has_own_new {
                required.push(self.line_of(&said, kind, false, json));
            } else {
                optional.push(self.line_of(&said, kind, nullable, json));
            }
        }
        for said in of.fields.iter() {
            let is_seen = seen.iter().any(|f| f["name"] == said.wire.as_str());
            match (said.mark, is_seen) {
                (Mark::Added, true) => return Err(format!("the schema has `{}`", said.wire)),
                (Mark::Added, false) => {
                    let said = self.said(&said.wire);
                    added.push(said.wire.clone());
                    let kind = said.kind.clone();
                    let kind = kind.ok_or_else(|| format!("`{}` has no kind", said.wire))?;
                    match said.required {
                        Some(true) => {
                            needed.push(said.wire.clone());
                            required.push(self.line_of(&said, kind, false, &Value::Null));
                        }
                        _ => optional.push(self.line_of(&said, kind, said.nullable, &Value::Null)),
                    }
                }
                (_, false) => return Err(format!("the schema has no `{}`", said.wire)),
                _ => {}
            }
        }
        // Arguments stand in the order of the table, where it names them.
        let place = |wire: &str| of.fields.iter().position(|f| f.wire == wire);
        required.sort_by_key(|line| place(&line.wire).unwrap_or(usize::MAX));
        let mut names = BTreeSet::from(["new", "set"].map(str::to_owned));
        for line in required.iter().chain(&optional) {
            let clear = line.clear.then(|| line.clear());
            for name in [Some(line.rust.clone()), clear].into_iter().flatten() {
                if !names.insert(name.clone()) {
                    return Err(format!("two methods are called `{name}`"));
                }
            }
        }
        let text = indented(&self.text(&required, &optional, &presets));
        let list = |names: &[String]| format!("&{names:?}");
        let check = match schema {
            Some(schema) => format!(
                "    {}: {schema:?}, {}, {}, {}, {};\n",
                of.name,
                list(&added),
                list(&needed),
                list(&free),
                list(&other),
            ),
            None => String::new(),
        };
        Ok((text, check))
    }

    /// What the table says of a field: of this type, or of any.
    fn said(&self, wire: &str) -> Field {
        let every = self.writer.bodies.every.iter().find(|f| f.wire == wire);
        let own = self.of.fields.iter().find(|f| f.wire == wire);
        match (own.cloned(), every) {
            (Some(mut own), Some(every)) => {
                own.rust = own.rust.or_else(|| every.rust.clone());
                own.kind = own.kind.or_else(|| every.kind.clone());
                own.doc = own.doc.or_else(|| every.doc.clone());
                own
            }
            (Some(own), None) => own,
            (None, Some(every)) => every.clone(),
            (None, None) => Field {
                wire: wire.to_owned(),
                ..Field::default()
            },
        }
    }

    fn line_of(&self, said: &Field, kind: String, clear: bool, json: &Value) -> Line {
        let described = || quoted(json["description"].as_str()?);
        let named = || words::field(&said.wire, &kind);
        let doc = said.doc.clone().or_else(described).or_else(named);
        let mut doc = doc.unwrap_or_else(|| format!("`{}`.", said.wire));
        let values = json["enum"].as_array().filter(|_| said.doc.is_none());
        if let ("text" | "json", Some(values)) = (kind.as_str(), values) {
            let values: Vec<_> = values.iter().map(|v| format!("`{}`", plain(v))).collect();
            let _ = write!(doc, " One of {}.", values.join(", "));
        }
        let default = &json["default"];
        if matches!(
            default,
            Value::Bool(_) | Value::Number(_) | Value::String(_)
        ) && *default != ""
        {
            let _ = write!(
                doc,
                " By default `{}`.",
                default.to_string().trim_matches('"')
            );
        }
        Line {
            rust: said.rust.clone().unwrap_or_else(|| method(&said.wire)),
            wire: said.wire.clone(),
            kind,
            doc,
            clear,
        }
    }

    fn text(&self, required: &[Line], optional: &[Line], presets: &[String]) -> String {
        let of = self.of;
        let mut text = String::new();
        for doc in &of.docs {
            text += doc;
            text.push('\n');
        }
        if !of.takes.is_empty() {
            let mut links = of.takes.iter().map(|operation| {
                let (method, path) = operation;
                match self.writer.links.get(operation) {
                    Some(link) => format!(
                        "[`{}`](crate::rest::{link}) (`{method} {path}`)",
                        short(link)
                    ),
                    None => format!("`{method} {path}`"),
                }
            });
            let first = links.next().unwrap_or_default();
            let _ = writeln!(text, "///\n/// The body of {first}");
            for link in links {
                let _ = writeln!(text, "/// and {link}");
            }
            text = text.trim_end().to_owned() + ".\n";
        }
        let _ = writeln!(text, "pub struct {} {{", of.name);
        if !of.has_own_new {
            let doc = match (required.is_empty(), of.takes.first()) {
                (true, Some((method, _))) if method == "PATCH" => {
                    "No change, until fields are set."
                }
                (true, _) => "PostHog requires no field.",
                (false, _) => "What PostHog requires.",
            };
            let _ = writeln!(text, "-> /// {doc}");
            if required
                .iter()
                .any(|line| line.doc != format!("`{}`.", line.wire))
            {
                text += "///\n";
                for line in required {
                    let doc = match line.doc == format!("`{}`.", line.wire) {
                        true => String::new(),
                        false => format!(": {}", line.doc),
                    };
                    let _ = writeln!(text, "/// - `{}`{doc}", line.rust);
                }
            }
            let arguments: Vec<_> = required
                .iter()
                .map(|l| format!("{}{}: {}", l.rust, wire(l), l.kind))
                .collect();
            let presets = match presets.is_empty() {
                true => String::new(),
                false => format!("; {}", presets.join(", ")),
            };
            let _ = writeln!(text, "new({}{presets})", arguments.join(", "));
        }
        for line in optional {
            let clear = match line.clear {
                true => format!(" / {}", line.clear()),
                false => String::new(),
            };
            let _ = writeln!(
                text,
                "/// {}\n{}{}{clear}: {},",
                line.doc,
                line.rust,
                wire(line),
                line.kind
            );
        }
        text += "}\n\n";
        text
    }
}

/// As the formatter would write it, which leaves macros alone.
fn indented(text: &str) -> String {
    let mut depth = 1;
    let mut out = String::new();
    for line in text.lines() {
        if line == "}" {
            depth = 1;
        }
        let line = line.trim_end();
        if !line.is_empty() {
            let _ = write!(out, "{:1$}{line}", "", depth * 4);
        }
        out.push('\n');
        if line.ends_with('{') && line.starts_with("pub struct") {
            depth = 2;
        }
    }
    out
}

/// ` as "name"`, where the name in JSON is another.
fn wire(line: &Line) -> String {
    match line.rust == line.wire {
        true => String::new(),
        false => format!(" as {:?}", line.wire),
    }
}

fn short(link: &str) -> &str {
    link.strip_prefix("resources::").unwrap_or(link)
}
