//! The capture backend: its settings and its start.
//!
//! [`CaptureBuilder`] checks the settings and puts the parts together: queue, encoder, protocol, spool and actor from
//! `capture`, over the http core of a client. It knows both; neither knows it.

mod builder;
mod start;

pub use builder::CaptureBuilder;
#[cfg(feature = "testing")]
pub(crate) use start::InMemory;
pub use start::start_event_capture_backend;

use crate::client::PostHogClient;

/// The background actor that delivers captured events to PostHog.
///
/// It batches by count, bytes and time, compresses, retries, keeps what cannot be delivered while there
/// is room, and counts what became of every event. It goes on receiving while it sends, so a slow or
/// failing PostHog never stops callers. Started by its [`builder`](Self::builder), talked to through a
/// [`CaptureHandle`](crate::CaptureHandle).
///
/// ```no_run
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// use std::time::Duration;
/// use tracing_posthog::{EventCaptureBackend, PostHogClient};
/// let posthog = EventCaptureBackend::builder(PostHogClient::from_env()?)
///     .default_property("app_version", env!("CARGO_PKG_VERSION"))
///     .flush_interval(Duration::from_secs(2))
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub enum EventCaptureBackend {}

impl EventCaptureBackend {
    /// Settings, over a client that has a project API key. The actor shares the client's
    /// `reqwest::Client`, retry policy and circuit breakers.
    pub fn builder(client: PostHogClient) -> CaptureBuilder {
        CaptureBuilder::new(Some(client))
    }
}
