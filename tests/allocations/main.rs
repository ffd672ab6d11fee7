//! How much the caller's thread allocates. A binary of its own, as it counts in the global allocator, of
//! which a binary has one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[cfg(feature = "errors")]
mod errors;
#[cfg(feature = "flags")]
mod flags;
mod memory_stays_flat;
mod sources_of_errors;
mod the_callers_thread;
