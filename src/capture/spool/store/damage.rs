//! Reading files, and what becomes of those that cannot be read in full.

use super::books::{FileId, Use};
use super::disk::{Durability, private_directory, write_file};
use super::{BLOCK, Lost, Store};
use crate::capture::delivery::batch::Batch;
use crate::capture::ledger::DropReason;
use crate::capture::spool::file;
use std::sync::atomic::Ordering::Relaxed;
use std::{fs, io};
use tracing::warn;

/// Larger files are not read: none of ours is.
pub(super) const MAX_FILE: u64 = 64 << 20;
/// How much of what could not be read is kept for people to look at.
const DAMAGED_BYTES: u64 = 16 << 20;
const DAMAGED: &str = "damaged";

/// Whether reading it again would end in the same way.
fn is_final(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, IsADirectory, NotADirectory, NotFound};
    matches!(
        error.kind(),
        FileTooLarge | IsADirectory | NotADirectory | NotFound
    )
}

impl Store {
    /// Reads a file that waits. What of it is damaged is set aside; `None` where that is all.
    ///
    /// # Errors
    /// Why it cannot be read now; it may be in a while, as with a process that is out of file descriptors.
    pub(super) fn read(&mut self, id: FileId) -> io::Result<Option<Batch>> {
        let Some(path) = self.path(id) else {
            return Ok(None);
        };
        let read = fs::metadata(&path).and_then(|m| match m.len() <= MAX_FILE {
            true => fs::read(&path),
            false => Err(io::ErrorKind::FileTooLarge.into()),
        });
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) if is_final(&error) => {
                self.set_aside(id, None);
                self.lose(id, DropReason::Damaged);
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
            // Somebody added lines that nobody captured.
            lines.damaged.extend(lines.events.drain(most..));
        }
        let (residence, first) = (entry.residence(), entry.first);
        let intact = lines.damaged.is_empty() && lines.events.len() as u64 == entry.events;
        if lines.events.is_empty() {
            self.set_aside(id, Some(&bytes));
            self.lose(id, DropReason::Damaged);
            return Ok(None);
        }
        let mut batch = Batch::of_events(first.unwrap_or(u64::MAX), lines.events);
        batch.residence = residence;
        batch.file = Some(id);
        // From here on it is not the oldest that waits, which could go for the room of its own repair.
        entry.state = Use::Sending;
        self.waiting -= 1;
        if intact {
            return Ok(Some(batch));
        }
        self.set_aside(id, Some(&lines.damaged.join(&b'\n')));
        Ok(self.repair(id, batch))
    }

    /// Puts a file of what could be read in the place of a damaged one. Where the disk takes none, the
    /// batch comes without.
    fn repair(&mut self, id: FileId, mut batch: Batch) -> Option<Batch> {
        let (residence, read) = (batch.residence, batch.len() as u64);
        batch.file = self.rewrite(&batch, id).ok();
        if let Some(file) = batch.file
            && let Some(entry) = self.files.get_mut(&file)
        {
            entry.state = Use::Sending;
        }
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

    /// Keeps what cannot be read for people to look at: those bytes, or the file itself.
    fn set_aside(&mut self, id: FileId, bytes: Option<&[u8]>) {
        self.counters.spool.damaged_files.fetch_add(1, Relaxed);
        let (Some(from), Some(owner)) = (self.path(id), self.owners.get(&id.owner)) else {
            return;
        };
        let directory = self.project.join(DAMAGED);
        let owner = owner.path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{:014}-{:06}-{owner}.txt", id.created, id.seq);
        // As good as it goes: what is lost is counted, whether its remains are kept or not.
        let _ = private_directory(&directory).and_then(|()| match bytes {
            Some([]) => Ok(()),
            Some(bytes) => write_file(&directory, &name, bytes, Durability::Written),
            None => fs::rename(&from, directory.join(&name)),
        });
        self.trim_damaged();
        if !std::mem::replace(&mut self.said_damaged, true) {
            warn!(
                target: "tracing_posthog::capture",
                directory = %directory.display(),
                "a spool file could not be read in full; what is damaged was set aside",
            );
        }
    }

    pub(super) fn trim_damaged(&self) {
        let Ok(entries) = fs::read_dir(self.project.join(DAMAGED)) else {
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
            if old || bytes > DAMAGED_BYTES.min(self.spool.max_bytes) {
                let _ = fs::remove_file(path);
            }
        }
    }
}
