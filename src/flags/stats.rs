//! [`FlagStats`]: what was evaluated, requested and loaded.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What became of flags so far, by all [`FeatureFlags`](crate::FeatureFlags) of one client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlagStats {
    /// Accesses to flags that nobody knows: misspelt, deleted, or of another project.
    pub unknown: u64,
    /// `$feature_flag_called` events that were captured.
    pub called: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) unknown: AtomicU64,
    pub(super) called: AtomicU64,
}

impl FlagStats {
    pub(super) fn of(counts: &Counts) -> Self {
        Self {
            unknown: counts.unknown.load(Relaxed),
            called: counts.called.load(Relaxed),
        }
    }
}
