//! The ledger: where every event is, and what became of it.
//!
//! [`Ledger`] is plain data. The queue owns the only one and changes it under its lock, so that each snapshot is
//! consistent. An event enters once ([`enqueue`](Ledger::enqueue), [`refuse`](Ledger::refuse) or
//! [`recover`](Ledger::recover)), moves between columns, and leaves once:
//!
//! ```text
//! enqueue ─► queued ──take──► taken ──settle──► delivered, or dropped by reason
//!                               │ ▲
//!                         spill │ │ unspill
//!                               ▼ │
//! recover ──────────────────► spooled ──settle_spooled──► delivered, or dropped by reason
//! ```
//!
//! Invariants:
//! - `captured + recovered = delivered + dropped + queued + in_flight + spooled` in every snapshot. `captured` is
//!   counted where events enter and everything else where they move or leave, so a mistake shows.
//! - `taken` is what the actor holds in memory. A part of it waits (`waiting`); the rest is in requests on the wire.
//! - Memory is bounded by `events_in_memory` and `bytes_in_memory`, which cover `queued` and `taken`.

mod stats;

pub(crate) use stats::Counters;
pub use stats::{DropReason, Dropped, SpoolStats, Stats};

/// Where an event is that the actor has taken and that is not settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(not(feature = "spool"), allow(dead_code))]
pub(crate) enum Residence {
    #[default]
    Memory,
    /// On disk only, captured by this process.
    Disk,
    /// On disk only, taken over from a process that has ended.
    Recovered,
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The number of the next event.
    next: u64,
    /// How many numbers went to batches instead of events; see [`unspill`](Self::unspill).
    renumbered: u64,
    /// Events that never entered the queue.
    refused: u64,
    queued: usize,
    queued_bytes: usize,
    taken: usize,
    taken_bytes: usize,
    /// The part of `taken` that waits for a request.
    waiting: usize,
    /// On disk only, captured by this process.
    spooled: u64,
    /// On disk only, taken over from ended processes.
    spooled_recovered: u64,
    /// Ever taken over from ended processes.
    recovered: u64,
    recovered_delivered: u64,
    delivered: u64,
    dropped: Dropped,
}

/// The counts of one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) captured: u64,
    pub(crate) delivered: u64,
    pub(crate) dropped: Dropped,
    pub(crate) queued: u64,
    pub(crate) in_flight: u64,
    pub(crate) spooled: u64,
    /// The part of `spooled` that this process captured.
    pub(crate) spooled_here: u64,
    pub(crate) recovered: u64,
    /// The part of `delivered` that this process captured.
    pub(crate) delivered_here: u64,
}

impl Ledger {
    /// The number of the next event: every event captured so far has a smaller one.
    #[inline]
    pub(crate) fn next_seq(&self) -> u64 {
        self.next
    }

    #[inline]
    pub(crate) fn events_in_memory(&self) -> usize {
        self.queued + self.taken
    }

    #[inline]
    pub(crate) fn bytes_in_memory(&self) -> usize {
        self.queued_bytes + self.taken_bytes
    }

    #[inline]
    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn taken_bytes(&self) -> usize {
        self.taken_bytes
    }

    /// Events of this process that are not settled.
    pub(crate) fn open(&self) -> u64 {
        self.events_in_memory() as u64 + self.spooled
    }

    pub(crate) fn delivered_here(&self) -> u64 {
        self.delivered - self.recovered_delivered
    }

    /// An event enters the queue.
    #[inline]
    pub(crate) fn enqueue(&mut self, bytes: usize) {
        self.next += 1;
        self.queued += 1;
        self.queued_bytes += bytes;
    }

    /// An event is captured and does not enter the queue.
    pub(crate) fn refuse(&mut self, reason: DropReason) {
        self.refused += 1;
        self.dropped.add(reason, 1);
    }

    /// An event leaves the queue to make room for another.
    pub(crate) fn drop_queued(&mut self, bytes: usize) {
        self.queued -= 1;
        self.queued_bytes -= bytes;
        self.dropped.add(DropReason::QueueFull, 1);
    }

    /// The actor takes events out of the queue.
    pub(crate) fn take(&mut self, events: usize, bytes: usize) {
        self.queued -= events;
        self.queued_bytes -= bytes;
        self.taken += events;
        self.taken_bytes += bytes;
    }

    /// Taken events go back into the queue as they were.
    pub(crate) fn put_back(&mut self, events: usize, bytes: usize) {
        self.taken -= events;
        self.taken_bytes -= bytes;
        self.queued += events;
        self.queued_bytes += bytes;
    }

    /// Taken events of `before` bytes now use `after` bytes.
    pub(crate) fn resize(&mut self, before: usize, after: usize) {
        self.taken_bytes = (self.taken_bytes + after).saturating_sub(before);
    }

    /// Taken events are delivered, or dropped; they used `bytes` of memory.
    pub(crate) fn settle(&mut self, events: usize, bytes: usize, fate: Result<(), DropReason>) {
        self.leave_memory(events, bytes);
        self.count(events as u64, fate);
    }

    /// Taken events move from memory to disk.
    pub(crate) fn spill(&mut self, events: usize, bytes: usize) {
        self.leave_memory(events, bytes);
        self.spooled += events as u64;
    }

    /// Events move from disk back to memory, because the disk failed. Returns a number for their batch: events of
    /// ended processes have none, and a flush that comes later counts them.
    pub(crate) fn unspill(&mut self, residence: Residence, events: usize, bytes: usize) -> u64 {
        let seq = self.next;
        self.next += 1;
        self.renumbered += 1;
        *self.on_disk(residence) -= events as u64;
        self.taken += events;
        self.taken_bytes += bytes;
        seq
    }

    /// Events of ended processes are found on disk.
    pub(crate) fn recover(&mut self, events: u64) {
        self.recovered += events;
        self.spooled_recovered += events;
    }

    /// Events on disk are delivered, or dropped.
    pub(crate) fn settle_spooled(
        &mut self,
        residence: Residence,
        events: u64,
        fate: Result<(), DropReason>,
    ) {
        *self.on_disk(residence) -= events;
        self.count(events, fate);
        if residence == Residence::Recovered && fate.is_ok() {
            self.recovered_delivered += events;
        }
    }

    /// How many of the taken events wait for a request.
    pub(crate) fn set_waiting(&mut self, events: usize) {
        self.waiting = events;
    }

    /// Corrects the column `taken` to what the actor really holds, and drops the difference for `reason`. Returns
    /// how many events that were.
    pub(crate) fn reconcile(&mut self, events: usize, bytes: usize, reason: DropReason) -> u64 {
        let lost = self.taken.saturating_sub(events) as u64;
        self.taken = events;
        self.taken_bytes = bytes;
        self.dropped.add(reason, lost);
        lost
    }

    /// Drops everything in memory, taken or not. Returns how many events that were.
    pub(crate) fn abandon(&mut self) -> u64 {
        let left = self.events_in_memory() as u64;
        (self.queued, self.queued_bytes) = (0, 0);
        (self.taken, self.taken_bytes, self.waiting) = (0, 0, 0);
        self.dropped.add(DropReason::Shutdown, left);
        left
    }

    pub(crate) fn counts(&self) -> Counts {
        let waiting = self.waiting.min(self.taken);
        Counts {
            captured: self.next - self.renumbered + self.refused,
            delivered: self.delivered,
            dropped: self.dropped,
            queued: (self.queued + waiting) as u64,
            in_flight: (self.taken - waiting) as u64,
            spooled: self.spooled + self.spooled_recovered,
            spooled_here: self.spooled,
            recovered: self.recovered,
            delivered_here: self.delivered_here(),
        }
    }

    fn leave_memory(&mut self, events: usize, bytes: usize) {
        self.taken -= events;
        self.taken_bytes = self.taken_bytes.saturating_sub(bytes);
    }

    fn count(&mut self, events: u64, fate: Result<(), DropReason>) {
        match fate {
            Ok(()) => self.delivered += events,
            Err(reason) => self.dropped.add(reason, events),
        }
    }

    fn on_disk(&mut self, residence: Residence) -> &mut u64 {
        match residence {
            Residence::Recovered => &mut self.spooled_recovered,
            Residence::Disk | Residence::Memory => &mut self.spooled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balance(ledger: &Ledger) -> (u64, u64) {
        let c = ledger.counts();
        let placed = c.delivered + c.dropped.total() + c.queued + c.in_flight + c.spooled;
        (c.captured + c.recovered, placed)
    }

    fn with_taken(events: usize) -> Ledger {
        let mut ledger = Ledger::default();
        for _ in 0..events {
            ledger.enqueue(10);
        }
        ledger.take(events, 10 * events);
        ledger
    }

    #[test]
    fn every_move_keeps_the_balance() {
        let mut ledger = with_taken(6);
        ledger.enqueue(10);
        ledger.enqueue(10);
        ledger.drop_queued(10);
        ledger.refuse(DropReason::TooLarge);
        ledger.recover(5);
        ledger.spill(2, 20);
        ledger.settle(1, 10, Ok(()));
        ledger.settle(1, 10, Err(DropReason::Rejected));
        ledger.settle_spooled(Residence::Disk, 1, Ok(()));
        ledger.settle_spooled(Residence::Recovered, 2, Ok(()));
        ledger.settle_spooled(Residence::Recovered, 1, Err(DropReason::Expired));
        ledger.unspill(Residence::Recovered, 1, 10);
        ledger.set_waiting(2);
        let (entered, placed) = balance(&ledger);
        assert_eq!(entered, 9 + 5);
        assert_eq!(placed, entered);
        let counts = ledger.counts();
        assert_eq!((counts.queued, counts.in_flight, counts.spooled), (3, 1, 2));
        assert_eq!((counts.delivered, counts.delivered_here), (4, 2));
        assert_eq!(ledger.abandon(), 4);
        let (entered, placed) = balance(&ledger);
        assert_eq!(placed, entered);
    }

    #[test]
    fn events_that_the_actor_lost_are_dropped_by_reason() {
        let mut ledger = with_taken(5);
        assert_eq!(ledger.reconcile(3, 30, DropReason::ActorPanic), 2);
        let counts = ledger.counts();
        assert_eq!(counts.dropped.by(DropReason::ActorPanic), 2);
        assert_eq!(counts.in_flight, 3);
        assert_eq!(ledger.reconcile(3, 30, DropReason::ActorPanic), 0);
    }

    #[test]
    fn encoding_changes_the_bytes_and_not_the_events() {
        let mut ledger = with_taken(3);
        ledger.resize(30, 90);
        assert_eq!(
            (ledger.events_in_memory(), ledger.bytes_in_memory()),
            (3, 90)
        );
        ledger.settle(3, 90, Ok(()));
        assert_eq!(
            (ledger.events_in_memory(), ledger.bytes_in_memory()),
            (0, 0)
        );
    }
}
