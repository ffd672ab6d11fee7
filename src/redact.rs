//! The one place through which foreign text goes before it may be shown.
//!
//! Foreign is what comes from responses, redirects, settings and the environment: it may hold keys, credentials, ids
//! of people and their properties, because a server may echo what it was sent and a variable may hold the wrong
//! value. Errors, log lines, hooks and `Debug` show only:
//!
//! - PostHog's own words, from responses of its own shape ([`crate::error::ErrorBody`] decides), without secrets;
//! - words of a short list ([`vouched`]), for the titles and sentences of gateways and login pages;
//! - of everything else its kind and length ([`describe`]).
//!
//! Invariant: whatever is shown went through [`Redactor::text`], [`vouched`], [`describe`] or [`problem`].

mod errors;
mod forms;
mod problem;

pub(crate) use problem::problem;

use serde_json::Value;
use std::fmt;

/// What stands in the place of a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// As much of a secret's start as is no longer an ordinary word.
const SHORTEST_START: usize = 6;

/// Removes the secrets of one client from texts.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// In all their forms and in small letters; the longest first: one may be a part of another.
    secrets: Vec<String>,
}

impl Redactor {
    /// `keys` are removed whatever their length; of header values also what follows an authentication scheme, and the
    /// values of cookies.
    pub(crate) fn new<'a>(
        keys: impl IntoIterator<Item = &'a str>,
        header_values: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let of_headers = header_values.into_iter().flat_map(forms::of_header);
        let keys = keys.into_iter().filter(|key| !key.is_empty());
        let mut secrets: Vec<String> = keys.chain(of_headers).flat_map(forms::of_secret).collect();
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Self { secrets }
    }

    /// `text` without this client's secrets, however they are encoded and in letters of either case, and without
    /// anything that looks like a key of PostHog.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = without(text, secret);
        }
        without_keys(&text)
    }

    /// The same for a text that breaks off: it may end within a secret.
    fn broken_text(&self, text: &str) -> String {
        let mut text = self.text(text);
        let lower = text.to_ascii_lowercase();
        let starts = |secret: &String| {
            let lengths = (SHORTEST_START..secret.len()).rev();
            lengths
                .filter(|length| secret.is_char_boundary(*length))
                .find(|length| lower.ends_with(&secret[..*length]))
        };
        if let Some(length) = self.secrets.iter().filter_map(starts).max() {
            text.truncate(text.len() - length);
            text.push_str(REDACTED);
        }
        text
    }
}

/// `text` without `secret`, which is in small letters.
fn without(text: String, secret: &str) -> String {
    // Small letters of ASCII are as long as capital ones: places in one are places in the other.
    let lower = text.to_ascii_lowercase();
    let mut clean = String::new();
    let mut from = 0;
    for (at, _) in lower.match_indices(secret) {
        clean.push_str(&text[from..at]);
        clean.push_str(REDACTED);
        from = at + secret.len();
    }
    match from {
        0 => text,
        from => clean + &text[from..],
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// Where something begins that looks like a key of PostHog (`phc_…`, `phx_…`): its place, and its end.
fn next_key(text: &str, from: usize) -> Option<(usize, usize)> {
    text[from..].match_indices("ph").find_map(|(at, _)| {
        let at = from + at;
        let own = &text.as_bytes()[at..];
        let starts_word = !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        if !starts_word || own.len() < 5 || !own[2].is_ascii_lowercase() || own[3] != b'_' {
            return None;
        }
        let secret = text[at + 4..]
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
            .map_or(text.len(), |end| at + 4 + end);
        (secret > at + 4).then_some((at, secret))
    })
}

impl Redactor {
    /// A value of JSON, all of whose texts are cleaned: secrets may be written in escapes.
    pub(crate) fn value(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Number(number) => {
                // A header's value may be one.
                let text = number.to_string();
                let clean = self.text(&text);
                match clean == text {
                    true => Value::Number(number),
                    false => Value::String(clean),
                }
            }
            Value::Array(items) => items.into_iter().map(|item| self.value(item)).collect(),
            Value::Object(fields) => fields
                .into_iter()
                .map(|(name, value)| (self.text(&name), self.value(value)))
                .collect(),
            other => other,
        }
    }

    /// A body without secrets, for programs to read.
    pub(crate) fn body(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body);
        match serde_json::from_str(&text) {
            Ok(value) => self.value(value).to_string(),
            Err(_) => self.broken_text(&text),
        }
    }
}

/// Whether it holds something that looks like a key of PostHog.
pub(crate) fn has_key(text: &str) -> bool {
    next_key(text, 0).is_some()
}

/// `text` without anything that looks like a key of PostHog.
pub(crate) fn without_keys(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut from = 0;
    while let Some((at, end)) = next_key(text, from) {
        clean.push_str(&text[from..at + 4]);
        clean.push_str(REDACTED);
        from = end;
    }
    clean.push_str(&text[from..]);
    clean
}

/// `text`, cut to at most `max` characters.
pub(crate) fn excerpt(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A word that was given for a setting. What may be a secret in the wrong place is not shown: a key, or what is longer
/// or stranger than the words of settings are.
pub(crate) fn shown_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.: ".contains(c);
    let start = text.trim_start();
    let is_key = ["phc_", "phx_", "phs_"]
        .iter()
        .any(|prefix| start.starts_with(prefix));
    match text.len() <= 20 && text.chars().all(plain) && !is_key && !has_key(text) {
        true => format!("{text:?}"),
        false => format!("the value ({} characters)", text.chars().count()),
    }
}

/// What a body is: a sentence of known words as it is, anything else by its kind and length. `None`: it is empty.
pub(crate) fn describe(body: &[u8]) -> Option<String> {
    let text = body.trim_ascii();
    let first = text.first()?;
    let head = String::from_utf8_lossy(&text[..text.len().min(8_000)]);
    let lower = head.to_ascii_lowercase();
    let what = match first {
        b'<' => {
            let html = lower.contains("<html") || lower.starts_with("<!doctype html");
            let kind = if html { "HTML" } else { "XML" };
            let title = title(&head, &lower).map(|title| format!(", titled {title:?}"));
            format!(
                "{kind} instead of PostHog's JSON{}",
                title.unwrap_or_default()
            )
        }
        b'{' | b'[' | b'"' if serde_json::from_slice::<serde::de::IgnoredAny>(text).is_ok() => {
            "JSON that is not PostHog's".to_owned()
        }
        _ => match vouched(&head) {
            Some(words) => return Some(words),
            None => "text instead of PostHog's JSON".to_owned(),
        },
    };
    Some(format!("{what} ({} bytes)", body.len()))
}

fn title(head: &str, lower: &str) -> Option<String> {
    let at = lower.find("<title")?;
    let start = at + lower[at..].find('>')? + 1;
    let end = start + lower[start..].find("</title")?;
    vouched(head.get(start..end)?)
}

/// The longest sentence of known words, in bytes.
const LONGEST_SENTENCE: usize = 200;

/// The text, if it is short and each of its words is on the list.
pub(crate) fn vouched(text: &str) -> Option<String> {
    let words: Vec<_> = text.split_whitespace().collect();
    let is_known = |word: &&str| {
        let bare = word.trim_matches(|c: char| c.is_ascii_punctuation());
        let is_status = bare.len() == 3 && bare.bytes().all(|b| b.is_ascii_digit());
        bare.is_empty() || is_status || WORDS.contains(&&*bare.to_ascii_lowercase())
    };
    let known = (1..=20).contains(&words.len()) && words.iter().all(is_known);
    known
        .then(|| words.join(" "))
        .filter(|said| said.len() <= LONGEST_SENTENCE)
}

/// The path of a foreign address, if each of its parts is a word of the list, or a single letter.
pub(crate) fn vouched_path(path: &str) -> Option<&str> {
    let parts = path.split(['/', '-']).filter(|part| part.len() > 1);
    let known = |part: &str| WORDS.contains(&&*part.to_ascii_lowercase());
    parts.into_iter().all(known).then_some(path)
}

/// The name of a column, where it reads like one: a server may send anything instead.
#[cfg(feature = "rest")]
pub(crate) fn vouched_column(name: &str) -> &str {
    let is_expression = |c: char| c.is_ascii_alphanumeric() || "_$.,()* ".contains(c);
    match name.len() <= 64 && name.chars().all(is_expression) {
        true => name,
        false => "…",
    }
}

/// Words of gateways, login pages, capture endpoints and feature flags.
#[rustfmt::skip]
const WORDS: [&str; 253] = [
    "a", "accept", "acceptable", "accepted", "access", "accounts", "again", "allowed", "an", "and", "any",
    "apache", "api", "api_key", "application", "are", "array", "at", "attention", "auth", "authentication",
    "authorization", "bad", "batch", "be", "been", "billing", "blocked", "body", "buffer", "by", "cache", "can",
    "cannot", "character", "characters", "check", "cloudflare", "cloudfront", "compression", "conflict",
    "connection", "contact", "content", "continue", "could", "created_at", "csrf", "currently", "data",
    "database", "decode", "decompress", "decompression", "deflate", "denied", "did", "distinct_id", "docs",
    "does", "down", "due", "empty", "encoding", "entity", "enum", "envoy", "error", "event", "events",
    "exceeded", "exist", "expectation", "expected", "expired", "failed", "failure", "field", "find", "for",
    "forbidden", "format", "found", "frequency", "gateway", "gone", "gzip", "haproxy", "has", "health",
    "healthy", "here", "high", "historical", "holds", "host", "http", "https", "identifier", "if",
    "implemented", "in", "include", "inconsistent", "incorrect", "ingest", "internal", "invalid", "is", "issue",
    "issues", "it", "json", "just", "key", "large", "later", "length", "likely", "limit", "limited", "load",
    "log", "login", "long", "maintenance", "many", "match", "maximum", "media", "memory", "method", "missing",
    "moment", "more", "moved", "name", "network", "new", "nginx", "no", "not", "not_ascii", "number", "oauth",
    "object", "occurred", "of", "ok", "on", "open", "or", "organization", "origin", "our", "out", "over",
    "overloaded", "page", "parse", "payload", "payment", "permanently", "persists", "personal_api_key", "plan",
    "please", "posthog", "problem", "project", "properly", "properties", "property", "provide", "provided",
    "proxy", "quota", "rate", "rawrequest", "reached", "reduce", "refused", "relay", "request", "requested",
    "requests", "required", "resource", "response", "retry", "server", "service", "session", "settings", "sign",
    "signin", "signup", "size", "sorry", "ssl", "string", "submitted", "such", "support", "supported",
    "temporarily", "temporary", "than", "that", "the", "this", "timed", "timeout", "timestamp", "tls", "to",
    "token", "too", "too_long", "traefik", "transient", "try", "type", "unauthorized", "unavailable", "under",
    "unexpected", "unknown", "unprocessable", "unreachable", "unsupported", "untagged", "upgrade", "upstream",
    "uri", "url", "utf", "uuid", "valid", "value", "values", "variant", "varnish", "verification", "version",
    "waf", "was", "welcome", "with", "without", "wrong", "you", "your",
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn keys_are_taken_out_of_texts() {
        assert_eq!(
            without_keys("Bearer phx_aB9-_c, \"phc_1\" graph_node phx_ php phä phs_z"),
            "Bearer phx_[redacted], \"phc_[redacted]\" graph_node phx_ php phä phs_[redacted]"
        );
        let redactor = Redactor::new(["old-key"], ["Bearer s3cr3t-token", "acme", "a"]);
        assert_eq!(
            redactor.text("old-key and old-key2 of acme: s3cr3t-token, Bearer s3cr3t-token"),
            "[redacted] and [redacted]2 of acme: [redacted], [redacted]"
        );
    }

    #[test]
    fn bodies_are_described_without_what_they_say() {
        for (body, want) in [
            ("", None),
            (" \n", None),
            (
                "<html>\r\n<head><TITLE>\n502 Bad  Gateway</TITLE></head>",
                Some("HTML instead of PostHog's JSON, titled \"502 Bad Gateway\" (53 bytes)"),
            ),
            (
                "<!DOCTYPE html><title>user_42 not found</title>",
                Some("HTML instead of PostHog's JSON (47 bytes)"),
            ),
            (
                "<?xml version='1.0'?><Error/>",
                Some("XML instead of PostHog's JSON (29 bytes)"),
            ),
            (
                "{\"ada\": 1}",
                Some("JSON that is not PostHog's (10 bytes)"),
            ),
            ("no such token\n", Some("no such token")),
            (
                "no such token: ada",
                Some("text instead of PostHog's JSON (18 bytes)"),
            ),
            ("user 42", Some("text instead of PostHog's JSON (7 bytes)")),
        ] {
            assert_eq!(describe(body.as_bytes()).as_deref(), want, "{body:?}");
        }
    }

    #[test]
    fn what_capture_v0_refuses_with_is_shown() {
        for said in [
            "failed to parse request: data did not match any variant of untagged enum RawRequest",
            "failed to decode request: invalid gzip data",
            "failed to decode request: invalid body encoding",
            "event submitted without an api_key",
            "event submitted without a distinct_id",
            "event submitted with an empty distinct_id",
            "event submitted with an empty event name",
            "batch submitted with inconsistent api_key values",
            "request holds no event",
            "API key is not valid: empty",
            "API key is not valid: personal_api_key",
            "API key is not valid: too_long",
            "API key is not valid: not_ascii",
            "Failed to buffer the request body: length limit exceeded",
            "maximum event size exceeded",
            "transient error, please retry",
        ] {
            assert_eq!(describe(said.as_bytes()).as_deref(), Some(said));
        }
    }

    #[test]
    fn a_long_text_is_none_of_known_words() {
        let long = format!("gateway {} timeout", "-".repeat(5_000));
        let said = describe(long.as_bytes());
        assert_eq!(
            said.as_deref(),
            Some("text instead of PostHog's JSON (5016 bytes)")
        );
    }

    proptest! {
        #[test]
        fn a_secret_never_survives(
            before in "\\PC{0,20}", after in "\\PC{0,20}", secret in "[a-zA-Z0-9=+/-]{6,40}",
        ) {
            let redactor = Redactor::new([], [&*secret]);
            let text = redactor.text(&format!("{before}{secret}{after}"));
            prop_assert!(!text.contains(&secret));
        }
    }
}
