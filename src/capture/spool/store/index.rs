//! The index of all files by age, and the rules that drop them: a full spool and their age.

use super::{Lost, Store, clock};
use crate::capture::ledger::DropReason;
use crate::capture::ledger::Residence;
use crate::capture::spool::SpoolPolicy;
use std::fs;
use std::ops::Bound;

/// Identifies a file. Sorts by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(super) created: u64,
    pub(super) lease: u32,
    pub(super) seq: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) events: u64,
    /// Its size as counted against `max_bytes`.
    pub(super) bytes: u64,
    /// The number of its first event in this actor's queue; `None` for adopted files.
    pub(super) first: Option<u64>,
    pub(super) state: FileState,
}

impl Entry {
    pub(super) fn residence(&self) -> Residence {
        match self.first {
            Some(_) => Residence::Disk,
            None => Residence::Recovered,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileState {
    /// Its batch is in memory too, and the ledger counts it there.
    InMemory,
    Waiting,
    Sending,
    /// Another process owns its directory now, and delivers it.
    TakenOver,
}

impl Store {
    pub(super) fn insert(&mut self, id: FileId, entry: Entry) {
        self.bytes += entry.bytes;
        self.waiting += usize::from(entry.state == FileState::Waiting);
        if let Some(lease) = self.leases.get_mut(&id.lease) {
            lease.files += 1;
        }
        self.files.insert(id, entry);
    }

    /// Removes a file from the index; gives an adopted directory back with its last file.
    pub(super) fn forget(&mut self, id: FileId) -> Option<Entry> {
        let entry = self.files.remove(&id)?;
        self.bytes -= entry.bytes;
        self.waiting -= usize::from(entry.state == FileState::Waiting);
        self.full = false;
        self.deferred = self.deferred.filter(|failed| *failed != id);
        if let Some(lease) = self.leases.get_mut(&id.lease) {
            lease.files -= 1;
            if lease.files == 0 && self.own != Some(id.lease) {
                self.give_back(id.lease);
            }
        }
        Some(entry)
    }

    /// Deletes a file, and reports its events as lost.
    pub(super) fn discard(&mut self, id: FileId, reason: DropReason) {
        if let Some(path) = self.path(id) {
            let _ = fs::remove_file(path);
        }
        if let Some(entry) = self.forget(id) {
            self.lost.push(Lost {
                residence: entry.residence(),
                events: entry.events,
                reason,
            });
        }
    }

    pub(super) fn oldest_waiting(&self) -> Option<FileId> {
        self.waiting_from(Bound::Unbounded)
    }

    /// The next file after the deferred one; starts again from the oldest after the last.
    pub(super) fn next_waiting(&self) -> Option<FileId> {
        let after = (self.deferred).and_then(|id| self.waiting_from(Bound::Excluded(id)));
        after.or_else(|| self.oldest_waiting())
    }

    fn waiting_from(&self, start: Bound<FileId>) -> Option<FileId> {
        let waits = |(_, entry): &(&FileId, &Entry)| entry.state == FileState::Waiting;
        let mut files = self.files.range((start, Bound::Unbounded));
        files.find(waits).map(|(id, _)| *id)
    }

    pub(super) fn make_room(&mut self, bytes: u64) -> bool {
        let max = self.spool.max_bytes;
        if bytes > 0 && self.bytes + bytes > max {
            let others = self
                .files
                .values()
                .filter(|e| e.state != FileState::Waiting);
            // Drop nothing if even dropping everything would not make enough room.
            if others.map(|e| e.bytes).sum::<u64>() + bytes > max {
                return false;
            }
        }
        while self.bytes + bytes > max {
            let oldest = match self.spool.when_full {
                SpoolPolicy::DropOldest => self.oldest_waiting(),
                SpoolPolicy::DropNewest => None,
            };
            let Some(oldest) = oldest else { return false };
            self.discard(oldest, DropReason::SpoolFull);
        }
        true
    }

    pub(super) fn expire(&mut self) {
        let age = u64::try_from(self.spool.max_age.as_millis()).unwrap_or(u64::MAX);
        // Uses the system's clock, not `now()`: a file dated in the future must not expire others.
        let last = clock().saturating_sub(age);
        while let Some(oldest) = self.oldest_waiting().filter(|id| id.created < last) {
            self.discard(oldest, DropReason::Expired);
        }
    }
}
