//! Settings of all three parts, and their start.

use super::PostHog;
use crate::backend::CaptureBuilder;
use crate::capture::CaptureHandle;
use crate::client::{PostHogClient, PostHogClientBuilder};
use crate::config::Region;
use crate::config::environment;
use crate::error::PostHogError;
use crate::event::Event;
use crate::layer::{PostHogLayer, PostHogLayerBuilder, SpanFields};
use crate::trace_ids::TraceIds;
use serde_json::Value;
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// Settings of a [`PostHog`] and its layer, made by [`PostHog::builder`].
///
/// Each method is short for one of the three parts' own builders, which [`client`](Self::client),
/// [`capture`](Self::capture) and [`layer`](Self::layer) reach for the rest. A setting that is made twice has its last
/// value. Everything is checked at the start.
///
/// | setting | of the builder | default |
/// |---|---|---|
/// | [`project_api_key`](Self::project_api_key), [`personal_api_key`](Self::personal_api_key) | [client](PostHogClientBuilder) | none |
/// | [`region`](Self::region), [`host`](Self::host) | client | PostHog Cloud US |
/// | [`default_property`](Self::default_property), [`before_send`](Self::before_send) | [capture](CaptureBuilder) | none |
/// | [`flush_interval`](Self::flush_interval) | capture | 5 s |
/// | [`shutdown_timeout`](Self::shutdown_timeout) | capture | 5 s |
/// | `spool` (feature `spool`) | capture | none |
/// | [`disabled`](Self::disabled) | capture | `false` |
/// | `flags` (feature `flags`) | client | evaluated here where a key may read definitions |
/// | `errors` (feature `errors`) | layer | none |
/// | [`max_level`](Self::max_level) | [layer](PostHogLayerBuilder) | `INFO` |
/// | [`span_fields`](Self::span_fields) | layer | none |
/// | [`trace_ids`](Self::trace_ids) | layer | none |
///
/// ```no_run
/// use std::time::Duration;
/// use tracing_posthog::{PostHog, Region, RetryPolicy, SpanFields};
///
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// let (layer, posthog) = PostHog::builder()
///     .project_api_key("phc_your_key")
///     .region(Region::Eu)
///     .default_property("app_version", env!("CARGO_PKG_VERSION"))
///     .span_fields(SpanFields::named(["route"]))
///     .client(|client| client.retry(RetryPolicy::default().attempts(3)))
///     .capture(|capture| capture.queue_events(50_000))
///     .layer(|layer| layer.with_message(true))
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is captured until it is started"]
pub struct PostHogBuilder {
    client: PostHogClientBuilder,
    capture: CaptureBuilder,
    layer: PostHogLayerBuilder,
}

impl PostHogBuilder {
    pub(super) fn new() -> Self {
        Self {
            client: PostHogClient::builder(),
            capture: CaptureBuilder::new(None),
            layer: PostHogLayerBuilder::new(CaptureHandle::disabled()),
        }
    }

    /// All settings of the [client](PostHogClientBuilder): retries, timeouts, headers, your own `reqwest::Client`.
    ///
    /// ```
    /// # use tracing_posthog::PostHog;
    /// let builder = PostHog::builder().client(|client| client.header("x-proxy-token", "s3cret"));
    /// ```
    pub fn client(
        mut self,
        settings: impl FnOnce(PostHogClientBuilder) -> PostHogClientBuilder,
    ) -> Self {
        self.client = settings(self.client);
        self
    }

    /// All settings of [capturing](CaptureBuilder): queue, batches, protocol, hooks, clock. Return the builder that the
    /// closure is given; another one is an error at the start.
    ///
    /// ```
    /// # use tracing_posthog::{CaptureProtocol, PostHog};
    /// let builder = PostHog::builder().capture(|capture| capture.protocol(CaptureProtocol::Auto).flush_at(50));
    /// ```
    pub fn capture(mut self, settings: impl FnOnce(CaptureBuilder) -> CaptureBuilder) -> Self {
        self.capture = settings(self.capture);
        self
    }

    /// All options of the [layer](PostHogLayerBuilder): which properties it adds, the distinct id of a program with one
    /// user. Return the builder that the closure is given; another one is an error at the start.
    ///
    /// ```
    /// # use tracing_posthog::PostHog;
    /// let builder = PostHog::builder().layer(|layer| layer.with_target(true).distinct_id("host_1"));
    /// ```
    pub fn layer(
        mut self,
        options: impl FnOnce(PostHogLayerBuilder) -> PostHogLayerBuilder,
    ) -> Self {
        self.layer = options(self.layer);
        self
    }

    /// The project API key (`phc_…`), which sends events. See [`PostHogClientBuilder::project_api_key`].
    pub fn project_api_key(self, key: impl Into<String>) -> Self {
        self.client(|client| client.project_api_key(key))
    }

    /// The personal API key (`phx_…`) or project secret key (`phs_…`) for the REST API. See
    /// [`PostHogClientBuilder::personal_api_key`].
    pub fn personal_api_key(self, key: impl Into<String>) -> Self {
        self.client(|client| client.personal_api_key(key))
    }

    /// The key that reads the definitions of feature flags (`phs_…`). See
    /// [`PostHogClientBuilder::feature_flags_secret_key`].
    #[cfg(feature = "flags")]
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    pub fn feature_flags_secret_key(self, key: impl Into<String>) -> Self {
        self.client(|client| client.feature_flags_secret_key(key))
    }

    /// The region of PostHog Cloud. Default [`Region::Us`]. See [`PostHogClientBuilder::region`].
    pub fn region(self, region: Region) -> Self {
        self.client(|client| client.region(region))
    }

    /// The address of your own PostHog, or of a proxy in front of one. See [`PostHogClientBuilder::host`].
    pub fn host(self, host: impl Into<String>) -> Self {
        self.client(|client| client.host(host))
    }

    /// A property of every event that does not bring its own of that name. See [`CaptureBuilder::default_property`].
    pub fn default_property(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.capture(|capture| capture.default_property(name, value))
    }

    /// Looks at each event before it is sent, and may change it or, by `None`, drop it. See
    /// [`CaptureBuilder::before_send`].
    ///
    /// ```
    /// # use tracing_posthog::PostHog;
    /// let builder = PostHog::builder().before_send(|mut event| {
    ///     event.properties.remove("email");
    ///     Some(event)
    /// });
    /// ```
    pub fn before_send(
        self,
        hook: impl Fn(Event) -> Option<Event> + Send + Sync + 'static,
    ) -> Self {
        self.capture(|capture| capture.before_send(hook))
    }

    /// How long an event waits for its batch to fill. Default 5 s. See [`CaptureBuilder::flush_interval`].
    pub fn flush_interval(self, interval: Duration) -> Self {
        self.capture(|capture| capture.flush_interval(interval))
    }

    /// How long a shutdown, and the drop of the [`PostHog`], may take. Default 5 s. See
    /// [`CaptureBuilder::shutdown_timeout`].
    pub fn shutdown_timeout(self, timeout: Duration) -> Self {
        self.capture(|capture| capture.shutdown_timeout(timeout))
    }

    /// Keeps on disk what cannot be delivered now. Default: nothing is written to disk. See
    /// [`Spool`](crate::Spool).
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    pub fn spool(self, spool: crate::capture::Spool) -> Self {
        self.capture(|capture| capture.spool(spool))
    }

    /// Whether to capture nothing. Then no project API key is needed, nothing runs and events cost nothing; no feature flag
    /// is known, and none is asked for. The client works. Default `false`.
    pub fn disabled(self, disabled: bool) -> Self {
        self.capture(|capture| capture.disabled(disabled))
    }

    /// How feature flags are evaluated. See [`PostHogClientBuilder::flags`].
    #[cfg(feature = "flags")]
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    pub fn flags(
        self,
        settings: impl FnOnce(crate::flags::FlagSettings) -> crate::flags::FlagSettings,
    ) -> Self {
        self.client(|client| client.flags(settings))
    }

    /// The most verbose level at which analytics events are captured. Default `INFO`. See
    /// [`PostHogLayerBuilder::max_level`].
    pub fn max_level(self, level: impl Into<LevelFilter>) -> Self {
        self.layer(|layer| layer.max_level(level))
    }

    /// Which plain fields of enclosing spans become properties. Default none. See
    /// [`PostHogLayerBuilder::span_fields`].
    pub fn span_fields(self, fields: SpanFields) -> Self {
        self.layer(|layer| layer.span_fields(fields))
    }

    /// Gives all events of the layer `$trace_id` and `$span_id`. Default: none. See [`PostHogLayerBuilder::trace_ids`].
    ///
    /// ```
    /// # use tracing_posthog::{PostHog, TraceIds};
    /// # #[cfg(feature = "opentelemetry")]
    /// let builder = PostHog::builder().trace_ids(TraceIds::of_opentelemetry);
    /// ```
    pub fn trace_ids(self, ids: impl Fn() -> Option<TraceIds> + Send + Sync + 'static) -> Self {
        self.layer(|layer| layer.trace_ids(ids))
    }

    /// Makes exceptions of errors: of `error!` events, and of panics if the settings say so. Default: no event is an
    /// exception. See [`PostHogLayerBuilder::errors`].
    ///
    /// ```
    /// # use tracing_posthog::{Errors, PostHog};
    /// let builder = PostHog::builder().errors(Errors::new().panics(true));
    /// ```
    #[cfg(feature = "errors")]
    #[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
    pub fn errors(self, errors: crate::Errors) -> Self {
        self.layer(|layer| layer.errors(errors))
    }

    /// Checks all settings and starts capturing, with no look at the environment. A program that captures from code
    /// only ignores the layer: `let (_, posthog) = …`.
    ///
    /// # Errors
    /// [`PostHogError::Config`], naming the setting: no project API key (unless [`disabled`](Self::disabled)), a
    /// setting that [`PostHogClientBuilder::build`] or [`CaptureBuilder::start`] refuses;
    /// [`PostHogError::Start`] where the system gives no thread.
    pub fn start(self) -> Result<(PostHogLayer, PostHog), PostHogError> {
        self.layer.require_no_handle()?;
        let client = self.client.build_with_any_keys()?;
        let handle = self.capture.over(client.clone())?.start()?;
        let layer = self.layer.over(handle.clone()).build();
        Ok((layer, PostHog::from_parts(client, handle)))
    }

    /// Like [`start`](Self::start), with what is not set here from the environment: `POSTHOG_API_KEY`,
    /// `POSTHOG_PERSONAL_API_KEY`, with the feature `flags` `POSTHOG_FEATURE_FLAGS_SECRET_KEY`, and, where neither a region nor a host is set, `POSTHOG_HOST`. An empty variable
    /// counts as unset.
    ///
    /// Without a project API key, nothing is captured, and that is no error: tests and developers' machines need no
    /// key. The settings are checked all the same.
    ///
    /// # Errors
    /// As [`start`](Self::start), naming the variable where it is the variable that is malformed.
    pub fn start_from_env(mut self) -> Result<(PostHogLayer, PostHog), PostHogError> {
        self.client = self.client.or_env()?;
        if !self.client.has_project_key() {
            let absence = environment::absence(environment::PROJECT_KEY);
            #[cfg(feature = "flags")]
            let what = "no event is captured, and no feature flag is known";
            #[cfg(not(feature = "flags"))]
            let what = "no event is captured";
            let why = format!("disabled, {what}: {absence}");
            self = self.capture(|capture| capture.disabled_as(why));
        }
        self.start()
    }
}
