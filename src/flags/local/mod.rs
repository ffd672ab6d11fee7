//! Evaluates flags here, as PostHog does: a pure function of definitions, context and time.
//!
//! ```text
//!  body ── read ──► outline, cohorts, flags (raw, shape)
//!            │        prepare: filters, cohorts (operator: text, number, version, date, pattern)
//!            │        graph: circles cut, depth and size bounded; decidable: what never can be decided
//!            ▼
//!  FlagDefinitions (model) ── evaluate(context, now) ──► FlagDecision
//!                               given: properties; hash: rollouts; verdict: yes, no, undecided and why; missing: what lacks
//! ```
//!
//! - One odd flag, cohort, condition or filter is undecided by itself. It costs no other, and is no error of the body.
//! - Undecided is never `false`: a filter, cohort or condition is a [`verdict::Verdict`] until a flag is decided.
//! - Definitions are prepared once, when they are read. Evaluating allocates nothing, but for a property that is a list or an
//!   object and is compared as text, and what `fancy-regex` needs.
//! - Definitions are foreign text: whatever they say, reading and evaluating them ends soon, with bounded memory and
//!   stack, and nothing of them is logged.

mod date;
mod decidable;
mod evaluate;
mod given;
mod graph;
mod hash;
mod missing;
mod model;
mod number;
mod operator;
mod pattern;
mod prepare;
mod raw;
mod read;
mod shape;
mod text;
mod verdict;
mod version;

use self::evaluate::{Answer, Evaluation};
use self::model::{Cohort, Flag};
use self::pattern::Pattern;
use super::context::EvaluationContext;
use super::value::{FlagReason, FlagValue, UnresolvedReason};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Definitions of flags, prepared for evaluation: the body of PostHog's `/flags/definitions`.
///
/// ```
/// use std::time::SystemTime;
/// use tracing_posthog::{EvaluationContext, FlagDefinitions, FlagValue};
///
/// let definitions = FlagDefinitions::parse(
///     br#"{"flags": [{"key": "beta-ui", "active": true, "filters": {"groups": [
///         {"properties": [{"key": "plan", "type": "person", "operator": "exact", "value": ["pro"]}]}
///     ]}}]}"#,
/// )?;
/// let user = EvaluationContext::new("user_42").person("plan", "pro");
/// let decision = definitions.evaluate("beta-ui", &user, SystemTime::now());
/// assert_eq!(decision.unwrap().value(), Ok(FlagValue::Bool(true)));
/// # Ok::<(), tracing_posthog::PostHogError>(())
/// ```
#[derive(Default)]
pub struct FlagDefinitions {
    flags: Vec<Flag>,
    cohorts: Vec<Cohort>,
    group_types: Vec<Box<str>>,
    by_key: HashMap<Box<str>, u32>,
    never_decided: Vec<(u32, UnresolvedReason)>,
    /// Those that there was no time to compile.
    late_patterns: Vec<Arc<Pattern>>,
    minimal_flag_called_events: bool,
}

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
    /// A flag that cannot be read is [undecided](UnresolvedReason::UnsupportedDefinition) and costs no other. A flag
    /// without a key is left out.
    ///
    /// # Errors
    /// [`PostHogError::SerializationError`](crate::PostHogError::SerializationError) where the body is not a JSON object
    /// with a list `flags`.
    pub fn parse(body: &[u8]) -> Result<Self, crate::PostHogError> {
        read::read(body)
    }

    /// How many flags there are.
    pub fn len(&self) -> usize {
        self.flags.len()
    }

    /// Whether there are no flags.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is a flag of that key.
    pub fn contains(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// The keys of all flags, in the order of the definitions.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.flags.iter().map(|flag| &*flag.key)
    }

    /// Evaluates one flag. `None`: there is no such flag.
    ///
    /// Allocates nothing, except for a property that is a list or an object and is compared as text, a version with a
    /// long pre-release, and some regular expressions.
    pub fn evaluate<'a>(
        &'a self,
        key: &str,
        context: &EvaluationContext,
        now: SystemTime,
    ) -> Option<FlagDecision<'a>> {
        let flag = self.flag(key)?;
        Some(self.evaluation(context, now).flag(flag).into())
    }

    /// Calls `each` for every flag, in the order of the definitions.
    pub fn evaluate_all<'a>(
        &'a self,
        context: &EvaluationContext,
        now: SystemTime,
        mut each: impl FnMut(&'a str, FlagDecision<'a>),
    ) {
        let evaluation = self.evaluation(context, now);
        for flag in &self.flags {
            each(&flag.key, evaluation.flag(flag).into());
        }
    }

    /// The names of the properties that the flag's conditions, cohorts and dependencies read and that the context lacks, in
    /// alphabetical order: `plan`, for a group's property `company.seats`, for the device `$device_id`. They are why a
    /// flag is undecided for [`UnresolvedReason::MissingContext`]; a flag may be decided without some of them.
    ///
    /// ```
    /// use tracing_posthog::{EvaluationContext, FlagDefinitions};
    ///
    /// let definitions = FlagDefinitions::parse(
    ///     br#"{"flags": [{"key": "beta-ui", "active": true, "filters": {"groups": [
    ///         {"properties": [{"key": "plan", "type": "person", "operator": "exact", "value": ["pro"]}]}
    ///     ]}}]}"#,
    /// )?;
    /// assert_eq!(definitions.missing("beta-ui", &EvaluationContext::new("user_42")), ["plan"]);
    /// # Ok::<(), tracing_posthog::PostHogError>(())
    /// ```
    pub fn missing(&self, key: &str, context: &EvaluationContext) -> Vec<String> {
        let missing = |flag| {
            self.evaluation(context, SystemTime::UNIX_EPOCH)
                .missing(flag)
        };
        self.flag(key).map(missing).into_iter().flatten().collect()
    }

    /// The payload of a flag for one of its values, decoded. `None`: there is none, or it is not JSON.
    pub fn payload(&self, key: &str, value: FlagValue<'_>) -> Option<Value> {
        let name = match value {
            FlagValue::Bool(true) => "true",
            FlagValue::Variant(variant) => variant,
            FlagValue::Bool(false) | FlagValue::Json(_) => return None,
        };
        // A key that comes twice: the last one counts.
        let mut payloads = self.flag(key)?.payloads.iter().rev();
        let (_, json) = payloads.find(|(known, _)| **known == *name)?;
        match serde_json::from_str(json).ok()? {
            Value::String(text) => serde_json::from_str(&text).ok(),
            Value::Null => None,
            value => Some(value),
        }
    }

    pub(crate) fn metadata(&self, key: &str) -> Option<FlagMetadata> {
        let flag = self.flag(key)?;
        Some(FlagMetadata {
            id: flag.id,
            version: flag.version,
            has_experiment: flag.has_experiment,
        })
    }

    /// How many patterns there was no time to compile when the definitions were read.
    pub(crate) fn late_patterns(&self) -> usize {
        self.late_patterns.len()
    }

    /// Compiles one of these, where nobody needed it yet. May take some milliseconds.
    pub(crate) fn compile_late_pattern(&self, at: usize) {
        if let Some(pattern) = self.late_patterns.get(at) {
            pattern.compile();
        }
    }

    #[cfg(all(test, feature = "testing"))]
    pub(crate) fn uncompiled_patterns(&self) -> usize {
        let late = self.late_patterns.iter();
        late.filter(|pattern| !pattern.is_compiled()).count()
    }

    /// Whether `$feature_flag_called` of flags without an experiment is to be short.
    pub(crate) fn minimal_flag_called_events(&self) -> bool {
        self.minimal_flag_called_events
    }

    /// Flags that can never be decided here, whatever the context, and why, in the order of the definitions. Of a flag
    /// about groups the group counts as given.
    pub fn undecidable(&self) -> impl Iterator<Item = (&str, UnresolvedReason)> {
        self.never_decided
            .iter()
            .filter_map(|(flag, reason)| Some((&*self.flags.get(*flag as usize)?.key, *reason)))
    }

    fn flag(&self, key: &str) -> Option<&Flag> {
        self.flags.get(*self.by_key.get(key)? as usize)
    }

    fn evaluation<'a, 'c>(
        &'a self,
        context: &'c EvaluationContext,
        now: SystemTime,
    ) -> Evaluation<'a, 'c> {
        Evaluation {
            definitions: self,
            context,
            now: now.into(),
        }
    }
}

/// How many flags there are. Definitions may hold names and addresses of customers.
impl fmt::Debug for FlagDefinitions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlagDefinitions")
            .field("flags", &self.len())
            .finish_non_exhaustive()
    }
}

impl<'a> From<Answer<'a>> for FlagDecision<'a> {
    fn from(answer: Answer<'a>) -> Self {
        match answer {
            Answer::Decided {
                value,
                code,
                condition,
            } => Self {
                outcome: Ok(value),
                reason: Some(FlagReason {
                    code,
                    condition_index: condition,
                    description: None,
                }),
            },
            Answer::Undecided { reason, .. } => Self {
                outcome: Err(reason),
                reason: None,
            },
        }
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
