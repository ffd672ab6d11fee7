//! The bounded queue between callers and the actor.
//!
//! ```text
//! callers ──push──► segments (each as large as a batch) ──take──► actor
//!                        ▲                                          │
//!                        └──────────── emptied segments ◄───encoded─┘
//! ```
//!
//! One mutex guards the segments, the [`Ledger`] and how the actor sleeps. A caller copies its finished record into
//! the last segment; the actor takes a segment whole and hands it back empty.
//!
//! Invariants:
//! - Under the lock no caller allocates, frees, formats, logs or waits (but for [`QueuePolicy::Block`], whose caller
//!   asked to wait, and which releases the lock meanwhile). An allocator that captures events itself finds the lock
//!   free.
//! - No wake-up is lost: the actor notes under the same lock that it is about to sleep.
//! - A caller wakes the actor at most once per sleep, and once more when events begin to be lost.

mod account;
mod push;
mod segment;
#[cfg(test)]
mod tests;

use super::ledger::Ledger;
use crate::error::PostHogError;
use crate::words;
use jiff::SignedDuration;
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

pub(crate) use segment::Segment;

/// What a capture does when the queue is full.
///
/// As text: `drop_newest`, `drop_oldest`, `block:5s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum QueuePolicy {
    /// The new event is dropped and counted. Never waits.
    #[default]
    DropNewest,
    /// The oldest waiting event is dropped and counted. Never waits.
    DropOldest,
    /// The calling thread waits for room, at most for `timeout`; then the new event is dropped and counted.
    /// For batch jobs on threads of their own: in async code it blocks the executor.
    Block {
        /// The longest wait for one event.
        timeout: Duration,
    },
}

impl fmt::Display for QueuePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DropNewest => f.write_str("drop_newest"),
            Self::DropOldest => f.write_str("drop_oldest"),
            Self::Block { timeout } => {
                let timeout = SignedDuration::try_from(*timeout).unwrap_or(SignedDuration::MAX);
                write!(f, "block:{timeout:#}")
            }
        }
    }
}

/// Reads the words that `Display` writes. Case and `-` for `_` make no difference; units of time are those people use
/// (`250ms`, `5s`, `2 minutes`).
impl FromStr for QueuePolicy {
    type Err = PostHogError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match words::normal(text).split_once(':') {
            None if words::normal(text) == "drop_newest" => Some(Self::DropNewest),
            None if words::normal(text) == "drop_oldest" => Some(Self::DropOldest),
            Some(("block", time)) => {
                let timeout = time.trim().parse::<SignedDuration>().ok();
                let timeout = timeout.and_then(|timeout| timeout.try_into().ok());
                timeout.map(|timeout| Self::Block { timeout })
            }
            _ => None,
        }
        .ok_or_else(|| {
            let known = [
                "drop_newest",
                "drop_oldest",
                "block with a time, such as block:5s",
            ];
            words::unknown("queue_policy", text, &known)
        })
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
    pub(crate) batch_events: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) flush_at: usize,
    pub(crate) policy: QueuePolicy,
}

/// How deeply the actor sleeps, as callers need to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// It will look at the queue by itself: it works, or waits for a response or a timer.
    Awake,
    /// A timer will wake it; a full batch wakes it earlier.
    Timer,
    /// Only a caller will wake it.
    Deep,
}

#[derive(Debug)]
struct State {
    /// Oldest first; the last one is being filled.
    segments: VecDeque<Segment>,
    free: Vec<Segment>,
    ledger: Ledger,
    sleep: Sleep,
    overflow: Episode,
    too_large: Episode,
    late: Episode,
    closed: bool,
}

/// Whether events are being lost for one cause. The episode of a full queue ends when half of the room is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Episode {
    #[default]
    None,
    /// It began, and the actor does not know yet.
    New,
    Reported,
}

impl Episode {
    fn begin(&mut self) {
        if *self == Self::None {
            *self = Self::New;
        }
    }

    /// Whether it is to be reported now.
    fn take(&mut self) -> bool {
        let new = *self == Self::New;
        if new {
            *self = Self::Reported;
        }
        new
    }
}

/// The causes for which events have begun to be lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Losses {
    pub(crate) overflow: bool,
    pub(crate) too_large: bool,
    pub(crate) late: bool,
}

#[derive(Debug)]
pub(crate) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    /// Set while the queue is full or closed: callers then look before they build an event.
    look_first: AtomicBool,
    wake: Notify,
    room: Condvar,
}

/// The events that a flush or a shutdown is about: those captured before it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watermark {
    /// The number of the first event that is not meant.
    pub(crate) until: u64,
    /// How many events before it were not settled.
    pub(crate) open: u64,
    /// How many events were delivered by then.
    pub(crate) delivered: u64,
}

/// How many empty segments are kept to be filled again.
const FREE_SEGMENTS: usize = 4;

impl Queue {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                segments: VecDeque::new(),
                free: Vec::with_capacity(FREE_SEGMENTS),
                ledger: Ledger::default(),
                sleep: Sleep::Deep,
                overflow: Episode::None,
                too_large: Episode::None,
                late: Episode::None,
                closed: false,
            }),
            look_first: AtomicBool::new(false),
            wake: Notify::new(),
            room: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the oldest segment, if it is ready or began before `flush_up_to`.
    pub(crate) fn take(&self, flush_up_to: u64) -> Option<Segment> {
        let mut state = self.state();
        if !self.is_ready(&state, flush_up_to) {
            return None;
        }
        let segment = state.segments.pop_front()?;
        state.ledger.take(segment.len(), segment.byte_len());
        Some(segment)
    }

    /// Whether [`take`](Self::take) would find a segment.
    pub(crate) fn has_ready(&self, flush_up_to: u64) -> bool {
        self.is_ready(&self.state(), flush_up_to)
    }

    /// Hands a segment back, once some or all of its events were encoded into `json` bytes: empty it is filled again,
    /// what is left of it is the next to be taken.
    pub(crate) fn encoded(&self, segment: Segment, encoded_bytes: usize, json: usize) {
        let left = (segment.len(), segment.byte_len());
        let (mut emptied, mut rest) = match left.0 {
            0 => (segment.emptied(), None),
            _ => (None, Some(segment)),
        };
        let mut state = self.state();
        state.ledger.resize(encoded_bytes, json);
        if let Some(mut segment) = rest.take() {
            segment.seal();
            state.ledger.put_back(left.0, left.1);
            state.segments.push_front(segment);
        }
        if state.free.len() < FREE_SEGMENTS
            && let Some(segment) = emptied.take()
        {
            state.free.push(segment);
        }
        drop(state);
        // Freed without the lock.
        drop(emptied);
    }

    /// Whether a batch should go: the oldest segment is full, enough waits, or it began before `flush_up_to`.
    fn is_ready(&self, state: &State, flush_up_to: u64) -> bool {
        state.segments.front().is_some_and(|front| {
            state.segments.len() > 1
                || front.is_sealed()
                || front.len() >= self.limits.batch_events
                || state.ledger.queued() >= self.limits.flush_at
                || front.seq() < flush_up_to
        })
    }

    /// Whether failed batches should make room for new events. Where callers wait for room instead, nothing that
    /// they were told is accepted is given up for their next event.
    pub(crate) fn is_crowded(&self) -> bool {
        !matches!(self.limits.policy, QueuePolicy::Block { .. }) && self.is_full(&self.state())
    }

    /// Whether more than half of the room is used.
    pub(crate) fn is_half_full(&self) -> bool {
        let state = self.state();
        state.ledger.events_in_memory() > self.limits.events / 2
            || state.ledger.bytes_in_memory() > self.limits.bytes / 2
    }

    /// The number of the next event.
    pub(crate) fn next_seq(&self) -> u64 {
        self.state().ledger.next_seq()
    }

    /// The number of the oldest event in the queue.
    pub(crate) fn front_seq(&self) -> Option<u64> {
        self.state().segments.front().map(Segment::seq)
    }

    /// How many events in the queue come before `seq`.
    pub(crate) fn queued_before(&self, seq: u64) -> u64 {
        let state = self.state();
        let segments = state.segments.iter().take_while(|s| s.seq() < seq);
        segments.map(|s| s.len() as u64).sum()
    }

    /// Notes how the actor is about to sleep. False: there is work, it must not.
    pub(crate) fn sleep(&self, flush_up_to: u64, sleep: Sleep) -> bool {
        let mut state = self.state();
        let has_work = match sleep {
            Sleep::Awake => false,
            Sleep::Timer => self.is_ready(&state, flush_up_to),
            Sleep::Deep => state.ledger.queued() > 0,
        };
        if !has_work {
            state.sleep = sleep;
        }
        !has_work
    }

    /// Notes that the actor works, and tells it for which causes events have begun to be lost.
    pub(crate) fn awake(&self) -> Losses {
        let mut state = self.state();
        state.sleep = Sleep::Awake;
        Losses {
            overflow: state.overflow.take(),
            too_large: state.too_large.take(),
            late: state.late.take(),
        }
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    fn is_full(&self, state: &State) -> bool {
        state.ledger.events_in_memory() >= self.limits.events
            || state.ledger.bytes_in_memory() >= self.limits.bytes
    }

    /// How many bytes it holds at most.
    pub(crate) fn byte_limit(&self) -> usize {
        self.limits.bytes
    }

    fn fits(&self, state: &State, bytes: usize) -> bool {
        state.ledger.events_in_memory() < self.limits.events
            && state.ledger.bytes_in_memory() + bytes <= self.limits.bytes
    }
}
