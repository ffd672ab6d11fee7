//! The field names of callsites, worked out once: a record of such a callsite holds numbers for them.

use super::record::Slot;
use std::sync::OnceLock;
use tracing::Metadata;

/// What the fields of one callsite are for.
#[derive(Debug)]
pub(crate) struct CallsiteSchema {
    metadata: &'static Metadata<'static>,
    number: u16,
    names: Box<[Name]>,
    /// The number of the field that holds an event's text.
    message: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) slot: Slot,
    pub(crate) key: &'static str,
    /// Whether no other field of the callsite is for the same.
    pub(crate) unique: bool,
    /// `"key":`, escaped.
    pub(crate) json: Box<[u8]>,
    /// Its callsite, for those who warn of it.
    pub(crate) metadata: &'static Metadata<'static>,
}

/// How many callsites have numbers. Those beyond, or without a free place near their own, go by names.
const PLACES: usize = 1024;
const TRIES: usize = 8;

static SITES: [OnceLock<CallsiteSchema>; PLACES] = [const { OnceLock::new() }; PLACES];

/// A callsite's names; the same answer each time. The first time, `meaning` says what each field name
/// is for.
#[inline]
pub(crate) fn of(
    metadata: &'static Metadata<'static>,
    meaning: fn(&'static str) -> (Slot, &'static str),
) -> Option<&'static CallsiteSchema> {
    of_in(&SITES, metadata, meaning)
}

#[inline]
fn of_in(
    sites: &'static [OnceLock<CallsiteSchema>],
    metadata: &'static Metadata<'static>,
    meaning: fn(&'static str) -> (Slot, &'static str),
) -> Option<&'static CallsiteSchema> {
    // Its metadata lives as long as the process, so the address is its name.
    let address = std::ptr::from_ref(metadata).addr();
    let first = (address >> 4) ^ (address >> 14);
    (first..first + TRIES)
        .map(|place| {
            let place = place % sites.len();
            sites[place].get_or_init(|| CallsiteSchema::new(metadata, place as u16, meaning))
        })
        .find(|site| std::ptr::eq(site.metadata, metadata))
}

/// The callsite of that number.
pub(crate) fn site(number: u16) -> Option<&'static CallsiteSchema> {
    SITES.get(usize::from(number))?.get()
}

impl CallsiteSchema {
    #[cold]
    fn new(
        metadata: &'static Metadata<'static>,
        number: u16,
        meaning: fn(&'static str) -> (Slot, &'static str),
    ) -> Self {
        let meanings: Vec<_> = metadata
            .fields()
            .iter()
            .map(|f| meaning(f.name()))
            .map(|(slot, key)| (slot, without_nul(key)))
            .collect();
        let name = |&(slot, key): &(Slot, &'static str)| {
            let mut json = Vec::new();
            super::json::key(&mut json, key);
            Name {
                slot,
                key,
                unique: meanings.iter().filter(|m| **m == (slot, key)).count() == 1
                    // An error's sources go by such a name, without a number.
                    && !key.ends_with(".chain"),
                json: json.into(),
                metadata,
            }
        };
        Self {
            metadata,
            number,
            names: meanings.iter().map(name).collect(),
            message: metadata.fields().field("message").map(|f| f.index()),
        }
    }

    #[inline]
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    #[inline]
    pub(crate) fn message(&self) -> Option<usize> {
        self.message
    }

    #[inline]
    pub(crate) fn name(&self, number: u16) -> Option<&Name> {
        self.names.get(usize::from(number))
    }
}

/// A key without NUL characters, as it is sent. A callsite lives as long as the process, and so does its key.
fn without_nul(key: &'static str) -> &'static str {
    match key.contains('\0') {
        true => Box::leak(key.replace('\0', "\u{fffd}").into_boxed_str()),
        false => key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::record::{self, Key, Record, Val};

    fn meaning(name: &'static str) -> (Slot, &'static str) {
        match name.strip_prefix("set.") {
            Some(key) => (Slot::Set, key),
            None => (Slot::Property, name.trim_end_matches('_')),
        }
    }

    fn metadata_of(span: &tracing::Span) -> &'static Metadata<'static> {
        span.metadata().unwrap()
    }

    #[test]
    fn fields_by_number_read_like_fields_by_name() {
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let span = || tracing::info_span!("one", plan = 1, set.plan = 2, twice = 3, twice_ = 4);
            let metadata = metadata_of(&span());
            let here = of(metadata, meaning).unwrap();
            assert!(std::ptr::eq(
                of(metadata_of(&span()), meaning).unwrap(),
                here
            ));
            let other = tracing::info_span!("two");
            let elsewhere = of(metadata_of(&other), meaning).unwrap();
            assert_ne!(elsewhere.number(), here.number());

            let mut r = Record::over(Vec::new(), 999);
            r.site(here);
            for field in 0..4 {
                r.i64(Key::Numbered(field), field.into());
            }
            r.bool(Key::Named(Slot::Group, "level"), true);
            let got: Vec<_> = record::fields(r.bytes())
                .map(|f| (f.slot, f.key, f.value, f.name.map(|n| n.unique)))
                .collect();
            let want = [
                (Slot::Property, "plan", Val::I64(0), Some(true)),
                (Slot::Set, "plan", Val::I64(1), Some(true)),
                (Slot::Property, "twice", Val::I64(2), Some(false)),
                (Slot::Property, "twice", Val::I64(3), Some(false)),
                (Slot::Group, "level", Val::Bool(true), None),
            ];
            assert_eq!(got, want);
            let names = &site(here.number()).unwrap().names;
            assert_eq!(&*names[1].json, b"\"plan\":");
        });
    }

    #[test]
    fn where_there_are_no_places_left_names_are_used() {
        static FEW: [OnceLock<CallsiteSchema>; 2] = [const { OnceLock::new() }; 2];
        tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            let [a, b, c] = [
                tracing::info_span!("a"),
                tracing::info_span!("b"),
                tracing::info_span!("c"),
            ];
            let number = |span| Some(of_in(&FEW, metadata_of(span), meaning)?.number());
            let (first, second) = (number(&a), number(&b));
            assert!(first.is_some() && second.is_some() && first != second);
            assert_eq!(number(&c), None);
            assert_eq!(number(&a), first);
        });
        assert!(site(u16::MAX).is_none());
    }
}
