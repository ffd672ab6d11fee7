//! [`ErrorBody`]: what may be shown of the body of a refusal.
//!
//! A server may echo what it was sent. So only PostHog's own fields are read, and of a refusal of events only known codes
//! and sentences of known words; any other body is described by its kind and length.

use super::api::FieldError;
use crate::redact::{Redactor, describe, excerpt, vouched, vouched_path};
use serde_json::{Map, Value};

/// What a response says about a refusal: PostHog's own words, or what kind of body it is.
#[derive(Debug, Default)]
pub(crate) struct ErrorBody {
    pub(crate) kind: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) detail: String,
    pub(crate) attr: Option<String>,
    pub(crate) extra: Option<Value>,
    pub(crate) list: Vec<FieldError>,
    /// Where PostHog says more.
    pub(crate) uri: Option<String>,
}

const MAX_DETAIL: usize = 500;
const MAX_LIST: usize = 100;
pub(super) const MAX_EXTRA: usize = 64 << 10;

/// The fields of PostHog's refusals. A body with any other is not one of them.
const FIELDS: [&str; 14] = [
    "attr",
    "code",
    "detail",
    "error",
    "error_description",
    "error_message",
    "error_uri",
    "errors",
    "extra",
    "list",
    "message",
    "query_status",
    "status_code",
    "type",
];

/// Which refusals a body may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusals {
    /// Those of the REST API.
    Api,
    /// Those of the capture endpoints: events were sent, and what is no known code may be an echo of them.
    Capture,
}

/// The types of the REST API's refusals, which a capture host may answer too.
const TYPES: [&str; 6] = [
    "authentication_error",
    "invalid_request",
    "multiple",
    "server_error",
    "throttled_error",
    "validation_error",
];

/// The refusals of capture v1.
const CAPTURE_CODES: [&str; 25] = [
    "billing_limit_exceeded",
    "body_read_timeout",
    "duplicate_event_uuid",
    "empty_batch",
    "empty_body",
    "gateway_timeout",
    "internal_error",
    "invalid_api_token",
    "invalid_batch",
    "invalid_event_uuid",
    "invalid_header_value",
    "missing_authorization",
    "missing_event_uuid",
    "missing_required_headers",
    "not_found",
    "payload_too_large",
    "quota_exceeded",
    "rate_limited",
    "request_decoding_error",
    "request_parsing_error",
    "request_timeout",
    "request_too_large",
    "service_unavailable",
    "unsupported_content_type",
    "unsupported_encoding",
];

impl ErrorBody {
    /// Reads any body: PostHog's `{type, code, detail, attr}` whatever the types of its values, the
    /// `{error, error_description, error_uri}` of capture v1, the status of a query. Anything else is described.
    pub(crate) fn read(body: &[u8], from: Refusals, redactor: &Redactor) -> Self {
        // A proxy that shows the request it failed on shows the key.
        let text = String::from_utf8_lossy(body);
        let value = serde_json::from_str(&text).map(|value| redactor.value(value));
        match value {
            Ok(Value::Object(map)) if is_posthogs(&map, from) => match from {
                Refusals::Api => Self::of(&map, body.len()),
                Refusals::Capture => Self::of(&map, body.len()).vouched(),
            },
            // A single sentence, as some endpoints answer.
            Ok(Value::String(said)) => {
                let said = vouched(&said).or_else(|| describe(body));
                Self::said(said.unwrap_or_default())
            }
            _ => Self::said(describe(body).unwrap_or_default()),
        }
    }

    fn of(map: &Map<String, Value>, len: usize) -> Self {
        let list: Vec<FieldError> = match map.get("list") {
            Some(Value::Array(list)) => list.iter().take(MAX_LIST).map(FieldError::read).collect(),
            _ => Vec::new(),
        };
        let word = |name: &str| words(map.get(name)?);
        let description = word("error_description");
        // Then `error` is no text, but a word for programs.
        let tag = description.as_ref().and_then(|_| word("error"));
        let mut detail = description
            .or_else(|| {
                let names = ["detail", "error_message", "error", "message"];
                names.into_iter().find_map(word)
            })
            .or_else(|| words(map.get("query_status")?.get("error_message")?))
            .unwrap_or_default();
        if detail.is_empty()
            && let Some(first) = list.first()
        {
            detail.clone_from(&first.detail);
        }
        Self {
            kind: word("type"),
            code: word("code").or(tag),
            detail: excerpt(&detail, MAX_DETAIL),
            attr: word("attr"),
            uri: word("error_uri"),
            extra: map
                .get("extra")
                .filter(|extra| !extra.is_null() && len <= MAX_EXTRA)
                .cloned(),
            list,
        }
    }

    /// Of a refusal of events only what holds none: the known codes, and sentences of known words.
    fn vouched(self) -> Self {
        let known = |code: Option<String>| {
            code.filter(|code| CAPTURE_CODES.contains(&&**code) || TYPES.contains(&&**code))
        };
        let code = known(self.code);
        let detail = vouched(&self.detail).or_else(|| code.clone());
        Self {
            kind: known(self.kind),
            detail: detail.unwrap_or_default(),
            uri: self.uri.filter(|uri| is_posthogs_address(uri)),
            code,
            ..Self::default()
        }
    }

    fn said(text: String) -> Self {
        Self {
            detail: excerpt(&text, MAX_DETAIL),
            ..Self::default()
        }
    }
}

/// Whether a body has the shape of PostHog's refusals.
fn is_posthogs(map: &Map<String, Value>, from: Refusals) -> bool {
    let known = |name: &str, list: &[&str]| {
        let value = map.get(name).and_then(Value::as_str);
        value.is_some_and(|value| list.contains(&value))
    };
    map.keys().all(|name| FIELDS.contains(&&**name))
        && match from {
            Refusals::Api => true,
            Refusals::Capture => known("error", &CAPTURE_CODES) || known("type", &TYPES),
        }
}

/// Whether it is the address of a page of PostHog's, made of plain words.
fn is_posthogs_address(uri: &str) -> bool {
    let Some((host, path)) = uri
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let hosts = [
        "posthog.com",
        "us.posthog.com",
        "eu.posthog.com",
        "app.posthog.com",
    ];
    hosts.contains(&host) && vouched_path(path).is_some()
}

impl FieldError {
    fn read(value: &Value) -> Self {
        let word = |name: &str| words(value.get(name)?);
        Self {
            code: word("code"),
            detail: excerpt(
                &word("detail").or_else(|| words(value)).unwrap_or_default(),
                MAX_DETAIL,
            ),
            attr: word("attr"),
        }
    }
}

/// A value as words: a string as it is, a list of strings one after the other, the rest as JSON.
fn words(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) if list.is_empty() => None,
        Value::Array(list) if list.iter().all(Value::is_string) => {
            let list: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
            Some(list.join("; "))
        }
        other => Some(other.to_string()),
    }
}
