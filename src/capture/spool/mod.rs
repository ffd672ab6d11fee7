//! The disk spool: batches that cannot be delivered now, as files that a later moment or the next
//! process delivers.

pub(crate) mod file;
mod store;

pub(crate) use store::{Durability, FileId, Store};

use std::path::PathBuf;
use std::time::Duration;

/// Keeps on disk what cannot be delivered now, for [`CaptureBuilder::spool`](crate::CaptureBuilder::spool).
///
/// ```no_run
/// # use tracing_posthog::{EventCaptureBackend, PostHogClient, PostHogError, Spool, SpoolMode};
/// # fn main() -> Result<(), PostHogError> {
/// let posthog = EventCaptureBackend::builder(PostHogClient::from_env()?)
///     .spool(Spool::directory("/var/spool/my-service/posthog").mode(SpoolMode::WriteAhead))
///     .start()?;
/// # Ok(())
/// # }
/// ```
///
/// Each file is one batch as JSON lines, one event per line as it is sent, so that `cat` and `jq` read
/// it; they are delivered in the order in which they were written, except that after one that failed the others
/// go first. It is private to the user (on Unix: 0700 and 0600) and holds no key. Files of one host and project
/// are never sent to another. Lines that cannot be read are set aside in `<directory>/<project>/damaged/`, and
/// cost no other. A file that the system cannot read now waits until it can, and holds up no other.
///
/// Processes may share a directory: each writes to a place of its own, `<directory>/<project>/<process>/`,
/// under a lock that ends with it, and what ended processes left is taken over and delivered by the others,
/// at their start, at a flush, and every 30 s while they have work (an idle process is not woken for it).
/// Where somebody tidied a lock file away, its process makes it again at one of these moments; a directory
/// without one is taken over once nothing happened in it for 5 minutes.
///
/// One batch from disk is in memory at a time, beside what `queue_bytes` allows.
///
/// Where the disk is full, read-only or gone, events stay in memory as without a spool; a warning says so,
/// and the disk is tried again after 30 s.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Spool {
    pub(crate) directory: PathBuf,
    pub(crate) mode: SpoolMode,
    pub(crate) max_bytes: u64,
    pub(crate) max_age: Duration,
    pub(crate) when_full: SpoolPolicy,
}

impl Spool {
    /// A spool in that directory, which is made where it is missing. A relative path is meant from the
    /// process's working directory at the start.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self {
            directory: path.into(),
            mode: SpoolMode::default(),
            max_bytes: 256 << 20,
            max_age: Duration::from_secs(7 * 24 * 60 * 60),
            when_full: SpoolPolicy::default(),
        }
    }

    /// When batches go to disk. Default [`SpoolMode::OnFailure`].
    pub fn mode(mut self, mode: SpoolMode) -> Self {
        self.mode = mode;
        self
    }

    /// How much this process keeps on disk at most, what it took over from ended ones included. Each file
    /// counts in steps of 4 KiB, as file systems do. A batch that is larger by itself (see
    /// [`batch_bytes`](crate::CaptureBuilder::batch_bytes)) stays in memory. Default 256 MiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a batch is kept at most; an older one is dropped, and counted as
    /// [`DropReason::Expired`](crate::DropReason::Expired). Measured by the system's clock. Default 7 days.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// What happens when [`max_bytes`](Self::max_bytes) are reached. Default [`SpoolPolicy::DropOldest`].
    pub fn when_full(mut self, policy: SpoolPolicy) -> Self {
        self.when_full = policy;
        self
    }
}

/// When batches go to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SpoolMode {
    /// When all attempts failed, while the circuit breaker is open, and at a shutdown that runs out of
    /// time. Files are synced to the disk, except at a shutdown: they survive a loss of power.
    #[default]
    OnFailure,
    /// Each batch before its first attempt, an event at the latest when its flush interval is over. So
    /// `kill -9` costs what was captured within the last interval at most. These files are not synced:
    /// they survive the process, not always a loss of power.
    WriteAhead,
}

/// What happens when the spool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SpoolPolicy {
    /// The oldest batches on disk are dropped, and counted as
    /// [`DropReason::SpoolFull`](crate::DropReason::SpoolFull).
    #[default]
    DropOldest,
    /// What is on disk stays. New batches stay in memory while there is room, and are dropped after that.
    DropNewest,
}
