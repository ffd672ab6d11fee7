//! What handles share with each other, and how they talk to the actor.

use super::{Clock, FlushReport};
use crate::capture::notices;
use crate::capture::queue::{Queue, Sealed};
use crate::capture::quiet::{Quiet, is_quiet};
use crate::capture::record::Record;
use crate::capture::stats::{DropReason, SpoolStats};
use crate::caught::caught;
use crate::client::PostHogClient;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, mpsc as blocking};
use std::time::{Duration, SystemTime};
use tokio::sync::{mpsc, oneshot};

/// What all handles of one actor share with each other, and not with the actor: when the last one goes,
/// the control channel closes.
pub(crate) struct Shared {
    pub(crate) queue: Arc<Queue>,
    pub(crate) settler: Settler,
    pub(crate) counters: Arc<Counters>,
    pub(crate) opted_out: AtomicBool,
    pub(crate) client: Option<PostHogClient>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) max_event_bytes: usize,
    pub(crate) flush_timeout: Duration,
    pub(crate) shutdown_timeout: Duration,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) batches: AtomicU64,
    pub(crate) batches_kept: AtomicU64,
    pub(crate) spool: SpoolCounters,
}

#[derive(Debug, Default)]
pub(crate) struct SpoolCounters {
    pub(crate) files: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) persisted: AtomicU64,
    pub(crate) damaged_files: AtomicU64,
    pub(crate) write_failures: AtomicU64,
}

impl SpoolCounters {
    pub(crate) fn read(&self) -> SpoolStats {
        SpoolStats {
            files: self.files.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            persisted: self.persisted.load(Relaxed),
            damaged_files: self.damaged_files.load(Relaxed),
            write_failures: self.write_failures.load(Relaxed),
        }
    }
}

/// Who settles what was captured, when a flush or a shutdown asks for it.
pub(crate) enum Settler {
    /// The actor, at the other end.
    Actor(mpsc::UnboundedSender<Control>),
    /// Whoever asks, at once: there is no actor.
    #[cfg_attr(not(feature = "testing"), allow(dead_code))]
    Asker(Box<dyn Fn(Sealed) -> FlushReport + Send + Sync>),
}

/// What the actor is asked to do, in a channel of its own: never stuck behind events.
pub(crate) enum Control {
    Flush {
        /// Which events are meant, and how they stood when it was asked.
        line: Sealed,
        timeout: Duration,
        reply: Reply,
    },
    Shutdown {
        timeout: Duration,
        reply: Reply,
    },
}

/// Where a report goes: to a future, or to a thread that waits.
pub(crate) enum Reply {
    Future(oneshot::Sender<FlushReport>),
    Thread(blocking::SyncSender<FlushReport>),
}

impl Reply {
    /// Whether the future that asked was dropped. A thread that asked stays until it is answered.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self, Self::Future(to) if to.is_closed())
    }

    pub(crate) fn send(self, report: FlushReport) {
        // Who asked may have gone.
        match self {
            Self::Future(to) => drop(to.send(report)),
            Self::Thread(to) => drop(to.try_send(report)),
        }
    }
}

thread_local! {
    /// Each thread's buffer for the record it is writing. Taken out while it is written: a value whose
    /// `Debug` captures an event finds none and uses one of its own.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A buffer that grew larger than this for one event is not kept.
const KEEP_SCRATCH: usize = 16 << 10;

/// The actor keeps the time itself; this is for its answer to come through.
const GRACE: Duration = Duration::from_millis(500);

/// Tells a future that the time is over, unless the sender is dropped before. By a thread: the actor may be held up
/// by a hook or a disk, and which runtime polls the future, with timers or without, is not known. Where there is no
/// thread to be had, nothing is told.
fn alarm(after: Duration) -> (blocking::Sender<()>, oneshot::Receiver<()>) {
    let (waits, gone) = blocking::channel::<()>();
    let (tell, over) = oneshot::channel();
    // An error drops the sender of the alarm, which is no alarm.
    let _ = std::thread::Builder::new()
        .name("posthog-flush".into())
        .spawn(move || {
            if gone.recv_timeout(after) == Err(blocking::RecvTimeoutError::Timeout) {
                let _ = tell.send(());
            }
        });
    (waits, over)
}

impl Shared {
    /// Writes one record in this thread's buffer and queues it.
    #[inline]
    pub(crate) fn record(&self, write: impl FnOnce(&mut Record)) {
        // Within a layer's callback nothing is said: other layers would get the events around wrong.
        self.record_or(write, |_, _| {});
    }

    /// The same; `refused` is called where the event is not worth being written.
    #[inline]
    pub(crate) fn record_or(
        &self,
        write: impl FnOnce(&mut Record),
        refused: impl FnOnce(&Self, DropReason),
    ) {
        if is_quiet() {
            return;
        }
        if let Err(reason) = self.queue.admits() {
            return refused(self, reason);
        }
        let mut record = Record::over(take_scratch(), self.max_event_bytes);
        // The clock and the values are the caller's code.
        let written = caught(|| {
            let at = self.clock.now();
            write(&mut record);
            at
        });
        match written {
            // Counted there, either way.
            Some(at) if !record.overflowed() => drop(self.queue.push(record.bytes(), at)),
            Some(_) => self.queue.refuse_large(),
            None => self.queue.refuse(DropReason::Invalid),
        }
        give_scratch(record.into_bytes());
    }

    /// The clock's time; that of the system, where the clock panics.
    pub(crate) fn now(&self) -> SystemTime {
        caught(|| self.clock.now()).unwrap_or_else(SystemTime::now)
    }

    /// Says once that events come after the end. Not left to the actor, which may be gone.
    #[cold]
    pub(super) fn say_late(&self, refused: DropReason) {
        if refused == DropReason::Shutdown && self.queue.take_late() {
            // Who hears of it may capture events too.
            let _quiet = Quiet::enter();
            notices::late();
        }
    }

    /// Asks the actor, or has the report at once.
    pub(super) fn ask_flush(&self, timeout: Duration, reply: Reply) -> Result<Sealed, FlushReport> {
        let line = self.queue.seal();
        let control = match &self.settler {
            Settler::Actor(control) => control,
            Settler::Asker(settle) => return Err(settle(line)),
        };
        let pending = FlushReport {
            pending: line.open,
            ..FlushReport::default()
        };
        if is_quiet() {
            return Err(pending);
        }
        let ask = Control::Flush {
            line,
            timeout,
            reply,
        };
        // A closed channel: the actor has ended, and nothing is open any more.
        control.send(ask).map_err(|_| self.left(line))?;
        Ok(line)
    }

    pub(super) fn ask_shutdown(
        &self,
        timeout: Duration,
        reply: Reply,
    ) -> Result<Sealed, FlushReport> {
        self.queue.close();
        let line = self.queue.seal();
        let control = match &self.settler {
            Settler::Actor(control) => control,
            Settler::Asker(settle) => return Err(settle(line)),
        };
        control
            .send(Control::Shutdown { timeout, reply })
            .map_err(|_| self.left(line))?;
        if is_quiet() {
            return Err(self.left(line));
        }
        Ok(line)
    }

    pub(super) fn wait(
        &self,
        answer: &blocking::Receiver<FlushReport>,
        timeout: Duration,
        line: Sealed,
    ) -> FlushReport {
        answer
            .recv_timeout(timeout.saturating_add(GRACE))
            .unwrap_or_else(|_| self.left(line))
    }

    /// The same for a future.
    pub(super) async fn answered(
        &self,
        mut answer: oneshot::Receiver<FlushReport>,
        timeout: Duration,
        line: Sealed,
    ) -> FlushReport {
        let (_waits, over) = alarm(timeout.saturating_add(GRACE));
        tokio::select! {
            biased;
            report = &mut answer => report.unwrap_or_else(|_| self.left(line)),
            Ok(()) = over => self.left(line),
        }
    }

    /// What became of the events before the line, where the actor does not say.
    pub(super) fn left(&self, line: Sealed) -> FlushReport {
        let c = self.queue.counts();
        let mut rest = line.open;
        let mut of_rest = |events: u64| {
            let events = events.min(rest);
            rest -= events;
            events
        };
        let delivered = of_rest(c.delivered_here.saturating_sub(line.delivered));
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
