//! The queue's ledger: what becomes of events, counted under the queue's lock.

use super::{Episode, Queue, QueuePolicy, State};
use crate::capture::ledger::{Counts, DropReason, Residence};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

impl Queue {
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
