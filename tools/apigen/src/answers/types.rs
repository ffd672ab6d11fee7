//! Types of Rust for types of the schemas, and for the words of api/answers.txt.

use super::{Made, Wire};

impl Made {
    /// The type that a word of api/answers.txt means.
    pub(super) fn word(&self, word: &str) -> Result<String, String> {
        if let Some(inner) = word.strip_prefix('[').and_then(|w| w.strip_suffix(']')) {
            return Ok(format!("Vec<{}>", self.item(inner)?));
        }
        if let Some(inner) = word.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
            return Ok(match inner {
                "" => "Object".into(),
                inner => format!("BTreeMap<String, {}>", self.item(inner)?),
            });
        }
        Ok(format!("Option<{}>", self.item(word)?))
    }

    fn item(&self, word: &str) -> Result<String, String> {
        Ok(match word {
            "str" => "String".into(),
            "int" => "i64".into(),
            "float" => "f64".into(),
            "bool" => "bool".into(),
            "time" => "Time".into(),
            "json" => "Value".into(),
            "object" => "Object".into(),
            "hidden" => "Hidden".into(),
            name if self.known(name) => name.into(),
            word => match word.strip_suffix('?') {
                Some(word) => format!("Option<{}>", self.item(word)?),
                None => return Err(format!("{word} is neither a type nor a model")),
            },
        })
    }

    /// The type of a field that nothing is said about.
    pub(super) fn guess(&self, wire: &Wire<'_>) -> String {
        let kind = wire.of["type"].as_str().unwrap_or("any");
        let hint = wire.of["name_hint"].as_str();
        let time = wire.of["format"] == "date-time" || hint == Some("datetime");
        match (kind, hint) {
            ("string", _) if time => "Option<Time>".into(),
            ("number", Some("integer")) => "Option<i64>".into(),
            _ => self.field_type(kind),
        }
    }

    fn field_type(&self, kind: &str) -> String {
        let kind = without_null(kind);
        if let Some(inner) = inside(kind, "array") {
            return format!("Vec<{}>", self.item_type(inner));
        }
        match inside(kind, "map").map(|inner| self.item_type(inner)) {
            Some(inner) if inner == "Value" => "Object".into(),
            Some(inner) => format!("BTreeMap<String, {inner}>"),
            None => format!("Option<{}>", self.item_type(kind)),
        }
    }

    fn item_type(&self, kind: &str) -> String {
        let kind = without_null(kind);
        match kind {
            "string" => return "String".into(),
            "number" => return "f64".into(),
            "integer" => return "i64".into(),
            "boolean" => return "bool".into(),
            _ if inside(kind, "map").is_some() => return "Object".into(),
            _ => {}
        }
        if let Some(name) = self.of_schema(kind) {
            return name.to_owned();
        }
        match self.schemas.get(kind).map(|s| s["kind"].as_str()) {
            Some(Some("enum")) => match self.schemas[kind]["values"][0].is_string() {
                true => "String".into(),
                false => "Value".into(),
            },
            Some(Some("object")) => "Object".into(),
            _ => "Value".into(),
        }
    }
}

/// A union with nothing, or with one kind of text, as what it is.
fn without_null(kind: &str) -> &str {
    if kind.contains('<') {
        return kind;
    }
    let mut parts = kind
        .split(" | ")
        .filter(|p| !["null", "NullEnum", "BlankEnum"].contains(p));
    match (parts.next(), parts.next()) {
        (Some(only), None) => only,
        _ => kind,
    }
}

fn inside<'k>(kind: &'k str, of: &str) -> Option<&'k str> {
    kind.strip_prefix(of)?.strip_prefix('<')?.strip_suffix('>')
}
