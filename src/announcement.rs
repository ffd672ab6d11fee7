//! What is said at the start: that events are captured, and where to; or that they are not, and why; and warnings about
//! settings that are taken in another way than they were written.
//!
//! A program usually makes its client and starts capturing before it installs its subscriber, because the layer is a
//! part of that. So a line waits here until somebody has read it:
//!
//! ```text
//! builder ──► lines ──► say ──► somebody formatted it? ──► gone
//!                        ▲               └── no ──► it stays
//!                        │
//!   build(), start() · a thread once the layer is in a subscriber · each turn of the actor and its end ·
//!   each REST call · the drop of a `PostHog`
//! ```
//!
//! Invariants:
//! - A line is emitted until a subscriber (or a logger of `log`) has formatted it, and never after that.
//! - Nothing is logged from within a callback of the layer. Its `on_register_dispatch` starts a thread, which lives for
//!   about a second at most and logs to the subscriber that registered the layer, so a scoped subscriber sees it too.
//!   There are at most [`MOST_THREADS`] of these.
//! - No lock is held while a line is logged, and what is logged is captured by no layer of ours.

use crate::diagnostics::{Noting, log};
use crate::suppress::SuppressGuard;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tracing::Dispatch;
use tracing::callsite::rebuild_interest_cache;
use tracing::dispatcher::{WeakDispatch, get_default, has_been_set, with_default};
use tracing::subscriber::NoSubscriber;

/// Lines that nobody has read yet.
#[derive(Debug, Default)]
pub(crate) struct Announcement {
    lines: Mutex<Vec<Line>>,
    /// Whether there may be one: read for each turn of the actor and each REST call.
    waits: AtomicBool,
    /// Whether capturing ended before there was a subscriber.
    ended: AtomicBool,
    /// How many threads wait for a subscriber.
    threads: AtomicUsize,
}

/// How many threads wait at the same time: a program may make subscribers by the thousand, such as one for each request,
/// of which none takes log lines.
const MOST_THREADS: usize = 4;

#[derive(Debug)]
struct Line {
    level: Level,
    text: String,
}

#[derive(Debug, Clone, Copy)]
enum Level {
    Info,
    Warn,
}

const ENDED: &str = "no event is captured: capturing was shut down before the program had a subscriber; keep the \
                     `PostHog` in `main` by a name other than `_`, and drop it at the end";

/// The attempt before which `tracing` is asked anew who wants the line. A thread without a subscriber that logged the line
/// at the very moment when the first scoped subscriber came may have left the answer that nobody does.
const REBUILD_AT: u32 = 5;

impl Announcement {
    pub(crate) fn info(&self, text: String) {
        // A client may start capturing again.
        self.ended.store(false, Relaxed);
        self.add(Level::Info, text);
    }

    /// Of a setting that was read, where there is something to say.
    pub(crate) fn warn_of(&self, notice: Option<String>) {
        if let Some(notice) = notice {
            self.add(Level::Warn, notice);
        }
    }

    fn add(&self, level: Level, text: String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(Line { level, text });
        self.waits.store(true, Relaxed);
    }

    /// Capturing ends. If there never was a subscriber, nobody has read the line of the start, and it is not true any
    /// more.
    pub(crate) fn end(&self) {
        if !has_been_set() {
            self.ended.store(true, Relaxed);
        }
    }

    /// Logs what nobody has read yet. Costs one load where there is nothing.
    #[inline]
    pub(crate) fn say(&self) {
        if self.waits.load(Relaxed) {
            self.say_lines();
        }
    }

    #[cold]
    fn say_lines(&self) {
        if is_unheard() {
            return;
        }
        // Whoever takes them says them: nobody else does at the same time.
        let lines = std::mem::take(&mut *self.lines.lock().unwrap_or_else(PoisonError::into_inner));
        if lines.is_empty() {
            // Somebody else says them just now, and knows what is left.
            return;
        }
        let _suppressed = SuppressGuard::enter();
        let ended = || self.ended.load(Relaxed);
        let unread: Vec<Line> = lines
            .into_iter()
            .filter(|line| !line.was_read(ended()))
            .collect();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        // Others may have come meanwhile.
        lines.splice(..0, unread);
        self.waits.store(!lines.is_empty(), Relaxed);
    }

    /// Says it to that subscriber, soon, and from a thread of its own: this is called while the subscriber is being
    /// registered, when nothing may be logged.
    pub(crate) fn say_to(self: &Arc<Self>, subscriber: &Dispatch) {
        if !self.waits.load(Relaxed) {
            return;
        }
        // Without a thread it is said later, by the actor or the drop of a `PostHog`.
        let Some(place) = Place::take(self) else {
            return;
        };
        let subscriber = subscriber.downgrade();
        let _ = std::thread::Builder::new()
            .name("posthog-start".into())
            .spawn(move || place.0.say_within_a_second(&subscriber));
    }

    fn say_within_a_second(&self, subscriber: &WeakDispatch) {
        // The subscriber is not asked anything before its registration is over, and nothing says when that is.
        for n in 0..10 {
            std::thread::sleep(Duration::from_millis(1 << n));
            let Some(subscriber) = subscriber.upgrade() else {
                return;
            };
            crate::panic::catch(|| {
                with_default(&subscriber, || {
                    if n == REBUILD_AT {
                        rebuild_interest_cache();
                    }
                    self.say();
                });
            });
            if !self.waits.load(Relaxed) {
                return;
            }
        }
    }
}

/// One of the [`MOST_THREADS`], until it is dropped.
struct Place(Arc<Announcement>);

impl Place {
    fn take(of: &Arc<Announcement>) -> Option<Self> {
        // Dropped, and so given back, where there are too many.
        let place = Self(of.clone());
        (of.threads.fetch_add(1, Relaxed) < MOST_THREADS).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.threads.fetch_sub(1, Relaxed);
    }
}

/// Whether this thread has no subscriber where another has one. `tracing` would remember for all of them that nobody
/// wants the line. (Where no thread has one, the line may be for a logger of `log`.)
fn is_unheard() -> bool {
    has_been_set() && get_default(|subscriber| subscriber.is::<NoSubscriber>())
}

impl Line {
    /// Logs it, or where capturing `ended` before somebody read it, that. Whether somebody formatted it.
    fn was_read(&self, ended: bool) -> bool {
        let (level, text) = match (self.level, ended) {
            (Level::Info, true) => (Level::Warn, ENDED),
            (level, _) => (level, &*self.text),
        };
        let text = Noting::new(text);
        match level {
            Level::Info => log!(target: "tracing_posthog", info, "{text}"),
            Level::Warn => log!(target: "tracing_posthog", warn, "{text}"),
        }
        text.was_read()
    }
}
