//! Fields into a record, as they are visited.

use super::builder::SpanFields;
use super::fields::{is_ours, meaning};
use crate::event::callsite::CallsiteSchema;
use crate::event::record::{CHAIN, Key, Record, Slot, Text, Texts};
use crate::panic::catch;
use std::error::Error;
use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};

/// Which fields count, and what they are called in the record.
pub(crate) trait Naming {
    fn key(&self, field: &Field) -> Option<Key<'static>>;
}

/// All fields but at most one, by their numbers in a known callsite.
#[derive(Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) but: Option<usize>,
}

/// Those fields of a span that count, by their numbers in its callsite.
#[derive(Clone, Copy)]
pub(crate) struct SpanNumbers<'a>(
    pub(crate) &'static CallsiteSchema,
    pub(crate) &'a SpanFields,
);

/// Those fields that count, by name.
#[derive(Clone, Copy)]
pub(crate) enum Names<'a> {
    All,
    AllButMessage,
    /// `posthog.*` fields, and the named ones.
    Span(&'a SpanFields),
}

impl Naming for Numbers {
    #[inline]
    fn key(&self, field: &Field) -> Option<Key<'static>> {
        (self.but != Some(field.index())).then(|| Key::Numbered(field.index() as u16))
    }
}

impl Naming for SpanNumbers<'_> {
    #[inline]
    fn key(&self, field: &Field) -> Option<Key<'static>> {
        let Self(site, fields) = self;
        let number = field.index() as u16;
        let name = site.name(number)?;
        (name.slot != Slot::Property || fields.allows(name.key)).then_some(Key::Numbered(number))
    }
}

impl Naming for Names<'_> {
    #[inline]
    fn key(&self, field: &Field) -> Option<Key<'static>> {
        let name = field.name();
        let wanted = match self {
            Self::All => true,
            Self::AllButMessage => name != "message",
            Self::Span(fields) => is_ours(name) || fields.allows(name),
        };
        wanted.then(|| {
            let (slot, key) = meaning(name);
            Key::Named(slot, key)
        })
    }
}

pub(crate) struct Visitor<'a, N> {
    pub(crate) record: &'a mut Record,
    pub(crate) naming: N,
}

/// How many sources of an error are kept; a chain of them may be a ring.
const MAX_CHAIN: usize = 32;

impl<N: Naming> Visitor<'_, N> {
    /// Writes text that user code makes. A panic there costs this field, nothing else.
    #[inline]
    pub(crate) fn text(&mut self, key: Key<'_>, write: impl FnOnce(&mut Text<'_>) -> fmt::Result) {
        let Some(open) = self.record.open(key) else {
            return;
        };
        let mut text = Text(self.record);
        match catch(|| write(&mut text)) {
            Some(_) => self.record.close(open),
            None => self.record.rewind(open),
        }
    }
}

impl<N: Naming> Visit for Visitor<'_, N> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if let Some(key) = self.naming.key(field) {
            self.record.bool(key, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Some(key) = self.naming.key(field) {
            self.record.i64(key, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if let Some(key) = self.naming.key(field) {
            self.record.u64(key, value);
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        if let Some(key) = self.naming.key(field) {
            self.record.i128(key, value);
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        if let Some(key) = self.naming.key(field) {
            self.record.u128(key, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if let Some(key) = self.naming.key(field) {
            self.record.f64(key, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(key) = self.naming.key(field) {
            self.record.str(key, value);
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        if let Some(key) = self.naming.key(field) {
            self.text(key, |text| {
                value
                    .iter()
                    .try_for_each(|byte| text.write_fmt(format_args!("{byte:02x}")))
            });
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if let Some(key) = self.naming.key(field) {
            self.text(key, |text| text.write_fmt(format_args!("{value:?}")));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let Some(key) = self.naming.key(field) else {
            return;
        };
        self.text(key, |text| text.write_fmt(format_args!("{value}")));
        let (slot, name) = meaning(field.name());
        if slot != Slot::Property {
            return;
        }
        let Some(Some(source)) = catch(|| value.source()) else {
            return;
        };
        let name = format!("{name}{CHAIN}");
        let Some(mut texts) = Texts::begin(self.record, Key::Named(slot, &name)) else {
            return;
        };
        let written = catch(|| {
            let mut link = Some(source);
            for _ in 0..MAX_CHAIN {
                match link {
                    Some(error) if texts.push(&error) => link = error.source(),
                    _ => break,
                }
            }
        });
        match written {
            Some(()) => texts.end(),
            None => texts.take_back(),
        }
    }
}
