//! Reads an OpenAPI document of PostHog's into `api/operations.json` and `api/schemas.json`.
//!
//! ```text
//!  openapi.json ──[document]──► operations (both prefixes folded) ──[operations]──► operations.json
//!                        └────► schemas ───────────────────────────[schemas]─────► schemas.json
//!                                                      └──► [Report]: new, changed, gone, kept
//! ```
//!
//! - What the document has is added or taken over, and gets its label in `seen_in` or `since`.
//! - Nothing is removed: what an earlier document had and this one has not is listed as gone.
//! - Files that people write (`*.txt`) are not touched. What the table then lacks, the generator says.
//! - Importing a document again changes nothing.

mod document;
mod operations;
mod schemas;

use document::Document;
use serde_json::{Map, Value};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Labels of what is no OpenAPI document: files of PostHog's source, and posthog-cli. They list what one reader needs, so
/// that nothing is gone for not being among theirs.
const NO_DOCUMENTS: [&str; 2] = ["2026-xx", "2026-11"];

/// What an import found.
#[derive(Default)]
pub struct Report {
    pub new: Vec<String>,
    pub changed: Vec<String>,
    /// In an earlier document, and not in this one.
    pub gone: Vec<String>,
    /// Where the document says otherwise than what is kept.
    pub kept: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, lines) in [
            ("new", &self.new),
            ("changed", &self.changed),
            ("gone: in an earlier document, kept in the data", &self.gone),
            ("kept, where the document says otherwise", &self.kept),
        ] {
            writeln!(f, "{title} ({})", lines.len())?;
            for line in lines {
                writeln!(f, "  {line}")?;
            }
        }
        Ok(())
    }
}

/// Imports a document into the data of the crate at `home`.
pub fn run(home: &Path, file: &Path, label: Option<&str>) -> Result<Report, String> {
    let this_month = month();
    let label = label.unwrap_or(&this_month);
    check_label(label)?;
    let path = |name: &str| home.join("api").join(name);
    let text = |path: &Path| {
        fs::read_to_string(path).map_err(|problem| format!("{}: {problem}", path.display()))
    };
    let json = |at: &Path| -> Result<Value, String> {
        serde_json::from_str(&text(at)?).map_err(|problem| format!("{}: {problem}", at.display()))
    };
    let document = Document::read(&json(file)?)?;
    let mut report = Report::default();
    let rows = text(&path("operations.json"))?;
    let rows: Vec<Map<String, Value>> =
        serde_json::from_str(&rows).map_err(|e| format!("operations.json: {e}"))?;
    let Value::Object(schemas) = json(&path("schemas.json"))? else {
        return Err("schemas.json is no object".into());
    };
    let rows = operations::merge(rows, &schemas, &document, label, &mut report);
    let schemas = schemas::merge(schemas, &document, label, &mut report);
    let rows: Vec<String> = rows
        .into_iter()
        .map(|r| Value::Object(r).to_string())
        .collect();
    let schemas: Vec<String> = schemas
        .iter()
        .map(|(name, schema)| format!("{}:{schema}", Value::from(name.as_str())))
        .collect();
    for (name, text) in [
        ("operations.json", format!("[\n{}\n]\n", rows.join(",\n"))),
        ("schemas.json", format!("{{\n{}\n}}\n", schemas.join(",\n"))),
    ] {
        fs::write(path(name), text).map_err(|problem| format!("{name}: {problem}"))?;
    }
    Ok(report)
}

fn check_label(label: &str) -> Result<(), String> {
    if NO_DOCUMENTS.contains(&label) {
        return Err(format!(
            "{label} is the label of another source; give one with --as"
        ));
    }
    let is_month = label.len() == 7
        && label.bytes().enumerate().all(|(i, b)| match i {
            4 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    match is_month {
        true => Ok(()),
        false => Err(format!("{label:?}: a label is a year and a month: 2026-12")),
    }
}

/// The current month, as a label.
fn month() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    month_of(seconds.map_or(0, |s| s.as_secs() / 86_400))
}

/// The month of a day, counted from 1970 on.
fn month_of(mut days: u64) -> String {
    let february = |year: u64| match (year.is_multiple_of(4), year.is_multiple_of(100)) {
        (true, false) => 29,
        _ if year.is_multiple_of(400) => 29,
        _ => 28,
    };
    for year in 1970.. {
        let lengths = [31, february(year), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        for (month, length) in (1..).zip(lengths) {
            if days < length {
                return format!("{year}-{month:02}");
            }
            days -= length;
        }
    }
    String::new()
}

/// The labels in a list.
fn labels(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The same labels with one more, sorted by month; `2026-xx` stands first of its year, as in the data.
fn with(mut labels: Vec<String>, label: &str) -> Vec<String> {
    if !labels.iter().any(|l| l == label) {
        labels.push(label.to_owned());
    }
    labels.sort_by_key(|l| l.replace("xx", "00"));
    labels
}

/// Whether an OpenAPI document is among the sources.
fn of_a_document(labels: &[String]) -> bool {
    labels.iter().any(|l| !NO_DOCUMENTS.contains(&l.as_str()))
}

/// Takes over facts of what is in the document, and says which differ. A missing fact and one that is false are the same.
fn take_over(
    old: &mut Map<String, Value>,
    new: &Map<String, Value>,
    facts: &[&str],
    what: &str,
    report: &mut Report,
) {
    let says = |value: Option<&Value>| match value {
        None | Some(Value::Bool(false)) => Value::Null,
        Some(value) => value.clone(),
    };
    for fact in facts {
        // A document that describes nothing takes no description away.
        if *fact == "description" && !new.contains_key(*fact) {
            continue;
        }
        let (before, after) = (says(old.get(*fact)), says(new.get(*fact)));
        if before == after {
            continue;
        }
        let shown = |value: &Value| match value {
            Value::Null => "none".to_owned(),
            value => crate::names::plain(value),
        };
        report.changed.push(format!(
            "{what}: {fact} {} -> {}",
            shown(&before),
            shown(&after)
        ));
        match new.get(*fact) {
            Some(value) if after != Value::Null => {
                old.insert((*fact).to_owned(), value.clone());
            }
            Some(value) if *fact == "required" => {
                old.insert((*fact).to_owned(), value.clone());
            }
            _ => {
                old.shift_remove(*fact);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_months_of_documents() {
        for label in ["2026-12", "2031-01"] {
            assert_eq!(check_label(label), Ok(()));
        }
        for label in ["2026-11", "2026-xx", "2026", "december", "2026-1a", ""] {
            assert!(check_label(label).is_err(), "{label}");
        }
        assert_eq!(
            check_label(&month()).is_ok(),
            !NO_DOCUMENTS.contains(&month().as_str())
        );
        for (day, month) in [
            (0, "1970-01"),
            (30, "1970-01"),
            (31, "1970-02"),
            (11_016, "2000-02"),
            (11_017, "2000-03"),
            (20_787, "2026-11"),
        ] {
            assert_eq!(month_of(day), month, "{day}");
        }
        let months = |labels: &[&str]| labels.iter().map(|l| (*l).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            with(months(&["2025-10", "2026-xx", "2026-11"]), "2026-12"),
            ["2025-10", "2026-xx", "2026-11", "2026-12"]
        );
    }
}
