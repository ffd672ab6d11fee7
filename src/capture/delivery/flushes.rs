//! Flushes and the shutdown that somebody waits for.

use super::command::{FlushReport, Reply};
use crate::capture::ledger::Residence;
use crate::capture::queue::Watermark;
use crate::http::FOREVER;
use std::time::Duration;
use tokio::time::Instant;

/// A flush that somebody waits for.
#[derive(Debug)]
pub(super) struct Flush {
    /// The number of the first event that is not meant.
    pub(super) until: u64,
    pub(super) since: Instant,
    open: u64,
    delivered: u64,
    deadline: Instant,
    reply: Reply,
}

#[derive(Debug)]
pub(super) struct Shutdown {
    pub(super) deadline: Instant,
    /// How much of its time is for writing what is left then.
    pub(super) writing: Duration,
    /// Whether a batch failed in all its attempts and was left on disk.
    pub(super) failed: bool,
    open: u64,
    delivered: u64,
    pub(super) replies: Vec<Reply>,
}

/// The events of a flush that are left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) pending: u64,
    pub(super) spooled: u64,
}

#[derive(Debug, Default)]
pub(super) struct Flushes {
    open: Vec<Flush>,
    shutdown: Option<Shutdown>,
}

impl Flushes {
    /// A flush begins. `delivered` of its events were delivered while the command was on its way.
    pub(super) fn begin(
        &mut self,
        watermark: Watermark,
        delivered: u64,
        timeout: Duration,
        reply: Reply,
    ) {
        let since = Instant::now();
        self.open.push(Flush {
            until: watermark.until,
            since,
            open: watermark.open,
            delivered: delivered.min(watermark.open),
            deadline: since + timeout.min(FOREVER),
            reply,
        });
    }

    /// The shutdown begins, or is asked for again: the shortest time counts. `delivered` of its events were delivered
    /// while the command was on its way.
    pub(super) fn shut_down(
        &mut self,
        watermark: Watermark,
        delivered: u64,
        timeout: Duration,
        writing: Duration,
    ) -> &mut Shutdown {
        let deadline = Instant::now() + timeout.saturating_sub(writing).min(FOREVER);
        let shutdown = self.shutdown.get_or_insert_with(|| Shutdown {
            deadline,
            writing,
            failed: false,
            open: watermark.open,
            delivered: delivered.min(watermark.open),
            replies: Vec::new(),
        });
        shutdown.deadline = shutdown.deadline.min(deadline);
        shutdown.writing = shutdown.writing.min(writing);
        shutdown
    }

    pub(super) fn shutdown(&self) -> Option<&Shutdown> {
        self.shutdown.as_ref()
    }

    pub(super) fn shutdown_mut(&mut self) -> Option<&mut Shutdown> {
        self.shutdown.as_mut()
    }

    /// PostHog accepted events of a batch.
    pub(super) fn delivered(&mut self, seq: u64, residence: Residence, events: u64) {
        for flush in self.open.iter_mut().filter(|f| seq < f.until) {
            flush.delivered += events;
        }
        if let Some(shutdown) = &mut self.shutdown
            && residence != Residence::Recovered
        {
            shutdown.delivered += events;
        }
    }

    /// Whether nobody waits for a flush.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The earliest time at which a flush ends.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.open.iter().map(|flush| flush.deadline).min()
    }

    /// Answers flushes that are out of time or that nothing more happens to, and forgets those that nobody waits for.
    pub(super) fn answer(&mut self, is_busy: impl Fn(&Flush) -> bool, left: impl Fn(u64) -> Left) {
        let now = Instant::now();
        let mut i = 0;
        while let Some(flush) = self.open.get(i) {
            if flush.reply.is_gone() {
                self.open.swap_remove(i);
            } else if now < flush.deadline && is_busy(flush) {
                i += 1;
            } else {
                let left = left(flush.until);
                let flush = self.open.swap_remove(i);
                flush.answer(left);
            }
        }
    }

    /// The actor has ended: answers everybody. Only what is on disk is left.
    pub(super) fn finish(&mut self, spooled: impl Fn(u64) -> u64, before_the_last: impl FnOnce()) {
        for flush in std::mem::take(&mut self.open) {
            let left = Left {
                pending: 0,
                spooled: spooled(flush.until),
            };
            flush.answer(left);
        }
        if let Some(shutdown) = self.shutdown.take() {
            let spooled = spooled(u64::MAX);
            before_the_last();
            let report = FlushReport::of(shutdown.open, shutdown.delivered, 0, spooled);
            for reply in shutdown.replies {
                reply.send(report);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

impl Flush {
    fn answer(self, left: Left) {
        let report = FlushReport::of(self.open, self.delivered, left.pending, left.spooled);
        self.reply.send(report);
    }
}
