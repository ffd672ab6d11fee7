//! [`ApiCall`]: a request without its types, so that one path of code, compiled once, sends all of them.
//!
//! Data flow: path, parameters and body → the rate limit, if there is one → `http::api_request_raw` → bytes or chunks →
//! JSON as the caller's type.

use super::chunks::Chunks;
use super::failed_query::failed_query;
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::http::request::{MAX_RESPONSE, content_type};
use crate::http::{
    Auth, Body, By, Destination, Endpoint, Redirects, Request as HttpRequest, Response,
    ResponseMode, is_page,
};
use crate::suppress::SuppressGuard;
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
#[cfg(feature = "rest")]
use serde_json::Value;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll};

/// A request without its types.
#[derive(Clone)]
pub(crate) struct ApiCall {
    client: PostHogClient,
    operation: &'static str,
    pub(super) method: Method,
    /// Starts with a slash, percent-encoded; or why there is none.
    path: Result<String, Problem>,
    parameters: Vec<(String, String)>,
    body: Content,
    redirects: Redirects,
}

/// What is wrong with a request that was not sent yet. The request keeps it, so that building one needs no `?`.
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
    Unwritable(serde_json::Error),
    Raw(HeaderValue, reqwest::Body),
    Bad(Problem),
}

impl Content {
    /// JSON, or why it cannot be written.
    pub(crate) fn json(json: Result<Vec<u8>, serde_json::Error>) -> Self {
        match json {
            Ok(json) => Self::Json(json.into()),
            Err(error) => Self::Unwritable(error),
        }
    }
}

impl Clone for Content {
    fn clone(&self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Json(json) => Self::Json(json.clone()),
            Self::Unwritable(why) => Self::Unwritable(serde::ser::Error::custom(why)),
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

/// Whether a segment would be read as "here" or "one up".
pub(crate) fn is_dots(segment: &str) -> bool {
    let plain = segment.replace("%2e", ".").replace("%2E", ".");
    plain == "." || plain == ".."
}

impl ApiCall {
    pub(crate) fn new(
        client: &PostHogClient,
        operation: &'static str,
        method: Method,
        path: Result<String, Problem>,
    ) -> Self {
        Self {
            client: client.clone(),
            operation,
            method,
            path,
            parameters: Vec::new(),
            body: Content::None,
            redirects: Redirects::SamePlace,
        }
    }

    /// The answer is a file, which PostHog may redirect to.
    pub(crate) fn follow_to_storage(&mut self) {
        self.redirects = Redirects::ToStorage;
    }

    /// Sets a query parameter: the last value given is the one that is sent.
    pub(crate) fn set(&mut self, name: String, value: String) {
        self.set_all(name, vec![value]);
    }

    pub(super) fn set_all(&mut self, name: String, values: Vec<String>) {
        self.parameters.retain(|(n, _)| *n != name);
        self.parameters
            .extend(values.into_iter().map(|value| (name.clone(), value)));
    }

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

    pub(crate) fn put_raw(&mut self, content_type: &str, body: reqwest::Body) {
        self.body = match HeaderValue::try_from(content_type) {
            Ok(kind) => Content::Raw(kind, body),
            Err(_) => Content::Bad(Problem {
                setting: "content_type",
                problem: "the content type is malformed; write it like text/csv".into(),
            }),
        };
    }

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
    pub(crate) fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    #[cfg(feature = "rest")]
    pub(crate) fn has_body(&self) -> bool {
        !matches!(self.body, Content::None)
    }

    /// The same call for another page: with these parameters. If the list is asked for by a JSON body, the new ones
    /// become fields of the body.
    #[cfg(feature = "rest")]
    pub(crate) fn for_page(&self, parameters: &[(String, String)]) -> Self {
        let mut call = Self {
            parameters: parameters.to_vec(),
            ..self.clone()
        };
        if let Content::Json(json) = &self.body
            && let Ok(mut fields) = serde_json::from_slice::<serde_json::Map<_, _>>(json)
        {
            let (old, new): (Vec<_>, Vec<_>) = call
                .parameters
                .into_iter()
                .partition(|p| self.parameters.contains(p));
            call.parameters = old;
            for (name, value) in new {
                let number = match name.as_str() {
                    "offset" | "page" | "limit" => value.parse::<u64>().ok(),
                    _ => None,
                };
                fields.insert(name, number.map_or(Value::String(value), Value::from));
            }
            call.put(Content::json(serde_json::to_vec(&fields)));
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

    /// Every REST call goes through here, whatever its types.
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
                    source,
                });
            }
        };
        let endpoint = Endpoint {
            operation: self.operation,
            destination: Destination::Api,
            method: self.method,
            path: self.path?.into(),
        };
        let asked = (self.redirects == Redirects::ToStorage)
            .then(|| (endpoint.path.clone(), self.parameters.clone()));
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
        let response = http
            .api_request_raw(HttpRequest {
                idempotent: endpoint.method.is_idempotent(),
                endpoint,
                auth: Auth::PersonalKey,
                query: self.parameters,
                headers,
                body,
                mode,
                redirects: self.redirects,
                tries: None,
                final_error: Some(failed_query),
                events: None,
            })
            .await?;
        match asked {
            Some((path, parameters)) if is_page(&response, &path, &parameters) => {
                Err(no_file(self.operation, response.by))
            }
            _ => Ok(response),
        }
    }

    /// Sends the request and leaves the answer's body to be read.
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

/// The error of a page of HTML where a file was asked for.
#[cold]
fn no_file(operation: &'static str, by: By) -> PostHogError {
    let from = match by {
        By::PostHog => "PostHog's host",
        By::Storage => "the address that PostHog redirects to",
    };
    PostHogError::SerializationError {
        operation,
        what: format!(
            "{from} answers a page of HTML, such as that of a login, and not the file; check the host and what stands \
             before it"
        ),
        source: serde::de::Error::custom("the answer is a page of HTML"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_body_that_cannot_be_written_knows_why() {
        let bad = serde_json::to_vec(&std::collections::BTreeMap::from([((), 1)]));
        let body = Content::json(bad);
        let (Content::Unwritable(why), Content::Unwritable(copy)) = (&body, &body.clone()) else {
            unreachable!("keys of JSON are text");
        };
        assert_eq!(why.to_string(), copy.to_string());
        assert!(why.to_string().contains("key"), "{why}");
    }
}
