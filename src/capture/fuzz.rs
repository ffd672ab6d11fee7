//! What the fuzzers feed, where it is not public.

use super::diagnostics::Diagnostics;
use super::encode::{Encoder, Enrichment};
use crate::event::record::{self, MAX_DEPTH, Val};
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    static ENCODER: RefCell<Encoder> = RefCell::new(Encoder::new(
        Enrichment {
            max_event_bytes: 900 << 10,
            ..Enrichment::default()
        },
        Arc::new(Diagnostics::default()),
    ));
}

// The text is compared, not the string that it may be.
#[allow(clippy::cmp_owned)]
/// Encodes a record. `None`: it is dropped, or holds JSON such as no record does.
pub(crate) fn record(bytes: &[u8]) -> Option<Vec<u8>> {
    let known = record::fields(bytes).all(|field| match field.value {
        Val::Json(text) => serde_json::from_str::<serde_json::Value>(text)
            // Written by `serde_json`, which knows no key twice.
            .is_ok_and(|value| value.to_string() == text && depth(&value) <= MAX_DEPTH),
        _ => true,
    });
    if !known {
        return None;
    }
    let mut json = Vec::new();
    let written = ENCODER.with_borrow_mut(|encoder| encoder.event(bytes, 0, &mut json));
    match written {
        Ok(()) => Some(json),
        Err(_) => {
            assert!(json.is_empty(), "a dropped event leaves nothing");
            None
        }
    }
}

fn depth(value: &serde_json::Value) -> usize {
    let deepest = match value {
        serde_json::Value::Array(items) => items.iter().map(depth).max(),
        serde_json::Value::Object(fields) => fields.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or_default()
}
