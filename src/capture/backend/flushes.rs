//! Flushes and the shutdown: what they wait for, and what they report.

use super::EventCaptureBackend;
use crate::capture::batch::Batch;
use crate::capture::handle::{Control, FlushReport, Reply};
use crate::capture::hooks::{CaptureError, Fate};
use crate::capture::queue::Home;
use crate::capture::quiet::Quiet;
use crate::capture::stats::DropReason;
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// A flush that waits.
pub(super) struct Flush {
    pub(super) until: u64,
    open: u64,
    pub(super) delivered: u64,
    since: Instant,
    pub(super) deadline: Instant,
    reply: Reply,
}

pub(super) struct Shutdown {
    pub(super) deadline: Instant,
    /// How much of its time is for writing what is left then.
    pub(super) writing: Duration,
    open: u64,
    pub(super) delivered: u64,
    /// Whether a batch failed in all its attempts, and was left to the disk.
    pub(super) failed: bool,
    replies: Vec<Reply>,
}

impl EventCaptureBackend {
    pub(super) fn obey(&mut self, order: Option<Control>) {
        match order {
            Some(Control::Flush {
                line,
                timeout,
                reply,
            }) => {
                let since = Instant::now();
                // What was delivered while the order was on its way counts too.
                let meanwhile = self.parts.queue.counts().delivered_here - line.delivered;
                self.flushes.push(Flush {
                    until: line.until,
                    open: line.open,
                    delivered: meanwhile.min(line.open),
                    since,
                    deadline: later(since, timeout),
                    reply,
                });
                self.due = self.due.max(line.until);
                self.pause.until = None;
                self.look_around(Duration::from_secs(1));
            }
            Some(Control::Shutdown { timeout, reply }) => {
                self.begin_shutdown(timeout, Some(reply));
            }
            None => {
                self.alone = true;
                self.begin_shutdown(self.parts.shutdown_timeout, None);
            }
        }
    }

    fn begin_shutdown(&mut self, timeout: Duration, reply: Option<Reply>) {
        self.parts.queue.close();
        let line = self.parts.queue.seal();
        let now = Instant::now();
        // Some of the time is for writing what is left.
        let writing = match self.parts.disk {
            Some(_) => (timeout / 4).min(Duration::from_millis(500)),
            None => Duration::ZERO,
        };
        let deadline = later(now, timeout - writing);
        let shutdown = self.shutdown.get_or_insert_with(|| Shutdown {
            deadline,
            writing,
            open: line.open,
            delivered: 0,
            failed: false,
            replies: Vec::new(),
        });
        shutdown.deadline = shutdown.deadline.min(deadline);
        shutdown.writing = shutdown.writing.min(writing);
        shutdown.replies.extend(reply);
        self.due = line.until;
        // What is kept goes once more at once, and from there as patiently as if it were the first time.
        self.pause = super::Pause::default();
        self.hurry.send_replace(true);
    }

    /// Answers the flushes whose events are settled, kept for later, or out of time. Those that nobody waits
    /// for any more are forgotten.
    pub(super) fn answer_flushes(&mut self) {
        let now = Instant::now();
        let mut i = 0;
        while let Some(flush) = self.flushes.get(i) {
            if flush.reply.is_gone() {
                self.flushes.swap_remove(i);
                continue;
            }
            if now < flush.deadline && self.is_busy(flush) {
                i += 1;
                continue;
            }
            let (pending, spooled) = (self.pending(flush.until), self.spooled(flush.until));
            let flush = self.flushes.swap_remove(i);
            let left = flush.delivered + pending + spooled;
            flush.reply.send(FlushReport {
                delivered: flush.delivered,
                dropped: flush.open.saturating_sub(left),
                pending,
                spooled,
            });
        }
    }

    /// Whether something can still become of the events of a flush, without a pause.
    fn is_busy(&self, flush: &Flush) -> bool {
        let mut sent = self.flying.iter().map(|f| f.batch.seq);
        let mut untried = self
            .kept
            .iter()
            .filter(|b| b.exhausted.is_none_or(|at| at < flush.since));
        let front = self.parts.queue.front_seq();
        let on_disk = || {
            self.may_send()
                && self.failed_at.is_none_or(|at| at < flush.since)
                && (self.parts.disk.as_ref()).is_some_and(|d| d.waiting_before(flush.until))
        };
        sent.any(|seq| seq < flush.until)
            || self.fresh.iter().any(|b| b.seq < flush.until)
            || front.is_some_and(|seq| seq < flush.until)
            // In a pause one of them failed since, and the others wait for it: longer than who asked wants to.
            || (self.pause.is_over() && (untried.any(|b| b.seq < flush.until) || on_disk()))
    }

    /// How many events before `until` are in memory, and not settled.
    fn pending(&self, until: u64) -> u64 {
        let flying = self.flying.iter().map(|f| &*f.batch);
        let batches = self.kept.iter().chain(&self.fresh).chain(flying);
        let here = batches.filter(|b| b.seq < until && b.home == Home::Memory);
        let here: usize = here.map(Batch::len).sum();
        here as u64 + self.parts.queue.queued_before(until)
    }

    /// How many events before `until` are on disk only.
    fn spooled(&self, until: u64) -> u64 {
        (self.parts.disk.as_ref()).map_or(0, |disk| disk.events_before(until))
    }

    /// Whether a shutdown leaves the rest to the disk, as PostHog does not take it.
    pub(super) fn has_given_up(&self) -> bool {
        self.shutdown.as_ref().is_some_and(|s| s.failed)
            && self.parts.disk.as_ref().is_some_and(|d| d.is_usable())
    }

    pub(super) fn is_done(&self) -> bool {
        let Some(shutdown) = &self.shutdown else {
            return false;
        };
        let on_disk = self.parts.disk.as_ref().is_some_and(|d| d.has_waiting());
        let in_memory = !self.fresh.is_empty()
            || !self.kept.is_empty()
            || self.parts.queue.front_seq().is_some();
        // What PostHog refused a moment ago stays on disk.
        let more = in_memory || (on_disk && !shutdown.failed);
        let idle = self.in_flight.is_empty() && (self.has_given_up() || !more);
        idle || Instant::now() >= shutdown.deadline
    }

    /// The shutdown is over: leaves on disk what is left, or drops it, and says so.
    pub(super) fn end(&mut self) {
        self.leave();
        let left = self.parts.queue.abandon();
        self.say_losses();
        #[cfg(feature = "metrics")]
        self.publish(super::Idle::Long);
        if left > 0 {
            warn!(
                target: "tracing_posthog::capture",
                events = left,
                error = self.parts.client.inner.http.trouble(),
                "shut down before everything was delivered; the rest is dropped",
            );
            self.parts.hooks.on_error(&CaptureError {
                events: left,
                fate: Fate::Dropped(DropReason::Shutdown),
                error: None,
                detail: None,
            });
        }
        let report = |open: u64, delivered: u64, spooled: u64| FlushReport {
            delivered,
            dropped: open.saturating_sub(delivered + spooled),
            pending: 0,
            spooled,
        };
        for flush in std::mem::take(&mut self.flushes) {
            let spooled = self.spooled(flush.until);
            flush
                .reply
                .send(report(flush.open, flush.delivered, spooled));
        }
        if let Some(shutdown) = self.shutdown.take() {
            let report = report(shutdown.open, shutdown.delivered, self.spooled(u64::MAX));
            // Before anybody hears of the end: what is left is for others.
            self.parts.disk = None;
            for reply in shutdown.replies {
                reply.send(report);
            }
        }
    }
}

impl Drop for EventCaptureBackend {
    fn drop(&mut self) {
        // Only where its runtime went away before the shutdown: what was there is left on disk, else lost,
        // and counted.
        let _quiet = Quiet::enter();
        if !std::thread::panicking() {
            self.leave();
        }
        self.parts.queue.abandon();
        #[cfg(feature = "metrics")]
        self.publish(super::Idle::Long);
    }
}

/// `Instant + Duration` that does not panic where a timeout is meant to be endless.
pub(super) fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by)
        .unwrap_or_else(|| from + Duration::from_secs(60 * 60 * 24 * 365))
}
