//! Capture v1: events in its shape, and its verdict on each of them.

use super::compress::Compressor;
use super::v1_event::Event;
use super::{Compression, Envelope, Migration, Prepared, SentAs, payload_headers};
use crate::capture::delivery::batch::{Batch, RequestIdentity};
use crate::capture::delivery::outcome::{Outcome, Refused, Rest, Which};
use crate::capture::ledger::DropReason;
use crate::config::Secret;
use crate::error::{PostHogError, RequestErrorKind};
use crate::event::record::millis;
use crate::event::timestamp::TimestampWriter;
use crate::event::uuid_v7::UuidV7;
use crate::http::{Destination, Endpoint, Http, Redirect, Response, USER_AGENT_VALUE};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tracing::debug;

const SDK_INFO: HeaderName = HeaderName::from_static("posthog-sdk-info");
const ATTEMPT: HeaderName = HeaderName::from_static("posthog-attempt");
const REQUEST_ID: HeaderName = HeaderName::from_static("posthog-request-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("posthog-request-timestamp");

const PATH: &str = "/i/v1/analytics/events";
const OPERATION: &str = "capture batch v1";

const NOT_HERE: &str =
    "this host has no capture v1: choose `CaptureProtocol::V0`, or `Auto`, which finds out";

/// A response says at most this much of a request, and as much again of each event.
const VERDICT_BYTES: usize = 4 << 10;

/// What all requests by v1 have in common.
#[derive(Debug)]
pub(super) struct V1 {
    bearer: Option<HeaderValue>,
    migration: Migration,
    compressor: Compressor,
    ids: Mutex<UuidV7>,
}

/// The events of one request, by their place in the batch.
#[derive(Debug, Default)]
pub(crate) struct Positions {
    /// Those that are sent, with their uuids.
    sent: Vec<(usize, String)>,
    /// Those that need a request of their own: PostHog refuses a request in which a uuid comes twice.
    separate: Vec<usize>,
    refused: Vec<Refused>,
}

impl V1 {
    pub(super) fn new(key: &Secret, migration: Migration, compression: Compression) -> Self {
        // A key is ASCII text: it always is a header's value.
        let bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal()))
            .ok()
            .map(|mut bearer| {
                bearer.set_sensitive(true);
                bearer
            });
        Self {
            bearer,
            migration,
            compressor: Compressor::new(compression),
            ids: Mutex::default(),
        }
    }

    /// The request of one attempt. Where there is nothing to send, the outcome.
    pub(super) fn prepare(
        &self,
        batch: &mut Batch,
        now: SystemTime,
    ) -> Result<Prepared, Box<Outcome>> {
        let mut positions = Positions::default();
        let mut list = Vec::with_capacity(batch.json.len());
        let mut seen = HashSet::new();
        for (place, json) in batch.events().enumerate() {
            // This crate reads what it wrote, but somebody may have changed the spool's files.
            let Ok(event) = serde_json::from_slice::<Event<'_>>(json) else {
                refuse(&mut positions.refused, "unreadable");
                continue;
            };
            if !seen.insert(event.uuid.to_string()) {
                positions.separate.push(place);
                continue;
            }
            if !list.is_empty() {
                list.push(b',');
            }
            event.write(&mut list);
            positions.sent.push((place, event.uuid.into_owned()));
        }
        if positions.sent.is_empty() {
            return Err(Box::new(Outcome {
                refused: positions.refused,
                ..Outcome::of(Rest::Nothing)
            }));
        }
        let identity = batch
            .delivery
            .request
            .get_or_insert_with(|| self.identity(now))
            .clone();
        let mut head = b"{\"created_at\":\"".to_vec();
        TimestampWriter::default().write(identity.created_at, &mut head);
        head.push(b'"');
        if self.migration == Migration::Historical {
            head.extend_from_slice(b",\"historical_migration\":true");
        }
        head.extend_from_slice(b",\"batch\":[");
        let (body, encoding) = self.compressor.compress([&head, &list, b"]}"]);
        let mut headers = payload_headers(encoding);
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        headers.insert(SDK_INFO, HeaderValue::from_static(USER_AGENT_VALUE));
        headers.insert(ATTEMPT, HeaderValue::from(batch.delivery.attempts + 1));
        // Of this attempt: PostHog corrects a wrong clock by it.
        let mut sent_at = Vec::new();
        TimestampWriter::default().write(millis(now), &mut sent_at);
        for (name, value) in [
            (REQUEST_ID, identity.id.as_bytes()),
            (TIMESTAMP, &sent_at[..]),
        ] {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        }
        Ok(Envelope {
            endpoint: endpoint(),
            headers,
            body,
            events: positions.sent.len(),
            response_bytes: VERDICT_BYTES + positions.sent.len() * 512,
        }
        .prepared(SentAs::V1(positions)))
    }

    fn identity(&self, now: SystemTime) -> RequestIdentity {
        let created_at = millis(now);
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        RequestIdentity {
            id: ids.at(created_at).to_string(),
            created_at,
        }
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        operation: OPERATION,
        method: Method::POST,
        destination: Destination::Capture,
        path: Cow::Borrowed(PATH),
    }
}

/// What a response by v1 means. `fall_back`: where the host shows that it has no v1, v0 is used instead.
pub(super) fn outcome(
    http: &Http,
    positions: Positions,
    result: Result<Response, PostHogError>,
    fall_back: bool,
) -> Outcome {
    let response = match result {
        Ok(response) => response,
        Err(error) => return positions.after(Outcome::failed(error, None)),
    };
    if response.status.is_success() {
        return match serde_json::from_slice::<Answer>(&response.body) {
            Ok(answer) => positions.judge(http, &answer, response.retry_after()),
            Err(_) if fall_back => Outcome::of(Rest::OtherProtocol),
            // Something answers there that is not PostHog, or that was asked without a body.
            Err(_) if matches!(response.redirect, Some(Redirect::Followed(_))) => {
                positions.after(Outcome::failed(http.refused(&endpoint(), &response), None))
            }
            Err(_) => match http.read_json::<Answer>(OPERATION, &response.body) {
                Err(error) => positions.after(Outcome::of(Rest::Refused(error))),
                // It is more lenient. Without a protocol to fall back to, nothing else would end this.
                Ok(answer) => positions.judge(http, &answer, response.retry_after()),
            },
        };
    }
    if fall_back && shows_no_v1(&response) {
        return Outcome::of(Rest::OtherProtocol);
    }
    let mut error = http.refused(&endpoint(), &response);
    if let PostHogError::ApiError(api) = &mut error
        && api.status == 404
    {
        // A 404 means one thing here, whatever the host says of it.
        api.detail = NOT_HERE.to_owned();
    }
    positions.after(Outcome::failed(error, response.retry_after()))
}

/// Whether a refusal shows that the host does not have v1: it is final, and not what PostHog's v1 says, such as a
/// redirect to a login page. A proxy's page about a body that is too large says nothing about the path.
fn shows_no_v1(response: &Response) -> bool {
    let status = response.status;
    status == StatusCode::NOT_FOUND
        || status.is_redirection()
        || ((status.is_client_error() || status == StatusCode::NOT_IMPLEMENTED)
            && !matches!(status.as_u16(), 408 | 413 | 429)
            && serde_json::from_slice::<Refusal>(&response.body).is_err())
}

/// A refusal by v1.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "error")]
    _error: String,
}

impl Positions {
    /// The outcome of a request that failed as a whole.
    fn after(self, outcome: Outcome) -> Outcome {
        if self.refused.is_empty() {
            return outcome;
        }
        // What could not be read is settled; the rest is as the request was.
        let mut left: Vec<usize> = self.sent.iter().map(|(place, _)| *place).collect();
        left.extend(&self.separate);
        left.sort_unstable();
        let rest = match outcome.rest {
            Rest::Retry {
                error, retry_after, ..
            } => Rest::Retry {
                events: Which::Some(left),
                error,
                retry_after,
            },
            // These are about the whole request; what is unreadable goes with the rest of it.
            rest => return Outcome { rest, ..outcome },
        };
        Outcome {
            refused: self.refused,
            rest,
            ..outcome
        }
    }

    /// Reads PostHog's verdict on each event.
    fn judge(
        self,
        http: &Http,
        answer: &Answer,
        retry_after: Option<std::time::Duration>,
    ) -> Outcome {
        let mut outcome = Outcome {
            refused: self.refused,
            ..Outcome::of(Rest::Nothing)
        };
        let mut again = Vec::new();
        for (place, uuid) in self.sent {
            // Where the answer does not speak of an event, PostHog has no complaint.
            let verdict = answer.results.get(&uuid);
            match verdict.map(Verdict::result) {
                Some("retry") => again.push(place),
                Some("drop") => {
                    let detail = detail(verdict.and_then(|v| v.details.as_ref()));
                    refuse(&mut outcome.refused, &detail);
                }
                None | Some("ok") => outcome.accepted += 1,
                Some(other) => {
                    crate::panic::catch(|| {
                        debug!(
                            target: "tracing_posthog::capture",
                            verdict = vouched_verdict(other),
                            "PostHog took an event with a remark",
                        );
                    });
                    outcome.accepted += 1;
                }
            }
        }
        outcome.rest = if !again.is_empty() {
            again.extend(self.separate);
            again.sort_unstable();
            Rest::Retry {
                events: Which::Some(again),
                error: endpoint().failed(http, RequestErrorKind::NotPersisted, None, 1),
                retry_after,
            }
        } else if !self.separate.is_empty() {
            Rest::Separate(self.separate)
        } else {
            Rest::Nothing
        };
        outcome
    }
}

/// The verdicts that PostHog is known to have.
fn vouched_verdict(verdict: &str) -> &'static str {
    let known = ["warning", "limited"];
    let of_known = known.into_iter().find(|known| *known == verdict);
    of_known.unwrap_or("another")
}

fn refuse(refused: &mut Vec<Refused>, detail: &str) {
    match refused.iter_mut().find(|r| r.detail == detail) {
        Some(same) => same.events += 1,
        None => refused.push(Refused {
            events: 1,
            reason: reason(detail),
            detail: detail.to_owned(),
        }),
    }
}

/// PostHog's words for what is wrong with an event. Others may hold the event.
const DETAILS: [&str; 25] = [
    "ai_byte_rate_limited",
    "ai_event_too_big",
    "distinct_id_too_large",
    "dropped_performance_event",
    "event_name_too_long",
    "event_over_quota",
    "event_restriction_drop",
    "event_too_big",
    "events_over_quota",
    "exceptions_over_quota",
    "feature_flags_over_quota",
    "gateway_props_unparseable",
    "invalid_event_timestamp",
    "invalid_options",
    "llm_events_over_quota",
    "malformed_event_properties",
    "misrouted_event",
    "missing_distinct_id",
    "missing_event_name",
    "non_ai_event",
    "non_historical_import_drop",
    "recordings_over_quota",
    "rejected",
    "serialization_failed",
    "survey_responses_over_quota",
];

/// PostHog's word for what is wrong with an event, or what is known of another.
fn detail(details: Option<&Value>) -> Cow<'static, str> {
    let Some(details) = details else {
        return Cow::Borrowed("rejected");
    };
    let word = details.as_str().unwrap_or_default();
    if let Some(known) = DETAILS.into_iter().find(|known| *known == word) {
        return Cow::Borrowed(known);
    }
    let bytes = details
        .as_str()
        .map_or_else(|| details.to_string().len(), str::len);
    let kind = match word.ends_with("_over_quota") {
        true => "another quota",
        false => "another reason",
    };
    Cow::Owned(format!("{kind} ({bytes} bytes)"))
}

fn reason(detail: &str) -> DropReason {
    match detail {
        "event_too_big" | "ai_event_too_big" => DropReason::TooLarge,
        quota if quota.ends_with("_over_quota") || quota.starts_with("another quota") => {
            DropReason::Quota
        }
        _ => DropReason::Rejected,
    }
}

/// What PostHog says of the events of a request, by uuid.
#[derive(Debug, Deserialize)]
struct Answer {
    results: HashMap<String, Verdict>,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    result: Value,
    details: Option<Value>,
}

impl Verdict {
    fn result(&self) -> &str {
        self.result.as_str().unwrap_or("unreadable")
    }
}

/// Reads an answer of any bytes, about the events that it names and one that it does not.
#[cfg(fuzzing)]
pub(crate) fn fuzz(http: &Http, bytes: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Answer>(bytes) else {
        return;
    };
    let uuids = answer.results.keys().cloned().chain(["other".to_owned()]);
    let positions = Positions {
        sent: uuids.enumerate().collect(),
        ..Positions::default()
    };
    let all = positions.sent.len();
    let outcome = positions.judge(http, &answer, None);
    let refused: usize = outcome.refused.iter().map(|r| r.events).sum();
    let again = match outcome.rest {
        Rest::Retry {
            events: Which::Some(again),
            ..
        } => again.len(),
        _ => 0,
    };
    assert_eq!(outcome.accepted + refused + again, all);
}
