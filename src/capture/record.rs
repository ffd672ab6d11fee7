//! How an event crosses the queue: its fields in order, compact, in one run of bytes.
//!
//! A field is `slot, tag, key length, value length, key, value`. Fields of the event come first, then
//! a break, then those of the nearest span, a break, and so on outwards: whoever reads a record lets
//! the nearest value win, and within one segment the last.

use super::event::Event;
use serde_json::Value;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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
    /// The next fields are from further away.
    Break,
}

impl Slot {
    const ALL: [Self; 14] = [
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
        Self::Break,
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
}

impl Tag {
    const ALL: [Self; 8] = [
        Self::Null,
        Self::False,
        Self::True,
        Self::I64,
        Self::U64,
        Self::F64,
        Self::Str,
        Self::Json,
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
}

/// A field, as it stands in a record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) slot: Slot,
    pub(crate) key: &'a str,
    pub(crate) value: Val<'a>,
}

const HEADER: usize = 8;

/// Values nested deeper than this are not sent: PostHog refuses a whole batch for one JSON value
/// nested deeper than 128 levels, and ours stand a few levels deep themselves.
pub(crate) const MAX_DEPTH: usize = 64;

/// What stands in place of a value that is nested too deeply.
pub(crate) const TOO_DEEP: &str = "[nested deeper than 64 levels]";

/// A record being written. It stops growing at its limit and remembers that it was too small.
#[derive(Debug, Default)]
pub(crate) struct Record {
    bytes: Vec<u8>,
    overflow: bool,
    limit: usize,
}

impl Record {
    /// An empty record that holds up to `limit` bytes, over a buffer to be used again.
    pub(crate) fn over(mut buffer: Vec<u8>, limit: usize) -> Self {
        buffer.clear();
        Self {
            bytes: buffer,
            overflow: false,
            limit,
        }
    }

    /// Whether something did not fit.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflow
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    #[inline]
    fn put(&mut self, slot: Slot, key: &str, tag: Tag, value: &[u8]) {
        let key = clip(key);
        let size = HEADER + key.len() + value.len();
        if self.bytes.len() + size > self.limit {
            self.overflow = true;
            return;
        }
        self.bytes.reserve(size);
        self.bytes
            .extend_from_slice(&header(slot, tag, key.len(), value.len()));
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.extend_from_slice(value);
    }

    pub(crate) fn null(&mut self, slot: Slot, key: &str) {
        self.put(slot, key, Tag::Null, &[]);
    }

    pub(crate) fn bool(&mut self, slot: Slot, key: &str, value: bool) {
        self.put(slot, key, if value { Tag::True } else { Tag::False }, &[]);
    }

    pub(crate) fn i64(&mut self, slot: Slot, key: &str, value: i64) {
        self.put(slot, key, Tag::I64, &value.to_le_bytes());
    }

    pub(crate) fn u64(&mut self, slot: Slot, key: &str, value: u64) {
        self.put(slot, key, Tag::U64, &value.to_le_bytes());
    }

    /// JSON has no number that every reader takes for more than 64 bits: what does not fit is text.
    pub(crate) fn i128(&mut self, slot: Slot, key: &str, value: i128) {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.i64(slot, key, value),
            (_, Ok(value)) => self.u64(slot, key, value),
            _ => self.display(slot, key, &value),
        }
    }

    pub(crate) fn u128(&mut self, slot: Slot, key: &str, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.u64(slot, key, value),
            Err(_) => self.display(slot, key, &value),
        }
    }

    pub(crate) fn f64(&mut self, slot: Slot, key: &str, value: f64) {
        self.put(slot, key, Tag::F64, &value.to_le_bytes());
    }

    #[inline]
    pub(crate) fn str(&mut self, slot: Slot, key: &str, value: &str) {
        self.put(slot, key, Tag::Str, value.as_bytes());
    }

    fn display(&mut self, slot: Slot, key: &str, value: &dyn fmt::Display) {
        self.text(slot, key, |f| write!(f, "{value}"));
    }

    /// A string written piece by piece, as `Debug` and `Display` do.
    #[inline]
    pub(crate) fn text(
        &mut self,
        slot: Slot,
        key: &str,
        write: impl FnOnce(&mut Text<'_>) -> fmt::Result,
    ) {
        let Some(open) = self.open(slot, key) else {
            return;
        };
        // An error means that the text did not fit (noted already) or that the value gave up; then
        // what it had written stays.
        let _ = write(&mut Text(self));
        self.close(open);
    }

    /// Begins a string whose length is not known yet. [`close`](Self::close) it, or
    /// [`rewind`](Self::rewind) to take it back. `None`: not even its key fits.
    #[inline]
    pub(crate) fn open(&mut self, slot: Slot, key: &str) -> Option<Open> {
        let start = self.bytes.len();
        self.put(slot, key, Tag::Str, &[]);
        let value = self.bytes.len();
        (value > start).then(|| Open {
            start,
            value,
            overflow: std::mem::take(&mut self.overflow),
        })
    }

    /// Ends a string. One that did not fit is taken back: half an id would be somebody else's.
    #[inline]
    pub(crate) fn close(&mut self, open: Open) {
        if self.overflow {
            return self.rewind(open);
        }
        self.overflow = open.overflow;
        let len = (self.bytes.len() - open.value) as u32;
        if let Some(header) = self.bytes.get_mut(open.start + 4..open.start + HEADER) {
            header.copy_from_slice(&len.to_le_bytes());
        }
    }

    pub(crate) fn rewind(&mut self, open: Open) {
        self.bytes.truncate(open.start);
        self.overflow |= open.overflow;
    }

    #[inline]
    pub(crate) fn push_str(&mut self, s: &str) -> fmt::Result {
        // Once something was left out, a text may be without the header it belongs to.
        if self.overflow || self.bytes.len() + s.len() > self.limit {
            self.overflow = true;
            return Err(fmt::Error);
        }
        self.bytes.extend_from_slice(s.as_bytes());
        Ok(())
    }

    /// Fields that were encoded before, of the same segment.
    pub(crate) fn append(&mut self, encoded: &[u8]) {
        if self.bytes.len() + encoded.len() > self.limit {
            self.overflow = true;
            return;
        }
        self.bytes.extend_from_slice(encoded);
    }

    /// Fields that were encoded before, of a span further out.
    #[inline]
    pub(crate) fn outer_segment(&mut self, encoded: &[u8]) {
        if self.bytes.len() + HEADER + encoded.len() > self.limit {
            self.overflow = true;
            return;
        }
        self.put(Slot::Break, "", Tag::Null, &[]);
        self.bytes.extend_from_slice(encoded);
    }

    pub(crate) fn value(&mut self, slot: Slot, key: &str, value: &Value) {
        match value {
            Value::Null => self.null(slot, key),
            Value::Bool(b) => self.bool(slot, key, *b),
            Value::String(s) => self.str(slot, key, s),
            Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(n), _, _) => self.i64(slot, key, n),
                (_, Some(n), _) => self.u64(slot, key, n),
                (_, _, Some(n)) => self.f64(slot, key, n),
                _ => self.display(slot, key, n),
            },
            nested if deeper_than(nested, MAX_DEPTH) => self.str(slot, key, TOO_DEEP),
            // A tree of this depth, with string keys, always has its text.
            nested => match serde_json::to_vec(nested) {
                Ok(text) => self.put(slot, key, Tag::Json, &text),
                Err(_) => self.null(slot, key),
            },
        }
    }

    /// All of an event's fields, as one segment.
    pub(crate) fn event(&mut self, event: &Event) {
        self.str(Slot::Name, "", &event.name);
        if let Some(id) = &event.distinct_id {
            self.str(Slot::DistinctId, "", id);
        }
        if let Some(at) = event.timestamp {
            self.i64(Slot::Timestamp, "", millis(at));
        }
        if let Some(uuid) = event.uuid {
            let mut text = uuid::Uuid::encode_buffer();
            self.str(Slot::Uuid, "", uuid.hyphenated().encode_lower(&mut text));
        }
        for (slot, fields) in [
            (Slot::Property, &event.properties),
            (Slot::Group, &event.groups),
            (Slot::Set, &event.set),
            (Slot::SetOnce, &event.set_once),
        ] {
            for (key, value) in fields {
                self.value(slot, key, value);
            }
        }
    }
}

/// A string being written.
#[derive(Debug)]
pub(crate) struct Open {
    start: usize,
    value: usize,
    /// Whether something before it did not fit.
    overflow: bool,
}

/// Where a value's text goes.
pub(crate) struct Text<'a>(pub(crate) &'a mut Record);

impl fmt::Write for Text<'_> {
    #[inline]
    fn write_str(&mut self, s: &str) -> fmt::Result {
        self.0.push_str(s)
    }
}

impl Text<'_> {
    pub(crate) fn write_fmt(&mut self, args: fmt::Arguments<'_>) -> fmt::Result {
        fmt::Write::write_fmt(self, args)
    }
}

#[inline]
fn header(slot: Slot, tag: Tag, key: usize, value: usize) -> [u8; HEADER] {
    let (k, v) = ((key as u16).to_le_bytes(), (value as u32).to_le_bytes());
    [slot as u8, tag as u8, k[0], k[1], v[0], v[1], v[2], v[3]]
}

/// A key's length is kept in 16 bits.
#[inline]
fn clip(key: &str) -> &str {
    if key.len() <= u16::MAX as usize {
        return key;
    }
    let end = (0..=u16::MAX as usize)
        .rev()
        .find(|&i| key.is_char_boundary(i));
    &key[..end.unwrap_or(0)]
}

fn deeper_than(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return !matches!(value, Value::Array(a) if a.is_empty())
            && matches!(value, Value::Array(_) | Value::Object(_));
    };
    match value {
        Value::Array(items) => items.iter().any(|v| deeper_than(v, below)),
        Value::Object(fields) => fields.values().any(|v| deeper_than(v, below)),
        _ => false,
    }
}

/// Milliseconds since the epoch, as PostHog counts.
pub(crate) fn millis(at: SystemTime) -> i64 {
    let ms = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => ms(after),
        Err(before) => -ms(before.duration()),
    }
}

/// The fields of a record, in order. Bytes that make no field end it.
pub(crate) fn fields(record: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = record;
    std::iter::from_fn(move || {
        let (field, after) = read(rest)?;
        rest = after;
        Some(field)
    })
}

/// Splits the first field off.
pub(crate) fn read(record: &[u8]) -> Option<(Field<'_>, &[u8])> {
    let (&[slot, tag, k0, k1, v0, v1, v2, v3], rest) = record.split_first_chunk::<HEADER>()?;
    let (key, rest) = rest.split_at_checked(u16::from_le_bytes([k0, k1]) as usize)?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes([v0, v1, v2, v3]) as usize)?;
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let field = Field {
        slot: *Slot::ALL.get(slot as usize)?,
        key: text(key)?,
        value: match *Tag::ALL.get(tag as usize)? {
            Tag::Null => Val::Null,
            Tag::False => Val::Bool(false),
            Tag::True => Val::Bool(true),
            Tag::I64 => Val::I64(i64::from_le_bytes(value.try_into().ok()?)),
            Tag::U64 => Val::U64(u64::from_le_bytes(value.try_into().ok()?)),
            Tag::F64 => Val::F64(f64::from_le_bytes(value.try_into().ok()?)),
            Tag::Str => Val::Str(text(value)?),
            Tag::Json => Val::Json(text(value)?),
        },
    };
    Some((field, rest))
}

/// Merges `newer` into the segment `older`: a field recorded again replaces the one before.
pub(crate) fn merge(older: &[u8], newer: &[u8]) -> Vec<u8> {
    let mut merged = Vec::with_capacity(older.len() + newer.len());
    let mut rest = older;
    while let Some((field, after)) = read(rest) {
        let replaced = fields(newer).any(|n| n.slot == field.slot && n.key == field.key);
        if !replaced {
            merged.extend_from_slice(&rest[..rest.len() - after.len()]);
        }
        rest = after;
    }
    merged.extend_from_slice(newer);
    merged
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

    #[test]
    fn what_does_not_fit_is_left_out_and_remembered() {
        let mut r = Record::over(Vec::new(), 64);
        r.str(Slot::Property, "a", "fits");
        r.text(Slot::Property, "b", |f| write!(f, "{}", "x".repeat(100)));
        assert!(r.overflowed());
        assert!(r.bytes().len() <= 64);
        assert_eq!(fields(r.bytes()).next().unwrap().value, Val::Str("fits"));
    }

    #[test]
    fn a_value_recorded_again_replaces_the_one_before() {
        let (mut older, mut newer) = (Record::over(vec![], 999), Record::over(vec![], 999));
        older.i64(Slot::Property, "a", 1);
        older.i64(Slot::Set, "a", 2);
        newer.i64(Slot::Property, "a", 3);
        let merged = merge(older.bytes(), newer.bytes());
        let got: Vec<_> = fields(&merged).map(|f| (f.slot, f.value)).collect();
        assert_eq!(
            got,
            [(Slot::Set, Val::I64(2)), (Slot::Property, Val::I64(3))]
        );
    }

    #[test]
    fn deep_values_are_found_without_recursing_into_them() {
        let nest = |n| (0..n).fold(Value::Bool(true), |v, _| Value::Array(vec![v]));
        assert!(!deeper_than(&nest(MAX_DEPTH), MAX_DEPTH));
        assert!(deeper_than(&nest(MAX_DEPTH + 1), MAX_DEPTH));
        assert!(deeper_than(&nest(5_000), MAX_DEPTH));
    }

    proptest! {
        #[test]
        fn what_goes_in_comes_out(key in "\\PC{0,20}", s in "\\PC*", i: i64, u: u64, f: f64, b: bool, w: i128) {
            let mut r = Record::over(Vec::new(), usize::MAX);
            r.str(Slot::Property, &key, &s);
            r.i64(Slot::Group, &key, i);
            r.u64(Slot::Set, "u", u);
            r.f64(Slot::SetOnce, "f", f);
            r.bool(Slot::GeoipDisable, "", b);
            r.i128(Slot::Property, "w", w);
            r.null(Slot::Property, "n");
            let got: Vec<_> = fields(r.bytes()).collect();
            prop_assert_eq!(got.len(), 7);
            prop_assert_eq!(got[0], Field { slot: Slot::Property, key: &key, value: Val::Str(&s) });
            prop_assert_eq!(got[1], Field { slot: Slot::Group, key: &key, value: Val::I64(i) });
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
