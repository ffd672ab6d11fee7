//! How this crate logs: lines whose tracing layers may panic, once per episode. Some lines note whether they were read.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::time::Instant;

/// Where failures and successes alternate, each failure is an episode of its own.
const AT_MOST_EVERY: Duration = Duration::from_secs(60);

/// Logs a line. A tracing layer that panics costs the line, not the actor.
macro_rules! log {
    (target: $target:literal, $level:ident, $($line:tt)+) => {{
        // Nobody needs to know that it panicked.
        let _ = $crate::panic::catch(|| {
            tracing::$level!(target: $target, $($line)+);
        });
    }};
    ($level:ident, $($line:tt)+) => {
        $crate::diagnostics::log!(target: "tracing_posthog::capture", $level, $($line)+)
    };
}
pub(crate) use log;

/// A line that notes whether somebody formatted it. `tracing` formats a message where a layer that is not filtered out
/// asks for it, and layers of ours do not.
pub(crate) struct Noting<'a> {
    text: &'a str,
    was_read: AtomicBool,
}

impl<'a> Noting<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            was_read: AtomicBool::new(false),
        }
    }

    pub(crate) fn was_read(&self) -> bool {
        self.was_read.load(Relaxed)
    }
}

impl fmt::Display for Noting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.was_read.store(true, Relaxed);
        f.write_str(self.text)
    }
}

/// Whether one thing is to be logged: once per episode, and at most once a minute.
#[derive(Debug, Default)]
pub(crate) struct OncePerEpisode {
    in_episode: bool,
    last: Option<Instant>,
}

impl OncePerEpisode {
    /// It happened: whether to log it.
    pub(crate) fn begin(&mut self) -> bool {
        let now = Instant::now();
        let due = self.last.is_none_or(|last| now - last >= AT_MOST_EVERY);
        let log = !self.in_episode && due;
        if log {
            (self.in_episode, self.last) = (true, Some(now));
        }
        log
    }

    /// The same, where each time is an episode of its own.
    pub(crate) fn again(&mut self) -> bool {
        self.in_episode = false;
        self.begin()
    }

    /// It is over. Returns whether it had been logged.
    pub(crate) fn end(&mut self) -> bool {
        std::mem::take(&mut self.in_episode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_happens_again_and_again_is_logged_once_a_minute() {
        let mut episode = OncePerEpisode::default();
        let mut logged = Vec::new();
        for second in 0..150 {
            if episode.again() {
                logged.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(logged, [0, 60, 120]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_episode_is_logged_once_however_long_it_lasts() {
        let mut episode = OncePerEpisode::default();
        assert!(episode.begin());
        tokio::time::advance(Duration::from_secs(600)).await;
        assert!(!episode.begin());
        assert!(episode.end());
        assert!(!episode.end());
        assert!(episode.begin());
    }
}
