//! A network in memory, for tests that drive time: what is sent, and when, and what is answered.

use super::{Http, Request, Response};
use crate::error::{PostHogError, RequestErrorKind};
use futures_util::future::BoxFuture;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// What the other end does with a request.
#[derive(Debug, Clone)]
pub(crate) enum FakeAnswer {
    /// Answers with a status and a body, after a time.
    Status(u16, &'static str, Duration),
    /// The same, and asks to be left alone for some seconds.
    RetryAfter(u16, u64),
    /// Refuses the connection.
    NoConnection,
    /// Panics on the way.
    Panic,
}

impl FakeAnswer {
    pub(crate) fn ok() -> Self {
        Self::Status(200, "{\"status\":\"Ok\"}", Duration::ZERO)
    }

    pub(crate) fn status(status: u16) -> Self {
        Self::Status(status, "", Duration::ZERO)
    }
}

type Answers = dyn Fn(&Http, &Request, u32) -> FakeAnswer + Send + Sync;

#[derive(Clone)]
pub(crate) struct FakeNetwork(Arc<Answers>);

impl FakeNetwork {
    /// Is asked with each request and the number of its attempt.
    pub(crate) fn new(
        answer: impl Fn(&Http, &Request, u32) -> FakeAnswer + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(answer))
    }

    pub(super) fn send(
        &self,
        http: &Arc<Http>,
        request: &Request,
        attempt: u32,
    ) -> BoxFuture<'static, Result<Response, PostHogError>> {
        let answer = (self.0)(http, request, attempt);
        let (http, endpoint) = (http.clone(), request.endpoint.clone());
        let failed = move |kind| Err(endpoint.failed(&http, kind, None, attempt));
        Box::pin(async move {
            let mut headers = HeaderMap::new();
            let (status, body, delay) = match answer {
                FakeAnswer::Status(status, body, delay) => (status, body, delay),
                FakeAnswer::RetryAfter(status, seconds) => {
                    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                    (status, "", Duration::ZERO)
                }
                FakeAnswer::NoConnection => return failed(RequestErrorKind::Connect),
                FakeAnswer::Panic => return failed(RequestErrorKind::Panicked),
            };
            tokio::time::sleep(delay).await;
            Ok(Response {
                status: StatusCode::from_u16(status).unwrap(),
                headers,
                body: body.into(),
                stream: None,
                redirect: None,
                by: crate::http::storage::By::PostHog,
                attempts: attempt,
            })
        })
    }
}

impl fmt::Debug for FakeNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeNetwork").finish_non_exhaustive()
    }
}
