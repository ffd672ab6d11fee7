//! How long what failed waits before it is tried again.

use crate::http::ENDLESS;
use crate::http::retry::RetryPolicy;
use std::time::Duration;
use tokio::time::Instant;

/// Longer each time, and not at all after one of them succeeded.
#[derive(Default)]
pub(super) struct Pause {
    /// `None`: they may go.
    pub(super) until: Option<Instant>,
    delays: Option<Box<dyn Iterator<Item = Duration> + Send>>,
    /// Whether a success of others ended one since.
    was_ended: bool,
}

impl Pause {
    pub(super) fn lengthen(&mut self) {
        self.lengthen_to(Duration::ZERO);
    }

    /// The same, where PostHog asked to be left alone for so long. A flush, a shutdown, or others that succeed cut
    /// it short.
    pub(super) fn lengthen_to(&mut self, at_least: Duration) {
        let policy = RetryPolicy::default().first_delay(Duration::from_secs(1));
        let delays = self.delays.get_or_insert_with(|| Box::new(policy.delays()));
        let delay = delays.next().unwrap_or(policy.max_delay);
        // As between attempts: that on top, within the longest wait.
        let wait = at_least.saturating_add(delay).min(policy.max_delay);
        self.until = Some(Instant::now() + wait.max(at_least.min(ENDLESS)));
    }

    /// Others succeeded, so what failed may too. Where it fails even so, it is not PostHog that is down, and it waits
    /// its time.
    pub(super) fn end_once(&mut self) {
        if self.delays.is_some() && !self.was_ended {
            *self = Self {
                was_ended: true,
                ..Self::default()
            };
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long it is, once more things failed.
    fn after(pause: &mut Pause) -> u64 {
        pause.lengthen();
        pause
            .until
            .map_or(0, |until| (until - Instant::now()).as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_of_others_ends_it_once() {
        let mut pause = Pause::default();
        // Before a failure there is nothing to end.
        pause.end_once();
        for longest in [2, 4, 8] {
            assert!((longest / 2..=longest).contains(&after(&mut pause)));
        }
        pause.end_once();
        assert!(pause.is_over());
        for longest in [2, 4, 8] {
            assert!((longest / 2..=longest).contains(&after(&mut pause)));
            pause.end_once();
            assert!(!pause.is_over());
        }
    }
}
