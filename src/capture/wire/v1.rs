//! Capture v1: events in its shape, and its verdict on each of them.

use super::compress::Packer;
use super::{Compression, Migration, Refused, Rest, Sent, payload};
use crate::capture::batch::Batch;
use crate::capture::record::millis;
use crate::capture::stamp::{Ids, Stamp};
use crate::capture::stats::DropReason;
use crate::config::Secret;
use crate::error::{PostHogError, excerpt};
use crate::http::{Body, Call, Http, Judgement, Payload, Side, Take, USER_AGENT_VALUE};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;
use tokio::sync::watch;
use tracing::debug;

const SDK_INFO: HeaderName = HeaderName::from_static("posthog-sdk-info");
const ATTEMPT: HeaderName = HeaderName::from_static("posthog-attempt");
const REQUEST_ID: HeaderName = HeaderName::from_static("posthog-request-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("posthog-request-timestamp");

const NOT_HERE: &str =
    "this host has no capture v1: choose `CaptureProtocol::V0`, or `Auto`, which finds out";

/// What all requests of one actor have in common.
#[derive(Debug)]
pub(super) struct Envelope {
    bearer: Option<HeaderValue>,
    migration: Migration,
    packer: Packer,
    ids: Mutex<Ids>,
}

/// How far a batch has come. Whoever sends it holds it, so that it is known too where the sending finds no end.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The events that are to be sent, by their place in the batch, with their uuids.
    pending: Vec<(usize, String)>,
    /// Those that wait for a request of their own.
    later: Vec<usize>,
    accepted: usize,
    refused: Vec<Refused>,
}

impl Envelope {
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
            packer: Packer::new(compression),
            ids: Mutex::default(),
        }
    }

    /// Sends the batch, and again what PostHog asks for again, within the attempts of one call.
    pub(super) async fn send(
        &self,
        http: &Http,
        batch: &Batch,
        progress: &Mutex<Progress>,
        hurry: Option<watch::Receiver<bool>>,
    ) -> Sent {
        let lock = || progress.lock().unwrap_or_else(PoisonError::into_inner);
        let events: Vec<Option<Event<'_>>> = batch
            .events()
            .map(|json| serde_json::from_slice(json).ok())
            .collect();
        // PostHog refuses a request in which a uuid comes twice.
        let mut seen = HashSet::new();
        let mut start = Progress::default();
        for (place, event) in events.iter().enumerate() {
            match event {
                Some(event) if seen.insert(&event.uuid) => {
                    start.pending.push((place, event.uuid.to_string()));
                }
                Some(_) => start.later.push(place),
                // This crate reads what it wrote, but somebody may have been at the spool's files.
                None => start.refuse("unreadable".to_owned()),
            }
        }
        if start.pending.is_empty() {
            return start.sent(Rest::Nothing);
        }
        *lock() = start;

        let now = SystemTime::now();
        let request_id = self
            .ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .at(millis(now))
            .to_string();
        let mut head = b"{\"created_at\":\"".to_vec();
        Stamp::default().write(millis(now), &mut head);
        head.push(b'"');
        if self.migration == Migration::Historical {
            head.extend_from_slice(b",\"historical_migration\":true");
        }
        head.extend_from_slice(b",\"batch\":[");

        let body = |attempt: u32| {
            let mut list = Vec::with_capacity(batch.json.len());
            let pending = &lock().pending;
            for (place, _) in pending {
                if !list.is_empty() {
                    list.push(b',');
                }
                if let Some(Some(event)) = events.get(*place) {
                    event.write(&mut list);
                }
            }
            self.payload(attempt, &request_id, pending.len(), [&head, &list, b"]}"])
        };
        let judge = |answer: &[u8]| {
            let verdicts = http.read_json::<Answer>(OPERATION, answer)?;
            Ok(lock().judge(&verdicts))
        };
        let result = http
            .api_request_raw(Call {
                operation: OPERATION,
                method: Method::POST,
                side: Side::Capture,
                path: "/i/v1/analytics/events",
                query: &[],
                body: Body::PerAttempt(&body),
                // PostHog knows an event that it has seen by its uuid.
                idempotent: true,
                hurry,
                judge: Some(&judge),
                take: Take::Whole,
            })
            .await;
        let progress = lock();
        let rest = match (result, progress.rest(batch)) {
            (Ok(_), rest) => rest.unwrap_or(Rest::Nothing),
            (Err(error), Some(Rest::Later(left))) => Rest::PartFailed(left, explained(error)),
            (Err(error), _) => Rest::Failed(explained(error)),
        };
        progress.sent(rest)
    }

    fn payload(&self, attempt: u32, request_id: &str, events: usize, parts: [&[u8]; 3]) -> Payload {
        let mut headers = HeaderMap::new();
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        headers.insert(SDK_INFO, HeaderValue::from_static(USER_AGENT_VALUE));
        headers.insert(ATTEMPT, HeaderValue::from(attempt));
        let mut now = Vec::new();
        // Of this attempt: PostHog corrects a wrong clock by it.
        Stamp::default().write(millis(SystemTime::now()), &mut now);
        for (name, value) in [(REQUEST_ID, request_id.as_bytes()), (TIMESTAMP, &now)] {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(name, value);
            }
        }
        payload(&self.packer, events, headers, parts)
    }
}

const OPERATION: &str = "capture batch v1";

/// A 404 means one thing here, whatever the host says of it.
fn explained(mut error: PostHogError) -> PostHogError {
    if let PostHogError::ApiError(api) = &mut error
        && api.status == 404
    {
        api.detail = NOT_HERE.to_owned();
    }
    error
}

impl Sent {
    /// Whether the host knows no v1.
    pub(super) fn is_without_v1(&self) -> bool {
        match &self.rest {
            Rest::Failed(error) | Rest::PartFailed(_, error) => error.is_not_found(),
            Rest::Nothing | Rest::Later(_) => false,
        }
    }
}

impl Progress {
    /// What became of some of the batch's events by now; `None` where nothing is settled.
    pub(crate) fn so_far(&self, batch: &Batch) -> Option<Sent> {
        self.rest(batch).map(|rest| self.sent(rest))
    }

    fn rest(&self, batch: &Batch) -> Option<Rest> {
        if self.accepted == 0 && self.refused.is_empty() {
            return None;
        }
        let mut left: Vec<_> = self.pending.iter().map(|(place, _)| *place).collect();
        left.extend(&self.later);
        left.sort_unstable();
        Some(match left.is_empty() {
            true => Rest::Nothing,
            false => Rest::Later(batch.pick(&left)),
        })
    }

    fn sent(&self, rest: Rest) -> Sent {
        Sent {
            accepted: self.accepted,
            refused: self.refused.clone(),
            rest,
        }
    }

    fn judge(&mut self, answer: &Answer) -> Judgement {
        for (place, uuid) in std::mem::take(&mut self.pending) {
            // Of what the answer does not speak, PostHog has no complaint.
            let verdict = answer.results.get(&uuid);
            match verdict.map(Verdict::result) {
                Some("retry") => self.pending.push((place, uuid)),
                Some("drop") => self.refuse(detail(verdict.and_then(|v| v.details.as_ref()))),
                None | Some("ok") => self.accepted += 1,
                Some(other) => {
                    let details = verdict.and_then(|v| v.details.as_ref());
                    debug!(
                        target: "tracing_posthog::capture",
                        verdict = other,
                        details = details.map(tracing::field::display),
                        "PostHog took an event with a remark",
                    );
                    self.accepted += 1;
                }
            }
        }
        match self.pending.is_empty() {
            true => Judgement::Done,
            false => Judgement::Again,
        }
    }

    fn refuse(&mut self, detail: String) {
        match self.refused.iter_mut().find(|r| r.detail == detail) {
            Some(same) => same.events += 1,
            None => self.refused.push(Refused {
                events: 1,
                reason: reason(&detail),
                detail,
            }),
        }
    }
}

/// PostHog's word for what is wrong with an event.
fn detail(details: Option<&Value>) -> String {
    match details {
        Some(Value::String(text)) => excerpt(text, 200),
        Some(other) => excerpt(&other.to_string(), 200),
        None => "rejected".to_owned(),
    }
}

fn reason(detail: &str) -> DropReason {
    match detail {
        "event_too_big" | "ai_event_too_big" => DropReason::TooLarge,
        quota if quota.ends_with("_over_quota") => DropReason::Quota,
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

/// An event as this crate writes it, for v0 and to disk.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow)]
    uuid: Cow<'a, str>,
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(borrow)]
    distinct_id: &'a RawValue,
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow, default)]
    properties: Pairs<'a>,
}

/// The fields of an object, unread.
#[derive(Default)]
struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(&'de str, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::with_capacity(24);
                while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    pairs.push((key.get(), value.get()));
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Reader).map(Self)
    }
}

impl Event<'_> {
    /// Appends the event in the shape of v1: what v0 says by special properties has fields of its own.
    fn write(&self, out: &mut Vec<u8>) {
        let mut put = |parts: &[&str]| {
            parts
                .iter()
                .for_each(|p| out.extend_from_slice(p.as_bytes()))
        };
        put(&[
            "{\"event\":",
            self.event.get(),
            ",\"uuid\":\"",
            &self.uuid,
            "\",\"distinct_id\":",
        ]);
        put(&[
            self.distinct_id.get(),
            ",\"timestamp\":",
            self.timestamp.get(),
        ]);
        for (key, value) in &self.properties.0 {
            if let Lifted::Field(name) = lifted(key)
                && let Some(text) = as_text(value)
            {
                put(&[",\"", name, "\":", &text]);
            }
        }
        put(&[",\"options\":{"]);
        let mut comma = "";
        for (key, value) in &self.properties.0 {
            let (name, value) = match lifted(key) {
                Lifted::Flag(name) => (name, as_flag(value).map(str::to_owned)),
                Lifted::Text(name) => (name, as_text(value)),
                _ => continue,
            };
            if let Some(value) = value {
                put(&[comma, "\"", name, "\":", &value]);
                comma = ",";
            }
        }
        put(&["},\"properties\":{"]);
        let mut comma = "";
        for (key, value) in &self.properties.0 {
            if let Lifted::Not = lifted(key) {
                put(&[comma, key, ":", value]);
                comma = ",";
            }
        }
        put(&["}}"]);
    }
}

/// Where v1 has the place of a property of v0, by its key in quotes.
enum Lifted {
    Flag(&'static str),
    Text(&'static str),
    Field(&'static str),
    Not,
}

fn lifted(key: &str) -> Lifted {
    match key {
        "\"$cookieless_mode\"" => Lifted::Flag("cookieless_mode"),
        "\"$ignore_sent_at\"" => Lifted::Flag("disable_skew_correction"),
        "\"$process_person_profile\"" => Lifted::Flag("process_person_profile"),
        "\"$product_tour_id\"" => Lifted::Text("product_tour_id"),
        "\"$session_id\"" => Lifted::Field("session_id"),
        "\"$window_id\"" => Lifted::Field("window_id"),
        _ => Lifted::Not,
    }
}

/// A text that is not blank, or a number as text; in quotes.
fn as_text(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        Value::String(text) if !text.trim().is_empty() => Some(json.to_owned()),
        Value::Number(number) => Some(format!("\"{number}\"")),
        _ => None,
    }
}

/// Older PostHogs refuse the whole request where a flag is none.
fn as_flag(json: &str) -> Option<&'static str> {
    let flag = match serde_json::from_str(json).ok()? {
        Value::Bool(flag) => flag,
        Value::Number(number) => number.as_f64()? != 0.0,
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return None,
        },
        _ => return None,
    };
    Some(if flag { "true" } else { "false" })
}

/// Reads an answer of any bytes, about one of the events that it names and one that it does not.
#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) {
    let Ok(answer) = serde_json::from_slice::<Answer>(bytes) else {
        return;
    };
    let uuids = answer.results.keys().cloned().chain(["other".to_owned()]);
    let mut progress = Progress {
        pending: uuids.enumerate().collect(),
        ..Progress::default()
    };
    let all = progress.pending.len();
    let again = matches!(progress.judge(&answer), Judgement::Again);
    let refused: usize = progress.refused.iter().map(|r| r.events).sum();
    let pending = progress.pending.len();
    assert_eq!(progress.accepted + refused + pending, all);
    assert_eq!(again, pending > 0);
}
