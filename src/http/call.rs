//! The attempts of one call, for everyone but the actor, which schedules its own.

use super::Http;
use super::attempt::Failed;
use super::breaker::Permit;
use super::request::{Body, Endpoint, Request};
use super::response::Response;
use super::retry::{Decision, Outcome};
use super::span::GuardedSpan;
use super::storage::By;
use crate::diagnostics::log;
use crate::error::{PostHogError, RequestErrorKind};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;

/// How one attempt failed, and how the call ends if it was the last.
struct Failure {
    outcome: Outcome,
    error: PostHogError,
    by: By,
}

impl Http {
    /// Sends a request, as often as the policy says. Works on any executor; dropping the future cancels the call.
    pub(crate) async fn api_request_raw(
        self: &Arc<Self>,
        request: Request,
    ) -> Result<Response, PostHogError> {
        let endpoint = request.endpoint.clone();
        let http = self.clone();
        self.on_io(&endpoint, async move {
            http.announcement.say();
            let span = http.call_span(&request);
            span.around(http.call(request)).await
        })
        .await
    }

    /// Runs a part of a call on the client's runtime, within the caller's span and subscriber.
    pub(crate) async fn on_io<T: Send + 'static>(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        work: impl Future<Output = Result<T, PostHogError>> + Send + 'static,
    ) -> Result<T, PostHogError> {
        let work = GuardedSpan::current()
            .around(work)
            .with_current_subscriber();
        match self.io.spawn(work).await {
            Ok(result) => result,
            Err(error) => Err(endpoint.failed(self, error.kind(), Some(Box::new(error)), 0)),
        }
    }

    async fn call(self: &Arc<Self>, request: Request) -> Result<Response, PostHogError> {
        let breaker = self.breakers.of(request.endpoint.destination);
        let permit = breaker
            .admit()
            .map_err(|retry_in| PostHogError::CircuitOpen {
                operation: request.endpoint.operation,
                retry_in,
            })?;
        let retry = request.retry(self);
        let mut delays = retry.delays();
        let mut panicked = false;
        for attempt in 1.. {
            let sent = AssertUnwindSafe(self.attempt(&request, attempt)).catch_unwind();
            // A panic may have come from a tracing layer: from then on none is asked.
            let sent = match panicked {
                false => sent.await,
                true => sent.with_subscriber(Dispatch::none()).await,
            };
            let sent = sent.unwrap_or_else(|panic| {
                crate::panic::discard(panic);
                panicked = true;
                Err(Failed::panicked())
            });
            let Failure {
                outcome,
                mut error,
                by,
            } = match self.verdict(&request, sent, attempt) {
                Ok(response) => {
                    permit.success();
                    return Ok(response);
                }
                Err(failure) => failure,
            };
            let delay = delays.next().unwrap_or(retry.max_delay);
            let mut decision = retry.decide(attempt, request.idempotent, &outcome, delay);
            if matches!(request.body, Body::Once(_)) {
                if matches!(decision, Decision::RetryIn(_)) {
                    log!(
                        target: "tracing_posthog::http",
                        debug,
                        %error,
                        "not retried: the body is a stream and can be sent only once",
                    );
                }
                decision = Decision::Stop;
            }
            let Decision::RetryIn(wait) = decision else {
                error.set_end(attempt, outcome.retry_after());
                settle(permit, &error, by);
                log!(target: "tracing_posthog::http", debug, %error, attempt, "request failed");
                return Err(error);
            };
            if by == By::PostHog && matches!(outcome, Outcome::Transport(RequestErrorKind::Timeout))
            {
                breaker.count_timeout();
            }
            log!(target: "tracing_posthog::http", debug, %error, attempt, ?wait, "will retry");
            tokio::time::sleep(wait).await;
        }
        Err(request
            .endpoint
            .failed(self, RequestErrorKind::Interrupted, None, u32::MAX))
    }

    /// What one attempt means for the call.
    fn verdict(
        &self,
        request: &Request,
        sent: Result<Response, Failed>,
        attempt: u32,
    ) -> Result<Response, Failure> {
        let endpoint = &request.endpoint;
        let response = match sent {
            Ok(response) if response.status.is_success() => return Ok(response),
            Ok(response) => response,
            Err(Failed { kind, source, by }) => {
                let counts_as = request.retry(self).rule.kind(kind, source.as_deref());
                return Err(Failure {
                    outcome: Outcome::Transport(counts_as),
                    error: endpoint.failed(self, kind, source, attempt),
                    by,
                });
            }
        };
        let by = response.by;
        let is_final = request
            .final_error
            .filter(|_| by == By::PostHog)
            .and_then(|read| read(self, endpoint, response.status, &response.body));
        Err(match is_final {
            Some(error) => Failure {
                outcome: Outcome::Final,
                error,
                by,
            },
            None => Failure {
                outcome: Outcome::Status {
                    status: response.status.as_u16(),
                    retry_after: response.retry_after(),
                },
                error: self.refused(endpoint, &response),
                by,
            },
        })
    }
}

/// A response that is final for the caller still shows a PostHog that is alive, and so does a redirect to a storage that
/// is not.
fn settle(permit: Permit, error: &PostHogError, by: By) {
    match error.is_retryable() && by == By::PostHog {
        true => permit.failure(),
        false => permit.success(),
    }
}

impl PostHogError {
    /// How the call ended: after how many attempts, and with which `Retry-After`.
    pub(crate) fn set_end(&mut self, attempts: u32, retry_after: Option<Duration>) {
        match self {
            Self::ApiError(e) => (e.attempts, e.retry_after) = (attempts, retry_after),
            Self::RequestError(e) => (e.attempts, e.retry_after) = (attempts, retry_after),
            _ => {}
        }
    }
}
