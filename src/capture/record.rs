//! How an event crosses the queue: its fields in order, compact, in one run of bytes.
//!
//! A field is `slot, tag, key length, value length, key, value`. Fields of the event come first, then
//! a break, then those of the nearest span, a break, and so on outwards: whoever reads a record lets
//! the nearest value win, and within one segment the last.
//!
//! The fields of a known callsite, event or span, stand behind its number, first in their segment. They
//! have no key: what would be its length is the number of the field in the callsite.

use super::event::Event;
use super::sites::{self, Name, Site};
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
    /// Fields of a span were left out.
    Cut,
    /// The next fields are from further away.
    Break,
    /// The callsite whose field numbers follow.
    Site,
    /// A field of that callsite.
    Numbered,
}

impl Slot {
    const ALL: [Self; 17] = [
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
        Self::Break,
        Self::Site,
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

    /// Begins a segment of a callsite, whose fields go by number.
    #[inline]
    pub(crate) fn site(&mut self, site: &Site) {
        self.field(header(Slot::Site, Tag::Null, site.number(), 0), "", &[]);
    }

    #[inline(always)]
    fn put(&mut self, key: Key<'_>, tag: Tag, value: &[u8]) {
        match key {
            Key::Numbered(n) => {
                self.field(header(Slot::Numbered, tag, n, value.len()), "", value);
            }
            Key::Named(slot, name) => {
                let name = clip(name);
                let header = header(slot, tag, name.len() as u16, value.len());
                self.field(header, name, value);
            }
        }
    }

    #[inline(always)]
    fn number(&mut self, key: Key<'_>, tag: Tag, value: [u8; 8]) {
        match key {
            // In one piece: the most frequent of all.
            Key::Numbered(n) => {
                self.field(joined(header(Slot::Numbered, tag, n, 8), value), "", &[]);
            }
            Key::Named(..) => self.put(key, tag, &value),
        }
    }

    #[inline(always)]
    fn field<const N: usize>(&mut self, header: [u8; N], name: &str, value: &[u8]) {
        if self.bytes.len() + N + name.len() + value.len() > self.limit {
            self.overflow = true;
            return;
        }
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(value);
    }

    /// Says in the record itself that fields of it were left out.
    pub(crate) fn mark_cut(&mut self) {
        self.limit += HEADER;
        self.put(Key::Named(Slot::Cut, ""), Tag::Null, &[]);
    }

    pub(crate) fn null(&mut self, key: Key<'_>) {
        self.put(key, Tag::Null, &[]);
    }

    #[inline]
    pub(crate) fn bool(&mut self, key: Key<'_>, value: bool) {
        self.put(key, if value { Tag::True } else { Tag::False }, &[]);
    }

    #[inline]
    pub(crate) fn i64(&mut self, key: Key<'_>, value: i64) {
        self.number(key, Tag::I64, value.to_le_bytes());
    }

    #[inline]
    pub(crate) fn u64(&mut self, key: Key<'_>, value: u64) {
        self.number(key, Tag::U64, value.to_le_bytes());
    }

    /// JSON has no number that every reader takes for more than 64 bits: what does not fit is text.
    pub(crate) fn i128(&mut self, key: Key<'_>, value: i128) {
        match (i64::try_from(value), u64::try_from(value)) {
            (Ok(value), _) => self.i64(key, value),
            (_, Ok(value)) => self.u64(key, value),
            _ => self.display(key, &value),
        }
    }

    pub(crate) fn u128(&mut self, key: Key<'_>, value: u128) {
        match u64::try_from(value) {
            Ok(value) => self.u64(key, value),
            Err(_) => self.display(key, &value),
        }
    }

    #[inline]
    pub(crate) fn f64(&mut self, key: Key<'_>, value: f64) {
        self.number(key, Tag::F64, value.to_le_bytes());
    }

    #[inline]
    pub(crate) fn str(&mut self, key: Key<'_>, value: &str) {
        self.put(key, Tag::Str, value.as_bytes());
    }

    fn display(&mut self, key: Key<'_>, value: &dyn fmt::Display) {
        self.text(key, |f| write!(f, "{value}"));
    }

    /// A string written piece by piece, as `Debug` and `Display` do.
    #[inline]
    pub(crate) fn text(&mut self, key: Key<'_>, write: impl FnOnce(&mut Text<'_>) -> fmt::Result) {
        let Some(open) = self.open(key) else {
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
    pub(crate) fn open(&mut self, key: Key<'_>) -> Option<Open> {
        let start = self.bytes.len();
        self.put(key, Tag::Str, &[]);
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
    #[inline]
    pub(crate) fn append(&mut self, encoded: &[u8]) {
        if self.bytes.len() + encoded.len() > self.limit {
            self.overflow = true;
            return;
        }
        self.bytes.extend_from_slice(encoded);
    }

    /// Fields that were encoded before, of a span further out; `site` is what numbers there refer to.
    #[inline]
    pub(crate) fn outer_segment(&mut self, encoded: &[u8], site: Option<&Site>) {
        let far = header(Slot::Break, Tag::Null, 0, 0);
        match site {
            None => self.field(far, "", encoded),
            Some(site) => {
                let near = header(Slot::Site, Tag::Null, site.number(), 0);
                self.field(joined(far, near), "", encoded);
            }
        }
    }

    pub(crate) fn value(&mut self, key: Key<'_>, value: &Value) {
        match value {
            Value::Null => self.null(key),
            Value::Bool(b) => self.bool(key, *b),
            Value::String(s) => self.str(key, s),
            Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(n), _, _) => self.i64(key, n),
                (_, Some(n), _) => self.u64(key, n),
                (_, _, Some(n)) => self.f64(key, n),
                _ => self.display(key, n),
            },
            nested if deeper_than(nested, MAX_DEPTH) => self.str(key, TOO_DEEP),
            // A tree of this depth, with string keys, always has its text.
            nested => match serde_json::to_vec(nested) {
                Ok(text) => self.put(key, Tag::Json, &text),
                Err(_) => self.null(key),
            },
        }
    }

    /// All of an event's fields, as one segment.
    pub(crate) fn event(&mut self, event: &Event) {
        self.str(Key::Named(Slot::Name, ""), &event.name);
        if let Some(id) = &event.distinct_id {
            self.str(Key::Named(Slot::DistinctId, ""), id);
        }
        if let Some(at) = event.timestamp {
            self.i64(Key::Named(Slot::Timestamp, ""), millis(at));
        }
        if let Some(uuid) = event.uuid {
            let mut text = uuid::Uuid::encode_buffer();
            self.str(
                Key::Named(Slot::Uuid, ""),
                uuid.hyphenated().encode_lower(&mut text),
            );
        }
        for (slot, fields) in [
            (Slot::Property, &event.properties),
            (Slot::Group, &event.groups),
            (Slot::Set, &event.set),
            (Slot::SetOnce, &event.set_once),
        ] {
            for (key, value) in fields {
                self.value(Key::Named(slot, key), value);
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

/// The fields of a record, in order. Bytes that make no field end it.
pub(crate) fn fields(record: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = record;
    let mut site = None;
    std::iter::from_fn(move || {
        if let Some((&[slot, _, n0, n1, ..], after)) = rest.split_first_chunk::<HEADER>()
            && slot == Slot::Site as u8
        {
            site = sites::site(u16::from_le_bytes([n0, n1]));
            rest = after;
        }
        let (field, after) = read_of(rest, site)?;
        rest = after;
        Some(field)
    })
}

/// Splits the first field off, of a segment without its beginning: `site` is what numbers refer to.
#[inline]
fn read_of<'a>(record: &'a [u8], site: Option<&'static Site>) -> Option<(Field<'a>, &'a [u8])> {
    let (&[slot, tag, k0, k1, v0, v1, v2, v3], rest) = record.split_first_chunk::<HEADER>()?;
    let (slot, number) = (*Slot::ALL.get(slot as usize)?, u16::from_le_bytes([k0, k1]));
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let (slot, key, name, rest) = if slot == Slot::Numbered {
        let name = site?.name(number)?;
        (name.slot, name.key, Some(name), rest)
    } else {
        let (key, rest) = rest.split_at_checked(number.into())?;
        (slot, text(key)?, None, rest)
    };
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes([v0, v1, v2, v3]) as usize)?;
    let field = Field {
        slot,
        key,
        name,
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

/// The fields of a segment without its beginning, each with its bytes; `site` is what numbers refer to.
pub(crate) fn each<'a>(
    segment: &'a [u8],
    site: Option<&'static Site>,
) -> impl Iterator<Item = (Field<'a>, &'a [u8])> {
    let mut rest = segment;
    std::iter::from_fn(move || {
        let (field, after) = read_of(rest, site)?;
        let bytes = &rest[..rest.len() - after.len()];
        rest = after;
        Some((field, bytes))
    })
}

/// Merges `newer` into `older`, both fields of one span: one that is recorded again replaces the one
/// before.
pub(crate) fn merge(older: &[u8], newer: &[u8], site: Option<&'static Site>) -> Vec<u8> {
    let mut merged = Vec::with_capacity(older.len() + newer.len());
    for (field, bytes) in each(older, site) {
        let replaced = each(newer, site).any(|(n, _)| n.slot == field.slot && n.key == field.key);
        if !replaced {
            merged.extend_from_slice(bytes);
        }
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
        r.str(Key::Named(Slot::Property, "a"), "fits");
        r.text(Key::Named(Slot::Property, "b"), |f| {
            write!(f, "{}", "x".repeat(100))
        });
        assert!(r.overflowed());
        assert!(r.bytes().len() <= 64);
        assert_eq!(fields(r.bytes()).next().unwrap().value, Val::Str("fits"));
    }

    #[test]
    fn a_value_recorded_again_replaces_the_one_before() {
        let (mut older, mut newer) = (Record::over(vec![], 999), Record::over(vec![], 999));
        older.i64(Key::Named(Slot::Property, "a"), 1);
        older.i64(Key::Named(Slot::Set, "a"), 2);
        newer.i64(Key::Named(Slot::Property, "a"), 3);
        let merged = merge(older.bytes(), newer.bytes(), None);
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
