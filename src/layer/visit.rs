//! Fields into a record, as they are visited.

use super::builder::SpanFields;
use super::fields::{is_ours, meaning};
use crate::capture::record::{Record, Slot, Text};
use std::error::Error;
use std::fmt::{self, Debug};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tracing::field::{Field, Visit};

/// Which fields count.
#[derive(Clone, Copy)]
pub(crate) enum Take<'a> {
    /// All fields but the message.
    AllButMessage,
    All,
    /// `posthog.*` fields, and the named ones.
    Span(&'a SpanFields),
}

pub(crate) struct Visitor<'a> {
    pub(crate) record: &'a mut Record,
    pub(crate) take: Take<'a>,
}

/// How many links of an error's source chain are kept; a chain may be a ring.
const MAX_CHAIN: usize = 50;

impl Visitor<'_> {
    #[inline]
    fn wants(&self, field: &Field) -> Option<(Slot, &'static str)> {
        let name = field.name();
        let wanted = match self.take {
            Take::All => true,
            Take::AllButMessage => name != "message",
            Take::Span(fields) => is_ours(name) || fields.allows(name),
        };
        wanted.then(|| meaning(name))
    }

    /// Writes text that user code makes. A panic there costs this field, nothing else.
    #[inline]
    fn text(&mut self, slot: Slot, key: &str, write: impl FnOnce(&mut Text<'_>) -> fmt::Result) {
        let Some(open) = self.record.open(slot, key) else {
            return;
        };
        let mut text = Text(self.record);
        match catch_unwind(AssertUnwindSafe(|| write(&mut text))) {
            Ok(_) => self.record.close(open),
            Err(panic) => {
                self.record.rewind(open);
                // What was thrown may panic again when it is dropped.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
            }
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if let Some((slot, key)) = self.wants(field) {
            self.record.bool(slot, key, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if let Some((slot, key)) = self.wants(field) {
            self.record.i64(slot, key, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if let Some((slot, key)) = self.wants(field) {
            self.record.u64(slot, key, value);
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        if let Some((slot, key)) = self.wants(field) {
            self.record.i128(slot, key, value);
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        if let Some((slot, key)) = self.wants(field) {
            self.record.u128(slot, key, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if let Some((slot, key)) = self.wants(field) {
            self.record.f64(slot, key, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some((slot, key)) = self.wants(field) {
            self.record.str(slot, key, value);
        }
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        if let Some((slot, key)) = self.wants(field) {
            self.text(slot, key, |text| {
                value
                    .iter()
                    .try_for_each(|byte| text.write_fmt(format_args!("{byte:02x}")))
            });
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if let Some((slot, key)) = self.wants(field) {
            self.text(slot, key, |text| text.write_fmt(format_args!("{value:?}")));
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let Some((slot, key)) = self.wants(field) else {
            return;
        };
        self.text(slot, key, |text| text.write_fmt(format_args!("{value}")));
        if slot == Slot::Property && value.source().is_some() {
            let chain = catch_unwind(AssertUnwindSafe(|| {
                let mut texts: Vec<serde_json::Value> = Vec::new();
                let mut link = value.source();
                while let Some(error) = link
                    && texts.len() < MAX_CHAIN
                {
                    texts.push(error.to_string().into());
                    link = error.source();
                }
                texts
            }));
            if let Ok(chain) = chain {
                let chain = serde_json::Value::Array(chain);
                self.record.value(slot, &format!("{key}.chain"), &chain);
            }
        }
    }
}
