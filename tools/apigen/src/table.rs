//! Reads api/operations.txt. What the lines mean is written at its top.

use std::collections::BTreeMap;

pub struct Table {
    pub enums: Vec<Enum>,
    pub sets: Vec<Set>,
    pub resources: Vec<Resource>,
}

pub struct Enum {
    pub name: String,
    /// Variant and value.
    pub values: Vec<(String, String)>,
}

/// Query parameters that several operations share.
pub struct Set {
    pub name: String,
    pub params: Vec<Param>,
}

pub struct Resource {
    pub line: usize,
    pub path: String,
    pub rename: Option<(String, Option<String>)>,
    pub rows: Vec<Row>,
}

pub struct Row {
    pub line: usize,
    pub name: String,
    pub method: String,
    pub tail: String,
    pub body: Body,
    /// A struct of this crate that makes such bodies.
    pub body_type: Option<String>,
    pub answer: Option<String>,
    /// Whether the answer is a file, which PostHog may keep in object storage and redirect to.
    pub is_file: bool,
    pub scopes: Vec<String>,
    pub prefix: Option<Prefix>,
    pub marks: Vec<String>,
    /// The method to use instead of a deprecated one.
    pub instead: Option<String>,
    pub required: Vec<Param>,
    pub optional: Vec<Param>,
    pub set: Option<String>,
    /// A second way to say an operation that has its own line.
    pub alias: bool,
}

#[derive(PartialEq)]
pub enum Body {
    None,
    Json,
    Optional,
    Multipart,
    Fixed(String),
}

impl Body {
    /// Whether it is JSON of the table that names this field.
    pub fn is_fixed_to(&self, field: &str) -> bool {
        matches!(self, Self::Fixed(json) if json.contains(field))
    }
}

#[derive(Clone, Copy, PartialEq)]
pub enum Prefix {
    Projects,
    Environments,
    Both,
}

#[derive(Clone)]
pub struct Param {
    pub wire: String,
    pub kind: Kind,
}

#[derive(Clone, PartialEq)]
pub enum Kind {
    Str,
    Int,
    Float,
    Bool,
    Time,
    Json,
    Enum(String),
    /// Of what, and whether its items are repeated keys.
    List(Box<Kind>, bool),
}

const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "PUT", "DELETE"];
const MARKS: [&str; 5] = ["preview", "2025-10", "deprecated", "refused", "unlisted"];

pub fn read(text: &str) -> Result<Table, String> {
    let mut table = Table {
        enums: Vec::new(),
        sets: Vec::new(),
        resources: Vec::new(),
    };
    for (line, text) in logical_lines(text) {
        table
            .line(line, &text)
            .map_err(|e| format!("line {line}: {e}"))?;
    }
    table.check()?;
    Ok(table)
}

/// Lines without remarks, continued ones joined, with the number of their first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let line = match line.find("# ") {
            _ if line == "#" => "",
            Some(at) => &line[..at],
            None => line,
        }
        .trim_end();
        let depth = line.len() - line.trim_start().len();
        match lines.last_mut() {
            Some((_, last)) if depth >= 4 => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            _ if !line.is_empty() => lines.push((i + 1, line.to_owned())),
            _ => {}
        }
    }
    lines
}

impl Table {
    fn line(&mut self, line: usize, text: &str) -> Result<(), String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let indented = text.starts_with(' ');
        match words[..] {
            ["enum", name, ref values @ ..] if !indented => self.enums.push(Enum {
                name: name.to_owned(),
                values: values
                    .iter()
                    .map(|v| variant(v))
                    .collect::<Result<_, _>>()?,
            }),
            ["query", name, ref params @ ..] if !indented => self.sets.push(Set {
                name: name.to_owned(),
                params: params
                    .iter()
                    .map(|p| match param(p)? {
                        (_, true) => Err(format!("{p}: a shared parameter cannot be required")),
                        (p, false) => Ok(p),
                    })
                    .collect::<Result<_, _>>()?,
            }),
            [path, ref rest @ ..] if text.starts_with('/') => self.resources.push(Resource {
                line,
                path: path.to_owned(),
                rename: match rest {
                    [] => None,
                    ["as", name] => Some(((*name).to_owned(), None)),
                    ["as", name, method] => Some(((*name).to_owned(), Some((*method).to_owned()))),
                    _ => return Err("after the path stands nothing or `as STRUCT [METHOD]`".into()),
                },
                rows: Vec::new(),
            }),
            [name, method, tail, ref rest @ ..] if indented => {
                let row = self.row(line, name, method, tail, rest)?;
                match self.resources.last_mut() {
                    Some(resource) => resource.rows.push(row),
                    None => return Err("an operation before the first resource".into()),
                }
            }
            _ => {
                return Err(format!(
                    "neither `/path`, `enum`, `query` nor an operation: {text:?}"
                ));
            }
        }
        Ok(())
    }

    fn row(
        &self,
        line: usize,
        name: &str,
        method: &str,
        tail: &str,
        rest: &[&str],
    ) -> Result<Row, String> {
        if !METHODS.contains(&method) {
            return Err(format!("{method} is not one of {METHODS:?}"));
        }
        if !tail.starts_with('/') && !tail.is_empty() {
            return Err(format!("the rest of the path, {tail}, starts with a slash"));
        }
        let mut row = Row {
            line,
            name: name.to_owned(),
            method: method.to_owned(),
            tail: tail.to_owned(),
            body: Body::None,
            body_type: None,
            answer: None,
            is_file: false,
            scopes: Vec::new(),
            prefix: None,
            marks: Vec::new(),
            instead: None,
            required: Vec::new(),
            optional: Vec::new(),
            set: None,
            alias: false,
        };
        let mut words = rest.iter();
        while let Some(word) = words.next() {
            match *word {
                "json" => row.body = Body::Json,
                "json?" => row.body = Body::Optional,
                "multipart" => row.body = Body::Multipart,
                "->" => match words.next() {
                    Some(answer) => row.answer = Some((*answer).to_owned()),
                    None => return Err("an answer is missing after `->`".into()),
                },
                "file" => row.is_file = true,
                "projects" => row.prefix = Some(Prefix::Projects),
                "environments" => row.prefix = Some(Prefix::Environments),
                "both" => row.prefix = Some(Prefix::Both),
                mark if MARKS.contains(&mark) => row.marks.push(mark.to_owned()),
                other => self.token(&mut row, other)?,
            }
        }
        if row.is_file && row.method != "GET" {
            return Err("only a `GET` answers a file".into());
        }
        if row.set.is_some() && !row.optional.is_empty() {
            return Err("a shared `?Name` stands beside no optional parameters".into());
        }
        Ok(row)
    }

    fn token(&self, row: &mut Row, word: &str) -> Result<(), String> {
        if let Some(name) = word.strip_prefix("json:") {
            row.body = Body::Json;
            row.body_type = Some(name.to_owned());
        } else if let Some(instead) = word.strip_prefix("deprecated=") {
            row.marks.push("deprecated".to_owned());
            row.instead = Some(instead.to_owned());
        } else if let Some(json) = word.strip_prefix('=') {
            row.alias = true;
            row.body = match json {
                "json" => Body::Json,
                json => Body::Fixed(json.to_owned()),
            };
        } else if let Some(query) = word.strip_prefix('?') {
            if query.starts_with(|c: char| c.is_ascii_uppercase()) {
                if !self.sets.iter().any(|s| s.name == query) {
                    return Err(format!("there is no `query {query}`"));
                }
                row.set = Some(query.to_owned());
            } else {
                match param(query)? {
                    (param, true) => row.required.push(param),
                    (param, false) => row.optional.push(param),
                }
            }
        } else if word.split(':').count() == 2 {
            row.scopes.push(word.to_owned());
        } else {
            return Err(format!(
                "{word:?} is no body, mark, `object:read` scope or ?query"
            ));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let known = |kind: &Kind| match kind {
            Kind::Enum(name) => self.enums.iter().any(|e| e.name == *name),
            _ => true,
        };
        let check = |param: &Param| {
            let kind = match &param.kind {
                Kind::List(item, _) => item,
                kind => kind,
            };
            match known(kind) {
                true => Ok(()),
                false => Err(format!("{}: no type or enum of that name", param.wire)),
            }
        };
        let mut names = BTreeMap::new();
        let enums = self.enums.iter().map(|e| (&e.name, "enum"));
        for (name, what) in enums.chain(self.sets.iter().map(|s| (&s.name, "query"))) {
            if names.insert((what, name), ()).is_some() {
                return Err(format!("`{what} {name}` is there twice"));
            }
        }
        for set in &self.sets {
            set.params
                .iter()
                .try_for_each(check)
                .map_err(|e| format!("query {}: {e}", set.name))?;
        }
        for resource in &self.resources {
            let mut names = BTreeMap::new();
            for row in &resource.rows {
                let at = |e| format!("line {}: {e}", row.line);
                row.required.iter().try_for_each(check).map_err(at)?;
                row.optional.iter().try_for_each(check).map_err(at)?;
                if let Some(other) = names.insert(&row.name, row.line) {
                    return Err(at(format!("`{}` is also on line {other}", row.name)));
                }
            }
        }
        Ok(())
    }

    pub fn params_of<'a>(&'a self, row: &'a Row) -> &'a [Param] {
        match &row.set {
            Some(name) => self
                .sets
                .iter()
                .find(|s| s.name == *name)
                .map_or(&[], |s| &s.params),
            None => &row.optional,
        }
    }
}

fn variant(word: &str) -> Result<(String, String), String> {
    let (name, value) = match word.split_once('=') {
        Some((name, value)) => (name.to_owned(), value),
        None => (crate::names::variant(word), word),
    };
    if !name.starts_with(|c: char| c.is_ascii_uppercase()) || name == "Other" {
        return Err(format!(
            "{value:?} makes no variant; give one: `Name={value}`"
        ));
    }
    Ok((name, value.to_owned()))
}

/// A parameter, and whether it is required.
fn param(word: &str) -> Result<(Param, bool), String> {
    let (word, required) = match word.strip_suffix('!') {
        Some(word) => (word, true),
        None => (word, false),
    };
    let (wire, kind) = word.split_once(':').unwrap_or((word, "str"));
    let kind = match kind.strip_prefix('[') {
        None => scalar(kind),
        Some(list) => match list.strip_suffix("]*") {
            Some(item) => Kind::List(Box::new(scalar(item)), true),
            None => match list.strip_suffix(']') {
                Some(item) => Kind::List(Box::new(scalar(item)), false),
                None => return Err(format!("{word}: a list is `[type]` or `[type]*`")),
            },
        },
    };
    let wire = wire.to_owned();
    Ok((Param { wire, kind }, required))
}

fn scalar(word: &str) -> Kind {
    match word {
        "str" => Kind::Str,
        "int" => Kind::Int,
        "float" => Kind::Float,
        "bool" => Kind::Bool,
        "time" => Kind::Time,
        "json" => Kind::Json,
        name => Kind::Enum(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        read(text).err().unwrap_or_default()
    }

    #[test]
    fn a_row_is_read_word_by_word() {
        let table = read(
            "# A remark.\n\
             enum Order\n    -created_at One=1 name # first by time\n\
             query Paged limit:int\n\
             \n\
             /api/things as Stuff stuff\n  \
             find  POST  /{id}/find/  json:NewThing  -> Vec<Thing>  a:read  b:write  preview  2025-10\n    \
                 ?q! ?order:Order ?ids:[int] ?in:[str]* ?at:time\n  \
             list  GET  /  ?Paged\n",
        );
        let table = table.unwrap_or_else(|e| panic!("{e}"));
        let values = &table.enums[0].values;
        assert_eq!(
            values
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>(),
            ["CreatedAtDesc=-created_at", "One=1", "Name=name"]
        );
        let resource = &table.resources[0];
        assert_eq!(
            resource.rename,
            Some(("Stuff".into(), Some("stuff".into())))
        );
        let [find, list] = &resource.rows[..] else {
            panic!("two rows")
        };
        assert_eq!((find.line, find.tail.as_str()), (7, "/{id}/find/"));
        assert!(find.body == Body::Json && list.body == Body::None);
        assert_eq!(find.body_type.as_deref(), Some("NewThing"));
        assert_eq!(find.answer.as_deref(), Some("Vec<Thing>"));
        assert_eq!(find.scopes, ["a:read", "b:write"]);
        assert_eq!(find.marks, ["preview", "2025-10"]);
        assert_eq!(find.required[0].wire, "q");
        let kinds: Vec<_> = find.optional.iter().map(|p| p.kind.clone()).collect();
        assert!(
            kinds
                == [
                    Kind::Enum("Order".into()),
                    Kind::List(Box::new(Kind::Int), false),
                    Kind::List(Box::new(Kind::Str), true),
                    Kind::Time,
                ]
        );
        assert_eq!(table.params_of(list)[0].wire, "limit");
    }

    #[test]
    fn what_cannot_be_meant_is_said_with_its_line() {
        let row = |row: &str| format!("query Paged limit:int\n/api/things\n  {row}\n");
        for (text, says) in [
            (row("list  FETCH  /"), "line 3: FETCH is not one of"),
            (
                row("list  GET  things/"),
                "line 3: the rest of the path, things/,",
            ),
            (
                row("list  GET  /  previw"),
                "line 3: \"previw\" is no body, mark",
            ),
            (row("list  GET  /  ->"), "line 3: an answer is missing"),
            (
                row("list  GET  /  ?Pages"),
                "line 3: there is no `query Pages`",
            ),
            (
                row("list  GET  /  ?Paged  ?q"),
                "line 3: a shared `?Name` stands beside no",
            ),
            (
                row("list  GET  /  ?by:Order"),
                "line 3: by: no type or enum",
            ),
            (
                row("list  GET  /  ?by:[Order]!"),
                "line 3: by: no type or enum",
            ),
            (row("list  GET  /  ?by:[str"), "line 3: by:[str: a list is"),
            (row("list  GET"), "line 3: neither"),
            (
                String::from("  list  GET  /\n"),
                "line 1: an operation before",
            ),
            (
                String::from("/api/things like Stuff\n"),
                "line 1: after the path",
            ),
            (
                String::from("enum Window 1h\n"),
                "line 1: \"1h\" makes no variant",
            ),
            (
                String::from("enum Any other\n"),
                "line 1: \"other\" makes no variant",
            ),
            (
                String::from("enum A a\nenum A b\n"),
                "`enum A` is there twice",
            ),
            (
                String::from("query Paged limit:int!\n"),
                "line 1: limit:int!: a shared parameter",
            ),
            (
                String::from("query Paged by:Order\n"),
                "query Paged: by: no type or enum",
            ),
        ] {
            let said = problem(&text);
            assert!(said.starts_with(says), "{text}\n{said}");
        }
    }
}
