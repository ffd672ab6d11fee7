//! [`PostHogClient`]: keys, host and the shared HTTP core, for the REST API, the delivery of events and feature flags.
//!
//! - [`builder`]: all settings of a client; checks them and connects to nothing.
//! - [`batch`]: `capture_batch`, which uses the pipeline of `capture::delivery`.
//!
//! The methods of the REST API are in `rest`. This module knows `http` and, for `capture_batch`, `capture`; neither
//! knows it.
//!
//! Invariants:
//! - A key goes to the host that it is configured for, and shows in no error and no `Debug`.
//! - Calls work on any executor, and dropping their future cancels them.

mod batch;
mod builder;

pub use builder::PostHogClientBuilder;

use crate::capture::delivery::direct::DirectSettings;
use crate::config::{Secret, is_personal};
use crate::error::PostHogError;
use crate::http::breaker::CircuitState;
use crate::http::{Destination, Http};
use std::sync::{Arc, Mutex};

/// A connection to one PostHog: its host, the keys, and one retrying HTTP core that everything shares.
///
/// Cheap to clone: clones share the `reqwest::Client`, its connections and the circuit breakers.
///
/// Its methods work on any executor, and without one: all requests of a client run on a thread of its own
/// (`posthog-io`), which the first request starts and the last clone ends. Dropping the future of a call cancels the
/// call. No runtime of yours can hold up another's requests, nor the delivery of events.
///
/// ```
/// # use tracing_posthog::{PostHogClient, Region};
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// let client = PostHogClient::builder()
///     .project_api_key("phc_example") // sends events
///     .personal_api_key("phx_example") // asks the REST API
///     .region(Region::Eu)
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PostHogClient {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) http: Arc<Http>,
    /// How the backend of this client sends its events; see [`PostHogClient::capture_batch`].
    direct: Mutex<Option<DirectSettings>>,
    #[cfg(feature = "flags")]
    pub(crate) flags: Arc<crate::flags::Core>,
    #[cfg(feature = "rate-limit")]
    pub(crate) limiter: Option<crate::rest::limit::Limiter>,
    /// Other names of the same PostHog, as URLs have them.
    #[cfg(feature = "rest")]
    pub(crate) aliases: Vec<String>,
}

impl PostHogClient {
    /// A client over your own `reqwest::Client`. A key that starts with `phx_`, `phs_` or `pha_` is for the
    /// REST API, any other is a project API key and sends events. No base URL means PostHog Cloud US.
    ///
    /// Your client's connect timeout, proxy and redirect settings apply as they are; let it follow no
    /// redirects to other hosts, as those would be handed the key, and none that turns a `POST` into a `GET`,
    /// as that carries no events; see [`reqwest_client`](PostHogClientBuilder::reqwest_client).
    ///
    /// # Errors
    /// [`PostHogError::Config`] for a malformed key or URL.
    pub fn new(
        http: reqwest::Client,
        api_key: impl AsRef<str>,
        base_url: Option<&str>,
    ) -> Result<Self, PostHogError> {
        let api_key = api_key.as_ref();
        let builder = Self::builder()
            .reqwest_client(http)
            .host(base_url.unwrap_or_default());
        if is_personal(api_key) {
            builder.personal_api_key(api_key)
        } else {
            builder.project_api_key(api_key)
        }
        .build()
    }

    /// Starts from the defaults: PostHog Cloud US, no keys.
    pub fn builder() -> PostHogClientBuilder {
        PostHogClientBuilder::default()
    }

    /// Reads `POSTHOG_API_KEY` (project API key), `POSTHOG_PERSONAL_API_KEY`, `POSTHOG_HOST` and `POSTHOG_REST_HOST`.
    ///
    /// # Errors
    /// [`PostHogError::Config`], naming the variable or setting, where one is malformed or no key is set.
    pub fn from_env() -> Result<Self, PostHogError> {
        PostHogClientBuilder::from_env()?.build()
    }

    /// What the circuit breaker of a destination is doing.
    ///
    /// ```
    /// # use tracing_posthog::{CircuitState, Destination, PostHogClient};
    /// # fn f(client: &PostHogClient) {
    /// let is_healthy = client.circuit_state(Destination::Api) == CircuitState::Closed;
    /// # }
    /// ```
    pub fn circuit_state(&self, destination: Destination) -> CircuitState {
        self.inner.http.breakers.of(destination).current()
    }

    /// Feature flags by this client, as its [settings](PostHogClientBuilder::flags) say. Nothing is requested before the
    /// first use.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// // One request each time the flag cannot be decided in this process.
    /// let user = client.flags().evaluate("user_42").person("plan", "pro").keys(["beta-ui"]).await?;
    /// let beta = user.is_enabled("beta-ui");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "flags")]
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    pub fn flags(&self) -> crate::flags::FeatureFlags {
        crate::flags::FeatureFlags::over(self.inner.flags.clone())
    }

    pub(crate) fn has_project_key(&self) -> bool {
        self.inner.http.project_key.is_some()
    }

    pub(crate) fn require_project_key(&self) -> Result<&Secret, PostHogError> {
        self.inner.http.project_key.as_ref().ok_or_else(|| {
            PostHogError::config(
                "project_api_key",
                "sending events needs the project API key (phc_…); give it with `project_api_key` or POSTHOG_API_KEY",
            )
        })
    }
}
