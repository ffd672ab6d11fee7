//! What is sent.

use crate::error::{PostHogError, RequestError, RequestErrorKind};
use crate::http::Http;
use crate::http::retry::RetryPolicy;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use std::borrow::Cow;
use std::sync::Mutex;
use std::time::Duration;

/// Responses larger than this are not read as a whole.
pub(crate) const MAX_RESPONSE: usize = 64 << 20;
/// Of a response that refuses, no more than this is read: enough to say what is wrong.
pub(super) const MAX_REFUSAL: usize = 1 << 20;

/// What of a PostHog a request goes to. Each has a circuit breaker of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Destination {
    /// Where events are sent, such as `https://us.i.posthog.com`.
    Capture,
    /// The REST API, such as `https://us.posthog.com`.
    Api,
    /// Feature flags, which the host of events evaluates.
    #[cfg(feature = "flags")]
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    Flags,
}

/// How a request says who sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// By its own body or headers.
    Own,
    /// `Authorization: Bearer` with the personal API key.
    PersonalKey,
    /// The same with the key that reads definitions of flags.
    #[cfg(feature = "flags")]
    FlagsKey,
}

/// What a request carries.
pub(crate) enum Body {
    Empty,
    /// The same bytes in each attempt. The headers describe them.
    Bytes(Bytes),
    /// A stream that cannot be sent twice: one attempt, whatever the policy says.
    Once(Mutex<Option<reqwest::Body>>),
}

/// How the body of a 2xx response is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseMode {
    /// Read within the attempt and its time. A larger body is an error.
    Whole {
        /// In bytes.
        limit: usize,
    },
    /// Read within the attempt and its time, up to a limit in bytes; the rest is ignored.
    Start { limit: usize },
    /// An attempt ends with the head; the body is read as it comes.
    Stream,
}

/// Which redirects of a request are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// Those that keep host and method.
    SamePlace,
    /// Of a `GET` also one to the storage of a file, which gets nothing of ours: no key, no header, no cookie.
    ToStorage,
}

/// What a request is called, in errors and spans, and where it goes.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// What is being done, such as `capture batch`.
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) destination: Destination,
    /// Starts with a slash; percent-encoded.
    pub(crate) path: Cow<'static, str>,
}

/// Reads a response of any status and says that it is final although its status would be retried.
pub(crate) type FinalError = fn(&Http, &Endpoint, StatusCode, &[u8]) -> Option<PostHogError>;

/// One request, to be sent once or several times.
pub(crate) struct Request {
    pub(crate) endpoint: Endpoint,
    pub(crate) auth: Auth,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// Set where repeating is harmless although the method does not say so.
    pub(crate) idempotent: bool,
    /// How it is tried, where not as the client's settings say.
    pub(crate) tries: Option<Tries>,
    pub(crate) mode: ResponseMode,
    pub(crate) redirects: Redirects,
    pub(crate) final_error: Option<FinalError>,
    /// How many events it carries, for the attempt's span.
    pub(crate) events: Option<usize>,
}

/// How a request is tried.
#[derive(Debug, Clone)]
pub(crate) struct Tries {
    pub(crate) retry: RetryPolicy,
    pub(crate) attempt_timeout: Duration,
}

impl Request {
    pub(super) fn retry<'a>(&'a self, http: &'a Http) -> &'a RetryPolicy {
        self.tries.as_ref().map_or(&http.retry, |own| &own.retry)
    }

    pub(super) fn attempt_timeout(&self, http: &Http) -> Duration {
        let own = self.tries.as_ref();
        own.map_or(http.attempt_timeout, |own| own.attempt_timeout)
    }
}

impl Endpoint {
    /// The error of an attempt without a usable response.
    pub(crate) fn failed(
        &self,
        http: &Http,
        kind: RequestErrorKind,
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
        attempts: u32,
    ) -> PostHogError {
        PostHogError::RequestError(Box::new(RequestError {
            operation: self.operation,
            method: self.method.to_string(),
            path: http.clean(&self.path),
            kind,
            attempts,
            retry_after: None,
            source: source.map(|source| http.redactor.error(source)),
        }))
    }
}

/// A header that says of what kind a body is.
pub(crate) fn content_type(value: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(reqwest::header::CONTENT_TYPE, value)])
}
