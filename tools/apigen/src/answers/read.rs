//! Reads api/answers.txt and what is written by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[derive(Default)]
pub(super) struct Answers {
    pub(super) files: Vec<File>,
    pub(super) hand: Vec<Item>,
}

pub(super) struct File {
    pub(super) name: String,
    pub(super) doc: String,
    pub(super) items: Vec<Item>,
}

/// A model, a set of values, or what is said of a hand-written model.
pub(super) struct Item {
    pub(super) line: usize,
    pub(super) is_values: bool,
    pub(super) name: String,
    pub(super) schemas: Vec<String>,
    pub(super) doc: String,
    pub(super) fields: Vec<Field>,
    pub(super) without: Vec<String>,
}

/// A correction: of a field's type or docs, or of a value's name or docs.
pub(super) struct Field {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) kind: Option<String>,
    pub(super) doc: String,
}

pub(super) fn read(text: &str) -> Result<Answers, String> {
    let mut answers = Answers::default();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line == "#" || line.starts_with("# ") {
            continue;
        }
        let (line, doc) = match line.split_once(" | ") {
            Some((line, doc)) => (line, doc.trim().to_owned()),
            None => (line, String::new()),
        };
        read_line(&mut answers, i + 1, line, doc).map_err(|e| format!("line {}: {e}", i + 1))?;
    }
    Ok(answers)
}

fn read_line(answers: &mut Answers, line: usize, text: &str, doc: String) -> Result<(), String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let item = |is_values, name: &str, schemas: &[&str], doc| Item {
        line,
        is_values,
        name: name.to_owned(),
        schemas: schemas.iter().map(|s| (*s).to_owned()).collect(),
        doc,
        fields: Vec::new(),
        without: Vec::new(),
    };
    let indented = text.starts_with(' ');
    match words[..] {
        ["file", name] if !indented => answers.files.push(File {
            name: name.to_owned(),
            doc,
            items: Vec::new(),
        }),
        ["hand", name, ref schemas @ ..] if !indented => {
            answers.hand.push(item(false, name, schemas, doc));
        }
        [what @ ("model" | "values"), name, ref schemas @ ..] if !indented => {
            let file = answers.files.last_mut().ok_or("before the first `file`")?;
            let item = item(what == "values", name, schemas, doc);
            if item.doc.is_empty() {
                return Err(format!(
                    "what `{name}` is, is missing: ` | ` and a sentence"
                ));
            }
            file.items.push(item);
        }
        ["without", ref names @ ..] if indented => {
            let last = answers.last().ok_or("before the first model")?;
            last.without.extend(names.iter().map(|n| (*n).to_owned()));
        }
        [name, ref rest @ ..] if indented && rest.len() < 2 => {
            let last = answers.last().ok_or("before the first model")?;
            last.fields.push(Field {
                line,
                name: name.to_owned(),
                kind: rest.first().map(|k| (*k).to_owned()),
                doc,
            });
        }
        _ => {
            return Err(format!(
                "neither `file`, `model`, `values`, `hand` nor a field: {text:?}"
            ));
        }
    }
    Ok(())
}

impl Answers {
    /// The item that indented lines belong to: `hand` lines stand behind all files.
    fn last(&mut self) -> Option<&mut Item> {
        match self.hand.last_mut() {
            Some(item) => Some(item),
            None => self.files.last_mut()?.items.last_mut(),
        }
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.files.iter().flat_map(|f| &f.items)
    }
}

/// The structs and enums of the hand-written files, with the fields of those that `model!` makes.
pub(super) fn hand_written(folder: &Path) -> Result<BTreeMap<String, BTreeSet<String>>, String> {
    let mut found = BTreeMap::new();
    let at = |e: std::io::Error| format!("{}: {e}", folder.display());
    for entry in fs::read_dir(folder).map_err(at)? {
        let path = entry.map_err(at)?.path();
        if path.extension().is_none_or(|e| e != "rs") {
            continue;
        }
        let mut name = None;
        for line in fs::read_to_string(&path).map_err(at)?.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["pub", "struct" | "enum" | "type", of, ..] => {
                    let of: String = of
                        .chars()
                        .take_while(|c| c.is_ascii_alphanumeric())
                        .collect();
                    found.insert(of.clone(), BTreeSet::new());
                    name = Some(of);
                }
                ["}"] => name = None,
                [field, ref rest @ ..] => {
                    let wire = match rest {
                        ["as", wire, ..] => wire.trim_end_matches(':').trim_matches('"'),
                        _ => match field.strip_suffix(':') {
                            Some(field) => field,
                            None => continue,
                        },
                    };
                    if let Some(fields) = name.as_ref().and_then(|n| found.get_mut(n)) {
                        fields.insert(wire.to_owned());
                    }
                }
                [] => {}
            }
        }
    }
    Ok(found)
}
