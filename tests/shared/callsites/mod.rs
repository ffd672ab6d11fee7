//! Events whose fields have names that no macro was given: callsites made at run time.
#![allow(dead_code, unreachable_pub)]

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};
use tracing::callsite::Identifier;
use tracing::field::{Empty, Field, FieldSet, Value};
use tracing::metadata::{Kind, Metadata};
use tracing::subscriber::Interest;
use tracing::{Callsite, Event, Level};

/// As many fields as one event here has at most, its name included.
pub const FIELDS: usize = 8;

/// What a field of such an event holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Held {
    Bool(bool),
    I64(i64),
    U64(u64),
    I128(i128),
    F64(f64),
    Text(String),
    Debug(String),
    Display(String),
    Bytes(Vec<u8>),
    Nothing,
}

impl Held {
    fn with<R>(&self, f: impl FnOnce(&dyn Value) -> R) -> R {
        match self {
            Self::Bool(v) => f(v),
            Self::I64(v) => f(v),
            Self::U64(v) => f(v),
            Self::I128(v) => f(v),
            Self::F64(v) => f(v),
            Self::Text(v) => f(v),
            Self::Debug(v) => f(&tracing::field::debug(v)),
            Self::Display(v) => f(&tracing::field::display(v)),
            Self::Bytes(v) => f(&v.as_slice()),
            Self::Nothing => f(&Empty),
        }
    }
}

/// Emits an event with `posthog.event = "e"` and these fields; more than fit are left out.
pub fn emit(fields: &[(String, Held)]) {
    let fields = &fields[..fields.len().min(FIELDS - 1)];
    let mut names = vec!["posthog.event".to_owned()];
    names.extend(fields.iter().map(|(name, _)| name.clone()));
    let metadata = callsite(names);
    let keys: Vec<Field> = metadata.fields().iter().collect();
    with_values(&keys, fields, &mut vec![(&keys[0], &"e")], metadata);
}

/// Values borrow what they show, so each is held by a call of its own.
fn with_values<'a>(
    keys: &'a [Field],
    fields: &[(String, Held)],
    values: &mut Vec<(&'a Field, &dyn Value)>,
    metadata: &'static Metadata<'static>,
) {
    let Some(((_, held), rest)) = fields.split_first() else {
        let all: [(&Field, Option<&dyn Value>); FIELDS] = std::array::from_fn(|n| {
            let value = values.get(n);
            value.map_or((&keys[0], None), |(key, value)| (*key, Some(*value)))
        });
        return Event::dispatch(metadata, &metadata.fields().value_set(&all));
    };
    held.with(|value| {
        let mut values: Vec<(&Field, &dyn Value)> = values.clone();
        values.push((&keys[values.len()], value));
        with_values(keys, rest, &mut values, metadata);
    });
}

struct Site(OnceLock<Metadata<'static>>);

impl Callsite for Site {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().unwrap()
    }
}

/// A callsite lives for ever, so there is one for each list of names.
fn callsite(names: Vec<String>) -> &'static Metadata<'static> {
    static SITES: OnceLock<Mutex<HashMap<Vec<String>, &'static Site>>> = OnceLock::new();
    let mut sites = SITES.get_or_init(Mutex::default).lock().unwrap();
    let site = sites.entry(names).or_insert_with_key(|names| {
        let site: &'static Site = Box::leak(Box::new(Site(OnceLock::new())));
        let names: Vec<&'static str> = names
            .iter()
            .map(|name| &*Box::leak(name.clone().into_boxed_str()))
            .collect();
        let fields = FieldSet::new(names.leak(), Identifier(site));
        let metadata = Metadata::new(
            "event",
            "made_at_run_time",
            Level::INFO,
            None,
            None,
            None,
            fields,
            Kind::EVENT,
        );
        site.0.set(metadata).unwrap();
        site
    });
    site.0.get().unwrap()
}
