//! Settings of captured events: those of the program under test.

use super::memory::{Memory, WAITING};
use super::{CapturedEvents, Options};
use crate::backend::{CaptureBuilder, EventCaptureBackend};
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::layer::PostHogLayerBuilder;
use std::fmt;
use std::sync::Arc;

/// Settings of [`CapturedEvents`], made by [`CapturedEvents::builder`].
///
/// Give it the functions that your program calls with its own builders. Then a test sees what PostHog would get:
///
/// ```
/// use tracing_posthog::testing::CapturedEvents;
/// use tracing_posthog::{CaptureBuilder, PostHogLayerBuilder};
///
/// // The program calls these from `main`.
/// fn settings(capture: CaptureBuilder) -> CaptureBuilder {
///     capture.default_property("app_version", "1.2.3").before_send(|mut event| {
///         event.properties.remove("email");
///         Some(event)
///     })
/// }
/// fn options(layer: PostHogLayerBuilder) -> PostHogLayerBuilder {
///     layer.distinct_id("the only user")
/// }
///
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// let captured = CapturedEvents::builder().capture(settings).layer(options).build()?;
/// captured.in_scope(|| tracing::info!(posthog.event = "signup", email = "ada@example.com"));
///
/// let signup = captured.find("signup").expect("a signup");
/// assert_eq!(signup.distinct_id, "the only user");
/// assert_eq!(signup.properties["app_version"], "1.2.3");
/// assert!(!signup.properties.contains_key("email"));
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is captured until it is built"]
pub struct CapturedEventsBuilder {
    capture: Box<dyn FnOnce(CaptureBuilder) -> CaptureBuilder>,
    layer: Options,
}

impl CapturedEventsBuilder {
    pub(super) fn new() -> Self {
        Self {
            capture: Box::new(|capture| capture),
            layer: Arc::new(|layer| layer),
        }
    }

    /// Sets how events are captured. Everything that changes events or decides about them counts: hooks, default
    /// properties, [`geoip`](CaptureBuilder::geoip), [`event_bytes`](CaptureBuilder::event_bytes),
    /// [`clock`](CaptureBuilder::clock), [`disabled`](CaptureBuilder::disabled),
    /// [`historical_migration`](CaptureBuilder::historical_migration), and how the [`protocol`](CaptureBuilder::protocol)
    /// limits ids. Settings of the queue, batches, requests and the spool have no effect: nothing is sent, and nothing
    /// is written to disk.
    ///
    /// Hooks run when events are looked at or flushed, on the thread that does so.
    pub fn capture(
        mut self,
        settings: impl FnOnce(CaptureBuilder) -> CaptureBuilder + 'static,
    ) -> Self {
        self.capture = Box::new(settings);
        self
    }

    /// Sets the options of the layers that [`layer`](CapturedEvents::layer), [`scope`](CapturedEvents::scope) and the
    /// like make.
    pub fn layer(
        mut self,
        options: impl Fn(PostHogLayerBuilder) -> PostHogLayerBuilder + Send + Sync + 'static,
    ) -> Self {
        self.layer = Arc::new(options);
        self
    }

    /// Nothing captured yet, with these settings.
    ///
    /// # Errors
    /// [`PostHogError::Config`] where a setting cannot be meant, as from
    /// [`CaptureBuilder::start`](crate::CaptureBuilder::start).
    pub fn build(self) -> Result<CapturedEvents, PostHogError> {
        // Never asked for anything.
        let client = PostHogClient::builder()
            .project_api_key("phc_test")
            .host("http://127.0.0.1:9")
            .build()?;
        let settings = (self.capture)(EventCaptureBackend::builder(client)).in_memory()?;
        let (memory, handle) = Memory::start(settings, WAITING);
        Ok(CapturedEvents::over(memory, handle, self.layer))
    }
}

impl fmt::Debug for CapturedEventsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CapturedEventsBuilder")
            .finish_non_exhaustive()
    }
}
