//! Error tracking: errors, panics and `error!` events as PostHog's error tracking gets them.
#![cfg(feature = "errors")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/layers/mod.rs"]
mod layers;

#[path = "../shared/support/mod.rs"]
mod support;

mod adapters;
mod asynchronous;
#[cfg(target_os = "linux")]
mod builds;
mod by_hand;
mod duplicates;
mod forms;
#[cfg(target_os = "linux")]
mod frames;
mod grouping;
mod hooks;
mod identity;
mod limits;
mod list;
mod mistakes;
mod seen;
mod selected;
mod span_traces;
mod steps;
mod storm;
mod table;
mod test_kit;
mod trace_ids;
