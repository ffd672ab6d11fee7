//! Capture v0 (`/batch/`): every PostHog has it, and its status answers for the whole request.

use super::compress::{Compression, Compressor};
use super::{Envelope, Migration, Prepared, SentAs, payload_headers};
use crate::capture::delivery::batch::Batch;
use crate::capture::delivery::outcome::Outcome;
use crate::config::Secret;
use crate::error::PostHogError;
use crate::event::record::millis;
use crate::event::timestamp::TimestampWriter;
use crate::http::{Destination, Endpoint, Http, Redirect, Response};
use crate::redact;
use reqwest::Method;
use serde_json::Value;
use std::borrow::Cow;
use std::time::SystemTime;

/// PostHog answers `{"status":"Ok"}`; a refusal is a sentence.
const RESPONSE_BYTES: usize = 4 << 10;

/// What all requests by v0 have in common.
#[derive(Debug)]
pub(super) struct V0 {
    /// `{"api_key":…,"historical_migration":…,"sent_at":"`
    head: Vec<u8>,
    compressor: Compressor,
}

impl V0 {
    pub(super) fn new(key: &Secret, migration: Migration, compression: Compression) -> Self {
        let mut head = b"{\"api_key\":".to_vec();
        // A key is ASCII text: it always has its JSON.
        let _ = serde_json::to_writer(&mut head, key.reveal());
        if migration == Migration::Historical {
            head.extend_from_slice(b",\"historical_migration\":true");
        }
        head.extend_from_slice(b",\"sent_at\":\"");
        let compression = match compression.is_v0() {
            true => compression,
            false => Compression::Gzip,
        };
        Self {
            head,
            compressor: Compressor::new(compression),
        }
    }

    /// The request of one attempt, which is sent now.
    pub(super) fn prepare(&self, batch: &Batch, now: SystemTime) -> Prepared {
        let mut head = self.head.clone();
        TimestampWriter::default().write(millis(now), &mut head);
        head.extend_from_slice(b"\",\"batch\":[");
        let (body, encoding) = self.compressor.compress([&head, &batch.json, b"]}"]);
        Envelope {
            endpoint: endpoint(),
            headers: payload_headers(encoding),
            body,
            events: batch.len(),
            response_bytes: RESPONSE_BYTES,
        }
        .prepared(SentAs::V0(batch.len()))
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        operation: "capture batch",
        method: Method::POST,
        destination: Destination::Capture,
        path: Cow::Borrowed("/batch/"),
    }
}

/// What a response by v0 means for a number of events. Any 2xx is a delivery: several servers say it in several
/// ways, or not at all.
pub(super) fn outcome(
    http: &Http,
    events: usize,
    result: Result<Response, PostHogError>,
) -> Outcome {
    let response = match result {
        Ok(response) => response,
        Err(error) => return Outcome::failed(error, None),
    };
    if !response.status.is_success() {
        let error = http.refused(&endpoint(), &response);
        return Outcome::failed(error, response.retry_after());
    }
    let is_posthog = is_answer(&response.body);
    if !is_posthog && matches!(response.redirect, Some(Redirect::Followed(_))) {
        // Something answers there that is not PostHog, or that was asked without a body.
        return Outcome::failed(http.refused(&endpoint(), &response), None);
    }
    Outcome {
        foreign: (!is_posthog).then(|| describe(&response)),
        ..Outcome::accepted(events)
    }
}

/// Whether a body is what PostHog answers where it accepts events: `{"status":1}`, `{"status":"Ok"}`.
fn is_answer(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|answer| answer.get("status").is_some())
}

/// What answered, by its kind and length.
fn describe(response: &Response) -> String {
    let status = response.status.as_u16();
    match redact::describe(&response.body) {
        Some(body) => format!("status {status} with {body}"),
        None => format!("status {status} with an empty body"),
    }
}
