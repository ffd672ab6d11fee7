//! `capture_error`: exceptions from code.

use super::into::IntoException;
use crate::capture::CaptureHandle;
use crate::posthog::PostHog;

impl CaptureHandle {
    /// Captures an error as an exception: its types and texts, the stack of the caller, and the identity, groups and
    /// session of the current span. Returns at once.
    ///
    /// Works whether or not [`Errors`](crate::Errors) were set up; without, their defaults count.
    ///
    /// ```
    /// # use tracing_posthog::CaptureHandle;
    /// # fn f(posthog: &CaptureHandle) {
    /// if let Err(error) = std::fs::read("menu.json") {
    ///     posthog.capture_error(&error);
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn capture_error<M>(&self, error: impl IntoException<M>) {
        let _ = (error.into_exception(), std::panic::Location::caller());
    }
}

impl PostHog {
    /// Captures an error as an exception. See [`CaptureHandle::capture_error`].
    #[track_caller]
    pub fn capture_error<M>(&self, error: impl IntoException<M>) {
        self.handle().capture_error(error);
    }
}
