//! What is known of operations beside the table: texts for the documentation, and what was seen of the API.

use crate::data::{self, Seen};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[derive(Default)]
pub struct Facts {
    /// `api/descriptions.txt`: the first sentence of an operation's documentation.
    pub descriptions: BTreeMap<String, String>,
    /// `api/parameters.txt`: what a parameter does, by its name, or with the operation or set in front.
    pub parameters: BTreeMap<String, String>,
    /// `api/operations.json`, by method and path.
    pub seen: BTreeMap<(String, String), Seen>,
}

impl Facts {
    pub fn load(home: &Path) -> Result<Self, String> {
        let file = |name: &str| {
            fs::read_to_string(home.join(name)).map_err(|problem| format!("{name}: {problem}"))
        };
        let within = |name: &'static str| move |problem| format!("{name}: {problem}");
        let seen = data::read(&file("api/operations.json")?);
        let seen = seen.map_err(within("api/operations.json"))?;
        let texts = |name| texts(&file(name)?).map_err(within(name));
        Ok(Self {
            descriptions: texts("api/descriptions.txt")?,
            parameters: texts("api/parameters.txt")?,
            seen: seen
                .into_iter()
                .map(|seen| ((seen.method().to_owned(), seen.path().to_owned()), seen))
                .collect(),
        })
    }
}

/// Lines of a name and a text. Indented lines go on; `# ` starts a remark.
fn texts(text: &str) -> Result<BTreeMap<String, String>, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let mut last = String::new();
    for (i, line) in text.lines().enumerate() {
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(' ') {
            match texts.get_mut(&last) {
                Some(text) => *text = format!("{text} {}", line.trim_start()),
                None => return Err(format!("line {}: goes on with nothing", i + 1)),
            }
            continue;
        }
        let (name, text) = line
            .split_once(' ')
            .ok_or_else(|| format!("line {}: `{line}` has no text", i + 1))?;
        last = name.to_owned();
        if texts
            .insert(last.clone(), text.trim_start().to_owned())
            .is_some()
        {
            return Err(format!("line {}: `{name}` is there twice", i + 1));
        }
    }
    for (name, text) in &texts {
        if !text.ends_with('.') {
            return Err(format!("`{name}`: its text does not end with a full stop"));
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_a_name_and_a_sentence() {
        let read = texts("# A remark.\n\na.b  Does b.\nlimit   How\n    many.\n");
        let read = read.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read["a.b"], "Does b.");
        assert_eq!(read["limit"], "How many.");
        for (text, says) in [
            ("a\n", "line 1: `a` has no text"),
            ("  a b\n", "line 1: goes on with nothing"),
            ("a B.\na C.\n", "line 2: `a` is there twice"),
            ("a B\n", "`a`: its text does not end with a full stop"),
        ] {
            assert_eq!(texts(text).err().as_deref(), Some(says));
        }
    }
}
