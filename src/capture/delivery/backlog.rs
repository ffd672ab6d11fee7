//! Batches in memory that wait for a request slot.

use super::batch::Batch;
use super::retry_queue::{Backoff, RetryQueue};
use crate::capture::ledger::Residence;
use std::collections::VecDeque;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Never sent, or parts that are to be sent at once.
    ready: VecDeque<Batch>,
    pub(super) retries: RetryQueue,
    pub(super) backoff: Backoff,
}

impl Backlog {
    pub(super) fn push_ready(&mut self, batch: Batch) {
        self.ready.push_back(batch);
    }

    /// These go first.
    pub(super) fn push_first(&mut self, batches: Vec<Batch>) {
        for batch in batches.into_iter().rev() {
            self.ready.push_front(batch);
        }
    }

    pub(super) fn pop_ready(&mut self) -> Option<Batch> {
        self.ready.pop_front()
    }

    /// The batch that can wait longest.
    pub(super) fn pop_last_ready(&mut self) -> Option<Batch> {
        self.ready.pop_back()
    }

    pub(super) fn pop_retry(&mut self, now: Instant) -> Option<Batch> {
        self.retries.pop(self.backoff.until(), now)
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.retries.is_empty()
    }

    pub(super) fn next_retry_at(&self, now: Instant) -> Option<Instant> {
        self.retries.next_at(self.backoff.until(), now)
    }

    /// Everything, in the order in which it is to be saved.
    pub(super) fn drain(&mut self) -> Vec<Batch> {
        let mut all: Vec<_> = std::iter::from_fn(|| self.retries.take_any()).collect();
        all.extend(self.ready.drain(..));
        all
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Batch> {
        self.ready.iter().chain(self.retries.iter())
    }

    /// Batches whose next attempt is only a matter of time.
    pub(super) fn iter_under_way(&self) -> impl Iterator<Item = &Batch> {
        self.ready.iter().chain(self.retries.iter_retrying())
    }

    /// How many events wait, wherever the ledger counts them.
    pub(super) fn events(&self) -> usize {
        self.iter()
            .filter(|b| b.residence == Residence::Memory)
            .map(Batch::len)
            .sum()
    }
}
