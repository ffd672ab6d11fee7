//! The one road to PostHog: request → attempts → response.
//!
//! ```text
//! REST call ──► api_request_raw: breaker, attempts, backoff ─┐
//!                                                             ├─► attempt ──► reqwest   (all on `io`'s thread)
//! capture's actor ──► send_once: one attempt, scheduled there ┘
//! ```
//!
//! - [`request`]: what is sent: a destination, authentication and a body, each chosen by itself; and the response.
//! - [`attempt`]: sends once. A response of any status is a result; errors are those of the transport.
//! - [`retry`]: [`RetryPolicy`], a pure decision; [`call`]: the loop of attempts of REST calls.
//! - [`breaker`]: one circuit breaker per destination.
//! - [`io`]: the runtime that drives every socket of a client.
//! - [`stream`]: a body that is read as it comes.
//! - [`redirect`]: which redirects are followed, and how others are described. [`storage`]: files that PostHog keeps in
//!   object storage and redirects to.
//! - `tls`: the program's own crypto provider (feature `rustls-no-provider`). `no_tls`: whether there is any TLS.
//! - [`answer`], [`error_body`]: responses as JSON, and refusals as errors. [`numbers`]: what JSON has no numbers for.
//!
//! `capture_batch` also sends by `send_once`: it schedules its attempts itself, with the same policy and breaker as the
//! actor. So does the poller of flag definitions, which backs off by itself and knows no breaker. This module knows nothing
//! of capture, queries or tests: what a response means beyond its status is decided by functions of those who asked.
//!
//! Invariants: nothing is sent but by [`attempt`]; every socket belongs to [`io`]; text of a response is cleaned
//! ([`Http::clean`]) before it may be shown; a body is read up to a limit, unless the caller reads it as a stream.

pub(crate) mod answer;
mod attempt;
pub(crate) mod breaker;
mod call;
mod error_body;
#[cfg(test)]
pub(crate) mod fake;
pub(crate) mod io;
#[cfg(not(any(
    feature = "rustls",
    feature = "rustls-no-provider",
    feature = "native-tls"
)))]
mod no_tls;
pub(crate) mod numbers;
mod redirect;
pub(crate) mod request;
mod response;
pub(crate) mod retry;
mod span;
mod storage;
mod stream;
// With the feature `rustls` reqwest has a provider.
#[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
mod tls;

pub(crate) use attempt::{Visibility, kind_of_body};
pub(crate) use redirect::Redirect;
#[cfg(feature = "flags")]
pub(crate) use request::Tries;
pub(crate) use request::{Auth, Body, Destination, Endpoint, Redirects, Request, ResponseMode};
pub(crate) use response::Response;
pub(crate) use storage::{By, is_page};
pub(crate) use stream::{BodyStream, StreamError};

use crate::announcement::Announcement;
use crate::config::{Hosts, Secret};
use crate::error::PostHogError;
use crate::redact::Redactor;
use breaker::Breaker;
use io::Io;
use reqwest::header::HeaderMap;
use retry::RetryPolicy;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What this crate calls itself in requests.
pub(crate) const USER_AGENT_VALUE: &str =
    concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// One year: effectively for ever, and safe to add to `Instant::now()`.
pub(crate) const FOREVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// What all requests of one client share.
#[derive(Debug)]
pub(crate) struct Http {
    /// Built by the first request unless the caller gave one: loading TLS roots takes tens of milliseconds, which
    /// nobody's `main` should wait for.
    pub(crate) client: Mutex<Option<reqwest::Client>>,
    /// Asks the storage of files, where the client above is the caller's: that one may add headers of its own.
    pub(crate) bare_client: Mutex<Option<reqwest::Client>>,
    /// Whether a request panicked since it was built.
    pub(crate) client_panicked: AtomicBool,
    /// Whether the caller gave it: it follows redirects by a rule of its own.
    pub(crate) foreign_client: bool,
    pub(crate) hosts: Hosts,
    pub(crate) personal_key: Option<Secret>,
    /// Stands in the bodies and headers that capturing makes.
    pub(crate) project_key: Option<Secret>,
    /// Reads the definitions of flags.
    #[cfg(feature = "flags")]
    pub(crate) flags_key: Option<Secret>,
    /// Knows the keys and the values of `headers`.
    pub(crate) redactor: Redactor,
    pub(crate) headers: HeaderMap,
    pub(crate) retry: RetryPolicy,
    pub(crate) breakers: Breakers,
    pub(crate) attempt_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) io: Io,
    /// What is to be said of these settings.
    pub(crate) announcement: Arc<Announcement>,
    /// Stands in for the network in tests that drive time.
    #[cfg(test)]
    pub(crate) fake: Option<fake::FakeNetwork>,
}

/// One circuit breaker per destination: a failing REST API stops no events, and failing events stop no REST call.
#[derive(Debug)]
pub(crate) struct Breakers {
    capture: Arc<Breaker>,
    api: Arc<Breaker>,
    #[cfg(feature = "flags")]
    flags: Arc<Breaker>,
}

impl Breakers {
    pub(crate) fn new(config: &breaker::CircuitBreaker, attempt_timeout: Duration) -> Self {
        Self {
            capture: Arc::new(Breaker::new(config.clone(), attempt_timeout)),
            api: Arc::new(Breaker::new(config.clone(), attempt_timeout)),
            #[cfg(feature = "flags")]
            flags: Arc::new(Breaker::new(config.clone(), attempt_timeout)),
        }
    }

    pub(crate) fn of(&self, destination: Destination) -> &Arc<Breaker> {
        match destination {
            Destination::Capture => &self.capture,
            Destination::Api => &self.api,
            #[cfg(feature = "flags")]
            Destination::Flags => &self.flags,
        }
    }
}

impl Http {
    /// Starts the thread of requests, where it does not run yet.
    pub(crate) fn start(&self) -> std::io::Result<()> {
        #[cfg(test)]
        if self.fake.is_some() {
            return Ok(());
        }
        self.io.start().map(drop)
    }

    /// `text` without keys and the values of configured headers.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.redactor.text(text)
    }

    /// An error where TLS cannot be set up in this program.
    pub(crate) fn check_tls(&self) -> Result<(), PostHogError> {
        #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
        if !self.foreign_client {
            tls::check()?;
        }
        #[cfg(not(any(
            feature = "rustls",
            feature = "rustls-no-provider",
            feature = "native-tls"
        )))]
        if !self.foreign_client {
            let Hosts { capture, api } = &self.hosts;
            no_tls::check([&capture.to_string(), &api.to_string()])?;
        }
        Ok(())
    }

    fn client(&self) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
        if self.client_panicked.swap(false, Relaxed) {
            // One that the caller gave cannot be built again.
            if !self.foreign_client {
                *locked(&self.client) = None;
            }
            *locked(&self.bare_client) = None;
        }
        self.kept_or_new(&self.client)
    }

    /// A client that adds nothing to a request.
    fn bare_client(&self) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
        if !self.foreign_client {
            return self.client();
        }
        self.kept_or_new(&self.bare_client)
    }

    fn kept_or_new(
        &self,
        slot: &Mutex<Option<reqwest::Client>>,
    ) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
        let mut slot = locked(slot);
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let client = self.new_client()?;
        *slot = Some(client.clone());
        Ok(client)
    }

    fn new_client(&self) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
        let client = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::custom(redirect::policy))
            .tcp_nodelay(true);
        #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
        let client = tls::configure(client)?;
        Ok(client.build()?)
    }
}

fn locked<T>(slot: &Mutex<T>) -> MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
