//! Evaluates flags here, as PostHog does: a pure function of definitions, context and time.

use super::context::EvaluationContext;
use super::value::{FlagReason, FlagValue, UnresolvedReason};
use serde_json::Value;
use std::time::SystemTime;

/// Definitions of flags, prepared for evaluation: the body of PostHog's `/flags/definitions`.
#[derive(Debug, Default)]
pub struct FlagDefinitions {}

/// What a flag is for somebody, as far as it can be decided here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlagDecision<'a> {
    pub(crate) outcome: Result<FlagValue<'a>, UnresolvedReason>,
    pub(crate) reason: Option<FlagReason<'a>>,
}

/// What the definition says of a flag, beside its value. For `$feature_flag_called`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct FlagMetadata {
    pub(crate) id: Option<i64>,
    pub(crate) version: Option<i64>,
    pub(crate) has_experiment: Option<bool>,
}

impl FlagDefinitions {
    /// Reads the body of an answer of PostHog's `/flags/definitions`.
    ///
    /// # Errors
    /// [`PostHogError::SerializationError`](crate::PostHogError::SerializationError) where the body is not a JSON object with a list `flags`.
    pub fn parse(_body: &[u8]) -> Result<Self, crate::PostHogError> {
        Ok(Self::default())
    }

    /// How many flags there are.
    pub fn len(&self) -> usize {
        0
    }

    /// Whether there are no flags.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of all flags, in the order of the definitions.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }

    /// Evaluates one flag. `None`: there is no such flag. Allocates nothing.
    pub fn evaluate<'a>(
        &'a self,
        _key: &str,
        _context: &EvaluationContext,
        _now: SystemTime,
    ) -> Option<FlagDecision<'a>> {
        None
    }

    /// Calls `each` for every flag, in the order of the definitions. What flags share is looked up once.
    pub(crate) fn evaluate_all<'a>(
        &'a self,
        _context: &EvaluationContext,
        _now: SystemTime,
        _each: &mut dyn FnMut(&'a str, FlagDecision<'a>),
    ) {
    }

    /// The payload of a flag for one of its values, decoded. `None`: there is none, or it is not JSON.
    pub fn payload(&self, _key: &str, _value: FlagValue<'_>) -> Option<Value> {
        None
    }

    pub(crate) fn metadata(&self, _key: &str) -> Option<FlagMetadata> {
        None
    }

    /// Whether `$feature_flag_called` of flags without an experiment is to be short.
    pub(crate) fn minimal_flag_called_events(&self) -> bool {
        false
    }

    /// Flags that can never be decided here, whatever the context, and why, in the order of the definitions.
    pub(crate) fn undecidable(&self) -> impl Iterator<Item = (&str, UnresolvedReason)> {
        std::iter::empty()
    }
}

impl<'a> FlagDecision<'a> {
    /// The flag's value, or why it could not be decided here.
    pub fn value(&self) -> Result<FlagValue<'a>, UnresolvedReason> {
        self.outcome
    }

    /// Why it has that value.
    pub fn reason(&self) -> Option<FlagReason<'a>> {
        self.reason
    }
}
