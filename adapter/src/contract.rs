//! What the harness sends, and what it is answered.

use crate::refusal::Refusal;
use crate::requests::Attempt;
use axum::Json;
use axum::extract::{FromRequest, Request};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::time::SystemTime;
use tracing_posthog::Event;
use uuid::Uuid;

/// Which instance a request is about: tests that run at the same time have an id each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
pub(crate) struct TestId {
    pub(crate) test_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Init {
    pub(crate) api_key: String,
    pub(crate) host: String,
    pub(crate) personal_api_key: Option<String>,
    pub(crate) flush_at: Option<usize>,
    pub(crate) flush_interval_ms: Option<u64>,
    pub(crate) max_retries: Option<u32>,
    pub(crate) enable_compression: Option<bool>,
    pub(crate) disable_geoip: Option<bool>,
    pub(crate) historical_migration: Option<bool>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Capture {
    distinct_id: String,
    event: String,
    properties: Option<Map<String, Value>>,
    timestamp: Option<String>,
    options: Option<EventOptions>,
}

/// What capture v1 says beside the properties. The crate takes them as the properties that they were in v0,
/// and lifts them out again for v1.
#[derive(Debug, Default, Deserialize)]
struct EventOptions {
    cookieless_mode: Option<Value>,
    disable_skew_correction: Option<Value>,
    process_person_profile: Option<Value>,
    product_tour_id: Option<Value>,
}

impl Capture {
    /// The event, and the uuid that it goes over the wire with.
    pub(crate) fn into_event(self) -> Result<(Event, Uuid), Refusal> {
        let uuid = Uuid::now_v7();
        let mut event = Event::new(self.event)
            .distinct_id(self.distinct_id)
            .uuid(uuid);
        event.properties = self.properties.unwrap_or_default();
        let options = self.options.unwrap_or_default();
        for (property, value) in [
            ("$cookieless_mode", options.cookieless_mode),
            ("$ignore_sent_at", options.disable_skew_correction),
            ("$process_person_profile", options.process_person_profile),
            ("$product_tour_id", options.product_tour_id),
        ] {
            if let Some(value) = value {
                event.properties.insert(property.to_owned(), value);
            }
        }
        if let Some(text) = self.timestamp {
            event = event.timestamp(instant(&text)?);
        }
        Ok((event, uuid))
    }
}

/// A time without an offset is one in UTC, as for PostHog.
fn instant(text: &str) -> Result<SystemTime, Refusal> {
    let in_utc = |time: DateTime| TimeZone::UTC.to_timestamp(time);
    text.parse::<Timestamp>()
        .or_else(|_| text.parse().and_then(in_utc))
        .and_then(SystemTime::try_from)
        .map_err(|problem| {
            Refusal::bad_request(format!(
                "timestamp {text:?} is no time, such as 2025-01-02T03:04:05Z: {problem}"
            ))
        })
}

/// One flag of somebody.
#[derive(Debug, Deserialize)]
pub(crate) struct GetFlag {
    pub(crate) key: String,
    pub(crate) distinct_id: String,
    pub(crate) person_properties: Option<Map<String, Value>>,
    pub(crate) groups: Option<BTreeMap<String, String>>,
    pub(crate) group_properties: Option<BTreeMap<String, Map<String, Value>>>,
    pub(crate) disable_geoip: Option<bool>,
    /// Every evaluation that may make a request makes one; so this changes nothing.
    pub(crate) force_remote: Option<bool>,
    pub(crate) only_evaluate_locally: Option<bool>,
}

#[derive(Debug, Serialize)]
pub(crate) struct FlagAnswer {
    pub(crate) success: bool,
    /// `None`: unknown.
    pub(crate) value: Option<Value>,
    pub(crate) locally_evaluated: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ReloadDefinitions {
    pub(crate) timeout_ms: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(crate) struct State {
    pub(crate) pending_events: u64,
    pub(crate) total_events_captured: u64,
    pub(crate) total_events_sent: u64,
    pub(crate) total_retries: usize,
    pub(crate) last_error: Option<String>,
    pub(crate) requests_made: Vec<Attempt>,
}

/// A JSON body; where it is none, or lacks something, the answer says what was expected.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: Expected, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(Refusal::new(
                rejection.status(),
                format!("{}; expected {}", rejection.body_text(), T::EXPECTED),
            )),
        }
    }
}

pub(crate) trait Expected: DeserializeOwned {
    const EXPECTED: &str;
}

impl Expected for Init {
    const EXPECTED: &str = "application/json with api_key and host, and optionally flush_at, flush_interval_ms, \
        max_retries, enable_compression, disable_geoip, historical_migration, personal_api_key";
}

impl Expected for Capture {
    const EXPECTED: &str = "application/json with distinct_id and event, and optionally properties, timestamp, \
        options";
}

impl Expected for GetFlag {
    const EXPECTED: &str = "application/json with key and distinct_id, and optionally person_properties, groups, \
        group_properties, disable_geoip, force_remote, only_evaluate_locally";
}

impl Expected for ReloadDefinitions {
    const EXPECTED: &str = "application/json, which may have timeout_ms";
}
