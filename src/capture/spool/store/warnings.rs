//! The warnings of the spool, each at most once a minute.

use crate::capture::spool::Spool;
use crate::diagnostics::{OncePerEpisode, log};
use std::io;
use std::path::Path;

#[derive(Debug, Default)]
pub(super) struct Warnings {
    failing: OncePerEpisode,
    too_large: OncePerEpisode,
    unreadable: OncePerEpisode,
    damaged: OncePerEpisode,
    missing: OncePerEpisode,
}

impl Warnings {
    pub(super) fn failing_is_due(&mut self) -> bool {
        self.failing.again()
    }

    pub(super) fn too_large(&mut self, bytes: usize, spool: &Spool) {
        if self.too_large.again() {
            log!(
                warn,
                bytes,
                max_bytes = spool.max_bytes,
                "a batch is larger than the spool takes (its `max_bytes`, 64 MiB a batch, and the process's \
                 limit of file sizes); it stays in memory; raise `max_bytes`, or lower `batch_bytes`",
            );
        }
    }

    pub(super) fn unreadable(&mut self, error: &io::Error, directory: &Path) {
        if self.unreadable.again() {
            log!(warn,
                %error,
                directory = %directory.display(),
                "a file of the spool cannot be read now; it is tried again later",
            );
        }
    }

    /// What could not be read is in that directory, unless there was an error.
    pub(super) fn damaged(&mut self, directory: &Path, error: Option<io::Error>) {
        if !self.damaged.again() {
            return;
        }
        let directory = directory.display();
        match error {
            None => log!(warn,
                %directory,
                "a spool file could not be read in full; what is damaged was set aside",
            ),
            Some(error) => log!(warn,
                %error,
                %directory,
                "a spool file could not be read in full, nor what is damaged set aside",
            ),
        }
    }

    pub(super) fn cut(&mut self, directory: &Path) {
        if self.damaged.again() {
            log!(warn,
                directory = %directory.display(),
                "a spool file could not be read in full; events are missing at its end",
            );
        }
    }

    pub(super) fn missing(&mut self, directory: &Path) {
        if self.missing.again() {
            log!(warn,
                directory = %directory.display(),
                "a spool file is missing, which this process did not delete; its events are lost",
            );
        }
    }
}

pub(super) fn failing(error: &io::Error, directory: &Path) {
    log!(warn,
        %error,
        directory = %directory.display(),
        "the spool directory cannot be used; events stay in memory, and it is tried again later",
    );
}
