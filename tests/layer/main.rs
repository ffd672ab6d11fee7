//! The layer: which spans and events of `tracing` become events of PostHog, and with which properties. Each
//! test has a subscriber of its own, for its own thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/layers/mod.rs"]
mod layers;

mod context;
mod dropping_is_silent;
mod fields;
mod flags_on_events;
mod identity;
mod identity_mistakes;
mod large_integers;
mod macro_forms;
mod mapped_fields;
mod objects;
mod options;
mod panicking_and_reentrant_values;
mod profiles;
#[cfg(feature = "axum")]
mod request_context;
mod selection;
mod span_events;
mod span_ext;
mod special_events;
mod times;
mod two_layers;
mod warnings;
