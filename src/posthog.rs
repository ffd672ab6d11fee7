//! [`PostHog`]: the one object a program keeps.
//!
//! ```text
//! PostHog::builder() ──start──┬─► PostHogLayer ──► into the subscriber
//!   (client, capture, layer)  └─► PostHog ─┬─ handle ──► capture, flush, shutdown, stats
//!                                          └─ client ──► REST API, capture_batch
//! ```
//!
//! - [`builder`]: the settings that are set most, the builders of the three parts for the rest, and the start.
//!
//! This module knows all parts and decides nothing that one of them can decide: each setting, check and default has its
//! place in the part's own builder.
//!
//! Invariants:
//! - Dropping a [`PostHog`] shuts capturing down within the shutdown timeout, once.
//! - There is always a client, also where nothing is captured and where there is no key.

mod builder;

pub use builder::PostHogBuilder;

use crate::capture::{CaptureHandle, FlushReport, Stats};
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::layer::PostHogLayer;
use std::time::Duration;

/// What a program keeps of PostHog: the handle to capture with, the client for the REST API, and the promise to
/// deliver what is left.
///
/// Keep it in `main`, by a name (`let (layer, _) = …` drops it at once), or in your application's state. Dropping it
/// flushes and ends capturing, within the [shutdown timeout](crate::CaptureBuilder::shutdown_timeout) (default 5 s).
/// If PostHog does not answer within half a second, the drop logs at WARN what it waits for, and at the end what was
/// lost.
///
/// A drop blocks its thread: in async code call [`shutdown`](Self::shutdown) first, which leaves nothing for the drop
/// to do. Nothing is delivered when the process ends by `std::process::exit`, `abort` or an unhandled signal.
///
/// ```no_run
/// use tracing_posthog::{Event, PostHog};
/// use tracing_subscriber::prelude::*;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tracing_posthog::PostHogError> {
/// let (layer, posthog) = PostHog::builder()
///     .default_property("app_version", env!("CARGO_PKG_VERSION"))
///     .layer(|layer| layer.with_message(true))
///     .start_from_env()?;
/// tracing_subscriber::registry().with(layer).init();
///
/// posthog.handle().capture(Event::new("started").distinct_id("host_1"));
/// println!("{}", posthog.shutdown().await);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropping it shuts capturing down; keep it for as long as events are captured"]
pub struct PostHog {
    handle: CaptureHandle,
    client: PostHogClient,
    #[cfg(feature = "flags")]
    flags: crate::flags::FeatureFlags,
}

impl PostHog {
    /// Starts from the defaults: no keys, PostHog Cloud US, all settings as the three parts document them.
    pub fn builder() -> PostHogBuilder {
        PostHogBuilder::new()
    }

    /// Keeps a backend that you started yourself, with the client that it was started with.
    ///
    /// Most programs use [`builder`](Self::builder). This is for those that have a client already, or whose handle comes
    /// from elsewhere, such as from captured events in a test.
    ///
    /// ```no_run
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// use tracing_posthog::{EventCaptureBackend, PostHog, PostHogClient, PostHogLayer};
    ///
    /// let client = PostHogClient::from_env()?;
    /// let handle = EventCaptureBackend::builder(client.clone()).start()?;
    /// let layer = PostHogLayer::new(handle.clone());
    /// let posthog = PostHog::from_parts(client, handle);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_parts(client: PostHogClient, handle: CaptureHandle) -> Self {
        Self {
            #[cfg(feature = "flags")]
            flags: match client.has_project_key() && !handle.is_disabled() {
                true => client.flags().capture_to(handle.clone()),
                false => crate::flags::FeatureFlags::disabled(),
            },
            handle,
            client,
        }
    }

    /// The handle: captures from code, reports statistics, opts out and in. Clone it to pass it on.
    pub fn handle(&self) -> &CaptureHandle {
        &self.handle
    }

    /// The client: the REST API, and `capture_batch`. Clone it to pass it on.
    ///
    /// It is there even if nothing is captured. Calls that need a key which is not set return
    /// [`PostHogError::Config`], naming the key.
    ///
    /// ```no_run
    /// # #[cfg(feature = "rest")]
    /// # async fn f(posthog: &tracing_posthog::PostHog) -> Result<(), tracing_posthog::PostHogError> {
    /// let flag = posthog.client().project(12345).feature_flags().get(7).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn client(&self) -> &PostHogClient {
        &self.client
    }

    /// Feature flags by this PostHog's client. Accesses are captured by its handle.
    ///
    /// If there is no project API key, or PostHog is [disabled](PostHogBuilder::disabled), no flag has a value and nothing
    /// is requested. To evaluate flags without capturing, use [`client().flags()`](PostHogClient::flags).
    ///
    /// ```no_run
    /// # fn f(posthog: &tracing_posthog::PostHog) {
    /// let user = posthog.flags().evaluate_current().locally();
    /// if user.is_enabled("beta-ui") {
    ///     // …
    /// }
    /// # }
    /// ```
    #[cfg(feature = "flags")]
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    pub fn flags(&self) -> &crate::flags::FeatureFlags {
        &self.flags
    }

    /// Captures an error as an exception: see [`CaptureHandle::capture_error`].
    ///
    /// ```no_run
    /// # fn f(posthog: &tracing_posthog::PostHog) {
    /// if let Err(error) = std::fs::read("menu.json") {
    ///     posthog.capture_error(&error);
    /// }
    /// # }
    /// ```
    #[cfg(feature = "errors")]
    #[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
    #[track_caller]
    pub fn capture_error<M>(&self, error: impl crate::exceptions::IntoException<M>) {
        self.handle.capture_error(error);
    }

    /// Captures panics of all threads from here on, as [`Errors::panics`](crate::Errors::panics) does: see
    /// [`CaptureHandle::install_panic_hook`].
    #[cfg(feature = "errors")]
    #[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
    pub fn install_panic_hook(&self) {
        self.handle.install_panic_hook();
    }

    /// Whether events are captured: not disabled, not opted out and not shut down.
    pub fn is_enabled(&self) -> bool {
        self.handle.is_enabled()
    }

    /// What became of every event so far.
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// Waits until everything captured so far is delivered or dropped, at most for the flush timeout (default 10 s).
    /// See [`CaptureHandle::flush`].
    pub async fn flush(&self) -> FlushReport {
        self.handle.flush().await
    }

    /// Like [`flush`](Self::flush), but waits at most for `timeout`.
    pub async fn flush_within(&self, timeout: Duration) -> FlushReport {
        self.handle.flush_within(timeout).await
    }

    /// Like [`flush_within`](Self::flush_within), for code that is not async: blocks this thread for at most
    /// `timeout`.
    pub fn flush_blocking(&self, timeout: Duration) -> FlushReport {
        self.handle.flush_blocking(timeout)
    }

    /// Refuses further events, delivers what is there, at most for the shutdown timeout (default 5 s), and ends
    /// capturing. The REST API goes on working. See [`CaptureHandle::shutdown`].
    pub async fn shutdown(&self) -> FlushReport {
        self.handle.shutdown().await
    }

    /// Like [`shutdown`](Self::shutdown), but waits at most for `timeout`.
    pub async fn shutdown_within(&self, timeout: Duration) -> FlushReport {
        self.handle.shutdown_within(timeout).await
    }

    /// Like [`shutdown_within`](Self::shutdown_within), for code that is not async: blocks this thread for at most
    /// `timeout`.
    pub fn shutdown_blocking(&self, timeout: Duration) -> FlushReport {
        self.handle.shutdown_blocking(timeout)
    }
}

impl Drop for PostHog {
    fn drop(&mut self) {
        self.handle.shut_down_aloud();
    }
}

impl PostHogLayer {
    /// Starts everything from the environment: `POSTHOG_API_KEY` (the project API key), `POSTHOG_HOST` (default
    /// PostHog Cloud US), and `POSTHOG_PERSONAL_API_KEY` for the REST API. For settings of your own use
    /// [`PostHog::builder`], which ends in [`start_from_env`](PostHogBuilder::start_from_env).
    ///
    /// Without `POSTHOG_API_KEY` the layer is disabled: nothing is captured and nothing runs; see
    /// [`is_enabled`](Self::is_enabled). The [client](PostHog::client) works all the same.
    ///
    /// Keep the [`PostHog`] in `main`: dropping it delivers what is left, within 5 s.
    ///
    /// # Errors
    /// As [`PostHogBuilder::start_from_env`].
    pub fn from_env() -> Result<(Self, PostHog), PostHogError> {
        PostHog::builder().start_from_env()
    }
}
