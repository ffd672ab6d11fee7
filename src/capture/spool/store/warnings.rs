//! The warnings of the spool, each at most once a minute.

use crate::capture::spool::Spool;
use std::io;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;
use tracing::warn;

const BETWEEN: Duration = Duration::from_secs(60);

/// Limits how often one thing is said. It is said again as long as it lasts: the first time may come before the
/// program has set up its logging.
#[derive(Debug, Default)]
struct OnceAMinute(Option<Instant>);

impl OnceAMinute {
    /// Whether to say it now.
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now - last >= BETWEEN);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

#[derive(Debug, Default)]
pub(super) struct Warnings {
    failing: OnceAMinute,
    too_large: OnceAMinute,
    unreadable: OnceAMinute,
    damaged: OnceAMinute,
    missing: OnceAMinute,
}

impl Warnings {
    pub(super) fn failing_is_due(&mut self) -> bool {
        self.failing.is_due()
    }

    pub(super) fn too_large(&mut self, bytes: usize, spool: &Spool) {
        if self.too_large.is_due() {
            warn!(
                target: "tracing_posthog::capture",
                bytes,
                max_bytes = spool.max_bytes,
                "a batch is larger than the spool takes (its `max_bytes`, 64 MiB a batch, and the process's \
                 limit of file sizes); it stays in memory; raise `max_bytes`, or lower `batch_bytes`",
            );
        }
    }

    pub(super) fn unreadable(&mut self, error: &io::Error, directory: &Path) {
        if self.unreadable.is_due() {
            warn!(
                target: "tracing_posthog::capture",
                %error,
                directory = %directory.display(),
                "a file of the spool cannot be read now; it is tried again later",
            );
        }
    }

    /// What could not be read is in that directory, unless there was an error.
    pub(super) fn damaged(&mut self, directory: &Path, error: Option<io::Error>) {
        if !self.damaged.is_due() {
            return;
        }
        let directory = directory.display();
        match error {
            None => warn!(
                target: "tracing_posthog::capture",
                %directory,
                "a spool file could not be read in full; what is damaged was set aside",
            ),
            Some(error) => warn!(
                target: "tracing_posthog::capture",
                %error,
                %directory,
                "a spool file could not be read in full, nor what is damaged set aside",
            ),
        }
    }

    pub(super) fn cut(&mut self, directory: &Path) {
        if self.damaged.is_due() {
            warn!(
                target: "tracing_posthog::capture",
                directory = %directory.display(),
                "a spool file could not be read in full; events are missing at its end",
            );
        }
    }

    pub(super) fn missing(&mut self, directory: &Path) {
        if self.missing.is_due() {
            warn!(
                target: "tracing_posthog::capture",
                directory = %directory.display(),
                "a spool file is missing, which this process did not delete; its events are lost",
            );
        }
    }
}

pub(super) fn failing(error: &io::Error, directory: &Path) {
    warn!(
        target: "tracing_posthog::capture",
        %error,
        directory = %directory.display(),
        "the spool directory cannot be used; events stay in memory, and it is tried again later",
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_lasts_is_said_once_a_minute() {
        let mut warning = OnceAMinute::default();
        let mut said = Vec::new();
        for second in 0..150 {
            if warning.is_due() {
                said.push(second);
            }
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, [0, 60, 120]);
    }
}
