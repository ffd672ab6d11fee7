//! [`Selection`]: which events of `tracing` are exceptions. Decided once per callsite, from its metadata.

use crate::capture::exceptions::paths::is_of_dependency;
use crate::panic::catch;
use std::fmt;
use std::sync::Arc;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;

type Filter = Arc<dyn Fn(&Metadata<'_>) -> bool + Send + Sync>;

#[derive(Clone)]
pub(crate) struct Selection {
    pub(super) level: LevelFilter,
    pub(super) allowed: Vec<Box<str>>,
    pub(super) denied: Vec<Box<str>>,
    pub(super) filter: Option<Filter>,
    /// How many log events before an exception are kept.
    pub(crate) steps: usize,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            level: LevelFilter::ERROR,
            allowed: Vec::new(),
            denied: Vec::new(),
            filter: None,
            steps: 0,
        }
    }
}

impl Selection {
    /// Whether the event of that callsite is an exception, if it says nothing else itself.
    pub(crate) fn selects(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let is_within = |module: &str| {
            let below = target.strip_prefix(module);
            below.is_some_and(|below| below.is_empty() || below.starts_with("::"))
        };
        metadata.is_event()
            && *metadata.level() <= self.level
            && !is_within(env!("CARGO_CRATE_NAME"))
            && !self.denied.iter().any(|denied| is_within(denied))
            && (is_own(metadata) || self.allowed.iter().any(|allowed| is_within(allowed)))
            && self
                .filter
                .as_ref()
                .is_none_or(|wanted| catch(|| wanted(metadata)).unwrap_or(false))
    }

    /// The most verbose level of events that are looked at.
    pub(crate) fn level(&self) -> LevelFilter {
        self.level
    }
}

/// Whether the callsite is in the program's own code. One without a file is not: such as those of `log` records.
pub(crate) fn is_own(metadata: &Metadata<'_>) -> bool {
    metadata.file().is_some_and(|file| !is_of_dependency(file))
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("level", &self.level)
            .field("allowed", &self.allowed)
            .field("denied", &self.denied)
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}
