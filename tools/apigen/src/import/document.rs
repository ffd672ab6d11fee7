//! An OpenAPI document: operations with both prefixes of a project folded into one, and schemas in the form of the data.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

pub struct Document {
    /// By method and shape: the path without prefix and names of ids.
    pub operations: BTreeMap<(String, String), Operation>,
    pub schemas: BTreeMap<String, Map<String, Value>>,
}

pub struct Operation {
    /// As the document has it, under `projects` rather than `environments`; `{scope}` if it is under both.
    pub path: String,
    /// `projects`, `environments`; nothing elsewhere.
    pub scopes: Vec<String>,
    pub id: Value,
    pub path_params: Vec<Value>,
    pub query_params: Vec<Map<String, Value>>,
    /// What it takes, in which media type, and whether it must be there.
    pub body: Option<(String, String, bool)>,
    /// What it answers: a type, `any` or `void`.
    pub response: String,
    pub deprecated: bool,
    pub key_scopes: Vec<Value>,
    pub description: String,
}

/// The path without the prefix of a project and without the names of ids, and the prefix.
pub fn shape(path: &str) -> (String, Option<&str>) {
    let segments: Vec<&str> = path.split('/').collect();
    let prefix = match segments[..] {
        [
            "",
            "api",
            prefix @ ("projects" | "environments" | "{scope}"),
            id,
            next,
            ..,
        ] if id.starts_with('{') && !next.is_empty() => Some(prefix),
        _ => None,
    };
    let shape = segments.iter().enumerate().map(|(i, segment)| match i {
        2 if prefix.is_some() => "{scope}",
        _ if segment.starts_with('{') => "{}",
        _ => segment,
    });
    (shape.collect::<Vec<_>>().join("/"), prefix)
}

impl Document {
    pub fn read(document: &Value) -> Result<Self, String> {
        let version = document["openapi"].as_str().unwrap_or_default();
        if !version.starts_with("3.") {
            return Err("this is no OpenAPI 3 document: it has no `openapi: 3.…`".into());
        }
        let paths = document["paths"].as_object();
        let paths = paths.ok_or("the OpenAPI document has no `paths`")?;
        let mut types = Types {
            document,
            made: BTreeMap::new(),
            within: Vec::new(),
        };
        let mut operations = BTreeMap::new();
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get(method) {
                    let operation = types.operation(path, item, operation);
                    let key = (method.to_ascii_uppercase(), shape(path).0);
                    match operations.remove(&key) {
                        None => operations.insert(key, operation),
                        Some(other) => operations.insert(key, fold(other, operation)),
                    };
                }
            }
        }
        if let Some(schemas) = document["components"]["schemas"].as_object() {
            for (name, schema) in schemas {
                let made = types.schema(name, schema);
                types.made.insert(name.clone(), made);
            }
        }
        Ok(Self {
            operations,
            schemas: types.made,
        })
    }
}

/// One operation of both prefixes. What they do not agree on is that of `projects`.
fn fold(one: Operation, other: Operation) -> Operation {
    let (mut first, second) = match one.scopes.iter().any(|s| s == "projects") {
        true => (one, other),
        false => (other, one),
    };
    for param in second.query_params {
        if !first
            .query_params
            .iter()
            .any(|p| p["name"] == param["name"])
        {
            first.query_params.push(param);
        }
    }
    if first.description.is_empty() {
        first.description = second.description;
    }
    first.scopes.extend(second.scopes);
    first.path = first.path.replacen("/api/projects/", "/api/{scope}/", 1);
    first
}

/// Makes types of schemas.
struct Types<'d> {
    document: &'d Value,
    /// Schemas that have a name only here: objects within objects.
    made: BTreeMap<String, Map<String, Value>>,
    /// The schemas whose parts are being read: one may be made of itself.
    within: Vec<&'d str>,
}

impl<'d> Types<'d> {
    fn resolve(&self, value: &'d Value) -> &'d Value {
        let pointer = value["$ref"].as_str().and_then(|r| r.strip_prefix('#'));
        pointer
            .and_then(|pointer| self.document.pointer(pointer))
            .unwrap_or(value)
    }

    fn operation(&mut self, path: &str, item: &'d Value, operation: &'d Value) -> Operation {
        let mut path_params = Vec::new();
        let mut query_params: Vec<Map<String, Value>> = Vec::new();
        let lists = [&operation["parameters"], &item["parameters"]];
        for param in lists.iter().filter_map(|l| l.as_array()).flatten() {
            let param = self.resolve(param);
            let name = param["name"].as_str().unwrap_or_default();
            if param["in"] == "query" && !query_params.iter().any(|p| p["name"] == name) {
                let required = param["required"] == true;
                let mut facts = self.field(name, name, &param["schema"], required);
                if param["deprecated"] == true {
                    facts.insert("deprecated".into(), true.into());
                }
                let description = paragraph(&param["description"]);
                if !description.is_empty() {
                    facts.insert("description".into(), description.into());
                }
                query_params.push(facts);
            } else if param["in"] == "path" {
                let mut facts = json!({"name": project_id(path, name), "type": "string"});
                let kind = (&param["schema"]["type"], &param["schema"]["format"]);
                if kind.0 == "integer" {
                    facts["type"] = "integer".into();
                    facts["id_kind"] = "integer".into();
                } else if kind.1 == "uuid" {
                    facts["id_kind"] = "uuid".into();
                }
                path_params.push(facts);
            }
        }
        query_params.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        let id = operation["operationId"].clone();
        let named = id.as_str().unwrap_or("operation").to_owned();
        let body = self.resolve(&operation["requestBody"]);
        let media = body["content"].as_object().and_then(|content| {
            let json = content.get_key_value("application/json");
            json.or_else(|| content.iter().next())
        });
        let body = media.map(|(media, of)| {
            let of = self.text(&of["schema"], &format!("{named}.body")).0;
            (of, media.clone(), body["required"] == true)
        });
        let answers = operation["responses"].as_object().into_iter().flatten();
        let answer = answers
            .filter(|(status, _)| status.starts_with('2'))
            .map(|(_, a)| a);
        let answer = answer
            .map(|a| self.resolve(a)["content"].as_object())
            .next();
        let content = answer.flatten().and_then(|content| {
            let json = content.get("application/json");
            json.or_else(|| content.values().next())
        });
        let response = match content {
            None => "void".to_owned(),
            Some(content) => self.text(&content["schema"], &format!("{named}.answer")).0,
        };
        let keys = operation["security"].as_array().into_iter().flatten();
        let keys = keys.filter_map(|k| k.get("PersonalAPIKeyAuth")?.as_array());
        let (_, prefix) = shape(path);
        Operation {
            path: rename(path),
            scopes: prefix.map(str::to_owned).into_iter().collect(),
            id,
            path_params,
            query_params,
            body,
            response,
            deprecated: operation["deprecated"] == true,
            key_scopes: keys.flatten().cloned().collect(),
            description: match paragraph(&operation["description"]) {
                none if none.is_empty() => paragraph(&operation["summary"]),
                description => description,
            },
        }
    }

    /// A schema as the data has it.
    fn schema(&mut self, name: &str, schema: &'d Value) -> Map<String, Value> {
        let made = if let Some(values) = schema["enum"].as_array() {
            let kind = schema["type"].as_str().unwrap_or("string");
            json!({"kind": "enum", "value_type": kind, "values": values})
        } else if let Some(fields) = self.fields(name, schema) {
            json!({"kind": "object", "fields": fields})
        } else if let Some(variants) = variants(schema) {
            let variants = variants.iter().enumerate();
            let variants: Vec<String> = variants
                .map(|(i, v)| self.text(v, &format!("{name}.variant.{i}")).0)
                .collect();
            json!({"kind": "union", "variants": variants})
        } else {
            json!({"kind": "alias", "type": self.text(schema, &format!("{name}.item")).0})
        };
        made.as_object().cloned().unwrap_or_default()
    }

    /// The fields of an object, also of one that is made of several.
    fn fields(&mut self, name: &str, schema: &'d Value) -> Option<Vec<Value>> {
        let required = schema["required"].as_array();
        let is_required =
            |field: &str| required.is_some_and(|r| r.iter().any(|name| name == field));
        let properties = schema["properties"].as_object();
        if let Some(parts) = schema["allOf"].as_array() {
            let mut fields: Vec<Value> = Vec::new();
            let mut put = |field: Value| {
                fields.retain(|f| f["name"] != field["name"]);
                fields.push(field);
            };
            for part in parts {
                match (self.part(name, part), properties) {
                    (Some(part), _) => part.into_iter().for_each(&mut put),
                    (None, Some(_)) => {}
                    (None, None) => return None,
                }
            }
            for (field, schema) in properties.into_iter().flatten() {
                let nested = format!("{name}.{field}");
                put(self.field(field, &nested, schema, false).into());
            }
            for field in &mut fields {
                if field["name"].as_str().is_some_and(is_required) {
                    field["required"] = true.into();
                }
            }
            return Some(fields);
        }
        let properties = match properties {
            Some(properties) => properties,
            None if schema["type"] == "object" && schema.get("additionalProperties").is_none() => {
                return Some(Vec::new());
            }
            None => return None,
        };
        let fields = properties.iter().map(|(field, schema)| {
            let nested = format!("{name}.{field}");
            Value::Object(self.field(field, &nested, schema, is_required(field)))
        });
        Some(fields.collect())
    }

    /// The fields that one part of an object brings; none where that is the object itself.
    fn part(&mut self, name: &str, part: &'d Value) -> Option<Vec<Value>> {
        let Some(reference) = part["$ref"].as_str() else {
            return self.fields(name, part);
        };
        if self.within.contains(&reference) {
            return Some(Vec::new());
        }
        self.within.push(reference);
        let part = self.resolve(part);
        let fields = self.fields(name, part);
        self.within.pop();
        fields
    }

    /// A field or parameter. An object within it becomes a schema of the name `nested`.
    fn field(
        &mut self,
        name: &str,
        nested: &str,
        schema: &'d Value,
        required: bool,
    ) -> Map<String, Value> {
        let (text, nullable) = self.text(schema, nested);
        let mut facts = Map::new();
        facts.insert("name".into(), name.into());
        facts.insert("type".into(), text.into());
        facts.insert("required".into(), required.into());
        for (fact, is) in [
            ("nullable", nullable),
            ("read_only", schema["readOnly"] == true),
            ("deprecated", schema["deprecated"] == true),
        ] {
            if is {
                facts.insert(fact.into(), true.into());
            }
        }
        for fact in ["enum", "const", "format", "default"] {
            if let Some(value) = schema.get(fact).filter(|v| !v.is_null()) {
                facts.insert(fact.into(), value.clone());
            }
        }
        if let Some(values) = schema["items"].get("enum") {
            facts.insert("item_enum".into(), values.clone());
        }
        let description = paragraph(&schema["description"]);
        if !description.is_empty() {
            facts.insert("description".into(), description.into());
        }
        facts
    }

    /// What a schema is, in one word, and whether it may be null.
    fn text(&mut self, schema: &'d Value, nested: &str) -> (String, bool) {
        if let Some(name) = schema["$ref"].as_str() {
            return (name.rsplit('/').next().unwrap_or(name).to_owned(), false);
        }
        let mut nullable = schema["nullable"] == true;
        if let Some(parts) = schema["allOf"].as_array()
            && let [part] = &parts[..]
            && schema.get("properties").is_none()
        {
            let (text, inner) = self.text(part, nested);
            return (text, nullable || inner);
        }
        if let Some(parts) = variants(schema) {
            let mut texts: Vec<String> = Vec::new();
            for (i, part) in parts.iter().enumerate() {
                if part["type"] == "null" {
                    nullable = true;
                    continue;
                }
                let (text, inner) = self.text(part, &format!("{nested}.{i}"));
                nullable |= inner;
                if !texts.contains(&text) {
                    texts.push(text);
                }
            }
            return (texts.join(" | "), nullable);
        }
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        nullable |= kinds.contains(&"null");
        let kinds: Vec<String> = kinds
            .into_iter()
            .filter(|kind| *kind != "null")
            .map(|kind| match kind {
                "array" => format!("array<{}>", self.text(&schema["items"], nested).0),
                "object" => self.object(schema, nested),
                kind => kind.to_owned(),
            })
            .collect();
        if kinds.is_empty() && (schema.get("properties").is_some() || schema.get("allOf").is_some())
        {
            return (self.object(schema, nested), nullable);
        }
        match kinds.is_empty() {
            true => ("any".into(), nullable),
            false => (kinds.join(" | "), nullable),
        }
    }

    fn object(&mut self, schema: &'d Value, nested: &str) -> String {
        if schema.get("properties").is_none() && schema.get("allOf").is_none() {
            return match schema.get("additionalProperties") {
                Some(of @ Value::Object(_)) => format!("map<{}>", self.text(of, nested).0),
                _ => "map<any>".into(),
            };
        }
        let made = self.schema(nested, schema);
        self.made.insert(nested.to_owned(), made);
        nested.to_owned()
    }
}

fn variants(schema: &Value) -> Option<&Vec<Value>> {
    ["oneOf", "anyOf"]
        .iter()
        .find_map(|of| schema[of].as_array())
}

/// The id of a project is `project_id` under both prefixes.
fn project_id<'n>(path: &str, name: &'n str) -> &'n str {
    match shape(path).1 {
        Some(_) if path.split('/').nth(3) == Some(&format!("{{{name}}}")) => "project_id",
        _ => name,
    }
}

fn rename(path: &str) -> String {
    let mut segments: Vec<&str> = path.split('/').collect();
    if shape(path).1.is_some() {
        segments[3] = "{project_id}";
    }
    segments.join("/")
}

/// The first paragraph of a description, on one line.
fn paragraph(text: &Value) -> String {
    let text = text.as_str().unwrap_or_default();
    let first = text.trim().split("\n\n").next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}
