//! The actor: takes batches from the queue, sends them, settles what became of them.

mod disk;
#[cfg(test)]
mod fleet;
mod flushes;
mod lanes;
mod pause;
mod settle;
#[cfg(test)]
mod tests;
mod trouble;

use super::batch::Batch;
use super::builder::CaptureBuilder;
use super::encode::Encoder;
use super::handle::{Control, Counters};
use super::hooks::Hooks;
use super::notices;
use super::queue::{Queue, Sleep};
use super::spool::Store;
#[cfg(feature = "metrics")]
use super::stats::Stats;
use super::wire::{Progress, Sent, Wire};
use crate::client::PostHogClient;
use crate::http::breaker::CircuitState;
use flushes::{Flush, Shutdown};
use futures_util::stream::{FuturesUnordered, StreamExt};
use lanes::Turn;
use pause::Pause;
use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::warn;
use trouble::Trouble;

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
    /// The batches in flight.
    flying: Vec<Flight>,
    /// Encoded, and waiting for their turn.
    fresh: VecDeque<Batch>,
    /// Failed in all their attempts, or too large for the spool, and waiting to be tried again.
    kept: VecDeque<Batch>,
    /// How many events of these two the ledger knows of.
    counted: usize,
    turn: Turn,
    /// Whether of what failed before it is the disk's turn.
    disk_is_next: bool,
    pause: Pause,
    /// When a batch last failed and was left to the disk.
    failed_at: Option<Instant>,
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
    /// Never there without the feature `spool`.
    pub(crate) disk: Option<Store>,
    pub(crate) batch_bytes: usize,
    pub(crate) interval: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) shutdown_timeout: Duration,
}

/// A batch that is being sent, and how far it has come.
struct Flight {
    batch: Arc<Batch>,
    progress: Arc<Mutex<Progress>>,
}

type Sending = Pin<Box<dyn Future<Output = (Arc<Batch>, Sent)> + Send>>;

enum Next {
    Order(Option<Control>),
    Settled(Arc<Batch>, Sent),
    Woken,
    Rested,
}

/// How long the actor has nothing to do.
#[derive(Debug, Clone, Copy)]
enum Idle {
    /// There is work.
    No,
    Until(Instant),
    /// Until something happens.
    Long,
}

impl Idle {
    fn until(deadline: Option<Instant>) -> Self {
        deadline.map_or(Self::Long, Self::Until)
    }

    async fn over(self) {
        match self {
            // The runtime has its turn, and answers come in.
            Self::No => tokio::task::yield_now().await,
            Self::Until(deadline) => tokio::time::sleep_until(deadline).await,
            Self::Long => std::future::pending().await,
        }
    }
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
            counted: 0,
            turn: Turn::default(),
            disk_is_next: false,
            pause: Pause::default(),
            failed_at: None,
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
        self.open_disk();
        loop {
            self.look_around(Duration::MAX);
            // Whatever woke it: what is overdue goes with the next free request.
            self.on_tick();
            self.start_sends();
            self.stow();
            self.count_waiting();
            self.answer_flushes();
            if self.is_done() {
                break;
            }
            let idle = self.settle_down();
            #[cfg(feature = "metrics")]
            self.publish(idle);
            // In any order: no flood of one kind keeps the others from their turn, and no work either.
            let next = tokio::select! {
                // A closed channel is always ready.
                order = self.parts.orders.recv(), if !self.alone => Next::Order(order),
                Some((batch, sent)) = self.in_flight.next() => Next::Settled(batch, sent),
                () = self.parts.queue.woken() => Next::Woken,
                () = idle.over() => Next::Rested,
            };
            self.say_losses();
            match next {
                Next::Order(order) => self.obey(order),
                Next::Settled(batch, sent) => self.settle(batch, sent),
                // The loop begins with these.
                Next::Woken | Next::Rested => {}
            }
        }
        self.end();
    }

    /// Before a long sleep always: what is shown meanwhile is to be true.
    #[cfg(feature = "metrics")]
    fn publish(&mut self, idle: Idle) {
        let parts = &self.parts;
        let stats = || Stats {
            circuit: Some(parts.client.circuit_state()),
            ..Stats::read(&parts.queue, &parts.counters)
        };
        match idle {
            Idle::No | Idle::Until(_) => self.metrics.now_and_then(stats),
            Idle::Long => self.metrics.now(stats()),
        }
    }

    /// Says what callers lose since it was last asked.
    fn say_losses(&mut self) {
        let losses = self.parts.queue.awake();
        // A queue that fills and drains by turns would say it each time.
        if losses.overflow && self.trouble.overflow.is_news_again() {
            warn!(
                target: "tracing_posthog::capture",
                "the queue is full; events are being dropped, and counted in `stats`",
            );
        }
        if losses.large {
            self.parts.encoder.say_too_large();
        }
        if losses.late {
            notices::late();
        }
    }

    /// Fills the free places with requests.
    fn start_sends(&mut self) {
        while self.in_flight.len() < self.parts.max_in_flight
            && self.may_send()
            && !self.has_given_up()
        {
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

    fn send(&mut self, batch: Batch) {
        self.parts.counters.batches.fetch_add(1, Relaxed);
        let (batch, progress) = (Arc::new(batch), Arc::<Mutex<Progress>>::default());
        self.flying.push(Flight {
            batch: batch.clone(),
            progress: progress.clone(),
        });
        let (wire, client) = (self.parts.wire.clone(), self.parts.client.clone());
        let hurry = Some(self.hurry.subscribe());
        self.in_flight.push(Box::pin(async move {
            let sent = wire
                .send(&client.inner.http, &batch, &progress, hurry)
                .await;
            (batch, sent)
        }));
    }

    /// Says how the actor sleeps, and until when at most.
    fn settle_down(&mut self) -> Idle {
        let full = self.in_flight.len() >= self.parts.max_in_flight;
        let may_send = self.may_send();
        if may_send && !full && !self.has_given_up() && self.is_waiting() {
            // The breaker's time, or a pause, was over a moment after it was looked at for the last time.
            return Idle::No;
        }
        if self.stows() && !self.fresh.is_empty() {
            return Idle::No;
        }
        let mut wake = None;
        if full {
            // Callers do not wake it: what comes from now on waits since now.
            self.tick
                .get_or_insert_with(|| Instant::now() + self.parts.interval);
        }
        if may_send && self.writes_when_due() {
            wake = self.tick;
        }
        let takes = self.stows() || (may_send && !full && !self.has_given_up());
        let sleep = match (takes, self.tick) {
            (false, _) => Sleep::Awake,
            (true, None) => Sleep::Deep,
            (true, tick) => {
                wake = tick;
                Sleep::Timer
            }
        };
        if self.parts.queue.sleep(self.due, sleep).is_none() {
            return Idle::No;
        }
        let mut at_latest = |at: Instant| wake = Some(wake.map_or(at, |w| w.min(at)));
        if !may_send && self.in_flight.is_empty() {
            let wait = self.parts.client.breaker_wait().unwrap_or_default();
            // Zero: somebody else's probe is under way.
            at_latest(Instant::now() + wait.max(Duration::from_millis(20)));
        }
        if let Some(until) = self.pause.until
            && may_send
            && !full
            && !self.has_given_up()
            && self.old_waits()
        {
            at_latest(until);
        }
        for flush in &self.flushes {
            at_latest(flush.deadline);
        }
        if let Some(shutdown) = &self.shutdown {
            at_latest(shutdown.deadline);
        }
        Idle::until(wake)
    }

    /// Whether a batch could go now.
    fn is_waiting(&self) -> bool {
        !self.fresh.is_empty() || (self.pause.is_over() && self.old_waits())
    }

    /// Keeps the interval: begins one where events wait, and makes them due at its end.
    fn on_tick(&mut self) {
        let now = Instant::now();
        if self.tick.is_some_and(|tick| tick > now) {
            return;
        }
        let waiting = self.parts.queue.front_seq().is_some();
        if self.tick.is_some() {
            self.due = self.due.max(self.parts.queue.next_seq());
        }
        self.tick = waiting.then(|| now + self.parts.interval);
    }
}
