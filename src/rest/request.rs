//! [`Request`]: one call of the REST API, before it is sent.

use super::chunks::Chunks;
use super::failed_query::failed_query;
use super::untyped::Untyped;
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::http::request::{MAX_RESPONSE, content_type};
use crate::http::{
    Auth, Body, Destination, Endpoint, Redirects, Request as HttpRequest, Response, ResponseMode,
};
use crate::redact::REDACTED;
use crate::suppress::SuppressGuard;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

/// One call of the REST API: made by the methods of the resources, or by
/// [`PostHogClient::request`] for any path. Nothing happens until it is [sent](Self::send).
///
/// `A` is what the answer is read as; [`send_as`](Self::send_as) reads it as anything else. `P` names
/// the operation's query parameters: each is a method.
///
/// - To send it: `.await`, [`send`](Self::send), [`send_as`](Self::send_as),
///   [`send_for_text`](Self::send_for_text), [`send_for_bytes`](Self::send_for_bytes),
///   [`send_for_stream`](Self::send_for_stream).
/// - To give it more: [`query`](Self::query), [`query_repeated`](Self::query_repeated), [`body`](Self::body),
///   [`raw_body`](Self::raw_body), [`form`](Self::form), [`answer_as`](Self::answer_as).
/// - Of lists, with the feature `rest`: `stream`, `all`, `all_up_to`, `first`, `pages`.
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

/// Marks a request whose query parameters are not known: add any with
/// [`query`](Request::query).
#[derive(Debug, Clone, Copy)]
pub struct AnyParams;

/// A request without its types, so that one road, compiled once, sends them all.
#[derive(Clone)]
pub(crate) struct ApiCall {
    client: PostHogClient,
    operation: &'static str,
    method: Method,
    /// Starts with a slash, percent-encoded; or why there is none.
    path: Result<String, Problem>,
    query: Vec<(String, String)>,
    body: Content,
    redirects: Redirects,
}

/// What is wrong with a request before it is sent; kept so that making one needs no `?`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) setting: &'static str,
    pub(crate) problem: String,
}

impl From<Problem> for PostHogError {
    fn from(p: Problem) -> Self {
        Self::config(p.setting, p.problem)
    }
}

#[derive(Debug)]
pub(crate) enum Content {
    None,
    Json(Bytes),
    Unwritable(Option<serde_json::Error>),
    Raw(HeaderValue, reqwest::Body),
    Bad(Problem),
}

impl Content {
    /// JSON, or why there is none.
    pub(crate) fn json(json: Result<Vec<u8>, serde_json::Error>) -> Self {
        match json {
            Ok(json) => Self::Json(json.into()),
            Err(error) => Self::Unwritable(Some(error)),
        }
    }
}

impl Clone for Content {
    fn clone(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Json(json) => Self::Json(json.clone()),
            Self::Unwritable(_) => Self::Unwritable(None),
            Self::Raw(kind, body) => match body.as_bytes() {
                Some(bytes) => Self::Raw(kind.clone(), Bytes::copy_from_slice(bytes).into()),
                None => Self::Bad(Problem {
                    setting: "body",
                    problem: "a stream cannot be sent twice".into(),
                }),
            },
            Self::Bad(problem) => Self::Bad(problem.clone()),
        }
    }
}

/// A path without what stands behind it.
fn without_query(path: &str) -> String {
    match path.find(['?', '#']) {
        Some(at) => format!("{}{REDACTED}", &path[..=at]),
        None => path.to_owned(),
    }
}

/// Whether a segment would be read as "here" or "one up".
pub(crate) fn is_dots(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

impl PostHogClient {
    /// Asks any endpoint of the REST API, over the same retrying core as everything else; for what has
    /// no method of its own. A personal API key is needed.
    ///
    /// The path starts with a slash. Its parts are taken as they are: encode what is not yours with
    /// care, or use the methods of the resources, which do.
    pub fn request(&self, method: Method, path: impl Into<String>) -> Request {
        let path = path.into();
        let bad = !path.starts_with('/')
            || path.contains(['?', '#', '\\'])
            // Parsing a URL drops tabs and line ends: two dots that they keep apart would meet.
            || path.contains(char::is_control)
            || path.split('/').any(is_dots);
        Request::new(ApiCall {
            client: self.clone(),
            operation: "api request",
            method,
            path: if bad {
                Err(Problem {
                    setting: "path",
                    problem: format!(
                        "{:?} must start with a slash, and have no dot segments, control characters, query or fragment; \
                         give query parameters with `query`",
                        // Who writes a query into the path may write a token into it.
                        self.inner.http.clean(&without_query(&path)),
                    ),
                })
            } else {
                Ok(path)
            },
            query: Vec::new(),
            body: Content::None,
            redirects: Redirects::SamePlace,
        })
    }

    /// The one constructor under all generated methods.
    #[cfg(feature = "rest")]
    pub(crate) fn operation(
        &self,
        operation: &'static str,
        method: Method,
        path: Result<String, Problem>,
    ) -> ApiCall {
        ApiCall {
            client: self.clone(),
            operation,
            method,
            path,
            query: Vec::new(),
            body: Content::None,
            redirects: Redirects::SamePlace,
        }
    }
}

impl<A, P> Request<A, P> {
    pub(crate) fn new(call: ApiCall) -> Self {
        Self {
            call,
            types: PhantomData,
        }
    }

    /// Sets a query parameter of any name, in place of earlier values of that name; it is percent-encoded.
    /// For what has no method of its own.
    pub fn query(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.call.set(name.into(), value.to_string());
        self
    }

    /// Sets a query parameter that stands there once for each value, in place of earlier values of that
    /// name; without values it is left out.
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

    /// The body, as JSON. Methods that need one take it; this replaces it.
    pub fn body(mut self, body: &(impl Serialize + ?Sized)) -> Self {
        self.call.put_json(serde_json::to_vec(body));
        self
    }

    /// A body of any kind; see [`form`](Self::form) for multipart forms. One that is a stream cannot be sent
    /// twice: such a request is tried once, whatever the retry policy says.
    pub fn raw_body(mut self, content_type: &str, body: impl Into<reqwest::Body>) -> Self {
        self.call.put_raw(content_type, body.into());
        self
    }

    /// Says that the answer is a file, which PostHog may keep in object storage: it then answers a redirect to an address
    /// that is signed for a short time. Methods for files, such as the content of an export, do this themselves.
    ///
    /// A `GET` follows one such redirect, to any host. The storage gets the address as it stands, and no key, header or
    /// cookie of this client. The address is of `https`, or of `http` if PostHog's own is, and shows in no error. Read the
    /// file with [`send_for_bytes`](Self::send_for_bytes), [`send_for_stream`](Self::send_for_stream) or
    /// [`send_for_text`](Self::send_for_text).
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
        self.call.redirects = Redirects::ToStorage;
        self
    }

    /// The same request, its answer read as another type.
    pub fn answer_as<T>(self) -> Request<T, P> {
        Request::new(self.call)
    }

    /// Sends it, and reads the answer as any type. An empty answer reads as `null`, which is `()`,
    /// `Option::None` or [`Value::Null`].
    ///
    /// # Errors
    /// Any of [`PostHogError`].
    pub async fn send_as<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        self.call.send().await
    }

    /// Sends it, and gives the answer's body as it is: CSV, exports, NDJSON, images. At most 64 MiB; for
    /// more see [`send_for_stream`](Self::send_for_stream).
    ///
    /// # Errors
    /// Any of [`PostHogError`] but [`SerializationError`](PostHogError::SerializationError).
    pub async fn send_for_bytes(self) -> Result<Bytes, PostHogError> {
        self.call.send_raw().await
    }

    /// Sends it, and gives the answer's body as it comes: exports of any size, and streams of events.
    ///
    /// Attempts end with the head of the answer: what breaks off later is an error of the stream. Each
    /// chunk may take as long as an attempt may.
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
        let operation = self.call.operation;
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
    /// Sends it, and reads the answer.
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
    /// Shows neither the query's values nor the body: both may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("operation", &self.call.operation)
            .field("method", &self.call.method)
            .field("path", &self.call.shown_path())
            .finish_non_exhaustive()
    }
}

impl ApiCall {
    /// Sets a query parameter: the last value given is the one that is sent.
    pub(crate) fn set(&mut self, name: String, value: String) {
        self.set_all(name, vec![value]);
    }

    fn set_all(&mut self, name: String, values: Vec<String>) {
        self.query.retain(|(n, _)| *n != name);
        self.query
            .extend(values.into_iter().map(|value| (name.clone(), value)));
    }

    #[cfg(feature = "rest")]
    pub(crate) fn put(&mut self, body: Content) {
        self.body = body;
    }

    /// Makes sending it an error. The first one stays.
    #[cfg(feature = "rest")]
    pub(crate) fn fail(&mut self, problem: Problem) {
        if self.path.is_ok() {
            self.path = Err(problem);
        }
    }

    pub(crate) fn put_json(&mut self, json: Result<Vec<u8>, serde_json::Error>) {
        self.body = Content::json(json);
    }

    pub(crate) fn put_raw(&mut self, content_type: &str, body: reqwest::Body) {
        self.body = match HeaderValue::try_from(content_type) {
            Ok(kind) => Content::Raw(kind, body),
            Err(_) => Content::Bad(Problem {
                setting: "content_type",
                problem: "the content type is malformed; write it like text/csv".into(),
            }),
        };
    }

    #[cfg(feature = "rest")]
    pub(crate) fn operation(&self) -> &'static str {
        self.operation
    }

    #[cfg(feature = "rest")]
    pub(crate) fn client(&self) -> &PostHogClient {
        &self.client
    }

    #[cfg(feature = "rest")]
    pub(crate) fn path(&self) -> Option<&str> {
        self.path.as_deref().ok()
    }

    /// The path without keys; empty where there is none.
    pub(crate) fn shown_path(&self) -> String {
        let path = self.path.as_deref().unwrap_or_default();
        self.client.inner.http.clean(path)
    }

    #[cfg(feature = "rest")]
    pub(crate) fn query(&self) -> &[(String, String)] {
        &self.query
    }

    #[cfg(feature = "rest")]
    pub(crate) fn has_body(&self) -> bool {
        !matches!(self.body, Content::None)
    }

    #[cfg(feature = "rest")]
    /// The same call for another page: with that query, or, of a list that is asked for by a JSON body,
    /// with what is new in the query as fields of the body.
    pub(crate) fn for_page(&self, query: &[(String, String)]) -> Self {
        let mut call = Self {
            query: query.to_vec(),
            ..self.clone()
        };
        if let Content::Json(json) = &self.body
            && let Ok(mut fields) = serde_json::from_slice::<serde_json::Map<_, _>>(json)
        {
            let (old, new): (Vec<_>, Vec<_>) =
                call.query.into_iter().partition(|p| self.query.contains(p));
            call.query = old;
            for (name, value) in new {
                let number = match name.as_str() {
                    "offset" | "page" | "limit" => value.parse::<u64>().ok(),
                    _ => None,
                };
                fields.insert(name, number.map_or(Value::String(value), Value::from));
            }
            call.put_json(serde_json::to_vec(&fields));
        }
        call
    }

    pub(crate) async fn send<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        let operation = self.operation;
        let client = self.client.clone();
        let body = self.send_raw().await?;
        client.inner.http.read_json(operation, &body)
    }

    /// The same; numbers that a [`Value`] would round arrive as text.
    #[cfg(feature = "rest")]
    pub(crate) async fn send_exactly<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        let operation = self.operation;
        let client = self.client.clone();
        let body = self.send_raw().await?;
        let json = crate::http::numbers::exact(&body);
        client.inner.http.read_json(operation, &json)
    }

    pub(crate) async fn send_raw(self) -> Result<Bytes, PostHogError> {
        let mode = ResponseMode::Whole {
            limit: MAX_RESPONSE,
        };
        Ok(self.send_for(mode).await?.body)
    }

    /// The one road on which every REST call goes, whatever its types.
    async fn send_for(self, mode: ResponseMode) -> Result<Response, PostHogError> {
        let http = &self.client.inner.http;
        if http.personal_key.is_none() {
            return Err(PostHogError::config(
                "personal_api_key",
                "the REST API needs a personal API key (phx_…); give it with `personal_api_key` or POSTHOG_PERSONAL_API_KEY",
            ));
        }
        let (headers, body) = match self.body {
            Content::None => (HeaderMap::new(), Body::Empty),
            Content::Json(json) => {
                let json_type = HeaderValue::from_static("application/json");
                (content_type(json_type), Body::Bytes(json))
            }
            Content::Raw(kind, body) => (
                content_type(kind),
                match body.as_bytes() {
                    Some(bytes) => Body::Bytes(Bytes::copy_from_slice(bytes)),
                    None => Body::Once(Mutex::new(Some(reqwest::Body::wrap(OfUser(body))))),
                },
            ),
            Content::Bad(problem) => return Err(problem.into()),
            Content::Unwritable(source) => {
                return Err(PostHogError::SerializationError {
                    operation: self.operation,
                    what: "the body cannot be written as JSON".into(),
                    source: source.unwrap_or_else(|| serde::ser::Error::custom("see above")),
                });
            }
        };
        let endpoint = Endpoint {
            operation: self.operation,
            destination: Destination::Api,
            method: self.method,
            path: self.path?.into(),
        };
        #[cfg(feature = "rate-limit")]
        if self.client.inner.limiter.is_some() {
            let inner = self.client.inner.clone();
            let (method, path) = (endpoint.method.clone(), endpoint.path.clone());
            http.on_io(&endpoint, async move {
                if let Some(limiter) = &inner.limiter {
                    limiter.wait(&method, &path).await;
                }
                Ok(())
            })
            .await?;
        }
        http.api_request_raw(HttpRequest {
            idempotent: endpoint.method.is_idempotent(),
            endpoint,
            auth: Auth::PersonalKey,
            query: self.query,
            headers,
            body,
            mode,
            redirects: self.redirects,
            tries: None,
            final_error: Some(failed_query),
            events: None,
        })
        .await
    }

    /// Sends it, and leaves the answer's body to be read.
    pub(crate) async fn send_for_chunks(self) -> Result<Chunks, PostHogError> {
        let http = self.client.inner.http.clone();
        let endpoint = Endpoint {
            operation: self.operation,
            destination: Destination::Api,
            method: self.method.clone(),
            path: self.path.clone().unwrap_or_default().into(),
        };
        let response = self.send_for(ResponseMode::Stream).await?;
        let attempts = response.attempts;
        Ok(Chunks::new(response.stream, move |error| {
            endpoint.failed(&http, error.kind, error.source, attempts)
        }))
    }
}

/// A stream of the caller's: what it captures while it is read is captured, although a thread of this crate reads it.
struct OfUser(reqwest::Body);

impl http_body::Body for OfUser {
    type Data = Bytes;
    type Error = reqwest::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, reqwest::Error>>> {
        let _lifted = SuppressGuard::lift();
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0.size_hint()
    }
}
