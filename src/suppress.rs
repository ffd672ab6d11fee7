//! Suppression: what this crate's own threads, hooks and HTTP stack emit is never captured.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    static SUPPRESSED: Cell<bool> = const { Cell::new(false) };
}

/// Suppresses capturing on this thread until it is dropped, also while unwinding.
pub(crate) struct SuppressGuard {
    before: bool,
}

impl SuppressGuard {
    pub(crate) fn enter() -> Self {
        Self::set(true)
    }

    /// The opposite, for code of users that runs on a thread of this crate.
    pub(crate) fn lift() -> Self {
        Self::set(false)
    }

    fn set(suppressed: bool) -> Self {
        Self {
            before: SUPPRESSED
                .try_with(|s| s.replace(suppressed))
                .unwrap_or(suppressed),
        }
    }
}

impl Drop for SuppressGuard {
    fn drop(&mut self) {
        let _ = SUPPRESSED.try_with(|s| s.set(self.before));
    }
}

/// Whether capturing is suppressed on this thread. On a thread that is going away it is not.
#[inline]
pub(crate) fn is_suppressed() -> bool {
    SUPPRESSED.try_with(Cell::get).unwrap_or(false)
}

/// Suppresses capturing while the future is polled, whichever thread that is on.
pub(crate) struct Suppressed<F>(pub(crate) Pin<Box<F>>);

impl<F: Future> Future for Suppressed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _guard = SuppressGuard::enter();
        self.0.as_mut().poll(cx)
    }
}
