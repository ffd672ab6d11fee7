//! [`PostHogGuard`]: shuts down when it is dropped.

use super::CaptureHandle;
use crate::capture::delivery::FlushReport;
use crate::capture::ledger::Stats;
use std::time::Duration;

/// Shuts the actor down when it is dropped, within the shutdown timeout (default 5 s).
///
/// Keep it in `main`, by a name: `let _ = …` drops it at once. After
/// [`shutdown`](Self::shutdown) nothing is left for the drop to do.
///
/// Dropping blocks the thread; in async code prefer `guard.shutdown().await`. Where PostHog does not answer soon, the
/// drop logs at WARN what it waits for and for how long, and in the end what was lost. Nothing can flush when the
/// process ends by `std::process::exit` or a signal.
#[derive(Debug)]
#[must_use = "dropping the guard shuts capturing down; keep it for as long as events are captured"]
pub struct PostHogGuard {
    pub(super) handle: CaptureHandle,
}

impl PostHogGuard {
    /// The handle, to capture from code, flush, or read [`stats`](CaptureHandle::stats).
    pub fn handle(&self) -> &CaptureHandle {
        &self.handle
    }

    /// Waits until everything captured so far is settled; see [`CaptureHandle::flush`].
    pub async fn flush(&self) -> FlushReport {
        self.handle.flush().await
    }

    /// Waits until everything captured so far is settled; see [`CaptureHandle::flush_blocking`].
    pub fn flush_blocking(&self, timeout: Duration) -> FlushReport {
        self.handle.flush_blocking(timeout)
    }

    /// What became of every event so far.
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Delivers what is there and ends the actor; see [`CaptureHandle::shutdown`].
    pub async fn shutdown(self) -> FlushReport {
        self.handle.shutdown().await
    }
}

impl Drop for PostHogGuard {
    fn drop(&mut self) {
        if let Some(shared) = &self.handle.shared {
            // The actor says what was lost.
            let _ = shared.shut_down_aloud();
        }
    }
}
