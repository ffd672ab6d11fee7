//! The peer that this build has: it loads definitions, and evaluates.

#[cfg(feature = "flags-posthog-rs")]
#[path = "posthog_rs.rs"]
mod chosen;
#[cfg(feature = "flags-tracing-posthog")]
#[path = "tracing_posthog.rs"]
mod chosen;

pub use chosen::{ENTRIES, Loaded, User, set_clock, user};
