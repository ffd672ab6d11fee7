//! How long what failed waits before it is tried again.

use crate::http::ENDLESS;
use crate::http::retry::RetryPolicy;
use std::time::Duration;
use tokio::time::Instant;

/// Longer each time, and not at all after a success.
#[derive(Default)]
pub(super) struct Pause {
    /// `None`: they may go.
    pub(super) until: Option<Instant>,
    delays: Option<Box<dyn Iterator<Item = Duration> + Send>>,
}

impl Pause {
    pub(super) fn lengthen(&mut self) {
        self.lengthen_to(Duration::ZERO);
    }

    /// The same, where PostHog asked to be left alone for so long. A flush, a shutdown and any success cut it
    /// short.
    pub(super) fn lengthen_to(&mut self, at_least: Duration) {
        let policy = RetryPolicy::default().first_delay(Duration::from_secs(1));
        let delays = self.delays.get_or_insert_with(|| Box::new(policy.delays()));
        let delay = delays.next().unwrap_or(policy.max_delay);
        // As between attempts: that on top, within the longest wait.
        let wait = at_least.saturating_add(delay).min(policy.max_delay);
        self.until = Some(Instant::now() + wait.max(at_least.min(ENDLESS)));
    }

    pub(super) fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }
}
