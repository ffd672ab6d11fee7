//! The lease on a directory: creating the own one, keeping it, adopting those of dead processes.

use super::atomic_write::{private_directory, private_file};
use super::index::{Entry, FileId, FileState};
use super::{BLOCK, Store};
use crate::capture::spool::file::Name;
use crate::capture::stamp::Ids;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tracing::warn;
use uuid::Uuid;

/// A directory without a lock in which nothing happened for so long was left behind. An owner that lives puts
/// its lock back earlier.
const ABANDONED: Duration = Duration::from_secs(5 * 60);

/// A directory whose lock this process holds.
#[derive(Debug)]
pub(super) struct Lease {
    pub(super) path: PathBuf,
    pub(super) files: usize,
    lock: PathBuf,
    locked: File,
}

impl Lease {
    /// Makes a directory of its own. Its lock is there and held before it is, so that nobody takes it over
    /// half-made.
    fn new(project: &Path, name: &str) -> io::Result<Self> {
        let path = project.join(name);
        let lock = lock_of(&path);
        let made = take_lock(&lock, private_file().create_new(true))
            .and_then(|locked| private_directory(&path).map(|()| locked));
        let locked = made.inspect_err(|error| {
            // Where it is kept from locking too: each trial would leave one more.
            if error.kind() != io::ErrorKind::AlreadyExists {
                let _ = fs::remove_file(&lock);
            }
        })?;
        Ok(Self {
            path,
            files: 0,
            lock,
            locked,
        })
    }

    fn is_held(&self) -> bool {
        is_at(&self.locked, &self.lock)
    }

    /// Shows that its owner lives, and puts the lock back where somebody tidied it away. Whether it is still
    /// its own: somebody else may have taken it over.
    fn renew(&mut self) -> bool {
        if !self.path.is_dir() {
            // With nothing in it there is nothing to share.
            return true;
        }
        if !self.is_held() {
            match take_lock(&self.lock, private_file().create_new(true)) {
                Ok(locked) => self.locked = locked,
                Err(error) => {
                    use io::ErrorKind::{AlreadyExists, WouldBlock};
                    // Where the disk takes none now, it may later.
                    return !matches!(error.kind(), AlreadyExists | WouldBlock);
                }
            }
        }
        let _ = File::open(&self.path).and_then(|path| path.set_modified(SystemTime::now()));
        true
    }
}

fn lock_of(directory: &Path) -> PathBuf {
    directory.with_extension("lock")
}

/// Opens a lock file and locks it. What was locked is the file in that place: not one that somebody removed
/// meanwhile, and perhaps made anew.
fn take_lock(path: &Path, options: &OpenOptions) -> io::Result<File> {
    let file = options.open(path)?;
    file.try_lock()?;
    match is_at(&file, path) {
        true => Ok(file),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    matches!((file.metadata().map(id), fs::metadata(path).map(id)), (Ok(a), Ok(b)) if a == b)
}

/// As near as it can be told: what is open is seldom removed here.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.is_file()
}

/// Whether that is the directory of an owner who has ended, and whose lock somebody tidied away.
fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let id = name.to_str().and_then(|name| Uuid::try_parse(name).ok());
    let untouched = |metadata: fs::Metadata| metadata.modified().ok()?.elapsed().ok();
    id.is_some_and(|id| id.get_version_num() == 7)
        && !lock_of(&entry.path()).exists()
        && (entry.metadata().ok())
            .filter(fs::Metadata::is_dir)
            .and_then(untouched)
            .is_some_and(|time| time >= ABANDONED)
}

impl Store {
    /// The own directory; made at the first need, and again where it has gone.
    pub(super) fn own_directory(&mut self) -> io::Result<(u32, PathBuf)> {
        if let Some(own) = self.own
            && let Some(lease) = self.leases.get(&own)
        {
            if lease.path.is_dir() && lease.is_held() {
                return Ok((own, lease.path.clone()));
            }
            self.own = None;
            if lease.files == 0 {
                self.give_back(own);
            }
        }
        private_directory(&self.project)?;
        let mut ids = Ids::default();
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        // Somebody who tidies up may have taken a lock file between its making and its locking.
        for _ in 0..3 {
            let name = ids.at(self.now().cast_signed()).to_string();
            match Lease::new(&self.project, &name) {
                Ok(lease) => {
                    let id = self.next_lease;
                    let path = lease.path.clone();
                    self.next_lease += 1;
                    self.leases.insert(id, lease);
                    self.own = Some(id);
                    return Ok((id, path));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Looks after what it has. What somebody else took over while it did not is left to them.
    pub(super) fn renew_all(&mut self) {
        let lost = |(id, lease): (&u32, &mut Lease)| (!lease.renew()).then_some(*id);
        let lost: Vec<u32> = self.leases.iter_mut().filter_map(lost).collect();
        for lease in lost {
            self.mark_taken_over(lease);
        }
    }

    /// What is in that directory is on disk, and others deliver it.
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
            "the lock of a spool directory was removed, and another process took it over; it delivers what is \
             in it",
        );
    }

    /// Takes over what ended processes left.
    pub(super) fn scan_for_orphans(&mut self) -> io::Result<u64> {
        let mut found = 0;
        for entry in fs::read_dir(&self.project)?.flatten() {
            let path = entry.path();
            let mut options = private_file();
            if is_abandoned(&entry) {
                options.create_new(true);
            } else if path.extension().is_none_or(|e| e != "lock") {
                continue;
            }
            let directory = path.with_extension("");
            if self.leases.values().all(|lease| lease.path != directory) {
                found += self.adopt(directory, &options).unwrap_or_default();
            }
        }
        Ok(found)
    }

    fn adopt(&mut self, path: PathBuf, options: &OpenOptions) -> io::Result<u64> {
        let lock = lock_of(&path);
        let locked = take_lock(&lock, options)?;
        if !path.is_dir() {
            // The owner died before it created the directory, or an adopter died before it deleted the lock file.
            return fs::remove_file(&lock).map(|()| 0);
        }
        let id = self.next_lease;
        self.next_lease += 1;
        self.leases.insert(
            id,
            Lease {
                path: path.clone(),
                lock,
                files: 0,
                locked,
            },
        );
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

    /// Gives up a directory, and removes it where nothing is left in it.
    pub(super) fn give_back(&mut self, lease: u32) {
        if let Some(lease) = self.leases.remove(&lease)
            && fs::remove_dir(&lease.path).is_ok()
            && lease.is_held()
        {
            let _ = fs::remove_file(&lease.lock);
        }
    }
}
