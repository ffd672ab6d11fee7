//! The spool: events on disk while PostHog cannot be reached, and in the hands of the next process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/support/mod.rs"]
mod support;

mod crash;
mod full_disk;
mod spool;
mod spool_lease;
mod spool_special_files;
mod spool_trouble;
mod spool_turns;
mod spool_warning;
