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

mod segment;
#[cfg(test)]
mod tests;

use super::ledger::{Counts, DropReason, Ledger, Residence};
use crate::http::FOREVER;
use segment::Spare;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;

pub(crate) use segment::Segment;

/// What a capture does when the queue is full.
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

    // The callers' side.

    /// Whether building an event is worth it. A refusal is counted.
    #[inline]
    pub(crate) fn admits(&self) -> Result<(), DropReason> {
        match self.look_first.load(Ordering::Relaxed) {
            false => Ok(()),
            true => self.admits_now(),
        }
    }

    #[cold]
    fn admits_now(&self) -> Result<(), DropReason> {
        let mut state = self.state();
        let reason = if state.closed {
            state.late.begin();
            DropReason::Shutdown
        } else if self.limits.policy == QueuePolicy::DropNewest && self.is_full(&state) {
            DropReason::QueueFull
        } else {
            return Ok(());
        };
        self.count_refusal(state, reason);
        Err(reason)
    }

    fn is_full(&self, state: &State) -> bool {
        state.ledger.events_in_memory() >= self.limits.events
            || state.ledger.bytes_in_memory() >= self.limits.bytes
    }

    fn fits(&self, state: &State, bytes: usize) -> bool {
        state.ledger.events_in_memory() < self.limits.events
            && state.ledger.bytes_in_memory() + bytes <= self.limits.bytes
    }

    /// Puts one record in, or counts why not.
    #[inline]
    pub(crate) fn push(&self, record: &[u8], at: SystemTime) -> Result<(), DropReason> {
        self.put(record, at, self.limits.policy)
    }

    /// Like [`push`](Self::push), for a caller that wants to know instead of waiting.
    pub(crate) fn push_without_waiting(
        &self,
        record: &[u8],
        at: SystemTime,
    ) -> Result<(), DropReason> {
        let policy = match self.limits.policy {
            QueuePolicy::Block { .. } => QueuePolicy::DropNewest,
            policy => policy,
        };
        self.put(record, at, policy)
    }

    #[inline]
    fn put(&self, record: &[u8], at: SystemTime, policy: QueuePolicy) -> Result<(), DropReason> {
        let mut state = self.state();
        if state.closed
            || !self.fits(&state, record.len())
            || !state.append(record, at, &self.limits)
        {
            state = self.put_slowly(state, record, at, policy)?;
        }
        let wake = match state.sleep {
            Sleep::Awake => false,
            Sleep::Timer => self.is_ready(&state, 0),
            Sleep::Deep => true,
        };
        // The oldest may have been dropped for this one.
        let wake = state.overflow == Episode::New || wake;
        if wake {
            state.sleep = Sleep::Awake;
        }
        if self.is_full(&state) {
            self.look_first.store(true, Ordering::Relaxed);
        }
        drop(state);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Makes room by the policy, and larger buffers.
    #[cold]
    fn put_slowly<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        record: &[u8],
        at: SystemTime,
        policy: QueuePolicy,
    ) -> Result<MutexGuard<'a, State>, DropReason> {
        let mut spare = Spare::default();
        loop {
            if state.closed || !self.fits(&state, record.len()) {
                state = self.make_room(state, record.len(), policy)?;
            }
            if state.append_with(record, at, &self.limits, &mut spare) {
                break;
            }
            // Memory is allocated without the lock.
            drop(state);
            spare.allocate();
            state = self.state();
        }
        if spare.is_empty() {
            return Ok(state);
        }
        // So it is freed.
        drop(state);
        drop(spare);
        Ok(self.state())
    }

    #[cold]
    fn count_refusal(&self, mut state: MutexGuard<'_, State>, reason: DropReason) {
        state.ledger.refuse(reason);
        if reason != DropReason::QueueFull || state.overflow != Episode::None {
            return;
        }
        state.overflow = Episode::New;
        drop(state);
        // Whatever the actor waits for: it warns once and goes on waiting.
        self.wake.notify_one();
    }

    /// Does what the policy says for room, or counts the event as dropped.
    #[cold]
    fn make_room<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        bytes: usize,
        policy: QueuePolicy,
    ) -> Result<MutexGuard<'a, State>, DropReason> {
        match policy {
            // The event exceeds the queue's total capacity.
            _ if bytes > self.limits.bytes => {}
            QueuePolicy::Block { timeout } => {
                let until = Instant::now() + timeout.min(FOREVER);
                while !state.closed && !self.fits(&state, bytes) {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break;
                    }
                    state = self
                        .room
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
            }
            // Only where it helps: what the actor holds stays, whatever is dropped here.
            QueuePolicy::DropOldest
                if !state.closed && state.ledger.taken_bytes() + bytes <= self.limits.bytes =>
            {
                while state.ledger.queued() > 0 && !self.fits(&state, bytes) {
                    state.overflow.begin();
                    if let Some(emptied) = state.drop_oldest() {
                        // Memory is freed without the lock.
                        drop(state);
                        drop(emptied);
                        state = self.state();
                    }
                }
            }
            _ => {}
        }
        let reason = if state.closed {
            DropReason::Shutdown
        } else if !self.fits(&state, bytes) {
            DropReason::QueueFull
        } else {
            return Ok(state);
        };
        self.count_refusal(state, reason);
        Err(reason)
    }

    /// Counts an event that never entered the queue.
    pub(crate) fn refuse(&self, reason: DropReason) {
        self.state().ledger.refuse(reason);
    }

    /// Counts an event that is too large to enter the queue. The actor warns of it: callers may be where nothing
    /// can be logged.
    #[cold]
    pub(crate) fn refuse_too_large(&self) {
        let mut state = self.state();
        state.ledger.refuse(DropReason::TooLarge);
        state.too_large.begin();
        let new = state.too_large == Episode::New;
        drop(state);
        if new {
            self.wake.notify_one();
        }
    }

    /// Whether the caller should warn that an event came after the end.
    pub(crate) fn take_late(&self) -> bool {
        self.state().late.take()
    }

    /// Closes the segment that is being filled, so that later events travel apart from those captured so far.
    pub(crate) fn mark(&self) -> Watermark {
        let mut state = self.state();
        if let Some(last) = state.segments.back_mut() {
            last.seal();
        }
        Watermark {
            until: state.ledger.next_seq(),
            open: state.ledger.open(),
            delivered: state.ledger.delivered_here(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    /// Refuses everything from now on. What is there stays.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.look_first.store(true, Ordering::Relaxed);
        drop(state);
        self.room.notify_all();
    }

    // The actor's side.

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

    // The ledger, under the queue's lock.

    pub(crate) fn counts(&self) -> Counts {
        self.state().ledger.counts()
    }

    /// Taken events are delivered, or dropped; they used `bytes` of memory.
    pub(crate) fn settle(&self, events: usize, bytes: usize, fate: Result<(), DropReason>) {
        let mut state = self.state();
        state.ledger.settle(events, bytes, fate);
        self.room_was_made(state);
    }

    /// Taken events move from memory to disk.
    pub(crate) fn spill(&self, events: usize, bytes: usize) {
        let mut state = self.state();
        state.ledger.spill(events, bytes);
        self.room_was_made(state);
    }

    /// Events move from disk back to memory; see [`Ledger::unspill`].
    pub(crate) fn unspill(&self, residence: Residence, events: usize, bytes: usize) -> u64 {
        let mut state = self.state();
        let seq = state.ledger.unspill(residence, events, bytes);
        if self.is_full(&state) {
            self.look_first.store(true, Ordering::Relaxed);
        }
        seq
    }

    /// Events of ended processes are found on disk.
    pub(crate) fn recover(&self, events: u64) {
        self.state().ledger.recover(events);
    }

    /// Events on disk are delivered, or dropped.
    pub(crate) fn settle_spooled(
        &self,
        residence: Residence,
        events: u64,
        fate: Result<(), DropReason>,
    ) {
        self.state().ledger.settle_spooled(residence, events, fate);
    }

    /// Taken events use `bytes` less memory than before.
    pub(crate) fn shrink(&self, bytes: usize) {
        self.state().ledger.resize(bytes, 0);
    }

    /// How many of the taken events wait for a request.
    pub(crate) fn set_waiting(&self, events: usize) {
        self.state().ledger.set_waiting(events);
    }

    /// Drops what the actor no longer holds after a panic; see [`Ledger::reconcile`].
    pub(crate) fn reconcile(&self, events: usize, bytes: usize, reason: DropReason) -> u64 {
        let mut state = self.state();
        let lost = state.ledger.reconcile(events, bytes, reason);
        self.room_was_made(state);
        lost
    }

    /// Closes, and drops everything in memory. Returns how many events that were.
    pub(crate) fn abandon(&self) -> u64 {
        self.close();
        let mut state = self.state();
        let left = state.ledger.abandon();
        let garbage = (
            std::mem::take(&mut state.segments),
            std::mem::take(&mut state.free),
        );
        drop(state);
        // Freed without the lock.
        drop(garbage);
        left
    }

    fn room_was_made(&self, mut state: MutexGuard<'_, State>) {
        if !state.closed && !self.is_full(&state) {
            self.look_first.store(false, Ordering::Relaxed);
        }
        if state.overflow == Episode::Reported
            && state.ledger.events_in_memory() <= self.limits.events / 2
            && state.ledger.bytes_in_memory() <= self.limits.bytes / 2
        {
            state.overflow = Episode::None;
        }
        drop(state);
        // Notifying is a system call, even where nobody waits.
        if matches!(self.limits.policy, QueuePolicy::Block { .. }) {
            self.room.notify_all();
        }
    }
}

impl State {
    /// Appends a record where there is room in the last segment and its buffers. Else changes nothing.
    #[inline]
    fn append(&mut self, record: &[u8], at: SystemTime, limits: &Limits) -> bool {
        let appended = self.segments.back_mut().is_some_and(|segment| {
            segment.has_room(record.len(), limits.batch_events, limits.batch_bytes)
                && segment.push(record, at)
        });
        if appended {
            self.ledger.enqueue(record.len());
        }
        appended
    }

    /// The same, with larger buffers where they are needed. False: `spare` knows what to allocate.
    fn append_with(
        &mut self,
        record: &[u8],
        at: SystemTime,
        limits: &Limits,
        spare: &mut Spare,
    ) -> bool {
        let last = self
            .segments
            .back_mut()
            .filter(|s| s.has_room(record.len(), limits.batch_events, limits.batch_bytes));
        let appended = match last {
            Some(segment) => spare.push(segment, record, at),
            None => self.append_to_new(record, at, spare),
        };
        if appended {
            self.ledger.enqueue(record.len());
        }
        appended
    }

    fn append_to_new(&mut self, record: &[u8], at: SystemTime, spare: &mut Spare) -> bool {
        if !spare.make_list(&mut self.segments) {
            return false;
        }
        let mut segment = match self.free.pop() {
            Some(segment) => segment,
            // As large as the one before: a segment that grows step by step is copied at each step.
            None => match spare.segment(record.len(), self.segments.back()) {
                Some(segment) => segment,
                None => return false,
            },
        };
        segment.begin(self.ledger.next_seq());
        if !spare.push(&mut segment, record, at) {
            self.free.push(segment);
            return false;
        }
        self.segments.push_back(segment);
        true
    }

    /// Drops the oldest event. Returns its segment, if that is empty now and to be freed.
    fn drop_oldest(&mut self) -> Option<Segment> {
        let front = self.segments.front_mut()?;
        let bytes = front.drop_first();
        let is_empty = front.len() == 0;
        self.ledger.drop_queued(bytes);
        if is_empty {
            return self.segments.pop_front();
        }
        None
    }
}
