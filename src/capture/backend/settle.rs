//! What became of a batch that was sent.

use super::pause::Pause;
use super::{EventCaptureBackend, Flight};
use crate::capture::batch::Batch;
use crate::capture::hooks::{CaptureError, Fate};
use crate::capture::queue::Home;
use crate::capture::spool::Durability;
use crate::capture::stats::DropReason;
use crate::capture::wire::{Refused, Rest, Sent};
use crate::error::PostHogError;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use tokio::time::Instant;
use tracing::{debug, warn};

impl EventCaptureBackend {
    pub(super) fn settle(&mut self, batch: Arc<Batch>, sent: Sent) {
        self.flying.retain(|f| !Arc::ptr_eq(&f.batch, &batch));
        self.land(Arc::unwrap_or_clone(batch), sent);
    }

    /// Cancels what is being sent. What PostHog took of a batch by then is delivered, and the rest of that is as if
    /// it were to be sent soon. Returns the batches of which nothing is settled.
    pub(super) fn cancel_sends(&mut self) -> Vec<Batch> {
        self.in_flight.clear();
        let mut rest = Vec::new();
        for Flight { batch, progress } in std::mem::take(&mut self.flying) {
            let progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            match progress.so_far(&batch) {
                Some(sent) => self.land(Arc::unwrap_or_clone(batch), sent),
                None => rest.push(Arc::unwrap_or_clone(batch)),
            }
        }
        rest
    }

    fn land(&mut self, batch: Batch, sent: Sent) {
        match sent.rest {
            Rest::Failed(error) => self.failed(batch, &error),
            Rest::Nothing => {
                self.settle_some(&batch, sent.accepted, &sent.refused, batch.json.len());
                self.remove_file(&batch);
            }
            Rest::Later(left) => {
                if let Some(left) = self.settle_part(&batch, sent.accepted, &sent.refused, left) {
                    self.send_soon(left);
                }
            }
            Rest::PartFailed(left, error) => {
                let left = self.settle_part(&batch, sent.accepted, &sent.refused, left);
                for left in left.into_iter().flatten() {
                    self.failed(left, &error);
                }
            }
        }
    }

    /// Settles a batch but for these events. `None`: all of it stays on disk and goes again, for PostHog knows its
    /// events by their uuid.
    fn settle_part(
        &mut self,
        whole: &Batch,
        accepted: usize,
        refused: &[Refused],
        left: Batch,
    ) -> Option<Vec<Batch>> {
        let bytes = whole.json.len() - left.json.len();
        let left = self.replace_file(whole, [left])?;
        self.settle_some(whole, accepted, refused, bytes);
        Some(left)
    }

    /// Puts parts of a batch first in their line: in memory, or on disk where the batch came from there.
    fn send_soon(&mut self, parts: Vec<Batch>) {
        for part in parts.into_iter().rev() {
            match (&mut self.parts.disk, part.file) {
                (Some(disk), Some(file)) if part.home != Home::Memory => disk.release(file),
                _ => self.fresh.push_front(part),
            }
        }
    }

    /// Counts events that PostHog took, and those that it refused one by one; `bytes` of memory go with them.
    fn settle_some(&mut self, batch: &Batch, accepted: usize, refused: &[Refused], bytes: usize) {
        let mut bytes = Some(bytes);
        if accepted > 0 {
            self.delivered(batch, accepted, bytes.take().unwrap_or_default());
        }
        for refused in refused {
            let freed = bytes.take().unwrap_or_default();
            self.account(batch.home, refused.events, freed, Err(refused.reason));
            if self.trouble.is_new_reason(&refused.detail) {
                warn!(
                    target: "tracing_posthog::capture",
                    events = refused.events,
                    reason = refused.detail,
                    "PostHog refuses events; they are dropped",
                );
            }
            self.parts.hooks.on_error(&CaptureError {
                events: refused.events as u64,
                fate: Fate::Dropped(refused.reason),
                error: None,
                detail: Some(&refused.detail),
            });
        }
    }

    fn failed(&mut self, batch: Batch, error: &PostHogError) {
        match error {
            // Not sent at all: it keeps its place.
            PostHogError::CircuitOpen { .. } if batch.home == Home::Memory => {
                self.fresh.push_front(batch);
            }
            PostHogError::CircuitOpen { .. } => {
                // It is on disk, so this only lets go of it.
                let _ = self.move_to_disk(batch, Durability::Synced);
            }
            e if e.status() == Some(413) => self.too_large(batch, error),
            e if e.is_retryable() => self.exhausted(batch, error),
            _ => {
                self.warn_rejected(error);
                let reason = match error.status() {
                    Some(402) => DropReason::Quota,
                    _ => DropReason::Rejected,
                };
                self.drop_batch(&batch, reason, Some(error));
            }
        }
    }

    fn delivered(&mut self, batch: &Batch, accepted: usize, bytes: usize) {
        let events = accepted as u64;
        self.account(batch.home, accepted, bytes, Ok(()));
        for flush in self.flushes.iter_mut().filter(|f| batch.seq < f.until) {
            flush.delivered += events;
        }
        if let Some(shutdown) = &mut self.shutdown
            && batch.home != Home::Recovered
        {
            shutdown.delivered += events;
        }
        if self.trouble.end() {
            debug!(target: "tracing_posthog::capture", "PostHog takes events again");
        }
        // However often some of it failed: where PostHog fails at random, what waits would fill the queue.
        self.pause = Pause::default();
    }

    fn too_large(&mut self, batch: Batch, error: &PostHogError) {
        match batch.split() {
            Some((first, second)) => {
                debug!(
                    target: "tracing_posthog::capture",
                    events = batch.len(),
                    "413: sending in halves",
                );
                if batch.home == Home::Memory {
                    // The comma between them is gone.
                    self.parts.queue.shrink(1);
                }
                if let Some(parts) = self.replace_file(&batch, [first, second]) {
                    self.send_soon(parts);
                }
            }
            None => {
                if self.trouble.too_large.is_news() {
                    warn!(
                        target: "tracing_posthog::capture",
                        bytes = batch.json.len(),
                        "PostHog says that an event is too large; it is dropped",
                    );
                }
                debug_assert_eq!(batch.len(), 1, "chunk {}", batch.seq);
                self.drop_batch(&batch, DropReason::TooLarge, Some(error));
            }
        }
    }

    /// Leaves the batch to the disk, else keeps it while there is room for what comes, else drops it.
    fn exhausted(&mut self, batch: Batch, error: &PostHogError) {
        let Err(mut batch) = self.spool_exhausted(batch, error) else {
            return;
        };
        if self.parts.queue.is_crowded() && self.shutdown.is_none() {
            if self.trouble.dropping.is_news() {
                warn!(
                    target: "tracing_posthog::capture",
                    %error,
                    events = batch.len(),
                    "events cannot be delivered and the queue is full; batches are being dropped",
                );
            }
            let reason = match &self.parts.disk {
                Some(disk) if disk.is_full() => DropReason::SpoolFull,
                _ => DropReason::Exhausted,
            };
            return self.drop_batch(&batch, reason, Some(error));
        }
        if self.trouble.keeping.is_news() {
            warn!(
                target: "tracing_posthog::capture",
                %error,
                "events cannot be delivered; they are kept and tried again",
            );
        }
        self.parts.counters.batches_kept.fetch_add(1, Relaxed);
        self.parts.hooks.on_error(&CaptureError {
            events: batch.len() as u64,
            fate: Fate::Kept,
            error: Some(error),
            detail: None,
        });
        batch.exhausted = Some(Instant::now());
        self.kept.push_back(batch);
        self.pause.lengthen_to(error.retry_after());
    }

    fn warn_rejected(&mut self, error: &PostHogError) {
        if self.trouble.is_new_status(error.status()) {
            warn!(
                target: "tracing_posthog::capture",
                %error,
                "PostHog refuses events; they are dropped",
            );
        }
    }

    fn drop_batch(&mut self, batch: &Batch, reason: DropReason, error: Option<&PostHogError>) {
        self.account(batch.home, batch.len(), batch.json.len(), Err(reason));
        self.remove_file(batch);
        self.parts.hooks.on_error(&CaptureError {
            events: batch.len() as u64,
            fate: Fate::Dropped(reason),
            error,
            detail: None,
        });
    }

    /// Says what became of events, in the column of the ledger where they stand.
    fn account(&self, home: Home, events: usize, bytes: usize, fate: Result<(), DropReason>) {
        match home {
            Home::Memory => self.parts.queue.settle(events, bytes, fate),
            Home::Disk | Home::Recovered => {
                self.parts.queue.settle_spooled(home, events as u64, fate);
            }
        }
    }
}
