//! [`Served`]: the flags that the local PostHog answers with.

use super::Flags;
use crate::event::uuid_v7::UuidV7;
use crate::flags::{EvaluationContext, FlagDefinitions, FlagReason, FlagValue, UnresolvedReason};
use serde_json::{Map, Value, json};
use sha1::{Digest, Sha1};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Flags, prepared for answers.
#[derive(Debug)]
pub(in crate::testing) struct Served {
    /// The body of `/flags/definitions`.
    pub(in crate::testing) definitions: String,
    /// Of that body, weak, as PostHog makes it.
    pub(in crate::testing) etag: String,
    /// What PostHog itself decides by: it knows what a flag was before a login.
    known: Option<FlagDefinitions>,
    /// The flags that cannot be computed.
    failing: BTreeSet<String>,
}

/// The form of an answer, by the query's `v`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::testing) enum Form {
    /// Before `v=2`: values, and payloads beside them.
    Legacy,
    /// `v=2`: `enabled` and `variant`.
    Detailed,
    /// `v=3` and above: `value`.
    Typed,
}

impl Default for Served {
    fn default() -> Self {
        Self::new(&Flags::new())
    }
}

impl Served {
    pub(in crate::testing) fn new(flags: &Flags) -> Self {
        let mut body = flags.definitions();
        let definitions = body.to_string();
        let mut etag = String::from("W/\"");
        for byte in Sha1::digest(definitions.as_bytes()).iter().take(8) {
            // Writing to a text does not fail.
            let _ = write!(etag, "{byte:02x}");
        }
        etag.push('"');
        if let Some(Value::Array(all)) = body.get_mut("flags") {
            for flag in all.iter_mut().filter_map(Value::as_object_mut) {
                flag.remove("ensure_experience_continuity");
            }
        }
        let failing = flags.flags.iter();
        let failing = failing.filter(|flag| flag.is_unresolved && !flag.has_value());
        Self {
            definitions,
            etag,
            known: FlagDefinitions::parse(body.to_string().as_bytes()).ok(),
            failing: failing.map(|flag| flag.key.clone()).collect(),
        }
    }

    /// The body of the answer to `/flags/`. `keys`: the flags to evaluate; `None`: all.
    pub(in crate::testing) fn answer(
        &self,
        context: &EvaluationContext,
        keys: Option<&[String]>,
        form: Form,
    ) -> Value {
        let now = SystemTime::now();
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let millis = i64::try_from(millis.as_millis()).unwrap_or_default();
        let mut flags = Map::new();
        let mut values = Map::new();
        let mut payloads = Map::new();
        let mut has_errors = false;
        for one in self.evaluated(context, keys, now) {
            has_errors |= one.value.is_none();
            if form == Form::Legacy {
                // What could not be computed is left out.
                if let Some(value) = one.value {
                    values.insert(one.key.to_owned(), value.to_json());
                }
                if let Some(payload) = one.payload {
                    payloads.insert(one.key.to_owned(), payload.to_string().into());
                }
            } else {
                flags.insert(one.key.to_owned(), one.record(form));
            }
        }
        let mut answer = json!({
            "errorsWhileComputingFlags": has_errors,
            "requestId": UuidV7::default().at(millis).to_string(),
            "evaluatedAt": millis,
        });
        if form == Form::Legacy {
            answer["featureFlags"] = values.into();
            answer["featureFlagPayloads"] = payloads.into();
        } else {
            answer["flags"] = flags.into();
        }
        if self
            .known
            .as_ref()
            .is_some_and(FlagDefinitions::minimal_flag_called_events)
        {
            answer["minimalFlagCalledEvents"] = true.into();
        }
        answer
    }

    fn evaluated<'a>(
        &'a self,
        context: &EvaluationContext,
        keys: Option<&[String]>,
        now: SystemTime,
    ) -> Vec<Evaluated<'a>> {
        let Some(known) = &self.known else {
            return Vec::new();
        };
        let is_asked = |key: &&str| keys.is_none_or(|keys| keys.iter().any(|asked| asked == key));
        let of = |key: &'a str| {
            let decision = known.evaluate(key, context, now)?;
            let (value, reason) = match decision.value() {
                _ if self.failing.contains(key) => (None, None),
                Ok(value) => (Some(value), decision.reason()),
                // Nobody is stored here, so what the request does not say of a person is not known of the person.
                Err(UnresolvedReason::MissingContext) => (Some(FlagValue::Bool(false)), None),
                Err(_) => (None, None),
            };
            let metadata = known.metadata(key);
            Some(Evaluated {
                key,
                value,
                reason,
                payload: value.and_then(|value| known.payload(key, value)),
                id: metadata.and_then(|it| it.id),
                version: metadata.and_then(|it| it.version),
                has_experiment: metadata.and_then(|it| it.has_experiment),
            })
        };
        known.keys().filter(is_asked).filter_map(of).collect()
    }
}

/// One flag in an answer.
struct Evaluated<'a> {
    key: &'a str,
    /// `None`: it could not be computed.
    value: Option<FlagValue<'a>>,
    reason: Option<FlagReason<'a>>,
    payload: Option<Value>,
    id: Option<i64>,
    version: Option<i64>,
    has_experiment: Option<bool>,
}

impl Evaluated<'_> {
    fn record(&self, form: Form) -> Value {
        let mut metadata = json!({
            "id": self.id.unwrap_or_default(),
            "version": self.version.unwrap_or_default(),
            "description": null,
            "payload": self.payload.as_ref().map(Value::to_string),
        });
        if let Some(has_experiment) = self.has_experiment {
            metadata["has_experiment"] = has_experiment.into();
        }
        let mut record = json!({"key": self.key, "metadata": metadata, "reason": null});
        if form == Form::Typed {
            record["value"] = self.value.map_or(Value::Null, FlagValue::to_json);
        } else {
            record["enabled"] = self.value.is_some_and(FlagValue::is_enabled).into();
            record["variant"] = self.value.and_then(FlagValue::variant).into();
        }
        if self.value.is_none() {
            record["failed"] = true.into();
            return record;
        }
        let code = self
            .reason
            .map_or("no_condition_match", |reason| reason.code);
        let index = self.reason.and_then(|reason| reason.condition_index);
        record["reason"] = json!({
            "code": code,
            "condition_index": index,
            "description": described(code, index),
        });
        record
    }
}

/// PostHog's sentence for a reason.
fn described(code: &str, condition_index: Option<u32>) -> Option<String> {
    let number = condition_index.unwrap_or_default().saturating_add(1);
    Some(match code {
        "condition_match" => format!("Matched condition set {number}"),
        "no_condition_match" => "No matching condition set".into(),
        "out_of_rollout_bound" => "Out of rollout bound".into(),
        "no_group_type" => "No group type".into(),
        "super_condition_value" => "Super condition value".into(),
        "holdout_condition_value" => "Holdout condition value".into(),
        "flag_disabled" => "Feature flag is disabled".into(),
        "missing_dependency" => "Flag cannot be evaluated due to missing dependency".into(),
        _ => return None,
    })
}
