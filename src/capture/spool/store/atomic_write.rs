//! Creates private directories, and private files that appear complete or not at all.

use crate::capture::spool::platform;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Whether a file must survive a power failure, or only the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    Synced,
    Written,
}

/// Writes a temporary file, then renames it: the file appears complete or not at all.
pub(super) fn write_file(
    directory: &Path,
    name: &str,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<()> {
    write_file_with(directory, name, bytes, durability, sync_directory)
}

/// The same, with a given way to sync the directory.
pub(super) fn write_file_with(
    directory: &Path,
    name: &str,
    bytes: &[u8],
    durability: Durability,
    sync_directory: impl Fn(&Path) -> io::Result<()>,
) -> io::Result<()> {
    if bytes.len() as u64 > platform::max_file_size() {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let (temporary, path) = (directory.join(format!(".{name}.tmp")), directory.join(name));
    let write = || {
        // Never opens what is there already: it may be no file.
        let mut file = platform::private_file().create_new(true).open(&temporary)?;
        file.write_all(bytes)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, &path)
    };
    write().inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })?;
    if durability == Durability::Synced
        && let Err(error) = sync_directory(directory)
        && !is_unsupported(&error)
    {
        // The caller keeps the events in memory after an error, so the file must not deliver them too.
        let _ = fs::remove_file(&path);
        return Err(error);
    }
    Ok(())
}

#[cfg(test)]
thread_local! {
    /// Counts the synced directories of this thread.
    pub(super) static SYNCS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

fn sync_directory(path: &Path) -> io::Result<()> {
    #[cfg(test)]
    SYNCS.set(SYNCS.get() + 1);
    platform::sync_directory(path)
}

/// Whether the file system cannot sync or lock directories at all. Systems report this in several ways.
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    const EBADF: i32 = 9;
    use io::ErrorKind::{InvalidInput, Unsupported};
    matches!(error.kind(), InvalidInput | Unsupported) || error.raw_os_error() == Some(EBADF)
}

/// Creates a directory and its missing parents.
pub(super) fn private_directories(path: &Path) -> io::Result<()> {
    platform::private_directory().recursive(true).create(path)
}
