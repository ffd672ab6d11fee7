//! [`Given`]: what somebody has under a name, and the text that PostHog compares.

use serde_json::Value;
use std::fmt::{self, Write};

/// What somebody has under a name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given<'a> {
    Text(&'a str),
    /// Anything but a string.
    Json(&'a Value),
}

impl<'a> From<&'a Value> for Given<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text),
            other => Self::Json(other),
        }
    }
}

impl Given<'_> {
    /// Calls `read` with the text of a string, or with the compact JSON of anything else. Only lists, objects and
    /// numbers of unusual length allocate.
    pub(super) fn with_text<R>(self, read: impl FnOnce(&str) -> R) -> R {
        match self {
            Self::Text(text) => read(text),
            Self::Json(Value::Null) => read("null"),
            Self::Json(Value::Bool(true)) => read("true"),
            Self::Json(Value::Bool(false)) => read("false"),
            Self::Json(value) => {
                let mut short = Short {
                    bytes: [0; 40],
                    len: 0,
                };
                if value.is_number()
                    && write!(short, "{value}").is_ok()
                    && let Some(text) = short.text()
                {
                    return read(text);
                }
                read(&value.to_string())
            }
        }
    }

    /// As `exact` sees it where a filter asks for a boolean: `true`, the text "true", or a list of only those.
    pub(super) fn is_truthy(self) -> bool {
        match self {
            Self::Text(text) => text.eq_ignore_ascii_case("true"),
            Self::Json(Value::Bool(on)) => *on,
            Self::Json(Value::Array(all)) => all.iter().all(|one| Given::from(one).is_truthy()),
            Self::Json(_) => false,
        }
    }
}

/// A short text on the stack.
struct Short {
    bytes: [u8; 40],
    len: usize,
}

impl Short {
    fn text(&self) -> Option<&str> {
        str::from_utf8(self.bytes.get(..self.len)?).ok()
    }
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let room = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}
