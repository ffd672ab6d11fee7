//! What handles share with each other, and how they talk to the actor.

use super::home::Home;
use super::wait::for_the_network;
use crate::capture::clock::ClockSource;
use crate::capture::delivery::{Command, FlushReport, Reply, Status};
use crate::capture::diagnostics;
use crate::capture::ledger::{Counters, DropReason};
use crate::capture::queue::{Queue, Watermark};
use crate::capture::watch::Watch;
use crate::event::record::Record;
use crate::http::Http;
use crate::panic::catch;
use crate::suppress::{SuppressGuard, is_suppressed};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::mpsc;
use tracing::Dispatch;
use tracing::dispatcher::get_default;

/// What all handles of one actor share with each other, and not with the actor: when the last one goes,
/// the control channel closes.
pub(crate) struct Shared {
    /// Whether a warning of events that come after the end was seen to, once the actor was gone.
    pub(crate) late_seen_to: AtomicBool,
    pub(crate) queue: Arc<Queue>,
    pub(crate) sink: Sink,
    pub(crate) counters: Arc<Counters>,
    pub(crate) status: Arc<Status>,
    pub(crate) home: Home,
    pub(crate) opted_out: AtomicBool,
    /// `None`: nothing is sent.
    pub(crate) http: Option<Arc<Http>>,
    pub(crate) clock: ClockSource,
    pub(crate) watch: Arc<Watch>,
    pub(crate) max_event_bytes: usize,
    pub(crate) flush_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
    /// The settings of exceptions, shared with the encoder.
    #[cfg(feature = "errors")]
    pub(crate) exceptions: crate::capture::exceptions::Configured,
}

/// Who settles what was captured when a flush or a shutdown asks for it.
pub(crate) enum Sink {
    /// The actor, at the other end of the channel.
    Actor(mpsc::UnboundedSender<Command>),
    /// Whoever asks, at once: the events stay in memory.
    #[cfg_attr(not(feature = "testing"), allow(dead_code))]
    InMemory(Box<dyn Fn(Watermark) -> FlushReport + Send + Sync>),
}

thread_local! {
    /// Each thread's buffer for the record it is writing. Taken out while it is written: a value whose
    /// `Debug` captures an event finds none and uses one of its own.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer that grew larger than this for one event is not kept.
const KEEP_SCRATCH: usize = 16 << 10;

impl Shared {
    /// Writes one record in this thread's buffer and queues it. `refused` is called where the event is not worth being
    /// written.
    #[inline]
    pub(crate) fn record_or(
        &self,
        write: impl FnOnce(&mut Record),
        refused: impl FnOnce(&Self, DropReason),
    ) {
        if is_suppressed() {
            return;
        }
        if let Err(reason) = self.queue.admits() {
            return refused(self, reason);
        }
        let mut record = Record::over(take_scratch(), self.max_event_bytes);
        let at = self.clock.now();
        // The values are the caller's code.
        let written = catch(|| write(&mut record));
        match written {
            // Counted there, either way.
            Some(()) if !record.overflowed() => drop(self.queue.push(record.bytes(), at)),
            Some(()) => self.queue.refuse_too_large(),
            None => self.queue.refuse(DropReason::Invalid),
        }
        give_scratch(record.into_bytes());
    }

    /// Warns once that events come after the end. Not left to the actor, which may be gone.
    #[cold]
    pub(crate) fn warn_late(&self, refused: DropReason) {
        if refused == DropReason::Shutdown && self.queue.take_late() {
            // Who hears of it may capture events too.
            let _suppressed = SuppressGuard::enter();
            diagnostics::late();
        }
    }

    /// Whether nobody has seen to that warning yet. Cheap: events may come for long after the end.
    #[inline]
    pub(crate) fn lacks_late_warning(&self, refused: DropReason) -> bool {
        refused == DropReason::Shutdown && !self.late_seen_to.load(Relaxed)
    }

    /// The same from within a callback of the layer, where nothing is logged: the actor says it, or once that is gone a
    /// thread of its own.
    #[cold]
    pub(crate) fn warn_late_elsewhere(&self, subscriber: Option<Dispatch>) {
        if let Sink::Actor(commands) = &self.sink
            && commands.is_closed()
            && !self.late_seen_to.swap(true, Relaxed)
            && let Some(http) = &self.http
            && self.queue.take_late()
        {
            http.announcement
                .warn_of(Some(diagnostics::LATE.to_owned()));
            let subscriber = subscriber.unwrap_or_else(|| get_default(Dispatch::clone));
            http.announcement.say_to(&subscriber);
        }
    }

    /// Asks the actor to let the layers look some time later. In memory whoever is interested looks.
    pub(super) fn look_later(&self) {
        if let Sink::Actor(commands) = &self.sink {
            // An actor that has ended looked at its end.
            let _ = commands.send(Command::Look);
        }
    }

    /// Counts an exception that the rate limit held back. The actor says so, some time later.
    #[cfg(feature = "errors")]
    #[inline]
    pub(crate) fn refuse_rate_limited(&self) {
        self.queue.refuse(DropReason::RateLimited);
        if self.exceptions.take_news() {
            self.look_later();
        }
    }

    /// Asks the actor, or has the report at once.
    pub(super) fn ask_flush(
        &self,
        timeout: Duration,
        reply: Reply,
    ) -> Result<Watermark, FlushReport> {
        let watermark = self.queue.mark();
        if is_suppressed() {
            // A hook would wait for itself.
            return Err(FlushReport {
                pending: watermark.open,
                ..FlushReport::default()
            });
        }
        let commands = match &self.sink {
            Sink::Actor(commands) => commands,
            Sink::InMemory(settle) => return Err(settle(watermark)),
        };
        let flush = Command::Flush {
            watermark,
            timeout: for_the_network(timeout),
            reply,
        };
        // A closed channel: the actor has ended, and nothing is open any more.
        commands
            .send(flush)
            .map_err(|_| self.report_after_close(watermark))?;
        Ok(watermark)
    }

    pub(super) fn ask_shutdown(
        &self,
        timeout: Duration,
        reply: Reply,
    ) -> Result<Watermark, FlushReport> {
        self.queue.close();
        let watermark = self.queue.mark();
        if let Some(http) = &self.http {
            http.announcement.end();
        }
        let commands = match &self.sink {
            Sink::Actor(commands) => commands,
            Sink::InMemory(_) if is_suppressed() => return Err(self.report_after_close(watermark)),
            Sink::InMemory(settle) => return Err(settle(watermark)),
        };
        commands
            .send(Command::Shutdown {
                watermark,
                timeout: for_the_network(timeout),
                reply,
            })
            .map_err(|_| self.report_after_close(watermark))?;
        if is_suppressed() {
            return Err(self.report_after_close(watermark));
        }
        Ok(watermark)
    }

    /// What became of the events before a watermark, where the actor does not say.
    pub(super) fn report_after_close(&self, watermark: Watermark) -> FlushReport {
        let c = self.queue.counts();
        let mut rest = watermark.open;
        let mut of_rest = |events: u64| {
            let events = events.min(rest);
            rest -= events;
            events
        };
        let delivered = of_rest(c.delivered_here.saturating_sub(watermark.delivered));
        let pending = of_rest(c.queued + c.in_flight);
        let spooled = of_rest(c.spooled_here);
        FlushReport {
            delivered,
            dropped: rest,
            pending,
            spooled,
        }
    }
}

#[inline]
pub(crate) fn take_scratch() -> Vec<u8> {
    // A thread that is going away has none left.
    SCRATCH.try_with(Cell::take).unwrap_or_default()
}

#[inline]
pub(crate) fn give_scratch(buffer: Vec<u8>) {
    if buffer.capacity() <= KEEP_SCRATCH {
        let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    }
}
