//! The actor: performs what the scheduler decides, and lets responses, commands and new events in.

use super::account::{Account, Cause};
use super::backlog::Backlog;
use super::batch::Batch;
use super::command::Command;
use super::disk::Disk;
use super::flushes::{Flush, Flushes, Left};
use super::in_flight::{Ended, Flight, InFlight};
use super::interval::Interval;
use super::pipeline::Pipeline;
use super::protocol::Protocol;
use super::scheduler::{Closing, Lane, State, Step, next_step};
use super::status::Status;
use super::warnings::Warnings;
use crate::capture::clock::ClockSource;
use crate::capture::diagnostics;
use crate::capture::hooks::{Disposition, Hooks};
#[cfg(feature = "metrics")]
use crate::capture::ledger::Stats;
use crate::capture::ledger::{Counters, DropReason, Residence};
use crate::capture::queue::{Queue, Sleep};
use crate::capture::spool::Store;
use crate::capture::watch::Watch;
use crate::diagnostics::log;
use crate::http::breaker::Breaker;
use crate::http::{Destination, FOREVER, Http, Visibility};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// At most this many batches are sent or spilled before responses and commands have their turn.
const MOST_STEPS: usize = 1_000;

/// What an actor is made of.
pub(crate) struct Setup {
    pub(crate) queue: Arc<Queue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) status: Arc<Status>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) http: Arc<Http>,
    pub(crate) protocol: Arc<Protocol>,
    pub(crate) pipeline: Pipeline,
    pub(crate) hooks: Hooks,
    pub(crate) clock: ClockSource,
    /// Never there without the feature `spool`.
    pub(crate) store: Option<Store>,
    pub(crate) interval: Duration,
    pub(crate) max_in_flight: usize,
    pub(crate) shutdown_timeout: Duration,
    /// Who sees the requests.
    pub(crate) visibility: Visibility,
}

/// Which lanes were served last.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) last: Option<Lane>,
    pub(super) last_older: Lane,
    pub(super) fresh_sent_at: Option<Instant>,
    /// How many first attempts failed since PostHog last took a batch.
    pub(super) failures: usize,
}

pub(crate) struct Actor {
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    /// Whether the last handle is gone: no command will come any more.
    pub(super) handles_dropped: bool,
    pub(super) max_in_flight: usize,
    pub(super) shutdown_timeout: Duration,
    pub(super) visibility: Visibility,
    pub(super) clock: ClockSource,
    pub(super) pipeline: Pipeline,
    pub(super) http: Arc<Http>,
    pub(super) protocol: Arc<Protocol>,
    pub(super) counters: Arc<Counters>,
    pub(super) status: Arc<Status>,
    pub(super) watch: Arc<Watch>,
    /// When layers look, if one of them wants to.
    pub(super) look_at: Option<Instant>,
    pub(super) account: Account,
    pub(super) backlog: Backlog,
    pub(super) disk: Disk,
    pub(super) flushes: Flushes,
    pub(super) warnings: Warnings,
    pub(super) in_flight: InFlight,
    pub(super) interval: Interval,
    pub(super) turns: Turns,
    /// How many events of the backlog the ledger knows of.
    pub(super) counted: usize,
    pub(super) ended: bool,
    #[cfg(feature = "metrics")]
    metrics: crate::capture::metrics::Publisher,
}

enum Input {
    Command(Option<Command>),
    Response(Box<(Flight, Ended)>),
    Woken,
}

impl Actor {
    pub(crate) fn new(setup: Setup) -> Self {
        let account = Account::new(setup.queue, setup.hooks);
        Self {
            commands: setup.commands,
            handles_dropped: false,
            max_in_flight: setup.max_in_flight,
            shutdown_timeout: setup.shutdown_timeout,
            visibility: setup.visibility,
            clock: setup.clock,
            pipeline: setup.pipeline,
            http: setup.http,
            protocol: setup.protocol,
            counters: setup.counters,
            status: setup.status,
            watch: setup.watch,
            look_at: None,
            disk: Disk::new(setup.store, account.clone()),
            account,
            backlog: Backlog::default(),
            flushes: Flushes::default(),
            warnings: Warnings::default(),
            in_flight: InFlight::default(),
            interval: Interval::new(setup.interval.min(FOREVER)),
            turns: Turns {
                last: None,
                last_older: Lane::Spool,
                fresh_sent_at: None,
                failures: 0,
            },
            counted: 0,
            ended: false,
            #[cfg(feature = "metrics")]
            metrics: Default::default(),
        }
    }

    /// Opens the spool. Processes that start together do not send what they found together.
    pub(super) fn open(&mut self) {
        if self.disk.open() > 0 {
            self.backlog.backoff.lengthen(Duration::ZERO);
        }
    }

    /// Works until the shutdown. Begins again where it was, if it is called again.
    pub(super) async fn work(&mut self) {
        while !self.ended {
            self.http.announcement.say();
            self.disk.adopt_orphans(Duration::MAX);
            if self.look_at.is_some_and(|at| at <= Instant::now()) {
                self.look();
            }
            // Whatever woke it: what is overdue goes with the next free slot.
            let queue = &self.account.queue;
            self.interval
                .tick(|| queue.next_seq(), || queue.front_seq().is_some());
            let step = self.perform_steps();
            self.write_what_is_due();
            self.count_waiting();
            self.answer_flushes();
            match step {
                Step::Finish => self.finish().await,
                Step::Wait { until, sleep } => self.rest(until, sleep).await,
                // The limit of one round: responses and commands have their turn.
                Step::Send(_) | Step::Spill => self.let_in(Some(Instant::now())).await,
            }
        }
    }

    /// Sends and spills as the scheduler says, up to a limit. Returns the step that is next.
    fn perform_steps(&mut self) -> Step {
        // Callers may fill the queue as fast as hooks drop its events, or the disk takes them.
        let mut left = self.max_in_flight.saturating_mul(2).min(MOST_STEPS);
        loop {
            if self.in_flight.len() >= self.max_in_flight {
                // Callers do not wake the actor: what comes from now on waits since now.
                self.interval.begin();
            }
            let step = next_step(&self.state(), Instant::now());
            match step {
                Step::Send(lane) if left > 0 => self.send_next(lane),
                Step::Spill if left > 0 => self.spill_next(),
                step => return step,
            }
            left -= 1;
        }
    }

    pub(super) fn breaker(&self) -> &Arc<Breaker> {
        self.http.breakers.of(Destination::Capture)
    }

    fn state(&self) -> State {
        let now = Instant::now();
        let up_to = self.interval.flush_up_to();
        let backlog = &self.backlog;
        let fresh = backlog.has_ready() || self.account.queue.has_ready(up_to);
        let replays = self.replays();
        let on_disk = self.disk.has_waiting();
        let spool_at = (on_disk && !replays).then(|| backlog.backoff.until().unwrap_or(now));
        let is_usable = self.disk.is_usable();
        let closing = self.flushes.shutdown().map(|shutdown| Closing {
            deadline: shutdown.deadline,
            has_more: !backlog.is_empty()
                || self.account.queue.front_seq().is_some()
                // What PostHog refused a moment ago stays on disk.
                || (on_disk && !shutdown.failed),
            gave_up: shutdown.failed && is_usable,
        });
        State {
            max_in_flight: self.max_in_flight,
            in_flight: self.in_flight.len(),
            circuit: self.breaker().circuit(),
            fresh,
            fresh_sent_at: self.turns.fresh_sent_at,
            failing: self.turns.failures.min(backlog.retries.retrying()),
            retry_at: backlog.next_retry_at(now),
            spool_at,
            last: self.turns.last,
            last_older: self.turns.last_older,
            disk: is_usable,
            to_spill: fresh || backlog.retries.retrying() > 0,
            flush_at: self.interval.deadline(),
            writes_when_busy: self.writes_when_busy(),
            answer_at: self.flushes.next_deadline(),
            shutdown: closing,
        }
    }

    /// Whether a batch from disk is under way.
    fn replays(&self) -> bool {
        self.in_flight.replays()
            || self
                .backlog
                .iter()
                .any(|b| b.residence != Residence::Memory)
    }

    /// Sleeps until a time, a response, a command or a caller.
    async fn rest(&mut self, until: Option<Instant>, sleep: Sleep) {
        let until = match self.account.queue.sleep(self.interval.flush_up_to(), sleep) {
            true => until,
            // Events came in the meantime.
            false => Some(Instant::now()),
        };
        let until = until.into_iter().chain(self.look_at).min();
        #[cfg(feature = "metrics")]
        self.publish(until);
        self.let_in(until).await;
    }

    /// Waits for one input, at most until a time.
    async fn let_in(&mut self, until: Option<Instant>) {
        let timer = async {
            match until {
                // The runtime has its turn, and responses arrive.
                Some(until) if until <= Instant::now() => tokio::task::yield_now().await,
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        // In any order: no flood of one kind keeps the others from their turn, and no work either.
        let input = tokio::select! {
            // A closed channel is always ready.
            command = self.commands.recv(), if !self.handles_dropped => Input::Command(command),
            ended = self.in_flight.ended() => Input::Response(Box::new(ended)),
            () = self.account.queue.woken() => Input::Woken,
            () = timer => Input::Woken,
        };
        self.warn_of_losses();
        match input {
            Input::Command(command) => {
                self.handle_command(command);
                self.accept_commands();
            }
            Input::Response(ended) => self.on_response(ended.0, ended.1),
            Input::Woken => {}
        }
    }

    /// Warns of what callers have begun to lose since the last look.
    pub(super) fn warn_of_losses(&mut self) {
        let losses = self.account.queue.awake();
        // A queue that fills and drains in turns would warn each time.
        if losses.overflow && self.warnings.overflow.again() {
            log!(
                warn,
                "the queue is full; events are being dropped, and counted in `stats`",
            );
        }
        if losses.too_large {
            let room = self.account.queue.byte_limit();
            self.pipeline.encoder.warn_too_large(room);
        }
        if losses.late {
            diagnostics::late();
        }
    }

    pub(super) fn answer_flushes(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        let now = Instant::now();
        let front = self.account.queue.front_seq();
        // During a backoff one of them failed since, and the others wait for it: longer than who asked wants to.
        let may_retry = self.backlog.backoff.is_over(now);
        let may_replay = may_retry && self.state().may_send(now);
        let mut flushes = std::mem::take(&mut self.flushes);
        // Whether something can still become of its events without waiting for the backoff.
        let is_busy = |flush: &Flush| {
            let meant = |batch: &Batch| batch.seq < flush.until;
            front.is_some_and(|seq| seq < flush.until)
                || self.in_flight.batches().any(meant)
                || self.backlog.iter_under_way().any(meant)
                || (may_retry && self.waits_untried(flush))
                || (may_replay && self.disk.waits_untried(flush.until, flush.since))
        };
        flushes.answer(is_busy, |until| Left {
            pending: self.pending(until),
            spooled: self.disk.events_before(until),
        });
        self.flushes = flushes;
    }

    /// Whether an exhausted batch waits that did not fail since the flush began.
    fn waits_untried(&self, flush: &Flush) -> bool {
        self.backlog.retries.iter_exhausted().any(|batch| {
            let failed = batch.delivery.exhausted_at;
            batch.seq < flush.until && failed.is_none_or(|at| at < flush.since)
        })
    }

    /// How many events before `until` are in memory and not settled.
    fn pending(&self, until: u64) -> u64 {
        let batches = self.backlog.iter().chain(self.in_flight.batches());
        let here = batches.filter(|b| b.seq < until && b.residence == Residence::Memory);
        let here: usize = here.map(Batch::len).sum();
        here as u64 + self.account.queue.queued_before(until)
    }

    /// Tells the ledger how many of the taken events wait.
    pub(super) fn count_waiting(&mut self) {
        let events = self.backlog.events();
        if events != self.counted {
            self.counted = events;
            self.account.queue.set_waiting(events);
        }
    }

    pub(super) fn warnings(&mut self) -> &mut Warnings {
        &mut self.warnings
    }

    pub(super) fn report_lost(&self, events: u64) {
        let reason = Disposition::Dropped(DropReason::ActorPanic);
        self.account.report(events, reason, Cause::default());
    }

    /// Before a long sleep always: what is shown meanwhile is to be true.
    #[cfg(feature = "metrics")]
    pub(super) fn publish(&mut self, until: Option<Instant>) {
        let (account, counters, http) = (&self.account, &self.counters, &self.http);
        let stats = || Stats {
            circuit: Some(http.breakers.of(Destination::Capture).current()),
            ..Stats::of(&account.queue.counts(), counters)
        };
        // Before a long sleep the last state is shown: nothing would show it later.
        let soon = Instant::now() + Duration::from_secs(1);
        match until {
            Some(until) if until <= soon => self.metrics.now_and_then(stats),
            _ => self.metrics.now(stats()),
        }
    }
}
