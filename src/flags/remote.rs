//! Asks PostHog for somebody's flags.

use super::context::EvaluationContext;
use super::core::Core;
use super::value::{FlagReason, FlagValue};
use crate::capture::GeoIp;
use crate::error::PostHogError;
use serde_json::Value;

/// What PostHog answered.
#[derive(Debug, Default)]
pub(super) struct RemoteFlags {
    /// By key.
    pub(super) flags: std::collections::BTreeMap<String, RemoteFlag>,
    /// Some flags are missing, or may be wrong.
    pub(super) errors_while_computing: bool,
    /// The project has used up its quota of flag requests; there are no flags.
    pub(super) quota_limited: bool,
    pub(super) request_id: Option<String>,
    /// Milliseconds since 1970.
    pub(super) evaluated_at: Option<i64>,
    /// Whether `$feature_flag_called` of flags without an experiment is to be short.
    pub(super) minimal_flag_called_events: bool,
}

/// One flag in an answer.
#[derive(Debug, Default)]
pub(super) struct RemoteFlag {
    pub(super) value: Value,
    /// PostHog could not evaluate it this time: the value means nothing.
    pub(super) failed: bool,
    pub(super) reason_code: Option<String>,
    pub(super) reason_description: Option<String>,
    pub(super) condition_index: Option<u32>,
    pub(super) id: Option<i64>,
    pub(super) version: Option<i64>,
    pub(super) config_version: Option<i64>,
    pub(super) has_experiment: Option<bool>,
    pub(super) rule_type: Option<String>,
    pub(super) rule_id: Option<String>,
    pub(super) variant_key: Option<String>,
    /// Decoded.
    pub(super) payload: Option<Value>,
}

impl RemoteFlags {
    /// Whether flags may be missing.
    pub(super) fn is_partial(&self) -> bool {
        self.errors_while_computing || self.quota_limited
    }
}

impl RemoteFlag {
    pub(super) fn value(&self) -> FlagValue<'_> {
        match &self.value {
            Value::Bool(on) => FlagValue::Bool(*on),
            Value::String(key) => FlagValue::Variant(key),
            other => FlagValue::Json(other),
        }
    }

    pub(super) fn reason(&self) -> Option<FlagReason<'_>> {
        Some(FlagReason {
            code: self.reason_code.as_deref()?,
            condition_index: self.condition_index,
            description: self.reason_description.as_deref(),
        })
    }
}

impl Core {
    /// Asks for these flags, or for all.
    pub(super) async fn ask(
        &self,
        _context: &EvaluationContext,
        _keys: Option<&[String]>,
        _geoip: GeoIp,
    ) -> Result<RemoteFlags, PostHogError> {
        Ok(RemoteFlags::default())
    }
}
