//! The threads and moments in which this crate works for itself: what is emitted then, by hooks or by
//! the HTTP stack, is never captured.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Marks this thread until it is dropped, also while unwinding.
pub(crate) struct Quiet {
    before: bool,
}

impl Quiet {
    pub(crate) fn enter() -> Self {
        Self {
            before: QUIET.try_with(|q| q.replace(true)).unwrap_or(true),
        }
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = QUIET.try_with(|q| q.set(self.before));
    }
}

/// Whether this thread is marked. A thread that is going away counts as not marked.
#[inline]
pub(crate) fn is_quiet() -> bool {
    QUIET.try_with(Cell::get).unwrap_or(false)
}

/// Marks the thread while the future is polled, whichever thread that is.
pub(crate) struct Quietly<F>(pub(crate) Pin<Box<F>>);

impl<F: Future> Future for Quietly<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _quiet = Quiet::enter();
        self.0.as_mut().poll(cx)
    }
}
