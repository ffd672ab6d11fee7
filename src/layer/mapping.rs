//! [`FieldMapping`]: plain span fields that people have already, such as `user.id`, taken for identity.
//!
//! A span's mapped fields are encoded apart from its others and stand one segment further out, so that an explicit
//! `posthog.*` field of the same span wins, and both win over those of spans further out. All become text.

use super::span_store::MAX_SPAN_BYTES;
use crate::event::callsite::CallsiteSchema;
use crate::event::record::{self, Key, Record, Slot, Text};
use crate::panic::catch;
use std::fmt::Debug;
use tracing::field::{Field, Visit};

/// Which plain span fields are identity.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldMapping(Vec<Mapped>);

#[derive(Debug, Clone)]
struct Mapped {
    field: Box<str>,
    slot: Slot,
    key: Box<str>,
}

impl FieldMapping {
    pub(crate) fn add(&mut self, field: &str, slot: Slot, key: &str) {
        self.0.push(Mapped {
            field: field.into(),
            slot,
            key: key.into(),
        });
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, field: &str) -> bool {
        self.0.iter().any(|mapped| &*mapped.field == field)
    }

    /// Encodes the mapped fields among those that are visited. Outside of locks: their `Debug` is the program's.
    pub(crate) fn encode(&self, visit: impl FnOnce(&mut dyn Visit)) -> Vec<u8> {
        let mut record = Record::over(Vec::new(), MAX_SPAN_BYTES);
        visit(&mut Visitor {
            mapping: self,
            record: &mut record,
        });
        if record.overflowed() {
            record.mark_cut();
        }
        record.into_bytes()
    }

    /// The fields of a span without those that are mapped and not let through as properties.
    pub(crate) fn without_mapped(
        &self,
        fields: &[u8],
        site: Option<&'static CallsiteSchema>,
        allows: impl Fn(&str) -> bool,
    ) -> Vec<u8> {
        let mut kept = Vec::with_capacity(fields.len());
        for (field, bytes) in record::each(fields, site) {
            let mapped = field.slot == Slot::Property && self.contains(field.key);
            if !mapped || allows(field.key) {
                kept.extend_from_slice(bytes);
            }
        }
        kept
    }
}

struct Visitor<'a> {
    mapping: &'a FieldMapping,
    record: &'a mut Record,
}

/// Numbers and bools come as `Debug` too, and are written as text.
impl Visit for Visitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        for mapped in self.mapping.0.iter().filter(|m| &*m.field == field.name()) {
            self.record.str(Key::Named(mapped.slot, &mapped.key), value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        for mapped in self.mapping.0.iter().filter(|m| &*m.field == field.name()) {
            let Some(open) = self.record.open(Key::Named(mapped.slot, &mapped.key)) else {
                continue;
            };
            let mut text = Text(self.record);
            match catch(|| text.write_fmt(format_args!("{value:?}"))) {
                Some(_) => self.record.close(open),
                None => self.record.rewind(open),
            }
        }
    }
}
