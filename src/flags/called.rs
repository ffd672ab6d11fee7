//! What PostHog is told of flags that were asked for: `$feature_flag_called`, and `$experiment_exposure`.
//!
//! The first access of a snapshot to a flag comes here. [`Seen`] lets each fact through once: it remembers the newest
//! [`MAX_SEEN`] and forgets the oldest half at a time, so that a full memory never makes all facts new at once.
//!
//! Properties: <https://github.com/PostHog/sdk-specs>, "feature flag called tracker". Values of the short form, for flags
//! without an experiment, leave out what nobody counts.

use super::context::EvaluationContext;
use super::local::FlagMetadata;
use super::remote::{RemoteFlag, RemoteFlags};
use super::snapshot::Found;
use super::stats::Counts;
use super::value::FlagValue;
use crate::capture::CaptureHandle;
use crate::error::{PostHogError, RequestErrorKind};
use crate::event::Event;
use crate::suppress::is_suppressed;
use serde_json::Value;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, PoisonError};

/// How many facts are remembered at most: 1.6 MB.
const MAX_SEEN: usize = 100_000;

/// What was captured already.
#[derive(Debug, Default)]
pub(super) struct Called {
    hasher: RandomState,
    seen: Mutex<Seen>,
}

/// Hashes of facts, in two generations.
#[derive(Debug, Default)]
struct Seen {
    newer: HashSet<u64>,
    older: HashSet<u64>,
}

/// An access to a flag, and what is known of it.
pub(super) struct Access<'a> {
    pub(super) key: &'a str,
    pub(super) context: &'a EvaluationContext,
    pub(super) session_id: Option<&'a str>,
    pub(super) found: &'a Found<'a>,
    pub(super) remote: Option<&'a RemoteFlags>,
    pub(super) request_error: Option<&'a PostHogError>,
    pub(super) definition: Option<FlagMetadata>,
    pub(super) minimal_by_definitions: bool,
    pub(super) payload: Option<Value>,
}

impl Called {
    /// Captures the access, unless it was captured before.
    pub(super) fn capture(&self, access: &Access<'_>, capture: &CaptureHandle, counts: &Counts) {
        // Within a hook nothing is captured. It would count as told, and never be told by others.
        if !capture.is_enabled() || is_suppressed() {
            return;
        }
        if self.is_new(access, None) {
            counts.called.fetch_add(1, Relaxed);
            let event = access.called();
            match access.is_short() {
                true => capture.capture_minimal(&event),
                false => capture.capture(event),
            }
        }
        if let Found::Remote(flag) = access.found
            && let Some(exposed) = Exposure::of(flag)
            && self.is_new(access, Some(&exposed))
        {
            capture.capture(access.exposure(flag, &exposed));
        }
    }

    fn is_new(&self, access: &Access<'_>, exposure: Option<&Exposure<'_>>) -> bool {
        // Somebody is exposed to a variant, whatever value the flag has with it.
        let value = exposure.is_none().then(|| access.value());
        let fact = self.hasher.hash_one((access, value, exposure));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(fact, MAX_SEEN)
    }
}

impl Seen {
    /// Whether it was not there.
    fn insert(&mut self, fact: u64, most: usize) -> bool {
        if self.newer.contains(&fact) {
            return false;
        }
        let is_new = !self.older.remove(&fact);
        if self.newer.len() >= most / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(fact);
        is_new
    }
}

/// A fact is who, in which groups, and which flag; and which value, or the exposure. In what order groups were given makes
/// no difference.
impl Hash for Access<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.context.distinct_id.hash(state);
        self.key.hash(state);
        let mut groups: Vec<_> = self.context.given_groups().collect();
        groups.sort_unstable();
        groups.hash(state);
    }
}

/// The part of an experiment that somebody was shown.
#[derive(Hash)]
struct Exposure<'a> {
    rule_id: &'a str,
    variant: &'a str,
}

impl<'a> Exposure<'a> {
    fn of(flag: &'a RemoteFlag) -> Option<Self> {
        if flag.config_version != Some(2) || flag.reason_code.as_deref() != Some("experiment_split")
        {
            return None;
        }
        Some(Self {
            rule_id: flag.rule_id.as_deref()?,
            variant: flag.variant_key.as_deref()?,
        })
    }
}

impl Access<'_> {
    fn value(&self) -> Option<FlagValue<'_>> {
        self.found.value()
    }

    /// The value as properties have it.
    fn response(&self) -> Value {
        self.value().map_or(Value::Null, FlagValue::to_json)
    }

    fn event(&self, name: &str) -> Event {
        let mut event = Event::new(name).distinct_id(&self.context.distinct_id);
        for (group_type, key) in self.context.given_groups() {
            event = event.group(group_type, key);
        }
        if let Some(id) = self.session_id {
            event = event.session_id(id);
        }
        if let Some(id) = self.context.device() {
            event = event.property("$device_id", id);
        }
        event
            .property("$feature_flag", self.key)
            .property("$feature_flag_response", self.response())
            .property("locally_evaluated", self.is_local())
    }

    fn is_local(&self) -> bool {
        matches!(self.found, Found::Here(..))
    }

    fn has_experiment(&self) -> Option<bool> {
        match self.found {
            Found::Remote(flag) => flag.has_experiment,
            _ => self.definition.and_then(|it| it.has_experiment),
        }
    }

    /// Whether PostHog wants no more of it than is counted: where it says so, and that no experiment has the flag.
    fn is_short(&self) -> bool {
        let wants_short = match self.remote {
            Some(remote) if !self.is_local() => remote.minimal_flag_called_events,
            _ => self.minimal_by_definitions,
        };
        wants_short && self.has_experiment() == Some(false)
    }

    fn called(&self) -> Event {
        let mut event = self.event("$feature_flag_called");
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                event.properties.insert(name.to_owned(), value);
            }
        };
        put(
            "$feature_flag_has_experiment",
            self.has_experiment().map(Value::from),
        );
        if let Found::Remote(flag) = self.found {
            let text = |text: &Option<String>| text.clone().map(Value::from);
            put("$feature_flag_id", flag.id.map(Value::from));
            put("$feature_flag_version", flag.version.map(Value::from));
            if flag.config_version == Some(2) {
                put("$feature_flag_config_version", Some(2.into()));
                put("$feature_flag_reason_code", text(&flag.reason_code));
                put("$feature_flag_rule_id", text(&flag.rule_id));
                put("$feature_flag_rule_type", text(&flag.rule_type));
                put("$feature_flag_variant_key", text(&flag.variant_key));
            } else {
                put("$feature_flag_reason", text(&flag.reason_description));
            }
        }
        if let (Some(remote), false) = (self.remote, self.is_local()) {
            put(
                "$feature_flag_request_id",
                remote.request_id.clone().map(Value::from),
            );
            put(
                "$feature_flag_evaluated_at",
                remote.evaluated_at.map(Value::from),
            );
        }
        let errors = self.errors();
        put(
            "$feature_flag_error",
            (!errors.is_empty()).then(|| errors.join(",").into()),
        );
        if !self.is_short() {
            put(&format!("$feature/{}", self.key), Some(self.response()));
            put("$feature_flag_payload", self.payload.clone());
        }
        event
    }

    fn exposure(&self, flag: &RemoteFlag, exposed: &Exposure<'_>) -> Event {
        let mut event = self
            .event("$experiment_exposure")
            .property("$feature_flag_variant_key", exposed.variant)
            .property("$feature_flag_rule_id", exposed.rule_id);
        let remote = self.remote;
        let request_id = remote.and_then(|remote| remote.request_id.clone());
        let evaluated_at = remote.and_then(|remote| remote.evaluated_at);
        for (name, value) in [
            ("$feature_flag_id", flag.id.map(Value::from)),
            ("$feature_flag_version", flag.version.map(Value::from)),
            ("$feature_flag_request_id", request_id.map(Value::from)),
            ("$feature_flag_evaluated_at", evaluated_at.map(Value::from)),
        ] {
            if let Some(value) = value {
                event = event.property(name, value);
            }
        }
        event
    }

    /// What went wrong, in PostHog's words and order.
    fn errors(&self) -> Vec<String> {
        let mut errors = Vec::new();
        if self.is_local() {
            return errors;
        }
        errors.extend(self.request_error.map(token));
        if self.remote.is_some_and(|it| it.errors_while_computing) {
            errors.push("errors_while_computing_flags".into());
        }
        if self.remote.is_some_and(|it| it.quota_limited) {
            errors.push("quota_limited".into());
        }
        let failed = self.remote.and_then(|it| it.flags.get(self.key));
        if failed.is_some_and(|flag| flag.failed) {
            errors.push("evaluation_failed".into());
        } else if self.value().is_none() {
            errors.push("flag_missing".into());
        }
        errors
    }
}

fn token(error: &PostHogError) -> String {
    match error {
        PostHogError::ApiError(error) => format!("api_error_{}", error.status),
        PostHogError::RequestError(error) => match error.kind {
            RequestErrorKind::Timeout => "timeout".into(),
            RequestErrorKind::Connect | RequestErrorKind::Interrupted => "connection_error".into(),
            _ => "unknown_error".into(),
        },
        PostHogError::CircuitOpen { .. } => "connection_error".into(),
        _ => "unknown_error".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_forgets_the_oldest_half_and_knows_what_is_asked_for_again() {
        let mut seen = Seen::default();
        for fact in 0..10 {
            assert!(seen.insert(fact, 10));
            assert!(!seen.insert(fact, 10));
            // It is asked for all the time.
            assert_eq!(seen.insert(1_000, 10), fact == 0);
        }
        assert!(seen.newer.len() + seen.older.len() <= 10);
        assert!(!seen.insert(9, 10), "of the newest");
        assert!(seen.insert(0, 10), "long forgotten");
    }
}
