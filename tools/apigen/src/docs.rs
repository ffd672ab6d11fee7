//! Writes the documentation of generated methods and parameters.

use crate::emit::Emit;
use crate::names::{plain, plural, singular, verb, with_article};
use crate::table::{Body, Kind, Param, Prefix, Resource, Row};
use crate::tree::{Root, dotted, template};
use crate::words::{filter, quoted};
use serde_json::Value;
use std::fmt::Write as _;

/// How long a line of documentation gets.
const WIDTH: usize = 108;

/// What a method is documented by.
pub struct Method<'a> {
    pub root: Root,
    pub place: &'a [String],
    /// The struct that has it.
    pub owner: &'a str,
    pub resource: &'a Resource,
    pub row: &'a Row,
    /// The prefix that it is sent under, where a handle of the other exists.
    pub prefix: Option<Prefix>,
}

impl Emit<'_> {
    /// The documentation of a method, and its attribute if it is deprecated.
    pub fn document(&self, code: &mut String, of: &Method<'_>) {
        let row = of.row;
        let name = format!("{}.{}", dotted(of.root, of.place), row.name);
        let what = self.facts.descriptions.get(&name).cloned();
        let seen = self
            .facts
            .seen
            .get(&(row.method.clone(), template(of.resource, row)));
        let what = what
            .or_else(|| quoted(seen?.description()))
            .unwrap_or_else(|| sentence(of));
        comment(code, "", &what);
        let _ = writeln!(code, "///");
        let mut facts = vec![format!("`{} {}`.", row.method, template(of.resource, row))];
        if !row.scopes.is_empty() {
            let scopes: Vec<_> = row.scopes.iter().map(|s| format!("`{s}`")).collect();
            facts.push(format!("Key scope: {}.", scopes.join(" and ")));
        }
        for mark in &row.marks {
            match mark.as_str() {
                "preview" => facts.push("Preview.".into()),
                // The struct says it once.
                "2025-10" if only_2025(of.resource) => {}
                "2025-10" => facts.push("Seen in 2025 only.".into()),
                "refused" => facts.push("Refused (405).".into()),
                _ => {}
            }
        }
        if row.is_file {
            facts.push("Follows a redirect to object storage: see [`Request::file`].".into());
        }
        match of.prefix {
            Some(Prefix::Projects) => {
                facts.push("Sent under `/api/projects/` from an environment, too.".into());
            }
            Some(Prefix::Environments) => {
                facts.push("Sent under `/api/environments/` from a project, too.".into());
            }
            Some(Prefix::Both) | None => {}
        }
        if row.body == Body::Optional && row.body_type.is_none() {
            facts.push("May have a [`body`](Request::body).".into());
        }
        comment(code, "", &facts.join(" "));
        if row.marks.iter().any(|m| m == "deprecated") {
            let instead = row.instead.as_ref();
            let instead = instead.map_or(String::new(), |method| format!("; use `{method}`"));
            let _ = writeln!(
                code,
                "#[deprecated = \"PostHog calls this operation deprecated{instead}\"]"
            );
        }
    }

    /// The documentation of a query parameter of these operations, which are of this name, or have this set.
    pub fn describe(&self, code: &mut String, param: &Param, of: &str, rows: &[(&Resource, &Row)]) {
        let wire = &param.wire;
        let texts = &self.facts.parameters;
        let text = texts
            .get(&format!("{of}.{wire}"))
            .or_else(|| texts.get(wire));
        let seen: Vec<&Value> = rows
            .iter()
            .filter_map(|(resource, row)| {
                let key = (row.method.clone(), template(resource, row));
                self.facts.seen.get(&key)?.param(wire)
            })
            .collect();
        // What operations that share a parameter do not agree on is not said.
        let agreed = |fact: &str| {
            let first = seen.first()?.get(fact)?;
            let all = rows.len() == seen.len() && seen.iter().all(|s| s.get(fact) == Some(first));
            all.then_some(first)
        };
        let reads = rows.iter().all(|(_, row)| row.method == "GET");
        let named = || match param.kind {
            _ if !reads => None,
            Kind::Bool => filter(wire, true),
            _ => filter(wire, false),
        };
        let described = || quoted(agreed("description")?.as_str()?);
        let text = text.cloned().or_else(described).or_else(named);
        let mut said = vec![text.unwrap_or_else(|| format!("`{wire}`."))];
        let is_time = agreed("format").is_some_and(|format| format == "date-time");
        if param.kind == Kind::Time && is_time {
            said.push("A point in time, not relative to now.".to_owned());
        }
        if let (Kind::Str, Some(values)) = (&param.kind, agreed("enum").and_then(Value::as_array)) {
            let values: Vec<String> = values.iter().map(|v| format!("`{}`", plain(v))).collect();
            said.push(format!("One of {}.", values.join(", ")));
        }
        if let Some(default) = agreed("default").map(plain)
            && !["", "[]", "{}", "null"].contains(&default.as_str())
        {
            said.push(format!("Default: `{default}`."));
        }
        comment(code, "        ", &said.join(" "));
    }
}

/// Whether all that the resource has was seen in 2025 only.
pub fn only_2025(resource: &Resource) -> bool {
    let old = |row: &Row| row.marks.iter().any(|m| m == "2025-10");
    resource.rows.iter().all(|row| row.alias || old(row))
}

/// What a method does, by its name.
fn sentence(of: &Method<'_>) -> String {
    let Method { place, row, .. } = of;
    let last = place.last().map_or(of.owner, String::as_str);
    let (one, many) = match place.is_empty() {
        true => (format!("this {}", singular(of.owner)), plural(last)),
        false => (with_article(&singular(last)), plural(last)),
    };
    let item = place.is_empty() || row.tail.contains('{');
    let subject = if item { &one } else { &many };
    match (row.name.as_str(), row.method.as_str()) {
        ("list", _) => format!("Lists {many}."),
        ("create", _) => format!("Creates {one}."),
        ("get", _) => format!("Gets {subject}."),
        ("update", _) => format!("Changes the given fields of {subject}."),
        ("replace", _) => format!("Replaces all fields of {subject}."),
        ("delete", "DELETE") => format!("Deletes {subject}."),
        ("delete", "PATCH") if !row.body.is_fixed_to("archived") => {
            format!("Deletes {subject}: PostHog keeps it, marked as deleted.")
        }
        ("delete", _) => format!("Archives {subject}, which is how PostHog deletes it."),
        ("hard_delete", _) if of.resource.rows.iter().any(|r| r.name == "delete") => {
            format!("Asks to delete {subject} for good; `delete` is what PostHog supports.")
        }
        ("hard_delete", _) => format!("Asks to delete {subject} for good."),
        ("activity", _) => format!("Lists who changed what in {subject}, and when."),
        ("all_activity", _) => format!("Lists who changed what in all {many}, and when."),
        ("logs", _) => format!("Lists the log entries of {subject}."),
        (name, "GET") => format!("Gets the {} of {subject}.", plural(name)),
        ("bulk_delete", _) => format!("Deletes several {many} at once."),
        ("bulk_update_tags", _) => format!("Changes the tags of several {many} at once."),
        (name, _) => match verb(name) {
            Some(verb) if item || name == "reorder" => format!("{verb} {subject}."),
            _ => format!("Runs the action `{name}` on {subject}."),
        },
    }
}

/// A text as lines of documentation.
pub fn comment(code: &mut String, indent: &str, text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + word.len() + indent.len() >= WIDTH {
            let _ = writeln!(code, "{indent}///{line}");
            line.clear();
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(code, "{indent}///{line}");
}
