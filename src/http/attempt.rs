//! Sends once.

use super::io::{Task, TaskError};
use super::redirect::Redirect;
use super::request::{Auth, Body, Destination, MAX_REFUSAL, Request, ResponseMode};
use super::response::Response;
use super::span::GuardedSpan;
use super::storage::{self, By};
use super::stream::BodyStream;
use super::{Http, USER_AGENT_VALUE};
use crate::error::{PostHogError, RequestErrorKind};
use bytes::{Bytes, BytesMut};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use tracing::field::Empty;
use tracing::instrument::WithSubscriber;
use tracing::{Dispatch, debug_span};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// By which of the program's tracing layers a request is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// By those of the global subscriber.
    Global,
    /// By those of the subscriber that is current where the request is made.
    Scoped,
    /// For a retry after a panic, which may have come from such a layer.
    Untraced,
}

/// An attempt that got no usable response.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) kind: RequestErrorKind,
    pub(super) source: Option<Source>,
    pub(super) by: By,
}

impl Failed {
    fn new(kind: RequestErrorKind) -> Self {
        Self {
            kind,
            source: None,
            by: By::PostHog,
        }
    }

    pub(super) fn by(self, by: By) -> Self {
        Self { by, ..self }
    }

    pub(super) fn panicked() -> Self {
        Self {
            kind: RequestErrorKind::Panicked,
            source: Some(Box::new(TaskError::Panicked)),
            by: By::PostHog,
        }
    }

    fn setup(source: impl Into<Source>) -> Self {
        Self {
            kind: RequestErrorKind::Setup,
            source: Some(source.into()),
            by: By::PostHog,
        }
    }
}

impl From<reqwest::Error> for Failed {
    fn from(error: reqwest::Error) -> Self {
        Self {
            kind: kind_of(&error),
            source: Some(Box::new(error.without_url())),
            by: By::PostHog,
        }
    }
}

impl Http {
    /// Sends a request once, as attempt number `attempt`. Who schedules attempts uses this; others use
    /// [`api_request_raw`](Self::api_request_raw). A panic within the attempt is an error of it.
    pub(crate) fn send_once(
        self: &Arc<Self>,
        request: Request,
        attempt: u32,
        visibility: Visibility,
    ) -> Task<Result<Response, PostHogError>> {
        #[cfg(test)]
        if let Some(fake) = &self.fake {
            return Task::local(fake.send(self, &request, attempt));
        }
        let http = self.clone();
        let send = async move {
            let span = http.call_span(&request);
            let sent = span.around(http.attempt(&request, attempt)).await;
            sent.map_err(|f| request.endpoint.failed(&http, f.kind, f.source, attempt))
        };
        match visibility {
            Visibility::Global => self.io.spawn(send),
            Visibility::Scoped => self.io.spawn(send.with_current_subscriber()),
            // `none` and no new subscriber: that would ask every subscriber of the process for its interests again, and the
            // one that panics too.
            Visibility::Untraced => self.io.spawn(send.with_subscriber(Dispatch::none())),
        }
    }

    pub(super) fn call_span(&self, request: &Request) -> GuardedSpan {
        GuardedSpan::new(|| {
            debug_span!(
                target: "tracing_posthog::http",
                "posthog_call",
                operation = request.endpoint.operation,
                method = %request.endpoint.method,
                path = self.clean(&request.endpoint.path),
            )
        })
    }

    pub(super) async fn attempt(
        self: &Arc<Self>,
        request: &Request,
        attempt: u32,
    ) -> Result<Response, Failed> {
        let span = GuardedSpan::new(|| {
            debug_span!(
                target: "tracing_posthog::http",
                "posthog_attempt",
                attempt,
                events = request.events,
                status = Empty,
            )
        });
        let _renewed = RenewedByPanic(self);
        let timeout = request.attempt_timeout(self);
        let exchange = span.around(self.exchange(request, attempt, &span));
        match tokio::time::timeout(timeout, exchange).await {
            Ok(done) => done,
            Err(_) => Err(Failed::new(RequestErrorKind::Timeout)),
        }
    }

    /// Sends the request, and reads the response as its mode asks for.
    async fn exchange(
        self: &Arc<Self>,
        request: &Request,
        attempt: u32,
        span: &GuardedSpan,
    ) -> Result<Response, Failed> {
        let (client, built) = self.build(request)?.build_split();
        let built = built?;
        let sent_to = built.url().clone();
        let mut answer = client.execute(built).await?;
        let mut by = storage::who_answered(request, &sent_to, &answer);
        if let Some(address) = storage::address(request, &sent_to, &answer) {
            answer = self.fetch_file(address).await?;
            by = By::Storage;
        }
        let status = answer.status();
        // Not `Span::current()`: where nobody wants this span, that is one of the caller's.
        span.record("status", status.as_u16());
        let redirect = Redirect::of(self, request, &sent_to, &answer);
        let mut response = Response {
            status,
            headers: std::mem::take(answer.headers_mut()),
            body: Bytes::new(),
            stream: None,
            redirect,
            by,
            attempts: attempt,
        };
        if !status.is_success() {
            let limit = match request.mode {
                ResponseMode::Start { limit } => limit.min(MAX_REFUSAL),
                ResponseMode::Whole { .. } | ResponseMode::Stream => MAX_REFUSAL,
            };
            let mut body = BytesMut::new();
            // A refusal is in its status, however much of its text arrives.
            let _ = read(&mut answer, &mut body, limit).await;
            response.body = body.freeze();
            return Ok(response);
        }
        match request.mode {
            ResponseMode::Stream => {
                response.stream = Some(BodyStream::new(self.clone(), answer));
            }
            ResponseMode::Whole { limit } => {
                let mut body = BytesMut::new();
                let complete = read(&mut answer, &mut body, limit).await;
                if !complete.map_err(|failed| failed.by(by))? {
                    return Err(Failed::new(RequestErrorKind::AnswerTooLarge));
                }
                response.body = body.freeze();
            }
            ResponseMode::Start { limit } => {
                let mut body = BytesMut::new();
                read(&mut answer, &mut body, limit).await?;
                response.body = body.freeze();
            }
        }
        Ok(response)
    }

    fn build(&self, request: &Request) -> Result<reqwest::RequestBuilder, Failed> {
        let base = match request.endpoint.destination {
            Destination::Capture => &self.hosts.capture,
            Destination::Api => &self.hosts.api,
            #[cfg(feature = "flags")]
            Destination::Flags => &self.hosts.capture,
        };
        let mut url = base.join(&request.endpoint.path).map_err(Failed::setup)?;
        if !request.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&request.query);
        }
        let mut builder = self
            .client()
            .map_err(|error| Failed {
                kind: RequestErrorKind::ClientSetup,
                source: Some(error),
                by: By::PostHog,
            })?
            .request(request.endpoint.method.clone(), url)
            .header(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE))
            .headers(self.headers.clone());
        let key = match request.auth {
            Auth::Own => None,
            Auth::PersonalKey => self.personal_key.as_ref(),
            #[cfg(feature = "flags")]
            Auth::FlagsKey => self.flags_key.as_ref(),
        };
        if let Some(key) = key {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal()))
                .map_err(Failed::setup)?;
            bearer.set_sensitive(true);
            // This replaces a header of that name instead of adding one.
            builder = builder.headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]));
        }
        builder = builder.headers(request.headers.clone());
        Ok(match &request.body {
            Body::Empty => builder,
            Body::Bytes(bytes) => builder.body(bytes.clone()),
            Body::Once(body) => match body.lock().unwrap_or_else(PoisonError::into_inner).take() {
                Some(body) => builder.body(body),
                None => return Err(Failed::setup("the body was already sent")),
            },
        })
    }
}

/// A panic within an attempt may come from a tracing layer at a line of the HTTP stack, which then has a poisoned lock:
/// each later attempt with the same `reqwest::Client` would panic too. So the next one builds another.
struct RenewedByPanic<'a>(&'a Http);

impl Drop for RenewedByPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.client_panicked.store(true, Relaxed);
        }
    }
}

/// Reads a body up to a limit in bytes. False: there is more.
async fn read(
    answer: &mut reqwest::Response,
    body: &mut BytesMut,
    limit: usize,
) -> Result<bool, Failed> {
    while let Some(chunk) = answer.chunk().await.map_err(|e| Failed {
        // Whatever stops a response half-way, the next attempt may get it whole.
        kind: kind_of_body(&e),
        source: Some(Box::new(e.without_url())),
        by: By::PostHog,
    })? {
        if body.len() + chunk.len() > limit {
            body.extend_from_slice(&chunk[..limit - body.len()]);
            return Ok(false);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(true)
}

impl TaskError {
    /// The error of a request whose task had no result.
    pub(crate) fn kind(&self) -> RequestErrorKind {
        match self {
            Self::NotStarted(_) => RequestErrorKind::ClientSetup,
            Self::Panicked => RequestErrorKind::Panicked,
            Self::Cancelled => RequestErrorKind::Interrupted,
        }
    }
}

fn kind_of(e: &reqwest::Error) -> RequestErrorKind {
    if e.is_connect() {
        RequestErrorKind::Connect
    } else if e.is_timeout() {
        RequestErrorKind::Timeout
    } else if e.is_builder() || e.is_redirect() {
        RequestErrorKind::Setup
    } else {
        RequestErrorKind::Interrupted
    }
}

/// The same, after the head of a response.
pub(crate) fn kind_of_body(e: &reqwest::Error) -> RequestErrorKind {
    match kind_of(e) {
        RequestErrorKind::Setup => RequestErrorKind::Interrupted,
        kind => kind,
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::client::PostHogClient;
    use crate::testing::PostHogServer;

    struct Panics;

    impl reqwest::dns::Resolve for Panics {
        #[allow(clippy::panic)] // It is what the test is about.
        fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
            panic!("on purpose")
        }
    }

    #[tokio::test]
    async fn a_client_that_panicked_is_replaced_unless_the_caller_gave_it() {
        let server = PostHogServer::start().unwrap();
        let client = |foreign| {
            let panics = reqwest::Client::builder().dns_resolver(Arc::new(Panics));
            let panics = panics.build().unwrap();
            let builder = PostHogClient::builder()
                .project_api_key("phc_test")
                .host(format!("http://localhost:{}", server.addr().port()));
            match foreign {
                true => builder.reqwest_client(panics).build().unwrap(),
                false => {
                    let client = builder.build().unwrap();
                    *client.inner.http.client.lock().unwrap() = Some(panics);
                    client
                }
            }
        };
        for foreign in [false, true] {
            let events = [crate::event::Event::new("e")];
            let sent = client(foreign).capture_batch(events).await.unwrap();
            assert_eq!(sent.is_complete(), !foreign, "{sent:?}");
        }
    }

    #[tokio::test]
    async fn the_client_of_storages_is_replaced_after_a_panic() {
        use crate::testing::Answer;
        let (posthog, storage) = (
            PostHogServer::start().unwrap(),
            PostHogServer::start().unwrap(),
        );
        let to = format!("http://localhost:{}/a?sig=1", storage.addr().port());
        posthog.answer_with(move |_| Some(Answer::status(302).header("location", to.as_str())));
        storage.answer_with(|_| Some(Answer::status(200).body("a,b\n")));
        let own = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        let client = PostHogClient::builder()
            .personal_api_key("phx_test")
            .host(posthog.url())
            .reqwest_client(own.build().unwrap())
            .build()
            .unwrap();
        let panics = reqwest::Client::builder().dns_resolver(Arc::new(Panics));
        *client.inner.http.bare_client.lock().unwrap() = Some(panics.build().unwrap());
        let file = client.request(reqwest::Method::GET, "/api/a/").file();
        assert_eq!(file.send_for_bytes().await.unwrap(), "a,b\n");
    }
}
