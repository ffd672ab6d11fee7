#[cfg(test)]
mod tests;

use super::RecordedEvent;
use crate::capture::delivery::pipeline::Pipeline;
use crate::capture::diagnostics::Diagnostics;
use crate::capture::encode::{Encoder, Enrichment};
use crate::capture::queue::{Limits, Queue, QueuePolicy, Watermark};
use crate::capture::{CaptureHandle, DropReason, FlushReport, Home, Shared, Sink};
use crate::layer::PostHogLayer;
use serde_json::{Map, Value};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Events that were captured, in memory: no actor, no thread, no network.
///
/// They go through the same encoding as those that are sent, so what a test sees is what PostHog would
/// get, but for what a [`CaptureBuilder`](crate::CaptureBuilder) adds: default properties and hooks. For
/// these use a [`PostHogServer`](super::PostHogServer). Holds up to 100,000 events that were neither
/// looked at nor flushed.
///
/// Whoever flushes, shuts down or looks delivers what was captured, at once: code under test that asks
/// whether its events were delivered is told so. After a shutdown, a dropped
/// [`PostHog`](crate::PostHog) included, nothing more is captured, as with PostHog; what was
/// captured before can still be read.
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
///
/// ```
/// # use tracing_posthog::{CaptureHandle, Event};
/// # use tracing_posthog::testing::CapturedEvents;
/// async fn job(posthog: &CaptureHandle) -> Result<(), String> {
///     posthog.capture(Event::new("job done").distinct_id("worker"));
///     let report = posthog.shutdown().await;
///     if !report.is_complete() {
///         return Err(report.to_string());
///     }
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let captured = CapturedEvents::new();
/// assert_eq!(job(&captured.handle()).await, Ok(()));
/// assert!(captured.find("job done").is_some());
/// # }
/// ```
#[derive(Debug)]
pub struct CapturedEvents {
    handle: CaptureHandle,
    store: Arc<Memory>,
}

/// What stands in for the actor and PostHog.
#[derive(Debug)]
struct Memory {
    queue: Arc<Queue>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    pipeline: Pipeline,
    events: Vec<RecordedEvent>,
    /// The first event that could not be read back, and why.
    unreadable: Option<String>,
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
        let encoder = Encoder::new(
            Enrichment {
                max_event_bytes: EVENT_BYTES,
                ..Enrichment::default()
            },
            Arc::new(Diagnostics::default()),
        );
        let store = Arc::new(Memory {
            queue: queue.clone(),
            kept: Mutex::new(Kept {
                pipeline: Pipeline {
                    encoder,
                    batch_bytes: usize::MAX,
                },
                events: Vec::new(),
                unreadable: None,
            }),
        });
        let settling = store.clone();
        let handle = CaptureHandle::new(Shared {
            queue,
            sink: Sink::InMemory(Box::new(move |watermark| settling.settle(watermark))),
            counters: Arc::default(),
            opted_out: AtomicBool::new(false),
            status: Arc::default(),
            home: Home::OwnThread,
            http: None,
            clock: Default::default(),
            max_event_bytes: EVENT_BYTES,
            flush_timeout: Duration::ZERO,
            shutdown_timeout: Duration::ZERO,
        });
        Self { handle, store }
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
    ///
    /// # Panics
    /// When an event cannot be read back: an error of this crate, and no event that PostHog would take.
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.read().events.clone()
    }

    /// The first event of that name.
    ///
    /// # Panics
    /// As [`events`](Self::events).
    pub fn find(&self, name: &str) -> Option<RecordedEvent> {
        let kept = self.read();
        kept.events.iter().find(|e| e.event == name).cloned()
    }

    /// All events so far; they are forgotten here.
    ///
    /// # Panics
    /// As [`events`](Self::events).
    pub fn take(&self) -> Vec<RecordedEvent> {
        std::mem::take(&mut self.read().events)
    }

    #[allow(clippy::panic)] // A test that goes on would pass or fail for the wrong reason.
    fn read(&self) -> MutexGuard<'_, Kept> {
        let kept = self.store.keep(u64::MAX);
        if let Some(unreadable) = &kept.unreadable {
            panic!("tracing-posthog cannot read back an event that it wrote: {unreadable}");
        }
        kept
    }

    /// For this crate's benchmarks: the JSON of the events so far, joined by commas; they are forgotten.
    #[doc(hidden)]
    pub fn encode(&self) -> Vec<u8> {
        let Memory { queue, .. } = &*self.store;
        let mut kept = self.store.kept();
        let mut json = Vec::new();
        while let Some(encoded) = kept.pipeline.next(queue, u64::MAX) {
            for batch in encoded.batches {
                queue.settle(batch.len(), batch.json.len(), Ok(()));
                json = match json.len() {
                    0 => batch.json,
                    _ => [&json[..], b",", &batch.json].concat(),
                };
            }
        }
        json
    }

    /// For this crate's benchmarks: takes the events out of the queue and forgets them.
    #[doc(hidden)]
    pub fn forget(&self) {
        let Memory { queue, .. } = &*self.store;
        while let Some(mut segment) = queue.take(u64::MAX) {
            let (events, bytes) = (segment.len(), segment.byte_len());
            while segment.len() > 0 {
                segment.drop_first();
            }
            queue.encoded(segment, bytes, 0);
            queue.settle(events, 0, Ok(()));
        }
    }
}

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was captured before `until`, and settles it.
    fn keep(&self, until: u64) -> MutexGuard<'_, Kept> {
        let mut kept = self.kept();
        while self.queue.front_seq().is_some_and(|seq| seq < until)
            && let Some(encoded) = kept.pipeline.next(&self.queue, until)
        {
            for batch in encoded.batches {
                let readable = batch.events().filter(|json| kept.add(json)).count();
                self.queue.settle(readable, batch.json.len(), Ok(()));
                let unreadable = batch.len() - readable;
                self.queue.settle(unreadable, 0, Err(DropReason::Invalid));
            }
        }
        kept
    }

    /// What a flush or a shutdown reports of the events before its line.
    fn settle(&self, watermark: Watermark) -> FlushReport {
        let _kept = self.keep(watermark.until);
        // What others looked at since it was asked counts too.
        let delivered = self.queue.counts().delivered_here - watermark.delivered;
        let delivered = delivered.min(watermark.open);
        FlushReport {
            delivered,
            dropped: watermark.open - delivered,
            ..FlushReport::default()
        }
    }
}

impl Kept {
    /// Reads an encoded event back. False where it is none.
    fn add(&mut self, json: &[u8]) -> bool {
        #[derive(serde::Deserialize)]
        struct Wire {
            uuid: String,
            event: String,
            distinct_id: String,
            timestamp: String,
            properties: Map<String, Value>,
        }
        let e: Wire = match serde_json::from_slice(json) {
            Ok(event) => event,
            Err(error) => {
                let text = String::from_utf8_lossy(json);
                self.unreadable
                    .get_or_insert_with(|| format!("{error}: {text}"));
                return false;
            }
        };
        self.events.push(RecordedEvent {
            event: e.event,
            distinct_id: e.distinct_id,
            uuid: Some(e.uuid),
            timestamp: Some(e.timestamp),
            properties: e.properties,
            api_key: String::new(),
            sent_at: None,
            historical_migration: false,
        });
        true
    }
}
