//! Reads files, and sets damaged ones aside for people to look at.

use super::atomic_write::{Durability, private_directories, write_file};
use super::index::{FileId, FileState};
use super::{BLOCK, Lost, Store};
use crate::capture::delivery::batch::Batch;
use crate::capture::ledger::DropReason;
use crate::capture::spool::file;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::{fs, io};

/// Files larger than this are not ours, and are not read.
pub(super) const MAX_FILE: u64 = 64 << 20;
/// The most bytes of damaged data to keep.
const QUARANTINE_BYTES: u64 = 16 << 20;
const QUARANTINE: &str = "damaged";

/// Reads a file that can be one of ours. Opening another kind may wait for ever, as with a FIFO.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    if metadata.len() > MAX_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    fs::read(path)
}

/// Whether there is no file, or no directory that it could be in.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Whether reading the file again would fail in the same way.
fn is_final(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, InvalidData, IsADirectory};
    matches!(error.kind(), FileTooLarge | InvalidData | IsADirectory)
}

impl Store {
    /// Reads a waiting file, and quarantines its damaged lines; `None` if no event is left.
    ///
    /// # Errors
    /// The file cannot be read now but may be later, for example because no file descriptor is free.
    pub(super) fn read(&mut self, id: FileId) -> io::Result<Option<Batch>> {
        let Some(path) = self.path(id) else {
            return Ok(None);
        };
        let bytes = match read_file(&path) {
            Ok(bytes) => bytes,
            Err(error) if is_missing(&error) => {
                self.warnings.missing(&self.spool.directory);
                self.discard(id, DropReason::Damaged);
                return Ok(None);
            }
            Err(error) if is_final(&error) => {
                self.quarantine(id, None);
                self.discard(id, DropReason::Damaged);
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut lines = file::read(&bytes);
        let Some(entry) = self.files.get_mut(&id) else {
            return Ok(None);
        };
        let most = usize::try_from(entry.events).unwrap_or(usize::MAX);
        if lines.events.len() > most {
            // Somebody added lines: only as many events as the name says were captured.
            lines.damaged.extend(lines.events.drain(most..));
        }
        let (residence, first) = (entry.residence(), entry.first);
        let intact = lines.damaged.is_empty() && lines.events.len() as u64 == entry.events;
        if lines.events.is_empty() {
            self.quarantine(id, Some(&bytes));
            self.discard(id, DropReason::Damaged);
            return Ok(None);
        }
        let mut batch = Batch::of_events(first.unwrap_or(u64::MAX), lines.events);
        batch.residence = residence;
        batch.file = Some(id);
        // Mark it in use, so that repairing it cannot evict it.
        entry.state = FileState::Sending;
        self.waiting -= 1;
        if intact {
            return Ok(Some(batch));
        }
        self.quarantine(id, Some(&lines.damaged.join(&b'\n')));
        Ok(self.repair(id, batch))
    }

    /// Replaces a damaged file by one with its readable events. If that cannot be written, the batch is
    /// returned without a file.
    fn repair(&mut self, id: FileId, mut batch: Batch) -> Option<Batch> {
        let (residence, read) = (batch.residence, batch.len() as u64);
        batch.file = self.rewrite(&batch, id).ok();
        if let Some(path) = self.path(id) {
            let _ = fs::remove_file(path);
        }
        let said = self.forget(id)?.events;
        if said > read {
            self.lost.push(Lost {
                residence,
                events: said - read,
                reason: DropReason::Damaged,
            });
        }
        Some(batch)
    }

    /// Keeps damaged data for people to look at: the given bytes, or the whole file for `None`.
    fn quarantine(&mut self, id: FileId, bytes: Option<&[u8]>) {
        self.counters.spool.damaged_files.fetch_add(1, Relaxed);
        let (Some(from), Some(lease)) = (self.path(id), self.leases.get(&id.lease)) else {
            return;
        };
        let directory = self.project.join(QUARANTINE);
        if bytes.is_some_and(<[u8]>::is_empty) {
            self.warnings.cut(&self.spool.directory);
            return;
        }
        let owner = lease.path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{:014}-{:06}-{owner}.txt", id.created, id.seq);
        // The loss is counted in any case.
        let kept = private_directories(&directory).and_then(|()| match bytes {
            Some(bytes) => write_file(&directory, &name, bytes, Durability::Written),
            None => fs::rename(&from, directory.join(&name)),
        });
        self.trim_quarantine();
        // A large file may have been trimmed at once.
        let kept = kept.and_then(|()| fs::symlink_metadata(directory.join(&name)));
        self.warnings.damaged(&directory, kept.err());
    }

    pub(super) fn trim_quarantine(&self) {
        let Ok(entries) = fs::read_dir(self.project.join(QUARANTINE)) else {
            return;
        };
        let mut files: Vec<_> = entries
            .flatten()
            .filter_map(|e| Some((e.metadata().ok()?, e.path())))
            .filter_map(|(m, path)| Some((m.modified().ok()?, m.len(), path)))
            .collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        for (at, len, path) in files {
            bytes += len.next_multiple_of(BLOCK);
            let old = at.elapsed().is_ok_and(|age| age > self.spool.max_age);
            if old || bytes > QUARANTINE_BYTES.min(self.spool.max_bytes) {
                let _ = fs::remove_file(path);
            }
        }
    }
}
