use super::PostHogClient;
use crate::capture::batch::encode;
use crate::capture::encode::{Encoder, Enrichment};
use crate::capture::notices::Notices;
use crate::capture::queue::{Limits, Queue, QueuePolicy};
use crate::capture::record::Record;
use crate::capture::wire::{CaptureProtocol, Compression, Migration, Wire};
use crate::capture::{DropReason, Dropped, Event};
use crate::error::PostHogError;
use std::sync::Arc;
use std::time::SystemTime;

/// What became of the events of one [`capture_batch`](PostHogClient::capture_batch).
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct BatchSummary {
    /// Events that PostHog acknowledged.
    pub delivered: u64,
    /// Events that were not delivered, by reason.
    pub dropped: Dropped,
    /// Requests sent, retries not counted.
    pub requests: u64,
    /// What went wrong, one for each request that failed.
    pub errors: Vec<PostHogError>,
}

impl BatchSummary {
    /// Whether everything was delivered.
    pub fn is_complete(&self) -> bool {
        self.dropped.total() == 0
    }
}

const BATCH_EVENTS: usize = 100;
const BATCH_BYTES: usize = 5 << 20;
const EVENT_BYTES: usize = 900 << 10;

impl PostHogClient {
    /// Sends events now, and waits for the answer: no queue, no actor. For imports and jobs that must
    /// know. Many events travel in several requests, one after the other; an event that PostHog would
    /// refuse is left out and counted, and costs no other. The settings of an
    /// [`EventCaptureBackend`](crate::EventCaptureBackend) (default properties, hooks, limits, protocol)
    /// do not count here; requests go by capture v0 with gzip, hold up to 100 events and 5 MiB of JSON, and
    /// PostHog looks up no places.
    ///
    /// All events are in memory before the first is sent: hand over the history of years in parts.
    ///
    /// # Errors
    /// [`PostHogError::Config`] without a project API key. What happens to the events is in the summary.
    ///
    /// ```no_run
    /// # use tracing_posthog::{Event, PostHogClient};
    /// # async fn f(client: PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let events = (0..1000).map(|n| Event::new("imported").distinct_id(format!("user_{n}")));
    /// let summary = client.capture_batch(events).await?;
    /// assert!(summary.is_complete(), "{:?}", summary.errors);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn capture_batch(
        &self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<BatchSummary, PostHogError> {
        let key = self.require_project_key()?;
        let wire = Wire::new(key, Migration::Live, CaptureProtocol::V0, Compression::Gzip);
        let mut encoder = Encoder::new(
            Enrichment {
                max_event_bytes: EVENT_BYTES,
                ..Enrichment::default()
            },
            Arc::new(Notices::default()),
        );
        let queue = Queue::new(Limits {
            events: usize::MAX,
            bytes: usize::MAX,
            batch_events: BATCH_EVENTS,
            batch_bytes: BATCH_BYTES,
            flush_at: usize::MAX,
            policy: QueuePolicy::DropNewest,
        });
        let mut record = Record::over(Vec::new(), EVENT_BYTES);
        let mut summary = BatchSummary::default();
        for event in events {
            record = Record::over(record.into_bytes(), EVENT_BYTES);
            record.event(&event);
            if record.overflowed() {
                summary.dropped.add(DropReason::TooLarge, 1);
                continue;
            }
            // Without bounds, nothing is refused.
            let _ = queue.push(record.bytes(), SystemTime::now());
        }
        while let Some(chunk) = queue.take(u64::MAX) {
            let dropped = &mut summary.dropped;
            let mut batches = encode(&mut encoder, &chunk, BATCH_BYTES, |r| dropped.add(r, 1));
            batches.reverse();
            while let Some(batch) = batches.pop() {
                summary.requests += 1;
                let events = batch.len() as u64;
                let error = match wire.send_v0(&self.inner.http, &batch, None).await {
                    Ok(()) => {
                        summary.delivered += events;
                        continue;
                    }
                    Err(error) => error,
                };
                let reason = match error.status() {
                    Some(413) => {
                        if let Some((first, second)) = batch.split() {
                            batches.extend([second, first]);
                            continue;
                        }
                        DropReason::TooLarge
                    }
                    Some(402) => DropReason::Quota,
                    _ if error.is_retryable() => DropReason::Exhausted,
                    _ => DropReason::Rejected,
                };
                summary.dropped.add(reason, events);
                summary.errors.push(error);
            }
        }
        Ok(summary)
    }
}
