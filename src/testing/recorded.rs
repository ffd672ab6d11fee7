//! What the local PostHog remembers.

use std::fmt;
use std::time::Instant;

use serde_json::{Map, Value};

/// How much [`PostHogServer`](super::PostHogServer) remembers.
///
/// Every request is read, decoded and judged the same way whatever is chosen
/// here; the counters count in every mode.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// Requests with their bodies, and events.
    #[default]
    Everything,
    /// Events, and requests without their bodies and answers.
    EventsOnly,
    /// Neither: only the counters. For load runs.
    CountsOnly,
}

/// One request that the server read to its end.
///
/// Its `Debug` shows the beginning of the body as text, for the messages of assertions.
#[non_exhaustive]
#[derive(Clone)]
pub struct RecordedRequest {
    /// `POST`, `GET`, ...
    pub method: String,
    /// The path as sent, without the query: `/batch/`.
    pub path: String,
    /// What stood behind the `?`, as sent. [`param`](Self::param) has it decoded.
    pub query: Option<String>,
    /// Header names in lower case, with their values, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body, unpacked. A body that does not unpack is
    /// kept as it came.
    pub body: Vec<u8>,
    /// Bytes of the body on the wire, before unpacking.
    pub raw_body_len: usize,
    /// The TCP connection it came on, counted from 0.
    pub connection: usize,
    /// When the last byte had been read.
    pub received_at: Instant,
    /// The status it was answered with. `None` where it got no answer that is
    /// HTTP, and where [`answer_with`](super::PostHogServer::answer_with) asks
    /// for one.
    pub status: Option<u16>,
    /// The text of that answer: where the status is no 2xx, why PostHog
    /// refused the request.
    pub answer: String,
    /// The template of the route that fits.
    pub(super) route: Option<String>,
    /// Its placeholders, decoded.
    pub(super) path_params: Vec<(String, String)>,
    /// The query, decoded.
    pub(super) params: Vec<(String, String)>,
}

fn value_of<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = pairs.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

/// How much of a body `Debug` shows.
const SHOWN_CHARS: usize = 2_000;
/// Longer answers are no sentences any more.
const REFUSAL_CHARS: usize = 500;

impl RecordedRequest {
    /// The first header of that name; upper and lower case do not matter.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The query parameter of that name, decoded: `Some("10")` for `?limit=10`. The first, where it comes several times.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        value_of(&self.params, name)
    }

    /// All query parameters, decoded, in the order they came.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let params = self.params.iter();
        params.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What stood in the path in place of `{name}`, decoded. `None` where no [route](super::PostHogServer::on) with that
    /// placeholder fits the request.
    #[must_use]
    pub fn path_param(&self, name: &str) -> Option<&str> {
        value_of(&self.path_params, name)
    }

    /// The path of the [route](super::PostHogServer::on) that fits the request, as it was given:
    /// `/api/projects/{id}/feature_flags/`. `None` where no route fits.
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_deref()
    }

    /// What was refused, and why, in one line; `None` where it was not.
    pub(super) fn refusal(&self) -> Option<String> {
        let status = self.status.filter(|status| *status >= 400)?;
        let (method, path) = (&self.method, &self.path);
        let answer: String = self.answer.chars().take(REFUSAL_CHARS).collect();
        Some(format!("{method} {path}: {status} {answer}"))
    }

    /// The body as JSON; `None` where it is not JSON.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl fmt::Debug for RecordedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            match text.char_indices().nth(SHOWN_CHARS) {
                Some((at, _)) => format!("{}… ({} bytes)", &text[..at], bytes.len()),
                None => text.into_owned(),
            }
        };
        f.debug_struct("RecordedRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("route", &self.route)
            .field("headers", &self.headers)
            .field("body", &text(&self.body))
            .field("status", &self.status)
            .field("answer", &text(self.answer.as_bytes()))
            .finish_non_exhaustive()
    }
}

/// One event that the server accepted.
///
/// Its `Display` is for people: the name, the distinct id, then the
/// properties, one per line, without those that every event carries
/// (`$lib…`, `$os…`, `$is_server`, `$geoip_disable`).
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedEvent {
    /// The event's name.
    pub event: String,
    /// Whom it belongs to, cut to 200 characters as PostHog does.
    pub distinct_id: String,
    /// The uuid as sent. PostHog makes one where there is none.
    pub uuid: Option<String>,
    /// The timestamp as sent.
    pub timestamp: Option<String>,
    /// The properties. A `$set` or `$set_once` beside them (old form) is moved
    /// in here, unless the properties have their own.
    pub properties: Map<String, Value>,
    /// The project token it came with.
    pub api_key: String,
    /// The clock of the sender when it sent the batch.
    pub sent_at: Option<String>,
    /// Whether the batch was marked as a historical migration.
    pub historical_migration: bool,
}

impl RecordedEvent {
    /// One property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.properties.get(name)
    }
}

/// Values are aligned behind names up to this width.
const WIDEST_NAME: usize = 28;

fn made_by_sdk(name: &str) -> bool {
    name.starts_with("$lib")
        || name.starts_with("$os")
        || name == "$is_server"
        || name == "$geoip_disable"
}

/// Text that may go to a terminal: control characters are escaped.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

impl fmt::Display for RecordedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = printable(&self.event);
        let distinct_id = printable(&self.distinct_id);
        write!(f, "{name}  ({distinct_id})")?;
        let shown: Vec<(String, &Value)> = self
            .properties
            .iter()
            .filter(|(name, _)| !made_by_sdk(name))
            .map(|(name, value)| (printable(name), value))
            .collect();
        let widest = shown.iter().map(|(name, _)| name.chars().count()).max();
        let width = widest.unwrap_or(0).min(WIDEST_NAME);
        for (name, value) in shown {
            let value = printable(&value.to_string());
            write!(f, "\n    {name:<width$}  {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_reads_well() {
        let Value::Object(properties) = json!({
            "amount": 12.5, "plan": "pro\u{1b}[2J", "$lib": "x", "$lib_version": "1",
            "$os": "Linux", "$is_server": true, "$geoip_disable": true,
            "$set": {"a": 1}
        }) else {
            unreachable!()
        };
        let event = RecordedEvent {
            event: "invoice paid".into(),
            distinct_id: "cust\n77".into(),
            uuid: None,
            timestamp: None,
            properties,
            api_key: "phc".into(),
            sent_at: None,
            historical_migration: false,
        };
        assert_eq!(
            event.to_string(),
            "invoice paid  (cust\\n77)\n    $set    {\"a\":1}\n    amount  12.5\n    plan    \"pro\\u001b[2J\""
        );
        assert_eq!(event.property("amount"), Some(&json!(12.5)));
    }
}
