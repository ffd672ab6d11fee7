//! What the actor has warned of.

use crate::diagnostics::OncePerEpisode;
use std::collections::{BTreeMap, BTreeSet};

/// PostHog has a few dozen reasons to refuse an event; more than this are noise.
const MAX_REASONS: usize = 64;

/// The warnings of one actor.
#[derive(Debug, Default)]
pub(super) struct Warnings {
    pub(super) keeping: OncePerEpisode,
    pub(super) spooling: OncePerEpisode,
    pub(super) dropping: OncePerEpisode,
    pub(super) too_large: OncePerEpisode,
    pub(super) overflow: OncePerEpisode,
    pub(super) foreign: OncePerEpisode,
    pub(super) panicked: OncePerEpisode,
    /// By status; 0 is none.
    rejected: BTreeMap<u16, OncePerEpisode>,
    /// Reasons for refusing single events, each logged once.
    refused: BTreeSet<String>,
}

impl Warnings {
    /// Whether to log that PostHog refuses batches with that status.
    pub(super) fn rejected(&mut self, status: Option<u16>) -> bool {
        let episode = self.rejected.entry(status.unwrap_or_default());
        episode.or_default().begin()
    }

    /// Whether to log that PostHog refuses events for that reason.
    pub(super) fn refused(&mut self, reason: &str) -> bool {
        self.refused.len() < MAX_REASONS && self.refused.insert(reason.to_owned())
    }

    /// PostHog accepted events. Returns whether a failure had been logged that is over now.
    pub(super) fn delivered(&mut self) -> bool {
        let of_delivery = [&mut self.keeping, &mut self.spooling, &mut self.dropping];
        let recovered = of_delivery
            .into_iter()
            .fold(false, |logged, episode| episode.end() | logged);
        for episode in self.rejected.values_mut().chain([&mut self.too_large]) {
            episode.end();
        }
        recovered
    }
}
