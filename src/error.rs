//! What can go wrong, and where it did.

use std::fmt;
use std::time::Duration;

/// Every error of this crate.
///
/// Each names the operation and the path it happened on. None of them ever holds a key, a token or
/// the body of a request.
///
/// ```
/// # use tracing_posthog::PostHogError;
/// fn worth_another_try_tomorrow(error: &PostHogError) -> bool {
///     error.is_retryable()
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostHogError {
    /// PostHog answered, and the answer was no.
    #[error(transparent)]
    ApiError(Box<ApiError>),
    /// No usable answer came: the connection failed, timed out or broke off.
    #[error(transparent)]
    RequestError(Box<RequestError>),
    /// A value could not be turned into JSON, or an answer not be read as the type asked for.
    #[error("{operation}: {what}")]
    #[non_exhaustive]
    SerializationError {
        /// What was being done, such as `capture batch`.
        operation: &'static str,
        /// Which value, and what was wrong with it.
        what: String,
        /// What the JSON library said.
        #[source]
        source: serde_json::Error,
    },
    /// The circuit breaker is open: PostHog failed too often in a row, so this call was not tried.
    #[error(
        "{operation}: not sent, the circuit breaker is open after repeated failures (next try in {retry_in:?})"
    )]
    #[non_exhaustive]
    CircuitOpen {
        /// What was being done, such as `capture batch`.
        operation: &'static str,
        /// How long until the breaker lets a probe through; zero while a probe is under way.
        retry_in: Duration,
    },
    /// A setting is wrong. Reported when a client, backend or layer is built, never later.
    #[error("{setting}: {problem}")]
    #[non_exhaustive]
    Config {
        /// Which setting, such as `host` or `POSTHOG_API_KEY`.
        setting: &'static str,
        /// What is wrong with it, and what to write instead.
        problem: String,
    },
    /// The background actor could not be started, or its thread could not be had.
    #[error("cannot start the capture backend: {source}")]
    #[non_exhaustive]
    Start {
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

impl PostHogError {
    pub(crate) fn config(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Config {
            setting,
            problem: problem.into(),
        }
    }

    /// Whether the same call may succeed later: transient transport errors, 408, 429, 5xx and an
    /// open circuit breaker.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ApiError(e) => crate::http::retry::is_retryable_status(e.status),
            Self::RequestError(e) => e.kind.is_transient(),
            Self::CircuitOpen { .. } => true,
            _ => false,
        }
    }

    /// The HTTP status of PostHog's answer, where there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::ApiError(e) => Some(e.status),
            _ => None,
        }
    }

    /// The answer was 404.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The answer was 429, still after all attempts.
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
    }
}

/// PostHog's own account of a refused request.
///
/// The REST API answers `{type, code, detail, attr}`; the capture endpoints answer plain text, which
/// becomes `detail`.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ApiError {
    /// What was being done, such as `capture batch`.
    pub operation: &'static str,
    /// The request's method.
    pub method: String,
    /// The request's path, without host and query.
    pub path: String,
    /// The HTTP status.
    pub status: u16,
    /// PostHog's `type`, such as `validation_error`.
    pub kind: Option<String>,
    /// PostHog's `code`, such as `permission_denied`.
    pub code: Option<String>,
    /// What went wrong, in PostHog's words; at most 500 characters.
    pub detail: String,
    /// The attribute the complaint is about.
    pub attr: Option<String>,
    /// The start of the answer's body, at most 2,000 characters.
    pub body: String,
    /// How often the request was sent.
    pub attempts: u32,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: PostHog answered {} to {} {}",
            self.operation, self.status, self.method, self.path
        )?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        if let Some(attr) = &self.attr {
            write!(f, " ({attr})")?;
        }
        after(f, self.attempts)
    }
}

impl std::error::Error for ApiError {}

/// A request that got no usable answer.
#[derive(Debug)]
#[non_exhaustive]
pub struct RequestError {
    /// What was being done, such as `capture batch`.
    pub operation: &'static str,
    /// The request's method.
    pub method: String,
    /// The request's path, without host and query.
    pub path: String,
    /// What kind of failure ended the last attempt.
    pub kind: RequestErrorKind,
    /// How often the request was sent.
    pub attempts: u32,
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} {} failed: {}",
            self.operation, self.method, self.path, self.kind
        )?;
        after(f, self.attempts)
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

fn after(f: &mut fmt::Formatter<'_>, attempts: u32) -> fmt::Result {
    match attempts {
        0 | 1 => Ok(()),
        n => write!(f, " (after {n} attempts)"),
    }
}

/// How a request failed without a usable answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestErrorKind {
    /// No connection: the name did not resolve, the connection was refused, or TLS failed.
    Connect,
    /// The attempt's time ran out.
    Timeout,
    /// The connection broke while sending, or before the answer was complete.
    Interrupted,
    /// The answer was larger than the client reads.
    AnswerTooLarge,
    /// The HTTP client could not be set up (TLS, certificates), or the request not be built.
    Setup,
}

impl RequestErrorKind {
    /// Whether another attempt may succeed.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Connect | Self::Timeout | Self::Interrupted)
    }
}

impl fmt::Display for RequestErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Timeout => "the attempt timed out",
            Self::Interrupted => "the connection broke off",
            Self::AnswerTooLarge => "the answer is too large",
            Self::Setup => "the request could not be set up",
        })
    }
}

/// `text`, cut to at most `max` characters.
pub(crate) fn excerpt(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
