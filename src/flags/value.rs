//! [`FlagValue`]: what a flag is for somebody, and [`FlagReason`]: why.

use serde::Serialize;
use serde_json::Value;
use std::fmt;

/// What a flag is for somebody: off, on, or a variant.
///
/// ```
/// use tracing_posthog::FlagValue;
///
/// assert!(FlagValue::Variant("b").is_enabled());
/// assert_eq!(FlagValue::Bool(true).variant(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlagValue<'a> {
    /// Off, or on.
    Bool(bool),
    /// On, by the key of a variant.
    Variant(&'a str),
    /// A value of another kind, as PostHog's newer configurations have them.
    Json(&'a Value),
}

impl<'a> FlagValue<'a> {
    /// Whether the flag is on: `true`, any variant, or another value that is neither `false` nor `null`.
    pub fn is_enabled(self) -> bool {
        match self {
            Self::Bool(on) => on,
            Self::Variant(_) => true,
            Self::Json(value) => !matches!(value, Value::Null | Value::Bool(false)),
        }
    }

    /// The key of the variant, if the value is one.
    pub fn variant(self) -> Option<&'a str> {
        match self {
            Self::Variant(key) => Some(key),
            Self::Bool(_) | Self::Json(_) => None,
        }
    }

    /// The value as PostHog shows it in properties of events.
    pub fn to_json(self) -> Value {
        match self {
            Self::Bool(on) => Value::Bool(on),
            Self::Variant(key) => Value::String(key.to_owned()),
            Self::Json(value) => value.clone(),
        }
    }
}

/// As PostHog writes it: `true`, `false`, the key of the variant, or JSON.
impl fmt::Display for FlagValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(on) => on.fmt(f),
            Self::Variant(key) => f.write_str(key),
            Self::Json(value) => value.fmt(f),
        }
    }
}

impl Serialize for FlagValue<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bool(on) => serializer.serialize_bool(*on),
            Self::Variant(key) => serializer.serialize_str(key),
            Self::Json(value) => value.serialize(serializer),
        }
    }
}

/// Why a flag could not be decided. [`FlagEvaluations::unresolved`](crate::FlagEvaluations::unresolved) has one for
/// each such flag.
///
/// As text, PostHog's own words where there are some: `experience_continuity`, `unsupported_definition`,
/// `unresolved_dependency`, `missing_context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum UnresolvedReason {
    /// The flag's value is to survive a login. Only PostHog knows what the person had before.
    ExperienceContinuity,
    /// The definition has something that cannot be evaluated here: a static cohort, an unknown operator, a newer form.
    UnsupportedDefinition,
    /// The flag depends on another one that could not be decided.
    UnresolvedDependency,
    /// A person property, group property or device id that the flag depends on was not given.
    ///
    /// A group that was not given is no such case: a flag about groups is then `false`, with the reason code
    /// `no_group_type`, as PostHog evaluates it.
    MissingContext,
    /// No definitions are loaded: see [`FeatureFlags::ready`](crate::FeatureFlags::ready).
    NotLoaded,
    /// PostHog was asked and did not answer, or refused: see [`FlagEvaluations::error`](crate::FlagEvaluations::error). Or
    /// the project has used up its quota of flag requests.
    RequestFailed,
    /// PostHog answered that it could not compute the flag this time, or that flags are missing from the answer.
    NotComputed,
}

impl UnresolvedReason {
    /// The reason as text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ExperienceContinuity => "experience_continuity",
            Self::UnsupportedDefinition => "unsupported_definition",
            Self::UnresolvedDependency => "unresolved_dependency",
            Self::MissingContext => "missing_context",
            Self::NotLoaded => "not_loaded",
            Self::RequestFailed => "request_failed",
            Self::NotComputed => "not_computed",
        }
    }
}

impl fmt::Display for UnresolvedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a flag has its value: PostHog's code, and what is known besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlagReason<'a> {
    /// PostHog's code, such as `condition_match`, `out_of_rollout_bound`, `no_condition_match` or `flag_disabled`. New
    /// ones may come.
    pub code: &'a str,
    /// Which condition set decided, from 0.
    pub condition_index: Option<u32>,
    /// PostHog's sentence, where PostHog evaluated the flag.
    pub description: Option<&'a str>,
}
