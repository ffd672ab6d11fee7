//! [`SpanData`]: what is kept of one span.

use super::super::shared_fields::Held;
use super::timed::TimedSpan;
use crate::event::callsite::CallsiteSchema;
use crate::event::record::{self, Record, Slot, merge};
use smallvec::SmallVec;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use tracing::Metadata;

/// A span's encoded fields. Usually few and short: then they need no memory of their own.
pub(crate) type Encoded = SmallVec<[u8; 48]>;

/// A span's fields are kept for its whole life; more than this is not kept.
pub(crate) const MAX_SPAN_BYTES: usize = 64 << 10;

/// What is kept of one span. What it was opened with never changes; what is recorded later stands in `later`.
#[derive(Debug)]
pub(crate) struct SpanData {
    pub(crate) metadata: &'static Metadata<'static>,
    /// What the numbers of its fields refer to.
    pub(crate) site: Option<&'static CallsiteSchema>,
    /// The nearest enclosing span that concerns the layer.
    pub(crate) outer: Option<Arc<SpanData>>,
    /// Encoded fields for the events within, and the spans.
    pub(crate) context: Encoded,
    /// The same, of plain fields that are taken for identity: they give way to those of `context`.
    pub(crate) mapped: Vec<u8>,
    /// For a span that becomes an event itself.
    pub(crate) timed: Option<Box<TimedSpan>>,
    /// Whether it came into the store after it was opened, because something was set on it by hand.
    pub(crate) late: bool,
    /// All fields, once some were recorded later. Replaced as a whole, so that the lock is only held to copy.
    pub(crate) later: OnceLock<Box<RwLock<Arc<Fields>>>>,
}

/// A span's fields after it was recorded into, and fields that it shares with others.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    /// For the events and spans within.
    pub(crate) context: Encoded,
    pub(crate) mapped: Vec<u8>,
    /// For its own event, where it becomes one.
    pub(crate) event: Vec<u8>,
    /// Behind the others: for the events and spans within, and for its own event.
    pub(crate) held: Held,
}

impl SpanData {
    /// A span that was opened without any field of ours, and comes into the store because these are set on it.
    pub(super) fn late(metadata: &'static Metadata<'static>, fields: &Fields) -> Self {
        Self {
            metadata,
            site: None,
            outer: None,
            context: fields.context.clone(),
            mapped: fields.mapped.clone(),
            timed: None,
            late: true,
            later: match fields.held.is_empty() {
                true => OnceLock::new(),
                false => OnceLock::from(Box::new(RwLock::new(Arc::new(fields.clone())))),
            },
        }
    }

    /// Adds what this span and those around it say. False: the record's buffer has no room left; then it must grow
    /// first, outside the store's lock.
    pub(crate) fn write_chain(&self, record: &mut Record) -> bool {
        let mut next = Some(self);
        while let Some(span) = next {
            if !span.write(record) {
                return false;
            }
            next = span.outer.as_deref();
        }
        true
    }

    /// Adds what this span says by itself. False: as above.
    #[inline]
    pub(crate) fn write(&self, record: &mut Record) -> bool {
        match self.later.get() {
            None => {
                record.outer_segment_in_place(&self.context, self.site)
                    && (self.mapped.is_empty() || write_mapped(&self.mapped, record))
            }
            Some(later) => self.write_later(later, record),
        }
    }

    #[inline(never)]
    fn write_later(&self, later: &RwLock<Arc<Fields>>, record: &mut Record) -> bool {
        let fields = later.read().unwrap_or_else(PoisonError::into_inner);
        record.outer_segment_in_place(&fields.context, self.site)
            && write_mapped(&fields.mapped, record)
            && fields.held.write(record)
    }

    /// What it says now. `None`: what it was opened with.
    pub(crate) fn recorded(&self) -> Option<Arc<Fields>> {
        let later = self.later.get()?;
        Some(Arc::clone(
            &later.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }

    /// Adds fields that were recorded later. Of two threads that do this at once, one does it again.
    pub(crate) fn record(&self, newer: &Fields) {
        let later = match self.later.get() {
            Some(later) => later,
            None => {
                let opened_with = Fields {
                    context: self.context.clone(),
                    mapped: self.mapped.clone(),
                    event: match &self.timed {
                        Some(timed) => timed.fields.clone(),
                        None => Vec::new(),
                    },
                    held: Held::default(),
                };
                let first = Box::new(RwLock::new(Arc::new(opened_with)));
                // An error: another thread was first.
                drop(self.later.set(first));
                match self.later.get() {
                    Some(later) => later,
                    None => return,
                }
            }
        };
        loop {
            let before = Arc::clone(&later.read().unwrap_or_else(PoisonError::into_inner));
            let merged = Arc::new(Fields {
                context: self.merged(&before.context, &newer.context).into(),
                mapped: self.merged(&before.mapped, &newer.mapped),
                event: match self.timed {
                    Some(_) => self.merged(&before.event, &newer.event),
                    None => Vec::new(),
                },
                held: newer.held.or(&before.held),
            });
            let mut now = later.write().unwrap_or_else(PoisonError::into_inner);
            if Arc::ptr_eq(&now, &before) {
                let _outside_the_lock = std::mem::replace(&mut *now, merged);
                drop(now);
                return;
            }
        }
    }

    /// What does not fit is left out, and that is noted.
    fn merged(&self, older: &[u8], newer: &[u8]) -> Vec<u8> {
        if newer.is_empty() {
            return older.to_vec();
        }
        let merged = merge(older, newer, self.site);
        if merged.len() <= 2 * MAX_SPAN_BYTES {
            return merged;
        }
        let mut cut = Record::over(Vec::new(), 0);
        cut.mark_cut();
        merge(older, cut.bytes(), self.site)
    }
}

#[inline(never)]
fn write_mapped(mapped: &[u8], record: &mut Record) -> bool {
    record.outer_segment_in_place(mapped, None)
}

/// One after the other: dropped by recursion, a deep chain would overflow the stack.
impl Drop for SpanData {
    fn drop(&mut self) {
        let mut outer = self.outer.take();
        while let Some(mut span) = outer.and_then(Arc::into_inner) {
            outer = span.outer.take();
        }
    }
}

/// The part of a span's fields that reaches the events within: identity, and what `allows` lets through.
pub(crate) fn context_of(
    fields: &[u8],
    site: Option<&'static CallsiteSchema>,
    allows: impl Fn(&str) -> bool,
) -> Encoded {
    let mut context = Encoded::new();
    for (field, bytes) in record::each(fields, site) {
        let reaches = match field.slot {
            Slot::Property => allows(field.key),
            Slot::Name | Slot::Timestamp | Slot::Uuid | Slot::Set | Slot::SetOnce => false,
            _ => true,
        };
        if reaches {
            context.extend_from_slice(bytes);
        }
    }
    context
}
