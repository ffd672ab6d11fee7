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
use super::protocol::{Prepared, Protocol};
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
use crate::capture::spool::{Durability, Store};
use crate::diagnostics::log;
use crate::http::breaker::Breaker;
use crate::http::{Destination, FOREVER, Http, Visibility};
use crate::suppress::SuppressGuard;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// How long writing what is left may take at the end, beside what the network leaves of a shutdown's time. Callers
/// wait 500 ms longer than the shutdown's time for the answer.
const WRITING: Duration = Duration::from_millis(300);

/// What an actor is made of.
pub(crate) struct Setup {
    pub(crate) queue: Arc<Queue>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) status: Arc<Status>,
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
struct Turns {
    last: Option<Lane>,
    last_older: Lane,
    fresh_sent_at: Option<Instant>,
}

pub(crate) struct Actor {
    commands: mpsc::UnboundedReceiver<Command>,
    /// Whether the last handle is gone: no command will come any more.
    handles_dropped: bool,
    max_in_flight: usize,
    shutdown_timeout: Duration,
    visibility: Visibility,
    clock: ClockSource,
    pipeline: Pipeline,
    pub(super) http: Arc<Http>,
    pub(super) protocol: Arc<Protocol>,
    pub(super) counters: Arc<Counters>,
    pub(super) status: Arc<Status>,
    pub(super) account: Account,
    pub(super) backlog: Backlog,
    pub(super) disk: Disk,
    pub(super) flushes: Flushes,
    pub(super) warnings: Warnings,
    in_flight: InFlight,
    interval: Interval,
    turns: Turns,
    /// How many events of the backlog the ledger knows of.
    counted: usize,
    ended: bool,
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
            self.disk.adopt_orphans(Duration::MAX);
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
        let mut left = 2 * self.max_in_flight;
        loop {
            let step = next_step(&self.state(), Instant::now());
            match step {
                Step::Send(lane) if left > 0 => self.send_next(lane),
                Step::Spill if left > 0 => self.spill_next(),
                step => return step,
            }
            left -= 1;
        }
    }

    fn breaker(&self) -> &Arc<Breaker> {
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
            retrying: backlog.retries.retrying(),
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

    fn send_next(&mut self, lane: Lane) {
        let now = Instant::now();
        self.turns.last = Some(lane);
        let batch = match lane {
            Lane::Fresh => {
                self.turns.fresh_sent_at = Some(now);
                self.next_fresh()
            }
            Lane::Retry => {
                self.turns.last_older = lane;
                self.backlog.pop_retry(now)
            }
            Lane::Spool => {
                self.turns.last_older = lane;
                self.next_spooled()
            }
        };
        if let Some(batch) = batch {
            self.send(batch);
        }
    }

    fn next_fresh(&mut self) -> Option<Batch> {
        if !self.backlog.has_ready() {
            self.encode_next();
        }
        self.backlog.pop_ready()
    }

    fn next_spooled(&mut self) -> Option<Batch> {
        let batch = self.disk.next();
        if batch.is_none() && self.disk.has_waiting() {
            // They cannot be read now.
            self.backlog.backoff.lengthen(Duration::ZERO);
        }
        batch
    }

    fn send(&mut self, mut batch: Batch) {
        let permit = match self.breaker().admit() {
            Ok(permit) => permit,
            // The last try before the end.
            Err(_) if self.flushes.shutdown().is_some() => self.breaker().admit_always(),
            // Somebody else's probe was quicker.
            Err(_) => return self.backlog.push_first(vec![batch]),
        };
        if !std::mem::replace(&mut batch.delivery.counted, true) {
            self.counters.batches.fetch_add(1, Relaxed);
        }
        let prepared = self.protocol.prepare(&mut batch, self.clock.now());
        let Prepared { request, sent } = match prepared {
            Ok(prepared) => prepared,
            Err(outcome) => return self.apply_outcome(batch, *outcome, None),
        };
        batch.delivery.attempts += 1;
        batch.delivery.next_at = None;
        let visibility = match batch.delivery.panicked {
            false => self.visibility,
            true => Visibility::Untraced,
        };
        let endpoint = request.endpoint.clone();
        let task = self
            .http
            .send_once(request, batch.delivery.attempts, visibility);
        self.in_flight.push(Flight {
            batch,
            sent,
            endpoint,
            permit,
            task,
        });
    }

    /// Encodes the oldest segment that is ready.
    fn encode_next(&mut self) -> Option<()> {
        let queue = &self.account.queue;
        let encoded = self.pipeline.next(queue, self.interval.flush_up_to())?;
        let left_behind = queue.front_seq().is_some();
        for reason in encoded.dropped {
            self.account
                .report(1, Disposition::Dropped(reason), Cause::default());
        }
        for mut batch in encoded.batches {
            self.disk.write_ahead(&mut batch);
            self.backlog.push_ready(batch);
        }
        match (self.disk.writes_ahead(), left_behind) {
            // What is left behind, or waits for the disk, is not put off.
            (true, _) => self.interval.begin(),
            (false, false) => self.interval.begin_again(),
            (false, true) => {}
        }
        Some(())
    }

    /// Moves one batch to disk that cannot be sent.
    fn spill_next(&mut self) {
        if !self.backlog.has_ready() {
            self.encode_next();
        }
        let batch = match self.backlog.pop_ready() {
            Some(batch) => batch,
            None => match self.backlog.retries.take_retrying() {
                Some(batch) => batch,
                None => return,
            },
        };
        if let Some(mut batch) = self.disk.spill(batch, Durability::Synced) {
            batch.delivery.start_over(None);
            match self.disk.is_usable() {
                // Too large for the spool, which takes others.
                true => self.backlog.retries.keep(batch),
                false => self.backlog.push_first(vec![batch]),
            }
        }
    }

    /// Whether events that are due are written to disk although all slots are busy.
    fn writes_when_busy(&self) -> bool {
        self.disk.writes_ahead()
            && self.disk.is_usable()
            && self.in_flight.len() >= self.max_in_flight
    }

    /// Writes events that are due to disk where all slots are busy. They stay in memory too while there is room.
    fn write_what_is_due(&mut self) {
        let queue = self.account.queue.clone();
        let up_to = self.interval.flush_up_to();
        while self.writes_when_busy() && queue.front_seq().is_some_and(|seq| seq < up_to) {
            if self.encode_next().is_none() {
                break;
            }
        }
        while self.writes_when_busy() && queue.is_half_full() {
            let Some(batch) = self.backlog.pop_last_ready() else {
                return;
            };
            if let Some(batch) = self.disk.spill(batch, Durability::Written) {
                match self.writes_when_busy() {
                    true => self.backlog.retries.keep(batch),
                    false => return self.backlog.push_ready(batch),
                }
            }
        }
    }

    /// Sleeps until a time, a response, a command or a caller.
    async fn rest(&mut self, until: Option<Instant>, sleep: Sleep) {
        if self.in_flight.len() >= self.max_in_flight {
            // Callers do not wake the actor: what comes from now on waits since now.
            self.interval.begin();
        }
        let until = match self.account.queue.sleep(self.interval.flush_up_to(), sleep) {
            true => until,
            // Events came in the meantime.
            false => Some(Instant::now()),
        };
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
            Input::Command(command) => self.handle_command(command),
            Input::Response(ended) => self.on_response(ended.0, ended.1),
            Input::Woken => {}
        }
    }

    /// Warns of what callers have begun to lose since the last look.
    fn warn_of_losses(&mut self) {
        let losses = self.account.queue.awake();
        // A queue that fills and drains in turns would warn each time.
        if losses.overflow && self.warnings.overflow.again() {
            log!(
                warn,
                "the queue is full; events are being dropped, and counted in `stats`",
            );
        }
        if losses.too_large {
            self.pipeline.encoder.warn_too_large();
        }
        if losses.late {
            diagnostics::late();
        }
    }

    pub(super) fn handle_command(&mut self, command: Option<Command>) {
        match command {
            Some(Command::Flush {
                watermark,
                timeout,
                reply,
            }) => {
                reply.started();
                let delivered = self.account.queue.counts().delivered_here;
                let meanwhile = delivered.saturating_sub(watermark.delivered);
                self.flushes.begin(watermark, meanwhile, timeout, reply);
                self.interval.flush(watermark.until);
                self.backlog.backoff.cut_short();
                self.disk.adopt_orphans(Duration::from_secs(1));
            }
            Some(Command::Shutdown { timeout, reply }) => {
                reply.started();
                self.begin_shutdown(timeout, Some(reply));
            }
            None => {
                self.handles_dropped = true;
                self.begin_shutdown(self.shutdown_timeout, None);
            }
        }
    }

    fn begin_shutdown(&mut self, timeout: Duration, reply: Option<super::command::Reply>) {
        let queue = &self.account.queue;
        queue.close();
        let watermark = queue.mark();
        // Some of the time is for writing what is left.
        let writing = match self.disk.exists() {
            true => (timeout / 4).min(Duration::from_millis(500)),
            false => Duration::ZERO,
        };
        self.flushes.shut_down(watermark, timeout, writing, reply);
        self.interval.flush(watermark.until);
        // What waits goes once more at once, and from there as patiently as if it were the first time.
        self.backlog.backoff.reset();
        self.backlog.retries.hurry();
    }

    pub(super) fn answer_flushes(&mut self) {
        let mut flushes = std::mem::take(&mut self.flushes);
        flushes.answer(
            |flush| self.is_busy(flush),
            |until| Left {
                pending: self.pending(until),
                spooled: self.disk.events_before(until),
            },
        );
        self.flushes = flushes;
    }

    /// Whether something can still become of the events of a flush without waiting for the backoff.
    fn is_busy(&self, flush: &Flush) -> bool {
        let now = Instant::now();
        let meant = |batch: &Batch| batch.seq < flush.until;
        let front = self.account.queue.front_seq();
        self.in_flight.batches().any(meant)
            || self.backlog.iter_under_way().any(meant)
            || front.is_some_and(|seq| seq < flush.until)
            // During a backoff one of them failed since, and the others wait for it: longer than who asked wants to.
            || (self.backlog.backoff.is_over(now)
                && (self.waits_untried(flush)
                    || (self.may_send(now) && self.disk.waits_untried(flush.until, flush.since))))
    }

    fn may_send(&self, now: Instant) -> bool {
        self.state().may_send(now)
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
    fn count_waiting(&mut self) {
        let events = self.backlog.events();
        if events != self.counted {
            self.counted = events;
            self.account.queue.set_waiting(events);
        }
    }

    /// The shutdown is over: settles what is answered, leaves the rest on disk or drops it, and says so.
    async fn finish(&mut self) {
        let (ended, mut rest) = self.in_flight.cancel().await;
        for (flight, result) in ended {
            self.on_response(flight, result);
        }
        rest.extend(self.backlog.drain());
        self.leave_on_disk(rest);
        let left = self.account.queue.abandon();
        self.warn_of_losses();
        #[cfg(feature = "metrics")]
        self.publish(None);
        if left > 0 {
            log!(
                warn,
                events = left,
                error = self.status.last_error(),
                "shut down before everything was delivered; the rest is dropped",
            );
            self.account.report(
                left,
                Disposition::Dropped(DropReason::Shutdown),
                Cause::default(),
            );
        }
        self.ended = true;
        self.answer_everybody();
    }

    /// Everybody who waits is told that this is the end.
    fn answer_everybody(&mut self) {
        let mut flushes = std::mem::take(&mut self.flushes);
        let disk = std::cell::RefCell::new(&mut self.disk);
        flushes.finish(
            |until| disk.borrow().events_before(until),
            // Before anybody hears of the end: what is left is for others.
            || disk.borrow_mut().close(),
        );
    }

    /// Leaves on disk all that is in memory, as far as time and disk allow.
    fn leave_on_disk(&mut self, mut rest: Vec<Batch>) {
        self.count_waiting();
        if !self.disk.exists() {
            return;
        }
        let now = Instant::now();
        // As long as the shutdown has time, and a little in any case.
        let until = match self.flushes.shutdown() {
            Some(shutdown) => shutdown.deadline.max(now) + shutdown.writing + WRITING,
            None => now + 3 * WRITING,
        };
        self.interval.flush(u64::MAX);
        let mut left = 0;
        loop {
            for batch in rest.drain(..) {
                let (events, residence) = (batch.len() as u64, batch.residence);
                // What has a file costs no time.
                if (Instant::now() < until || batch.file.is_some())
                    && self.disk.spill(batch, Durability::Written).is_none()
                    && residence == Residence::Memory
                {
                    left += events;
                }
            }
            if Instant::now() >= until || !self.disk.is_usable() || self.encode_next().is_none() {
                break;
            }
            rest.extend(self.backlog.drain());
        }
        if left > 0 {
            log!(
                warn,
                events = left,
                "shut down before everything was delivered; this is left on disk, for the next process",
            );
            self.disk.report_left(left);
        }
    }

    /// After a panic: drops what is no longer held, and counts it. Returns how many events that were.
    pub(super) fn reconcile(&mut self) -> u64 {
        let held = self.backlog.iter().chain(self.in_flight.batches());
        let held = held.filter(|b| b.residence == Residence::Memory);
        let (events, bytes) = held.fold((0, 0), |(events, bytes), batch| {
            (events + batch.len(), bytes + batch.json.len())
        });
        let queue = &self.account.queue;
        let lost = queue.reconcile(events, bytes, DropReason::ActorPanic);
        self.counted = usize::MAX;
        self.count_waiting();
        lost
    }

    /// Whether a shutdown should have ended by now.
    pub(super) fn is_overdue(&self) -> bool {
        let shutdown = self.flushes.shutdown();
        shutdown.is_some_and(|s| Instant::now() >= s.deadline + Duration::from_secs(1))
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
    fn publish(&mut self, until: Option<Instant>) {
        let (account, counters, http) = (&self.account, &self.counters, &self.http);
        let stats = || Stats {
            circuit: Some(http.breakers.of(Destination::Capture).current()),
            ..Stats::of(&account.queue.counts(), counters)
        };
        match until {
            Some(_) => self.metrics.now_and_then(stats),
            None => self.metrics.now(stats()),
        }
    }
}

impl Drop for Actor {
    /// Only where its runtime went away before the shutdown: what was there is left on disk, else lost and counted.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let _suppressed = SuppressGuard::enter();
        let mut rest = self.in_flight.take();
        rest.extend(self.backlog.drain());
        if !std::thread::panicking() {
            self.leave_on_disk(rest);
        }
        self.account.queue.abandon();
        #[cfg(feature = "metrics")]
        self.publish(None);
    }
}
