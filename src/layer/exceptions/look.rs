//! [`Look`]: what has to be known of an event before it is worth a record. One visit, and no text of a value is made.

use crate::event::record::Val;
use crate::exceptions::{Exception, type_key};
use crate::layer::fields;
use crate::panic::catch;
use std::error::Error;
use std::fmt::{self, Debug, Write};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

/// What an event says of itself, and which field holds the error.
#[derive(Default)]
pub(super) struct Look {
    /// The field `posthog.exception`.
    pub(super) wanted: Option<bool>,
    /// Tells the type of the error from others. Zero: not known.
    pub(super) type_key: u64,
    /// The level that an [`Exception`] brings.
    pub(super) level: Option<Level>,
    /// The number of the first field that is recorded as `dyn Error`.
    error: Option<usize>,
    /// The rank and the number of the field whose text stands for the error, should there be none.
    text: Option<(u8, usize)>,
}

impl Look {
    pub(super) fn at(event: &Event<'_>) -> Self {
        let mut look = Self::default();
        event.record(&mut look);
        look
    }

    /// The number of the field that is the value of the exception.
    pub(super) fn value(&self) -> Option<usize> {
        self.error.or(self.text.map(|(_, number)| number))
    }

    fn offer_text(&mut self, field: &Field) {
        if let Some(rank) = rank(field.name())
            && self.text.is_none_or(|(best, _)| rank < best)
        {
            self.text = Some((rank, field.index()));
        }
    }

    fn want(&mut self, field: &Field, wanted: Option<bool>) {
        if field.name() == fields::EXCEPTION {
            self.wanted = wanted.or(self.wanted);
        }
    }
}

/// Which of the names that are usual for errors it is: the lower, the sooner its text is the value.
fn rank(name: &str) -> Option<u8> {
    match name {
        "error" => Some(0),
        "err" => Some(1),
        "e" => Some(2),
        "error.message" => Some(3),
        _ if name.starts_with("error.") => Some(4),
        _ => None,
    }
}

impl Visit for Look {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.want(field, Some(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.want(field, Some(value != 0));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.want(field, Some(value != 0));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.offer_text(field);
        self.want(field, Val::Str(value).as_bool());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if self.error.is_none() {
            self.error = Some(field.index());
            self.type_key = type_key(value);
            self.level = value.downcast_ref().and_then(Exception::level_given);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == fields::EXCEPTION {
            let mut text = Short::default();
            catch(|| write!(text, "{value:?}").is_ok());
            self.want(field, Val::Str(text.as_str()).as_bool());
        } else {
            self.offer_text(field);
        }
    }

    // These say nothing.
    fn record_i128(&mut self, _: &Field, _: i128) {}
    fn record_u128(&mut self, _: &Field, _: u128) {}
    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_bytes(&mut self, _: &Field, _: &[u8]) {}
}

/// A text of a few bytes. A longer one is empty.
#[derive(Default)]
struct Short {
    text: [u8; 8],
    len: usize,
}

impl Short {
    fn as_str(&self) -> &str {
        let text = self.text.get(..self.len).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        text.trim_matches('"')
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        match self.text.get_mut(self.len..end) {
            Some(free) => free.copy_from_slice(text.as_bytes()),
            None => {
                self.len = 0;
                return Err(fmt::Error);
            }
        }
        self.len = end;
        Ok(())
    }
}
