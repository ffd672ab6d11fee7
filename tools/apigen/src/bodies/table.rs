//! api/bodies.txt as it is read, and which operations take which type.

use crate::table::{Body as RowBody, Table};
use crate::tree::template;
use std::collections::{BTreeMap, BTreeSet};

/// api/bodies.txt.
#[derive(Default)]
pub struct Bodies {
    pub(super) groups: Vec<Group>,
    /// What is said of a field of any type.
    pub(super) every: Vec<Field>,
    /// Names of lists of texts, by schema; and whether a model has that type already.
    pub(super) enums: BTreeMap<String, (String, bool)>,
}

pub(super) struct Group {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) types: Vec<Type>,
}

/// A body, or an object in bodies.
pub(super) struct Type {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) docs: Vec<String>,
    /// Method and path of the operations that take it. None: an object.
    pub(super) takes: Vec<(String, String)>,
    pub(super) schema: Option<String>,
    pub(super) fields: Vec<Field>,
    /// Its constructor is made by hand.
    pub(super) has_own_new: bool,
}

#[derive(Clone, Default)]
pub(super) struct Field {
    pub(super) wire: String,
    pub(super) rust: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) doc: Option<String>,
    pub(super) mark: Mark,
    pub(super) required: Option<bool>,
    pub(super) nullable: bool,
    /// The schema says another type, and is wrong.
    pub(super) corrects: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Mark {
    #[default]
    Of,
    Added,
    Dropped,
}

pub fn read(text: &str) -> Result<Bodies, String> {
    let mut bodies = Bodies::default();
    // The block that indented lines belong to.
    let mut in_every = false;
    for (i, line) in text.lines().enumerate() {
        let at = |e: String| format!("line {}: {e}", i + 1);
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if !line.starts_with(' ') {
            in_every = trimmed == "every";
            if !in_every {
                bodies.head(i + 1, trimmed).map_err(at)?;
            }
        } else if in_every {
            bodies.every.push(field(trimmed).map_err(at)?);
        } else {
            let of = bodies.groups.last_mut().and_then(|g| g.types.last_mut());
            let of = of.ok_or_else(|| at("it belongs to no body".into()))?;
            of.line(trimmed).map_err(at)?;
        }
    }
    Ok(bodies)
}

impl Bodies {
    fn head(&mut self, line: usize, text: &str) -> Result<(), String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let mut of = |name: &str, schema: Option<String>| {
            let group = self.groups.last_mut().ok_or("it stands in no group")?;
            group.types.push(Type {
                line,
                name: name.to_owned(),
                docs: Vec::new(),
                takes: Vec::new(),
                schema,
                fields: Vec::new(),
                has_own_new: false,
            });
            Ok::<(), String>(())
        };
        match words[..] {
            ["group", name, ref title @ ..] => self.groups.push(Group {
                name: name.to_owned(),
                title: title.join(" "),
                types: Vec::new(),
            }),
            ["body", name] => of(name, None)?,
            ["object", name, "=", schema] => of(name, Some(schema.to_owned()))?,
            ["enum", name, "=", ref schemas @ ..] => {
                let is_model = schemas.last() == Some(&"models");
                for schema in schemas.iter().filter(|s| **s != "models") {
                    self.enums
                        .insert((*schema).to_owned(), (name.to_owned(), is_model));
                }
            }
            _ => {
                return Err(format!(
                    "neither group, body, object, enum nor every: {text:?}"
                ));
            }
        }
        Ok(())
    }

    /// Says in the table of operations which type each of them takes.
    pub fn assign(&self, table: &mut Table) -> Result<(), String> {
        let mut wanted = BTreeMap::new();
        for of in self.groups.iter().flat_map(|g| &g.types) {
            for (method, path) in &of.takes {
                let key = (method.clone(), path.clone());
                if wanted.insert(key, (of.line, of.name.clone())).is_some() {
                    return Err(format!(
                        "line {}: {method} {path} has a body already",
                        of.line
                    ));
                }
            }
        }
        let mut found = BTreeSet::new();
        for resource in &mut table.resources {
            let names: Vec<_> = resource
                .rows
                .iter()
                .map(|row| (row.method.clone(), template(resource, row)))
                .collect();
            for (row, key) in resource.rows.iter_mut().zip(names) {
                let Some((line, name)) = wanted.get(&key) else {
                    continue;
                };
                match row.body {
                    RowBody::Json | RowBody::Optional => row.body_type = Some(name.clone()),
                    RowBody::Fixed(_) => {}
                    _ => return Err(format!("line {line}: {} {} takes no JSON", key.0, key.1)),
                }
                found.insert(key);
            }
        }
        let missing: Vec<_> = wanted
            .iter()
            .filter(|(key, _)| !found.contains(*key))
            .map(|((method, path), (line, _))| {
                format!("line {line}: there is no operation {method} {path}")
            })
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(missing.join("\n")),
        }
    }

    /// Bodies, operations that take one, and resources.
    pub fn count(&self, table: &Table) -> String {
        let types = || self.groups.iter().flat_map(|g| &g.types);
        let bodies = types().filter(|t| !t.takes.is_empty()).count();
        let mut operations = 0;
        let mut resources = BTreeSet::new();
        for resource in &table.resources {
            let typed = resource
                .rows
                .iter()
                .filter(|r| r.body_type.is_some() && !r.alias);
            let typed = typed.count();
            operations += typed;
            if typed > 0 {
                resources.insert(&resource.path);
            }
        }
        format!(
            "{bodies} bodies of {operations} operations in {} resources",
            resources.len()
        )
    }
}

impl Type {
    fn line(&mut self, text: &str) -> Result<(), String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            ["///", ..] => self.docs.push(text.to_owned()),
            ["schema", name] => self.schema = Some(name.to_owned()),
            ["own", "new"] => self.has_own_new = true,
            [method @ ("POST" | "PUT" | "PATCH" | "DELETE"), path] => {
                self.takes.push((method.to_owned(), path.to_owned()));
            }
            _ => self.fields.push(field(text)?),
        }
        Ok(())
    }
}

/// `[+|-]WIRE[!|~][?] [-> RUST] [: KIND[*]] [-- DOC]`.
fn field(text: &str) -> Result<Field, String> {
    let (text, doc) = match text.split_once(" -- ") {
        Some((text, doc)) => (text, Some(doc.trim().to_owned())),
        None => (text, None),
    };
    let mut words = text.split_whitespace();
    let mut name = words.next().ok_or("a field has a name")?;
    let mut field = Field {
        doc,
        ..Field::default()
    };
    for (sign, mark) in [("+", Mark::Added), ("-", Mark::Dropped)] {
        if let Some(rest) = name.strip_prefix(sign) {
            (name, field.mark) = (rest, mark);
        }
    }
    if let Some(rest) = name.strip_suffix('?') {
        (name, field.nullable) = (rest, true);
    }
    for (sign, required) in [("!", true), ("~", false)] {
        if let Some(rest) = name.strip_suffix(sign) {
            (name, field.required) = (rest, Some(required));
        }
    }
    field.wire = name.to_owned();
    while let Some(word) = words.next() {
        let value = words
            .next()
            .ok_or_else(|| format!("nothing stands behind {word}"))?;
        match word {
            "->" => field.rust = Some(value.to_owned()),
            ":" => {
                field.corrects = value.ends_with('*');
                field.kind = Some(value.trim_end_matches('*').to_owned());
            }
            _ => return Err(format!("{word:?} is none of `->`, `:` and `--`")),
        }
    }
    Ok(field)
}
