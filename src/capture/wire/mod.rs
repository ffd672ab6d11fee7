//! Bodies that batches travel in, and what PostHog says of them: capture v0 and v1.

mod compress;
pub(crate) mod v1;

pub use compress::Compression;
pub(crate) use v1::Progress;

use super::batch::Batch;
use super::record::millis;
use super::stamp::Stamp;
use super::stats::DropReason;
use crate::config::Secret;
use crate::error::PostHogError;
use crate::http::{Body, Call, Http, Payload, Side, Take};
use compress::Packer;
use reqwest::Method;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::SystemTime;
use tokio::sync::watch;
use tracing::info;

/// Which of PostHog's two capture protocols events are sent by.
///
/// Both deliver the same events. v1 (`/i/v1/analytics/events`) says of each event what became of it, so that one
/// bad event costs no other, and an exceeded quota is told; older and self-hosted PostHogs do not have it. It
/// takes distinct ids and names of up to 200 bytes, where v0 takes ids of 200 characters and any name: an id in
/// other letters than ASCII ones is cut earlier, by [`V1`](Self::V1) and [`Auto`](Self::Auto) alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CaptureProtocol {
    /// `/batch/`: every PostHog has it. The default.
    #[default]
    V0,
    /// `/i/v1/analytics/events`. A host that does not have it answers 404: the events are dropped, and the
    /// reason is told.
    V1,
    /// v1, until the host answers 404 to it: from then on v0, with those events too.
    Auto,
}

/// Whether the events are of now, or are moved here from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Migration {
    #[default]
    Live,
    Historical,
}

/// What became of the events of a batch that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    /// How many PostHog took.
    pub(crate) accepted: usize,
    /// Those that it took, and will not keep.
    pub(crate) refused: Vec<Refused>,
    pub(crate) rest: Rest,
}

/// Events that PostHog refused one by one, for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) events: usize,
    pub(crate) reason: DropReason,
    /// PostHog's own word.
    pub(crate) detail: String,
}

/// What is not settled.
#[derive(Debug)]
pub(crate) enum Rest {
    Nothing,
    /// These need a request of their own.
    Later(Batch),
    /// The request failed, for the whole batch.
    Failed(PostHogError),
    /// The request failed, for these.
    PartFailed(Batch, PostHogError),
}

impl Sent {
    fn whole(batch: &Batch, result: Result<(), PostHogError>) -> Self {
        let (accepted, rest) = match result {
            Ok(()) => (batch.len(), Rest::Nothing),
            Err(error) => (0, Rest::Failed(error)),
        };
        Self {
            accepted,
            refused: Vec::new(),
            rest,
        }
    }
}

/// What stands around the events in a request, and how it is packed. One for each actor.
#[derive(Debug)]
pub(crate) struct Wire {
    protocol: CaptureProtocol,
    /// The host has said that it knows no v1.
    without_v1: AtomicBool,
    /// `{"api_key":…,"historical_migration":…,"sent_at":"`
    head: Vec<u8>,
    v0: Packer,
    v1: v1::Envelope,
}

impl Wire {
    pub(crate) fn new(
        key: &Secret,
        migration: Migration,
        protocol: CaptureProtocol,
        compression: Compression,
    ) -> Self {
        let mut head = b"{\"api_key\":".to_vec();
        // A key is ASCII text: it always has its JSON.
        let _ = serde_json::to_writer(&mut head, key.reveal());
        if migration == Migration::Historical {
            head.extend_from_slice(b",\"historical_migration\":true");
        }
        head.extend_from_slice(b",\"sent_at\":\"");
        let v0 = match compression.is_v0() {
            true => compression,
            false => Compression::Gzip,
        };
        Self {
            protocol,
            without_v1: AtomicBool::new(false),
            head,
            v0: Packer::new(v0),
            v1: v1::Envelope::new(key, migration, compression),
        }
    }

    /// Sends the batch: attempts, backoff and all. What is settled before that ends stands in `progress`.
    pub(crate) async fn send(
        &self,
        http: &Http,
        batch: &Batch,
        progress: &Mutex<Progress>,
        hurry: Option<watch::Receiver<bool>>,
    ) -> Sent {
        let falls_back = self.protocol == CaptureProtocol::Auto;
        let v0 =
            self.protocol == CaptureProtocol::V0 || (falls_back && self.without_v1.load(Relaxed));
        if v0 {
            return Sent::whole(batch, self.send_v0(http, batch, hurry).await);
        }
        let sent = self.v1.send(http, batch, progress, hurry.clone()).await;
        if !falls_back || !sent.is_without_v1() {
            return sent;
        }
        if !self.without_v1.swap(true, Relaxed) {
            info!(
                target: "tracing_posthog::capture",
                "this host has no capture v1; events go by v0 from here on",
            );
        }
        // What was settled before that stays so: the host may be several, of several ages.
        let part = match sent.rest {
            Rest::PartFailed(left, _) => Some(left),
            _ => None,
        };
        let left = part.as_ref().unwrap_or(batch);
        let (accepted, rest) = match (self.send_v0(http, left, hurry).await, part) {
            (Ok(()), part) => (part.map_or(batch.len(), |left| left.len()), Rest::Nothing),
            (Err(error), Some(left)) => (0, Rest::PartFailed(left, error)),
            (Err(error), None) => (0, Rest::Failed(error)),
        };
        Sent {
            accepted: sent.accepted + accepted,
            refused: sent.refused,
            rest,
        }
    }

    /// Sends the batch by v0, whose answer is about all of it.
    pub(crate) async fn send_v0(
        &self,
        http: &Http,
        batch: &Batch,
        hurry: Option<watch::Receiver<bool>>,
    ) -> Result<(), PostHogError> {
        let body = |_| self.payload(batch, SystemTime::now());
        let call = Call {
            operation: "capture batch",
            method: Method::POST,
            side: Side::Capture,
            path: "/batch/",
            query: &[],
            body: Body::PerAttempt(&body),
            // PostHog knows an event that it has seen by its uuid.
            idempotent: true,
            hurry,
            // What a 2xx says does not matter: several servers say it in several ways, or not at all.
            judge: None,
            take: Take::Whole,
        };
        http.api_request_raw(call).await.map(drop)
    }

    /// The body of one attempt. `sent_at` is of this attempt: PostHog corrects a wrong clock by it.
    fn payload(&self, batch: &Batch, now: SystemTime) -> Payload {
        let mut head = self.head.clone();
        Stamp::default().write(millis(now), &mut head);
        head.extend_from_slice(b"\",\"batch\":[");
        let parts = [&head, &batch.json, &b"]}"[..]];
        payload(&self.v0, batch.len(), HeaderMap::new(), parts)
    }
}

/// A body of these parts, and what describes it.
fn payload(packer: &Packer, events: usize, mut headers: HeaderMap, parts: [&[u8]; 3]) -> Payload {
    let (bytes, encoding) = packer.pack(parts);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(encoding) = encoding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    Payload {
        events,
        headers,
        bytes: bytes.into(),
    }
}
