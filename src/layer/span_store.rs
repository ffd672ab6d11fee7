//! [`SpanStore`]: what a layer keeps of the open spans that concern it.
//!
//! ```text
//! open ───► insert ─┐                         ┌─► context ─► the nearest span of ours and its `outer` chain, copied
//! record ─► get ────┼─► shard (of 128), by id ┤
//! enter, exit ──────┤   RwLock<HashMap>       └─► remove ─► a timed span becomes an event
//! close ─► remove ──┘
//! ```
//!
//! - [`data`]: one span: its fields for the events within, and the nearest enclosing span of ours (`outer`).
//! - [`timed`]: spans that become events: their clock, and a table that tells quickly that a span is none.
//!
//! The data does not lie in the registry's extensions: these have a lock that other layers hold while they format values,
//! and that they leave poisoned when a value panics. Here no other layer can block or hurt us.
//!
//! Invariants:
//! - No code of the program runs under a lock of the store, and nothing is allocated or freed under one: bytes are copied,
//!   pointers are swapped. So a value's `Debug`, a panic hook or an allocator may capture events wherever it runs.
//! - Every look compares the callsite, because the registry uses ids again, and a layer that was out of the subscriber
//!   for a while was not told of spans that closed. Data of such a span is ignored, and replaced when its id comes again.
//! - A span that comes late, by [`SpanStore::set`], is missing in the chains of those within. Then chains are not used.
//! - An event takes one lock, however deep it stands, and one more for each span around it that was recorded into.
//! - The `outer` chain never outlives what it tells: an open span keeps its parent open.
//! - A store serves one subscriber. Ids of two registries would collide.

mod data;
mod timed;

pub(crate) use data::{Encoded, Fields, MAX_SPAN_BYTES, SpanData, context_of};
pub(crate) use timed::TimedSpan;

use crate::event::record::Record;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use timed::OpenTimed;
use tracing::Metadata;
use tracing::span::Id;

const SHARDS: usize = 128;

/// See [`SpanStore::sweep`].
const SWEEP_AFTER: usize = 1024;

/// The open spans that concern one layer.
#[derive(Debug)]
pub(crate) struct SpanStore {
    /// Whether there ever was one. Written once, so that looks from all threads stay cheap.
    used: AtomicBool,
    /// Whether something was ever set by hand on a span that was not in the store.
    late: AtomicBool,
    /// How many spans may still come late before the store looks for those whose end it was not told of.
    until_sweep: AtomicUsize,
    timed: OpenTimed,
    shards: Box<[Shard; SHARDS]>,
}

/// On a cache line of its own.
#[derive(Debug)]
#[repr(align(64))]
struct Shard {
    spans: RwLock<Spans>,
    /// How many there are; written under the lock.
    open: AtomicUsize,
}

type Spans = HashMap<u64, Arc<SpanData>, BuildHasherDefault<IdHasher>>;

impl Default for SpanStore {
    fn default() -> Self {
        Self {
            used: AtomicBool::new(false),
            late: AtomicBool::new(false),
            until_sweep: AtomicUsize::new(SWEEP_AFTER),
            timed: OpenTimed::default(),
            shards: Box::new([const { Shard::new() }; SHARDS]),
        }
    }
}

impl SpanStore {
    /// The registry's id has the place within a thread's slab in its low bits and the thread above bit 38. Folded, spans
    /// of different threads lie in different shards, and a place that is used again stays in its shard.
    #[inline]
    fn shard(&self, id: &Id) -> &Shard {
        let id = id.into_u64();
        &self.shards[(id ^ (id >> 38)) as usize % SHARDS]
    }

    /// False: no span of ours was ever opened.
    #[inline]
    pub(crate) fn is_used(&self) -> bool {
        self.used.load(Relaxed)
    }

    /// False: the span is none of ours.
    #[inline]
    pub(crate) fn may_contain(&self, id: &Id) -> bool {
        self.is_used() && self.shard(id).open.load(Relaxed) != 0
    }

    /// False: the span does not become an event.
    #[inline]
    pub(crate) fn may_be_timed(&self, id: &Id) -> bool {
        self.timed.may_contain(id)
    }

    /// Whether the chains may lack a span.
    #[inline]
    pub(crate) fn has_late(&self) -> bool {
        self.late.load(Relaxed)
    }

    #[inline]
    fn mark_used(&self) {
        if !self.is_used() {
            self.used.store(true, Relaxed);
        }
    }

    /// Adds fields to a span. One that is not in the store comes into it. `is_open` tells whether the registry has a span.
    pub(crate) fn set(
        &self,
        id: &Id,
        metadata: &'static Metadata<'static>,
        newer: &Fields,
        is_open: &dyn Fn(&Id, &'static Metadata<'static>) -> bool,
    ) {
        if let Some(span) = self.get(id, metadata) {
            return span.record(newer);
        }
        self.mark_used();
        self.late.store(true, Relaxed);
        let span = Arc::new(SpanData::late(metadata, newer));
        // Another thread may have been first.
        match self.shard(id).insert_new(id.into_u64(), span) {
            New::Present(span) => span.record(newer),
            New::Replaced(stale) if stale.timed.is_some() => self.timed.remove(id),
            New::Replaced(_) | New::Inserted => {}
        }
        let counted = self
            .until_sweep
            .fetch_update(Relaxed, Relaxed, |n| n.checked_sub(1));
        if counted.is_err() {
            self.sweep(is_open);
        }
    }

    /// Removes spans that came late and are no longer open. There are some only where a filter, which shows the layer a
    /// callsite's span at one time and hides it at another, hid its end. Done each time as many came as there were left, so
    /// that it costs little and such spans do not add up.
    #[cold]
    fn sweep(&self, is_open: &dyn Fn(&Id, &'static Metadata<'static>) -> bool) {
        let mut left = 0;
        for shard in &*self.shards {
            let late: Vec<_> = {
                let spans = shard.read();
                let late = spans.iter().filter(|(_, span)| span.late);
                late.map(|(id, span)| (*id, Arc::clone(span))).collect()
            };
            for (id, span) in late {
                let Some(id) = NonZeroU64::new(id).map(Id::from_non_zero_u64) else {
                    continue;
                };
                left += 1;
                if !is_open(&id, span.metadata) {
                    left -= 1;
                    drop(self.remove_if(&id, &span));
                }
            }
        }
        self.until_sweep.store(left.max(SWEEP_AFTER), Relaxed);
    }

    fn remove_if(&self, id: &Id, span: &Arc<SpanData>) -> Option<Arc<SpanData>> {
        let shard = self.shard(id);
        let mut spans = shard.write();
        if !spans
            .get(&id.into_u64())
            .is_some_and(|there| Arc::ptr_eq(there, span))
        {
            return None;
        }
        let removed = spans.remove(&id.into_u64());
        shard.open.store(spans.len(), Relaxed);
        removed
    }

    /// Adds what the span says, if it is here, by itself.
    pub(crate) fn write(&self, id: &Id, metadata: &'static Metadata<'static>, record: &mut Record) {
        let end = record.end();
        let mut written = true;
        while self.look(id, metadata, &mut |span| written = span.write(record)) && !written {
            record.cut_back_and_grow(end);
        }
    }

    pub(crate) fn insert(&self, id: &Id, span: Arc<SpanData>) {
        if span.timed.is_some() {
            self.timed.add(id);
        }
        self.mark_used();
        let stale = self.shard(id).insert(id.into_u64(), span);
        if stale.is_some_and(|span| span.timed.is_some()) {
            self.timed.remove(id);
        }
    }

    /// Takes over the open spans of a layer that this one replaces.
    pub(crate) fn adopt(&self, replaced: &Self) {
        self.late.fetch_or(replaced.has_late(), Relaxed);
        for shard in &*replaced.shards {
            let spans = std::mem::take(&mut *shard.write());
            for (id, span) in spans {
                if let Some(id) = NonZeroU64::new(id) {
                    self.insert(&Id::from_non_zero_u64(id), span);
                }
            }
        }
    }

    pub(crate) fn remove(&self, id: &Id) -> Option<Arc<SpanData>> {
        let shard = self.shard(id);
        let removed = {
            let mut spans = shard.write();
            let removed = spans.remove(&id.into_u64());
            shard.open.store(spans.len(), Relaxed);
            removed
        }?;
        if removed.timed.is_some() {
            self.timed.remove(id);
        }
        Some(removed)
    }

    /// Runs `look` on the span, under a lock: it only copies. False: there is no such span of that callsite.
    #[inline]
    pub(crate) fn look(
        &self,
        id: &Id,
        metadata: &'static Metadata<'static>,
        look: &mut impl FnMut(&Arc<SpanData>),
    ) -> bool {
        let shard = self.shard(id);
        if shard.open.load(Relaxed) == 0 {
            return false;
        }
        match shard.read().get(&id.into_u64()) {
            Some(span) if std::ptr::eq(span.metadata, metadata) => {
                look(span);
                true
            }
            _ => false,
        }
    }

    /// The span, to be used after the lock is released.
    pub(crate) fn get(
        &self,
        id: &Id,
        metadata: &'static Metadata<'static>,
    ) -> Option<Arc<SpanData>> {
        let mut found = None;
        self.look(id, metadata, &mut |span| found = Some(Arc::clone(span)));
        found
    }
}

/// What became of a span that was to be inserted.
enum New {
    Inserted,
    /// One with that id, of another callsite, was left.
    Replaced(Arc<SpanData>),
    Present(Arc<SpanData>),
}

impl Shard {
    const fn new() -> Self {
        Self {
            spans: RwLock::new(Spans::with_hasher(BuildHasherDefault::new())),
            open: AtomicUsize::new(0),
        }
    }

    #[inline]
    fn read(&self) -> RwLockReadGuard<'_, Spans> {
        self.spans.read().unwrap_or_else(PoisonError::into_inner)
    }

    #[inline]
    fn write(&self) -> RwLockWriteGuard<'_, Spans> {
        self.spans.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was there before.
    #[inline]
    fn insert(&self, id: u64, span: Arc<SpanData>) -> Option<Arc<SpanData>> {
        let mut spans = self.write();
        while spans.len() == spans.capacity() {
            spans = self.grow(spans);
        }
        let before = spans.insert(id, span);
        self.open.store(spans.len(), Relaxed);
        before
    }

    /// Leaves a span of the same callsite that is there.
    fn insert_new(&self, id: u64, span: Arc<SpanData>) -> New {
        let mut spans = self.write();
        while spans.len() == spans.capacity() {
            spans = self.grow(spans);
        }
        if let Some(there) = spans
            .get(&id)
            .filter(|s| std::ptr::eq(s.metadata, span.metadata))
        {
            return New::Present(Arc::clone(there));
        }
        let before = spans.insert(id, span);
        self.open.store(spans.len(), Relaxed);
        before.map_or(New::Inserted, New::Replaced)
    }

    /// Makes room for one more: allocates and frees outside the lock.
    #[cold]
    fn grow<'a>(&'a self, spans: RwLockWriteGuard<'a, Spans>) -> RwLockWriteGuard<'a, Spans> {
        let wanted = 2 * spans.len() + 4;
        drop(spans);
        let mut larger = Spans::with_capacity_and_hasher(wanted, BuildHasherDefault::new());
        let mut spans = self.write();
        if spans.len() < larger.capacity() {
            larger.extend(spans.drain());
            std::mem::swap(&mut *spans, &mut larger);
        }
        drop(spans);
        drop(larger);
        self.write()
    }
}

/// Ids of one shard share their low bits, so these must not decide the place in the map.
#[derive(Debug, Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    #[inline]
    fn write_u64(&mut self, id: u64) {
        self.0 = id.wrapping_mul(0xf135_7aea_2e62_a9c5).rotate_left(26);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0 ^ u64::from(*byte));
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests;
