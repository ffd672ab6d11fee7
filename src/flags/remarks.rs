//! What is logged of how flags are used: where they are evaluated, and mistakes that would make every flag `false` without a
//! word.
//!
//! Invariant: each is said once, or once a minute, with the remedy; keys of flags are shown cleaned, ids never.

use crate::capture::diagnostics::{nearest, shown};
use crate::diagnostics::{OncePerEpisode, log};
use crate::flags::value::UnresolvedReason;
use crate::suppress::SuppressGuard;
use std::collections::HashSet;
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Programs name their flags. More unknown keys than this come from elsewhere.
const MAX_KEYS: usize = 100;

/// So many properties are named.
const MAX_MISSING: usize = 10;

#[derive(Debug, Default)]
pub(super) struct Remarks(Mutex<Said>);

#[derive(Debug, Default)]
struct Said {
    nobody: OncePerEpisode,
    never_loaded: bool,
    by_posthog: bool,
    loaded: bool,
    unknown: Keys,
    asked_for: Keys,
}

/// Keys about which something was said, up to [`MAX_KEYS`].
#[derive(Debug, Default)]
struct Keys(HashSet<Box<str>>);

impl Keys {
    /// Whether there is something to say about the key: it is the first time, and there is room.
    fn is_new(&mut self, key: &str) -> bool {
        self.0.len() < MAX_KEYS && self.0.insert(key.into())
    }
}

impl Remarks {
    /// Flags were evaluated without a distinct id.
    #[cold]
    pub(super) fn nobody(&self, place: &Location<'_>) {
        if self.lock().nobody.again() {
            let _suppressed = SuppressGuard::enter();
            log!(
                target: "tracing_posthog::flags",
                warn,
                at = %place,
                "flags were evaluated without a distinct id, so none has a value; give `evaluate` an id, and let a span \
                 around `evaluate_current` name one (`posthog.distinct_id`; a task that is spawned needs the span too)"
            );
        }
    }

    /// Flags were evaluated locally, and definitions are never loaded.
    #[cold]
    pub(super) fn never_loaded(&self, why: &str) {
        if !std::mem::replace(&mut self.lock().never_loaded, true) {
            let _suppressed = SuppressGuard::enter();
            log!(
                target: "tracing_posthog::flags",
                warn,
                "flags were evaluated `locally`, but no definitions are ever loaded, so none has a value: {why}"
            );
        }
    }

    /// PostHog is asked, because this client cannot load definitions.
    pub(super) fn by_posthog(&self, why: &str) {
        if !std::mem::replace(&mut self.lock().by_posthog, true) {
            let _suppressed = SuppressGuard::enter();
            log!(
                target: "tracing_posthog::flags",
                info,
                "feature flags are evaluated by PostHog, by one request each time: {why}"
            );
        }
    }

    /// PostHog is asked for a flag that an evaluation could not decide. Those that never can be are named when they load.
    #[cold]
    pub(super) fn asked_for(
        &self,
        key: &str,
        reason: UnresolvedReason,
        missing: impl FnOnce() -> Vec<String>,
    ) {
        if reason != UnresolvedReason::MissingContext || !self.lock().asked_for.is_new(key) {
            return;
        }
        let mut missing = missing();
        missing.truncate(MAX_MISSING);
        let _suppressed = SuppressGuard::enter();
        log!(
            target: "tracing_posthog::flags",
            info,
            missing = shown(&missing.join(", ")),
            "an evaluation cost a request because of the feature flag \"{}\": its conditions depend on properties that were not \
             given; give them, or name the flags that you read by `keys`",
            shown(key),
        );
    }

    /// The first definitions are there.
    pub(super) fn loaded(&self, flags: usize, poll_interval: std::time::Duration) {
        if !std::mem::replace(&mut self.lock().loaded, true) {
            log!(
                target: "tracing_posthog::flags",
                info,
                flags,
                "the definitions of feature flags are loaded, and again every {poll_interval:?}; flags are evaluated in \
                 this process"
            );
        }
    }

    /// There was an access to a flag that the evaluation left out.
    pub(super) fn left_out(&self, key: &str) {
        if self.lock().unknown.is_new(key) {
            let _suppressed = SuppressGuard::enter();
            log!(
                target: "tracing_posthog::flags",
                warn,
                "the feature flag \"{}\" has no value: it is not among the `keys` of its evaluation",
                shown(key),
            );
        }
    }

    /// There was an access to a key that no flag has.
    pub(super) fn unknown<'a>(&self, key: &str, known: impl Iterator<Item = &'a str>) {
        if !self.lock().unknown.is_new(key) {
            return;
        }
        let _suppressed = SuppressGuard::enter();
        let hint = match nearest(key, known) {
            Some(nearest) => format!("; did you mean \"{}\"?", shown(nearest)),
            None => String::new(),
        };
        log!(
            target: "tracing_posthog::flags",
            warn,
            "there is no feature flag \"{}\", so it has no value{hint}",
            shown(key),
        );
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
