//! [`PostHogError`]: every error of this crate.
//!
//! [`api`]: what PostHog says about a request that it refuses. [`body`]: what may be shown of such an answer.
//!
//! Invariant: no error shows a key, the value of a configured header, or what a server echoes; foreign text is cleaned
//! before it gets here.

mod api;
mod body;

pub use api::{ApiError, FieldError, HogQlPosition};
pub(crate) use body::{ErrorBody, Refusals};

use std::fmt;
use std::time::Duration;

/// Every error of this crate.
///
/// An error names the operation and, where there is one, the path. No error shows a key, the value of a configured header,
/// or the body of a request, even if a server echoes them: of a response, `Display` and `Debug` show PostHog's own words,
/// and otherwise the kind and length of the body.
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
    /// PostHog answered and refused the request.
    #[error(transparent)]
    ApiError(Box<ApiError>),
    /// PostHog sent no usable answer: the connection failed, timed out or broke off.
    #[error(transparent)]
    RequestError(Box<RequestError>),
    /// A value could not be written as JSON, or an answer could not be read as the type asked for.
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
    /// A setting is wrong. Building a client, backend or layer reports it. A problem with a REST request, such as an id that
    /// cannot be part of a path, is reported when the request is sent.
    #[error("{setting}: {problem}")]
    #[non_exhaustive]
    Config {
        /// Which setting, such as `host` or `POSTHOG_API_KEY`.
        setting: &'static str,
        /// What is wrong with it, and what to write instead.
        problem: String,
    },
    /// A list could not be read to its end: its `next` address leads to another host, the pages do not end, or PostHog does
    /// not say where the other items are.
    #[error("{operation}: the list cannot be read to its end: {problem}")]
    #[non_exhaustive]
    Paging {
        /// What was being done, such as `list persons`.
        operation: &'static str,
        /// Why not, and what to do about it.
        problem: String,
    },
    /// PostHog accepted a query and then reported its failure in an answer that is otherwise good. Most
    /// failures of queries are an [`ApiError`](Self::ApiError) with PostHog's words in `detail`.
    #[error("{operation}: the query failed: {message}")]
    #[non_exhaustive]
    QueryFailed {
        /// What was being done, such as `query`.
        operation: &'static str,
        /// PostHog's words.
        message: String,
        /// The query's id.
        query_id: String,
    },
    /// A query took longer than its `time_limit`.
    #[error(
        "{operation}: no answer within {limit:?}; the query {query_id} {}",
        if *cancelled { "was cancelled" } else { "could not be cancelled and may still be running" }
    )]
    #[non_exhaustive]
    QueryTimeLimit {
        /// What was being done, such as `query`.
        operation: &'static str,
        /// The limit.
        limit: Duration,
        /// The query's id.
        query_id: String,
        /// Whether PostHog confirmed the cancellation.
        cancelled: bool,
    },
    /// The rows of a query were asked for while PostHog still runs it: the query was sent with a refresh mode that does
    /// not wait. Ask again later, or run the query `in_background()`, which waits.
    #[error(
        "{operation}: the query {query_id} is still running after {waited:?}; ask again later, or wait for it with \
         `in_background()`"
    )]
    #[non_exhaustive]
    QueryRunning {
        /// What was being done, such as `query`.
        operation: &'static str,
        /// The query's id.
        query_id: String,
        /// How long PostHog's answer took.
        waited: Duration,
    },
    /// A query has, or may have, more rows than PostHog returned: it says so, or it returned 50,000 rows, the most that it
    /// does, of a query without a plain `LIMIT` of up to 50,000 at its end.
    #[error(
        "{operation}: PostHog returned {rows} rows, and there may be more; end the query in a LIMIT of up to 50,000, or take \
         these with `first_rows()`"
    )]
    #[non_exhaustive]
    MoreRows {
        /// What was being done, such as `query`.
        operation: &'static str,
        /// How many rows PostHog returned.
        rows: usize,
    },
    /// The background actor or its thread could not be started.
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

    /// Whether the same call may succeed later: transient transport errors, 408, 429, 5xx, an open circuit breaker,
    /// and a query that is still running.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::ApiError(e) => is_retryable_status(e.status),
            Self::RequestError(e) => e.kind.is_transient(),
            Self::CircuitOpen { .. } | Self::QueryRunning { .. } => true,
            _ => false,
        }
    }

    /// The HTTP status of PostHog's answer, if there was one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::ApiError(e) => Some(e.status),
            _ => None,
        }
    }

    /// For how long PostHog's last answer asked to be left alone (`Retry-After`), counted from that answer. `None` if it
    /// did not ask.
    ///
    /// Between attempts the client waits as long as PostHog asks, but no longer than
    /// [`RetryPolicy::max_delay`](crate::RetryPolicy::max_delay). If PostHog asks for more, the later attempts come too
    /// early and are probably refused too. A program that can wait reads the whole time here.
    ///
    /// ```
    /// # use tracing_posthog::PostHogError;
    /// use std::time::{Duration, Instant};
    /// fn next_run(error: &PostHogError) -> Instant {
    ///     Instant::now() + error.retry_after().unwrap_or(Duration::from_secs(60))
    /// }
    /// ```
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::ApiError(e) => e.retry_after,
            Self::RequestError(e) => e.retry_after,
            _ => None,
        }
    }

    /// The answer was 404.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The answer was 429, still after all attempts. [`retry_after`](Self::retry_after) says how long PostHog asks to
    /// wait.
    pub fn is_rate_limited(&self) -> bool {
        self.status() == Some(429)
    }

    /// The answer was 403: the key is known and may not do this. [`missing_scope`](Self::missing_scope) is the scope that
    /// it lacks, if PostHog says so.
    pub fn is_permission_denied(&self) -> bool {
        self.status() == Some(403)
    }

    /// What PostHog says about the refusal, if it answered.
    pub fn api_error(&self) -> Option<&ApiError> {
        match self {
            Self::ApiError(e) => Some(e),
            _ => None,
        }
    }

    /// The scope that the personal API key lacks, such as `feature_flag:read`.
    ///
    /// ```
    /// # use tracing_posthog::PostHogError;
    /// fn advice(error: &PostHogError) -> String {
    ///     match error.missing_scope() {
    ///         Some(scope) => format!("give the key the scope {scope}"),
    ///         None => error.to_string(),
    ///     }
    /// }
    /// ```
    pub fn missing_scope(&self) -> Option<&str> {
        self.api_error()?.missing_scope()
    }

    /// The place in a query that the complaint points to, if PostHog says so.
    pub fn hogql_position(&self) -> Option<HogQlPosition> {
        match self {
            Self::ApiError(e) => e.hogql_position(),
            Self::QueryFailed { message, .. } => HogQlPosition::in_text(message),
            _ => None,
        }
    }
}

/// A request that got no usable answer.
///
/// Its source is what the HTTP client reported. Where that shows a key or the value of a configured header, the source
/// holds the cleaned texts instead of the client's own error.
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
    /// See [`PostHogError::retry_after`].
    pub(crate) retry_after: Option<Duration>,
    pub(crate) source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} {} failed: {}",
            self.operation, self.method, self.path, self.kind
        )?;
        if let Some(cause) = self.cause() {
            write!(f, ": {cause}")?;
        }
        after(f, self.attempts)
    }
}

impl RequestError {
    /// The deepest cause, if it says more than the kind.
    fn cause(&self) -> Option<&dyn std::error::Error> {
        use RequestErrorKind::{ClientSetup, Connect, Interrupted, Panicked, Setup};
        if !matches!(
            self.kind,
            ClientSetup | Connect | Interrupted | Panicked | Setup
        ) {
            return None;
        }
        let mut cause: &dyn std::error::Error = self.source.as_deref()?;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Some(cause)
    }
}

impl std::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|e| e as _)
    }
}

/// Whether another attempt may get another answer.
pub(crate) fn is_retryable_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
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
    /// PostHog answered that it could not keep all events, and asks for the rest again.
    NotPersisted,
    /// The answer was larger than the client reads.
    AnswerTooLarge,
    /// Code that runs within requests panicked: a resolver or a redirect policy of your own HTTP client, or a
    /// tracing layer.
    Panicked,
    /// The HTTP client could not be set up: no certificates, no TLS, no file descriptors. Another attempt sets it up
    /// again.
    ClientSetup,
    /// The request could not be built.
    Setup,
}

impl RequestErrorKind {
    /// Whether another attempt may succeed.
    pub fn is_transient(self) -> bool {
        matches!(
            self,
            Self::Connect
                | Self::Timeout
                | Self::Interrupted
                | Self::NotPersisted
                | Self::Panicked
                | Self::ClientSetup
        )
    }
}

impl fmt::Display for RequestErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Timeout => "the attempt timed out",
            Self::Interrupted => "the connection broke off",
            Self::NotPersisted => "PostHog could not keep all events yet",
            Self::AnswerTooLarge => "the answer is larger than is read at once",
            Self::Panicked => "the attempt panicked",
            Self::ClientSetup => "the HTTP client could not be set up",
            Self::Setup => "the request could not be set up",
        })
    }
}
