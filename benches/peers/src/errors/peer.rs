//! The peer that this build has.

#[cfg(feature = "errors-posthog-rs")]
#[path = "posthog_rs.rs"]
mod chosen;
#[cfg(feature = "errors-sentry")]
#[path = "sentry.rs"]
mod chosen;
#[cfg(feature = "errors-tracing-posthog")]
#[path = "tracing_posthog.rs"]
mod chosen;

pub use chosen::Peer;
