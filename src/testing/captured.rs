use super::RecordedEvent;
use crate::capture::batch::encode;
use crate::capture::encode::{Encoder, Enrichment};
use crate::capture::notices::Notices;
use crate::capture::queue::{Limits, Queue, QueuePolicy};
use crate::capture::{CaptureHandle, Shared, SystemClock};
use crate::layer::PostHogLayer;
use serde_json::{Map, Value};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Events that were captured, in memory: no actor, no thread, no network.
///
/// They go through the same encoding as those that are sent, so what a test sees is what PostHog would
/// get, but for what a [`CaptureBuilder`](crate::CaptureBuilder) adds: default properties and hooks. For
/// these use a [`PostHogServer`](super::PostHogServer). Holds up to 100,000 events that were not looked at;
/// a flush reports these as pending.
///
/// ```
/// use tracing_posthog::Event;
/// use tracing_posthog::testing::CapturedEvents;
///
/// fn pay(posthog: &tracing_posthog::CaptureHandle) {
///     posthog.capture(Event::new("invoice paid").distinct_id("user_42").property("amount", 12.5));
/// }
///
/// let captured = CapturedEvents::new();
/// pay(&captured.handle());
/// assert_eq!(captured.find("invoice paid").unwrap().properties["amount"], 12.5);
/// ```
#[derive(Debug)]
pub struct CapturedEvents {
    handle: CaptureHandle,
    queue: Arc<Queue>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    encoder: Encoder,
    events: Vec<RecordedEvent>,
}

const EVENT_BYTES: usize = 900 << 10;

impl Default for CapturedEvents {
    fn default() -> Self {
        Self::new()
    }
}

impl CapturedEvents {
    /// Nothing captured yet.
    pub fn new() -> Self {
        let queue = Arc::new(Queue::new(Limits {
            events: 100_000,
            bytes: 256 << 20,
            batch_events: 100,
            batch_bytes: usize::MAX,
            flush_at: usize::MAX,
            policy: QueuePolicy::DropNewest,
        }));
        // Nobody listens: there is nothing to flush.
        let (control, _) = mpsc::unbounded_channel();
        let handle = CaptureHandle::new(Shared {
            queue: queue.clone(),
            control,
            counters: Arc::default(),
            opted_out: AtomicBool::new(false),
            client: None,
            clock: Arc::new(SystemClock),
            max_event_bytes: EVENT_BYTES,
            flush_timeout: Duration::ZERO,
            shutdown_timeout: Duration::ZERO,
        });
        let encoder = Encoder::new(
            Enrichment {
                max_event_bytes: EVENT_BYTES,
                ..Enrichment::default()
            },
            Arc::new(Notices::default()),
        );
        Self {
            handle,
            queue,
            kept: Mutex::new(Kept {
                encoder,
                events: Vec::new(),
            }),
        }
    }

    /// A handle whose events land here.
    pub fn handle(&self) -> CaptureHandle {
        self.handle.clone()
    }

    /// A layer, with the default options, whose events land here. For others use
    /// [`PostHogLayer::builder`] with the [`handle`](Self::handle).
    pub fn layer(&self) -> PostHogLayer {
        PostHogLayer::new(self.handle())
    }

    /// All events so far, in order of capture.
    pub fn events(&self) -> Vec<RecordedEvent> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Kept { encoder, events } = &mut *kept;
        while let Some(chunk) = self.queue.take(u64::MAX) {
            let mut dropped = Vec::new();
            let batches = encode(encoder, &chunk, usize::MAX, |reason| dropped.push(reason));
            let bytes = batches.iter().map(|b| b.json.len()).sum();
            self.queue.encoded(chunk, bytes);
            for reason in dropped {
                self.queue.settle(1, 0, Err(reason));
            }
            for batch in batches {
                events.extend(recorded(&batch.json));
                self.queue.settle(batch.len(), batch.json.len(), Ok(()));
            }
        }
        events.clone()
    }

    /// For this crate's benchmarks: the JSON of the events so far, joined by commas; they are forgotten.
    #[doc(hidden)]
    pub fn encode(&self) -> Vec<u8> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut json = Vec::new();
        while let Some(chunk) = self.queue.take(u64::MAX) {
            let events = chunk.len();
            for batch in encode(&mut kept.encoder, &chunk, usize::MAX, drop) {
                json = match json.len() {
                    0 => batch.json,
                    _ => [&json[..], b",", &batch.json].concat(),
                };
            }
            self.queue.encoded(chunk, 0);
            self.queue.settle(events, 0, Ok(()));
        }
        json
    }

    /// For this crate's benchmarks: takes the events out of the queue and forgets them.
    #[doc(hidden)]
    pub fn forget(&self) {
        while let Some(chunk) = self.queue.take(u64::MAX) {
            let events = chunk.len();
            self.queue.encoded(chunk, 0);
            self.queue.settle(events, 0, Ok(()));
        }
    }

    /// The first event of that name.
    pub fn find(&self, name: &str) -> Option<RecordedEvent> {
        self.events().into_iter().find(|event| event.event == name)
    }

    /// All events so far; they are forgotten here.
    pub fn take(&self) -> Vec<RecordedEvent> {
        let events = self.events();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.events.clear();
        events
    }
}

/// Encoded events, read back.
fn recorded(json: &[u8]) -> Vec<RecordedEvent> {
    #[derive(serde::Deserialize)]
    struct Wire {
        uuid: String,
        event: String,
        distinct_id: String,
        timestamp: String,
        properties: Map<String, Value>,
    }
    let list = [b"[", json, b"]"].concat();
    // What this crate wrote, it reads.
    let events: Vec<Wire> = serde_json::from_slice(&list).unwrap_or_default();
    events
        .into_iter()
        .map(|e| RecordedEvent {
            event: e.event,
            distinct_id: e.distinct_id,
            uuid: Some(e.uuid),
            timestamp: Some(e.timestamp),
            properties: e.properties,
            api_key: String::new(),
            sent_at: None,
            historical_migration: false,
        })
        .collect()
}
