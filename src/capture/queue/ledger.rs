//! The columns of the ledger: where an event stands once the actor has it, and what became of it.

use super::{News, Queue, State};
use crate::capture::QueuePolicy;
use crate::capture::stats::{DropReason, Dropped};
use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

/// In which column of the ledger an event stands that the actor has and that is not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(not(feature = "spool"), allow(dead_code))]
pub(crate) enum Home {
    #[default]
    Memory,
    /// On disk only, from this actor's own queue.
    Disk,
    /// On disk only, taken over from a process that has ended.
    Recovered,
}

/// The counts of one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    /// Counted as they come, taken or refused; all others as they leave. So the ledger can be out of balance,
    /// and shows it.
    pub(crate) captured: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped: Dropped,
    pub(crate) queued: u64,
    pub(crate) in_flight: u64,
    pub(crate) spooled: u64,
    /// The part of `spooled` that came through this queue.
    pub(crate) spooled_here: u64,
    pub(crate) recovered: u64,
    /// The part of `delivered` that came through this queue.
    pub(crate) delivered_here: u64,
}

impl Queue {
    /// Says what became of `events` taken events, of `bytes` encoded bytes.
    pub(crate) fn settle(&self, events: usize, bytes: usize, fate: Result<(), DropReason>) {
        let mut state = self.state();
        state.held -= events;
        state.held_bytes -= bytes;
        state.count(events as u64, fate);
        self.give_room(state);
    }

    /// What has become of the room that taken events gave back.
    fn give_room(&self, mut state: MutexGuard<'_, State>) {
        if !state.closed && !self.is_full(&state) {
            self.look_first.store(false, Ordering::Relaxed);
        }
        if state.overflow == News::Said
            && state.queued + state.held <= self.limits.events / 2
            && state.queued_bytes + state.held_bytes <= self.limits.bytes / 2
        {
            state.overflow = News::None;
        }
        drop(state);
        // Notifying is a system call, also where nobody waits.
        if matches!(self.limits.policy, QueuePolicy::Block { .. }) {
            self.room.notify_all();
        }
    }

    /// Moves taken events to the disk column: they need no room here any more.
    pub(crate) fn spool(&self, events: usize, bytes: usize) {
        let mut state = self.state();
        state.held -= events;
        state.held_bytes -= bytes;
        state.spooled += events as u64;
        self.give_room(state);
    }

    /// Takes events of the disk column back into memory, where the disk fails. Returns a number for them: those of
    /// ended processes have none here, and a flush that comes later counts them.
    pub(crate) fn unspool(&self, home: Home, events: usize, bytes: usize) -> u64 {
        let mut state = self.state();
        let seq = state.next;
        state.next += 1;
        state.renumbered += 1;
        *state.on_disk(home) -= events as u64;
        state.held += events;
        state.held_bytes += bytes;
        if self.is_full(&state) {
            self.look_first.store(true, Ordering::Relaxed);
        }
        seq
    }

    /// Counts events that ended processes left on disk.
    pub(crate) fn recover(&self, events: u64) {
        let mut state = self.state();
        state.recovered += events;
        state.spooled_recovered += events;
    }

    /// Says what became of events of the disk column.
    pub(crate) fn settle_spooled(&self, home: Home, events: u64, fate: Result<(), DropReason>) {
        let mut state = self.state();
        *state.on_disk(home) -= events;
        state.count(events, fate);
        if home == Home::Recovered && fate.is_ok() {
            state.recovered_delivered += events;
        }
    }

    /// Gives up so many bytes of what was taken, no events.
    pub(crate) fn shrink(&self, bytes: usize) {
        let mut state = self.state();
        state.held_bytes = state.held_bytes.saturating_sub(bytes);
    }

    /// Counts an event that never came into the queue.
    pub(crate) fn refuse(&self, reason: DropReason) {
        self.state().refuse(reason);
    }

    /// Counts an event that is too large to come into the queue. The actor says so: callers may stand where
    /// nothing can be said.
    #[cold]
    pub(crate) fn refuse_large(&self) {
        let mut state = self.state();
        state.refuse(DropReason::TooLarge);
        state.large.begin();
        let new = state.large == News::New;
        drop(state);
        if new {
            self.wake.notify_one();
        }
    }

    /// Says how many of the taken events wait to be tried again.
    pub(crate) fn set_kept(&self, events: usize) {
        self.state().kept = events;
    }

    /// Closes, and drops all that is not settled, what the actor had taken included. Returns how much.
    pub(crate) fn abandon(&self) -> u64 {
        self.close();
        let mut state = self.state();
        let left = (state.queued + state.held) as u64;
        state.chunks.clear();
        state.free.clear();
        (state.queued, state.queued_bytes) = (0, 0);
        (state.held, state.held_bytes, state.kept) = (0, 0, 0);
        state.dropped.add(DropReason::Shutdown, left);
        left
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.state();
        Counts {
            captured: state.next - state.renumbered + state.refused,
            delivered: state.delivered,
            dropped: state.dropped,
            queued: (state.queued + state.kept.min(state.held)) as u64,
            in_flight: state.held.saturating_sub(state.kept) as u64,
            spooled: state.spooled + state.spooled_recovered,
            spooled_here: state.spooled,
            recovered: state.recovered,
            delivered_here: state.delivered - state.recovered_delivered,
        }
    }
}

impl State {
    /// Counts an event that is not taken.
    pub(super) fn refuse(&mut self, reason: DropReason) {
        self.refused += 1;
        self.dropped.add(reason, 1);
    }

    fn count(&mut self, events: u64, fate: Result<(), DropReason>) {
        match fate {
            Ok(()) => self.delivered += events,
            Err(reason) => self.dropped.add(reason, events),
        }
    }

    fn on_disk(&mut self, home: Home) -> &mut u64 {
        match home {
            Home::Recovered => &mut self.spooled_recovered,
            Home::Disk | Home::Memory => &mut self.spooled,
        }
    }
}
