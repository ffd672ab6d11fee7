//! Fields and values of records as JSON.

use super::LargeIntegers;
use crate::event::json::{key, string};
use crate::event::record::{Field, Val};
use serde_json::Value;

pub(super) fn key_of(out: &mut Vec<u8>, field: &Field<'_>) {
    match field.name {
        Some(name) => out.extend_from_slice(&name.json),
        None => key(out, field.key),
    }
}

pub(super) fn write_value(out: &mut Vec<u8>, value: Val<'_>, large: LargeIntegers) {
    // Writing to a `Vec` does not fail, and these types have no way to.
    let _ = match value {
        Val::Null | Val::Bytes(_) => serde_json::to_writer(out, &()),
        Val::Bool(b) => serde_json::to_writer(out, &b),
        Val::I64(n) if large.is_text(n.unsigned_abs()) => {
            serde_json::to_writer(out, &n.to_string())
        }
        Val::I64(n) => serde_json::to_writer(out, &n),
        Val::U64(n) if large.is_text(n) => serde_json::to_writer(out, &n.to_string()),
        Val::U64(n) => serde_json::to_writer(out, &n),
        // JSON knows no NaN and no infinity: serde_json writes them as null.
        Val::F64(n) => serde_json::to_writer(out, &n),
        Val::Str(s) => {
            string(out, s);
            Ok(())
        }
        Val::Json(text) => {
            let quoted = large.written(text);
            let text = quoted.as_deref().unwrap_or(text);
            if text.contains("\\u0000") {
                let value = serde_json::from_str(text).unwrap_or(Value::Null);
                serde_json::to_writer(out, &without_nul(value))
            } else {
                out.extend_from_slice(text.as_bytes());
                Ok(())
            }
        }
    };
}

/// The value with U+FFFD for null characters, in names too.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(s) => s.replace('\0', "\u{fffd}").into(),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key.replace('\0', "\u{fffd}"), without_nul(value)))
            .collect(),
        other => other,
    }
}
