//! Who owns which directory: making the own one, taking over those of others.

use super::books::{Entry, FileId, Use};
use super::disk::{private_directory, private_file};
use super::{BLOCK, Store};
use crate::capture::spool::file::Name;
use crate::capture::stamp::Ids;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A directory whose lock this process holds.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) path: PathBuf,
    pub(super) lock: PathBuf,
    pub(super) files: usize,
    /// Held while this lives; never read.
    #[allow(dead_code)]
    pub(super) locked: File,
}

/// Makes a directory of its own. Its lock is there and held before it is, so that nobody takes it over
/// half-made.
fn new_owner(project: &Path, name: &str) -> io::Result<Owner> {
    let lock = project.join(format!("{name}.lock"));
    let path = project.join(name);
    let locked = private_file().create_new(true).open(&lock)?;
    let made = match locked.try_lock() {
        Ok(()) => private_directory(&path),
        Err(error) => Err(error.into()),
    };
    if let Err(error) = made {
        let _ = fs::remove_file(&lock);
        return Err(error);
    }
    if !lock.is_file() {
        let _ = fs::remove_dir(&path);
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(Owner {
        path,
        lock,
        files: 0,
        locked,
    })
}

impl Store {
    /// The own directory; made at the first need, and again where it has gone.
    pub(super) fn own(&mut self) -> io::Result<(u32, PathBuf)> {
        if let Some(own) = self.own
            && let Some(owner) = self.owners.get(&own)
        {
            if owner.path.is_dir() && owner.lock.is_file() {
                return Ok((own, owner.path.clone()));
            }
            self.own = None;
            if owner.files == 0 {
                self.leave(own);
            }
        }
        private_directory(&self.project)?;
        let mut ids = Ids::default();
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        // Somebody who tidies up may have taken a lock file between its making and its locking.
        for _ in 0..3 {
            let name = ids.at(self.now().cast_signed()).to_string();
            match new_owner(&self.project, &name) {
                Ok(owner) => {
                    let id = self.next_owner;
                    let path = owner.path.clone();
                    self.next_owner += 1;
                    self.owners.insert(id, owner);
                    self.own = Some(id);
                    return Ok((id, path));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(super) fn adopt_all(&mut self) -> io::Result<u64> {
        let mut found = 0;
        for lock in fs::read_dir(&self.project)?.flatten() {
            let lock = lock.path();
            let ours = self.owners.values().any(|owner| owner.lock == lock);
            if !ours && lock.extension().is_some_and(|e| e == "lock") {
                found += self.adopt(lock).unwrap_or_default();
            }
        }
        Ok(found)
    }

    fn adopt(&mut self, lock: PathBuf) -> io::Result<u64> {
        let locked = OpenOptions::new().read(true).write(true).open(&lock)?;
        if locked.try_lock().is_err() {
            return Ok(0);
        }
        let path = lock.with_extension("");
        if !path.is_dir() {
            // Its owner ended before it made one, or whoever took it over before it removed this.
            return fs::remove_file(&lock).map(|()| 0);
        }
        let id = self.next_owner;
        self.next_owner += 1;
        self.owners.insert(
            id,
            Owner {
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
                // The write that its owner ended in: never counted as written.
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
                owner: id,
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
                state: Use::Waiting,
            };
            self.insert(file, entry);
        }
        if self.owners.get(&id).is_some_and(|owner| owner.files == 0) {
            self.leave(id);
        }
        Ok(found)
    }

    /// Gives up a directory, and removes it where nothing is left in it.
    pub(super) fn leave(&mut self, owner: u32) {
        if let Some(owner) = self.owners.remove(&owner)
            && fs::remove_dir(&owner.path).is_ok()
        {
            let _ = fs::remove_file(&owner.lock);
        }
    }
}
