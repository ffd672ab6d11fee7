//! Spans that become events: how long they lasted, and which open spans they are.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tracing::span::Id;

/// A span that becomes an event when it closes.
#[derive(Debug)]
pub(crate) struct TimedSpan {
    /// All the fields it was opened with, encoded.
    pub(crate) fields: Vec<u8>,
    started: Instant,
    stopwatch: Mutex<Stopwatch>,
}

#[derive(Debug, Default)]
struct Stopwatch {
    /// When the span was last left.
    ended: Option<Instant>,
    entered: Option<Instant>,
    depth: u32,
    busy: Duration,
}

impl TimedSpan {
    pub(crate) fn new(fields: Vec<u8>) -> Self {
        Self {
            fields,
            started: Instant::now(),
            stopwatch: Mutex::default(),
        }
    }

    fn stopwatch(&self, change: impl FnOnce(&mut Stopwatch)) {
        change(
            &mut self
                .stopwatch
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    pub(crate) fn enter(&self) {
        self.stopwatch(|watch| {
            watch.depth += 1;
            if watch.depth == 1 {
                watch.entered = Some(Instant::now());
            }
        });
    }

    pub(crate) fn exit(&self) {
        self.stopwatch(|watch| {
            watch.depth = watch.depth.saturating_sub(1);
            if watch.depth == 0 {
                let now = Instant::now();
                watch.ended = Some(now);
                if let Some(entered) = watch.entered.take() {
                    watch.busy += now.saturating_duration_since(entered);
                }
            }
        });
    }

    /// Its end is its last exit: closing can come much later, when some holder lets go.
    pub(crate) fn times(&self) -> Times {
        let (mut ended, mut busy) = (None, Duration::ZERO);
        self.stopwatch(|watch| (ended, busy) = (watch.ended, watch.busy));
        let end = ended.unwrap_or_else(Instant::now);
        let duration = end.saturating_duration_since(self.started);
        Times {
            duration,
            busy: busy.min(duration),
            since_end: end.elapsed(),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Times {
    pub(crate) duration: Duration,
    /// Time during which it was entered, on whichever thread.
    pub(crate) busy: Duration,
    pub(crate) since_end: Duration,
}

const PLACES: usize = 256;

/// Which open spans may be timed. A look here tells, for nearly every span, that it is none.
#[derive(Debug)]
pub(super) struct OpenTimed {
    open: AtomicU32,
    places: Box<[AtomicU32; PLACES]>,
}

impl Default for OpenTimed {
    fn default() -> Self {
        Self {
            open: AtomicU32::new(0),
            places: Box::new([const { AtomicU32::new(0) }; PLACES]),
        }
    }
}

impl OpenTimed {
    #[inline]
    fn place(&self, id: &Id) -> &AtomicU32 {
        &self.places[id.into_u64() as usize % PLACES]
    }

    #[inline]
    pub(super) fn may_contain(&self, id: &Id) -> bool {
        self.open.load(Relaxed) != 0 && self.place(id).load(Relaxed) != 0
    }

    pub(super) fn add(&self, id: &Id) {
        self.place(id).fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn remove(&self, id: &Id) {
        self.place(id).fetch_sub(1, Relaxed);
        self.open.fetch_sub(1, Relaxed);
    }
}
