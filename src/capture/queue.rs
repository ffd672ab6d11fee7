//! The bounded queue between callers and the actor, and the one owner of the ledger.
//!
//! One mutex over chunks as large as a batch. A caller copies its finished record in; the actor takes
//! a chunk whole. Nothing else happens under the lock, and chunks are used again, so a caller neither
//! waits for I/O nor allocates. The sleep state stands under the same lock, so that no wake is lost.

mod chunk;
mod ledger;

use super::stats::{DropReason, Dropped};
use crate::http::ENDLESS;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::Notify;

pub(crate) use chunk::Chunk;
pub(crate) use ledger::Home;

/// What a capture does when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum QueuePolicy {
    /// The new event is dropped, and counted. Never waits.
    #[default]
    DropNewest,
    /// The oldest waiting event is dropped, and counted. Never waits.
    DropOldest,
    /// The calling thread waits for room, at most so long; then the new event is dropped, and counted.
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
    /// It will look at the queue by itself: it is working, or waits for an answer or a pause to end.
    Awake,
    /// Its timer will wake it; a full batch should wake it earlier.
    Timer,
    /// Nothing will wake it but a caller.
    Deep,
}

#[derive(Debug)]
struct State {
    /// Oldest first; the last one is being filled.
    chunks: VecDeque<Chunk>,
    free: Vec<Chunk>,
    /// The number of the next event.
    next: u64,
    /// How many numbers went to what was here before.
    renumbered: u64,
    /// How many events were never taken.
    refused: u64,
    queued: usize,
    queued_bytes: usize,
    /// Taken by the actor and not settled, those waiting to be tried again included.
    held: usize,
    held_bytes: usize,
    /// The part of `held` that waits to be tried again.
    kept: usize,
    /// On disk only: of this queue, and taken over.
    spooled: u64,
    spooled_recovered: u64,
    /// Ever taken over from ended processes, and delivered of them.
    recovered: u64,
    recovered_delivered: u64,
    delivered: u64,
    dropped: Dropped,
    sleep: Sleep,
    overflow: News,
    /// Events too large to be taken, and events after the end.
    large: News,
    late: News,
    closed: bool,
}

/// Whether events are being lost to the same thing, which callers are not told. With a full queue, that ends
/// when half of the room is free again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    None,
    /// It began, and the actor does not know yet.
    New,
    Said,
}

impl News {
    fn begin(&mut self) {
        if *self == Self::None {
            *self = Self::New;
        }
    }

    /// Whether it is to be said now.
    fn take(&mut self) -> bool {
        let new = *self == Self::New;
        if new {
            *self = Self::Said;
        }
        new
    }
}

/// To what events have begun to be lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Losses {
    pub(crate) overflow: bool,
    pub(crate) large: bool,
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

/// Where a flush or shutdown draws its line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sealed {
    /// The number of the next event.
    pub(crate) until: u64,
    /// How many events before it are not settled.
    pub(crate) open: u64,
    /// How many were delivered by then.
    pub(crate) delivered: u64,
}

/// How many chunks are kept to be used again.
const SPARE_CHUNKS: usize = 4;

impl Queue {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: Mutex::new(State {
                chunks: VecDeque::new(),
                free: Vec::new(),
                next: 0,
                renumbered: 0,
                refused: 0,
                queued: 0,
                queued_bytes: 0,
                held: 0,
                held_bytes: 0,
                kept: 0,
                spooled: 0,
                spooled_recovered: 0,
                recovered: 0,
                recovered_delivered: 0,
                delivered: 0,
                dropped: Dropped::default(),
                sleep: Sleep::Deep,
                overflow: News::None,
                large: News::None,
                late: News::None,
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
        self.refused(state, reason);
        Err(reason)
    }

    fn is_full(&self, state: &State) -> bool {
        state.queued + state.held >= self.limits.events
            || state.queued_bytes + state.held_bytes >= self.limits.bytes
    }

    fn fits(&self, state: &State, bytes: usize) -> bool {
        state.queued + state.held < self.limits.events
            && state.queued_bytes + state.held_bytes + bytes <= self.limits.bytes
    }

    /// Puts one record in, or counts why not.
    #[inline]
    pub(crate) fn push(&self, record: &[u8], at: SystemTime) -> Result<(), DropReason> {
        self.put(record, at, self.limits.policy)
    }

    /// The same, for a caller who wants to be told rather than wait.
    pub(crate) fn push_without_waiting(
        &self,
        record: &[u8],
        at: SystemTime,
    ) -> Result<(), DropReason> {
        self.put(
            record,
            at,
            match self.limits.policy {
                QueuePolicy::Block { .. } => QueuePolicy::DropNewest,
                policy => policy,
            },
        )
    }

    fn put(&self, record: &[u8], at: SystemTime, policy: QueuePolicy) -> Result<(), DropReason> {
        let mut state = self.state();
        if state.closed || !self.fits(&state, record.len()) {
            state = self.make_room(state, record.len(), policy)?;
        }
        self.append(&mut state, record, at);
        let wake = match state.sleep {
            Sleep::Awake => false,
            Sleep::Timer => self.is_ready(&state, 0),
            Sleep::Deep => true,
        };
        // The oldest may have been dropped for this one.
        let wake = state.overflow == News::New || wake;
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

    #[cold]
    fn refused(&self, mut state: MutexGuard<'_, State>, reason: DropReason) {
        state.refuse(reason);
        if reason != DropReason::QueueFull || state.overflow != News::None {
            return;
        }
        state.overflow = News::New;
        drop(state);
        // Whatever it waits for: it says so once, and goes on waiting.
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
            // Larger than all of the room there can be: nothing would help it.
            _ if bytes > self.limits.bytes => {}
            QueuePolicy::Block { timeout } => {
                let until = Instant::now() + timeout.min(ENDLESS);
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
            // Only where it helps: what the actor holds takes its room whatever is dropped here.
            QueuePolicy::DropOldest
                if !state.closed && state.held_bytes + bytes <= self.limits.bytes =>
            {
                while state.queued > 0 && !self.fits(&state, bytes) {
                    state.drop_oldest();
                    state.overflow.begin();
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
        self.refused(state, reason);
        Err(reason)
    }

    fn append(&self, state: &mut State, record: &[u8], at: SystemTime) {
        let limits = &self.limits;
        let open = state
            .chunks
            .back_mut()
            .filter(|chunk| chunk.has_room(record.len(), limits.batch_events, limits.batch_bytes));
        match open {
            Some(chunk) => chunk.push(record, at),
            None => {
                // One that grew step by step would be copied at each.
                let mut chunk = match (state.free.pop(), state.chunks.back()) {
                    (Some(chunk), _) => chunk,
                    (None, Some(full)) => Chunk::as_large_as(full),
                    (None, None) => Chunk::default(),
                };
                chunk.begin(state.next);
                chunk.push(record, at);
                state.chunks.push_back(chunk);
            }
        }
        state.next += 1;
        state.queued += 1;
        state.queued_bytes += record.len();
    }

    // The actor's side.

    /// The number of the next event: everything captured so far comes before it.
    pub(crate) fn next_seq(&self) -> u64 {
        self.state().next
    }

    /// Closes the chunk that is being filled, so that what comes next travels apart from what was there.
    pub(crate) fn seal(&self) -> Sealed {
        let mut state = self.state();
        if let Some(last) = state.chunks.back_mut() {
            last.seal();
        }
        Sealed {
            until: state.next,
            open: (state.queued + state.held) as u64 + state.spooled,
            delivered: state.delivered - state.recovered_delivered,
        }
    }

    /// Takes the oldest chunk, if it is ready or began before `due`.
    pub(crate) fn take(&self, due: u64) -> Option<Chunk> {
        let mut state = self.state();
        if !self.is_ready(&state, due) {
            return None;
        }
        let chunk = state.chunks.pop_front()?;
        state.queued -= chunk.len();
        state.queued_bytes -= chunk.byte_len();
        state.held += chunk.len();
        state.held_bytes += chunk.byte_len();
        Some(chunk)
    }

    /// Gives a chunk back to be filled again, once its events were encoded into `json` bytes.
    pub(crate) fn encoded(&self, chunk: Chunk, json: usize) {
        let mut state = self.state();
        state.held_bytes = state.held_bytes - chunk.byte_len() + json;
        if state.free.len() < SPARE_CHUNKS
            && let Some(chunk) = chunk.emptied()
        {
            state.free.push(chunk);
        }
    }

    /// Whether what failed should make room for what comes. Where callers wait for room instead, nothing
    /// that they were told is taken is given up for their next.
    pub(crate) fn is_crowded(&self) -> bool {
        !matches!(self.limits.policy, QueuePolicy::Block { .. }) && self.is_full(&self.state())
    }

    /// Whether half of the room is taken.
    pub(crate) fn is_half_full(&self) -> bool {
        let state = self.state();
        state.queued + state.held > self.limits.events / 2
            || state.queued_bytes + state.held_bytes > self.limits.bytes / 2
    }

    /// The number of the oldest event in the queue.
    pub(crate) fn front_seq(&self) -> Option<u64> {
        self.state().chunks.front().map(Chunk::seq)
    }

    /// How many events in the queue come before `seq`.
    pub(crate) fn queued_before(&self, seq: u64) -> u64 {
        let state = self.state();
        let chunks = state.chunks.iter().take_while(|c| c.seq() < seq);
        chunks.map(|c| c.len() as u64).sum()
    }

    /// Notes how the actor is about to sleep. `None`: there is work, it must not.
    pub(crate) fn sleep(&self, due: u64, sleep: Sleep) -> Option<()> {
        let mut state = self.state();
        let has_work = match sleep {
            Sleep::Awake => false,
            Sleep::Timer => self.is_ready(&state, due),
            Sleep::Deep => state.queued > 0,
        };
        if has_work {
            return None;
        }
        state.sleep = sleep;
        Some(())
    }

    /// Whether a batch should go: the oldest chunk is full, enough waits, or it began before `due`.
    fn is_ready(&self, state: &State, due: u64) -> bool {
        state.chunks.front().is_some_and(|front| {
            state.chunks.len() > 1
                || front.is_sealed()
                || front.len() >= self.limits.batch_events
                || state.queued >= self.limits.flush_at
                || front.seq() < due
        })
    }

    /// Notes that the actor works. What it should say.
    pub(crate) fn awake(&self) -> Losses {
        let mut state = self.state();
        state.sleep = Sleep::Awake;
        Losses {
            overflow: state.overflow.take(),
            large: state.large.take(),
            late: state.late.take(),
        }
    }

    /// Whether the caller should say that an event came after the end.
    pub(crate) fn take_late(&self) -> bool {
        self.state().late.take()
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }

    /// Refuses everything from now on. What is there stays.
    pub(crate) fn is_closed(&self) -> bool {
        self.state().closed
    }

    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        self.look_first.store(true, Ordering::Relaxed);
        drop(state);
        self.room.notify_all();
    }
}

impl State {
    fn drop_oldest(&mut self) {
        let Some(front) = self.chunks.front_mut() else {
            return;
        };
        self.queued_bytes -= front.drop_first();
        self.queued -= 1;
        self.dropped.add(DropReason::QueueFull, 1);
        if front.len() == 0 {
            self.chunks.pop_front();
        }
    }
}
