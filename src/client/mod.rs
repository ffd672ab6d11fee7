//! [`PostHogClient`]: keys, host and the shared HTTP core.

#[cfg(feature = "rest")]
pub mod api;
mod batch;
mod builder;
mod chunks;
mod form;
#[cfg(feature = "rate-limit")]
mod limit;
#[cfg(feature = "rest")]
pub mod models;
#[cfg(feature = "rest")]
mod page;
#[cfg(feature = "rest")]
mod path;
#[cfg(feature = "rest")]
mod query;
mod request;

pub use batch::BatchSummary;
pub use builder::PostHogClientBuilder;
pub use chunks::Chunks;
pub use form::Form;
#[cfg(feature = "rate-limit")]
pub use limit::{EndpointClass, RateLimit, RateLimits};
#[cfg(feature = "rest")]
pub use page::{Items, Page, Pages};
#[cfg(feature = "rest")]
pub use query::{
    AsyncQuery, Query, QueryAnswer, QueryCheck, QueryNotice, QueryProgress, QueryStatus, Refresh,
    RunningQuery,
};
pub use request::{AnyQuery, Request};

use crate::config::Secret;
use crate::error::PostHogError;
use crate::http::Http;
use crate::http::breaker::CircuitState;
use std::sync::Arc;

/// A connection to one PostHog: its host, the keys, and one retrying HTTP core that everything shares.
///
/// Cheap to clone: clones share the `reqwest::Client`, its connections and the circuit breaker. The
/// client does no background work; [`EventCaptureBackend`](crate::EventCaptureBackend) does.
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
    pub(crate) http: Http,
    #[cfg(feature = "rate-limit")]
    pub(crate) limiter: Option<limit::Limiter>,
    /// Other names of the same PostHog, as URLs have them.
    #[cfg(feature = "rest")]
    pub(crate) aliases: Vec<String>,
}

impl PostHogClient {
    /// A client over your own `reqwest::Client`. A key that starts with `phx_` or `phs_` is for the
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
        if api_key.trim_start().starts_with("phx_") || api_key.trim_start().starts_with("phs_") {
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

    /// Reads `POSTHOG_API_KEY` (project API key), `POSTHOG_PERSONAL_API_KEY` and `POSTHOG_HOST`.
    ///
    /// # Errors
    /// [`PostHogError::Config`], naming the variable or setting, where one is malformed or no key is set.
    pub fn from_env() -> Result<Self, PostHogError> {
        PostHogClientBuilder::from_env()?.build()
    }

    /// What the circuit breaker is doing.
    pub fn circuit_state(&self) -> CircuitState {
        self.inner.http.breaker.current()
    }

    /// How long the circuit breaker refuses calls; `None`: it does not.
    pub(crate) fn breaker_wait(&self) -> Option<std::time::Duration> {
        self.inner.http.breaker.wait()
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
