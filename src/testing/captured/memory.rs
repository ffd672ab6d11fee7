//! What stands in for the actor and PostHog: encodes what was captured, and keeps it.
//!
//! Whoever reads, flushes or shuts down encodes what waits in the queue, on its own thread, with the hooks of the
//! settings. Two locks: `pipeline` is held while hooks run, `kept` never is.

use super::super::RecordedEvent;
use crate::backend::InMemory;
use crate::capture::delivery::pipeline::Pipeline;
use crate::capture::diagnostics::Diagnostics;
use crate::capture::encode::Encoder;
use crate::capture::hooks::Hooks;
use crate::capture::queue::{Limits, Queue, QueuePolicy, Watermark};
use crate::capture::watch::Watch;
use crate::capture::{
    CaptureHandle, DeliveryFailure, Disposition, DropReason, FlushReport, Home, Shared, Sink,
};
use crate::suppress::{SuppressGuard, is_suppressed};
use serde_json::{Map, Value};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many events wait in the queue at most, for somebody who reads or flushes.
pub(super) const WAITING: usize = 100_000;
const WAITING_BYTES: usize = 256 << 20;

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) queue: Arc<Queue>,
    pub(super) pipeline: Mutex<Pipeline>,
    pub(super) kept: Mutex<Kept>,
    hooks: Hooks,
    historical: bool,
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) events: Vec<RecordedEvent>,
    /// The first event that could not be read back, and why.
    pub(super) unreadable: Option<String>,
}

impl Memory {
    /// A memory, and the handle whose events land there.
    pub(super) fn start(settings: InMemory, waiting: usize) -> (Arc<Self>, CaptureHandle) {
        let InMemory {
            enrichment,
            clock,
            historical,
            disabled,
        } = settings;
        let queue = Arc::new(Queue::new(Limits {
            events: waiting,
            bytes: WAITING_BYTES,
            batch_events: 100,
            batch_bytes: usize::MAX,
            flush_at: usize::MAX,
            policy: QueuePolicy::DropNewest,
        }));
        #[cfg(feature = "errors")]
        let exceptions = enrichment.exceptions.clone();
        let (hooks, max_event_bytes) = (enrichment.hooks.clone(), enrichment.max_event_bytes);
        let memory = Arc::new(Self {
            queue: queue.clone(),
            pipeline: Mutex::new(Pipeline {
                encoder: Encoder::new(enrichment, Arc::new(Diagnostics::default())),
                batch_bytes: usize::MAX,
            }),
            kept: Mutex::default(),
            hooks,
            historical,
        });
        if disabled {
            return (memory, CaptureHandle::disabled());
        }
        let settling = memory.clone();
        let watch = Arc::new(Watch::default());
        #[cfg(feature = "errors")]
        watch.add(exceptions.lookout());
        let handle = CaptureHandle::new(Shared {
            late_seen_to: AtomicBool::new(false),
            queue,
            sink: Sink::InMemory(Box::new(move |watermark| settling.settle(watermark))),
            counters: Arc::default(),
            opted_out: AtomicBool::new(false),
            status: Arc::default(),
            home: Home::OwnThread,
            http: None,
            clock,
            watch,
            max_event_bytes,
            flush_timeout: Duration::ZERO,
            shutdown_timeout: Duration::ZERO,
            #[cfg(feature = "errors")]
            exceptions,
        });
        (memory, handle)
    }

    pub(super) fn pipeline(&self) -> MutexGuard<'_, Pipeline> {
        self.pipeline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encodes, keeps and settles what was captured before `until`. Within a hook it does nothing: the hook runs while
    /// the same is being done.
    pub(super) fn keep(&self, until: u64) {
        if is_suppressed() {
            return;
        }
        // As on the actor's thread: what hooks and log lines capture is ignored.
        let _suppressed = SuppressGuard::enter();
        let mut pipeline = self.pipeline();
        while self.queue.front_seq().is_some_and(|seq| seq < until)
            && let Some(encoded) = pipeline.next(&self.queue, until)
        {
            for reason in encoded.dropped {
                self.hooks.on_error(&DeliveryFailure {
                    events: 1,
                    disposition: Disposition::Dropped(reason),
                    error: None,
                    detail: None,
                });
            }
            for batch in encoded.batches {
                let mut kept = self.kept();
                let add = |json: &&[u8]| kept.add(json, self.historical);
                let readable = batch.events().filter(add).count();
                self.queue.settle(readable, batch.json.len(), Ok(()));
                let unreadable = batch.len() - readable;
                self.queue.settle(unreadable, 0, Err(DropReason::Invalid));
            }
        }
    }

    /// What a flush or a shutdown reports of the events before its line.
    fn settle(&self, watermark: Watermark) -> FlushReport {
        self.keep(watermark.until);
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
    pub(super) fn add(&mut self, json: &[u8], historical_migration: bool) -> bool {
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
            historical_migration,
        });
        true
    }
}
