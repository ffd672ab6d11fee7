//! Capture protocols: how a batch becomes a request, and what a response means for its events.
//!
//! ```text
//! batch ──prepare──► request ──► http ──► response ──outcome──► Outcome (accepted, refused, the rest)
//! ```
//!
//! [`v0`] answers for a request as a whole, [`v1`] for each event. [`Protocol`] chooses, and falls back from v1 to
//! v0 where a host shows that it has no v1. Both requests say when they are sent, by the clock that stamps the
//! events: PostHog corrects timestamps by the difference to its own.

mod compress;
mod v0;
pub(crate) mod v1;
mod v1_event;

pub use compress::Compression;

use super::batch::Batch;
use super::outcome::Outcome;
use crate::config::Secret;
use crate::error::PostHogError;
use crate::http::{Auth, Body, Endpoint, Http, Redirects, Request, Response, ResponseMode};
use crate::words::words;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::SystemTime;
use tracing::info;
use v0::V0;
use v1::V1;

/// Which of PostHog's two capture protocols events are sent by.
///
/// Both deliver the same events. v1 (`/i/v1/analytics/events`) says of each event what became of it, so that one
/// bad event costs no other, and an exceeded quota is told; older and self-hosted PostHogs do not have it. It
/// takes distinct ids and names of up to 200 bytes, where v0 takes ids of 200 characters and any name: an id in
/// other letters than ASCII ones is cut earlier, by [`V1`](Self::V1) and [`Auto`](Self::Auto) alike.
///
/// As text: `v0`, `v1`, `auto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CaptureProtocol {
    /// `/batch/`: every PostHog has it. The default.
    #[default]
    V0,
    /// `/i/v1/analytics/events`. A host that does not have it refuses the events: they are dropped, and a warning
    /// says why.
    V1,
    /// v1, until a response shows that the host does not have it (404, or a refusal or a page that is not v1's):
    /// from then on v0, for those events too.
    Auto,
}

words! { CaptureProtocol, "protocol": V0 = "v0", V1 = "v1", Auto = "auto", }

impl CaptureProtocol {
    /// As the line at the start says it.
    pub(crate) fn described(self) -> &'static str {
        match self {
            Self::V0 => "capture v0",
            Self::V1 => "capture v1",
            Self::Auto => "capture v1, or v0 where the host has no v1",
        }
    }
}

/// Whether the events are of now, or are moved here from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Migration {
    #[default]
    Live,
    Historical,
}

/// The capture protocol of one actor.
#[derive(Debug)]
pub(crate) struct Protocol {
    setting: CaptureProtocol,
    /// The host has shown that it has no v1.
    without_v1: AtomicBool,
    v0: V0,
    v1: V1,
}

/// An attempt that is ready to be sent.
pub(crate) struct Prepared {
    pub(crate) request: Request,
    pub(crate) sent: SentAs,
}

/// By which protocol an attempt was sent, and what is needed to read its response.
#[derive(Debug)]
pub(crate) enum SentAs {
    /// With the number of events.
    V0(usize),
    V1(v1::Positions),
}

impl Protocol {
    pub(crate) fn new(
        key: &Secret,
        migration: Migration,
        setting: CaptureProtocol,
        compression: Compression,
    ) -> Self {
        Self {
            setting,
            without_v1: AtomicBool::new(false),
            v0: V0::new(key, migration, compression),
            v1: V1::new(key, migration, compression),
        }
    }

    /// The request of a batch's next attempt. Where there is nothing to send, the outcome.
    pub(crate) fn prepare(
        &self,
        batch: &mut Batch,
        now: SystemTime,
    ) -> Result<Prepared, Box<Outcome>> {
        let v0 = match self.setting {
            CaptureProtocol::V0 => true,
            CaptureProtocol::V1 => false,
            CaptureProtocol::Auto => self.without_v1.load(Relaxed),
        };
        match v0 {
            true => Ok(self.v0.prepare(batch, now)),
            false => self.v1.prepare(batch, now),
        }
    }

    /// What the response to an attempt means.
    pub(crate) fn outcome(
        &self,
        http: &Http,
        sent: SentAs,
        result: Result<Response, PostHogError>,
    ) -> Outcome {
        let positions = match sent {
            SentAs::V0(events) => return v0::outcome(http, events, result),
            SentAs::V1(positions) => positions,
        };
        let fall_back = self.setting == CaptureProtocol::Auto;
        let outcome = v1::outcome(http, positions, result, fall_back);
        if matches!(outcome.rest, super::outcome::Rest::OtherProtocol)
            && !self.without_v1.swap(true, Relaxed)
        {
            crate::panic::catch(|| {
                info!(
                    target: "tracing_posthog::capture",
                    "this host has no capture v1; events are sent by v0 from now on",
                );
            });
        }
        outcome
    }
}

/// What both protocols' requests are made of.
struct Envelope {
    endpoint: Endpoint,
    headers: HeaderMap,
    body: Vec<u8>,
    events: usize,
    /// How much of a response is read.
    response_bytes: usize,
}

impl Envelope {
    fn prepared(self, sent: SentAs) -> Prepared {
        Prepared {
            request: Request {
                endpoint: self.endpoint,
                auth: Auth::Own,
                query: Vec::new(),
                headers: self.headers,
                body: Body::Bytes(self.body.into()),
                idempotent: true,
                mode: ResponseMode::Start {
                    limit: self.response_bytes,
                },
                tries: None,
                redirects: Redirects::SamePlace,
                final_error: None,
                events: Some(self.events),
            },
            sent,
        }
    }
}

/// The headers that describe a body of JSON.
fn payload_headers(encoding: Option<&'static str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    headers
}
