//! Whether the disk can be used. After a failure it is left alone for a while, then tried again.

use super::{RETRY_AFTER, Store, warnings};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use tokio::time::Instant;

/// What the disk does with batches, as far as is known.
#[derive(Debug)]
pub(crate) enum Condition<'a> {
    Usable,
    /// There is no room.
    Full,
    /// It failed, and is tried again from time to time.
    Failing(&'a io::Error),
}

/// What failed: having a directory, or changing what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Directory,
    File,
}

impl Store {
    /// Whether writing a batch may succeed now.
    pub(crate) fn is_usable(&self) -> bool {
        !self.full && self.check_backoff().is_ok()
    }

    /// Whether the last batch found no room.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether the disk can be used, and if not, why.
    pub(crate) fn condition(&self) -> Condition<'_> {
        match &self.failure {
            Some((_, error)) => Condition::Failing(error),
            None if self.full => Condition::Full,
            None => Condition::Usable,
        }
    }

    /// Fails while the disk is being left alone.
    pub(super) fn check_backoff(&self) -> io::Result<()> {
        match self.retry_at {
            Some(at) if at > Instant::now() => Err(io::ErrorKind::Other.into()),
            _ => Ok(()),
        }
    }

    /// Creates the own directory if it is missing.
    pub(super) fn try_directory(&mut self) {
        match self.own_directory() {
            Ok(_) => (self.retry_at, self.failure) = (None, None),
            Err(error) => drop(self.failed(Step::Directory, error)),
        }
    }

    /// Records a failure, and leaves the disk alone for a while. Returns the error.
    pub(super) fn failed(&mut self, step: Step, error: io::Error) -> io::Error {
        self.counters.spool.write_failures.fetch_add(1, Relaxed);
        self.retry_at = Some(Instant::now() + RETRY_AFTER);
        let copy = io::Error::new(error.kind(), error.to_string());
        self.failure = Some((step, copy));
        if self.warnings.failing_is_due()
            && let Condition::Failing(error) = self.condition()
        {
            warnings::failing(error, &self.spool.directory);
        }
        error
    }
}
