//! Applies the outcome of an attempt: what is delivered, dropped, tried again, or left on disk.

use super::account::{Cause, Lot};
use super::actor::Actor;
use super::batch::Batch;
use super::disk::Replaced;
use super::in_flight::{Ended, Flight};
use super::outcome::{Next, Outcome, Refused, Rest, Which, after_failure, reason_of};
use crate::capture::hooks::Disposition;
use crate::capture::ledger::{DropReason, Residence};
use crate::capture::spool::Durability;
use crate::diagnostics::log;
use crate::error::{PostHogError, RequestErrorKind};
use crate::http::breaker::Permit;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

impl Actor {
    /// A request has ended.
    pub(super) fn on_response(&mut self, flight: Flight, ended: Ended) {
        let Flight {
            mut batch,
            sent,
            endpoint,
            permit,
            ..
        } = flight;
        let result = ended.unwrap_or_else(|error| {
            let attempts = batch.delivery.attempts;
            Err(endpoint.failed(&self.http, error.kind(), Some(Box::new(error)), attempts))
        });
        if let Err(PostHogError::RequestError(error)) = &result {
            batch.delivery.panicked |= error.kind == RequestErrorKind::Panicked;
        }
        let outcome = self.protocol.outcome(&self.http, sent, result);
        self.apply_outcome(batch, outcome, Some(permit));
    }

    /// `permit` learns what the outcome says of PostHog's health.
    pub(super) fn apply_outcome(
        &mut self,
        mut batch: Batch,
        outcome: Outcome,
        permit: Option<Permit>,
    ) {
        let Outcome {
            accepted,
            refused,
            rest,
            foreign,
        } = outcome;
        self.warn_foreign(foreign);
        if accepted > 0 || !matches!(rest, Rest::Retry { .. }) {
            // PostHog is up: what fails does so for reasons of its own.
            self.turns.failures = 0;
        }
        match rest {
            Rest::Nothing => {
                succeed(permit);
                self.settle_some(&batch, accepted, &refused, batch.json.len());
                self.disk.remove(&batch);
            }
            Rest::Separate(events) => {
                succeed(permit);
                let mut left = batch.pick(&events);
                left.delivery.start_over(None);
                if let Some(left) = self.settle_part(&batch, accepted, &refused, left) {
                    self.send_first(left);
                }
            }
            Rest::OtherProtocol => {
                succeed(permit);
                batch.delivery.switch_protocol();
                self.send_first(vec![batch]);
            }
            Rest::TooLarge(error) => {
                succeed(permit);
                self.too_large(batch, &error);
            }
            Rest::Refused(error) => {
                succeed(permit);
                self.note_failure(&error);
                self.warn_rejected(&error);
                self.drop_batch(&batch, reason_of(&error), Some(&error));
            }
            Rest::Retry {
                events,
                error,
                retry_after,
            } => {
                self.note_failure(&error);
                let left = match events {
                    Which::All => Some(vec![batch]),
                    Which::Some(events) => {
                        let left = batch.pick(&events);
                        self.settle_part(&batch, accepted, &refused, left)
                    }
                };
                let Some(left) = left else {
                    return fail(permit);
                };
                self.retry(left, error, retry_after, permit);
            }
        }
    }

    /// Another attempt may succeed: waits for it, unless the attempts are exhausted.
    fn retry(
        &mut self,
        batches: Vec<Batch>,
        mut error: PostHogError,
        retry_after: Option<Duration>,
        permit: Option<Permit>,
    ) {
        let policy = &self.http.retry;
        let attempts = batches.iter().map(|b| b.delivery.attempts).max();
        let attempts = attempts.unwrap_or_default();
        let next = after_failure(policy, attempts, retry_after);
        error.set_end(attempts, retry_after);
        match next {
            Next::RetryIn(wait) => {
                match is_timeout(&error) {
                    true => fail(permit),
                    false => retried(permit),
                }
                log!(target: "tracing_posthog::http", debug, %error, attempt = attempts, ?wait, "will retry");
                if attempts == 1 {
                    self.turns.failures = self.turns.failures.saturating_add(1);
                }
                let next_at = Instant::now() + wait;
                for mut batch in batches {
                    batch.delivery.next_at = Some(next_at);
                    self.backlog.retries.retry(batch);
                }
            }
            Next::Exhausted => {
                fail(permit);
                for batch in batches {
                    self.exhausted(batch, &error);
                }
            }
        }
    }

    /// The attempts are exhausted: leaves the batch on disk, else keeps it while there is room, else drops it.
    fn exhausted(&mut self, batch: Batch, error: &PostHogError) {
        let Some(mut batch) = self.spill_exhausted(batch, error) else {
            return;
        };
        if self.account.queue.is_crowded() && self.flushes.shutdown().is_none() {
            if self.warnings.dropping.begin() {
                log!(
                    warn,
                    %error,
                    events = batch.len(),
                    "events cannot be delivered and the queue is full; batches are being dropped",
                );
            }
            let reason = match self.disk.is_full() {
                true => DropReason::SpoolFull,
                false => DropReason::Exhausted,
            };
            return self.drop_batch(&batch, reason, Some(error));
        }
        if self.warnings.keeping.begin() {
            log!(warn, %error, "events cannot be delivered; they are kept and tried again");
        }
        self.counters.batches_kept.fetch_add(1, Relaxed);
        self.account.report(
            batch.len() as u64,
            Disposition::Kept,
            Cause {
                error: Some(error),
                detail: None,
            },
        );
        batch.delivery.start_over(Some(Instant::now()));
        self.backlog.retries.keep(batch);
        let retry_after = self.retry_after(error);
        self.backlog.backoff.lengthen(retry_after);
    }

    /// Spools the batch; returns it if the disk refuses it.
    fn spill_exhausted(&mut self, batch: Batch, error: &PostHogError) -> Option<Batch> {
        let (events, residence, file) = (batch.len() as u64, batch.residence, batch.file);
        if let Some(refused) = self.disk.spill(batch, Durability::Synced) {
            return Some(refused);
        }
        self.disk
            .defer(file.filter(|_| residence != Residence::Memory));
        self.gave_up(self.retry_after(error));
        if self.warnings.spooling.begin() {
            log!(warn, %error, "events cannot be delivered; they are on disk, and tried again later");
        }
        // What came from disk is where it was.
        if residence == Residence::Memory {
            let cause = Cause {
                error: Some(error),
                detail: None,
            };
            self.account.report(events, Disposition::Spooled, cause);
        }
        None
    }

    /// How long to leave PostHog alone after that error.
    fn retry_after(&self, error: &PostHogError) -> Duration {
        let asked = error.retry_after().unwrap_or_default();
        asked.min(self.http.retry.max_delay)
    }

    /// A batch failed in all its attempts and is on disk.
    fn gave_up(&mut self, retry_after: Duration) {
        if let Some(shutdown) = self.flushes.shutdown_mut() {
            shutdown.failed = true;
        }
        self.backlog.backoff.lengthen(retry_after);
    }

    fn too_large(&mut self, batch: Batch, error: &PostHogError) {
        match batch.split() {
            Some(halves) => {
                log!(debug, events = batch.len(), "413: sending in halves");
                if batch.residence == Residence::Memory {
                    // The comma between them is gone.
                    self.account.queue.shrink(1);
                }
                if let Some(parts) = self.replace(&batch, halves.into()) {
                    self.send_first(parts);
                }
            }
            None => {
                if self.warnings.too_large.begin() {
                    log!(
                        warn,
                        bytes = batch.json.len(),
                        "PostHog says that an event is too large; it is dropped",
                    );
                }
                self.note_failure(error);
                self.drop_batch(&batch, DropReason::TooLarge, Some(error));
            }
        }
    }

    /// Settles a batch but for these events. `None`: all of it stays on disk and goes again, for PostHog recognises
    /// its events by their uuid.
    fn settle_part(
        &mut self,
        whole: &Batch,
        accepted: usize,
        refused: &[Refused],
        left: Batch,
    ) -> Option<Vec<Batch>> {
        let bytes = whole.json.len() - left.json.len();
        let left = self.replace(whole, vec![left])?;
        self.settle_some(whole, accepted, refused, bytes);
        Some(left)
    }

    /// Puts parts in the place of a batch. `None`: the disk takes none now, so the batch stays there as it was.
    fn replace(&mut self, whole: &Batch, parts: Vec<Batch>) -> Option<Vec<Batch>> {
        match self.disk.replace(whole, parts) {
            Replaced::Parts(parts) => Some(parts),
            Replaced::WholeStays(file) => {
                self.disk.defer(Some(file));
                self.gave_up(Duration::ZERO);
                None
            }
        }
    }

    /// Batches that are to be sent at once: from memory, or from disk where they came from there.
    fn send_first(&mut self, batches: Vec<Batch>) {
        let in_memory = batches
            .into_iter()
            .filter_map(|batch| self.disk.release(batch))
            .collect();
        self.backlog.push_first(in_memory);
    }

    /// Counts events that PostHog accepted, and those it refused one by one; `bytes` of memory go with them.
    fn settle_some(&mut self, batch: &Batch, accepted: usize, refused: &[Refused], bytes: usize) {
        let mut bytes = Some(bytes);
        let mut lot = |events| Lot {
            residence: batch.residence,
            events,
            bytes: bytes.take().unwrap_or_default(),
        };
        if accepted > 0 {
            self.account.delivered(lot(accepted));
            self.flushes
                .delivered(batch.seq, batch.residence, accepted as u64);
            self.delivered();
        }
        for refused in refused {
            if self.warnings.refused(&refused.detail) {
                log!(
                    warn,
                    events = refused.events,
                    reason = refused.detail,
                    "PostHog refuses events; they are dropped",
                );
            }
            let cause = Cause {
                error: None,
                detail: Some(&refused.detail),
            };
            self.account
                .dropped(lot(refused.events), refused.reason, cause);
        }
    }

    /// PostHog accepts events.
    fn delivered(&mut self) {
        self.status.clear();
        if self.warnings.delivered() {
            log!(debug, "PostHog accepts events again");
        }
        // However often some of it failed: where PostHog fails at random, what waits would fill the queue.
        self.backlog.backoff.reset();
    }

    fn drop_batch(&mut self, batch: &Batch, reason: DropReason, error: Option<&PostHogError>) {
        let lot = Lot {
            residence: batch.residence,
            events: batch.len(),
            bytes: batch.json.len(),
        };
        let cause = Cause {
            error,
            detail: None,
        };
        self.account.dropped(lot, reason, cause);
        self.disk.remove(batch);
    }

    fn note_failure(&mut self, error: &PostHogError) {
        self.status.failed(error);
    }

    fn warn_rejected(&mut self, error: &PostHogError) {
        if self.warnings.rejected(error.status()) {
            log!(warn, %error, "PostHog refuses events; they are dropped");
        }
    }

    fn warn_foreign(&mut self, answered: Option<String>) {
        if let Some(answered) = answered
            && self.warnings.foreign.begin()
        {
            log!(
                warn,
                answered,
                "the capture host accepts events, but not with PostHog's answer; they count as delivered, check the \
                 host",
            );
        }
    }
}

fn is_timeout(error: &PostHogError) -> bool {
    matches!(error, PostHogError::RequestError(e) if e.kind == RequestErrorKind::Timeout)
}

/// A response that is final still shows a PostHog that is alive.
fn succeed(permit: Option<Permit>) {
    if let Some(permit) = permit {
        permit.success();
    }
}

fn fail(permit: Option<Permit>) {
    if let Some(permit) = permit {
        permit.failure();
    }
}

fn retried(permit: Option<Permit>) {
    if let Some(permit) = permit {
        permit.retried();
    }
}
