//! The disk spool: keeps batches that cannot be delivered now as files, which this process or the next one
//! delivers later.
//!
//! ```text
//! <directory>/<project>/<owner>/01735787045678-000042-100.jsonl      time in ms - number in directory - events
//!                              /.<name>.tmp                          a write that is not complete
//!                              /lock                                 a part of the owner's lease
//!            /<project>/damaged/…                                    lines that could not be read, for people
//! ```
//!
//! `<project>` is a hash of host, project key and kind of traffic, so that no batch goes to another project. `<owner>`
//! is a uuid of the process's spool. A file holds one batch, one event per line, in the JSON that is sent.
//!
//! - [`file`](mod@file): the format of files and of their names; touches no disk.
//! - `store`: the files of this actor by age. Within it `atomic_write` writes, `index` orders and drops, `lease` owns
//!   directories and adopts those of dead processes, `quarantine` reads and sets damage aside, `condition` leaves a
//!   failing disk alone for 30 s, `warnings` says so at most once a minute.
//! - [`platform`]: everything that differs between operating systems.
//! - `delivery::disk` is the only user: it keeps the ledger true to what is on disk.
//!
//! Invariants:
//! - A file appears complete or not at all: it is written under another name, then renamed.
//! - A batch is deleted from disk only when it is settled, replaced by its parts, or counted as dropped.
//! - Each directory has at most one owner at a time, by locks that the system releases when the owner dies.
//! - Memory holds one batch from disk at a time; a bad file or line costs nothing but itself.
//! - A failing or full disk stops nothing: batches stay in memory, and the disk is tried again.
//!
//! What a crash costs, by the moment it comes:
//! - before the rename: the batch that was being written. Whoever adopts the directory removes the temporary file;
//! - after the rename: nothing;
//! - between PostHog's answer and the deletion: a repeated request, whose events PostHog recognises by their uuids;
//! - while a batch is replaced by parts of it: the same, because the parts are written first.

// Compiled without the feature too, so that the actor needs no cases; see `store::Feature`.
#![cfg_attr(not(feature = "spool"), allow(dead_code, unreachable_pub))]

pub(crate) mod file;
mod platform;
mod store;

pub(crate) use store::{Durability, FileId, Store};

use std::path::PathBuf;
use std::time::Duration;

/// Keeps events on disk that cannot be delivered now. Set it with
/// [`CaptureBuilder::spool`](crate::CaptureBuilder::spool).
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
/// Each file is one batch as JSON lines, one event per line exactly as it is sent, so `cat` and `jq` can read
/// it. Files are delivered in the order in which they were written; after a failed one the others go first.
/// They are private to the user (on Unix: 0700 and 0600) and contain no key. Files of one host and project are
/// never sent to another. Unreadable lines are moved to `<directory>/<project>/damaged/`; the other lines of the
/// file are still delivered. A file that the system cannot read now waits until it can, and delays no other.
///
/// Processes may share a directory: each writes to its own `<directory>/<project>/<process>/` and holds a lock
/// on it while it lives. The others adopt and deliver what dead processes left: at their start, at a flush, and
/// every 30 s while they have work (an idle process is not woken for it).
///
/// Beside what `queue_bytes` allows, memory holds one batch from disk at a time.
///
/// If the disk is full, read-only or gone, events stay in memory as without a spool. The disk is tried again
/// every 30 s, and a warning says so once a minute as long as it lasts.
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
    /// A spool in that directory, which is created if it is missing. A relative path starts from the working
    /// directory at the time of the call to `start`.
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

    /// The most bytes this process keeps on disk, including what it adopted from dead processes. File sizes
    /// count in steps of 4 KiB, as file systems allocate them. A single batch that is larger (see
    /// [`batch_bytes`](crate::CaptureBuilder::batch_bytes)) stays in memory. Default 256 MiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The longest time a batch is kept; an older one is dropped and counted as
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
    /// time. Files are synced to the disk, except at a shutdown: they survive a power failure.
    #[default]
    OnFailure,
    /// Each batch before its first attempt, and each event at the latest when its flush interval is over. So
    /// `kill -9` loses at most what was captured within the last interval. These files are not synced: they
    /// survive the process, but not always a power failure.
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
    /// The batches on disk stay. New ones stay in memory while there is room there, then they are dropped.
    DropNewest,
}
