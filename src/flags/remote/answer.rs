//! Reads answers to a request for flags, whichever version of the API gave them.
//!
//! | version | flags | one record |
//! |---|---|---|
//! | 3, 4 | `flags` | `value`, `reason`, `metadata`, `failed` |
//! | 2 | `flags` | `enabled`, `variant`, `reason`, `metadata`, `failed` |
//! | older | `featureFlags`, `featureFlagPayloads` | the value |
//!
//! Each record is read by itself, out of the text that it was sent as: what cannot be read costs that record.

use super::{OPERATION, RemoteFlag, RemoteFlags};
use crate::error::PostHogError;
use crate::http::Http;
use serde::de::Error as _;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The members of an object as they were sent. One that comes twice counts as its last.
type Members = BTreeMap<String, Box<RawValue>>;

/// Reads the body of a 2xx answer.
///
/// # Errors
/// [`PostHogError::SerializationError`] where it is no JSON object, or its flags are none.
pub(super) fn read(http: &Http, body: &[u8]) -> Result<RemoteFlags, PostHogError> {
    let top: Members = http.read_json(OPERATION, body)?;
    let field = |name: &str| -> Option<Value> { serde_json::from_str(top.get(name)?.get()).ok() };
    let is_true = |name: &str| field(name) == Some(Value::Bool(true));
    let quota_limited = ["quotaLimited", "quota_limited"]
        .into_iter()
        .filter_map(field)
        .any(|limited| is_limited(&limited));
    let flags = match (quota_limited, object(&top, "flags")?) {
        (true, _) => BTreeMap::new(),
        (false, Some(records)) => records
            .into_iter()
            .map(|(key, record)| (key, flag(&record)))
            .collect(),
        (false, None) => legacy(&top)?,
    };
    Ok(RemoteFlags {
        flags,
        errors_while_computing: is_true("errorsWhileComputingFlags"),
        quota_limited,
        request_id: match field("requestId") {
            Some(Value::String(id)) => Some(id),
            _ => None,
        },
        evaluated_at: field("evaluatedAt").as_ref().and_then(integer),
        minimal_flag_called_events: is_true("minimalFlagCalledEvents"),
    })
}

/// A list of what is limited. Older servers and proxies answer whether flags are.
fn is_limited(limited: &Value) -> bool {
    match limited {
        Value::Bool(limited) => *limited,
        Value::Array(resources) => resources.iter().any(|it| it == "feature_flags"),
        _ => false,
    }
}

/// An object in an answer. `None`: there is none.
fn object(top: &Members, name: &'static str) -> Result<Option<Members>, PostHogError> {
    let Some(text) = top.get(name) else {
        return Ok(None);
    };
    let read: Result<Option<Members>, _> = serde_json::from_str(text.get());
    read.map_err(|_| PostHogError::SerializationError {
        operation: OPERATION,
        what: format!("the answer's `{name}` is no object"),
        source: serde_json::Error::custom("a wrong type"),
    })
}

fn legacy(top: &Members) -> Result<BTreeMap<String, RemoteFlag>, PostHogError> {
    let values = object(top, "featureFlags")?.unwrap_or_default();
    // They are of less weight than values.
    let payloads = object(top, "featureFlagPayloads").ok().flatten();
    let mut payloads = payloads.unwrap_or_default();
    let flags = values.into_iter().map(|(key, value)| {
        let value = serde_json::from_str(value.get()).ok();
        let payload = payloads.remove(&key);
        let payload = payload.and_then(|text| serde_json::from_str(text.get()).ok());
        let flag = match value {
            Some(value @ (Value::Bool(_) | Value::String(_))) => RemoteFlag {
                value,
                payload: payload.and_then(decoded),
                ..RemoteFlag::default()
            },
            _ => failed(),
        };
        (key, flag)
    });
    Ok(flags.collect())
}

fn failed() -> RemoteFlag {
    RemoteFlag {
        failed: true,
        ..RemoteFlag::default()
    }
}

/// One record.
fn flag(text: &RawValue) -> RemoteFlag {
    let record: Result<Map<String, Value>, _> = serde_json::from_str(text.get());
    let read = record.ok().and_then(|mut record| {
        let reason = take_object(&mut record, "reason").ok()?;
        let metadata = take_object(&mut record, "metadata").ok()?;
        Fields {
            record,
            reason,
            metadata,
        }
        .read()
        .ok()
    });
    read.unwrap_or_else(failed)
}

/// A field that has another type than PostHog's.
struct WrongType;

type Read<T> = Result<T, WrongType>;

fn take_object(of: &mut Map<String, Value>, name: &str) -> Read<Map<String, Value>> {
    match of.remove(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(fields)) => Ok(fields),
        Some(_) => Err(WrongType),
    }
}

struct Fields {
    record: Map<String, Value>,
    reason: Map<String, Value>,
    metadata: Map<String, Value>,
}

impl Fields {
    fn read(mut self) -> Read<RemoteFlag> {
        text(self.record.get("key"))?;
        let metadata = &self.metadata;
        let config_version = whole(metadata.get("config_version"))?;
        let has_failed = flagged(self.record.get("failed"))?.unwrap_or_default();
        let mut flag = RemoteFlag {
            value: Value::Null,
            failed: has_failed,
            reason_code: text(self.reason.get("code"))?,
            reason_description: text(self.reason.get("description"))?,
            // Conditions that are no sets of their own have negative numbers.
            condition_index: whole(self.reason.get("condition_index"))?
                .and_then(|index| index.try_into().ok()),
            id: whole(metadata.get("id"))?,
            version: whole(metadata.get("version"))?,
            config_version,
            has_experiment: flagged(metadata.get("has_experiment"))?,
            rule_type: text(metadata.get("rule_type"))?,
            rule_id: text_or_number(metadata.get("rule_id"))?,
            variant_key: text(metadata.get("variant_key"))?,
            payload: None,
        };
        text(metadata.get("description"))?;
        flag.value = match self.record.remove("value") {
            Some(Value::Array(_)) => return Err(WrongType),
            Some(value) => value,
            None => match text(self.record.get("variant"))? {
                Some(variant) => {
                    flagged(self.record.get("enabled"))?;
                    Value::String(variant)
                }
                // A flag that has failed needs no value.
                None => match flagged(self.record.get("enabled"))? {
                    Some(enabled) => Value::Bool(enabled),
                    None if has_failed => Value::Null,
                    None => return Err(WrongType),
                },
            },
        };
        flag.payload = match config_version {
            Some(2) => match &flag.value {
                Value::Null | Value::Bool(false) => None,
                value => Some(value.clone()),
            },
            _ => self.metadata.remove("payload").and_then(decoded),
        };
        Ok(flag)
    }
}

fn text(value: Option<&Value>) -> Read<Option<String>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(WrongType),
    }
}

fn text_or_number(value: Option<&Value>) -> Read<Option<String>> {
    match value {
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        value => text(value),
    }
}

fn flagged(value: Option<&Value>) -> Read<Option<bool>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(WrongType),
    }
}

fn whole(value: Option<&Value>) -> Read<Option<i64>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => integer(value).map(Some).ok_or(WrongType),
    }
}

/// A whole number, however it is written.
fn integer(value: &Value) -> Option<i64> {
    let fits = |number: &f64| number.fract() == 0.0 && number.abs() < 9.0e18;
    let float = || value.as_f64().filter(fits);
    value
        .as_i64()
        .or_else(|| float().map(|number| number as i64))
}

/// A payload: JSON as text, or JSON. Text that is no JSON counts as none, as in PostHog's own libraries.
fn decoded(payload: Value) -> Option<Value> {
    match payload {
        Value::Null => None,
        Value::String(text) => serde_json::from_str(&text).ok(),
        value => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::PostHogClient;
    use proptest::prelude::*;
    use std::sync::Arc;

    const ANSWER: &str = r#"{"flags": {
        "a": {"key": "a", "enabled": true, "variant": "b", "reason": {"code": "c", "condition_index": 0},
            "metadata": {"id": 1, "version": 2, "payload": "{\"x\": [1]}"}},
        "n": {"value": 1.5, "failed": false, "metadata": {"config_version": 2, "rule_id": 7}}},
        "featureFlags": {"l": true}, "quotaLimited": [], "requestId": "r", "evaluatedAt": 1}"#;

    fn http() -> Arc<Http> {
        let client = PostHogClient::builder().project_api_key("phc_project_key_of_the_tests");
        client.build().unwrap().inner.http.clone()
    }

    proptest! {
        #[test]
        fn no_answer_panics(
            changes in proptest::collection::vec((0..ANSWER.len(), any::<u8>()), 0..4),
            end in 0..=ANSWER.len(),
        ) {
            let mut body = ANSWER.as_bytes().to_vec();
            for (at, byte) in changes {
                body[at] = byte;
            }
            let whole = read(&http(), &body);
            let cut = read(&http(), &body[..end]);
            for flags in [whole, cut].into_iter().flatten() {
                // A record has what it says, or has failed.
                for flag in flags.flags.values().filter(|flag| flag.failed) {
                    prop_assert_eq!(&flag.value, &Value::Null);
                }
            }
        }

        #[test]
        fn a_record_of_any_types_costs_itself_only(
            field in prop_oneof![
                Just("enabled"), Just("variant"), Just("value"), Just("reason"), Just("metadata"), Just("failed"),
            ],
            value in prop_oneof![
                Just("null"), Just("5"), Just("-1.5"), Just("\"x\""), Just("[]"), Just("{}"), Just("true"),
                Just("{\"id\": \"x\"}"), Just("{\"code\": []}"), Just("1e999"), Just("\"\\ud800\""),
            ],
        ) {
            let body = format!(r#"{{"flags": {{"odd": {{"enabled": true, "{field}": {value}}},
                "good": {{"enabled": true}}}}}}"#);
            let flags = read(&http(), body.as_bytes()).unwrap().flags;
            prop_assert_eq!(&flags["good"].value, &Value::Bool(true));
            prop_assert_eq!(flags.len(), 2);
        }
    }
}
