//! The public account: what users see of the ledger.

use super::Counts;
use crate::http::breaker::CircuitState;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is counted beside the ledger, by the actor alone.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) batches_kept: AtomicU64,
    pub(crate) spool: SpoolCounters,
}

#[derive(Debug, Default)]
#[cfg_attr(not(feature = "spool"), allow(dead_code))]
pub(crate) struct SpoolCounters {
    pub(crate) files: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) persisted: AtomicU64,
    pub(crate) damaged_files: AtomicU64,
    pub(crate) write_failures: AtomicU64,
}

impl SpoolCounters {
    fn read(&self) -> SpoolStats {
        SpoolStats {
            files: self.files.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            persisted: self.persisted.load(Relaxed),
            damaged_files: self.damaged_files.load(Relaxed),
            write_failures: self.write_failures.load(Relaxed),
        }
    }
}

/// Why an event was not delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DropReason {
    /// The queue was full, and its policy said to drop.
    QueueFull,
    /// PostHog would have refused it, and the batch with it, or ignored it: an empty name, an alias of nothing.
    Invalid,
    /// Larger than PostHog takes, by our own measure or by a 413 answer, or than all of the queue.
    TooLarge,
    /// A `before_send` hook returned `None`, or panicked.
    BeforeSend,
    /// Another attempt would not help: a 4xx answer, a redirect that is not followed, an answer that cannot be read;
    /// by capture v1 also an event that PostHog refused.
    Rejected,
    /// PostHog takes no more of the project's events now: a quota is used up (402, or a verdict of capture v1).
    Quota,
    /// All attempts failed, and there was no room left to keep it for later.
    Exhausted,
    /// Captured after the shutdown, or still there when the shutdown's time was over.
    Shutdown,
    /// On disk, and dropped for what came after it: the spool was full.
    SpoolFull,
    /// On disk for longer than the spool's `max_age`.
    Expired,
    /// On disk, and unreadable when it was to be sent. Its remains are in the spool's directory `damaged`.
    Damaged,
    /// More exceptions of the same type and callsite than the rate limit of error tracking lets through.
    RateLimited,
    /// An exception that was captured before, when the same error was logged further in.
    Duplicate,
    /// Lost by a panic of the actor itself, which is a bug of this crate. The actor goes on with all other events.
    ActorPanic,
}

impl DropReason {
    const COUNT: usize = Self::ALL.len();

    /// All reasons.
    pub const ALL: &'static [Self] = &[
        Self::QueueFull,
        Self::Invalid,
        Self::TooLarge,
        Self::BeforeSend,
        Self::Rejected,
        Self::Quota,
        Self::Exhausted,
        Self::Shutdown,
        Self::SpoolFull,
        Self::Expired,
        Self::Damaged,
        Self::RateLimited,
        Self::Duplicate,
        Self::ActorPanic,
    ];

    /// A short name, for logs and metrics labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Invalid => "invalid",
            Self::TooLarge => "too_large",
            Self::BeforeSend => "before_send",
            Self::Rejected => "rejected",
            Self::Quota => "quota",
            Self::Exhausted => "exhausted",
            Self::Shutdown => "shutdown",
            Self::SpoolFull => "spool_full",
            Self::Expired => "expired",
            Self::Damaged => "damaged",
            Self::RateLimited => "rate_limited",
            Self::Duplicate => "duplicate",
            Self::ActorPanic => "actor_panic",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Numbers of dropped events, by reason.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped([u64; DropReason::COUNT]);

impl Dropped {
    /// How many events were dropped for that reason.
    pub fn by(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// How many events were dropped in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> + use<> {
        let counts = self.0;
        DropReason::ALL
            .iter()
            .map(move |reason| (*reason, counts[*reason as usize]))
            .filter(|(_, n)| *n > 0)
    }

    pub(crate) fn add(&mut self, reason: DropReason, n: u64) {
        self.0[reason as usize] += n;
    }
}

impl fmt::Debug for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What became of the events captured so far. In every snapshot
/// `captured + recovered = delivered + dropped + queued + in_flight + spooled`; the two of the disk spool
/// are 0 without one.
///
/// ```
/// # use tracing_posthog::{CaptureHandle, DropReason};
/// # fn f(handle: &CaptureHandle) {
/// let stats = handle.stats();
/// println!("{} delivered, {} lost to a full queue", stats.delivered, stats.dropped.by(DropReason::QueueFull));
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Events handed in, those refused at a full queue included.
    pub captured: u64,
    /// Events that PostHog acknowledged.
    pub delivered: u64,
    /// Events that will never be delivered, by reason.
    pub dropped: Dropped,
    /// Events waiting in memory: in the queue, for a free request, or for the next attempt after a failure.
    pub queued: u64,
    /// Events in requests that are on the wire.
    pub in_flight: u64,
    /// Events that are on disk only, those that are being sent from there included.
    pub spooled: u64,
    /// Events on disk that were taken over from processes that have ended.
    pub recovered: u64,
    /// What the disk spool has and did.
    pub spool: SpoolStats,
    /// Batches sent, retries not counted.
    pub batches: u64,
    /// Batches that failed in all their attempts and were kept for another try.
    pub batches_kept: u64,
    /// What the circuit breaker of the client's capture host is doing; `None` without a client. That of the REST API
    /// is in [`PostHogClient::circuit_state`](crate::PostHogClient::circuit_state).
    pub circuit: Option<CircuitState>,
    /// Whether capturing is switched off, by configuration or by opting out.
    pub disabled: bool,
}

/// What the disk spool of one actor has and did; all 0 without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SpoolStats {
    /// Files of this actor, and of those it took over.
    pub files: u64,
    /// Their bytes, each file in steps of 4 KiB.
    pub bytes: u64,
    /// Events that were ever written to disk. Grows only.
    pub persisted: u64,
    /// Files of which something could not be read and was set aside.
    pub damaged_files: u64,
    /// Failed attempts to use the disk; batches stayed in memory.
    pub write_failures: u64,
}

impl Stats {
    /// The counts of one moment; what only a handle knows is left out.
    pub(crate) fn of(c: &Counts, counters: &Counters) -> Self {
        Self {
            captured: c.captured,
            delivered: c.delivered,
            dropped: c.dropped,
            queued: c.queued,
            in_flight: c.in_flight,
            spooled: c.spooled,
            recovered: c.recovered,
            spool: counters.spool.read(),
            batches: counters.batches.load(Relaxed),
            batches_kept: counters.batches_kept.load(Relaxed),
            ..Self::default()
        }
    }
}

/// One line for people: `12 captured: 10 delivered, 1 queued, 0 in flight, 1 dropped (queue_full 1)`.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} captured: {} delivered, {} queued, {} in flight, {} dropped",
            self.captured,
            self.delivered,
            self.queued,
            self.in_flight,
            self.dropped.total()
        )?;
        for (n, (reason, events)) in self.dropped.iter().enumerate() {
            let before = if n == 0 { " (" } else { ", " };
            write!(f, "{before}{reason} {events}")?;
        }
        if self.dropped.total() > 0 {
            f.write_str(")")?;
        }
        if self.spooled > 0 {
            write!(f, ", {} on disk", self.spooled)?;
        }
        if self.recovered > 0 {
            write!(f, ", {} recovered", self.recovered)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stats_read_as_one_line() {
        let mut dropped = Dropped::default();
        dropped.add(DropReason::QueueFull, 1);
        dropped.add(DropReason::Rejected, 2);
        let stats = Stats {
            captured: 14,
            delivered: 10,
            dropped,
            queued: 1,
            in_flight: 0,
            batches: 1,
            ..Stats::default()
        };
        assert_eq!(
            stats.to_string(),
            "14 captured: 10 delivered, 1 queued, 0 in flight, 3 dropped (queue_full 1, rejected 2)"
        );
        assert_eq!(format!("{dropped:?}"), "{QueueFull: 1, Rejected: 2}");
    }
}
