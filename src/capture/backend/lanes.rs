//! Whose turn it is: fresh events and batches that failed before take turns.

use super::EventCaptureBackend;
use crate::capture::batch::{self, Batch};
use crate::capture::hooks::{CaptureError, Fate};
use crate::capture::queue::Home;
use tokio::time::Instant;

/// Who goes next where both wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Turn {
    #[default]
    Fresh,
    Old,
}

impl EventCaptureBackend {
    /// The next batch that may go. In a shutdown memory goes first: the disk can wait.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        if self.turn == Turn::Old
            && self.shutdown.is_none()
            && let Some(batch) = self.next_old()
        {
            self.turn = Turn::Fresh;
            return Some(batch);
        }
        if let Some(batch) = self.next_fresh() {
            self.turn = Turn::Old;
            return Some(batch);
        }
        self.turn = Turn::Fresh;
        self.next_old()
    }

    fn next_fresh(&mut self) -> Option<Batch> {
        // Hooks may drop all of a chunk, and callers may fill the next one meanwhile.
        for _ in 0..self.parts.max_in_flight {
            if !self.fresh.is_empty() {
                break;
            }
            self.encode_next_chunk()?;
        }
        self.fresh.pop_front()
    }

    /// What failed before and has waited long enough: from memory and from disk by turns.
    fn next_old(&mut self) -> Option<Batch> {
        if !self.pause.is_over() {
            return None;
        }
        match std::mem::take(&mut self.disk_is_next) && self.shutdown.is_none() {
            true => self.next_spooled().or_else(|| self.next_kept()),
            false => self.next_kept().or_else(|| self.next_spooled()),
        }
    }

    fn next_kept(&mut self) -> Option<Batch> {
        let batch = self.kept.pop_front();
        self.disk_is_next = batch.is_some();
        batch
    }

    /// One at a time.
    fn next_spooled(&mut self) -> Option<Batch> {
        if self.replays() {
            return None;
        }
        let disk = self.parts.disk.as_mut()?;
        let mut batch = disk.next();
        if batch.is_none() && disk.has_waiting() {
            // They cannot be read now.
            self.pause.lengthen();
        }
        self.settle_losses();
        if let Some(batch) = &mut batch
            && batch.file.is_none()
        {
            // What could be read of a damaged file found no place on disk.
            let (events, bytes) = (batch.len(), batch.json.len());
            let seq = self.parts.queue.unspool(batch.home, events, bytes);
            if batch.home == Home::Recovered {
                batch.seq = seq;
            }
            batch.home = Home::Memory;
        }
        batch
    }

    /// Whether a batch from disk is under way.
    fn replays(&self) -> bool {
        self.flying.iter().any(|f| f.batch.home != Home::Memory)
    }

    /// Whether something that failed before could go once its pause is over.
    pub(super) fn old_waits(&self) -> bool {
        let on_disk = self.parts.disk.as_ref().is_some_and(|d| d.has_waiting());
        !self.kept.is_empty() || (on_disk && !self.replays())
    }

    pub(super) fn encode_next_chunk(&mut self) -> Option<()> {
        let chunk = self.parts.queue.take(self.due)?;
        let left_behind = self.parts.queue.front_seq().is_some();
        if self.writes_ahead() {
            // What is left behind waits from now on, however long this takes.
            self.tick
                .get_or_insert_with(|| Instant::now() + self.parts.interval);
        }
        let parts = &mut self.parts;
        let mut dropped = Vec::new();
        let batches = batch::encode(&mut parts.encoder, &chunk, parts.batch_bytes, |reason| {
            dropped.push(reason);
        });
        let bytes = batches.iter().map(|b| b.json.len()).sum();
        parts.queue.encoded(chunk, bytes);
        for reason in dropped {
            parts.queue.settle(1, 0, Err(reason));
            parts.hooks.on_error(&CaptureError {
                events: 1,
                fate: Fate::Dropped(reason),
                error: None,
                detail: None,
            });
        }
        for mut batch in batches {
            self.write_ahead(&mut batch);
            self.fresh.push_back(batch);
        }
        // Ahead of its time. What is left behind is not put off, nor what waits for the disk.
        if self.tick.is_some() && !left_behind && !self.writes_ahead() {
            self.tick = Some(Instant::now() + self.parts.interval);
        }
        Some(())
    }

    /// Tells the ledger how many of the taken events wait.
    pub(super) fn count_waiting(&mut self) {
        let events = self.kept.iter().chain(&self.fresh).map(Batch::len).sum();
        if events != self.counted {
            self.counted = events;
            self.parts.queue.set_kept(events);
        }
    }
}
