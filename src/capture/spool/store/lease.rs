//! The lease on a directory: creating the own one, keeping it, adopting those of dead processes.
//!
//! A lease is two locks, which the system releases when the process dies, however it dies:
//!
//! - One on the directory itself, where directories can be locked (Unix). No tidying removes it while the
//!   directory exists; `systemd-tmpfiles` even skips locked directories.
//! - One on the file `lock` within it. It serves where directories cannot be locked (Windows, which deletes no
//!   open file), and between machines that share a network file system, where locks on directories hold on one
//!   machine only.
//!
//! Whoever has both owns the directory. So a directory without the file `lock` is nobody's only if it can be
//! locked too, and deleting the file takes nothing from a living owner.

use super::atomic_write::{is_unsupported, private_directories};
use super::index::{Entry, FileId, FileState};
use super::{BLOCK, Store};
use crate::capture::spool::file::Name;
use crate::capture::spool::platform;
use crate::event::uuid_v7::UuidV7;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use tracing::warn;
use uuid::Uuid;

#[cfg(test)]
mod tests;

/// The lock file within each directory.
const LOCK: &str = "lock";
/// The most directories to hold at a time, for each costs file descriptors. The others are adopted as these
/// become empty.
pub(super) const MAX_LEASES: usize = 32;

/// How often a new directory is created in a row, where other processes take each while it is half-made. They hold
/// an empty directory for some microseconds only.
const CREATE_ATTEMPTS: usize = 32;

/// Whether another process came between the creation and the locking of a directory.
fn is_race(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, NotFound, WouldBlock};
    matches!(error.kind(), AlreadyExists | NotFound | WouldBlock)
}

/// A locked file or directory.
#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    fn new(file: File, path: PathBuf) -> io::Result<Self> {
        file.try_lock()?;
        let lock = Self { file, path };
        // Somebody may have deleted or replaced it between opening and locking.
        match lock.is_in_place() {
            true => Ok(lock),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// `None` where directories cannot be locked: then nobody can, and the file alone decides.
    fn of_directory(path: &Path) -> io::Result<Option<Self>> {
        let Some(file) = platform::open_directory(path)? else {
            return Ok(None);
        };
        match Self::new(file, path.to_owned()) {
            Err(error) if is_unsupported(&error) => Ok(None),
            lock => lock.map(Some),
        }
    }

    fn of_file(path: PathBuf) -> io::Result<Self> {
        // Only regular files are ours, and opening others may wait, as with a FIFO.
        if fs::symlink_metadata(&path).is_ok_and(|metadata| !metadata.is_file()) {
            fs::remove_file(&path)?;
        }
        Self::new(platform::open_lock_file(&path)?, path)
    }

    fn is_in_place(&self) -> bool {
        platform::is_at(&self.file, &self.path)
    }
}

/// A directory that this process owns.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) path: PathBuf,
    pub(super) files: usize,
    directory: Option<Lock>,
    file: Lock,
}

impl Lease {
    /// Creates a directory. Somebody may adopt it before it is locked: then nothing is in it yet, and this
    /// fails with `WouldBlock` or `NotFound`.
    fn create(path: PathBuf) -> io::Result<Self> {
        platform::private_directory().create(&path)?;
        Self::acquire(path.clone()).inspect_err(|error| {
            // Locks may not work here at all: each retry would leave one more directory.
            if error.kind() != io::ErrorKind::WouldBlock {
                let _ = fs::remove_file(path.join(LOCK));
                let _ = fs::remove_dir(&path);
            }
        })
    }

    /// Locks an existing directory, and fails with `WouldBlock` if its owner lives.
    fn acquire(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            directory: Lock::of_directory(&path)?,
            file: Lock::of_file(path.join(LOCK))?,
            files: 0,
            path,
        })
    }

    /// Whether files written to its path are in the directory that is locked.
    fn is_current(&self) -> bool {
        self.directory.as_ref().unwrap_or(&self.file).is_in_place()
    }

    /// Restores what somebody deleted or replaced. Returns whether the directory is still this process's.
    fn renew(&mut self) -> bool {
        // A missing directory has nothing to share, and other errors may pass.
        let lost = |error: io::Error| error.kind() == io::ErrorKind::WouldBlock;
        !self.path.is_dir() || !self.try_renew().is_err_and(lost)
    }

    fn try_renew(&mut self) -> io::Result<()> {
        if self.directory.as_ref().is_some_and(|d| !d.is_in_place()) {
            self.directory = Lock::of_directory(&self.path)?;
        }
        if !self.file.is_in_place() {
            self.file = Lock::of_file(self.path.join(LOCK))?;
        }
        Ok(())
    }

    /// Ends the lease, and removes the directory if nothing else is in it.
    fn end(self) {
        let is_empty = fs::read_dir(&self.path)
            .is_ok_and(|mut all| all.all(|e| e.is_ok_and(|e| e.file_name() == LOCK)));
        if is_empty && self.is_current() {
            let _ = platform::delete_lock_file(&self.file.path, self.file.file);
            // Fails if somebody on another machine has just come to adopt it.
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Whether this is the directory of a process, dead or alive.
fn is_owned(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let id = name.to_str().and_then(|name| Uuid::try_parse(name).ok());
    id.is_some_and(|id| id.get_version_num() == 7)
        && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

impl Store {
    /// The own directory; created at the first need, and again if it is gone.
    pub(super) fn own_directory(&mut self) -> io::Result<(u32, PathBuf)> {
        if let Some(own) = self.own
            && let Some(lease) = self.leases.get(&own)
        {
            if lease.is_current() {
                return Ok((own, lease.path.clone()));
            }
            self.own = None;
            if lease.files == 0 {
                self.give_back(own);
            }
        }
        private_directories(&self.project)?;
        let mut ids = UuidV7::default();
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..CREATE_ATTEMPTS {
            let name = ids.at(self.now().cast_signed()).to_string();
            match Lease::create(self.project.join(name)) {
                Ok(lease) => {
                    let path = lease.path.clone();
                    let id = self.hold(lease);
                    self.own = Some(id);
                    return Ok((id, path));
                }
                Err(error) if is_race(&error) => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    fn hold(&mut self, lease: Lease) -> u32 {
        let id = self.next_lease;
        self.next_lease += 1;
        self.leases.insert(id, lease);
        id
    }

    /// Renews all leases, and leaves directories that another process took over to that one.
    pub(super) fn renew_all(&mut self) {
        let lost = |(id, lease): (&u32, &mut Lease)| (!lease.renew()).then_some(*id);
        let lost: Vec<u32> = self.leases.iter_mut().filter_map(lost).collect();
        for lease in lost {
            self.mark_taken_over(lease);
        }
    }

    /// The files of that directory are on disk, and another process delivers them.
    fn mark_taken_over(&mut self, lease: u32) {
        let Some(gone) = self.leases.remove(&lease) else {
            return;
        };
        self.own = self.own.filter(|own| *own != lease);
        for (_, entry) in self.files.iter_mut().filter(|(id, _)| id.lease == lease) {
            self.bytes -= std::mem::take(&mut entry.bytes);
            if entry.state == FileState::Waiting {
                entry.state = FileState::TakenOver;
                self.waiting -= 1;
            }
        }
        self.full = false;
        warn!(
            target: "tracing_posthog::capture",
            directory = %gone.path.display(),
            "a spool directory was replaced, and another process took it over; that one delivers what is in it",
        );
    }

    /// Adopts what dead processes left. Returns the number of events.
    pub(super) fn scan_for_orphans(&mut self) -> io::Result<u64> {
        let mut found = 0;
        for entry in fs::read_dir(&self.project)?.flatten() {
            if self.leases.len() >= MAX_LEASES {
                break;
            }
            let path = entry.path();
            if is_owned(&entry) && self.leases.values().all(|lease| lease.path != path) {
                found += self.adopt(path).unwrap_or_default();
            }
        }
        Ok(found)
    }

    fn adopt(&mut self, path: PathBuf) -> io::Result<u64> {
        let lease = Lease::acquire(path.clone())?;
        let id = self.hold(lease);
        let mut found = 0;
        for entry in fs::read_dir(&path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            if name.starts_with('.') && name.ends_with(".jsonl.tmp") {
                // The owner died during this write, and never counted it as written.
                let _ = fs::remove_file(entry.path());
            }
            let Some(name) = Name::parse(name) else {
                continue;
            };
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if !metadata.is_file() {
                continue;
            }
            let file = FileId {
                created: name.created,
                lease: id,
                seq: name.seq,
            };
            if self.files.contains_key(&file) {
                continue;
            }
            found += name.events;
            let entry = Entry {
                events: name.events,
                bytes: metadata.len().next_multiple_of(BLOCK),
                first: None,
                state: FileState::Waiting,
            };
            self.insert(file, entry);
        }
        if self.leases.get(&id).is_some_and(|lease| lease.files == 0) {
            self.give_back(id);
        }
        Ok(found)
    }

    /// Ends a lease. Orphans that were too many to adopt get their turn.
    pub(super) fn give_back(&mut self, lease: u32) {
        if self.leases.len() >= MAX_LEASES {
            self.next_scan = None;
        }
        if let Some(lease) = self.leases.remove(&lease) {
            lease.end();
        }
    }
}
