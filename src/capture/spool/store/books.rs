//! Which files there are, by age, and which of them go for what reason.

use super::{Lost, Store, clock};
use crate::capture::ledger::DropReason;
use crate::capture::ledger::Residence;
use crate::capture::spool::SpoolPolicy;
use std::fs;
use std::ops::Bound;

/// A file, ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileId {
    pub(super) created: u64,
    pub(super) owner: u32,
    pub(super) seq: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) events: u64,
    /// As it counts against the limit.
    pub(super) bytes: u64,
    /// The number of its first event in this actor's queue; `None` where it was taken over.
    pub(super) first: Option<u64>,
    pub(super) state: Use,
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
pub(super) enum Use {
    /// Its batch is in memory too, and counted there.
    InMemory,
    Waiting,
    Sending,
    /// Somebody else took its directory over.
    Elsewhere,
}

impl Store {
    pub(super) fn insert(&mut self, id: FileId, entry: Entry) {
        self.bytes += entry.bytes;
        self.waiting += usize::from(entry.state == Use::Waiting);
        if let Some(owner) = self.owners.get_mut(&id.owner) {
            owner.files += 1;
        }
        self.files.insert(id, entry);
    }

    /// Takes a file out of the books; a directory that was taken over goes with its last one.
    pub(super) fn forget(&mut self, id: FileId) -> Option<Entry> {
        let entry = self.files.remove(&id)?;
        self.bytes -= entry.bytes;
        self.waiting -= usize::from(entry.state == Use::Waiting);
        self.full = false;
        self.put_off = self.put_off.filter(|failed| *failed != id);
        if let Some(owner) = self.owners.get_mut(&id.owner) {
            owner.files -= 1;
            if owner.files == 0 && self.own != Some(id.owner) {
                self.leave(id.owner);
            }
        }
        Some(entry)
    }

    /// Loses a whole file.
    pub(super) fn lose(&mut self, id: FileId, reason: DropReason) {
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

    /// The one after what failed last, round again from the oldest.
    pub(super) fn next_waiting(&self) -> Option<FileId> {
        let after = (self.put_off).and_then(|id| self.waiting_from(Bound::Excluded(id)));
        after.or_else(|| self.oldest_waiting())
    }

    fn waiting_from(&self, start: Bound<FileId>) -> Option<FileId> {
        let waits = |(_, entry): &(&FileId, &Entry)| entry.state == Use::Waiting;
        let mut files = self.files.range((start, Bound::Unbounded));
        files.find(waits).map(|(id, _)| *id)
    }

    pub(super) fn make_room(&mut self, bytes: u64) -> bool {
        let max = self.spool.max_bytes;
        if bytes > 0 && self.bytes + bytes > max {
            let others = self.files.values().filter(|e| e.state != Use::Waiting);
            // What would not be enough is not lost for it.
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
            self.lose(oldest, DropReason::SpoolFull);
        }
        true
    }

    pub(super) fn expire(&mut self) {
        let age = u64::try_from(self.spool.max_age.as_millis()).unwrap_or(u64::MAX);
        // By the clock as it is: a file from the future makes no other old.
        let last = clock().saturating_sub(age);
        while let Some(oldest) = self.oldest_waiting().filter(|id| id.created < last) {
            self.lose(oldest, DropReason::Expired);
        }
    }
}
