//! Events that travel together.

use crate::capture::record::millis;
use std::time::SystemTime;

/// Up to which size a chunk is kept to be used again.
const SPARE_BYTES: usize = 512 << 10;

/// Events that travel together: their records end to end.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// Entries before this one were dropped to make room.
    head: usize,
    /// The number of its first entry, counted from the queue's beginning.
    first: u64,
    sealed: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    end: usize,
    /// Made milliseconds on the actor's thread.
    at: SystemTime,
}

impl Chunk {
    /// An empty one with room for as much.
    pub(super) fn as_large_as(other: &Self) -> Self {
        Self {
            bytes: Vec::with_capacity(other.bytes.len()),
            entries: Vec::with_capacity(other.entries.len()),
            ..Self::default()
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.head
    }

    /// The number of its first event that is still there.
    pub(crate) fn seq(&self) -> u64 {
        self.first + self.head as u64
    }

    /// Numbers its events, of which there are none yet.
    pub(super) fn begin(&mut self, first: u64) {
        self.first = first;
    }

    /// What comes next goes into another.
    pub(super) fn seal(&mut self) {
        self.sealed = true;
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Whether one record more makes it no larger than a batch.
    pub(super) fn has_room(&self, record: usize, batch_events: usize, batch_bytes: usize) -> bool {
        // Dropped ones count: their room is given back with the chunk.
        !self.sealed
            && self.entries.len() < batch_events
            && self.bytes.len() + record <= batch_bytes
    }

    #[inline]
    pub(super) fn push(&mut self, record: &[u8], at: SystemTime) {
        self.bytes.extend_from_slice(record);
        let end = self.bytes.len();
        self.entries.push(Entry { end, at });
    }

    fn start_of(&self, entry: usize) -> usize {
        entry
            .checked_sub(1)
            .map_or(0, |before| self.entries[before].end)
    }

    /// Gives the oldest record up. Returns its bytes.
    pub(super) fn drop_first(&mut self) -> usize {
        let before = self.byte_len();
        self.head += 1;
        before - self.byte_len()
    }

    /// Empty again, with the room it has, unless that is too much to keep.
    pub(super) fn emptied(mut self) -> Option<Self> {
        self.bytes.clear();
        self.entries.clear();
        (self.bytes.capacity() <= SPARE_BYTES).then_some(Self {
            bytes: self.bytes,
            entries: self.entries,
            ..Self::default()
        })
    }

    pub(super) fn byte_len(&self) -> usize {
        self.bytes.len() - self.start_of(self.head)
    }

    /// The records, with the milliseconds of their capture.
    pub(crate) fn records(&self) -> impl Iterator<Item = (&[u8], i64)> {
        (self.head..self.entries.len()).map(|i| {
            let entry = self.entries[i];
            (&self.bytes[self.start_of(i)..entry.end], millis(entry.at))
        })
    }
}
