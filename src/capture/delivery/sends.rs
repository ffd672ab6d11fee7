//! How the actor sends a batch, encodes the next one, and moves those to disk that cannot be sent.

use super::account::Cause;
use super::actor::Actor;
use super::batch::Batch;
use super::in_flight::Flight;
use super::protocol::Prepared;
use super::scheduler::Lane;
use crate::capture::hooks::Disposition;
use crate::capture::spool::Durability;
use crate::http::Visibility;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::time::Instant;

impl Actor {
    pub(super) fn send_next(&mut self, lane: Lane) {
        let now = Instant::now();
        self.turns.last = Some(lane);
        let batch = match lane {
            Lane::Fresh => {
                self.turns.fresh_sent_at = Some(now);
                self.next_fresh()
            }
            Lane::Retry => {
                self.turns.last_older = lane;
                self.backlog.pop_retry(now)
            }
            Lane::Spool => {
                self.turns.last_older = lane;
                self.next_spooled()
            }
        };
        if let Some(batch) = batch {
            self.send(batch);
        }
    }

    fn next_fresh(&mut self) -> Option<Batch> {
        if !self.backlog.has_ready() {
            self.encode_next();
        }
        self.backlog.pop_ready()
    }

    fn next_spooled(&mut self) -> Option<Batch> {
        let batch = self.disk.next();
        if batch.is_none() && self.disk.has_waiting() {
            // They cannot be read now.
            self.backlog.backoff.lengthen(Duration::ZERO);
        }
        batch
    }

    fn send(&mut self, mut batch: Batch) {
        let permit = match self.breaker().admit() {
            Ok(permit) => permit,
            // The last try before the end.
            Err(_) if self.flushes.shutdown().is_some() => self.breaker().admit_always(),
            // Somebody else's probe was quicker.
            Err(_) => return self.backlog.push_first(vec![batch]),
        };
        if !std::mem::replace(&mut batch.delivery.counted, true) {
            self.counters.batches.fetch_add(1, Relaxed);
        }
        let prepared = self.protocol.prepare(&mut batch, self.clock.now());
        let Prepared { request, sent } = match prepared {
            Ok(prepared) => prepared,
            Err(outcome) => return self.apply_outcome(batch, *outcome, None),
        };
        batch.delivery.attempts += 1;
        batch.delivery.next_at = None;
        let visibility = match batch.delivery.panicked {
            false => self.visibility,
            true => Visibility::Untraced,
        };
        let endpoint = request.endpoint.clone();
        let task = self
            .http
            .send_once(request, batch.delivery.attempts, visibility);
        self.in_flight.push(Flight {
            batch,
            sent,
            endpoint,
            permit,
            task,
        });
    }

    /// Encodes the oldest segment that is ready.
    pub(super) fn encode_next(&mut self) -> Option<()> {
        let queue = &self.account.queue;
        let encoded = self.pipeline.next(queue, self.interval.flush_up_to())?;
        let left_behind = queue.front_seq().is_some();
        for reason in encoded.dropped {
            self.account
                .report(1, Disposition::Dropped(reason), Cause::default());
        }
        for mut batch in encoded.batches {
            self.disk.write_ahead(&mut batch);
            self.backlog.push_ready(batch);
        }
        match (self.disk.writes_ahead(), left_behind) {
            // What is left behind, or waits for the disk, is not put off.
            (true, _) => self.interval.begin(),
            (false, false) => self.interval.begin_again(),
            (false, true) => {}
        }
        Some(())
    }

    /// Moves one batch to disk that cannot be sent.
    pub(super) fn spill_next(&mut self) {
        if !self.backlog.has_ready() {
            self.encode_next();
        }
        let batch = match self.backlog.pop_ready() {
            Some(batch) => batch,
            None => match self.backlog.retries.take_retrying() {
                Some(batch) => batch,
                None => return,
            },
        };
        if let Some(mut batch) = self.disk.spill(batch, Durability::Synced) {
            batch.delivery.start_over(None);
            match self.disk.is_usable() {
                // Too large for the spool, which takes others.
                true => self.backlog.retries.keep(batch),
                false => self.backlog.push_first(vec![batch]),
            }
        }
    }

    /// Whether events that are due are written to disk although all slots are busy.
    pub(super) fn writes_when_busy(&self) -> bool {
        self.disk.writes_ahead()
            && self.disk.is_usable()
            && self.in_flight.len() >= self.max_in_flight
    }

    /// Writes events that are due to disk where all slots are busy. They stay in memory too while there is room.
    pub(super) fn write_what_is_due(&mut self) {
        let queue = self.account.queue.clone();
        let up_to = self.interval.flush_up_to();
        while self.writes_when_busy() && queue.front_seq().is_some_and(|seq| seq < up_to) {
            if self.encode_next().is_none() {
                break;
            }
        }
        while self.writes_when_busy() && queue.is_half_full() {
            let Some(batch) = self.backlog.pop_last_ready() else {
                return;
            };
            if let Some(batch) = self.disk.spill(batch, Durability::Written) {
                match self.writes_when_busy() {
                    true => self.backlog.retries.keep(batch),
                    false => return self.backlog.push_ready(batch),
                }
            }
        }
    }
}
