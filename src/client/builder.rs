//! All settings of a client: [`PostHogClientBuilder`]. [`keys`] checks its keys together.

mod keys;

use super::{Inner, PostHogClient};
use crate::announcement::Announcement;
#[cfg(feature = "rest")]
use crate::config::host_name;
use crate::config::{Base, Hosts, Region, Secret, environment, shown_host};
use crate::error::PostHogError;
#[cfg(feature = "flags")]
use crate::flags::{Core, FlagMode, FlagSettings};
use crate::http::breaker::CircuitBreaker;
use crate::http::retry::RetryPolicy;
use crate::http::{Breakers, Http};
use crate::redact::Redactor;
#[cfg(feature = "rate-limit")]
use crate::rest::limit::{Limiter, RateLimits};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Settings of a [`PostHogClient`]. Everything is checked in [`build`](Self::build), nothing before.
///
/// | setting | default |
/// |---|---|
/// | [`region`](Self::region), [`host`](Self::host) | PostHog Cloud US |
/// | [`rest_host`](Self::rest_host) | that of `region` or `host` |
/// | [`retry`](Self::retry) | 6 attempts, 100 ms doubling, at most 30 s |
/// | [`circuit_breaker`](Self::circuit_breaker) | one per [`Destination`](crate::Destination); opens after 5 failures in a row, for 30 s |
/// | [`attempt_timeout`](Self::attempt_timeout) | 30 s |
/// | [`connect_timeout`](Self::connect_timeout) | 10 s |
#[derive(Clone)]
#[must_use]
pub struct PostHogClientBuilder {
    project_api_key: Option<(&'static str, String)>,
    personal_api_key: Option<(&'static str, String)>,
    #[cfg(feature = "flags")]
    feature_flags_secret_key: Option<(&'static str, String)>,
    region: Option<Region>,
    host: Option<(&'static str, String)>,
    rest_host: Option<(&'static str, String)>,
    http: Option<reqwest::Client>,
    headers: Vec<(String, String)>,
    retry: RetryPolicy,
    breaker: CircuitBreaker,
    attempt_timeout: Duration,
    connect_timeout: Duration,
    #[cfg(feature = "rest")]
    aliases: Vec<String>,
    #[cfg(feature = "rate-limit")]
    rate_limits: Option<RateLimits>,
    #[cfg(feature = "flags")]
    flags: FlagSettings,
    #[cfg(test)]
    pub(crate) fake: Option<crate::http::fake::FakeNetwork>,
}

impl Default for PostHogClientBuilder {
    fn default() -> Self {
        Self {
            project_api_key: None,
            personal_api_key: None,
            #[cfg(feature = "flags")]
            feature_flags_secret_key: None,
            region: None,
            host: None,
            rest_host: None,
            http: None,
            headers: Vec::new(),
            retry: RetryPolicy::default(),
            breaker: CircuitBreaker::default(),
            attempt_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            #[cfg(feature = "rest")]
            aliases: Vec::new(),
            #[cfg(feature = "rate-limit")]
            rate_limits: None,
            #[cfg(feature = "flags")]
            flags: FlagSettings::default(),
            #[cfg(test)]
            fake: None,
        }
    }
}

impl fmt::Debug for PostHogClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostHogClientBuilder")
            .field("region", &self.region)
            .field(
                "host",
                &self.host.as_ref().map(|(_, host)| shown_host(host)),
            )
            .field(
                "rest_host",
                &self.rest_host.as_ref().map(|(_, host)| shown_host(host)),
            )
            .field("retry", &self.retry)
            .field("circuit_breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

impl PostHogClientBuilder {
    /// Starts from `POSTHOG_API_KEY`, `POSTHOG_PERSONAL_API_KEY`, `POSTHOG_HOST` and `POSTHOG_REST_HOST`, with the feature
    /// `flags` also from `POSTHOG_FEATURE_FLAGS_SECRET_KEY`; unset and empty variables leave the default.
    ///
    /// # Errors
    /// [`PostHogError::Config`] where a variable is not UTF-8.
    pub fn from_env() -> Result<Self, PostHogError> {
        Self::default().or_env()
    }

    /// Reads the same variables for what is unset. A region or host leaves the variables of hosts unread: they belong
    /// together.
    pub(crate) fn or_env(mut self) -> Result<Self, PostHogError> {
        let read =
            |name| Ok::<_, PostHogError>(environment::variable(name)?.map(|value| (name, value)));
        if self.project_api_key.is_none() {
            self.project_api_key = read(environment::PROJECT_KEY)?;
        }
        if self.personal_api_key.is_none() {
            self.personal_api_key = read(environment::PERSONAL_KEY)?;
        }
        #[cfg(feature = "flags")]
        if self.feature_flags_secret_key.is_none() {
            self.feature_flags_secret_key = read(environment::FLAGS_KEY)?;
        }
        if self.region.is_none() && self.host.is_none() {
            self.host = read(environment::HOST)?;
            if self.rest_host.is_none() {
                self.rest_host = read(environment::REST_HOST)?;
            }
        }
        Ok(self)
    }

    /// The project API key (`phc_…`), which sends events.
    pub fn project_api_key(mut self, key: impl Into<String>) -> Self {
        self.project_api_key = Some(("project_api_key", key.into()));
        self
    }

    /// The personal API key (`phx_…`), project secret key (`phs_…`) or OAuth access token (`pha_…`), which the REST API
    /// asks for.
    pub fn personal_api_key(mut self, key: impl Into<String>) -> Self {
        self.personal_api_key = Some(("personal_api_key", key.into()));
        self
    }

    /// The key that reads the definitions of feature flags, to [evaluate them here](crate::FlagMode): a secret key of the
    /// project (`phs_…`), or a personal API key (`phx_…`) with the scope `feature_flag:read`. Default: the
    /// [`personal_api_key`](Self::personal_api_key), unless that is an OAuth access token.
    ///
    /// It is sent to the host of events, which evaluates flags too. Definitions also need the
    /// [`project_api_key`](Self::project_api_key).
    ///
    /// ```
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// let client = tracing_posthog::PostHogClient::builder()
    ///     .project_api_key("phc_example")
    ///     .feature_flags_secret_key("phs_example")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "flags")]
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    pub fn feature_flags_secret_key(mut self, key: impl Into<String>) -> Self {
        self.feature_flags_secret_key = Some(("feature_flags_secret_key", key.into()));
        self
    }

    /// The region of PostHog Cloud. Default [`Region::Us`].
    pub fn region(mut self, region: Region) -> Self {
        self.region = Some(region);
        self
    }

    /// Where your PostHog is, if that is not PostHog Cloud US: `https://eu.i.posthog.com`, the address of a server of
    /// your own, or that of a reverse proxy. A path prefix stays. PostHog Cloud's web addresses
    /// (`https://eu.posthog.com`) are understood too. Empty means the default.
    ///
    /// Events go there, and REST calls too, unless there is a [`rest_host`](Self::rest_host). An endpoint at the end,
    /// such as `/batch` or `/i/v0/e`, is removed, and a warning at the start says so: the crate adds the paths itself.
    #[doc(alias = "api_host")]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(("host", host.into()));
        self
    }

    /// Where the REST API answers, if that is not where events go: `https://eu.posthog.com`, where
    /// [`host`](Self::host) is a reverse proxy that passes on events only. Empty means where `host` or
    /// [`region`](Self::region) says; a client that sends events needs one of them too.
    ///
    /// PostHog's JavaScript SDK calls these two `api_host` (events) and `ui_host`.
    ///
    /// ```
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// let client = tracing_posthog::PostHogClient::builder()
    ///     .project_api_key("phc_example")
    ///     .personal_api_key("phx_example")
    ///     .host("https://e.example.com") // events, by a proxy
    ///     .rest_host("https://eu.posthog.com")
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "ui_host")]
    pub fn rest_host(mut self, host: impl Into<String>) -> Self {
        self.rest_host = Some(("rest_host", host.into()));
        self
    }

    /// Your own `reqwest::Client`, with its TLS, proxies and pool. Default: one of its own, set up at
    /// the first request.
    ///
    /// Requests of this crate run on a thread of their own, whoever built the client. Connections that you opened
    /// with the same client belong to your runtime, and may be reused here: where your runtime is not driven, such a
    /// request waits for its attempt timeout. Give this crate a client that nothing else uses.
    ///
    /// Give it `redirect::Policy::none()`, or a policy that follows 307 and 308 only. By default reqwest
    /// follows all redirects and turns a `POST` that meets a 301, 302 or 303 into a `GET`, which carries no
    /// events: they are then reported as refused, unless what answers there says that it took them. Such a client also
    /// follows redirects to [files](crate::rest::Request::file) in object storage, and takes its own headers and those of
    /// [`header`](Self::header) there.
    ///
    /// If your client does not follow them, files are fetched from object storage by a client of this crate, which adds no
    /// headers, but knows neither the proxy nor the certificates of yours: it has the proxies of the environment, and the
    /// TLS that this crate was built with.
    pub fn reqwest_client(mut self, client: reqwest::Client) -> Self {
        self.http = Some(client);
        self
    }

    /// A header for every request, such as one a proxy asks for. A value of six characters or more is taken for a
    /// secret: it is removed from errors and log lines even where a server echoes it, and so are the credentials after
    /// a scheme and the longer values of cookies in it. Headers of your own [`reqwest_client`](Self::reqwest_client)
    /// are not known here; give them to this method instead.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// How often and how patiently requests are tried.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// When to leave a failing PostHog alone for a while. Capturing, the REST API and requests for flags have a breaker
    /// each, with these settings.
    pub fn circuit_breaker(mut self, breaker: CircuitBreaker) -> Self {
        self.breaker = breaker;
        self
    }

    /// How long one attempt may take, from connecting to the last byte of the answer. Default 30 s.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.attempt_timeout = timeout;
        self
    }

    /// How long connecting may take, TLS included. Default 10 s. Your own
    /// [`reqwest_client`](Self::reqwest_client) keeps its own.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Another host name by which your PostHog calls itself in the `next` addresses of its lists, such
    /// as `us.posthog.com` behind a proxy of your own. Requests still go to the configured host only.
    ///
    /// Without it, a list whose next page is said to be at another host ends with
    /// [`PostHogError::Paging`].
    #[cfg(feature = "rest")]
    pub fn alias(mut self, host_name: impl Into<String>) -> Self {
        self.aliases.push(host_name.into());
        self
    }

    /// Waits before requests to the REST API that would exceed these limits. Default: none.
    #[cfg(feature = "rate-limit")]
    pub fn rate_limits(mut self, limits: RateLimits) -> Self {
        self.rate_limits = Some(limits);
        self
    }

    /// How [flags](PostHogClient::flags) are evaluated. Return the settings that the closure is given.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// let client = tracing_posthog::PostHogClient::builder()
    ///     .project_api_key("phc_example")
    ///     .feature_flags_secret_key("phs_example") // reads definitions
    ///     .flags(|flags| flags.poll_interval(Duration::from_secs(60)))
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "flags")]
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    pub fn flags(mut self, settings: impl FnOnce(FlagSettings) -> FlagSettings) -> Self {
        self.flags = settings(self.flags);
        self
    }

    pub(crate) fn has_project_key(&self) -> bool {
        self.project_api_key.is_some()
    }

    /// Checks everything and makes the client. Connects to nothing.
    ///
    /// Settings that are unusual, or taken in another way than they were written, are no error: a key without PostHog's
    /// prefix, an endpoint at the end of a host. A warning of the target `tracing_posthog` says so once, as soon as
    /// there is a subscriber.
    ///
    /// # Errors
    /// [`PostHogError::Config`], naming the setting or variable: no key at all, a key that can never be right (empty, in
    /// quotes, a placeholder, a template that nothing filled in), a key of the other kind, flags that are to be evaluated
    /// [here only](crate::FlagMode) without a key that reads their definitions, a host that is no URL, both a
    /// region and a host, a [`rest_host`](Self::rest_host) beside which nothing says where events go, an alias that is
    /// no host name, a malformed header, a timeout of zero; with the feature `rustls-no-provider` a program that has no
    /// crypto provider; without any TLS in the program an `https` host. The last two do not count for a
    /// [`reqwest_client`](Self::reqwest_client) of your own.
    pub fn build(self) -> Result<PostHogClient, PostHogError> {
        if self.project_api_key.is_none() && self.personal_api_key.is_none() {
            return Err(PostHogError::config(
                "project_api_key",
                "no key is given; set POSTHOG_API_KEY or call `project_api_key` to send events, \
                 POSTHOG_PERSONAL_API_KEY or `personal_api_key` to use the REST API",
            ));
        }
        #[cfg(feature = "flags")]
        if self.flags.mode == FlagMode::LocalOnly && self.project_api_key.is_none() {
            return Err(keys::local_only_lacks(
                "the project API key (phc_…); give it with `project_api_key` or POSTHOG_API_KEY",
            ));
        }
        self.build_with_any_keys()
    }

    /// The same, also without a key: then the calls say which one they lack.
    pub(crate) fn build_with_any_keys(self) -> Result<PostHogClient, PostHogError> {
        let announcement = Announcement::default();
        let hosts = self.hosts(&announcement)?;
        for (setting, timeout) in [
            ("attempt_timeout", self.attempt_timeout),
            ("connect_timeout", self.connect_timeout),
        ] {
            if timeout.is_zero() {
                return Err(PostHogError::config(setting, "must be longer than zero"));
            }
        }
        let mut headers = HeaderMap::new();
        for (n, (name, value)) in self.headers.iter().enumerate() {
            // Name and value may be swapped: neither is shown.
            let bad = |what| {
                PostHogError::config(
                    "header",
                    format!("header number {}: its {what} is malformed", n + 1),
                )
            };
            let mut value = HeaderValue::try_from(value).map_err(|_| bad("value"))?;
            // It may be a credential: then `Debug` must not show it.
            value.set_sensitive(true);
            headers.append(HeaderName::try_from(name).map_err(|_| bad("name"))?, value);
        }
        #[cfg(feature = "flags")]
        self.flags.check()?;
        let keys = self.keys(&hosts, &announcement)?;
        let values = self.headers.iter().map(|(_, value)| value.as_str());
        let redactor = Redactor::new(keys.all().map(Secret::reveal), values);
        let http = Arc::new(Http {
            bare_client: Default::default(),
            client_panicked: Default::default(),
            foreign_client: self.http.is_some(),
            client: Mutex::new(self.http),
            hosts,
            project_key: keys.project,
            personal_key: keys.personal,
            #[cfg(feature = "flags")]
            flags_key: keys.flags,
            redactor,
            headers,
            retry: self.retry,
            breakers: Breakers::new(&self.breaker, self.attempt_timeout),
            attempt_timeout: self.attempt_timeout,
            connect_timeout: self.connect_timeout,
            io: Default::default(),
            announcement: Arc::new(announcement),
            #[cfg(test)]
            fake: self.fake,
        });
        let client = PostHogClient {
            inner: Arc::new(Inner {
                direct: Mutex::default(),
                #[cfg(feature = "rest")]
                aliases: self
                    .aliases
                    .iter()
                    .map(|alias| host_name("alias", alias))
                    .collect::<Result<_, _>>()?,
                #[cfg(feature = "rate-limit")]
                limiter: self.rate_limits.as_ref().map(Limiter::new),
                #[cfg(feature = "flags")]
                flags: Arc::new(Core::of_client(self.flags, http.clone())),
                http,
            }),
        };
        client.inner.http.check_tls()?;
        client.inner.http.announcement.say();
        Ok(client)
    }

    /// Where events go and where the REST API answers.
    fn hosts(&self, announcement: &Announcement) -> Result<Hosts, PostHogError> {
        let given = |host: &Option<(&'static str, String)>| {
            let host = host.clone().unwrap_or_default();
            (!host.1.trim().is_empty()).then_some(host)
        };
        let (host, rest_host) = (given(&self.host), given(&self.rest_host));
        let is_default = self.region.is_none() && host.is_none();
        let mut hosts = match (self.region, host) {
            (Some(_), Some((setting, _))) => {
                return Err(PostHogError::config(
                    setting,
                    "both a region and a host are given; give one of them",
                ));
            }
            (region, None) => region.unwrap_or_default().into(),
            (None, Some((setting, host))) => {
                let read = Hosts::parse(setting, &host)?;
                announcement.warn_of(read.notice);
                read.value
            }
        };
        if let Some((setting, host)) = rest_host {
            if is_default && self.project_api_key.is_some() {
                return Err(PostHogError::config(
                    setting,
                    "this is for REST calls only, and nothing says where events go; \
                     give `host` (POSTHOG_HOST) or a region too",
                ));
            }
            let read = Base::rest(setting, &host)?;
            announcement.warn_of(read.notice);
            hosts.api = read.value;
        }
        Ok(hosts)
    }
}
