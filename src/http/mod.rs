//! One road to PostHog: every request of this crate is sent by [`Http::api_request_raw`].

mod answer;
pub(crate) mod breaker;
#[cfg(test)]
pub(crate) mod outage;
pub(crate) mod refusal;
pub(crate) mod retry;

use crate::config::{Hosts, Secret};
use crate::error::{PostHogError, RequestError, RequestErrorKind, without_keys};
use breaker::Breaker;
use bytes::{Bytes, BytesMut};
use refusal::{Redirect, takes_events};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use reqwest::{Method, Url};
use retry::{Decision, Outcome, RetryPolicy};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug, debug_span};

/// The name under which this crate's own diagnostics are emitted.
pub(crate) const USER_AGENT_VALUE: &str =
    concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// As long as no program runs: more, added to now, may overflow.
pub(crate) const ENDLESS: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Answers larger than this are not read.
const MAX_ANSWER: usize = 64 << 20;
/// And of one that refuses.
const MAX_REFUSAL: usize = 1 << 20;

/// Which of PostHog's two bases a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// Where events are sent. The key stands in the body, never in a header.
    Capture,
    /// The REST API, with the personal key as bearer.
    Api,
}

/// What a request carries.
pub(crate) enum Body<'a> {
    Empty,
    /// The same bytes on each attempt.
    Fixed {
        content_type: HeaderValue,
        bytes: Bytes,
    },
    /// Made anew for each attempt, for what must be stamped when it is sent. Is told its number, from 1.
    PerAttempt(&'a (dyn Fn(u32) -> Payload + Send + Sync)),
    /// A stream that cannot be sent twice: one attempt, whatever the policy says.
    Once {
        content_type: HeaderValue,
        body: Mutex<Option<reqwest::Body>>,
    },
}

impl Body<'_> {
    pub(crate) fn json(bytes: Bytes) -> Self {
        Self::Fixed {
            content_type: HeaderValue::from_static("application/json"),
            bytes,
        }
    }

    pub(crate) fn raw(content_type: HeaderValue, body: reqwest::Body) -> Self {
        match body.as_bytes() {
            Some(bytes) => Self::Fixed {
                content_type,
                bytes: Bytes::copy_from_slice(bytes),
            },
            None => Self::Once {
                content_type,
                body: Mutex::new(Some(body)),
            },
        }
    }
}

/// One attempt's body and the headers that describe it.
pub(crate) struct Payload {
    pub(crate) events: usize,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

/// One call: what to send where, for how long to try.
pub(crate) struct Call<'a> {
    pub(crate) operation: &'static str,
    pub(crate) method: Method,
    pub(crate) side: Side,
    /// Starts with a slash; percent-encoded.
    pub(crate) path: &'a str,
    pub(crate) query: &'a [(String, String)],
    pub(crate) body: Body<'a>,
    /// Set when repeating is harmless although the method does not say so.
    pub(crate) idempotent: bool,
    /// Turns true when there is no more time: waits end, and an open breaker is passed by.
    pub(crate) hurry: Option<watch::Receiver<bool>>,
    /// Reads answers of status 2xx that may ask for another attempt.
    pub(crate) judge: Option<&'a Judge<'a>>,
    pub(crate) take: Take,
}

/// How the body of an answer of status 2xx is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    /// Read in the attempt, within its time and [`MAX_ANSWER`].
    Whole,
    /// Left to be read: an attempt ends with the head.
    AsItComes,
}

type Judge<'a> = dyn Fn(&[u8]) -> Result<Judgement, PostHogError> + Send + Sync + 'a;

/// What an answer of status 2xx means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    Done,
    /// PostHog could not keep all that was sent, and asks for the rest again.
    Again,
}

/// An answer of status 2xx.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) body: Bytes,
    /// Where the body is to be read from, of a call that takes it as it comes.
    pub(crate) rest: Option<reqwest::Response>,
    /// How often the request was sent.
    pub(crate) attempts: u32,
}

#[derive(Debug)]
pub(crate) struct Http {
    /// Set up at the first request unless the caller gave one: loading TLS roots takes tens of
    /// milliseconds, which nobody's `main` should wait for.
    pub(crate) client: Mutex<Option<reqwest::Client>>,
    /// Whether the caller gave it: it follows redirects by a rule of its own.
    pub(crate) foreign_client: bool,
    pub(crate) hosts: Hosts,
    pub(crate) personal_key: Option<Secret>,
    /// Stands in the bodies and headers that capturing makes; here it is taken out of what PostHog says.
    pub(crate) project_key: Option<Secret>,
    pub(crate) headers: HeaderMap,
    pub(crate) retry: RetryPolicy,
    pub(crate) breaker: Breaker,
    /// Why the last attempt to send events failed, unless one succeeded since: what is given up in the middle
    /// of its attempts has no error of its own.
    pub(crate) trouble: Mutex<Option<String>>,
    pub(crate) attempt_timeout: Duration,
    pub(crate) connect_timeout: Duration,
}

/// How one attempt failed, and how the call would end if it were the last.
struct Failure {
    outcome: Outcome,
    error: PostHogError,
}

impl Http {
    /// Sends a body with the personal key.
    pub(crate) async fn api_request(
        &self,
        operation: &'static str,
        method: Method,
        path: &str,
        query: &[(String, String)],
        body: Body<'_>,
        take: Take,
    ) -> Result<Answer, PostHogError> {
        self.api_request_raw(Call {
            operation,
            idempotent: retry::is_idempotent(&method),
            method,
            side: Side::Api,
            path,
            query,
            body,
            hurry: None,
            judge: None,
            take,
        })
        .await
    }

    /// The only function that sends. Tries as the policy says; one span for the call and one for
    /// each attempt.
    pub(crate) async fn api_request_raw(&self, call: Call<'_>) -> Result<Answer, PostHogError> {
        let span = debug_span!(
            target: "tracing_posthog::http",
            "posthog_call",
            operation = call.operation,
            method = %call.method,
            path = self.clean(call.path),
        );
        self.call(call).instrument(span).await
    }

    async fn call(&self, mut call: Call<'_>) -> Result<Answer, PostHogError> {
        let hurried = |call: &Call<'_>| call.hurry.as_ref().is_some_and(|h| *h.borrow());
        let permit = match self.breaker.admit() {
            Ok(permit) => permit,
            Err(_) if hurried(&call) => self.breaker.admit_always(),
            Err(retry_in) => {
                return Err(PostHogError::CircuitOpen {
                    operation: call.operation,
                    retry_in,
                });
            }
        };
        let mut delays = self.retry.delays();
        let mut attempt = 1;
        loop {
            let span = debug_span!(
                target: "tracing_posthog::http",
                "posthog_attempt",
                attempt,
                events = Empty,
                status = Empty,
            );
            let Failure { outcome, mut error } = match self
                .attempt(&call, attempt, &span)
                .instrument(span.clone())
                .await
            {
                Ok(answer) => {
                    self.note(&call, None);
                    permit.answered();
                    return Ok(answer);
                }
                Err(failure) => failure,
            };
            self.note(&call, Some(&error));
            let delay = delays.next().unwrap_or(self.retry.max_delay);
            let mut decision = self.retry.decide(attempt, call.idempotent, &outcome, delay);
            if matches!(call.body, Body::Once { .. }) {
                if matches!(decision, Decision::RetryIn(_)) {
                    debug!(
                        target: "tracing_posthog::http",
                        %error,
                        "not retried: the body is a stream and can be sent only once",
                    );
                }
                decision = Decision::Stop;
            }
            let Decision::RetryIn(wait) = decision else {
                error.set_end(attempt, outcome.retry_after().min(self.retry.max_delay));
                // An answer that is final for the caller still shows a PostHog that is alive.
                if error.is_retryable() {
                    permit.failed();
                } else {
                    permit.answered();
                }
                debug!(target: "tracing_posthog::http", %error, attempt, "request failed");
                return Err(error);
            };
            debug!(target: "tracing_posthog::http", %error, attempt, ?wait, "will retry");
            let was_hurried = hurried(&call);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // Turned on during the wait: one more try at once, while there still is time. If it
                // was on before, waits are kept, or a refusing server would be hammered.
                () = hurry(&mut call.hurry), if !was_hurried => {}
            }
            attempt += 1;
        }
    }

    async fn attempt(&self, call: &Call<'_>, attempt: u32, span: &Span) -> Result<Answer, Failure> {
        let transport = |kind, source: Option<Box<dyn std::error::Error + Send + Sync>>| Failure {
            outcome: Outcome::Transport(kind),
            error: PostHogError::RequestError(Box::new(RequestError {
                operation: call.operation,
                method: call.method.to_string(),
                path: self.clean(call.path),
                kind,
                attempts: attempt,
                retry_after: Duration::ZERO,
                source,
            })),
        };
        let failed = |e: reqwest::Error| transport(kind_of(&e), Some(Box::new(e.without_url())));
        #[cfg(test)]
        match outage::finds_it_back(self.hosts.capture.to_string()) {
            Some(true) => {
                return Ok(Answer {
                    body: Bytes::new(),
                    rest: None,
                    attempts: attempt,
                });
            }
            Some(false) => return Err(transport(RequestErrorKind::Connect, None)),
            None => {}
        }

        let request = self.build(call, attempt, span).map_err(|e| match e {
            Setup::Reqwest(e) => failed(e),
            Setup::Other(e) => transport(RequestErrorKind::Setup, Some(e)),
        })?;
        let (client, request) = request.build_split();
        let request = request.map_err(failed)?;
        let sent_to = request.url().clone();
        let sending = client.execute(request);
        let late = || transport(RequestErrorKind::Timeout, None);
        let mut answer = match call.take {
            Take::Whole => sending.await.map_err(failed)?,
            Take::AsItComes => tokio::time::timeout(self.attempt_timeout, sending)
                .await
                .map_err(|_| late())?
                .map_err(failed)?,
        };
        let status = answer.status();
        // Not `Span::current()`: where nobody wants this span, that is one of the caller's.
        span.record("status", status.as_u16());
        let retry_after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| retry::retry_after(v, SystemTime::now()));
        if status.is_success() && call.take == Take::AsItComes {
            return Ok(Answer {
                body: Bytes::new(),
                rest: Some(answer),
                attempts: attempt,
            });
        }
        let redirect = self.redirect(call, &sent_to, &answer);
        let mut body = BytesMut::new();
        let reading = async {
            while let Some(chunk) = answer
                .chunk()
                .await
                // Whatever stops an answer half-way, the next attempt may get it whole.
                .map_err(|e| transport(kind_of_body(&e), Some(Box::new(e.without_url()))))?
            {
                if body.len() + chunk.len() > MAX_ANSWER {
                    return Err(transport(RequestErrorKind::AnswerTooLarge, None));
                }
                if !status.is_success() && body.len() + chunk.len() > MAX_REFUSAL {
                    // Enough to tell what is wrong.
                    break;
                }
                body.extend_from_slice(&chunk);
            }
            Ok(())
        };
        let read = match call.take {
            Take::Whole => reading.await,
            Take::AsItComes => tokio::time::timeout(self.attempt_timeout, reading)
                .await
                .unwrap_or_else(|_| Err(late())),
        };
        if status.is_success() {
            // A refusal stands in its status, however much of its words came through.
            read?;
            let mut judged = match call.judge {
                Some(judge) => judge(&body),
                None => Ok(Judgement::Done),
            };
            if matches!(redirect, Some(Redirect::Followed(_)))
                && (judged.is_err() || (call.judge.is_none() && !takes_events(&body)))
            {
                // Something answers there that is no PostHog, or was asked without a body.
                judged = Err(self.refused(call, status.as_u16(), redirect, &body, attempt));
            }
            return match judged {
                Ok(Judgement::Done) => Ok(Answer {
                    body: body.freeze(),
                    rest: None,
                    attempts: attempt,
                }),
                Ok(Judgement::Again) => Err(Failure {
                    outcome: Outcome::Partial { retry_after },
                    ..transport(RequestErrorKind::NotPersisted, None)
                }),
                Err(error) => Err(Failure {
                    outcome: Outcome::Final,
                    error,
                }),
            };
        }
        if let Some(error) = self.failed_query(call, status.as_u16(), &body) {
            return Err(Failure {
                outcome: Outcome::Final,
                error,
            });
        }
        Err(Failure {
            outcome: Outcome::Status {
                status: status.as_u16(),
                retry_after,
            },
            error: self.refused(call, status.as_u16(), redirect, &body, attempt),
        })
    }

    fn build(
        &self,
        call: &Call<'_>,
        attempt: u32,
        span: &Span,
    ) -> Result<reqwest::RequestBuilder, Setup> {
        let base = match call.side {
            Side::Capture => &self.hosts.capture,
            Side::Api => &self.hosts.api,
        };
        let mut url: Url = base.join(call.path).map_err(|e| Setup::Other(e.into()))?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(call.query);
        }
        let mut request = self
            .client()
            .map_err(Setup::Reqwest)?
            .request(call.method.clone(), url)
            .header(USER_AGENT, HeaderValue::from_static(USER_AGENT_VALUE))
            .headers(self.headers.clone());
        // Those of one's own replace others of the same name, instead of standing beside them.
        let own = |name, value: &HeaderValue| HeaderMap::from_iter([(name, value.clone())]);
        if call.take == Take::Whole {
            request = request.timeout(self.attempt_timeout);
        }
        if let (Side::Api, Some(key)) = (call.side, &self.personal_key) {
            let mut bearer = HeaderValue::from_str(&format!("Bearer {}", key.reveal()))
                .map_err(|e| Setup::Other(e.into()))?;
            bearer.set_sensitive(true);
            request = request.headers(own(AUTHORIZATION, &bearer));
        }
        Ok(match &call.body {
            Body::Empty => request,
            Body::Fixed {
                content_type,
                bytes,
            } => request
                .headers(own(CONTENT_TYPE, content_type))
                .body(bytes.clone()),
            Body::PerAttempt(make) => {
                let payload = make(attempt);
                span.record("events", payload.events);
                request.headers(payload.headers).body(payload.bytes)
            }
            Body::Once { content_type, body } => {
                match body.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    Some(body) => request.headers(own(CONTENT_TYPE, content_type)).body(body),
                    None => return Err(Setup::Other("the body was already sent".into())),
                }
            }
        })
    }

    fn note(&self, call: &Call<'_>, error: Option<&PostHogError>) {
        if call.side == Side::Capture {
            let text = error.map(PostHogError::to_string);
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = text;
        }
    }

    /// Why events cannot be sent, as far as is known.
    pub(crate) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// `text` without keys.
    pub(crate) fn clean(&self, text: &str) -> String {
        let [one, other] =
            [&self.personal_key, &self.project_key].map(|k| k.as_ref().map(Secret::reveal));
        match other {
            Some(other) => without_keys(&text.replace(other, "[redacted]"), one),
            None => without_keys(text, one),
        }
    }

    fn client(&self) -> Result<reqwest::Client, reqwest::Error> {
        let mut slot = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*slot {
            return Ok(client.clone());
        }
        let client = reqwest::Client::builder()
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::custom(redirect))
            .tcp_nodelay(true)
            .build()?;
        *slot = Some(client.clone());
        Ok(client)
    }
}

enum Setup {
    Reqwest(reqwest::Error),
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// Follows a redirect only where it can neither take the key (in a header or the body) to another
/// host nor turn a `POST` into a `GET`.
fn redirect(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let same_place = attempt.previous().first().is_some_and(|first| {
        let next = attempt.url();
        first.host_str() == next.host_str()
            && first.port_or_known_default() == next.port_or_known_default()
            && first.scheme() == next.scheme()
    });
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    if same_place && keeps_method && attempt.previous().len() < 5 {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

async fn hurry(signal: &mut Option<watch::Receiver<bool>>) {
    if let Some(signal) = signal
        && signal.wait_for(|on| *on).await.is_ok()
    {
        return;
    }
    // Nobody will ever hurry this call.
    std::future::pending().await
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

/// The same, where the head of an answer had come.
pub(crate) fn kind_of_body(e: &reqwest::Error) -> RequestErrorKind {
    match kind_of(e) {
        RequestErrorKind::Setup => RequestErrorKind::Interrupted,
        kind => kind,
    }
}

impl PostHogError {
    /// How the call ended: after so many attempts, and with which wish of the last answer.
    fn set_end(&mut self, attempts: u32, retry_after: Duration) {
        match self {
            Self::ApiError(e) => (e.attempts, e.retry_after) = (attempts, retry_after),
            Self::RequestError(e) => (e.attempts, e.retry_after) = (attempts, retry_after),
            _ => {}
        }
    }
}
