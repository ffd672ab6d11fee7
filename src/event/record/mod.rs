//! How an event crosses the queue: its fields in order, compact, in one run of bytes.
//!
//! ```text
//!  layer, `Event` ──[write]──► record ──► queue ──► record ──[read]──► `capture::encode`
//!
//!  record:  fields of the event │ break │ fields of the callsite │ break │ nearest span │ break │ next span outwards …
//!  field:   slot (1 byte), tag (1), key length (2), value length (4), key, value
//! ```
//!
//! - A *slot* says what a field is for (a property, a group, the distinct id, …), a *tag* which type its value has.
//! - A *segment* is a run of fields between two breaks. The nearest segment comes first: whoever reads a record lets the
//!   nearest value of each name win, and within one segment the last.
//! - The fields of a known callsite, of an event or a span, stand behind the callsite's number, first in their segment.
//!   They have no key: their key length is the number of the field in the callsite ([`callsite`](super::callsite)).
//!   So names are neither copied by callers nor escaped by the actor.
//! - [`write`](mod@write) appends fields up to a limit in bytes, [`texts`] a list of texts. [`read`] gives them back, and
//!   merges what a span records later.
//!
//! Times are not part of a record: the queue keeps the time of capture beside it.
//!
//! Invariants:
//! - A record never exceeds its limit and never holds a part of a field. What does not fit is left out, and the record
//!   remembers that it was too small.
//! - Text is UTF-8, and JSON values are valid and nested at most [`MAX_DEPTH`] levels.
//! - Any bytes can be read without a panic; bytes that make no field end the record.
//! - A record never leaves the process: callsite numbers mean nothing elsewhere. Files and requests hold JSON.

#[cfg_attr(not(feature = "errors"), allow(dead_code))]
pub(crate) mod exception;
mod read;
mod texts;
mod write;

use super::callsite::Name;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub(crate) use read::{begins_with_site, each, fields, merge};
pub(crate) use texts::Texts;
#[cfg(feature = "errors")]
pub(crate) use write::End;
pub(crate) use write::{Record, Text};

/// What a field is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Slot {
    Property,
    Group,
    Set,
    SetOnce,
    Name,
    DistinctId,
    SessionId,
    Timestamp,
    Uuid,
    ProcessPersonProfile,
    GeoipDisable,
    /// A JSON object whose entries become properties.
    Properties,
    /// A `posthog.*` name that means nothing; kept to be reported.
    Unknown,
    /// Fields of a span were left out.
    Cut,
    /// Names a span whose fields are ignored because of its level.
    TooVerbose,
    /// The event is to be sent in its short form.
    Minimal,
    /// A part of an exception; its key says which ([`exception`]).
    Exception,
    /// The next fields are from further away.
    Break,
    /// The callsite whose field numbers follow.
    CallsiteSchema,
    /// A field of that callsite.
    Numbered,
}

impl Slot {
    const ALL: [Self; 20] = [
        Self::Property,
        Self::Group,
        Self::Set,
        Self::SetOnce,
        Self::Name,
        Self::DistinctId,
        Self::SessionId,
        Self::Timestamp,
        Self::Uuid,
        Self::ProcessPersonProfile,
        Self::GeoipDisable,
        Self::Properties,
        Self::Unknown,
        Self::Cut,
        Self::TooVerbose,
        Self::Minimal,
        Self::Exception,
        Self::Break,
        Self::CallsiteSchema,
        Self::Numbered,
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Tag {
    Null,
    False,
    True,
    I64,
    U64,
    F64,
    Str,
    Json,
    Bytes,
}

impl Tag {
    const ALL: [Self; 9] = [
        Self::Null,
        Self::False,
        Self::True,
        Self::I64,
        Self::U64,
        Self::F64,
        Self::Str,
        Self::Json,
        Self::Bytes,
    ];
}

/// A field's value, as it stands in a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Val<'a> {
    Null,
    Bool(bool),
    I64(i64),
    U64(u64),
    F64(f64),
    Str(&'a str),
    /// JSON text, known to be valid.
    Json(&'a str),
    /// For readers within the process; no property has such a value.
    Bytes(&'a [u8]),
}

impl Val<'_> {
    /// What a field of ours says that is a bool: also as a number or a text.
    pub(crate) fn as_bool(self) -> Option<bool> {
        match self {
            Self::Bool(b) => Some(b),
            Self::I64(n) => Some(n != 0),
            Self::U64(n) => Some(n != 0),
            Self::Str(s) => match s.trim() {
                "true" | "1" => Some(true),
                "false" | "0" => Some(false),
                _ => None,
            },
            _ => None,
        }
    }

    pub(crate) fn to_text(self) -> String {
        match self {
            Self::Null => String::new(),
            Self::Bool(b) => b.to_string(),
            Self::I64(n) => n.to_string(),
            Self::U64(n) => n.to_string(),
            Self::F64(n) => n.to_string(),
            Self::Str(s) | Self::Json(s) => s.to_owned(),
            Self::Bytes(_) => String::new(),
        }
    }
}

/// A field, as it stands in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) slot: Slot,
    pub(crate) key: &'a str,
    pub(crate) value: Val<'a>,
    /// Where it goes by number: the name.
    pub(crate) name: Option<&'static Name>,
}

/// How a field that is written is called.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key<'a> {
    Named(Slot, &'a str),
    /// By its number in the callsite that the segment began with.
    Numbered(u16),
}

const HEADER: usize = 8;

/// Values nested deeper than this are not sent: PostHog refuses a whole batch for one JSON value
/// nested deeper than 128 levels, and ours stand a few levels deep themselves.
pub(crate) const MAX_DEPTH: usize = 64;

/// What the name of an error's sources ends in, after the name of the error.
pub(crate) const CHAIN: &str = ".chain";

/// What stands in place of a value that is nested too deeply.
pub(crate) const TOO_DEEP: &str = "[nested deeper than 64 levels]";

#[inline]
fn header(slot: Slot, tag: Tag, key: u16, value: usize) -> [u8; HEADER] {
    let (k, v) = (key.to_le_bytes(), (value as u32).to_le_bytes());
    [slot as u8, tag as u8, k[0], k[1], v[0], v[1], v[2], v[3]]
}

#[inline]
fn joined(first: [u8; 8], second: [u8; 8]) -> [u8; 16] {
    let mut both = [0; 16];
    both[..8].copy_from_slice(&first);
    both[8..].copy_from_slice(&second);
    both
}

/// Milliseconds since the epoch, as PostHog counts.
pub(crate) fn millis(at: SystemTime) -> i64 {
    // Not `as_millis`, which counts in 128 bits.
    let ms = |d: Duration| {
        let ms = d
            .as_secs()
            .saturating_mul(1000)
            .saturating_add(d.subsec_millis().into());
        i64::try_from(ms).unwrap_or(i64::MAX)
    };
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => ms(after),
        Err(before) => -ms(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slots_and_tags_stand_at_their_own_numbers() {
        for (n, slot) in Slot::ALL.iter().enumerate() {
            assert_eq!(*slot as usize, n);
        }
        for (n, tag) in Tag::ALL.iter().enumerate() {
            assert_eq!(*tag as usize, n);
        }
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(key in "\\PC{0,20}", s in "\\PC*", i: i64, u: u64, f: f64, b: bool, w: i128) {
            let mut r = Record::over(Vec::new(), usize::MAX);
            r.str(Key::Named(Slot::Property, &key), &s);
            r.i64(Key::Named(Slot::Group, &key), i);
            r.u64(Key::Named(Slot::Set, "u"), u);
            r.f64(Key::Named(Slot::SetOnce, "f"), f);
            r.bool(Key::Named(Slot::GeoipDisable, ""), b);
            r.i128(Key::Named(Slot::Property, "w"), w);
            r.null(Key::Named(Slot::Property, "n"));
            let got: Vec<_> = fields(r.bytes()).collect();
            prop_assert_eq!(got.len(), 7);
            prop_assert_eq!((got[0].slot, got[0].key, got[0].value), (Slot::Property, &*key, Val::Str(&s)));
            prop_assert_eq!((got[1].slot, got[1].key, got[1].value), (Slot::Group, &*key, Val::I64(i)));
            prop_assert_eq!(got[2].value, Val::U64(u));
            prop_assert!(matches!(got[3].value, Val::F64(g) if g.to_bits() == f.to_bits()));
            prop_assert_eq!(got[4].value, Val::Bool(b));
            let text = w.to_string();
            let same = match got[5].value {
                Val::I64(x) => i128::from(x) == w,
                Val::U64(x) => i128::from(x) == w,
                Val::Str(x) => x == text,
                _ => false,
            };
            prop_assert!(same);
            prop_assert_eq!(got[6].value, Val::Null);
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = fields(&bytes).count();
        }
    }
}
