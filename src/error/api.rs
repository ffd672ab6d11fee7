//! [`ApiError`]: what PostHog says about a request that it refuses, and what can be read from its words.

use super::after;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// What PostHog says about a request that it refused.
///
/// The REST API answers `{type, code, detail, attr}`; capture v0 answers plain text, which becomes `detail`;
/// capture v1 answers `{error, error_description}`, and `error` becomes `code`. Of a refusal of events only known codes
/// and sentences of known words are kept: others may repeat what was sent.
#[derive(Clone)]
#[non_exhaustive]
pub struct ApiError {
    /// What was being done, such as `capture batch`.
    pub operation: &'static str,
    /// The request's method.
    pub method: String,
    /// The request's path, without host and query.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// PostHog's `type`, such as `validation_error`.
    pub kind: Option<String>,
    /// PostHog's `code`, such as `permission_denied`.
    pub code: Option<String>,
    /// What went wrong, in PostHog's words; or the address of a redirect that was not followed; at most 500
    /// characters.
    pub detail: String,
    /// The attribute the complaint is about. `__` leads into nested ones.
    pub attr: Option<String>,
    /// What PostHog adds for programs; `Debug` does not show it. Left out if the answer is longer than 64 kB.
    pub extra: Option<Value>,
    /// The single complaints, where there are several (`type` is `multiple`); at most 100.
    pub list: Vec<FieldError>,
    /// The start of the answer's body, at most 2,000 characters, without keys. For programs: it may hold what the
    /// server echoes, so neither `Display` nor `Debug` shows it.
    pub body: String,
    /// How often the request was sent.
    pub attempts: u32,
    /// For how long the answer asked to be left alone, by a `Retry-After` in seconds or as a date. The client waits no
    /// longer than [`max_delay`](crate::RetryPolicy::max_delay) between attempts; this is the whole time.
    pub retry_after: Option<Duration>,
}

/// One of several complaints in an [`ApiError`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FieldError {
    /// PostHog's `code`, such as `required`.
    pub code: Option<String>,
    /// What went wrong, in PostHog's words; at most 500 characters.
    pub detail: String,
    /// The attribute it is about.
    pub attr: Option<String>,
}

/// A place in the text of a query. What PostHog does not say is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct HogQlPosition {
    /// Where it begins, in characters from the start of the query.
    pub start: Option<u64>,
    /// Where it ends.
    pub end: Option<u64>,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The column within the line.
    pub column: Option<u64>,
}

impl ApiError {
    /// See [`PostHogError::missing_scope`](crate::PostHogError::missing_scope).
    pub fn missing_scope(&self) -> Option<&str> {
        if self.status != 403 {
            return None;
        }
        let (_, after) = self.detail.split_once("scope")?;
        after
            .split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '*')))
            .find(|word| {
                word.split_once(':')
                    .is_some_and(|(object, right)| !object.is_empty() && !right.is_empty())
            })
    }

    /// See [`PostHogError::hogql_position`](crate::PostHogError::hogql_position).
    pub fn hogql_position(&self) -> Option<HogQlPosition> {
        let extra = self.extra.as_ref();
        // Newer PostHogs tell what their editor would mark.
        let marked = extra.and_then(|extra| extra.pointer("/hogql_metadata/errors/0"));
        extra
            .and_then(HogQlPosition::read)
            .or_else(|| marked.and_then(HogQlPosition::read))
            .or_else(|| HogQlPosition::in_text(&self.detail))
    }
}

impl HogQlPosition {
    fn read(value: &Value) -> Option<Self> {
        let said = |name: &str| value.get(name)?.as_u64();
        Self {
            start: said("start"),
            end: said("end"),
            line: said("line"),
            column: said("column"),
        }
        .told()
    }

    fn told(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }

    /// Reads "line 1, column 8", "(line 1, col 8)" and "at position 8", as ClickHouse and the HogQL
    /// parser write them.
    pub(super) fn in_text(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        let number = |marks: &[&str]| {
            marks.iter().find_map(|mark| {
                text.match_indices(mark).find_map(|(at, _)| {
                    if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                        return None;
                    }
                    let rest = text[at + mark.len()..].trim_start_matches([' ', ':']);
                    let digits = rest
                        .find(|c: char| !c.is_ascii_digit())
                        .unwrap_or(rest.len());
                    rest[..digits].parse().ok()
                })
            })
        };
        Self {
            start: number(&["at position "]),
            end: None,
            line: number(&["line "]),
            column: number(&["column ", "col "]),
        }
        .told()
    }
}

impl fmt::Debug for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = |len: usize| format!("{len} bytes");
        f.debug_struct("ApiError")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("status", &self.status)
            .field("kind", &self.kind)
            .field("code", &self.code)
            .field("detail", &self.detail)
            .field("attr", &self.attr)
            .field("extra", &self.extra.as_ref().map(|_| "…"))
            .field("list", &self.list)
            .field("body", &bytes(self.body.len()))
            .field("attempts", &self.attempts)
            .field("retry_after", &self.retry_after)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: PostHog answered {} to {} {}",
            self.operation, self.status, self.method, self.path
        )?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if let Some(attr) = &self.attr {
            write!(f, " ({attr})")?;
        }
        for more in self.list.iter().filter(|c| c.detail != self.detail).take(5) {
            write!(f, "; {}", more.detail)?;
            if let Some(attr) = &more.attr {
                write!(f, " ({attr})")?;
            }
        }
        after(f, self.attempts)
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::super::body::{ErrorBody, MAX_EXTRA, Refusals};
    use super::*;
    use crate::redact::Redactor;
    use serde_json::json;

    fn error(status: u16, body: &str) -> ApiError {
        let account = ErrorBody::read(body.as_bytes(), Refusals::Api, &Redactor::default());
        ApiError {
            operation: "test",
            method: "GET".into(),
            path: "/api/".into(),
            status,
            kind: account.kind,
            code: account.code,
            detail: account.detail,
            attr: account.attr,
            extra: account.extra,
            list: account.list,
            body: String::new(),
            attempts: 1,
            retry_after: None,
        }
    }

    #[test]
    fn posthogs_account_is_read_whatever_its_types() {
        let e = error(
            400,
            &json!({"type": "validation_error", "code": 7, "detail": ["too long", "too odd"],
                    "attr": null, "extra": {"a": 1}})
            .to_string(),
        );
        assert_eq!(e.kind.as_deref(), Some("validation_error"));
        assert_eq!(e.code.as_deref(), Some("7"));
        assert_eq!(e.detail, "too long; too odd");
        assert_eq!(e.attr, None);
        assert_eq!(e.extra, Some(json!({"a": 1})));

        let e = error(
            400,
            &json!({"type": "multiple", "code": null, "detail": null, "attr": {"odd": true},
                    "list": [{"type": "validation_error", "code": "required", "detail": "This field is required.",
                              "attr": "filters__groups"}, "also this", null]})
            .to_string(),
        );
        assert_eq!(e.list.len(), 3);
        assert_eq!(e.list[0].attr.as_deref(), Some("filters__groups"));
        assert_eq!(
            e.to_string(),
            "test: PostHog answered 400 to GET /api/: This field is required. ({\"odd\":true}); also this; "
        );
    }

    #[test]
    fn other_answers_say_something_short() {
        let read =
            |body: &str, from| ErrorBody::read(body.as_bytes(), from, &Redactor::default()).detail;
        for (body, want) in [
            ("", ""),
            ("no such token\n", "no such token"),
            ("\"gone\"", "gone"),
            ("\"ada\"", "JSON that is not PostHog's (5 bytes)"),
            ("[1]", "JSON that is not PostHog's (3 bytes)"),
            (r#"{"error":"Forbidden"}"#, "Forbidden"),
            (
                r#"{"distinct_id":"ada","detail":"no"}"#,
                "JSON that is not PostHog's (35 bytes)",
            ),
            (
                r#"{"query_status":{"error_message":"bad column"}}"#,
                "bad column",
            ),
            ("<title", "XML instead of PostHog's JSON (6 bytes)"),
        ] {
            assert_eq!(read(body, Refusals::Api), want, "{body:?}");
        }
        for (body, want) in [
            (
                r#"{"error":"ada"}"#,
                "JSON that is not PostHog's (15 bytes)",
            ),
            (
                r#"{"error":"empty_batch","error_description":"no events"}"#,
                "no events",
            ),
            ("\"ada\"", "JSON that is not PostHog's (5 bytes)"),
        ] {
            assert_eq!(read(body, Refusals::Capture), want, "{body:?}");
        }
        let long = serde_json::json!({"detail": "ä".repeat(9_999)}).to_string();
        assert_eq!(read(&long, Refusals::Api).chars().count(), 501);
        let large = json!({"extra": {"a": "x".repeat(MAX_EXTRA)}, "detail": "d"}).to_string();
        assert_eq!(error(400, &large).extra, None);
    }

    #[test]
    fn debug_shows_neither_the_body_nor_what_is_for_programs() {
        let mut e = error(400, r#"{"type":"validation_error","extra":{"who":"ada"}}"#);
        e.body = "ada".to_owned();
        let shown = format!("{e:?} {e}");
        assert!(!shown.contains("ada"), "{shown}");
    }

    #[test]
    fn a_missing_scope_is_named() {
        for (detail, want) in [
            (
                "API key missing required scope 'feature_flag:read'",
                Some("feature_flag:read"),
            ),
            ("Missing required scope: query:read.", Some("query:read")),
            (
                "API key does not have access to the requested project: 7",
                None,
            ),
            ("your scope is: small", None),
        ] {
            let body = json!({"type": "authentication_error", "code": "permission_denied", "detail": detail});
            assert_eq!(
                error(403, &body.to_string()).missing_scope(),
                want,
                "{detail}"
            );
            assert_eq!(error(400, &body.to_string()).missing_scope(), None);
        }
    }

    #[test]
    fn positions_are_read_from_extra_or_from_the_words() {
        let at = |body: Value| error(400, &body.to_string()).hogql_position();
        let said = at(json!({"detail": "no", "extra": {"start": 7, "end": 12}})).unwrap();
        assert_eq!((said.start, said.end, said.line), (Some(7), Some(12), None));
        let said = at(
            json!({"detail": "Unable to resolve field: evnt", "extra": {"hogql_metadata": {
            "isValid": false, "errors": [{"message": "no", "start": 7, "end": 11}]}}}),
        );
        assert_eq!(said.map(|p| (p.start, p.end)), Some((Some(7), Some(11))));
        let said =
            at(json!({"detail": "Syntax error: failed at position 8 ('x') (line 1, col 9): x"}));
        let said = said.unwrap();
        assert_eq!(
            (said.start, said.line, said.column),
            (Some(8), Some(1), Some(9))
        );
        let said = at(json!({"detail": "Line 2, column 14: no viable alternative"})).unwrap();
        assert_eq!((said.line, said.column), (Some(2), Some(14)));
        assert_eq!(
            at(json!({"detail": "Unable to resolve field: eventt; a line at position x"})),
            None
        );
        assert_eq!(
            at(json!({"detail": "no field timeline 5, my_column 2"})),
            None
        );
    }
}
