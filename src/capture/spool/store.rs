//! The directories of one actor: its own, and those it took over; their files, by age.
//!
//! `<directory>/<project>/<owner>/<files>`, with a lock file `<owner>.lock` beside each owner's directory.
//! It is locked before the directory is made, and for as long as the owner lives: a directory whose lock
//! can be had belongs to nobody any more. Where somebody tidied the lock away, its owner makes it again; where
//! nobody does, the directory is taken over too.

mod books;
mod damage;
mod disk;
mod owners;
#[cfg(test)]
mod tests;

pub(crate) use books::FileId;
pub(crate) use disk::Durability;

use super::file::{self, Name};
use super::{Spool, SpoolMode, SpoolPolicy};
use crate::capture::delivery::batch::Batch;
use crate::capture::ledger::Counters;
use crate::capture::ledger::DropReason;
use crate::capture::ledger::Residence;
use books::{Entry, Use};
use damage::MAX_FILE;
use disk::write_file;
use owners::Owner;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use tracing::warn;

/// How often others are looked for, and how long a disk that failed is left alone.
const EVERY: Duration = Duration::from_secs(30);
/// What a file takes at least.
const BLOCK: u64 = 4 << 10;
/// After so many files that cannot be read, the others are taken for no better.
const UNREADABLE: u32 = 4;

/// Events that left the disk undelivered.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) residence: Residence,
    pub(crate) events: u64,
    pub(crate) reason: DropReason,
}

#[derive(Debug)]
pub(crate) struct Store {
    spool: Spool,
    project: PathBuf,
    counters: Arc<Counters>,
    owners: BTreeMap<u32, Owner>,
    next_owner: u32,
    own: Option<u32>,
    files: BTreeMap<FileId, Entry>,
    waiting: usize,
    bytes: u64,
    seq: u64,
    last_created: u64,
    /// The file that failed last: those after it go first.
    put_off: Option<FileId>,
    /// Set while the disk is left alone.
    retry_at: Option<Instant>,
    full: bool,
    next_look: Option<Instant>,
    lost: Vec<Lost>,
    said_failing: bool,
    said_too_large: bool,
    said_unreadable: bool,
    said_damaged: bool,
}

impl Store {
    /// `identity` tells projects apart; only its hash is written anywhere.
    pub(crate) fn new(spool: Spool, identity: &str, counters: Arc<Counters>) -> Self {
        // Where the process works may change.
        let spool = match std::path::absolute(&spool.directory) {
            Ok(directory) => Spool { directory, ..spool },
            Err(_) => spool,
        };
        let project = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, identity.as_bytes());
        Self {
            project: spool.directory.join(project.to_string()),
            spool,
            counters,
            owners: BTreeMap::new(),
            next_owner: 0,
            own: None,
            files: BTreeMap::new(),
            waiting: 0,
            bytes: 0,
            seq: 0,
            last_created: 0,
            put_off: None,
            retry_at: None,
            full: false,
            next_look: None,
            lost: Vec::new(),
            said_failing: false,
            said_too_large: false,
            said_unreadable: false,
            said_damaged: false,
        }
    }

    pub(crate) fn writes_ahead(&self) -> bool {
        self.spool.mode == SpoolMode::WriteAhead
    }

    /// Whether a batch may be written, as far as is known.
    pub(crate) fn is_usable(&self) -> bool {
        !self.full && self.retry_at.is_none_or(|at| at <= Instant::now())
    }

    /// Whether there was no room for the last batch.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Makes the own directory, so that an unusable disk is known at the start, and takes over what ended
    /// processes left. Returns how many events.
    pub(crate) fn open(&mut self) -> u64 {
        if let Err(error) = self.own() {
            self.failed(&error);
        }
        self.adopt_orphans(Duration::ZERO)
    }

    /// Takes over what has been left since, and drops what is too old; at most so often. Returns how many
    /// events were taken over.
    pub(crate) fn adopt_orphans(&mut self, at_most_every: Duration) -> u64 {
        let now = Instant::now();
        let since = at_most_every.min(EVERY);
        if self
            .next_look
            .is_some_and(|next| now + (EVERY - since) < next)
        {
            return 0;
        }
        self.next_look = Some(now + EVERY);
        self.look_after_all();
        // A missing directory is no news: nothing is there.
        let found = self.adopt_all().unwrap_or_default();
        self.expire();
        self.make_room(0);
        self.trim_damaged();
        self.publish();
        found
    }

    /// Writes a batch that is in memory.
    pub(crate) fn write(&mut self, batch: &Batch, durability: Durability) -> io::Result<FileId> {
        let lines = self.lines(batch)?;
        if !self.make_room(on_disk(&lines)) {
            self.full = true;
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let id = self.put(batch, &lines, Some(batch.seq), self.now(), durability)?;
        self.last_created = id.created;
        self.counters
            .spool
            .persisted
            .fetch_add(batch.len() as u64, Relaxed);
        Ok(id)
    }

    /// Writes a part of what a file holds, as old as that.
    pub(crate) fn rewrite(&mut self, batch: &Batch, of: FileId) -> io::Result<FileId> {
        let first = match self.files.get(&of) {
            Some(entry) => entry.first,
            None => Some(batch.seq),
        };
        self.check_rested()?;
        // What it stands for goes at once: it makes no room, and is to survive what that would have.
        let durability = match self.spool.mode {
            SpoolMode::OnFailure => Durability::Synced,
            SpoolMode::WriteAhead => Durability::Written,
        };
        self.put(batch, &file::write(batch), first, of.created, durability)
    }

    /// The batch is no longer in memory: its file waits for its turn.
    pub(crate) fn release(&mut self, id: FileId) {
        if let Some(entry) = self.files.get_mut(&id)
            && !matches!(entry.state, Use::Waiting | Use::Elsewhere)
        {
            if !self.owners.contains_key(&id.owner) {
                entry.state = Use::Elsewhere;
                return;
            }
            entry.state = Use::Waiting;
            self.waiting += 1;
            // It may go for what comes.
            self.full &= self.spool.when_full == SpoolPolicy::DropNewest;
        }
    }

    /// Removes the file of a settled batch.
    pub(crate) fn remove(&mut self, id: FileId) {
        if let Some(path) = self.path(id)
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            // It would be sent again by the next process; PostHog knows its events by their uuid.
            self.failed(&error);
        }
        self.forget(id);
        self.publish();
    }

    /// The oldest file that waits and can be read; after one that failed, the next oldest.
    pub(crate) fn next(&mut self) -> Option<Batch> {
        self.expire();
        let mut unreadable = 0;
        for _ in 0..self.waiting {
            let id = self.next_waiting()?;
            match self.read(id) {
                Ok(Some(batch)) => {
                    self.said_unreadable = false;
                    return Some(batch);
                }
                Ok(None) => {}
                Err(error) => {
                    // It waits on. Others may be better off, or it is the same with all.
                    self.cannot_read(&error);
                    self.defer(id);
                    unreadable += 1;
                    if unreadable == UNREADABLE {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// That file failed: before its next turn all others have theirs.
    pub(crate) fn defer(&mut self, id: FileId) {
        self.put_off = Some(id);
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether events before `until` of this actor's queue wait on disk.
    pub(crate) fn waiting_before(&self, until: u64) -> bool {
        let before = |e: &Entry| e.state == Use::Waiting && e.first.is_some_and(|n| n < until);
        self.waiting > 0 && self.files.values().any(before)
    }

    /// How many events before `until` of this actor's queue are on disk only.
    pub(crate) fn events_before(&self, until: u64) -> u64 {
        let before = |e: &&Entry| e.state != Use::InMemory && e.first.is_some_and(|n| n < until);
        self.files.values().filter(before).map(|e| e.events).sum()
    }

    /// What was lost since the last time.
    pub(crate) fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    fn now(&self) -> u64 {
        // A clock that steps back does not change the order.
        clock().max(self.last_created)
    }

    fn path(&self, id: FileId) -> Option<PathBuf> {
        let name = Name {
            created: id.created,
            seq: id.seq,
            events: self.files.get(&id)?.events,
        };
        Some(self.owners.get(&id.owner)?.path.join(name.to_string()))
    }

    /// Fails while the disk is left alone.
    fn check_rested(&self) -> io::Result<()> {
        match self.retry_at {
            Some(at) if at > Instant::now() => Err(io::ErrorKind::Other.into()),
            _ => Ok(()),
        }
    }

    /// What a batch is on disk, where there can be a file of it now.
    fn lines(&mut self, batch: &Batch) -> io::Result<Vec<u8>> {
        self.check_rested()?;
        let lines = file::write(batch);
        if on_disk(&lines) > MAX_FILE.min(self.spool.max_bytes) {
            self.too_large(lines.len());
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(lines)
    }

    fn put(
        &mut self,
        batch: &Batch,
        lines: &[u8],
        first: Option<u64>,
        created: u64,
        durability: Durability,
    ) -> io::Result<FileId> {
        let seq = self.seq;
        let name = Name {
            created,
            seq,
            events: batch.len() as u64,
        };
        let written = self.own().and_then(|(owner, path)| {
            write_file(&path, &name.to_string(), lines, durability)?;
            Ok(owner)
        });
        let owner = match written {
            Ok(owner) => owner,
            Err(error) => {
                self.failed(&error);
                return Err(error);
            }
        };
        self.seq += 1;
        (self.retry_at, self.said_failing) = (None, false);
        let id = FileId {
            created,
            owner,
            seq,
        };
        let entry = Entry {
            events: name.events,
            bytes: on_disk(lines),
            first,
            state: Use::InMemory,
        };
        self.insert(id, entry);
        self.publish();
        Ok(id)
    }

    /// Leaves the disk alone for a while.
    fn failed(&mut self, error: &io::Error) {
        self.counters.spool.write_failures.fetch_add(1, Relaxed);
        self.retry_at = Some(Instant::now() + EVERY);
        if !std::mem::replace(&mut self.said_failing, true) {
            warn!(
                target: "tracing_posthog::capture",
                %error,
                directory = %self.spool.directory.display(),
                "the spool directory cannot be used; events stay in memory, and it is tried again later",
            );
        }
    }

    /// Nothing is wrong with the disk: others go there.
    fn too_large(&mut self, bytes: usize) {
        if !std::mem::replace(&mut self.said_too_large, true) {
            warn!(
                target: "tracing_posthog::capture",
                bytes,
                max_bytes = self.spool.max_bytes,
                "a batch is larger than the spool takes (its `max_bytes`, and 64 MiB a batch); it stays in \
                 memory; raise `max_bytes`, or lower `batch_bytes`",
            );
        }
    }

    fn cannot_read(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.said_unreadable, true) {
            warn!(
                target: "tracing_posthog::capture",
                %error,
                directory = %self.spool.directory.display(),
                "a file of the spool cannot be read now; it is tried again later",
            );
        }
    }

    fn publish(&self) {
        let counters = &self.counters.spool;
        let files: usize = self.owners.values().map(|owner| owner.files).sum();
        counters.files.store(files as u64, Relaxed);
        counters.bytes.store(self.bytes, Relaxed);
    }
}

/// Bytes that a file takes.
fn on_disk(lines: &[u8]) -> u64 {
    (lines.len() as u64).next_multiple_of(BLOCK)
}

fn clock() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Drop for Store {
    fn drop(&mut self) {
        let empty: Vec<u32> = self
            .owners
            .iter()
            .filter_map(|(id, owner)| (owner.files == 0).then_some(*id))
            .collect();
        for owner in empty {
            self.leave(owner);
        }
    }
}
