//! The spool as the actor uses it. Without one nothing here does anything.

use super::account::{Account, Cause, Lot};
use super::batch::Batch;
use crate::capture::hooks::Disposition;
use crate::capture::ledger::Residence;
use crate::capture::spool::{Durability, FileId, Store};
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Disk {
    store: Option<Store>,
    account: Account,
    /// When a batch last failed and was left on disk.
    failed_at: Option<Instant>,
}

/// What became of a batch that is replaced by parts of it.
pub(super) enum Replaced {
    /// The parts go on.
    Parts(Vec<Batch>),
    /// The disk takes no parts now: the whole stays there, and goes again later.
    WholeStays(FileId),
}

impl Disk {
    pub(super) fn new(store: Option<Store>, account: Account) -> Self {
        Self {
            store,
            account,
            failed_at: None,
        }
    }

    pub(super) fn exists(&self) -> bool {
        self.store.is_some()
    }

    /// Opens the spool and takes over what ended processes left. Returns how many events that are.
    pub(super) fn open(&mut self) -> u64 {
        let found = self.store.as_mut().map_or(0, Store::open);
        self.account.queue.recover(found);
        self.count_losses();
        found
    }

    /// Adopts spools of dead processes, rate-limited.
    pub(super) fn adopt_orphans(&mut self, at_most_every: Duration) {
        let Some(store) = &mut self.store else {
            return;
        };
        let found = store.adopt_orphans(at_most_every);
        if found > 0 {
            self.account.queue.recover(found);
        }
        self.count_losses();
    }

    pub(super) fn is_usable(&self) -> bool {
        self.store.as_ref().is_some_and(Store::is_usable)
    }

    pub(super) fn is_full(&self) -> bool {
        self.store.as_ref().is_some_and(Store::is_full)
    }

    pub(super) fn writes_ahead(&self) -> bool {
        self.store.as_ref().is_some_and(Store::writes_ahead)
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.store.as_ref().is_some_and(Store::has_waiting)
    }

    /// Whether events before `until` wait on disk that did not fail since a time.
    pub(super) fn waits_untried(&self, until: u64, since: Instant) -> bool {
        self.failed_at.is_none_or(|at| at < since)
            && self.store.as_ref().is_some_and(|s| s.waiting_before(until))
    }

    /// How many events before `until` are on disk only.
    pub(super) fn events_before(&self, until: u64) -> u64 {
        self.store.as_ref().map_or(0, |s| s.events_before(until))
    }

    /// Writes a batch before its first attempt, where that is asked for.
    pub(super) fn write_ahead(&mut self, batch: &mut Batch) {
        if let Some(store) = &mut self.store
            && store.writes_ahead()
        {
            // A disk that fails says so itself.
            batch.file = store.write(batch, Durability::Written).ok();
            self.count_losses();
        }
    }

    /// Moves a batch from memory to disk; returns it if the disk refuses it.
    #[must_use = "a batch that the disk refuses stays in memory"]
    pub(super) fn spill(&mut self, batch: Batch, durability: Durability) -> Option<Batch> {
        let Some(store) = &mut self.store else {
            return Some(batch);
        };
        let file = match batch.file {
            Some(file) => Ok(file),
            None => store.write(&batch, durability),
        };
        if let Ok(file) = file {
            store.release(file);
            if batch.residence == Residence::Memory {
                self.account.queue.spill(batch.len(), batch.json.len());
            }
        }
        self.count_losses();
        file.is_err().then_some(batch)
    }

    /// The next batch to be read. `None` where none waits, or none can be read now.
    pub(super) fn next(&mut self) -> Option<Batch> {
        let mut batch = self.store.as_mut()?.next();
        self.count_losses();
        if let Some(batch) = &mut batch
            && batch.file.is_none()
        {
            // What could be read of a damaged file found no room on disk.
            let (events, bytes) = (batch.len(), batch.json.len());
            let seq = self.account.queue.unspill(batch.residence, events, bytes);
            if batch.residence == Residence::Recovered {
                batch.seq = seq;
            }
            batch.residence = Residence::Memory;
        }
        batch
    }

    /// A batch failed in all its attempts and is on disk: `file` was there before, and goes after all others.
    pub(super) fn defer(&mut self, file: Option<FileId>) {
        if let (Some(store), Some(file)) = (&mut self.store, file) {
            store.defer(file);
        }
        self.failed_at = Some(Instant::now());
    }

    /// The batch goes on from its file, or from memory, at once. Returns it where it is in memory.
    pub(super) fn release(&mut self, batch: Batch) -> Option<Batch> {
        match (&mut self.store, batch.file) {
            (Some(store), Some(file)) if batch.residence != Residence::Memory => {
                store.release(file);
                None
            }
            _ => Some(batch),
        }
    }

    /// Removes the file of a batch that is settled.
    pub(super) fn remove(&mut self, batch: &Batch) {
        if let (Some(store), Some(file)) = (&mut self.store, batch.file) {
            store.remove(file);
        }
    }

    /// Writes files for parts of a batch in place of its own.
    pub(super) fn replace(&mut self, whole: &Batch, mut parts: Vec<Batch>) -> Replaced {
        let (Some(store), Some(of)) = (&mut self.store, whole.file) else {
            return Replaced::Parts(parts);
        };
        for part in &mut parts {
            part.file = store.rewrite(part, of).ok();
        }
        if whole.residence != Residence::Memory && parts.iter().any(|part| part.file.is_none()) {
            for written in parts.iter().filter_map(|part| part.file) {
                store.remove(written);
            }
            store.release(of);
            return Replaced::WholeStays(of);
        }
        store.remove(of);
        self.count_losses();
        Replaced::Parts(parts)
    }

    /// Leaves the directory to others.
    pub(super) fn close(&mut self) {
        self.store = None;
    }

    /// Counts what the disk lost to room, age and damage.
    fn count_losses(&mut self) {
        let Some(store) = &mut self.store else {
            return;
        };
        for lost in store.take_lost() {
            let lot = Lot {
                residence: lost.residence,
                events: lost.events as usize,
                bytes: 0,
            };
            self.account.dropped(lot, lost.reason, Cause::default());
        }
    }

    /// Tells the hooks that events are left on disk.
    pub(super) fn report_left(&self, events: u64) {
        self.account
            .report(events, Disposition::Spooled, Cause::default());
    }
}
