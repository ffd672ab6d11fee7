//! Events that are sent now, by whoever waits for the answer: no queue in between, no actor.

use super::batch::Batch;
use super::outcome::{Next, Outcome, Refused, Rest, Which, after_failure, reason_of};
use super::pipeline::Pipeline;
use super::protocol::{Prepared, Protocol};
use crate::capture::clock::ClockSource;
use crate::capture::diagnostics::Diagnostics;
use crate::capture::encode::{Encoder, Enrichment};
use crate::capture::ledger::{DropReason, Dropped};
use crate::capture::queue::{Limits, Queue, QueuePolicy};
use crate::error::{PostHogError, RequestErrorKind};
use crate::event::Event;
use crate::event::record::Record;
use crate::http::{Destination, Http, Visibility};
use std::sync::Arc;

/// What became of the events of one [`capture_batch`](crate::PostHogClient::capture_batch).
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct BatchSummary {
    /// Events that PostHog acknowledged.
    pub delivered: u64,
    /// Events that were not delivered, by reason.
    pub dropped: Dropped,
    /// Requests sent, retries not counted.
    pub requests: u64,
    /// What went wrong, one for each request that failed.
    pub errors: Vec<PostHogError>,
}

impl BatchSummary {
    /// Whether everything was delivered.
    pub fn is_complete(&self) -> bool {
        self.dropped.total() == 0
    }
}

/// How events are sent: as the actor of the same client sends them, or by default.
#[derive(Debug, Clone)]
pub(crate) struct DirectSettings {
    pub(crate) enrichment: Enrichment,
    pub(crate) protocol: Arc<Protocol>,
    pub(crate) clock: ClockSource,
    pub(crate) batch_events: usize,
    pub(crate) batch_bytes: usize,
}

/// Sends events and waits for the answers. Encoding and hooks run on the caller.
pub(crate) async fn send(
    http: &Arc<Http>,
    settings: &DirectSettings,
    events: impl IntoIterator<Item = Event>,
) -> BatchSummary {
    let mut summary = BatchSummary::default();
    let (queue, mut pipeline) = fill(settings, events, &mut summary.dropped);
    while let Some(encoded) = {
        // What hooks capture themselves is ignored, as on the actor's thread.
        let _suppressed = crate::suppress::SuppressGuard::enter();
        pipeline.next(&queue, u64::MAX)
    } {
        for reason in encoded.dropped {
            summary.dropped.add(reason, 1);
        }
        let mut batches = encoded.batches;
        batches.reverse();
        while let Some(batch) = batches.pop() {
            summary.requests += 1;
            batches.extend(deliver(http, settings, batch, &mut summary).await);
        }
    }
    summary
}

/// All events in a queue without bounds.
fn fill(
    settings: &DirectSettings,
    events: impl IntoIterator<Item = Event>,
    dropped: &mut Dropped,
) -> (Queue, Pipeline) {
    let max_event_bytes = settings.enrichment.max_event_bytes;
    let queue = Queue::new(Limits {
        events: usize::MAX,
        bytes: usize::MAX,
        batch_events: settings.batch_events,
        batch_bytes: settings.batch_bytes,
        flush_at: usize::MAX,
        policy: QueuePolicy::DropNewest,
    });
    let mut record = Record::over(Vec::new(), max_event_bytes);
    for event in events {
        record = Record::over(record.into_bytes(), max_event_bytes);
        record.event(&event);
        match record.overflowed() {
            true => dropped.add(DropReason::TooLarge, 1),
            // Without bounds nothing is refused.
            false => drop(queue.push(record.bytes(), settings.clock.now())),
        }
    }
    let encoder = Encoder::new(
        settings.enrichment.clone(),
        Arc::new(Diagnostics::default()),
    );
    let pipeline = Pipeline {
        encoder,
        batch_bytes: settings.batch_bytes,
    };
    (queue, pipeline)
}

/// Sends one batch as often as the policy says. Returns parts of it that are to be sent by themselves.
async fn deliver(
    http: &Arc<Http>,
    settings: &DirectSettings,
    mut batch: Batch,
    summary: &mut BatchSummary,
) -> Vec<Batch> {
    loop {
        let outcome = match attempt(http, settings, &mut batch).await {
            Ok(outcome) => outcome,
            Err(error) => {
                lose(summary, batch.len(), error);
                return Vec::new();
            }
        };
        summary.delivered += outcome.accepted as u64;
        for Refused { events, reason, .. } in &outcome.refused {
            summary.dropped.add(*reason, *events as u64);
        }
        match outcome.rest {
            Rest::Nothing => return Vec::new(),
            Rest::Separate(events) => {
                let mut left = batch.pick(&events);
                left.delivery.start_over(None);
                return vec![left];
            }
            Rest::OtherProtocol => batch.delivery.switch_protocol(),
            Rest::TooLarge(error) => match batch.split() {
                Some([first, second]) => return vec![second, first],
                None => {
                    lose(summary, 1, error);
                    return Vec::new();
                }
            },
            Rest::Refused(error) => {
                lose(summary, batch.len(), error);
                return Vec::new();
            }
            Rest::Retry {
                events,
                mut error,
                retry_after,
            } => {
                if let Which::Some(events) = events {
                    batch = batch.pick(&events);
                }
                let attempts = batch.delivery.attempts;
                match after_failure(&http.retry, attempts, retry_after) {
                    Next::RetryIn(wait) => drop(http.io.sleep(wait).await),
                    Next::Exhausted => {
                        error.set_end(attempts, retry_after);
                        lose(summary, batch.len(), error);
                        return Vec::new();
                    }
                }
            }
        }
    }
}

fn lose(summary: &mut BatchSummary, events: usize, error: PostHogError) {
    summary.dropped.add(reason_of(&error), events as u64);
    summary.errors.push(error);
}

/// One attempt, if the circuit breaker lets it through.
async fn attempt(
    http: &Arc<Http>,
    settings: &DirectSettings,
    batch: &mut Batch,
) -> Result<Outcome, PostHogError> {
    let prepared = settings.protocol.prepare(batch, settings.clock.now());
    let Prepared { request, sent } = match prepared {
        Ok(prepared) => prepared,
        Err(outcome) => return Ok(*outcome),
    };
    let endpoint = request.endpoint.clone();
    let breaker = http.breakers.of(Destination::Capture);
    let permit = match breaker.admit() {
        Ok(permit) => permit,
        // What has begun goes on.
        Err(_) if batch.delivery.attempts > 0 => breaker.admit_always(),
        Err(retry_in) => {
            return Err(PostHogError::CircuitOpen {
                operation: endpoint.operation,
                retry_in,
            });
        }
    };
    let visibility = match batch.delivery.panicked {
        false => Visibility::Scoped,
        true => Visibility::Untraced,
    };
    batch.delivery.attempts += 1;
    let attempts = batch.delivery.attempts;
    let ended = http.send_once(request, attempts, visibility).await;
    let result = ended.unwrap_or_else(|error| {
        Err(endpoint.failed(http, error.kind(), Some(Box::new(error)), attempts))
    });
    let mut timed_out = false;
    if let Err(PostHogError::RequestError(error)) = &result {
        batch.delivery.panicked |= error.kind == RequestErrorKind::Panicked;
        timed_out = error.kind == RequestErrorKind::Timeout;
    }
    let outcome = settings.protocol.outcome(http, sent, result);
    let exhausted = attempts >= http.retry.attempts;
    match outcome.rest {
        Rest::Retry { .. } if exhausted || timed_out => permit.failure(),
        Rest::Retry { .. } => permit.retried(),
        _ => permit.success(),
    }
    Ok(outcome)
}
