//! The callers' side of the queue: putting records in.

use super::segment::Spare;
use super::{Episode, Limits, Queue, QueuePolicy, Segment, Sleep, State, Watermark};
use crate::capture::ledger::DropReason;
use crate::http::FOREVER;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

impl Queue {
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
