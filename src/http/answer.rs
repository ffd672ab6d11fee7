//! Reads answers as JSON, and says what is wrong with those that do not fit.
//!
//! An error names the place in the answer, such as `results[2].name`, and the kind of problem, but no value: answers are
//! personal data. While an answer is read, the values in it can ask which operation it answers.

use super::{Http, numbers};
use crate::diagnostics::log;
use crate::error::PostHogError;
use crate::redact::{self, describe, excerpt};
use serde::de::{DeserializeOwned, Error as _};
use std::borrow::Cow;
use std::cell::Cell;

/// Deeper than JSON is read: what is wrong there has no place to be told.
const DEEPEST: usize = 128;

/// Some proxies put it before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

// Not set after reading instead: an answer is of any type, and what asks may stand anywhere within it, as in a page of
// untyped items.
thread_local! {
    static READING: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// While it lives, values that are read on this thread can tell which operation they answer.
struct Reading(Option<&'static str>);

impl Reading {
    fn begin(operation: &'static str) -> Self {
        Self(READING.replace(Some(operation)))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        READING.set(self.0);
    }
}

/// The operation whose answer is being read on this thread.
pub(crate) fn operation_being_read() -> Option<&'static str> {
    READING.get()
}

/// The answer without the numbers that JSON does not have, and without halves of characters, if these may be what cannot
/// be read.
#[cold]
fn readable(operation: &'static str, json: &[u8], error: &serde_json::Error) -> Option<Vec<u8>> {
    if !error.is_syntax() {
        return None;
    }
    let numbers = numbers::without_nan(json);
    if let Some((_, count)) = numbers {
        log!(
            target: "tracing_posthog::http",
            warn,
            operation,
            count,
            "the answer holds NaN or Infinity, which JSON does not have; they are read as null",
        );
    }
    let text = numbers.as_ref().map_or(json, |(text, _)| text);
    let halves = numbers::without_lone_surrogates(text);
    if let Some((_, count)) = halves {
        log!(
            target: "tracing_posthog::http",
            warn,
            operation,
            count,
            "the answer holds halves of characters, which no text can hold; they are read as U+FFFD",
        );
    }
    halves.or(numbers).map(|(text, _)| text)
}

impl Http {
    /// Reads an answer as JSON. An empty one is `null`, and so are `NaN`, `Infinity` and `-Infinity`.
    /// Half of a character is `U+FFFD`.
    pub(crate) fn read_json<A: DeserializeOwned>(
        &self,
        operation: &'static str,
        body: &[u8],
    ) -> Result<A, PostHogError> {
        let text = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        let text = text.trim_ascii();
        let value: &[u8] = if text.is_empty() { b"null" } else { text };
        let _reading = Reading::begin(operation);
        let error = match serde_json::from_slice(value) {
            Ok(read) => return Ok(read),
            Err(error) => error,
        };
        match readable(operation, value, &error) {
            Some(json) => {
                serde_json::from_slice(&json).map_err(|e| self.misfit(operation, &json, e))
            }
            None => Err(self.misfit(operation, text, error)),
        }
    }

    /// Says where an answer is not what it should be, in few words and without keys.
    #[cold]
    fn misfit(
        &self,
        operation: &'static str,
        text: &[u8],
        source: serde_json::Error,
    ) -> PostHogError {
        let what = match text.first() {
            None => "the answer is empty, where a value is expected".into(),
            Some(b'<') => {
                let what = describe(text).unwrap_or_default();
                format!("the answer is {what}; check the host")
            }
            Some(_) => {
                let place = match place(text, &source) {
                    place if place.is_empty() => place,
                    place => format!(" at {}", excerpt(&self.clean(&place), 200)),
                };
                let problem = match source.is_data() {
                    true => "is not of the type asked for",
                    false => "cannot be read as JSON",
                };
                format!("the answer {problem}{place}: {}", redact::problem(&source))
            }
        };
        PostHogError::SerializationError {
            operation,
            what,
            source: shown_source(&source),
        }
    }
}

/// The error of an answer that was JSON, and is not a `T`. It shows no value.
pub(crate) fn misfit_of<T>(
    operation: &'static str,
    json: &[u8],
    source: &serde_json::Error,
) -> PostHogError {
    let place = match place(json, source) {
        place if place.is_empty() => place,
        place => format!(" at {}", excerpt(&redact::without_keys(&place), 200)),
    };
    PostHogError::SerializationError {
        operation,
        what: format!(
            "the answer cannot be read as {}{place}: {}",
            std::any::type_name::<T>(),
            redact::problem(source)
        ),
        source: shown_source(source),
    }
}

/// The library quotes the value that it did not like.
fn shown_source(source: &serde_json::Error) -> serde_json::Error {
    serde_json::Error::custom(format!(
        "{} at line {} column {}",
        redact::problem(source),
        source.line(),
        source.column()
    ))
}

/// Where in the text the error is, such as `results[2].name`.
fn place(text: &[u8], error: &serde_json::Error) -> String {
    path(&text[..offset(text, error)], error)
}

/// How many bytes were read before the error.
fn offset(text: &[u8], error: &serde_json::Error) -> usize {
    let line: usize = text
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    (line + error.column()).min(text.len())
}

/// Where the last value of an unfinished JSON text stands, such as `results[2].name`; empty for the whole.
/// For a complaint of a type of its own about the last of a list or map, the place of that list or map.
///
/// Found from the text alone and only after an error, so that reading costs each type nothing.
fn path(text: &[u8], error: &serde_json::Error) -> String {
    enum Step<'a> {
        Key(&'a [u8]),
        Index(usize),
    }
    // The comma after a value is read before an error of that value is placed; but a list or object that
    // should be something else is not read at all.
    let mut text = text.trim_ascii_end();
    let said = error.to_string();
    if !said.starts_with("invalid type: map") && !said.starts_with("invalid type: sequence") {
        text = text.strip_suffix(b",").unwrap_or(text);
    }
    let mut steps = Vec::new();
    let mut key_follows = false;
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        if steps.len() > DEEPEST {
            return String::new();
        }
        match first {
            b'{' => {
                steps.push(Step::Key(b""));
                key_follows = true;
            }
            b'[' => steps.push(Step::Index(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => match steps.last_mut() {
                Some(Step::Index(n)) => *n += 1,
                _ => key_follows = true,
            },
            b'"' => {
                let (string, after) = rest.split_at(string_end(rest));
                rest = after.get(1..).unwrap_or_default();
                if key_follows && let Some(Step::Key(key)) = steps.last_mut() {
                    *key = string;
                    key_follows = false;
                }
            }
            _ => {}
        }
    }
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(b"") => {}
            Step::Key(key) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&shown(key));
            }
            Step::Index(n) => path.push_str(&format!("[{n}]")),
        }
    }
    path
}

/// A name that a schema would have; others may be ids.
fn shown(key: &[u8]) -> Cow<'_, str> {
    let is_name = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'_' | b'$');
    match key.len() <= 40 && key.iter().all(is_name) {
        true => String::from_utf8_lossy(key),
        false => Cow::Borrowed("…"),
    }
}

/// How long a string is that has been opened.
fn string_end(text: &[u8]) -> usize {
    let mut escaped = false;
    text.iter()
        .position(|byte| match byte {
            _ if escaped => {
                escaped = false;
                false
            }
            b'\\' => {
                escaped = true;
                false
            }
            byte => *byte == b'"',
        })
        .unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading is looked at")]
    struct Row {
        id: u64,
        tags: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its reading is looked at")]
    struct Page {
        results: Vec<Row>,
        #[serde(default)]
        by_name: BTreeMap<String, Row>,
    }

    fn place<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
        let error = serde_json::from_str::<T>(text).unwrap_err();
        super::place(text.as_bytes(), &error)
    }

    #[test]
    fn errors_name_their_field() {
        for (text, field) in [
            (
                r#"{"results": [{"id": 1, "tags": []}, {"id": "x", "tags": []}]}"#,
                "results[1].id",
            ),
            (r#"{"results": [{"id": 1.5, "tags": []}]}"#, "results[0].id"),
            (r#"{"results": [{"id": -1}]}"#, "results[0].id"),
            (
                r#"{"results": [{"id": true, "tags": []}, 3]}"#,
                "results[0].id",
            ),
            (
                r#"{"results": [{"id": null, "tags": []}]}"#,
                "results[0].id",
            ),
            (r#"{"results": [{"id": {}, "tags": []}]}"#, "results[0].id"),
            (
                r#"{"results": [{"tags": ["a", "b\"]}", 7], "id": 1}]}"#,
                "results[0].tags[2]",
            ),
            (r#"{"results": [{"tags": []}, {"id": 1}]}"#, "results[0]"),
            (
                r#"{"results": [{"id": 1, "tags": []}, {"id": 1}, {}]}"#,
                "results[1]",
            ),
            (
                r#"{"results": [{"tags": ["a", {}], "id": 1}]}"#,
                "results[0].tags[1]",
            ),
            (
                r#"{"results": [{"tags": ["a", ["b"]], "id": 1}]}"#,
                "results[0].tags[1]",
            ),
            (
                r#"{"results": [{"tags": [], "id": [1]}, {}]}"#,
                "results[0].id",
            ),
            (r#"{"results": 5}"#, "results"),
            (r#"{"results": "no"}"#, "results"),
            (
                "{\n \"results\": [],\n \"by_name\": {\"x y\": {\"id\": 0, \"tags\": [\n0]}}}",
                "by_name.….tags[0]",
            ),
            (r#"{"by_name": {}}"#, ""),
            ("[]", ""),
            (r#""text""#, ""),
        ] {
            assert_eq!(place::<Page>(text), field, "{text}");
        }
    }

    #[test]
    fn errors_without_a_place_of_their_own_are_found_too() {
        /// Complains only after it was read, as models do.
        #[derive(Debug)]
        struct Late;
        impl<'de> Deserialize<'de> for Late {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                match Value::deserialize(from)? {
                    Value::Object(_) => Ok(Self),
                    _ => Err(D::Error::custom("late")),
                }
            }
        }
        assert_eq!(place::<Vec<Late>>("[{}, {}, [[1], 2], {}]"), "[2]");
        assert_eq!(place::<Vec<Late>>("[{}, {}, 5 , {}]"), "[2]");
        // The last of a list is closed together with the list.
        assert_eq!(
            place::<BTreeMap<String, Vec<Late>>>(r#"{"a": [{}, 5]}"#),
            "a"
        );
        assert_eq!(
            place::<BTreeMap<String, Late>>(r#"{"a": {"x": 1}, "b": [{}]}"#),
            ""
        );
        assert_eq!(place::<BTreeMap<String, Late>>(r#"{"b": 5, "c": {}}"#), "b");
    }

    proptest! {
        /// Whatever comes, cut anywhere: a place or none, and never a panic.
        #[test]
        fn any_text_has_a_place(text in ".{0,80}", at in 0usize..400) {
            let bytes = text.as_bytes();
            path(&bytes[..at.min(bytes.len())], &serde_json::Error::custom("no"));
        }

        /// A number in the place of a list is found, whatever its name.
        #[test]
        fn names_are_as_they_were_sent_or_left_out(names in proptest::collection::vec("[^\u{0}-\u{1f}]{1,9}", 1..4)) {
            let mut value = json!(5);
            for name in names.iter().rev() {
                value = json!({name: [[], value]});
            }
            let text = value.to_string();
            let at = text.find('5').filter(|_| names.iter().all(|n| !n.contains('5')));
            prop_assume!(at.is_some());
            let expected = names.iter().map(|name| {
                let quoted = json!(name).to_string();
                // Only what may be the name of a field is shown.
                format!("{}[1]", shown(&quoted.as_bytes()[1..quoted.len() - 1]))
            });
            let found = path(&text.as_bytes()[..=at.unwrap()], &serde_json::Error::custom("no"));
            prop_assert_eq!(found, expected.collect::<Vec<_>>().join("."));
        }
    }
}
