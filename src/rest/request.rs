//! [`Request`]: one call of the REST API as callers build and send it.
//!
//! It adds types to an [`ApiCall`], which does the work: `A` is what the answer is read as, `P` names the query
//! parameters. A problem with the path or body is kept, and becomes the error of sending, so that building needs no `?`.

pub(crate) use super::call::{ApiCall, Content, Problem, is_dots};

use super::chunks::Chunks;
use super::untyped::Untyped;
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::redact::REDACTED;
use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;

/// One call of the REST API: made by the methods of the resources, or by
/// [`PostHogClient::request`] for any path. Nothing happens until it is [sent](Self::send).
///
/// `A` is the type that the answer is read as; [`send_as`](Self::send_as) reads it as any other. `P` names the
/// operation's query parameters: each is a method.
///
/// - To send it: `.await`, [`send`](Self::send), [`send_as`](Self::send_as),
///   [`send_for_text`](Self::send_for_text), [`send_for_bytes`](Self::send_for_bytes),
///   [`send_for_stream`](Self::send_for_stream).
/// - To add to it: [`query`](Self::query), [`query_repeated`](Self::query_repeated), [`body`](Self::body),
///   [`raw_body`](Self::raw_body), [`form`](Self::form), [`answer_as`](Self::answer_as), [`file`](Self::file).
/// - For lists, with the feature `rest`: `stream`, `all`, `all_up_to`, `first`, `pages`.
///
/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use tracing_posthog::{Method, PostHogClient};
/// // By its path; this one is also `client.user_me().get()`.
/// let me = client.request(Method::GET, "/api/users/@me/").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a request does nothing until it is sent"]
pub struct Request<A = Untyped, P = AnyParams> {
    pub(crate) call: ApiCall,
    types: PhantomData<fn() -> (A, P)>,
}

/// Marks a request that has no methods for query parameters. [`query`](Request::query) adds any.
#[derive(Debug, Clone, Copy)]
pub struct AnyParams;

/// A path without what stands behind it.
fn without_query(path: &str) -> String {
    match path.find(['?', '#']) {
        Some(at) => format!("{}{REDACTED}", &path[..=at]),
        None => path.to_owned(),
    }
}

impl PostHogClient {
    /// A request to any endpoint of the REST API that has no method of its own, with the same retries as all others.
    /// Needs a personal API key.
    ///
    /// The path starts with a slash and is sent as it is: percent-encode ids that come from elsewhere. The methods of the
    /// resources do that themselves.
    pub fn request(&self, method: Method, path: impl Into<String>) -> Request {
        let path = path.into();
        let bad = !path.starts_with('/')
            || path.contains(['?', '#', '\\'])
            // Parsing a URL drops tabs and line ends: two dots that they keep apart would meet.
            || path.contains(char::is_control)
            || path.split('/').any(is_dots);
        let path = match bad {
            false => Ok(path),
            true => Err(Problem {
                setting: "path",
                problem: format!(
                    "{:?} must start with a slash, and have no dot segments, control characters, query or fragment; \
                     give query parameters with `query`",
                    // A query in the path may hold a token.
                    self.inner.http.clean(&without_query(&path)),
                ),
            }),
        };
        Request::new(ApiCall::new(self, "api request", method, path))
    }
}

impl<A, P> Request<A, P> {
    pub(crate) fn new(call: ApiCall) -> Self {
        Self {
            call,
            types: PhantomData,
        }
    }

    /// Sets a query parameter that has no method of its own. Replaces earlier values of that name. Name and value are
    /// percent-encoded.
    pub fn query(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.call.set(name.into(), value.to_string());
        self
    }

    /// Sets a query parameter that is repeated for each value. Replaces earlier values of that name; without values the
    /// parameter is left out.
    ///
    /// ```
    /// # fn f(client: tracing_posthog::PostHogClient) {
    /// use tracing_posthog::Method;
    /// // ?status=active&status=archived
    /// let issues = client
    ///     .request(Method::GET, "/api/projects/12345/error_tracking/issues/")
    ///     .query_repeated("status", ["active", "archived"]);
    /// # }
    /// ```
    pub fn query_repeated(
        mut self,
        name: impl Into<String>,
        values: impl IntoIterator<Item = impl ToString>,
    ) -> Self {
        let values = values.into_iter().map(|value| value.to_string()).collect();
        self.call.set_all(name.into(), values);
        self
    }

    /// Sets the body, as JSON. Replaces the body that a method took.
    pub fn body(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.call.put(Content::json(serde_json::to_vec(body)));
        self
    }

    /// Sets a body of any kind; for multipart forms see [`form`](Self::form). A stream cannot be sent twice, so such a
    /// request has one attempt, whatever the retry policy says.
    pub fn raw_body(mut self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.call.put_raw(content_type, body.into());
        self
    }

    /// Says that the answer is a file, which PostHog may keep in object storage: it then answers a redirect to an address
    /// that is signed for a short time. Methods for files, such as the content of an export, do this themselves.
    ///
    /// A `GET` follows one such redirect, to any host; to PostHog's own host or a subdomain of it only if the address is
    /// signed. The storage gets the address as it stands, and no key, header or cookie of this client. The address is of
    /// `https`, or of `http` if PostHog's own is, and shows in no error. Read the file with
    /// [`send_for_bytes`](Self::send_for_bytes), [`send_for_stream`](Self::send_for_stream) or
    /// [`send_for_text`](Self::send_for_text).
    ///
    /// An answer of the type `text/html` is the page of a login rather than the file, and so an error
    /// ([`SerializationError`](PostHogError::SerializationError)), unless `html` stands in the path or in the value of a
    /// query parameter.
    ///
    /// With a [`reqwest_client`](crate::PostHogClientBuilder::reqwest_client) of your own, the storage is still asked by a
    /// client of this crate, which knows neither your proxy nor your certificates; but a client of yours that follows
    /// redirects itself, as reqwest's do by default, goes to the storage by itself, and takes its own headers and those
    /// of [`header`](crate::PostHogClientBuilder::header) along.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// use tracing_posthog::Method;
    /// let image = client
    ///     .request(Method::GET, "/api/projects/12345/exports/7/content/")
    ///     .file()
    ///     .send_for_bytes()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn file(mut self) -> Self {
        self.call.follow_to_storage();
        self
    }

    /// Reads the answer as another type.
    pub fn answer_as<T>(self) -> Request<T, P> {
        Request::new(self.call)
    }

    /// Sends the request and reads the answer as any type. An empty answer is `null`: `()`, `Option::None` or
    /// [`Value::Null`](serde_json::Value::Null). So are `NaN` and `Infinity`, which JSON does not have, with a warning.
    /// Half of a character, such as an emoji that was cut, is `U+FFFD`, with a warning.
    ///
    /// # Errors
    /// Any of [`PostHogError`].
    pub async fn send_as<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        self.call.send().await
    }

    /// Sends the request and returns the answer's body as it came: CSV, exports, NDJSON, images. At most 64 MiB;
    /// [`send_for_stream`](Self::send_for_stream) reads more.
    ///
    /// # Errors
    /// Any of [`PostHogError`]; [`SerializationError`](PostHogError::SerializationError) only for a body that cannot be
    /// written, and for a page of HTML instead of a [`file`](Self::file).
    pub async fn send_for_bytes(self) -> Result<Bytes, PostHogError> {
        self.call.send_raw().await
    }

    /// Sends the request and returns the answer's body as a stream: exports of any size, and streams of events.
    ///
    /// The request is retried until the head of an answer arrives. If the body breaks off later, the stream ends with an
    /// error. Each chunk may take as long as an attempt may.
    ///
    /// # Errors
    /// As [`send_for_bytes`](Self::send_for_bytes).
    pub async fn send_for_stream(self) -> Result<Chunks, PostHogError> {
        self.call.send_for_chunks().await
    }

    /// Sends the request and returns the answer's body as text, as it came.
    ///
    /// # Errors
    /// Any of [`PostHogError`]; [`SerializationError`](PostHogError::SerializationError) if the body is not UTF-8, such as
    /// CSV in another encoding. [`send_for_bytes`](Self::send_for_bytes) reads that.
    pub async fn send_for_text(self) -> Result<String, PostHogError> {
        let operation = self.call.operation();
        let bytes = self.call.send_raw().await?;
        String::from_utf8(bytes.into()).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            PostHogError::SerializationError {
                operation,
                what: format!(
                    "the answer is not UTF-8 from byte {at} on; read it with `send_for_bytes`"
                ),
                source: serde::de::Error::custom("the text is not UTF-8"),
            }
        })
    }
}

impl<A: DeserializeOwned, P> Request<A, P> {
    /// Sends the request and reads the answer.
    ///
    /// # Errors
    /// Any of [`PostHogError`].
    pub async fn send(self) -> Result<A, PostHogError> {
        self.call.send().await
    }
}

impl<A: DeserializeOwned + Send + 'static, P: 'static> IntoFuture for Request<A, P> {
    type Output = Result<A, PostHogError>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// `request.await` is `request.send().await`.
    fn into_future(self) -> Self::IntoFuture {
        let call = self.call;
        Box::pin(async move { call.send().await })
    }
}

impl<A, P> fmt::Debug for Request<A, P> {
    /// Shows neither the values of parameters nor the body: both may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &self.call.operation())
            .field("method", &self.call.method)
            .field("path", &self.call.shown_path())
            .finish_non_exhaustive()
    }
}
