//! The spool of one actor: its own directory and those it adopted, with their files by age.
//!
//! Layout: `<directory>/<project>/<owner>/<files>`. Each owner holds a lease on its directory while it lives: if
//! the lease is free, the owner is dead, and others may adopt the directory.

mod atomic_write;
mod condition;
mod index;
mod lease;
mod quarantine;
#[cfg(test)]
mod tests;
mod warnings;

pub(crate) use atomic_write::Durability;
pub(crate) use index::FileId;

use super::file::{self, Name};
use super::{Spool, SpoolMode, SpoolPolicy};
use crate::capture::delivery::batch::Batch;
use crate::capture::ledger::Counters;
use crate::capture::ledger::DropReason;
use crate::capture::ledger::Residence;
use atomic_write::write_file;
use condition::Step;
use index::{Entry, FileState};
use lease::Lease;
use quarantine::MAX_FILE;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;
use warnings::Warnings;

/// How often to look for orphans, and how long to leave a failing disk alone.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// File sizes are counted in blocks, as file systems allocate them.
const BLOCK: u64 = 4 << 10;
/// Stop after this many unreadable files in a row: the others are probably no better.
const MAX_UNREADABLE: u32 = 4;

/// Without the feature nobody can make a store, and the compiler leaves out what would be done with one.
#[cfg(not(feature = "spool"))]
type Feature = std::convert::Infallible;
#[cfg(feature = "spool")]
type Feature = ();

/// Events that were on disk and will not be delivered.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) residence: Residence,
    pub(crate) events: u64,
    pub(crate) reason: DropReason,
}

#[derive(Debug)]
pub(crate) struct Store {
    _feature: Feature,
    spool: Spool,
    project: PathBuf,
    counters: Arc<Counters>,
    leases: BTreeMap<u32, Lease>,
    next_lease: u32,
    own: Option<u32>,
    files: BTreeMap<FileId, Entry>,
    waiting: usize,
    bytes: u64,
    seq: u64,
    last_created: u64,
    /// The file that failed last: later files go before it.
    deferred: Option<FileId>,
    /// The disk is left alone until then.
    retry_at: Option<Instant>,
    full: bool,
    next_scan: Option<Instant>,
    lost: Vec<Lost>,
    /// What failed last, until it succeeds.
    failure: Option<(Step, io::Error)>,
    warnings: Warnings,
}

impl Store {
    /// `identity` names the project and host. Only its hash is written to disk.
    #[cfg(feature = "spool")]
    pub(crate) fn new(spool: Spool, identity: &str, counters: Arc<Counters>) -> Self {
        // The process may change its working directory later.
        let spool = match std::path::absolute(&spool.directory) {
            Ok(directory) => Spool { directory, ..spool },
            Err(_) => spool,
        };
        let project = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, identity.as_bytes());
        Self {
            _feature: (),
            project: spool.directory.join(project.to_string()),
            spool,
            counters,
            leases: BTreeMap::new(),
            next_lease: 0,
            own: None,
            files: BTreeMap::new(),
            waiting: 0,
            bytes: 0,
            seq: 0,
            last_created: 0,
            deferred: None,
            retry_at: None,
            full: false,
            next_scan: None,
            lost: Vec::new(),
            failure: None,
            warnings: Warnings::default(),
        }
    }

    pub(crate) fn writes_ahead(&self) -> bool {
        self.spool.mode == SpoolMode::WriteAhead
    }

    /// Creates the own directory, so that an unusable disk shows at the start, and adopts what dead processes
    /// left. Returns the number of adopted events.
    pub(crate) fn open(&mut self) -> u64 {
        self.try_directory();
        self.adopt_orphans(Duration::ZERO)
    }

    /// Adopts spools of dead processes and drops expired files, rate-limited. Returns the number of adopted
    /// events.
    pub(crate) fn adopt_orphans(&mut self, at_most_every: Duration) -> u64 {
        let now = Instant::now();
        let since = at_most_every.min(RETRY_AFTER);
        if self
            .next_scan
            .is_some_and(|next| now + (RETRY_AFTER - since) < next)
        {
            return 0;
        }
        // Nothing may need to be written until all depends on it.
        if matches!(self.failure, Some((Step::Directory, _))) && self.check_backoff().is_ok() {
            self.try_directory();
        }
        self.renew_all();
        // An error means there is no directory to scan.
        let found = self.scan_for_orphans().unwrap_or_default();
        self.next_scan = Some(now + RETRY_AFTER);
        self.expire();
        self.make_room(0);
        self.trim_quarantine();
        self.publish();
        found
    }

    /// Writes a batch; it stays in memory too until [`release`](Self::release).
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

    /// Writes a part of the file `of`, with the same age. It is where that is: in memory too, or on disk only and being
    /// sent.
    pub(crate) fn rewrite(&mut self, batch: &Batch, of: FileId) -> io::Result<FileId> {
        let (first, state) = match self.files.get(&of) {
            Some(entry) => (entry.first, entry.state),
            None => (Some(batch.seq), FileState::InMemory),
        };
        self.check_backoff()?;
        // The caller removes `of` next: no room is needed, and the part must be as durable.
        let durability = match self.spool.mode {
            SpoolMode::OnFailure => Durability::Synced,
            SpoolMode::WriteAhead => Durability::Written,
        };
        let id = self.put(batch, &file::write(batch), first, of.created, durability)?;
        if let Some(entry) = self.files.get_mut(&id) {
            entry.state = state;
        }
        Ok(id)
    }

    /// The batch has left memory: its file waits for its turn.
    pub(crate) fn release(&mut self, id: FileId) {
        if let Some(entry) = self.files.get_mut(&id)
            && !matches!(entry.state, FileState::Waiting | FileState::TakenOver)
        {
            if !self.leases.contains_key(&id.lease) {
                entry.state = FileState::TakenOver;
                return;
            }
            entry.state = FileState::Waiting;
            self.waiting += 1;
            // The file may now be dropped for new ones.
            self.full &= self.spool.when_full == SpoolPolicy::DropNewest;
        }
    }

    /// Deletes the file of a batch that needs no more attempts.
    pub(crate) fn remove(&mut self, id: FileId) {
        if let Some(path) = self.path(id)
            && let Err(error) = fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            // The next process would send it again; PostHog deduplicates by uuid.
            self.failed(Step::File, error);
        }
        self.forget(id);
        self.publish();
    }

    /// Reads the oldest waiting file; after a deferred one, the next oldest.
    pub(crate) fn next(&mut self) -> Option<Batch> {
        self.expire();
        let mut unreadable = 0;
        for _ in 0..self.waiting {
            let id = self.next_waiting()?;
            match self.read(id) {
                Ok(Some(batch)) => return Some(batch),
                Ok(None) => {}
                Err(error) => {
                    // The file keeps waiting, and others get a turn.
                    self.warnings.unreadable(&error, &self.spool.directory);
                    self.defer(id);
                    unreadable += 1;
                    if unreadable == MAX_UNREADABLE {
                        return None;
                    }
                }
            }
        }
        None
    }

    /// The batch of that file failed: all others have their turn before it.
    pub(crate) fn defer(&mut self, id: FileId) {
        self.deferred = Some(id);
    }

    pub(crate) fn has_waiting(&self) -> bool {
        self.waiting > 0
    }

    /// Whether events of this actor's queue with numbers below `until` wait on disk.
    pub(crate) fn waiting_before(&self, until: u64) -> bool {
        let before =
            |e: &Entry| e.state == FileState::Waiting && e.first.is_some_and(|n| n < until);
        self.waiting > 0 && self.files.values().any(before)
    }

    /// How many events of this actor's queue with numbers below `until` are on disk only.
    pub(crate) fn events_before(&self, until: u64) -> u64 {
        let before =
            |e: &&Entry| e.state != FileState::InMemory && e.first.is_some_and(|n| n < until);
        self.files.values().filter(before).map(|e| e.events).sum()
    }

    /// Takes the losses since the last call.
    pub(crate) fn take_lost(&mut self) -> Vec<Lost> {
        std::mem::take(&mut self.lost)
    }

    fn now(&self) -> u64 {
        // A clock that steps back must not change the order.
        clock().max(self.last_created)
    }

    fn path(&self, id: FileId) -> Option<PathBuf> {
        let name = Name {
            created: id.created,
            seq: id.seq,
            events: self.files.get(&id)?.events,
        };
        Some(self.leases.get(&id.lease)?.path.join(name.to_string()))
    }

    /// Formats a batch as a file, if one can be written now.
    fn lines(&mut self, batch: &Batch) -> io::Result<Vec<u8>> {
        self.check_backoff()?;
        let lines = file::write(batch);
        if on_disk(&lines) > MAX_FILE.min(self.spool.max_bytes) {
            self.warnings.too_large(lines.len(), &self.spool);
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
        let (lease, path) = match self.own_directory() {
            Ok(own) => own,
            Err(error) => return Err(self.failed(Step::Directory, error)),
        };
        // Also after a failure, which may leave a temporary file of that name.
        self.seq += 1;
        match write_file(&path, &name.to_string(), lines, durability) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                self.warnings.too_large(lines.len(), &self.spool);
                return Err(error);
            }
            Err(error) => return Err(self.failed(Step::File, error)),
        }
        (self.retry_at, self.failure) = (None, None);
        let id = FileId {
            created,
            lease,
            seq,
        };
        let entry = Entry {
            events: name.events,
            bytes: on_disk(lines),
            first,
            state: FileState::InMemory,
        };
        self.insert(id, entry);
        self.publish();
        Ok(id)
    }

    fn publish(&self) {
        let counters = &self.counters.spool;
        let files: usize = self.leases.values().map(|lease| lease.files).sum();
        counters.files.store(files as u64, Relaxed);
        counters.bytes.store(self.bytes, Relaxed);
    }
}

/// The bytes that a file occupies.
fn on_disk(lines: &[u8]) -> u64 {
    (lines.len() as u64).next_multiple_of(BLOCK)
}

fn clock() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(feature = "spool")]
impl Drop for Store {
    fn drop(&mut self) {
        let empty: Vec<u32> = self
            .leases
            .iter()
            .filter_map(|(id, lease)| (lease.files == 0).then_some(*id))
            .collect();
        for lease in empty {
            self.give_back(lease);
        }
    }
}
