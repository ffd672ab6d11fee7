//! Records being read.

use super::{CHAIN, Field, HEADER, Slot, Tag, Val};
use crate::event::callsite::{self, CallsiteSchema};

/// The fields of a record, in order. Bytes that make no field end it.
pub(crate) fn fields(record: &[u8]) -> Fields<'_> {
    Fields {
        rest: record,
        site: None,
    }
}

/// The fields of a record that are not read yet.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
    site: Option<&'static CallsiteSchema>,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    // Always inlined, with all that it calls: the processor waits for each field that is handed back in memory.
    #[inline(always)]
    fn next(&mut self) -> Option<Field<'a>> {
        if let Some((&[slot, _, n0, n1, ..], after)) = self.rest.split_first_chunk::<HEADER>()
            && slot == Slot::CallsiteSchema as u8
        {
            self.site = callsite::site(u16::from_le_bytes([n0, n1]));
            self.rest = after;
        }
        let (field, after) = read_of(self.rest, self.site)?;
        self.rest = after;
        Some(field)
    }
}

/// Whether the first fields are of a callsite, and go by numbers.
#[inline]
pub(crate) fn begins_with_site(record: &[u8]) -> bool {
    record.first() == Some(&(Slot::CallsiteSchema as u8))
}

/// Splits the first field off, of a segment without its beginning: `site` is what numbers refer to.
#[inline(always)]
fn read_of<'a>(
    record: &'a [u8],
    site: Option<&'static CallsiteSchema>,
) -> Option<(Field<'a>, &'a [u8])> {
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
            Tag::Bytes => Val::Bytes(value),
        },
    };
    Some((field, rest))
}

/// The fields of a segment without its beginning, each with its bytes; `site` is what numbers refer to.
pub(crate) fn each<'a>(
    segment: &'a [u8],
    site: Option<&'static CallsiteSchema>,
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
/// before, and an error the sources of the one before.
pub(crate) fn merge(older: &[u8], newer: &[u8], site: Option<&'static CallsiteSchema>) -> Vec<u8> {
    let mut merged = Vec::with_capacity(older.len() + newer.len());
    let same = |one: &Field<'_>, other: &Field<'_>| one.slot == other.slot && one.key == other.key;
    for (field, bytes) in each(older, site) {
        let error = match field.slot {
            Slot::Property if field.name.is_none() => field.key.strip_suffix(CHAIN),
            _ => None,
        };
        let replaced = each(newer, site).any(|(n, _)| {
            same(&n, &field) || (n.slot == field.slot && error.is_some_and(|key| n.key == key))
        });
        if !replaced {
            merged.extend_from_slice(bytes);
        }
    }
    let mut rest = newer;
    for (field, bytes) in each(newer, site) {
        rest = rest.get(bytes.len()..).unwrap_or_default();
        if !each(rest, site).any(|(later, _)| same(&later, &field)) {
            merged.extend_from_slice(bytes);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::super::{Key, Record};
    use super::*;

    #[test]
    fn a_chain_that_is_none_of_an_error_stays() {
        let (mut older, mut newer) = (Record::over(vec![], 999), Record::over(vec![], 999));
        older.str(Key::Named(Slot::Group, "a.chain"), "x");
        newer.str(Key::Named(Slot::Group, "a"), "y");
        let merged = merge(older.bytes(), newer.bytes(), None);
        assert_eq!(fields(&merged).count(), 2);
    }

    #[test]
    fn a_value_recorded_again_replaces_the_one_before() {
        let (mut older, mut newer) = (Record::over(vec![], 999), Record::over(vec![], 999));
        older.i64(Key::Named(Slot::Property, "a"), 1);
        older.i64(Key::Named(Slot::Set, "a"), 2);
        newer.i64(Key::Named(Slot::Property, "a"), 5);
        newer.i64(Key::Named(Slot::Property, "a"), 3);
        let merged = merge(older.bytes(), newer.bytes(), None);
        let got: Vec<_> = fields(&merged).map(|f| (f.slot, f.value)).collect();
        assert_eq!(
            got,
            [(Slot::Set, Val::I64(2)), (Slot::Property, Val::I64(3))]
        );
    }
}
