//! Error tracking: errors, panics and `error!` events as PostHog's error tracking gets them.
#![cfg(feature = "errors")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/layers/mod.rs"]
mod layers;

mod mistakes;
mod selected;
