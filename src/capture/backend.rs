//! The actor: takes batches from the queue, sends them, settles what became of them.

use super::batch::{self, Batch, Wire};
use super::builder::CaptureBuilder;
use super::encode::Encoder;
use super::handle::{Control, Counters, FlushReport, Reply};
use super::hooks::{CaptureError, Fate, Hooks};
use super::queue::{Queue, Sleep};
use super::stats::DropReason;
#[cfg(feature = "metrics")]
use super::stats::Stats;
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::http::breaker::CircuitState;
use crate::http::retry::RetryPolicy;
use futures_util::stream::{FuturesUnordered, StreamExt};
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, warn};

/// The background actor that delivers captured events to PostHog.
///
/// It batches by count, bytes and time, compresses, retries, keeps what cannot be delivered while there
/// is room, and counts what became of every event. It goes on receiving while it sends, so a slow or
/// failing PostHog never stops callers. Made by its [`builder`](Self::builder), talked to through a
/// [`CaptureHandle`](crate::CaptureHandle).
///
/// ```no_run
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// use std::time::Duration;
/// use tracing_posthog::{EventCaptureBackend, PostHogClient};
/// let posthog = EventCaptureBackend::builder(PostHogClient::from_env()?)
///     .default_property("app_version", env!("CARGO_PKG_VERSION"))
///     .flush_interval(Duration::from_secs(2))
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct EventCaptureBackend {
    parts: Parts,
    in_flight: FuturesUnordered<Sending>,
    /// The chunk numbers and sizes of the batches in flight.
    flying: Vec<(u64, usize)>,
    /// Encoded, and waiting for their turn.
    fresh: VecDeque<Batch>,
    /// Failed in all their attempts, and waiting to be tried again.
    kept: VecDeque<Batch>,
    pause: Pause,
    /// Events before this number go at once.
    due: u64,
    /// When the interval is over; `None` while nothing happens.
    tick: Option<Instant>,
    flushes: Vec<Flush>,
    shutdown: Option<Shutdown>,
    /// Whether the last handle is gone: no order will come any more.
    alone: bool,
    hurry: watch::Sender<bool>,
    trouble: Trouble,
    #[cfg(feature = "metrics")]
    metrics: super::metrics::Publisher,
}

/// What an actor is made of.
pub(crate) struct Parts {
    pub(crate) queue: Arc<Queue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) orders: mpsc::UnboundedReceiver<Control>,
    pub(crate) client: PostHogClient,
    pub(crate) wire: Arc<Wire>,
    pub(crate) encoder: Encoder,
    pub(crate) hooks: Hooks,
    pub(crate) batch_bytes: usize,
    pub(crate) interval: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) shutdown_timeout: Duration,
}

type Sending = Pin<Box<dyn Future<Output = (Batch, Result<(), PostHogError>)> + Send>>;

/// A flush that waits.
struct Flush {
    until: u64,
    open: u64,
    delivered: u64,
    since: Instant,
    deadline: Instant,
    reply: Reply,
}

struct Shutdown {
    deadline: Instant,
    open: u64,
    delivered: u64,
    replies: Vec<Reply>,
}

/// How long kept batches wait: longer each time, and not at all after a success.
#[derive(Default)]
struct Pause {
    /// `None`: they may go.
    until: Option<Instant>,
    delays: Option<Box<dyn Iterator<Item = Duration> + Send>>,
}

impl Pause {
    fn lengthen(&mut self) {
        let policy = RetryPolicy::default().first_delay(Duration::from_secs(1));
        let delays = self.delays.get_or_insert_with(|| Box::new(policy.delays()));
        let delay = delays.next().unwrap_or(policy.max_delay);
        self.until = Some(Instant::now() + delay);
    }

    fn is_over(&self) -> bool {
        self.until.is_none_or(|until| until <= Instant::now())
    }
}

/// What was said about failing deliveries, so that an episode is reported once.
#[derive(Default)]
struct Trouble {
    keeping: bool,
    dropping: bool,
    rejected_status: Option<u16>,
}

enum Next {
    Order(Option<Control>),
    Settled(Batch, Result<(), PostHogError>),
    Woken,
    Timer,
}

impl fmt::Debug for EventCaptureBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventCaptureBackend")
            .field("client", &self.parts.client)
            .finish_non_exhaustive()
    }
}

impl EventCaptureBackend {
    /// Settings, over a client that has a project API key. The actor shares the client's
    /// `reqwest::Client`, retry policy and circuit breaker.
    pub fn builder(client: PostHogClient) -> CaptureBuilder {
        CaptureBuilder::new(client)
    }

    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            in_flight: FuturesUnordered::new(),
            flying: Vec::new(),
            fresh: VecDeque::new(),
            kept: VecDeque::new(),
            pause: Pause::default(),
            due: 0,
            tick: None,
            flushes: Vec::new(),
            shutdown: None,
            alone: false,
            hurry: watch::Sender::new(false),
            trouble: Trouble::default(),
            #[cfg(feature = "metrics")]
            metrics: Default::default(),
        }
    }

    pub(crate) async fn run(mut self) {
        loop {
            self.start_sends();
            self.answer_flushes();
            if self.is_done() {
                break;
            }
            let Some(deadline) = self.settle_down() else {
                continue;
            };
            #[cfg(feature = "metrics")]
            self.publish(deadline);
            let next = tokio::select! {
                biased;
                // A closed channel is always ready: asked again, it would keep all others from their turn.
                order = self.parts.orders.recv(), if !self.alone => Next::Order(order),
                Some((batch, result)) = self.in_flight.next() => Next::Settled(batch, result),
                () = self.parts.queue.woken() => Next::Woken,
                () = sleep_until(deadline) => Next::Timer,
            };
            if self.parts.queue.awake() {
                warn!(
                    target: "tracing_posthog::capture",
                    "the queue is full; events are being dropped, and counted in `stats`",
                );
            }
            match next {
                Next::Order(order) => self.obey(order),
                Next::Settled(batch, result) => self.settle(batch, result),
                Next::Woken => {
                    self.tick
                        .get_or_insert_with(|| Instant::now() + self.parts.interval);
                }
                Next::Timer => self.on_tick(),
            }
        }
        self.end();
    }

    /// Before a long sleep always: what is shown meanwhile is to be true.
    #[cfg(feature = "metrics")]
    fn publish(&mut self, wakes: Option<Instant>) {
        let parts = &self.parts;
        let stats = || Stats {
            circuit: Some(parts.client.circuit_state()),
            ..Stats::read(&parts.queue, &parts.counters)
        };
        match wakes {
            Some(_) => self.metrics.now_and_then(stats),
            None => self.metrics.now(stats()),
        }
    }

    /// Fills the free places with requests.
    fn start_sends(&mut self) {
        while self.in_flight.len() < self.parts.max_in_flight && self.may_send() {
            let Some(batch) = self.next_batch() else {
                break;
            };
            self.send(batch);
        }
    }

    fn may_send(&self) -> bool {
        self.shutdown.is_some()
            || match self.parts.client.circuit_state() {
                CircuitState::Closed => true,
                // One at a time: it is the probe.
                CircuitState::HalfOpen => {
                    self.in_flight.is_empty() && self.parts.client.breaker_wait().is_none()
                }
                CircuitState::Open => false,
            }
    }

    /// The oldest batch that may go: kept ones after their pause, then encoded ones, then the queue.
    fn next_batch(&mut self) -> Option<Batch> {
        if self.pause.is_over()
            && let Some(batch) = self.kept.pop_front()
        {
            self.count_kept();
            return Some(batch);
        }
        loop {
            if let Some(batch) = self.fresh.pop_front() {
                return Some(batch);
            }
            self.encode_next_chunk()?;
        }
    }

    fn encode_next_chunk(&mut self) -> Option<()> {
        let parts = &mut self.parts;
        let chunk = parts.queue.take(self.due)?;
        let mut dropped = Vec::new();
        let batches = batch::encode(&mut parts.encoder, &chunk, parts.batch_bytes, |reason| {
            dropped.push(reason);
        });
        let bytes = batches.iter().map(|b| b.json.len()).sum();
        parts.queue.encoded(chunk, bytes);
        for reason in dropped {
            parts.queue.settle(1, 0, Err(reason));
            parts.hooks.on_error(&CaptureError {
                events: 1,
                fate: Fate::Dropped(reason),
                error: None,
            });
        }
        self.fresh.extend(batches);
        if self.tick.is_some() {
            self.tick = Some(Instant::now() + self.parts.interval);
        }
        Some(())
    }

    fn send(&mut self, batch: Batch) {
        self.parts.counters.batches.fetch_add(1, Relaxed);
        self.flying.push((batch.seq, batch.len()));
        let (wire, client) = (self.parts.wire.clone(), self.parts.client.clone());
        let hurry = Some(self.hurry.subscribe());
        self.in_flight.push(Box::pin(async move {
            let result = wire.send(&client.inner.http, &batch, hurry).await;
            (batch, result)
        }));
    }

    fn settle(&mut self, batch: Batch, result: Result<(), PostHogError>) {
        if let Some(i) = self
            .flying
            .iter()
            .position(|f| *f == (batch.seq, batch.len()))
        {
            self.flying.swap_remove(i);
        }
        let error = match result {
            Ok(()) => return self.delivered(&batch),
            Err(error) => error,
        };
        match &error {
            // Not sent at all: it keeps its place.
            PostHogError::CircuitOpen { .. } => self.fresh.push_front(batch),
            e if e.status() == Some(413) => self.too_large(batch, &error),
            e if e.is_retryable() => self.exhausted(batch, &error),
            _ => {
                self.warn_rejected(&error);
                self.drop_batch(&batch, DropReason::Rejected, Some(&error));
            }
        }
    }

    fn delivered(&mut self, batch: &Batch) {
        let events = batch.len() as u64;
        self.parts
            .queue
            .settle(batch.len(), batch.json.len(), Ok(()));
        for flush in self.flushes.iter_mut().filter(|f| batch.seq < f.until) {
            flush.delivered += events;
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.delivered += events;
        }
        if self.trouble.keeping || self.trouble.dropping {
            debug!(target: "tracing_posthog::capture", "PostHog takes events again");
        }
        self.trouble = Trouble::default();
        self.pause = Pause::default();
    }

    fn too_large(&mut self, batch: Batch, error: &PostHogError) {
        let (seq, len, bytes) = (batch.seq, batch.len(), batch.json.len());
        match batch.split() {
            Some((first, second)) => {
                debug!(target: "tracing_posthog::capture", events = len, "413: sending in halves");
                // The comma between them is gone.
                self.parts.queue.shrink(1);
                self.fresh.push_front(second);
                self.fresh.push_front(first);
            }
            None => {
                warn!(
                    target: "tracing_posthog::capture",
                    bytes,
                    "PostHog says that an event is too large; it is dropped",
                );
                debug_assert_eq!(len, 1, "chunk {seq}");
                self.drop_events(1, bytes, DropReason::TooLarge, Some(error));
            }
        }
    }

    /// Keeps the batch while there is room for what comes, else drops it.
    fn exhausted(&mut self, mut batch: Batch, error: &PostHogError) {
        if self.parts.queue.is_crowded() && self.shutdown.is_none() {
            if !std::mem::replace(&mut self.trouble.dropping, true) {
                warn!(
                    target: "tracing_posthog::capture",
                    %error,
                    events = batch.len(),
                    "events cannot be delivered and the queue is full; batches are being dropped",
                );
            }
            return self.drop_batch(&batch, DropReason::Exhausted, Some(error));
        }
        if !std::mem::replace(&mut self.trouble.keeping, true) {
            warn!(
                target: "tracing_posthog::capture",
                %error,
                "events cannot be delivered; they are kept and tried again",
            );
        }
        self.parts.counters.batches_kept.fetch_add(1, Relaxed);
        self.parts.hooks.on_error(&CaptureError {
            events: batch.len() as u64,
            fate: Fate::Kept,
            error: Some(error),
        });
        batch.exhausted = Some(Instant::now());
        self.kept.push_back(batch);
        self.count_kept();
        self.pause.lengthen();
    }

    fn warn_rejected(&mut self, error: &PostHogError) {
        let status = error.status();
        if self.trouble.rejected_status != status || status.is_none() {
            self.trouble.rejected_status = status;
            warn!(
                target: "tracing_posthog::capture",
                %error,
                "PostHog refuses events; they are dropped",
            );
        }
    }

    fn drop_batch(&mut self, batch: &Batch, reason: DropReason, error: Option<&PostHogError>) {
        self.drop_events(batch.len(), batch.json.len(), reason, error);
    }

    fn drop_events(
        &mut self,
        events: usize,
        bytes: usize,
        reason: DropReason,
        error: Option<&PostHogError>,
    ) {
        self.parts.queue.settle(events, bytes, Err(reason));
        self.parts.hooks.on_error(&CaptureError {
            events: events as u64,
            fate: Fate::Dropped(reason),
            error,
        });
    }

    fn count_kept(&self) {
        let events = self.kept.iter().map(Batch::len).sum();
        self.parts.queue.set_kept(events);
    }

    fn obey(&mut self, order: Option<Control>) {
        match order {
            Some(Control::Flush {
                line,
                timeout,
                reply,
            }) => {
                let since = Instant::now();
                // What was delivered while the order was on its way counts too.
                let meanwhile = self.parts.queue.counts().delivered - line.delivered;
                self.flushes.push(Flush {
                    until: line.until,
                    open: line.open,
                    delivered: meanwhile.min(line.open),
                    since,
                    deadline: later(since, timeout),
                    reply,
                });
                self.due = self.due.max(line.until);
                self.pause.until = None;
            }
            Some(Control::Shutdown { timeout, reply }) => {
                self.begin_shutdown(timeout, Some(reply));
            }
            None => {
                self.alone = true;
                self.begin_shutdown(self.parts.shutdown_timeout, None);
            }
        }
    }

    fn begin_shutdown(&mut self, timeout: Duration, reply: Option<Reply>) {
        self.parts.queue.close();
        let line = self.parts.queue.seal();
        let now = Instant::now();
        let shutdown = self.shutdown.get_or_insert_with(|| Shutdown {
            deadline: later(now, timeout),
            open: line.open,
            delivered: 0,
            replies: Vec::new(),
        });
        shutdown.deadline = shutdown.deadline.min(later(now, timeout));
        shutdown.replies.extend(reply);
        self.due = line.until;
        // What is kept goes once more at once, and from there as patiently as if it were the first time.
        self.pause = Pause::default();
        self.hurry.send_replace(true);
    }

    /// Answers the flushes whose events are settled, kept for later, or out of time.
    fn answer_flushes(&mut self) {
        let now = Instant::now();
        let mut i = 0;
        while let Some(flush) = self.flushes.get(i) {
            let pending = self.pending(flush.until);
            let busy = self.flying.iter().any(|(seq, _)| *seq < flush.until)
                || self.fresh.iter().any(|b| b.seq < flush.until)
                || self
                    .parts
                    .queue
                    .front_seq()
                    .is_some_and(|s| s < flush.until)
                || self
                    .kept
                    .iter()
                    .any(|b| b.seq < flush.until && b.exhausted.is_none_or(|at| at < flush.since));
            if busy && now < flush.deadline {
                i += 1;
                continue;
            }
            let flush = self.flushes.swap_remove(i);
            flush.reply.send(FlushReport {
                delivered: flush.delivered,
                dropped: flush.open.saturating_sub(flush.delivered + pending),
                pending,
            });
        }
    }

    /// How many events before `until` are not settled.
    fn pending(&self, until: u64) -> u64 {
        let kept = self.kept.iter().chain(&self.fresh);
        let kept: usize = kept.filter(|b| b.seq < until).map(Batch::len).sum();
        kept as u64 + self.parts.queue.queued_before(until) + self.flying_events(until)
    }

    fn flying_events(&self, until: u64) -> u64 {
        self.flying
            .iter()
            .filter(|(seq, _)| *seq < until)
            .map(|(_, events)| *events as u64)
            .sum()
    }

    fn is_done(&self) -> bool {
        let Some(shutdown) = &self.shutdown else {
            return false;
        };
        let idle = self.in_flight.is_empty() && self.fresh.is_empty() && self.kept.is_empty();
        (idle && self.parts.queue.front_seq().is_none()) || Instant::now() >= shutdown.deadline
    }

    /// Says how the actor sleeps, and until when at most. `None`: there is work.
    fn settle_down(&mut self) -> Option<Option<Instant>> {
        let full = self.in_flight.len() >= self.parts.max_in_flight;
        let (sleep, mut wake) = if full {
            (Sleep::Awake, None)
        } else if !self.may_send() {
            let wait = self.parts.client.breaker_wait().unwrap_or_default();
            // Zero: somebody else's probe is under way.
            let wait = wait.max(Duration::from_millis(20));
            (Sleep::Awake, Some(Instant::now() + wait))
        } else if self.tick.is_some() {
            (Sleep::Timer, self.tick)
        } else {
            (Sleep::Deep, None)
        };
        if self.parts.queue.sleep(self.due, sleep).is_none() {
            self.tick
                .get_or_insert_with(|| Instant::now() + self.parts.interval);
            return None;
        }
        let mut at_latest = |at: Instant| wake = Some(wake.map_or(at, |w| w.min(at)));
        if let Some(until) = self.pause.until
            && !self.kept.is_empty()
            && sleep != Sleep::Awake
        {
            at_latest(until);
        }
        for flush in &self.flushes {
            at_latest(flush.deadline);
        }
        if let Some(shutdown) = &self.shutdown {
            at_latest(shutdown.deadline);
        }
        Some(wake)
    }

    fn on_tick(&mut self) {
        let now = Instant::now();
        if self.tick.is_none_or(|tick| tick > now) {
            return;
        }
        self.due = self.due.max(self.parts.queue.next_seq());
        let waiting = self.parts.queue.front_seq().is_some();
        self.tick = waiting.then(|| now + self.parts.interval);
    }

    /// The shutdown is over: drops what is left, and says so.
    fn end(&mut self) {
        let left = self.parts.queue.abandon();
        #[cfg(feature = "metrics")]
        self.publish(None);
        if left > 0 {
            warn!(
                target: "tracing_posthog::capture",
                events = left,
                "shut down before everything was delivered; the rest is dropped",
            );
            self.parts.hooks.on_error(&CaptureError {
                events: left,
                fate: Fate::Dropped(DropReason::Shutdown),
                error: None,
            });
        }
        for flush in self.flushes.drain(..) {
            flush.reply.send(FlushReport {
                delivered: flush.delivered,
                dropped: flush.open.saturating_sub(flush.delivered),
                pending: 0,
            });
        }
        if let Some(shutdown) = self.shutdown.take() {
            let report = FlushReport {
                delivered: shutdown.delivered,
                dropped: shutdown.open.saturating_sub(shutdown.delivered),
                pending: 0,
            };
            for reply in shutdown.replies {
                reply.send(report);
            }
        }
    }
}

impl Drop for EventCaptureBackend {
    fn drop(&mut self) {
        // Only where its runtime went away before the shutdown: what was there is lost, and counted.
        self.parts.queue.abandon();
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// `Instant + Duration` that does not panic where a timeout is meant to be endless.
fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by)
        .unwrap_or_else(|| from + Duration::from_secs(60 * 60 * 24 * 365))
}
