//! Catches panics of user code that runs within this crate, so that they cannot stop it.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs code that may panic. `None`: it did.
#[inline]
pub(crate) fn catch<T>(f: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
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
