//! Directories and files as the spool makes them: private, locked, whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Whether a file must survive a loss of power, or only the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    Synced,
    Written,
}

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
pub(super) fn new_owner(project: &Path, name: &str) -> io::Result<Owner> {
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

/// Makes the file appear whole or not at all.
pub(super) fn write_file(
    directory: &Path,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<()> {
    let temporary = directory.join(format!(".{name}.tmp"));
    let write = || {
        let mut file = private_file()
            .create(true)
            .truncate(true)
            .open(&temporary)?;
        file.write_all(bytes)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, directory.join(name))?;
        #[cfg(unix)]
        if durability == Durability::Synced {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

pub(super) fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
