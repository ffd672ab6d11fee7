#![no_main]
//! Whatever crosses the queue becomes valid JSON with every key once, or is dropped.

use libfuzzer_sys::fuzz_target;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

fuzz_target!(|bytes: &[u8]| {
    if let Some(json) = tracing_posthog::__fuzz::record(bytes) {
        let event: serde_json::Value = serde_json::from_slice(&json).expect("valid JSON");
        for name in ["uuid", "event", "distinct_id", "timestamp"] {
            let text = event[name].as_str().expect("text");
            assert!(!text.trim().is_empty(), "{name}: {event}");
            assert!(!text.contains('\0'));
        }
        assert!(event["properties"].is_object());
        serde_json::from_slice::<Unique>(&json).expect("every key once");
    }
});

/// Any JSON in which no object has a key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

macro_rules! any {
    ($($visit:ident: $of:ty),*) => {
        $(fn $visit<E>(self, _: $of) -> Result<Self, E> {
            Ok(Self)
        })*
    };
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    any!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(Self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        let mut keys = HashSet::new();
        while let Some((key, _)) = entries.next_entry::<String, Self>()? {
            // Names that differ only in null characters, which are replaced, become one.
            let known = key.contains('\u{fffd}');
            assert!(keys.insert(key.clone()) || known, "{key:?} twice");
        }
        Ok(Self)
    }
}
