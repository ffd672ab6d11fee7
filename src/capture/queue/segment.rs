//! Segments: records that travel together, end to end in one buffer.

use crate::event::record::millis;
use std::collections::VecDeque;
use std::time::SystemTime;

/// A larger buffer is not kept to be filled again.
const KEEP_BYTES: usize = 512 << 10;
/// What a first segment holds.
const FIRST_BYTES: usize = 4 << 10;
const FIRST_ENTRIES: usize = 16;

/// Records that travel together. Its buffers never grow by themselves: see [`Spare`].
#[derive(Debug, Default)]
pub(crate) struct Segment {
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
    /// Converted to milliseconds on the actor's thread.
    at: SystemTime,
}

impl Segment {
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

    /// Later events go into another segment.
    pub(super) fn seal(&mut self) {
        self.sealed = true;
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// Whether one record more keeps it within the limits of a batch.
    #[inline]
    pub(super) fn has_room(&self, record: usize, batch_events: usize, batch_bytes: usize) -> bool {
        // Dropped entries count: their room is given back with the segment.
        !self.sealed
            && self.entries.len() < batch_events
            && self.bytes.len() + record <= batch_bytes
    }

    /// Appends a record. False: the buffers are too small.
    #[inline]
    pub(super) fn push(&mut self, record: &[u8], at: SystemTime) -> bool {
        let end = self.bytes.len() + record.len();
        if end > self.bytes.capacity() || self.entries.len() == self.entries.capacity() {
            return false;
        }
        self.bytes.extend_from_slice(record);
        self.entries.push(Entry { end, at });
        true
    }

    fn start_of(&self, entry: usize) -> usize {
        entry
            .checked_sub(1)
            .map_or(0, |before| self.entries[before].end)
    }

    /// The oldest record, with the milliseconds of its capture.
    pub(crate) fn first(&self) -> Option<(&[u8], i64)> {
        let entry = self.entries.get(self.head)?;
        Some((
            &self.bytes[self.start_of(self.head)..entry.end],
            millis(entry.at),
        ))
    }

    /// Drops the oldest record. Returns its bytes.
    pub(crate) fn drop_first(&mut self) -> usize {
        let before = self.byte_len();
        self.head += 1;
        before - self.byte_len()
    }

    /// The segment without its records, unless its buffer is too large to keep.
    pub(super) fn emptied(mut self) -> Option<Self> {
        self.bytes.clear();
        self.entries.clear();
        (self.bytes.capacity() <= KEEP_BYTES).then_some(Self {
            bytes: self.bytes,
            entries: self.entries,
            ..Self::default()
        })
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.bytes.len() - self.start_of(self.head)
    }

    /// The records, with the milliseconds of their capture.
    #[cfg(test)]
    pub(crate) fn records(&self) -> impl Iterator<Item = (&[u8], i64)> {
        (self.head..self.entries.len()).map(|i| {
            let entry = self.entries[i];
            (&self.bytes[self.start_of(i)..entry.end], millis(entry.at))
        })
    }
}

/// Buffers that a caller allocates before it takes the queue's lock, and frees after it has released it.
#[derive(Debug, Default)]
pub(super) struct Spare {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    list: VecDeque<Segment>,
    /// What to allocate before the next try: bytes, entries, segments in the list.
    wanted: (usize, usize, usize),
}

impl Spare {
    /// Allocates what the last try lacked. Called without the lock.
    #[cold]
    pub(super) fn allocate(&mut self) {
        let (bytes, entries, list) = std::mem::take(&mut self.wanted);
        if bytes > self.bytes.capacity() {
            self.bytes = Vec::with_capacity(bytes);
        }
        if entries > self.entries.capacity() {
            self.entries = Vec::with_capacity(entries);
        }
        if list > self.list.capacity() {
            self.list = VecDeque::with_capacity(list);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        (
            self.bytes.capacity(),
            self.entries.capacity(),
            self.list.capacity(),
        ) == (0, 0, 0)
    }

    /// Appends a record to a segment, with larger buffers where it needs them. False: they are to be allocated.
    pub(super) fn push(&mut self, segment: &mut Segment, record: &[u8], at: SystemTime) -> bool {
        segment.push(record, at)
            || (self.grow(segment, segment.bytes.len() + record.len()) && segment.push(record, at))
    }

    /// Gives a segment larger buffers, for bytes up to `end` and one entry more. False: they are to be allocated.
    fn grow(&mut self, segment: &mut Segment, end: usize) -> bool {
        if end > segment.bytes.capacity() {
            if self.bytes.capacity() < end {
                let doubled = segment.bytes.capacity().saturating_mul(2);
                self.wanted.0 = end.max(doubled).max(FIRST_BYTES);
            } else {
                self.bytes.clear();
                self.bytes.extend_from_slice(&segment.bytes);
                std::mem::swap(&mut self.bytes, &mut segment.bytes);
            }
        }
        let entries = segment.entries.len();
        if entries == segment.entries.capacity() {
            if self.entries.capacity() <= entries {
                self.wanted.1 = entries.saturating_mul(2).max(FIRST_ENTRIES);
            } else {
                self.entries.clear();
                self.entries.extend_from_slice(&segment.entries);
                std::mem::swap(&mut self.entries, &mut segment.entries);
            }
        }
        self.wanted == (0, 0, 0)
    }

    /// A new segment for a record of that size, as large as `model`. `None`: it is to be allocated.
    pub(super) fn segment(&mut self, record: usize, model: Option<&Segment>) -> Option<Segment> {
        let (bytes, entries) = match model {
            // With a little more room, for records are of slightly different sizes. Where each is flushed by itself, a
            // segment holds one record and not much more memory.
            Some(model) => (
                model.bytes.len() + model.bytes.len() / 8,
                model.entries.len(),
            ),
            None => (FIRST_BYTES, FIRST_ENTRIES),
        };
        let (bytes, entries) = (bytes.max(record), entries.max(1));
        if self.bytes.capacity() < bytes || self.entries.capacity() < entries {
            (self.wanted.0, self.wanted.1) = (bytes, entries);
            return None;
        }
        self.bytes.clear();
        self.entries.clear();
        Some(Segment {
            bytes: std::mem::take(&mut self.bytes),
            entries: std::mem::take(&mut self.entries),
            ..Segment::default()
        })
    }

    /// Makes room for one segment more in the list. False: a larger list is to be allocated.
    pub(super) fn make_list(&mut self, segments: &mut VecDeque<Segment>) -> bool {
        let len = segments.len();
        if len < segments.capacity() {
            return true;
        }
        if self.list.capacity() <= len {
            self.wanted.2 = len.saturating_mul(2).max(8);
            return false;
        }
        self.list.extend(segments.drain(..));
        std::mem::swap(&mut self.list, segments);
        true
    }
}

#[cfg(test)]
impl Segment {
    /// How much memory it holds.
    pub(super) fn memory(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Entry>();
        size_of::<Self>() + self.bytes.capacity() + entries
    }
}
