//! [`CaptureHandle`]: what callers hold of the actor.
//!
//! ```text
//! capture ──► Shared::record ──► queue          flush, shutdown ──► Command ──► actor
//!                                                      ▲                          │
//!                                                      └──── wait ◄── FlushReport ┘
//! ```
//!
//! - [`shared`]: what all handles of one actor share: the queue, the channel of commands, the counters. Writes a record
//!   into a buffer of the thread, then copies it into the queue.
//! - [`wait`]: waits for the actor's report, on a thread or in a future, and says what it waits for.
//! - [`home`]: where the actor runs, and whether it can run while a thread waits for it.
//!
//! Invariants:
//! - Capturing runs no I/O and no code of other layers, holds no lock while it runs code of the program, and never
//!   panics.
//! - A pending `flush().await` costs no thread: the client's I/O thread keeps its time.
//! - Nothing waits for an actor that cannot run: a hook that flushes, or a thread that blocks the runtime which
//!   `spawn_on` was given, gets its answer at once or soon.
//! - The actor ends when the last handle is gone: then the channel of commands closes.

mod home;
mod shared;
mod wait;

pub(crate) use home::Home;
pub(crate) use shared::{Shared, Sink, give_scratch, take_scratch};

use super::delivery::{FlushReport, Reply};
use super::ledger::{DropReason, Stats};
use super::watch::Lookout;
use crate::announcement::Announcement;
use crate::event::Event;
use crate::event::record::Record;
#[cfg(feature = "flags")]
use crate::event::record::{Key, Slot};
use crate::http::Destination;
use crate::suppress::is_suppressed;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak, mpsc as blocking};
use std::time::Duration;
use tokio::sync::oneshot;
use tracing::Dispatch;

/// Hands events to the actor, and asks it to flush or stop. Cheap to clone, `Send + Sync`.
///
/// Capturing never blocks (unless [`QueuePolicy::Block`](crate::QueuePolicy::Block) is chosen), never
/// fails and never panics: what becomes of an event is in [`stats`](Self::stats).
///
/// When the last handle and layer are gone, the actor delivers what is left, within its shutdown
/// timeout, and ends.
#[derive(Clone)]
pub struct CaptureHandle {
    /// `None`: disabled. Then nothing is captured, and nothing runs.
    shared: Option<Arc<Shared>>,
    /// What is to be said at the start.
    announcement: Option<Arc<Announcement>>,
}

/// Why [`CaptureHandle::try_capture`] did not take an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TryCaptureError {
    /// As many events wait as the queue may hold. There will be room once some are delivered.
    #[error("the queue is full; try again later, or raise `queue_events` or `queue_bytes`")]
    QueueFull,
    /// It would never be sent: see [`event_bytes`](crate::CaptureBuilder::event_bytes). Or it is larger than all of the
    /// queue: see [`queue_bytes`](crate::CaptureBuilder::queue_bytes).
    #[error("the event is larger than `event_bytes` or `queue_bytes` allows")]
    TooLarge,
    /// After [`shutdown`](CaptureHandle::shutdown) nothing is taken.
    #[error("capturing was shut down")]
    Shutdown,
    /// Until [`opt_in`](CaptureHandle::opt_in) nothing is taken.
    #[error("capturing is opted out")]
    OptedOut,
    /// The handle never captures: no key, or [`disabled`](CaptureHandle::disabled).
    #[error("capturing is disabled")]
    Disabled,
    /// Called by a `before_send` or `on_error` hook, or under the actor's own runtime: hooks could feed
    /// themselves forever.
    #[error("a hook cannot capture events")]
    WithinHook,
}

impl CaptureHandle {
    pub(crate) fn new(shared: Shared) -> Self {
        Self::over(Arc::new(shared))
    }

    fn over(shared: Arc<Shared>) -> Self {
        let http = shared.http.as_ref();
        Self {
            announcement: http.map(|http| http.announcement.clone()),
            shared: Some(shared),
        }
    }

    /// A handle that captures nothing and costs nothing.
    pub fn disabled() -> Self {
        Self {
            shared: None,
            announcement: None,
        }
    }

    /// One that says so, as soon as somebody can read it.
    pub(crate) fn disabled_and(announcement: Arc<Announcement>) -> Self {
        announcement.say();
        Self {
            shared: None,
            announcement: Some(announcement),
        }
    }

    /// Says what is to be said at the start. Not for callbacks of the layer.
    pub(crate) fn announce(&self) {
        if let Some(announcement) = &self.announcement {
            announcement.say();
        }
    }

    /// A layer over this handle is a part of that subscriber.
    pub(crate) fn on_subscriber(&self, subscriber: &Dispatch) {
        if let Some(announcement) = &self.announcement {
            announcement.say_to(subscriber);
        }
    }

    /// Whether events are captured at all: not disabled, not opted out and not shut down.
    pub fn is_enabled(&self) -> bool {
        self.active()
            .is_some_and(|shared| !shared.queue.is_closed())
    }

    #[inline]
    pub(crate) fn active(&self) -> Option<&Shared> {
        self.shared
            .as_deref()
            .filter(|s| !s.opted_out.load(Relaxed))
    }

    /// A handle of an actor that others keep.
    #[cfg(any(feature = "errors", feature = "flags"))]
    pub(crate) fn upgrade(shared: &Weak<Shared>) -> Option<Self> {
        shared.upgrade().map(Self::over)
    }

    /// What [`upgrade`](Self::upgrade) makes handles of.
    #[cfg(any(feature = "errors", feature = "flags"))]
    pub(crate) fn downgrade(&self) -> Weak<Shared> {
        self.shared.as_ref().map_or_else(Weak::new, Arc::downgrade)
    }

    /// Makes the settings of exceptions, unless they were made before.
    #[cfg(feature = "errors")]
    pub(crate) fn configure_exceptions(&self, config: crate::capture::exceptions::Config) {
        if let Some(shared) = &self.shared {
            shared.exceptions.set(config);
        }
    }

    /// The same for all clones of a handle, and for no other handle while one of them lives.
    pub(crate) fn address(&self) -> usize {
        self.shared
            .as_ref()
            .map_or(0, |shared| Arc::as_ptr(shared).addr())
    }

    /// Lets somebody look when the actor does.
    pub(crate) fn watch<L: Lookout + 'static>(&self, lookout: &Arc<L>) {
        if let Some(shared) = &self.shared {
            let lookout: Weak<L> = Arc::downgrade(lookout);
            shared.watch.add(lookout);
        }
    }

    /// Asks the actor to let everybody look, some time later.
    pub(crate) fn look_later(&self) {
        if let Some(shared) = &self.shared {
            shared.look_later();
        }
    }

    /// What is hidden from layers over this handle.
    #[cfg(feature = "testing")]
    pub(crate) fn hidden(&self) -> Vec<String> {
        self.shared
            .as_ref()
            .map_or_else(Vec::new, |shared| shared.watch.hidden())
    }

    /// Whether it was disabled when it was made.
    pub(crate) fn is_disabled(&self) -> bool {
        self.shared.is_none()
    }

    /// Captures an event. Returns at once; the actor sends it with the next batch.
    ///
    /// Called from within a `before_send` or `on_error` hook it does nothing, or hooks could feed
    /// themselves forever.
    ///
    /// ```
    /// # use tracing_posthog::{CaptureHandle, Event};
    /// # fn f(handle: &CaptureHandle) {
    /// handle.capture(Event::new("invoice paid").distinct_id("user_42").property("amount", 12.5));
    /// handle.capture(Event::identify("user_42").set("plan", "pro"));
    /// handle.capture(Event::group_identify("company", "acme").set("seats", 40));
    /// handle.capture(Event::alias("user_42", "old_id_42"));
    /// # }
    /// ```
    pub fn capture(&self, event: Event) {
        let Some(shared) = self.active() else { return };
        shared.record_or(|record| record.event(&event), Shared::warn_late);
    }

    /// Captures an event whose short form is to be sent.
    #[cfg(feature = "flags")]
    pub(crate) fn capture_minimal(&self, event: &Event) {
        let Some(shared) = self.active() else { return };
        let write = |record: &mut Record| {
            record.event(event);
            record.null(Key::Named(Slot::Minimal, ""));
        };
        shared.record_or(write, Shared::warn_late);
    }

    /// Like [`capture`](Self::capture), for a caller who can do something about a refusal: hold back,
    /// try again, or keep the event elsewhere. Never waits, also under
    /// [`QueuePolicy::Block`](crate::QueuePolicy::Block). `Ok` says that the event is in the queue; what
    /// becomes of it there is in [`stats`](Self::stats), where a refusal counts as one captured event and
    /// one dropped.
    ///
    /// # Errors
    /// [`TryCaptureError`], by reason.
    ///
    /// ```
    /// # use tracing_posthog::{CaptureHandle, Event, TryCaptureError};
    /// # async fn import(handle: &CaptureHandle, history: Vec<Event>) -> Result<(), TryCaptureError> {
    /// for event in history {
    ///     while let Err(refused) = handle.try_capture(&event) {
    ///         if refused != TryCaptureError::QueueFull {
    ///             return Err(refused);
    ///         }
    ///         handle.flush().await; // makes room
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn try_capture(&self, event: &Event) -> Result<(), TryCaptureError> {
        let shared = self.shared.as_deref().ok_or(TryCaptureError::Disabled)?;
        if shared.opted_out.load(Relaxed) {
            return Err(TryCaptureError::OptedOut);
        }
        if is_suppressed() {
            return Err(TryCaptureError::WithinHook);
        }
        let at = shared.clock.now();
        let mut record = Record::over(take_scratch(), shared.max_event_bytes);
        record.event(event);
        let taken = if record.overflowed() {
            shared.queue.refuse(DropReason::TooLarge);
            Err(DropReason::TooLarge)
        } else {
            shared.queue.push_without_waiting(record.bytes(), at)
        };
        give_scratch(record.into_bytes());
        taken.map_err(|reason| match reason {
            DropReason::TooLarge => TryCaptureError::TooLarge,
            DropReason::Shutdown => TryCaptureError::Shutdown,
            _ => TryCaptureError::QueueFull,
        })
    }

    /// Waits until everything captured so far is delivered or dropped, at most for the
    /// [`flush_timeout`](crate::CaptureBuilder::flush_timeout) (default 10 s). The report says what became of it.
    ///
    /// It returns early where PostHog failed in all attempts and the events are kept for later. It does not wait for
    /// events that a disk spool took over from ended processes. Called from within a hook it returns at once, with what
    /// is pending.
    pub async fn flush(&self) -> FlushReport {
        match &self.shared {
            Some(shared) => self.flush_within(shared.flush_timeout).await,
            None => FlushReport::default(),
        }
    }

    /// Like [`flush`](Self::flush), but waits at most for `timeout`.
    pub async fn flush_within(&self, timeout: Duration) -> FlushReport {
        let Some(shared) = &self.shared else {
            return FlushReport::default();
        };
        let (reply, answer) = oneshot::channel();
        match shared.ask_flush(timeout, Reply::Future(reply.into())) {
            Ok(watermark) => shared.answered(answer, timeout, watermark).await,
            Err(report) => report,
        }
    }

    /// Like [`flush_within`](Self::flush_within), for code that is not async: blocks this thread for at most
    /// `timeout`.
    pub fn flush_blocking(&self, timeout: Duration) -> FlushReport {
        let Some(shared) = &self.shared else {
            return FlushReport::default();
        };
        let (reply, answer) = blocking::sync_channel(2);
        match shared.ask_flush(timeout, Reply::Thread(reply)) {
            Ok(watermark) => shared.wait(&answer, timeout, watermark),
            Err(report) => report,
        }
    }

    /// Waits at most for `timeout` until everything captured so far is delivered, for the panic hook: no code of the
    /// program runs on this thread, no subscriber's either.
    #[cfg(feature = "errors")]
    pub(crate) fn flush_silently(&self, timeout: Duration) {
        // In memory the hooks of the program would run here.
        let Some(shared) = &self.shared else { return };
        let Sink::Actor(_) = &shared.sink else { return };
        let (reply, answer) = blocking::sync_channel(2);
        if shared.ask_flush(timeout, Reply::Thread(reply)).is_ok() {
            shared.wait_silently(&answer, timeout);
        }
    }

    /// Refuses further events, delivers what is there, at most for the
    /// [`shutdown_timeout`](crate::CaptureBuilder::shutdown_timeout) (default 5 s), and ends the actor. What is left
    /// then stays on disk where there is a spool, and is dropped and counted otherwise. Further calls do nothing.
    pub async fn shutdown(&self) -> FlushReport {
        match &self.shared {
            Some(shared) => self.shutdown_within(shared.shutdown_timeout).await,
            None => FlushReport::default(),
        }
    }

    /// Like [`shutdown`](Self::shutdown), but waits at most for `timeout`.
    pub async fn shutdown_within(&self, timeout: Duration) -> FlushReport {
        let Some(shared) = &self.shared else {
            return FlushReport::default();
        };
        let (reply, answer) = oneshot::channel();
        match shared.ask_shutdown(timeout, Reply::Future(reply.into())) {
            Ok(watermark) => shared.answered(answer, timeout, watermark).await,
            Err(report) => report,
        }
    }

    /// Like [`shutdown_within`](Self::shutdown_within), for code that is not async: blocks this thread for at most
    /// `timeout`.
    pub fn shutdown_blocking(&self, timeout: Duration) -> FlushReport {
        let Some(shared) = &self.shared else {
            return FlushReport::default();
        };
        let (reply, answer) = blocking::sync_channel(2);
        match shared.ask_shutdown(timeout, Reply::Thread(reply)) {
            Ok(watermark) => shared.wait(&answer, timeout, watermark),
            Err(report) => report,
        }
    }

    /// A blocking shutdown within the shutdown timeout that logs what it waits for.
    pub(crate) fn shut_down_aloud(&self) {
        // Of a disabled one too, where nobody could read it before.
        self.announce();
        if let Some(shared) = &self.shared {
            // The actor says what was lost.
            let _ = shared.shut_down_aloud();
        }
    }

    /// What became of every event so far.
    pub fn stats(&self) -> Stats {
        let Some(shared) = &self.shared else {
            return Stats {
                disabled: true,
                ..Stats::default()
            };
        };
        Stats {
            circuit: shared
                .http
                .as_ref()
                .map(|http| http.breakers.of(Destination::Capture).current()),
            disabled: shared.opted_out.load(Relaxed),
            ..Stats::of(&shared.queue.counts(), &shared.counters)
        }
    }

    /// Stops capturing, in every handle and layer of this actor, until [`opt_in`](Self::opt_in). Events
    /// that were captured before are still delivered.
    pub fn opt_out(&self) {
        if let Some(shared) = &self.shared {
            shared.opted_out.store(true, Relaxed);
        }
    }

    /// Captures again.
    pub fn opt_in(&self) {
        if let Some(shared) = &self.shared {
            shared.opted_out.store(false, Relaxed);
        }
    }
}

impl fmt::Debug for CaptureHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureHandle")
            .field("enabled", &self.is_enabled())
            .finish_non_exhaustive()
    }
}
