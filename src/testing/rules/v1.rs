//! Capture v1: the headers it asks for, the events it takes, and its verdict on each.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::answer::{EventVerdict, Reply};
use super::super::recorded::{RecordedEvent, RecordedRequest};
use super::tree::Object;
use super::{Verdict, check_token};

const REQUIRED: [&str; 6] = [
    "content-type",
    "user-agent",
    "posthog-sdk-info",
    "posthog-attempt",
    "posthog-request-id",
    "posthog-request-timestamp",
];
const TEXT_BYTES: usize = 200;

/// Whether the path is that of v1, behind whatever prefix.
pub(super) fn is_path(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.ends_with("/i/v1/analytics/events")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    created_at: String,
    #[serde(default)]
    historical_migration: bool,
    batch: Vec<RawEvent>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvent {
    event: String,
    #[serde(default)]
    uuid: String,
    distinct_id: String,
    timestamp: String,
    session_id: Option<String>,
    window_id: Option<String>,
    options: Options,
    properties: Object,
}

/// Others are ignored: clients may know more of them than their host.
#[derive(Deserialize)]
struct Options {
    cookieless_mode: Option<bool>,
    disable_skew_correction: Option<bool>,
    process_person_profile: Option<bool>,
    product_tour_id: Option<String>,
}

fn refusal(status: u16, tag: &str, description: impl Into<String>) -> Reply {
    let body = json!({"error": tag, "error_description": description.into(), "error_uri": null});
    let reply = Reply::json(status, body.to_string());
    match status {
        408 | 500 | 503 | 504 => reply.header("retry-after", "1"),
        _ => reply,
    }
}

pub(super) fn unknown_encoding(name: &str) -> Reply {
    refusal(415, "unsupported_encoding", name)
}

pub(super) fn undecodable() -> Reply {
    refusal(400, "request_decoding_error", "the body does not unpack")
}

pub(super) fn too_large() -> Reply {
    refusal(413, "payload_too_large", "the body is too large")
}

/// What v1 says with that status; `None` for those that it does not give.
pub(super) fn of_status(status: u16) -> Option<Reply> {
    let (tag, description) = match status {
        400 => ("request_parsing_error", "invalid request"),
        401 => ("invalid_api_token", "malformed"),
        402 => ("billing_limit_exceeded", "over the quota"),
        408 => ("request_timeout", "the request took too long"),
        413 => return Some(too_large()),
        415 => ("unsupported_content_type", "not application/json"),
        429 => ("rate_limited", "too many requests"),
        500 => ("internal_error", "internal error"),
        503 => ("service_unavailable", "transient error, please retry"),
        504 => ("gateway_timeout", "timeout"),
        _ => return None,
    };
    Some(refusal(status, tag, description))
}

pub(super) fn judge(
    request: &RecordedRequest,
    unreadable: Option<Reply>,
    told: &[(String, EventVerdict)],
) -> Verdict {
    let mut duplicate_keys = 0;
    let outcome = read(request, unreadable, told, &mut duplicate_keys);
    let (reply, events) = outcome.unwrap_or_else(|refusal| (refusal, Vec::new()));
    Verdict {
        reply,
        events,
        duplicate_keys,
    }
}

fn read(
    request: &RecordedRequest,
    unreadable: Option<Reply>,
    told: &[(String, EventVerdict)],
    duplicate_keys: &mut usize,
) -> Result<(Reply, Vec<RecordedEvent>), Reply> {
    if request.method != "POST" {
        return Err(Reply::text(405, ""));
    }
    let token = token(request)?;
    let missing: Vec<_> = REQUIRED
        .into_iter()
        .filter(|name| request.header(name).is_none_or(str::is_empty))
        .collect();
    if !missing.is_empty() {
        return Err(refusal(400, "missing_required_headers", missing.join(", ")));
    }
    let header = |name| request.header(name).unwrap_or_default();
    let wrong = |name: &str| refusal(400, "invalid_header_value", name);
    if !header("content-type").starts_with("application/json") {
        return Err(refusal(
            415,
            "unsupported_content_type",
            header("content-type"),
        ));
    }
    if !header("posthog-attempt").parse().is_ok_and(|n: u32| n > 0) {
        return Err(wrong("PostHog-Attempt"));
    }
    if uuid::Uuid::parse_str(header("posthog-request-id")).is_err() {
        return Err(wrong("PostHog-Request-Id"));
    }
    let sent_at = header("posthog-request-timestamp");
    if sent_at.parse::<jiff::Timestamp>().is_err() {
        return Err(wrong("PostHog-Request-Timestamp"));
    }
    if let Some(refused) = unreadable {
        return Err(refused);
    }
    if request.body.is_empty() {
        return Err(refusal(400, "empty_body", "no body"));
    }
    let body: Body = serde_json::from_slice(&request.body)
        .map_err(|e| refusal(400, "request_parsing_error", e.to_string()))?;
    if body.created_at.parse::<jiff::Timestamp>().is_err() {
        return Err(refusal(400, "invalid_batch", "created_at"));
    }
    if body.batch.is_empty() {
        return Err(refusal(400, "empty_batch", "no events"));
    }
    let mut uuids = HashSet::new();
    for event in &body.batch {
        if event.uuid.trim().is_empty() {
            return Err(refusal(400, "missing_event_uuid", &event.event));
        }
        if uuid::Uuid::parse_str(event.uuid.trim()).is_err() {
            return Err(refusal(400, "invalid_event_uuid", &event.uuid));
        }
        if !uuids.insert(event.uuid.trim().to_owned()) {
            return Err(refusal(400, "duplicate_event_uuid", &event.uuid));
        }
    }
    let (mut results, mut events, mut again) = (Map::new(), Vec::new(), false);
    for event in body.batch {
        *duplicate_keys += event.properties.duplicates;
        let verdict = told
            .iter()
            .find(|(of, _)| *of == event.event || *of == event.uuid)
            .map_or_else(|| event.verdict(), |(_, verdict)| verdict.clone());
        if let Some(json) = verdict.json() {
            results.insert(event.uuid.trim().to_owned(), json);
        }
        again |= matches!(verdict, EventVerdict::Retry(_));
        if verdict.keeps() {
            events.push(event.keep(token, sent_at, body.historical_migration));
        }
    }
    let mut reply = Reply::json(200, json!({"results": results}).to_string())
        .header("posthog-request-id", header("posthog-request-id"));
    if again {
        reply = reply.header("retry-after", "1");
    }
    Ok((reply, events))
}

fn token(request: &RecordedRequest) -> Result<&str, Reply> {
    let Some(header) = request.header("authorization") else {
        return Err(refusal(
            401,
            "missing_authorization",
            "no Authorization header",
        ));
    };
    match header.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => {
            let token = token.trim();
            check_token(token).map_err(|_| refusal(401, "invalid_api_token", "malformed"))?;
            Ok(token)
        }
        _ => Err(refusal(400, "invalid_header_value", "Authorization")),
    }
}

impl RawEvent {
    fn verdict(&self) -> EventVerdict {
        let drop = |details: &str| EventVerdict::Drop(details.to_owned());
        if self.event.trim().is_empty() {
            drop("missing_event_name")
        } else if self.event.len() > TEXT_BYTES {
            drop("event_name_too_long")
        } else if self.distinct_id.trim().is_empty() {
            drop("missing_distinct_id")
        } else if self.distinct_id.trim().len() > TEXT_BYTES {
            drop("distinct_id_too_large")
        } else if self.timestamp.parse::<jiff::Timestamp>().is_err() {
            drop("invalid_event_timestamp")
        } else {
            EventVerdict::Ok
        }
    }

    /// The event with what v1 lifts out of the properties put back, so that both protocols read alike.
    fn keep(self, api_key: &str, sent_at: &str, historical_migration: bool) -> RecordedEvent {
        let mut properties = self.properties.map;
        let flag = |flag: Option<bool>| flag.map(Value::Bool);
        let text = |text: Option<String>| text.map(Value::String);
        let tour = self.options.product_tour_id;
        let tour = tour.filter(|id| !id.trim().is_empty());
        for (name, value) in [
            ("$session_id", text(self.session_id)),
            ("$window_id", text(self.window_id)),
            ("$cookieless_mode", flag(self.options.cookieless_mode)),
            (
                "$ignore_sent_at",
                flag(self.options.disable_skew_correction),
            ),
            (
                "$process_person_profile",
                flag(self.options.process_person_profile),
            ),
            ("$product_tour_id", text(tour)),
        ] {
            if let Some(value) = value {
                properties.insert(name.to_owned(), value);
            }
        }
        RecordedEvent {
            event: self.event,
            distinct_id: self.distinct_id.trim().to_owned(),
            uuid: Some(self.uuid.trim().to_owned()),
            timestamp: Some(self.timestamp),
            properties,
            api_key: api_key.to_owned(),
            sent_at: Some(sent_at.to_owned()),
            historical_migration,
        }
    }
}
