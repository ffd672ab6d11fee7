//! Everything that differs between operating systems; the rest of the spool is the same on all of them.
//!
//! Unix has a half of its own, all other systems share the portable half. `--cfg posthog_portable` selects the
//! portable half on Unix, so that it can be checked and tested there.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

pub(super) use imp::{is_at, max_file_size, open_directory, sync_directory};

/// Options to write a file that only this user may read.
pub(super) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    imp::make_private(&mut options);
    options
}

/// A directory builder for directories that only this user may enter.
pub(super) fn private_directory() -> DirBuilder {
    let mut builder = DirBuilder::new();
    imp::make_directory_private(&mut builder);
    builder
}

/// Opens a lock file, and creates it if it is missing.
pub(super) fn open_lock_file(path: &Path) -> io::Result<File> {
    let mut options = private_file();
    options.read(true).create(true).truncate(false);
    imp::forbid_deletion(&mut options);
    options.open(path)
}

/// Deletes a lock file. Windows deletes no open file; elsewhere the lock is held until the file is gone, so that
/// nobody can lock it in between.
pub(super) fn delete_lock_file(path: &Path, locked: File) -> io::Result<()> {
    if cfg!(windows) {
        drop(locked);
    }
    fs::remove_file(path)
}

#[cfg(all(unix, not(posthog_portable)))]
mod imp {
    use std::fs::{self, DirBuilder, File, OpenOptions};
    use std::io;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
    use std::path::Path;
    use std::sync::OnceLock;

    pub(super) fn make_private(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub(super) fn make_directory_private(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    /// Deleting cannot be forbidden: the lock on the directory makes it harmless.
    pub(super) fn forbid_deletion(_: &mut OpenOptions) {}

    /// Opens a directory, to lock it. Never waits: with the dot the path can only name a directory, and not, for
    /// example, a FIFO.
    pub(in super::super) fn open_directory(path: &Path) -> io::Result<Option<File>> {
        File::open(path.join(".")).map(Some)
    }

    pub(in super::super) fn sync_directory(path: &Path) -> io::Result<()> {
        File::open(path.join("."))?.sync_all()
    }

    /// The process's limit of file sizes (`RLIMIT_FSIZE`), as it is at the first call. The system ends a process
    /// that writes beyond it, and to catch that signal is the program's business. Only Linux tells the limit in a
    /// file.
    pub(in super::super) fn max_file_size() -> u64 {
        static LIMIT: OnceLock<u64> = OnceLock::new();
        *LIMIT.get_or_init(|| {
            let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
            let mut limits = limits
                .lines()
                .filter_map(|l| l.strip_prefix("Max file size"));
            let soft = limits.next().and_then(|l| l.split_whitespace().next());
            soft.and_then(|soft| soft.parse().ok()).unwrap_or(u64::MAX)
        })
    }

    /// Whether that path still names the opened file.
    pub(in super::super) fn is_at(file: &File, path: &Path) -> bool {
        let id = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        matches!((file.metadata().map(id), fs::metadata(path).map(id)), (Ok(a), Ok(b)) if a == b)
    }
}

#[cfg(not(all(unix, not(posthog_portable))))]
mod imp {
    use std::fs::{DirBuilder, File, OpenOptions};
    use std::io;
    use std::path::Path;

    /// Access is governed by what the directory inherits.
    pub(super) fn make_private(_: &mut OpenOptions) {}

    pub(super) fn make_directory_private(_: &mut DirBuilder) {}

    /// On Windows nobody can delete the file while it is open.
    pub(super) fn forbid_deletion(options: &mut OpenOptions) {
        #[cfg(windows)]
        {
            // FILE_SHARE_READ and FILE_SHARE_WRITE, without FILE_SHARE_DELETE.
            std::os::windows::fs::OpenOptionsExt::share_mode(options, 1 | 2);
        }
        #[cfg(not(windows))]
        let _ = options;
    }

    /// Directories cannot be opened.
    pub(in super::super) fn open_directory(_: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    /// Directories cannot be opened, and need no syncing.
    pub(in super::super) fn sync_directory(_: &Path) -> io::Result<()> {
        Ok(())
    }

    pub(in super::super) fn max_file_size() -> u64 {
        u64::MAX
    }

    /// The best guess without file ids: an open lock file cannot be deleted, so it is the one at its path.
    pub(in super::super) fn is_at(_: &File, path: &Path) -> bool {
        path.is_file()
    }
}
