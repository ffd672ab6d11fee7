//! [`Steps`]: the last log events of each root span, for the exceptions after them (`$exception_steps`).
//!
//! ```text
//! log event ─[keep]─► its message, cut ──► ring of its root span ──[write]──► an exception within the same root span
//!                                              ▲ one of ROOTS slots, found by the span's id
//! root span closes ─[close]────────────────────┘ the ring is freed
//! ```
//!
//! Off unless [`Errors::steps`](crate::Errors::steps) asks for it; then no callsite concerns the layer because of it, and
//! nothing is allocated.
//!
//! Invariants:
//! - Code of the program (`Debug` of a message) runs outside of locks. Nothing is allocated or freed under one: what a ring
//!   or a slot held before is swapped out, and dropped afterwards.
//! - Bounded: [`ROOTS`] root spans, each with as many steps as the setting says, each message of [`MAX_MESSAGE`] bytes.
//!   Where all slots for a span are taken, the one that was used least recently gives way. So what a layer was not told
//!   the end of does not stay either.
//! - What is written is at most [`MAX_BYTES`] of JSON, without the oldest steps where it would be more.
//! - A slot is compared by id and callsite, because the registry uses ids again.

use crate::event::json;
use crate::event::record::{Key, Record, Slot, exception, millis};
use crate::event::timestamp::TimestampWriter;
use crate::exceptions::{is_of_this_crate, level_name};
use crate::panic::catch;
use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::Id;
use tracing::{Event, Metadata};

/// How many root spans have steps at the same time.
const ROOTS: usize = 2048;
/// How many slots a span may be in.
const TRIES: usize = 8;
/// As much of a message as is kept, in bytes.
const MAX_MESSAGE: usize = 256;
/// As much as PostHog takes.
const MAX_BYTES: usize = 32_768;

/// Whether the events of that callsite are steps, where steps are kept at all.
pub(super) fn is_step(metadata: &Metadata<'_>, max_level: LevelFilter) -> bool {
    metadata.is_event()
        && *metadata.level() <= LevelFilter::INFO.min(max_level)
        && !is_of_this_crate(metadata)
}

/// The steps of one layer.
#[derive(Debug)]
pub(crate) struct Steps {
    /// How many are kept for each root span.
    most: usize,
    max_level: LevelFilter,
    slots: Box<[RootSlot]>,
    /// Counts uses of slots.
    uses: AtomicU64,
}

#[derive(Debug, Default)]
struct RootSlot {
    /// The id of the span, to be looked at without a lock. Zero: free.
    id: AtomicU64,
    used: AtomicU64,
    root: Mutex<Option<Arc<Root>>>,
    /// Held by a thread that adds a root span whose slots begin here, so that no other adds the same one.
    adding: Mutex<()>,
}

#[derive(Debug)]
struct Root {
    id: u64,
    metadata: &'static Metadata<'static>,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    steps: Box<[Option<Step>]>,
    /// Where the next one goes: the oldest is there.
    next: usize,
}

#[derive(Debug, Clone)]
struct Step {
    /// As it stands within a JSON string.
    message: Arc<str>,
    at: i64,
    metadata: &'static Metadata<'static>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Steps {
    /// `None`: none are kept.
    pub(super) fn new(most: usize, max_level: LevelFilter) -> Option<Self> {
        (most > 0).then(|| Self {
            most,
            max_level,
            slots: (0..ROOTS).map(|_| RootSlot::default()).collect(),
            uses: AtomicU64::new(0),
        })
    }

    /// Whether the events of that callsite are kept.
    #[inline]
    pub(super) fn wants(&self, metadata: &Metadata<'_>) -> bool {
        is_step(metadata, self.max_level)
    }

    /// The slots that the span may be in.
    fn slots_of(&self, id: u64) -> impl Iterator<Item = &RootSlot> {
        // The registry's ids of one thread differ in their low bits.
        let first = (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as usize;
        (first..first + TRIES).filter_map(|place| self.slots.get(place % ROOTS))
    }

    /// Keeps an event for the exceptions after it within the same root span.
    pub(super) fn keep(
        &self,
        root: &Id,
        metadata: &'static Metadata<'static>,
        event: &Event<'_>,
        at: SystemTime,
    ) {
        let mut message = Message::default();
        // A value that panics costs the rest of the message.
        catch(|| event.record(&mut message));
        let step = Step {
            message: message.into_json(event.metadata()),
            at: millis(at),
            metadata: event.metadata(),
        };
        self.ring_of(root.into_u64(), metadata).push(step);
    }

    fn ring_of(&self, id: u64, metadata: &'static Metadata<'static>) -> Arc<Root> {
        if let Some(root) = self.find(id, metadata) {
            return root;
        }
        let new = Arc::new(Root {
            id,
            metadata,
            ring: Mutex::new(Ring {
                steps: (0..self.most).map(|_| None).collect(),
                next: 0,
            }),
        });
        let adding = self.slots_of(id).next().map(|first| lock(&first.adding));
        if let Some(root) = self.find(id, metadata) {
            return root;
        }
        // A root span whose slots begin elsewhere may take a free one at the same time: looked at again under its lock.
        let free = self.slots_of(id).find_map(|slot| {
            if slot.id.load(Relaxed) != 0 {
                return None;
            }
            let there = lock(&slot.root);
            (slot.id.load(Relaxed) == 0).then_some((slot, there))
        });
        let slot = free.or_else(|| {
            let slot = self
                .slots_of(id)
                .min_by_key(|slot| slot.used.load(Relaxed))?;
            Some((slot, lock(&slot.root)))
        });
        let before = slot.and_then(|(slot, mut there)| {
            slot.id.store(id, Relaxed);
            self.use_now(slot);
            there.replace(Arc::clone(&new))
        });
        drop(adding);
        drop(before);
        new
    }

    fn use_now(&self, slot: &RootSlot) {
        slot.used
            .store(self.uses.fetch_add(1, Relaxed) + 1, Relaxed);
    }

    fn find(&self, id: u64, metadata: &'static Metadata<'static>) -> Option<Arc<Root>> {
        self.slots_of(id)
            .filter(|slot| slot.id.load(Relaxed) == id)
            .find_map(|slot| {
                let root = lock(&slot.root).clone();
                let root = root.filter(|root| root.is(id, metadata))?;
                self.use_now(slot);
                Some(root)
            })
    }

    /// Writes the steps of a root span as a part of an exception, the oldest first.
    pub(crate) fn write(
        &self,
        root: &Id,
        metadata: &'static Metadata<'static>,
        record: &mut Record,
    ) {
        let Some(root) = self.find(root.into_u64(), metadata) else {
            return;
        };
        let mut steps = Vec::with_capacity(self.most);
        lock(&root.ring).copy_to(&mut steps);
        let text = as_json(&steps);
        if !text.is_empty() {
            record.json_if_it_fits(Key::Named(Slot::Exception, exception::STEPS), &text);
        }
    }

    /// Forgets the steps of a span that closes.
    #[inline]
    pub(super) fn close(&self, id: &Id) {
        let id = id.into_u64();
        for slot in self.slots_of(id) {
            if slot.id.load(Relaxed) == id {
                slot.clear(id);
            }
        }
    }
}

impl RootSlot {
    fn clear(&self, id: u64) {
        let closed = {
            let mut root = lock(&self.root);
            if root.as_ref().is_none_or(|root| root.id != id) {
                return;
            }
            self.id.store(0, Relaxed);
            root.take()
        };
        drop(closed);
    }
}

impl Root {
    fn is(&self, id: u64, metadata: &'static Metadata<'static>) -> bool {
        self.id == id && std::ptr::eq(self.metadata, metadata)
    }

    fn push(&self, step: Step) {
        let oldest = {
            let mut ring = lock(&self.ring);
            let next = ring.next;
            ring.next = (next + 1) % ring.steps.len().max(1);
            ring.steps
                .get_mut(next)
                .and_then(|place| place.replace(step))
        };
        drop(oldest);
    }
}

impl Ring {
    /// Copies the steps, the oldest first, as far as there is room without allocating.
    fn copy_to(&self, steps: &mut Vec<Step>) {
        let (newer, older) = self.steps.split_at(self.next.min(self.steps.len()));
        let all = older.iter().chain(newer).flatten();
        steps.extend(all.take(steps.capacity()).cloned());
    }
}

/// A list in JSON, without the oldest steps where it would be too long. Empty: there are none.
fn as_json(steps: &[Step]) -> String {
    // Everything of a step but its message and target, at most.
    const AROUND: usize = 100;
    let mut left = MAX_BYTES - 2;
    let fitting = steps.iter().rev().take_while(|step| {
        let length = AROUND + step.message.len() + 6 * step.metadata.target().len();
        let fits = length <= left;
        left = left.saturating_sub(length);
        fits
    });
    let from = steps.len() - fitting.count();
    let (mut out, mut times) = (Vec::new(), TimestampWriter::default());
    for step in steps.get(from..).unwrap_or_default() {
        out.extend_from_slice(if out.is_empty() { b"[" } else { b"," });
        out.extend_from_slice(b"{\"$message\":\"");
        out.extend_from_slice(step.message.as_bytes());
        out.extend_from_slice(b"\",\"$timestamp\":\"");
        times.write(step.at, &mut out);
        out.extend_from_slice(b"\",\"$level\":\"");
        out.extend_from_slice(level_name(*step.metadata.level()).as_bytes());
        out.extend_from_slice(b"\",\"target\":");
        json::string(&mut out, step.metadata.target());
        out.push(b'}');
    }
    if !out.is_empty() {
        out.push(b']');
    }
    String::from_utf8(out).unwrap_or_default()
}

/// The message of an event, or the text of its error where it has none.
#[derive(Default)]
struct Message {
    text: Cut,
    has_message: bool,
}

/// Text up to a length.
#[derive(Default)]
struct Cut {
    text: smallvec::SmallVec<[u8; MAX_MESSAGE]>,
    is_cut: bool,
}

impl fmt::Write for Cut {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = MAX_MESSAGE - self.text.len();
        let end = (0..=text.len().min(room))
            .rev()
            .find(|at| text.is_char_boundary(*at));
        let (fits, rest) = text.split_at(end.unwrap_or(0));
        self.text.extend_from_slice(fits.as_bytes());
        match rest {
            "" => Ok(()),
            _ => {
                self.is_cut = true;
                Err(fmt::Error)
            }
        }
    }
}

impl Message {
    fn into_json(self, metadata: &Metadata<'_>) -> Arc<str> {
        // It was written as text, piece by piece.
        let text = std::str::from_utf8(&self.text.text).unwrap_or_default();
        let text = if text.is_empty() {
            metadata.name()
        } else {
            text
        };
        let mut escaped: smallvec::SmallVec<[u8; MAX_MESSAGE + 16]> = smallvec::SmallVec::new();
        let _ = json::escape(text, |piece| {
            escaped.extend_from_slice(piece.as_bytes());
            Ok(())
        });
        if self.text.is_cut {
            escaped.extend_from_slice("…".as_bytes());
        }
        std::str::from_utf8(&escaped).unwrap_or_default().into()
    }

    fn take(&mut self, field: &Field, text: fmt::Arguments<'_>) {
        let name = field.name();
        let is_message = name == "message";
        let is_error = matches!(name, "error" | "err" | "e");
        if is_message || (is_error && !self.has_message) {
            self.has_message |= is_message;
            self.text = Cut::default();
            // An error means that it is long enough, or that the value gave up.
            let _ = self.text.write_fmt(text);
        }
    }
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field, format_args!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.take(field, format_args!("{value}"));
    }

    // Others are no messages.
    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_i128(&mut self, _: &Field, _: i128) {}
    fn record_u128(&mut self, _: &Field, _: u128) {}
    fn record_bool(&mut self, _: &Field, _: bool) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::info_span;

    fn root() -> &'static Metadata<'static> {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            info_span!("root").metadata().unwrap()
        })
    }

    fn step(message: &str) -> Step {
        Step {
            message: message.into(),
            at: 0,
            metadata: root(),
        }
    }

    fn open(steps: &Steps) -> usize {
        let ids = steps.slots.iter().map(|slot| slot.id.load(Relaxed));
        ids.filter(|id| *id != 0).count()
    }

    #[test]
    fn root_spans_without_end_take_bounded_room_and_the_newest_are_there() {
        let steps = Steps::new(2, LevelFilter::INFO).unwrap();
        for id in 1..20 * ROOTS as u64 {
            steps.ring_of(id, root()).push(step("one"));
        }
        assert!(open(&steps) <= ROOTS);
        let newest = 20 * ROOTS as u64 - 1;
        assert!(steps.find(newest, root()).is_some());
    }

    #[test]
    fn a_span_that_closes_leaves_its_slot() {
        let steps = Steps::new(2, LevelFilter::INFO).unwrap();
        for id in 1..1000 {
            steps.ring_of(id, root()).push(step("one"));
        }
        assert!(open(&steps) > 990);
        for id in 1..1000 {
            steps.close(&Id::from_u64(id));
        }
        assert_eq!(open(&steps), 0);
        assert!(steps.slots.iter().all(|slot| lock(&slot.root).is_none()));
    }

    #[test]
    fn root_spans_that_begin_at_the_same_time_take_no_slot_of_each_other() {
        let place = |id: u64| (id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53) as usize;
        // Their slots overlap, and begin at different ones.
        let ids = [0, 1].map(|n| (1..1 << 20).find(|id| place(*id) == n).unwrap());
        let steps = Steps::new(1, LevelFilter::INFO).unwrap();
        let (free, taken) = (&steps.slots[TRIES - 1], &steps.slots[..=TRIES]);
        for slot in taken.iter().filter(|slot| !std::ptr::eq(*slot, free)) {
            slot.id.store(u64::MAX, Relaxed);
        }
        std::thread::scope(|scope| {
            let held = lock(&free.root);
            for id in ids {
                let steps = &steps;
                scope.spawn(move || steps.ring_of(id, root()).push(step("one")));
            }
            // Until both wait for the one that is free.
            std::thread::sleep(std::time::Duration::from_millis(100));
            drop(held);
        });
        assert!(ids.iter().all(|id| steps.find(*id, root()).is_some()));
    }

    #[test]
    fn an_id_that_is_used_again_begins_anew() {
        let steps = Steps::new(2, LevelFilter::INFO).unwrap();
        let other = tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            info_span!("other").metadata().unwrap()
        });
        steps.ring_of(7, root()).push(step("one"));
        assert!(steps.find(7, other).is_none());
        let mut record = Record::over(Vec::new(), 9_999);
        steps.write(&Id::from_u64(7), other, &mut record);
        assert!(record.bytes().is_empty());
        steps.write(&Id::from_u64(7), root(), &mut record);
        assert!(!record.bytes().is_empty());
    }

    #[test]
    fn steps_that_do_not_fit_cost_no_exception() {
        let steps = Steps::new(2, LevelFilter::INFO).unwrap();
        steps.ring_of(7, root()).push(step("one"));
        let mut record = Record::over(Vec::new(), 20);
        steps.write(&Id::from_u64(7), root(), &mut record);
        assert!(record.bytes().is_empty() && !record.overflowed());
    }

    #[test]
    fn threads_share_the_ring_of_a_root_span() {
        let steps = Steps::new(100, LevelFilter::INFO).unwrap();
        let metadata = root();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..25).for_each(|_| steps.ring_of(7, metadata).push(step("one")));
                });
            }
        });
        let mut all = Vec::with_capacity(100);
        lock(&steps.find(7, metadata).unwrap().ring).copy_to(&mut all);
        assert_eq!(all.len(), 100);
        assert_eq!(open(&steps), 1);
    }
}
