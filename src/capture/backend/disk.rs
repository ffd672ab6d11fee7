//! Between memory and disk. Without a spool nothing here does anything.

use super::EventCaptureBackend;
use super::flushes::later;
use crate::capture::batch::Batch;
use crate::capture::hooks::{CaptureError, Fate};
use crate::capture::queue::Home;
use crate::capture::spool::{Durability, FileId};
use crate::error::PostHogError;
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

/// How long writing what is left may take, beside what the network leaves of a shutdown's time. Callers wait
/// 500 ms for the answer.
const LEAVING: Duration = Duration::from_millis(300);

impl EventCaptureBackend {
    pub(super) fn open_disk(&mut self) {
        let Some(disk) = &mut self.parts.disk else {
            return;
        };
        let found = disk.open();
        self.parts.queue.recover(found);
        if found > 0 {
            // Processes that start together do not send what they found together.
            self.pause.lengthen();
        }
        self.settle_losses();
    }

    /// Takes over what others left, at most so often.
    pub(super) fn look_around(&mut self, at_most_every: Duration) {
        let Some(disk) = &mut self.parts.disk else {
            return;
        };
        let found = disk.adopt_orphans(at_most_every);
        if found > 0 {
            self.parts.queue.recover(found);
        }
        self.settle_losses();
    }

    fn disk_is_usable(&self) -> bool {
        self.parts.disk.as_ref().is_some_and(|d| d.is_usable())
    }

    /// Whether the disk takes what cannot be sent.
    pub(super) fn stows(&self) -> bool {
        !self.may_send() && self.disk_is_usable()
    }

    pub(super) fn writes_ahead(&self) -> bool {
        self.parts.disk.as_ref().is_some_and(|d| d.writes_ahead())
    }

    /// Whether what is due is to be written although it cannot be sent yet.
    pub(super) fn writes_when_due(&self) -> bool {
        self.writes_ahead()
            && self.disk_is_usable()
            && self.in_flight.len() >= self.parts.max_in_flight
    }

    /// Brings to disk what is due and cannot be sent: all of it while the circuit is open; in write-ahead
    /// also what waits for a free request, which stays in memory while there is room.
    pub(super) fn stow(&mut self) {
        for _ in 0..self.parts.max_in_flight {
            // No more at a time: callers may fill the queue faster, and answers are to have their turn.
            if !self.stows() {
                break;
            }
            if self.fresh.is_empty() && self.encode_next_chunk().is_none() {
                return;
            }
            let Some(batch) = self.fresh.pop_front() else {
                continue;
            };
            self.count_waiting();
            if let Err(batch) = self.move_to_disk(batch, Durability::Synced) {
                if self.stows() {
                    // Too large for the spool, which takes others.
                    self.kept.push_back(batch);
                    continue;
                }
                self.fresh.push_front(batch);
                return;
            }
        }
        while self.writes_when_due() && self.parts.queue.front_seq().is_some_and(|n| n < self.due) {
            if self.encode_next_chunk().is_none() {
                break;
            }
        }
        while self.writes_when_due() && self.parts.queue.is_half_full() {
            let Some(batch) = self.fresh.pop_back() else {
                return;
            };
            self.count_waiting();
            if let Err(batch) = self.move_to_disk(batch, Durability::Written) {
                if self.writes_when_due() {
                    self.kept.push_back(batch);
                    continue;
                }
                self.fresh.push_back(batch);
                return;
            }
        }
    }

    /// Writes a batch before its first attempt, where that is asked for. A disk that fails says so.
    pub(super) fn write_ahead(&mut self, batch: &mut Batch) {
        if let Some(disk) = &mut self.parts.disk
            && disk.writes_ahead()
        {
            batch.file = disk.write(batch, Durability::Written).ok();
            self.settle_losses();
        }
    }

    /// Moves a batch from memory to disk; gives it back where that fails.
    pub(super) fn move_to_disk(
        &mut self,
        batch: Batch,
        durability: Durability,
    ) -> Result<(), Batch> {
        let Some(disk) = &mut self.parts.disk else {
            return Err(batch);
        };
        let file = match batch.file {
            Some(file) => Ok(file),
            None => disk.write(&batch, durability),
        };
        if let Ok(file) = file {
            disk.release(file);
            if batch.home == Home::Memory {
                self.parts.queue.spool(batch.len(), batch.json.len());
            }
        }
        self.settle_losses();
        match file {
            Ok(_) => Ok(()),
            Err(_) => Err(batch),
        }
    }

    /// A batch failed in all its attempts: leaves it to the disk, or gives it back.
    pub(super) fn spool_exhausted(
        &mut self,
        batch: Batch,
        error: &PostHogError,
    ) -> Result<(), Batch> {
        let (events, was, file) = (batch.len() as u64, batch.home, batch.file);
        self.move_to_disk(batch, Durability::Synced)?;
        self.put_off(file.filter(|_| was != Home::Memory), error.retry_after());
        if self.trouble.spooling.is_news() {
            warn!(
                target: "tracing_posthog::capture",
                %error,
                "events cannot be delivered; they are on disk, and tried again later",
            );
        }
        // What came from there is where it was.
        if was == Home::Memory {
            self.parts.hooks.on_error(&CaptureError {
                events,
                fate: Fate::Spooled,
                error: Some(error),
                detail: None,
            });
        }
        Ok(())
    }

    /// What failed is left to the disk, and goes again after a pause: a file that was there, after the others.
    fn put_off(&mut self, file: Option<FileId>, at_least: Duration) {
        if let (Some(disk), Some(file)) = (&mut self.parts.disk, file) {
            disk.defer(file);
        }
        self.failed_at = Some(Instant::now());
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.failed = true;
        }
        self.pause.lengthen_to(at_least);
    }

    /// Removes the file of a batch that is settled.
    pub(super) fn remove_file(&mut self, batch: &Batch) {
        if let (Some(disk), Some(file)) = (&mut self.parts.disk, batch.file) {
            disk.remove(file);
        }
    }

    /// Writes files for the parts of a batch in the place of its own. `None`: the disk takes none now, so a batch that
    /// came from there stays there as it was, and goes again later.
    pub(super) fn replace_file<const N: usize>(
        &mut self,
        whole: &Batch,
        mut parts: [Batch; N],
    ) -> Option<Vec<Batch>> {
        let (Some(disk), Some(of)) = (&mut self.parts.disk, whole.file) else {
            return Some(parts.into());
        };
        for part in &mut parts {
            part.file = disk.rewrite(part, of).ok();
        }
        if whole.home != Home::Memory && parts.iter().any(|part| part.file.is_none()) {
            for written in parts.iter().filter_map(|part| part.file) {
                disk.remove(written);
            }
            disk.release(of);
            self.put_off(Some(of), Duration::ZERO);
            return None;
        }
        disk.remove(of);
        self.settle_losses();
        Some(parts.into())
    }

    /// Counts what the disk lost to room, age and damage.
    pub(super) fn settle_losses(&mut self) {
        let Some(disk) = &mut self.parts.disk else {
            return;
        };
        for lost in disk.take_lost() {
            let queue = &self.parts.queue;
            queue.settle_spooled(lost.home, lost.events, Err(lost.reason));
            self.parts.hooks.on_error(&CaptureError {
                events: lost.events,
                fate: Fate::Dropped(lost.reason),
                error: None,
                detail: None,
            });
        }
    }

    /// Until when what is left may be written: as long as the shutdown has time, and a little in any case.
    fn leaving_ends(&self) -> Instant {
        let now = Instant::now();
        match &self.shutdown {
            Some(shutdown) => later(shutdown.deadline.max(now), shutdown.writing + LEAVING),
            None => now + 3 * LEAVING,
        }
    }

    /// Leaves on disk all that is in memory, as far as time and disk allow.
    pub(super) fn leave(&mut self) {
        let mut rest = self.cancel_sends();
        if self.parts.disk.is_none() {
            return;
        }
        let until = self.leaving_ends();
        rest.extend(self.kept.drain(..));
        rest.extend(self.fresh.drain(..));
        self.count_waiting();
        self.due = u64::MAX;
        let mut left = 0;
        loop {
            for batch in rest.drain(..) {
                let events = batch.len() as u64;
                let was = batch.home;
                let in_time = Instant::now() < until;
                // What has a file costs no time.
                if (in_time || batch.file.is_some())
                    && self.move_to_disk(batch, Durability::Written).is_ok()
                    && was == Home::Memory
                {
                    left += events;
                }
            }
            if Instant::now() >= until || !self.disk_is_usable() {
                break;
            }
            if self.encode_next_chunk().is_none() {
                break;
            }
            rest.extend(self.fresh.drain(..));
        }
        if left > 0 {
            warn!(
                target: "tracing_posthog::capture",
                events = left,
                "shut down before everything was delivered; this is left on disk, for the next process",
            );
            self.parts.hooks.on_error(&CaptureError {
                events: left,
                fate: Fate::Spooled,
                error: None,
                detail: None,
            });
        }
    }
}
