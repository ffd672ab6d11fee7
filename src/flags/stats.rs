//! [`FlagStats`]: what was evaluated, requested and loaded.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What became of flags so far, by all [`FeatureFlags`](crate::FeatureFlags) of one client.
///
/// Its `Display` output is one line for a log or a health page:
///
/// ```
/// use tracing_posthog::FeatureFlags;
///
/// let stats = FeatureFlags::disabled().stats();
/// assert_eq!(stats.definitions_age, None);
/// println!("{stats}"); // no definitions; requests 0 (failed 0); …
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlagStats {
    /// Flags in the definitions that are in force; 0 without definitions.
    pub flags: usize,
    /// How long ago PostHog last confirmed the definitions that are in force, by sending them or by answering that they
    /// have not changed. `None`: none were loaded, or they were given by the program.
    ///
    /// Evaluation goes on by them however old they are. While PostHog answers, this stays below
    /// [`poll_interval`](crate::FlagSettings::poll_interval) and a tenth.
    pub definitions_age: Option<Duration>,
    /// Loads that brought definitions.
    pub loads: u64,
    /// Loads that PostHog answered with "not modified".
    pub not_modified: u64,
    /// Loads that failed: PostHog did not answer, refused, or answered something that is no definitions.
    pub load_failures: u64,
    /// What the last load failed with, without keys. `None`: it succeeded, or there was none.
    pub load_error: Option<String>,
    /// Calls to PostHog for somebody's flags. One that was tried again counts once.
    pub requests: u64,
    /// How many of them ended without flags: no answer, or a refusal.
    pub request_failures: u64,
    /// Accesses to flags that nobody knows: misspelt, deleted, or of another project.
    pub unknown: u64,
    /// Evaluations without a distinct id, by which no flag has a value.
    pub without_id: u64,
    /// `$feature_flag_called` events that were captured.
    pub called: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) loads: AtomicU64,
    pub(super) not_modified: AtomicU64,
    pub(super) load_failures: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) request_failures: AtomicU64,
    pub(super) unknown: AtomicU64,
    pub(super) without_id: AtomicU64,
    pub(super) called: AtomicU64,
}

impl Counts {
    /// How often PostHog confirmed definitions.
    pub(super) fn confirmations(&self) -> u64 {
        self.loads.load(Relaxed) + self.not_modified.load(Relaxed)
    }
}

impl FlagStats {
    pub(super) fn of(counts: &Counts) -> Self {
        Self {
            loads: counts.loads.load(Relaxed),
            not_modified: counts.not_modified.load(Relaxed),
            load_failures: counts.load_failures.load(Relaxed),
            requests: counts.requests.load(Relaxed),
            request_failures: counts.request_failures.load(Relaxed),
            unknown: counts.unknown.load(Relaxed),
            without_id: counts.without_id.load(Relaxed),
            called: counts.called.load(Relaxed),
            ..Self::default()
        }
    }
}

impl fmt::Display for FlagStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.definitions_age {
            Some(age) => write!(f, "{} flags, confirmed {} s ago", self.flags, age.as_secs())?,
            None if self.flags > 0 => write!(f, "{} flags", self.flags)?,
            None => write!(f, "no definitions")?,
        }
        if self.loads + self.not_modified + self.load_failures > 0 {
            write!(
                f,
                " (loaded {}, not modified {}, failed {})",
                self.loads, self.not_modified, self.load_failures
            )?;
        }
        if let Some(error) = &self.load_error {
            write!(f, ", the last load failed: {error}")?;
        }
        write!(
            f,
            "; requests {} (failed {}); accesses captured {}, to unknown flags {}; evaluations without an id {}",
            self.requests, self.request_failures, self.called, self.unknown, self.without_id
        )
    }
}
