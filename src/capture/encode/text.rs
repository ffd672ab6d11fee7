//! Values of records as text, and as JSON values.

use crate::event::record::Val;
use serde_json::Value;

/// A value as text, borrowed where it is text already.
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Owned(String),
}

impl<'a> Text<'a> {
    pub(super) fn of(value: Val<'a>) -> Self {
        match value {
            Val::Str(s) | Val::Json(s) => Self::Borrowed(s),
            other => Self::Owned(other.to_text()),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(s) => s,
            Self::Owned(s) => s,
        }
    }

    pub(super) fn cut(&mut self, end: usize) {
        match self {
            Self::Borrowed(s) => *s = &s[..end],
            Self::Owned(s) => s.truncate(end),
        }
    }

    pub(super) fn into_string(self) -> String {
        match self {
            Self::Borrowed(s) => s.to_owned(),
            Self::Owned(s) => s,
        }
    }
}

/// Whether it is what `Debug` makes of a text, with quotes, or of an `Option`.
#[inline]
pub(super) fn looks_like_debug(text: &str) -> bool {
    match text.as_bytes() {
        [b'"', .., b'"'] => true,
        [b'S', .., b')'] => text.starts_with("Some("),
        _ => false,
    }
}

/// Whether the value of an id or a group says nothing.
pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

pub(super) fn to_value(value: Val<'_>) -> Value {
    match value {
        Val::Null => Value::Null,
        Val::Bool(b) => b.into(),
        Val::I64(n) => n.into(),
        Val::U64(n) => n.into(),
        Val::F64(n) => n.into(),
        Val::Str(s) => s.into(),
        Val::Json(s) => serde_json::from_str(s).unwrap_or(Value::Null),
        Val::Bytes(_) => Value::Null,
    }
}
