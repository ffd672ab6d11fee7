//! What is said about failing deliveries: once an episode, and not every moment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// PostHog has a few dozen reasons to refuse an event; more than this are noise.
const REASONS_TOLD: usize = 64;

/// Where failures and successes take turns, each failure is an episode of its own.
const BETWEEN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Trouble {
    pub(super) keeping: Told,
    pub(super) spooling: Told,
    pub(super) dropping: Told,
    pub(super) too_large: Told,
    pub(super) overflow: Told,
    /// By status; 0 is none.
    rejected: BTreeMap<u16, Told>,
    /// Reasons for refusing single events, each told once.
    refused: BTreeSet<String>,
}

/// Whether and when one thing was said.
#[derive(Debug, Default)]
pub(super) struct Told {
    this_episode: bool,
    last: Option<Instant>,
}

impl Told {
    /// Whether to say it now.
    pub(super) fn is_news(&mut self) -> bool {
        let now = Instant::now();
        let news = !self.this_episode && self.last.is_none_or(|last| now - last >= BETWEEN);
        if news {
            (self.this_episode, self.last) = (true, Some(now));
        }
        news
    }

    /// The same, where each time is an episode of its own.
    pub(super) fn is_news_again(&mut self) -> bool {
        self.this_episode = false;
        self.is_news()
    }
}

impl Trouble {
    /// Whether to say that PostHog refuses batches with that status.
    pub(super) fn is_new_status(&mut self, status: Option<u16>) -> bool {
        let told = self.rejected.entry(status.unwrap_or_default());
        told.or_default().is_news()
    }

    /// Whether to say that PostHog refuses events for that reason.
    pub(super) fn is_new_reason(&mut self, reason: &str) -> bool {
        self.refused.len() < REASONS_TOLD && self.refused.insert(reason.to_owned())
    }

    /// PostHog took events. Says whether something had been said that is over now.
    pub(super) fn end(&mut self) -> bool {
        let of_delivery = [&mut self.keeping, &mut self.spooling, &mut self.dropping];
        let was = of_delivery.iter().any(|told| told.this_episode);
        let others = self.rejected.values_mut().chain([&mut self.too_large]);
        for told in of_delivery.into_iter().chain(others) {
            told.this_episode = false;
        }
        was
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happens_again_and_again_is_said_once_a_minute() {
        let mut told = Told::default();
        let mut said = Vec::new();
        for second in 0..150 {
            if told.is_news_again() {
                said.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, [0, 60, 120]);
    }
}
