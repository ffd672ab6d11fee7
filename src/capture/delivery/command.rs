//! What handles ask of the actor, in a channel of its own: never stuck behind events. And how it begins with that.

use super::actor::Actor;
use crate::capture::queue::Watermark;
use crate::capture::watch;
use crate::panic::catch;
use std::fmt;
use std::sync::mpsc as blocking;
use std::time::Duration;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// At most this many commands are taken in a row.
const MOST_COMMANDS: usize = 1_000;

/// What became of the events that were captured before a flush or shutdown and not delivered yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FlushReport {
    /// Delivered since.
    pub delivered: u64,
    /// Dropped since; [`Stats::dropped`](crate::Stats::dropped) says why.
    pub dropped: u64,
    /// Not settled: the time was over, or PostHog failed and they are kept to be tried again.
    pub pending: u64,
    /// Left on disk by the feature `spool`, to be delivered later, by this process or the next.
    pub spooled: u64,
}

impl FlushReport {
    /// Whether everything was delivered.
    pub fn is_complete(&self) -> bool {
        self.dropped == 0 && self.pending == 0 && self.spooled == 0
    }

    /// Of `open` events this many were delivered, and these are left; the others were dropped.
    pub(crate) fn of(open: u64, delivered: u64, pending: u64, spooled: u64) -> Self {
        Self {
            delivered,
            dropped: open.saturating_sub(delivered + pending + spooled),
            pending,
            spooled,
        }
    }
}

impl fmt::Display for FlushReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} delivered, {} dropped, {} pending",
            self.delivered, self.dropped, self.pending
        )?;
        match self.spooled {
            0 => Ok(()),
            spooled => write!(f, ", {spooled} left on disk"),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Command {
    Flush {
        /// Which events are meant, and where they were when it was asked for.
        watermark: Watermark,
        timeout: Duration,
        reply: Reply,
    },
    Shutdown {
        watermark: Watermark,
        timeout: Duration,
        reply: Reply,
    },
    /// Layers want to look at something some time later.
    Look,
}

/// Where a report goes: to a future, or to a thread that waits.
#[derive(Debug)]
pub(crate) enum Reply {
    Future(ToFuture),
    Thread(blocking::SyncSender<Progress>),
}

/// Answers a future. Its waker is code of the program, which is called by an answer and where there is none: if it
/// panics, that costs whoever waits with it, and nobody else.
#[derive(Debug)]
pub(crate) struct ToFuture(Option<oneshot::Sender<FlushReport>>);

impl ToFuture {
    fn send(mut self, report: FlushReport) {
        let to = self.0.take();
        // Who asked may have gone.
        catch(|| to.map(|to| to.send(report)));
    }

    fn is_gone(&self) -> bool {
        self.0.as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

impl From<oneshot::Sender<FlushReport>> for ToFuture {
    fn from(to: oneshot::Sender<FlushReport>) -> Self {
        Self(Some(to))
    }
}

impl Drop for ToFuture {
    fn drop(&mut self) {
        let to = self.0.take();
        catch(|| drop(to));
    }
}

/// What a thread that waits is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Progress {
    /// The actor runs and works on it.
    Started,
    Done(FlushReport),
}

impl Reply {
    /// Tells a waiting thread that the actor runs.
    pub(super) fn started(&self) {
        if let Self::Thread(to) = self {
            // Its channel has room for both messages.
            let _ = to.try_send(Progress::Started);
        }
    }

    /// Whether the future that asked was dropped. A thread that asked stays until it is answered.
    pub(super) fn is_gone(&self) -> bool {
        matches!(self, Self::Future(to) if to.is_gone())
    }

    pub(super) fn send(self, report: FlushReport) {
        match self {
            Self::Future(to) => to.send(report),
            // Who asked may have gone.
            Self::Thread(to) => drop(to.try_send(Progress::Done(report))),
        }
    }
}

impl Actor {
    /// Lets the commands in that have come, up to a limit, and nothing else. Many at once, for after each round of
    /// work all flushes are looked at; and a shutdown is noticed whatever panics.
    pub(super) fn accept_commands(&mut self) {
        for _ in 0..MOST_COMMANDS {
            if self.handles_dropped {
                return;
            }
            match self.commands.try_recv() {
                Ok(command) => self.handle_command(Some(command)),
                Err(TryRecvError::Disconnected) => self.handle_command(None),
                Err(TryRecvError::Empty) => return,
            }
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
                self.look();
                let delivered = self.delivered_since(watermark);
                self.flushes.begin(watermark, delivered, timeout, reply);
                self.interval.flush(watermark.until);
                self.backlog.backoff.cut_short();
                self.disk.adopt_orphans(Duration::from_secs(1));
            }
            Some(Command::Shutdown {
                watermark,
                timeout,
                reply,
            }) => {
                reply.started();
                self.look();
                self.begin_shutdown(watermark, timeout, Some(reply));
            }
            Some(Command::Look) => {
                self.look_at
                    .get_or_insert_with(|| Instant::now() + watch::AFTER);
            }
            None => {
                self.handles_dropped = true;
                self.look();
                self.account.queue.close();
                let watermark = self.account.queue.mark();
                self.begin_shutdown(watermark, self.shutdown_timeout, None);
            }
        }
    }

    /// Lets the layers look, if one of them wants to.
    pub(super) fn look(&mut self) {
        if self.look_at.take().is_some() {
            self.watch.look();
        }
    }

    /// How many events were delivered while a command was on its way.
    fn delivered_since(&self, watermark: Watermark) -> u64 {
        let delivered = self.account.queue.counts().delivered_here;
        delivered.saturating_sub(watermark.delivered)
    }

    /// Whoever asked for it closed the queue and took the watermark after that.
    fn begin_shutdown(&mut self, watermark: Watermark, timeout: Duration, reply: Option<Reply>) {
        // Some of the time is for writing what is left.
        let writing = match self.disk.exists() {
            true => (timeout / 4).min(Duration::from_millis(500)),
            false => Duration::ZERO,
        };
        let delivered = self.delivered_since(watermark);
        let shutdown = self
            .flushes
            .shut_down(watermark, delivered, timeout, writing);
        shutdown.replies.extend(reply);
        self.interval.flush(watermark.until);
        // What waits goes once more at once, and from there as patiently as if it were the first time.
        self.backlog.backoff.reset();
        self.backlog.retries.hurry();
    }
}
