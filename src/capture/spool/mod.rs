//! The disk spool: keeps batches that cannot be delivered now as files, which this process or the next one delivers
//! later.
//!
//! The actor owns one [`Store`], and is the only one to call it: on its own thread, so file operations need no
//! locks and never run on a caller's thread. A batch enters by [`Store::write`], after which it is both in memory
//! and on disk. [`Store::release`] says that it has left memory: the file waits until [`Store::next`] reads it.
//! Once PostHog has answered, [`Store::remove`] deletes it. What the store itself loses (to room, age or damage)
//! comes out of [`Store::take_lost`], and the actor counts it.
//!
//! | module | what it does |
//! |---|---|
//! | [`mod@file`] | the format of names and contents; pure |
//! | `platform` | all that differs between operating systems |
//! | `store` | the operations above, with `lease` (who owns a directory), `index` (files by age), `quarantine` (reading, and what is damaged), `condition` (whether the disk can be used), `atomic_write`, `warnings` |
//!
//! # On disk
//!
//! ```text
//! <directory>/
//!   <project>/                                  a UUID: the hash of key, host and kind of traffic
//!     <process>/                                a UUID v7, owned by one process at a time
//!       lock                                    one half of its lease
//!       01735787045678-000042-100.jsonl         a batch: creation time (ms), number, events
//!       .01735787045678-000043-100.jsonl.tmp    a batch that is being written
//!     damaged/                                  what could not be read, for people
//! ```
//!
//! A file has one event per line, as JSON, exactly as it is sent. A line counts as an event if it has what PostHog
//! requires: `uuid`, `event`, `distinct_id`, `timestamp`, and an object as `properties` if there are any. The name
//! says how many events there are, so adopting a directory reads no file, and lines that somebody added are not
//! sent.
//!
//! Directories have mode 0700, files 0600; no key is on disk, and the hash keeps events of one project or host from
//! going to another. Everything else in these directories is left alone.
//!
//! # Invariants
//!
//! - A file is complete or not there: it is written under a temporary name, then renamed.
//! - An event is on disk before its batch leaves memory, and stays there until PostHog has answered, or its loss is
//!   counted.
//! - A file never changes. Parts of a batch are new files, with the age of the whole, written before that is
//!   deleted.
//! - The uuid, time and content of an event are the same in each attempt and process, so that PostHog recognises
//!   one that it gets twice.
//! - One process owns a directory at a time. It writes only to the one it created; from those it adopted it reads
//!   and deletes.
//! - No file that cannot be used (damaged, unreadable, missing, no file at all) costs an event of another, or
//!   delays it.
//! - Nothing here waits for another process, and only regular files and directories are opened.
//!
//! # What a kill leaves
//!
//! | killed | what is left | what the next process does |
//! |---|---|---|
//! | after creating its directory, before locking it | an empty directory | deletes it. One that does so too early costs the creator a new name |
//! | while it writes a batch | a temporary file | deletes it: those events were in memory only, and counted nowhere |
//! | after writing, before it forgets the memory | the file | delivers it |
//! | while PostHog answers, before it deletes the file | the file | delivers it again; PostHog recognises the uuids |
//! | between writing parts and deleting the whole | all of them | delivers both; likewise |
//! | while it adopts a directory | the directory as it was | adopts it: adopting only deletes temporary files |
//! | while it deletes an empty directory | the directory, perhaps without `lock` | deletes it |
//!
//! The counts of a killed process die with it, and those who adopt its events count them as `recovered`, so each
//! event is counted once by one living process. A power failure is a kill that can also lose files that were not
//! synced: those of [`SpoolMode::WriteAhead`] and of a shutdown. Such a file can also be there with a part of its
//! lines, or zeros.
//!
//! # Adoption
//!
//! The system releases a lease when its process ends, however that happens; see `store::lease`. At the start, at a
//! flush and every 30 s with work, a process tries to lock each directory of its project that it does not hold.
//! Those it gets are orphans. Their files are read where they are, among its own, by age. A directory is deleted
//! with its last file. At most 32 directories are held at a time, as each costs file descriptors; the others get
//! their turn as these become empty.
//!
//! An owner can lose its directory only if somebody replaces it by a copy, or, between machines on a network file
//! system, deletes `lock`. It notices when it renews its leases (at the same moments), leaves those files to
//! whoever adopted them, and counts their events as on disk.
//!
//! # When the disk does not work
//!
//! | the disk | what happens |
//! |---|---|
//! | is full, read-only, gone or not permitted | the write fails, the batch stays in memory, and the disk is left alone for 30 s. A warning is repeated once a minute as long as this lasts, and `Store::condition` tells the error. Half-written files are deleted |
//! | lets no file be deleted | the batch counts as settled; the next process sends it again |
//! | cannot read a file now | the file waits, others have their turn, and a warning says so |
//! | hangs | the actor hangs with it. Callers go on, into the queue up to its limits, and `flush` and `shutdown` return when their time is over |
//! | takes files up to a size (`RLIMIT_FSIZE`) | on Linux larger batches stay in memory. Elsewhere the system ends the process (`SIGXFSZ`), unless the program ignores that signal: this crate changes no signal handlers |
//!
//! # Limits
//!
//! - [`Spool::max_bytes`]: by default the oldest waiting files are dropped for new ones. Files that are in memory
//!   too, or being sent, are never dropped.
//! - [`Spool::max_age`], by the system's clock.
//! - 64 MiB a file; 16 MiB of damaged data for each project.
//! - One batch from disk in memory at a time.

// Compiled without the feature too, so that the actor needs no cases; see `store::Feature`.
#![cfg_attr(not(feature = "spool"), allow(dead_code, unreachable_pub))]

pub(crate) mod file;
mod platform;
mod store;

pub(crate) use store::{Durability, FileId, Store};

use crate::words::words;
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

/// When batches go to disk. As text: `on_failure`, `write_ahead`.
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

words! { SpoolMode, "spool mode": OnFailure = "on_failure", WriteAhead = "write_ahead", }

/// What happens when the spool is full. As text: `drop_oldest`, `drop_newest`.
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

words! { SpoolPolicy, "spool policy": DropOldest = "drop_oldest", DropNewest = "drop_newest", }
