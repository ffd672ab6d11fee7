#![no_main]
//! Fields of any names and values make one event, in valid JSON.

#[path = "../../tests/shared/callsites/mod.rs"]
mod callsites;

use arbitrary::Arbitrary;
use callsites::Held;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::prelude::*;

#[derive(Arbitrary, Debug)]
enum Name {
    Any(String),
    Ours(String),
    Set(String),
    SetOnce(String),
    Group(String),
    Known(u8),
}

#[derive(Arbitrary, Debug)]
enum Value {
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

const KNOWN: [&str; 9] = [
    "posthog.distinct_id",
    "posthog.session_id",
    "posthog.timestamp",
    "posthog.uuid",
    "posthog.process_person_profile",
    "posthog.geoip_disable",
    "posthog.properties",
    "posthog.event",
    "message",
];

impl From<Name> for String {
    fn from(name: Name) -> Self {
        match name {
            Name::Any(name) => name,
            Name::Ours(name) => format!("posthog.{name}"),
            Name::Set(name) => format!("posthog.set.{name}"),
            Name::SetOnce(name) => format!("posthog.set_once.{name}"),
            Name::Group(name) => format!("posthog.group.{name}"),
            Name::Known(n) => KNOWN[usize::from(n) % KNOWN.len()].to_owned(),
        }
    }
}

impl From<Value> for Held {
    fn from(value: Value) -> Self {
        match value {
            Value::Bool(v) => Self::Bool(v),
            Value::I64(v) => Self::I64(v),
            Value::U64(v) => Self::U64(v),
            Value::I128(v) => Self::I128(v),
            Value::F64(v) => Self::F64(v),
            Value::Text(v) => Self::Text(v),
            Value::Debug(v) => Self::Debug(v),
            Value::Display(v) => Self::Display(v),
            Value::Bytes(v) => Self::Bytes(v),
            Value::Nothing => Self::Nothing,
        }
    }
}

thread_local! {
    static CAPTURED: RefCell<CapturedEvents> = RefCell::default();
}

fuzz_target!(|fields: Vec<(Name, Value)>| {
    let fields: Vec<(String, Held)> = fields
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    CAPTURED.with_borrow(|captured| {
        let subscriber = tracing_subscriber::registry().with(captured.layer());
        tracing::subscriber::with_default(subscriber, || callsites::emit(&fields));
        let dropped = captured.handle().stats().dropped.total();
        let events = captured.take();
        // A second name may be an empty one.
        let renamed = fields.iter().any(|(name, _)| name == "posthog.event");
        assert!(
            events.len() == 1 || renamed,
            "{dropped} dropped so far: {fields:?}"
        );
        for name in events.iter().flat_map(|e| e.properties.keys()) {
            let ours =
                name.starts_with("posthog.") && fields.iter().any(|(field, _)| field == name);
            assert!(!ours, "{name} became a property");
        }
    });
});
