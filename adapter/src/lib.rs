//! `tracing-posthog` behind the HTTP contract of PostHog's SDK compliance suite: the suite says what to do,
//! this program does it with the crate, and the suite watches what reaches its mock of PostHog.
//!
//! One request, one call of the crate's public API; nothing here sends, retries or encodes by itself.

#![forbid(unsafe_code)]

mod contract;
mod instance;
mod options;
mod refusal;
mod requests;
mod routes;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use options::{Codec, Options, Protocol};
pub use routes::router;

/// A panic elsewhere leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
