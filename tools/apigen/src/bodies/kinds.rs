//! The kind of a field by its type in the schema, and the enums that come of it.

use super::write::One;
use crate::names::{camel, snake, variant};
use serde_json::Value;
use std::fmt::Write as _;

impl One<'_> {
    /// The kind of a field by its type in the schema.
    pub(super) fn kind(&mut self, wire: &str, json: &Value) -> Result<String, String> {
        let of = json["type"].as_str().unwrap_or("any");
        let is_time = json["format"]
            .as_str()
            .is_some_and(|f| f.starts_with("date"));
        let parts: Vec<&str> = of
            .split(" | ")
            .filter(|part| !["BlankEnum", "NullEnum"].contains(part))
            .collect();
        let [of] = parts[..] else {
            return Ok("json".into());
        };
        if let Some(item) = of.strip_prefix("array<").and_then(|o| o.strip_suffix('>')) {
            return Ok(match self.scalar(wire, item, is_time)?.as_str() {
                part if part.starts_with("part(") => format!("parts({}", &part[5..]),
                "boolean" => "jsons".into(),
                kind => format!("{kind}s"),
            });
        }
        if let Some(item) = of.strip_prefix("map<").and_then(|o| o.strip_suffix('>')) {
            return Ok(match self.scalar(wire, item, false)?.as_str() {
                part if part.starts_with("part(") && self.objects.contains_key(item) => {
                    format!("parts_by_name({}", &part[5..])
                }
                _ => "json".into(),
            });
        }
        self.scalar(wire, of, is_time)
    }

    fn scalar(&mut self, wire: &str, of: &str, is_time: bool) -> Result<String, String> {
        Ok(match of {
            "string" if is_time => "time".into(),
            "string" => "text".into(),
            "number" | "integer" if of == "integer" || is_count(wire) => "integer".into(),
            "number" => "number".into(),
            "boolean" => "boolean".into(),
            name => {
                let schema = &self.writer.seen.schemas[name];
                if let Some(object) = self.objects.get(name) {
                    format!("part({object})")
                } else if schema["kind"] == "enum" && schema["value_type"] == "string" {
                    format!("part({})", self.enumeration(wire, name)?)
                } else if schema["kind"] == "enum" {
                    "integer".into()
                } else {
                    "json".into()
                }
            }
        })
    }

    /// The type of a list of texts, which is made where there is none of that name.
    fn enumeration(&mut self, wire: &str, schema: &str) -> Result<String, String> {
        let values: Vec<String> = self.writer.seen.schemas[schema]["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|v| v.as_str().map(str::to_owned))
            .collect();
        let of = &self.of.name;
        let base = of.strip_prefix("New").unwrap_or(of);
        let base = base.strip_suffix("Change").unwrap_or(base);
        let name = match self.writer.bodies.enums.get(schema) {
            Some((name, true)) => return Ok(format!("models::{name}")),
            Some((name, false)) => name.clone(),
            None => base.to_owned() + &camel(&snake(wire)),
        };
        match self.enums.get(&name) {
            Some((known, _)) if *known == values => return Ok(name),
            Some((_, other)) => {
                return Err(format!(
                    "{name} is the name of other values too, of {other}; name it by `enum NAME = {schema}`"
                ));
            }
            None => {}
        }
        let _ = writeln!(
            self.made,
            "    /// What [`{of}`] takes as `{wire}`.\n    pub enum {name} {{"
        );
        for value in &values {
            let name = match variant(value) {
                name if name.starts_with(|c: char| c.is_ascii_digit()) => format!("N{name}"),
                name if name == "Other" => "Others".into(),
                name if name == "Self" => "Self_".into(),
                name if name.is_empty() => "Empty".into(),
                name => name,
            };
            let _ = writeln!(self.made, "        {name} = {value:?},");
        }
        self.made.push_str("    }\n\n");
        self.enums.insert(name.clone(), (values, schema.to_owned()));
        Ok(name)
    }
}

/// PostHog's document calls integers numbers; these are never anything else.
fn is_count(wire: &str) -> bool {
    let name = snake(wire);
    let ends = [
        "id",
        "ids",
        "version",
        "index",
        "count",
        "limit",
        "offset",
        "order",
        "position",
        "seconds",
        "minutes",
        "hours",
        "days",
        "day",
        "hour",
        "size",
        "number",
        "insight",
        "dashboard",
        "dashboards",
        "interval",
        "users",
        "item",
        "project",
        "team",
        "integration",
        "variants",
        "insights",
    ];
    name.rsplit('_')
        .next()
        .is_some_and(|last| ends.contains(&last))
}
