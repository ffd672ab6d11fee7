//! How the actor ends: by a shutdown, with its runtime, or almost, by a panic.

use super::account::Cause;
use super::actor::Actor;
use super::batch::Batch;
use crate::capture::diagnostics;
use crate::capture::hooks::Disposition;
use crate::capture::ledger::{DropReason, Residence};
use crate::capture::spool::Durability;
use crate::diagnostics::log;
use crate::suppress::SuppressGuard;
use std::time::Duration;
use tokio::time::Instant;

/// How long writing what is left may take at the end, beside what the network leaves of a shutdown's time. Callers
/// wait 500 ms longer than the shutdown's time for the answer.
const WRITING: Duration = Duration::from_millis(300);

const SHUT_DOWN: &str = "shut down before everything was delivered; the rest is dropped";

impl Actor {
    /// The shutdown is over: settles what is answered, leaves the rest on disk or drops it, and says so.
    pub(super) async fn finish(&mut self) {
        let (ended, mut rest) = self.in_flight.cancel().await;
        for (flight, result) in ended {
            self.on_response(flight, result);
        }
        rest.extend(self.backlog.drain());
        self.leave_on_disk(rest);
        self.drop_the_rest(SHUT_DOWN);
        self.ended = true;
        self.answer_everybody();
    }

    /// Drops what is in memory, and tells the log and the hooks of it.
    fn drop_the_rest(&mut self, why: &'static str) {
        let left = self.account.queue.abandon();
        self.warn_of_losses();
        #[cfg(feature = "metrics")]
        self.publish(None);
        if left > 0 {
            log!(
                warn,
                events = left,
                error = self.status.last_error(),
                "{why}"
            );
            let reason = Disposition::Dropped(DropReason::Shutdown);
            self.account.report(left, reason, Cause::default());
        }
    }

    /// Everybody who waits is told that this is the end.
    fn answer_everybody(&mut self) {
        let mut flushes = std::mem::take(&mut self.flushes);
        let disk = std::cell::RefCell::new(&mut self.disk);
        flushes.finish(
            |until| disk.borrow().events_before(until),
            // Before anybody hears of the end: what is left is for others.
            || disk.borrow_mut().close(),
        );
    }

    /// Leaves on disk all that is in memory, as far as time and disk allow.
    fn leave_on_disk(&mut self, mut rest: Vec<Batch>) {
        self.count_waiting();
        if !self.disk.exists() {
            return;
        }
        let now = Instant::now();
        // As long as the shutdown has time, and a little in any case.
        let until = match self.flushes.shutdown() {
            Some(shutdown) => shutdown.deadline.max(now) + shutdown.writing + WRITING,
            None => now + 3 * WRITING,
        };
        self.interval.flush(u64::MAX);
        let mut left = 0;
        loop {
            for batch in rest.drain(..) {
                let (events, residence) = (batch.len() as u64, batch.residence);
                // What has a file costs no time.
                if (Instant::now() < until || batch.file.is_some())
                    && self.disk.spill(batch, Durability::Written).is_none()
                    && residence == Residence::Memory
                {
                    left += events;
                }
            }
            if Instant::now() >= until || !self.disk.is_usable() || self.encode_next().is_none() {
                break;
            }
            rest.extend(self.backlog.drain());
        }
        if left > 0 {
            log!(
                warn,
                events = left,
                "shut down before everything was delivered; this is left on disk, for the next process",
            );
            self.disk.report_left(left);
        }
    }

    /// After a panic: drops what is no longer held, and counts it. Returns how many events that were.
    pub(super) fn reconcile(&mut self) -> u64 {
        let held = self.backlog.iter().chain(self.in_flight.batches());
        let held = held.filter(|b| b.residence == Residence::Memory);
        let (events, bytes) = held.fold((0, 0), |(events, bytes), batch| {
            (events + batch.len(), bytes + batch.json.len())
        });
        let queue = &self.account.queue;
        let lost = queue.reconcile(events, bytes, DropReason::ActorPanic);
        self.counted = usize::MAX;
        self.count_waiting();
        lost
    }

    /// Whether a shutdown should have ended by now.
    pub(super) fn is_overdue(&self) -> bool {
        let shutdown = self.flushes.shutdown();
        shutdown.is_some_and(|s| Instant::now() >= s.deadline + Duration::from_secs(1))
    }

    /// Its runtime went away before the shutdown, or its panics did not end: what was there is left on disk, else lost and
    /// counted.
    fn end_without_runtime(&mut self) {
        let mut rest = self.in_flight.take();
        rest.extend(self.backlog.drain());
        if !std::thread::panicking() {
            crate::panic::catch(|| self.leave_on_disk(rest));
        }
        if self.flushes.shutdown().is_some() {
            return self.drop_the_rest(SHUT_DOWN);
        }
        if !self.commands.is_closed() {
            // Somebody goes on capturing.
            log!(
                error,
                "no event is delivered any more: the runtime that `spawn_on` was given ended before a shutdown",
            );
        }
        self.drop_the_rest(
            "the runtime that `spawn_on` was given ended before everything was delivered; the rest is dropped",
        );
    }

    /// From here on layers see to a warning of events that come too late. What came before is said now.
    fn leave_late_events_to_others(&mut self) {
        self.commands.close();
        if self.account.queue.take_late() {
            diagnostics::late();
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        let _suppressed = SuppressGuard::enter();
        if !self.ended {
            self.end_without_runtime();
        }
        self.leave_late_events_to_others();
    }
}
