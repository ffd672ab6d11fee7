//! Records being written.

use super::{HEADER, Key, MAX_DEPTH, Slot, TOO_DEEP, Tag, header, joined, millis};
use crate::event::Event;
use crate::event::callsite::CallsiteSchema;
use serde_json::Value;
use std::fmt;

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
    pub(crate) fn site(&mut self, site: &CallsiteSchema) {
        self.field(
            header(Slot::CallsiteSchema, Tag::Null, site.number(), 0),
            "",
            &[],
        );
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

    /// Writes text unless it does not fit: it is not worth the record.
    pub(crate) fn remark(&mut self, slot: Slot, text: &str) {
        let (end, overflow) = (self.bytes.len(), self.overflow);
        self.str(Key::Named(slot, ""), text);
        if self.overflow != overflow {
            self.bytes.truncate(end);
            self.overflow = overflow;
        }
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

    #[cfg(feature = "errors")]
    pub(crate) fn bytes_of(&mut self, key: Key<'_>, value: &[u8]) {
        self.put(key, Tag::Bytes, value);
    }

    /// Writes text that is JSON unless it does not fit: it is not worth the record.
    #[cfg(feature = "errors")]
    pub(crate) fn json_if_it_fits(&mut self, key: Key<'_>, json: &str) {
        let (end, overflow) = (self.bytes.len(), self.overflow);
        self.put(key, Tag::Json, json.as_bytes());
        if self.overflow != overflow {
            self.bytes.truncate(end);
            self.overflow = overflow;
        }
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
        self.open_as(key, Tag::Str)
    }

    /// The same for text of that type.
    #[inline]
    pub(super) fn open_as(&mut self, key: Key<'_>, tag: Tag) -> Option<Open> {
        let start = self.bytes.len();
        self.put(key, tag, &[]);
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

    /// Lets what follows give way to what is there.
    pub(crate) fn begin_segment(&mut self) {
        self.outer_segment(&[], None);
    }

    /// Fields that were encoded before, of a span further out; `site` is what numbers there refer to.
    #[inline]
    pub(crate) fn outer_segment(&mut self, encoded: &[u8], site: Option<&CallsiteSchema>) {
        let far = header(Slot::Break, Tag::Null, 0, 0);
        match site {
            None => self.field(far, "", encoded),
            Some(site) => {
                let near = header(Slot::CallsiteSchema, Tag::Null, site.number(), 0);
                self.field(joined(far, near), "", encoded);
            }
        }
    }

    /// The same, without growing the buffer: for callers that hold a lock. False: there is no room, and nothing was
    /// written. What is beyond the limit counts as written, as everywhere.
    #[inline]
    pub(crate) fn outer_segment_in_place(
        &mut self,
        encoded: &[u8],
        site: Option<&CallsiteSchema>,
    ) -> bool {
        if encoded.is_empty() {
            return true;
        }
        let headers = if site.is_some() { 2 * HEADER } else { HEADER };
        let wanted = self.bytes.len() + headers + encoded.len();
        if wanted > self.bytes.capacity() && wanted <= self.limit {
            return false;
        }
        self.outer_segment(encoded, site);
        true
    }

    /// Where the record ends now, for [`cut_back_and_grow`](Self::cut_back_and_grow).
    #[inline]
    pub(crate) fn end(&self) -> End {
        End {
            bytes: self.bytes.len(),
            overflow: self.overflow,
        }
    }

    /// Forgets what was written since.
    #[cfg(feature = "errors")]
    pub(crate) fn cut_back(&mut self, end: End) {
        self.bytes.truncate(end.bytes);
        self.overflow = end.overflow;
    }

    /// What was written since.
    #[cfg(feature = "errors")]
    pub(crate) fn since(&self, end: End) -> &[u8] {
        self.bytes.get(end.bytes..).unwrap_or_default()
    }

    /// Forgets what was written since, and makes more room for it.
    #[cold]
    pub(crate) fn cut_back_and_grow(&mut self, end: End) {
        self.bytes.truncate(end.bytes);
        self.overflow = end.overflow;
        self.bytes.reserve(2 * self.bytes.capacity().max(512));
    }

    pub(crate) fn value(&mut self, key: Key<'_>, value: &Value) {
        match value {
            Value::Null => self.null(key),
            Value::Bool(b) => self.bool(key, *b),
            Value::String(s) => self.str(key, s),
            Value::Number(n) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(n), _, _) => self.i64(key, n),
                (_, Some(n), _) => self.u64(key, n),
                (_, _, Some(float)) if n.is_f64() => self.f64(key, float),
                // With `serde_json`'s feature `arbitrary_precision` there are such.
                _ => self.display(key, n),
            },
            nested => {
                let mut endless = false;
                if deeper_than(nested, MAX_DEPTH, &mut endless) {
                    return self.str(key, TOO_DEEP);
                }
                let text = match endless {
                    false => serde_json::to_vec(nested),
                    true => serde_json::to_vec(&without_endless(nested.clone())),
                };
                // A tree of this depth, with string keys, always has its text.
                match text {
                    Ok(text) => self.put(key, Tag::Json, &text),
                    Err(_) => self.null(key),
                }
            }
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

/// A place in a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    bytes: usize,
    overflow: bool,
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

/// Whether it is nested more deeply. Where not, also whether a number in it is too large for PostHog to read:
/// with its feature `arbitrary_precision`, which any crate of a build can turn on, `serde_json` holds such.
fn deeper_than(value: &Value, levels: usize, endless: &mut bool) -> bool {
    match (value, levels.checked_sub(1)) {
        (Value::Number(n), _) => {
            *endless |= n.as_f64().is_none();
            false
        }
        (Value::Array(items), None) => !items.is_empty(),
        (Value::Object(_), None) => true,
        (Value::Array(items), Some(below)) => items.iter().any(|v| deeper_than(v, below, endless)),
        (Value::Object(fields), Some(below)) => {
            fields.values().any(|v| deeper_than(v, below, endless))
        }
        _ => false,
    }
}

/// The value with texts for such numbers.
fn without_endless(value: Value) -> Value {
    match value {
        Value::Number(n) if n.as_f64().is_none() => n.to_string().into(),
        Value::Array(items) => items.into_iter().map(without_endless).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key, without_endless(value)))
            .collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Val, fields};
    use super::*;

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
    fn deep_values_are_found_without_recursing_into_them() {
        let nest = |n| (0..n).fold(Value::Bool(true), |v, _| Value::Array(vec![v]));
        let deep = |levels| deeper_than(&nest(levels), MAX_DEPTH, &mut false);
        assert!(!deep(MAX_DEPTH));
        assert!(deep(MAX_DEPTH + 1));
        assert!(deep(5_000));
    }

    /// Sees something only by `cargo test --lib --features serde_json/arbitrary_precision`.
    #[test]
    fn nested_numbers_that_posthog_cannot_read_are_text() {
        let text = r#"{"a":[1e400,1.5,[-1E+999]],"b":12345678901234567890123}"#;
        let Ok(value) = serde_json::from_str::<Value>(text) else {
            return;
        };
        let mut r = Record::over(Vec::new(), 999);
        r.value(Key::Named(Slot::Property, "p"), &value);
        let field = fields(r.bytes()).next().unwrap();
        let want = r#"{"a":["1e+400",1.5,["-1e+999"]],"b":12345678901234567890123}"#;
        assert_eq!(field.value, Val::Json(want));
    }
}
