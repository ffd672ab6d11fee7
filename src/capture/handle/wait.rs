//! Waiting for the actor: how long, and what is said meanwhile.

use super::shared::Shared;
use crate::capture::delivery::{FlushReport, Progress, Reply};
use crate::capture::queue::Watermark;
use crate::diagnostics::log;
use crate::suppress::SuppressGuard;
use std::sync::mpsc as blocking;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The actor keeps the time itself; this is for it to settle and to write what is left, and for its answer to arrive.
const GRACE: Duration = Duration::from_millis(500);
/// A timeout of less is the network's alone.
const LONG_ENOUGH: Duration = Duration::from_secs(2);
/// After this time a dropped `PostHog` says what it waits for.
const SILENCE: Duration = Duration::from_millis(500);
/// A runtime that is driven looks at its tasks sooner than that, unless a hook holds it up.
const DRIVEN_WITHIN: Duration = Duration::from_millis(500);

/// How much of a timeout the actor may use for the network, so that the caller waits for no longer than the timeout.
pub(super) fn for_the_network(timeout: Duration) -> Duration {
    match timeout >= LONG_ENOUGH {
        true => timeout - GRACE,
        false => timeout,
    }
}

/// How long the caller waits at most.
fn longest_wait(timeout: Duration) -> Duration {
    for_the_network(timeout).saturating_add(GRACE)
}

impl Shared {
    /// Waits on this thread.
    pub(super) fn wait(
        &self,
        answer: &blocking::Receiver<Progress>,
        timeout: Duration,
        watermark: Watermark,
    ) -> FlushReport {
        self.wait_until(answer, timeout, Self::warn_not_driven, |_| {})
            .unwrap_or_else(|| self.report_after_close(watermark))
    }

    /// The same without a word, where no code of the program may run.
    #[cfg(feature = "errors")]
    pub(super) fn wait_silently(&self, answer: &blocking::Receiver<Progress>, timeout: Duration) {
        self.wait_until(answer, timeout, |_| {}, |_| {});
    }

    /// Waits within a future, on any executor.
    pub(super) async fn answered(
        &self,
        answer: oneshot::Receiver<FlushReport>,
        timeout: Duration,
        watermark: Watermark,
    ) -> FlushReport {
        let report = match &self.http {
            Some(http) => {
                let answered = http.io.timeout(longest_wait(timeout), answer).await;
                answered.and_then(Result::ok)
            }
            None => answer.await.ok(),
        };
        report.unwrap_or_else(|| self.report_after_close(watermark))
    }

    /// A shutdown that says what it waits for.
    pub(super) fn shut_down_aloud(&self) -> FlushReport {
        let timeout = self.shutdown_timeout;
        let (reply, answer) = blocking::sync_channel(2);
        let watermark = match self.ask_shutdown(timeout, Reply::Thread(reply)) {
            Ok(watermark) => watermark,
            Err(report) => return report,
        };
        self.wait_until(&answer, timeout, Self::warn_not_driven, |left| {
            let counts = self.queue.counts();
            // Whoever hears of it may capture events too.
            let _suppressed = SuppressGuard::enter();
            log!(
                warn,
                events = counts.queued + counts.in_flight,
                error = self.status.last_error(),
                "waiting up to {:.1} s more for PostHog to accept the last events",
                left.as_secs_f64(),
            );
        })
        .unwrap_or_else(|| self.report_after_close(watermark))
    }

    /// Waits for the report; `None` where none comes in time. After a while `still_waiting` is told how long it may
    /// take. `not_driven` is called where the actor cannot run while this thread waits.
    fn wait_until(
        &self,
        answer: &blocking::Receiver<Progress>,
        timeout: Duration,
        not_driven: impl Fn(&Self),
        still_waiting: impl FnOnce(Duration),
    ) -> Option<FlushReport> {
        let since = Instant::now();
        let longest = longest_wait(timeout);
        if self.home.is_blocked_by_this_thread() {
            not_driven(self);
            return None;
        }
        let mut started = !self.home.needs_driving();
        let mut still_waiting = Some(still_waiting);
        loop {
            let elapsed = since.elapsed();
            let mut wait = longest.checked_sub(elapsed)?;
            if !started {
                wait = wait.min(DRIVEN_WITHIN.saturating_sub(elapsed));
            } else if still_waiting.is_some() {
                wait = wait.min(SILENCE.saturating_sub(elapsed));
            }
            match answer.recv_timeout(wait) {
                Ok(Progress::Done(report)) => return Some(report),
                Ok(Progress::Started) => started = true,
                Err(blocking::RecvTimeoutError::Disconnected) => return None,
                Err(blocking::RecvTimeoutError::Timeout) => {
                    let elapsed = since.elapsed();
                    if !started && elapsed >= DRIVEN_WITHIN {
                        not_driven(self);
                        return None;
                    }
                    if elapsed >= SILENCE
                        && let Some(say) = still_waiting.take()
                    {
                        say(timeout.saturating_sub(elapsed));
                    }
                }
            }
        }
    }

    #[cold]
    fn warn_not_driven(&self) {
        let counts = self.queue.counts();
        let _suppressed = SuppressGuard::enter();
        log!(
            warn,
            events = counts.queued + counts.in_flight,
            "not waiting for these events: the runtime that `spawn_on` was given is not driven while this thread \
             waits; call `shutdown().await` on that runtime, or leave out `spawn_on`",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_longer_than_the_timeout_says() {
        for timeout in [2, 4, 5, 10, 3_600].map(Duration::from_secs) {
            assert_eq!(longest_wait(timeout), timeout);
            assert!(for_the_network(timeout) >= timeout * 3 / 4);
        }
        // The answer to a short one takes its time too.
        let short = Duration::from_millis(100);
        assert_eq!(for_the_network(short), short);
        assert_eq!(longest_wait(short), short + GRACE);
        assert!(longest_wait(Duration::MAX) > Duration::from_secs(3_600));
    }
}
