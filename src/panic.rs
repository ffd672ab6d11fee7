//! Catches panics of user code that runs within this crate, so that they cannot stop it.

#[cfg(feature = "errors")]
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[cfg(feature = "errors")]
thread_local! {
    /// In how many [`catch`] this thread is.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// Whether a panic of this thread is caught here.
#[cfg(feature = "errors")]
pub(crate) fn is_caught() -> bool {
    DEPTH.try_with(Cell::get).is_ok_and(|depth| depth > 0)
}

/// Runs code that may panic. `None`: it did.
#[inline]
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Option<T> {
    #[cfg(feature = "errors")]
    let _ = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
    let result = catch_unwind(AssertUnwindSafe(f));
    #[cfg(feature = "errors")]
    let _ = DEPTH.try_with(|depth| depth.set(depth.get().saturating_sub(1)));
    match result {
        Ok(value) => Some(value),
        Err(thrown) => {
            discard(thrown);
            None
        }
    }
}

/// What was thrown may panic when it is dropped, and so may what that throws.
#[cold]
pub(crate) fn discard(thrown: Box<dyn std::any::Any + Send>) {
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(thrown))) {
        std::mem::forget(again);
    }
}
