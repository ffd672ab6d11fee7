//! [`SharedFields`]: fields that any number of spans hold at once, and that are replaced as a whole.
//!
//! ```text
//!  replace: encoded once ─► SharedFields ◄── attach ── each span that holds them (span_store)
//!                                │
//!                                └─► copied into each event within, behind the span's own fields
//! ```
//!
//! A change costs one encoding, however many spans hold the fields. An event copies bytes.
//!
//! Without the feature `flags` nobody has such fields: [`Held`] is empty then, and spans and events cost what they cost
//! without this module.
//!
//! Invariants:
//! - Fields know no spans. So they keep none open, and outlive none that is not open.
//! - Under the lock bytes are copied or swapped; nothing is allocated, freed or formatted.
//! - A span holds the fields that were attached last. Its own fields, and those set on it by hand, win over them, and
//!   they win over everything further out.

use crate::event::record::Record;
#[cfg(feature = "flags")]
pub(crate) use shared::{SharedFields, attach};

/// The shared fields that a span holds, if any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    #[cfg(feature = "flags")]
    fields: Option<std::sync::Arc<SharedFields>>,
}

impl Held {
    /// Adds the fields, as those of a span further out. False: the record's buffer has no room left, and must grow first,
    /// outside of locks.
    #[inline]
    pub(super) fn write(&self, record: &mut Record) -> bool {
        #[cfg(feature = "flags")]
        if let Some(fields) = &self.fields {
            return fields.write(record);
        }
        let _ = record;
        true
    }

    /// The same where no lock is held.
    pub(super) fn write_and_grow(&self, record: &mut Record) {
        let end = record.end();
        while !self.write(record) {
            record.cut_back_and_grow(end);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        #[cfg(feature = "flags")]
        return self.fields.is_none();
        #[cfg(not(feature = "flags"))]
        true
    }

    /// What a span holds that held `older`, after this came.
    pub(super) fn or(&self, older: &Self) -> Self {
        match self.is_empty() {
            true => older.clone(),
            false => self.clone(),
        }
    }
}

#[cfg(feature = "flags")]
mod shared {
    use super::Held;
    use crate::event::record::Record;
    use crate::layer::span_ext;
    use crate::layer::span_store::{Fields, MAX_SPAN_BYTES};
    use std::sync::{Arc, PoisonError, RwLock};
    use tracing::Span;

    /// Encoded fields that spans share.
    #[derive(Debug, Default)]
    pub(crate) struct SharedFields(RwLock<Vec<u8>>);

    impl SharedFields {
        /// Replaces all the fields, up to 64 KiB: what is more is left out, and reported with the events within. Of two
        /// that replace at once, the later swap wins.
        pub(crate) fn replace(&self, write: impl FnOnce(&mut Record)) {
            let mut record = Record::over(Vec::new(), MAX_SPAN_BYTES);
            write(&mut record);
            if record.overflowed() {
                record.mark_cut();
            }
            let mut encoded = record.into_bytes();
            encoded.shrink_to_fit();
            let mut fields = self.0.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut *fields, &mut encoded);
            drop(fields);
            drop(encoded);
        }

        pub(super) fn write(&self, record: &mut Record) -> bool {
            let fields = self.0.read().unwrap_or_else(PoisonError::into_inner);
            record.outer_segment_in_place(&fields, None)
        }
    }

    /// Lets a span hold these fields, in place of others, in every layer of its subscriber: as
    /// [`PostHogSpanExt`](crate::PostHogSpanExt) does.
    pub(crate) fn attach(span: &Span, fields: &Arc<SharedFields>) {
        span_ext::add(span, || Fields {
            held: Held {
                fields: Some(Arc::clone(fields)),
            },
            ..Fields::default()
        });
    }
}
