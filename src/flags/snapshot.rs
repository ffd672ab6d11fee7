//! What a [`FlagEvaluations`](super::FlagEvaluations) and all that are narrowed from it share: what values follow from, and
//! which flags were asked for.
//!
//! ```text
//!  key ──► to be evaluated? ──► decided by the definitions? ──► in PostHog's answer? ──► unresolved, or unknown
//! ```
//!
//! Invariants: a key has the same value each time; the first access to it is noted once; code of the program never runs
//! under the lock.

use super::FeatureFlags;
use super::called::Access;
use super::context::EvaluationContext;
use super::local::{FlagDecision, FlagDefinitions};
use super::on_events::EventFlags;
use super::remote::{RemoteFlag, RemoteFlags};
use super::settings::FlagsOnEvents;
use super::value::{FlagValue, UnresolvedReason};
use crate::error::PostHogError;
use serde_json::Value;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

/// What values follow from.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) definitions: Option<Arc<FlagDefinitions>>,
    pub(super) remote: Option<RemoteFlags>,
    pub(super) error: Option<PostHogError>,
}

impl Made {
    /// Nothing is known, and why.
    pub(super) fn nothing(error: PostHogError) -> Self {
        Self {
            error: Some(error),
            ..Self::default()
        }
    }

    /// Why PostHog was asked in vain. What is wrong with the program's settings is no request.
    fn request_error(&self) -> Option<&PostHogError> {
        let error = self.error.as_ref();
        error.filter(|error| !matches!(error, PostHogError::Config { .. }))
    }

    pub(super) fn here(definitions: Option<Arc<FlagDefinitions>>) -> Self {
        Self {
            definitions,
            ..Self::default()
        }
    }
}

/// What was to be evaluated.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) context: EvaluationContext,
    /// Of the current span; for `$feature_flag_called`.
    pub(super) session_id: Option<String>,
    /// The flags that were to be evaluated, in order, each once. `None`: all.
    pub(super) keys: Option<Vec<String>>,
    pub(super) silent: bool,
}

impl Asked {
    fn includes(&self, key: &str) -> bool {
        let keys = self.keys.as_ref();
        keys.is_none_or(|keys| {
            keys.binary_search_by(|asked| asked.as_str().cmp(key))
                .is_ok()
        })
    }
}

pub(super) struct Snapshot {
    flags: FeatureFlags,
    asked: Asked,
    at: SystemTime,
    made: Made,
    /// The keys that were asked for.
    accessed: Mutex<Vec<Box<str>>>,
    /// What spans say that it is attached to.
    on_events: OnceLock<Arc<EventFlags>>,
}

/// More accesses to different keys are not remembered.
const MAX_ACCESSED: usize = 1_000;

/// What a snapshot knows of a key.
pub(super) enum Found<'a> {
    Here(FlagValue<'a>, FlagDecision<'a>),
    Remote(&'a RemoteFlag),
    Unresolved(UnresolvedReason),
    Unknown,
}

impl<'a> Found<'a> {
    pub(super) fn value(&self) -> Option<FlagValue<'a>> {
        match self {
            Self::Here(value, _) => Some(*value),
            Self::Remote(flag) => Some(flag.value()),
            Self::Unresolved(_) | Self::Unknown => None,
        }
    }
}

impl Snapshot {
    pub(super) fn new(flags: FeatureFlags, asked: Asked, at: SystemTime, made: Made) -> Self {
        Self {
            flags,
            asked,
            at,
            made,
            accessed: Mutex::default(),
            on_events: OnceLock::new(),
        }
    }

    pub(super) fn made(&self) -> &Made {
        &self.made
    }

    pub(super) fn on_events_setting(&self) -> FlagsOnEvents {
        self.flags.core.settings.on_events
    }

    /// What is known of a key.
    pub(super) fn find(&self, key: &str) -> Found<'_> {
        if !self.asked.includes(key) {
            return Found::Unknown;
        }
        let here = self.made.definitions.as_ref();
        let here = here.and_then(|it| it.evaluate(key, &self.asked.context, self.at));
        self.found(key, here)
    }

    fn found<'a>(&'a self, key: &str, here: Option<FlagDecision<'a>>) -> Found<'a> {
        let undecided = match here {
            Some(decision) => match decision.value() {
                Ok(value) => return Found::Here(value, decision),
                Err(reason) => Some(reason),
            },
            None => None,
        };
        let remote = self.made.remote.as_ref();
        match remote.and_then(|remote| remote.flags.get(key)) {
            Some(flag) if !flag.failed => Found::Remote(flag),
            Some(_) => Found::Unresolved(UnresolvedReason::NotComputed),
            None => match (undecided, remote) {
                (Some(reason), _) => Found::Unresolved(reason),
                (None, Some(remote)) if remote.quota_limited => {
                    Found::Unresolved(UnresolvedReason::RequestFailed)
                }
                (None, Some(remote)) if remote.errors_while_computing => {
                    Found::Unresolved(UnresolvedReason::NotComputed)
                }
                (None, Some(_)) => Found::Unknown,
                (None, None) if self.asked.context.distinct_id.is_empty() => {
                    Found::Unresolved(UnresolvedReason::MissingContext)
                }
                (None, None) if self.made.request_error().is_some() => {
                    Found::Unresolved(UnresolvedReason::RequestFailed)
                }
                (None, None) if self.made.definitions.is_none() => {
                    Found::Unresolved(UnresolvedReason::NotLoaded)
                }
                (None, None) => Found::Unknown,
            },
        }
    }

    /// Calls `each` for every flag that was to be evaluated or that PostHog answered.
    pub(super) fn each<'a>(&'a self, mut each: impl FnMut(&'a str, Found<'a>)) {
        if let Some(keys) = &self.asked.keys {
            for key in keys {
                each(key, self.find(key));
            }
            return;
        }
        let definitions = self.made.definitions.as_deref();
        if let Some(definitions) = definitions {
            definitions.evaluate_all(&self.asked.context, self.at, |key, decision| {
                each(key, self.found(key, Some(decision)));
            });
        }
        if let Some(remote) = &self.made.remote {
            for key in remote.flags.keys() {
                if definitions.is_none_or(|it| !it.contains(key)) {
                    each(key, self.found(key, None));
                }
            }
        }
    }

    /// The payload of a flag, decoded.
    pub(super) fn payload_of(&self, key: &str, found: &Found<'_>) -> Option<Value> {
        let payload = match found {
            Found::Here(value, _) => self.made.definitions.as_ref()?.payload(key, *value),
            Found::Remote(flag) => flag.payload.clone(),
            Found::Unresolved(_) | Found::Unknown => None,
        };
        payload.filter(|payload| !payload.is_null())
    }

    /// What the flag's conditions depend on and was not given.
    pub(super) fn missing(&self, key: &str) -> Vec<String> {
        let definitions = self.made.definitions.iter();
        let missing = definitions.flat_map(|it| it.missing(key, &self.asked.context));
        missing.collect()
    }

    /// How many flags there are, about.
    pub(super) fn expected(&self) -> usize {
        match (&self.asked.keys, &self.made) {
            (Some(keys), _) => keys.len(),
            (
                None,
                Made {
                    remote: Some(remote),
                    ..
                },
            ) => remote.flags.len(),
            (None, Made { definitions, .. }) => definitions.as_ref().map_or(0, |it| it.len()),
        }
    }

    fn lock_accessed(&self) -> MutexGuard<'_, Vec<Box<str>>> {
        self.accessed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn accessed_keys(&self) -> Vec<Box<str>> {
        self.lock_accessed().clone()
    }

    /// Notes an access; the first one to a key is told to PostHog and to events.
    #[inline]
    pub(super) fn accessed(&self, key: &str, found: &Found<'_>) {
        let is_first = {
            let mut accessed = self.lock_accessed();
            let is_known = accessed.iter().any(|known| **known == *key);
            let is_first = !is_known && accessed.len() < MAX_ACCESSED;
            if is_first {
                accessed.push(key.into());
            }
            is_first
        };
        if is_first {
            self.first_access(key, found);
        }
    }

    #[cold]
    fn first_access(&self, key: &str, found: &Found<'_>) {
        let core = &self.flags.core;
        if matches!(found, Found::Unknown) {
            core.counts.unknown.fetch_add(1, Relaxed);
            self.remark_unknown(key);
        }
        if core.settings.on_events == FlagsOnEvents::Accessed && self.on_events.get().is_some() {
            self.update_events(&self.lock_accessed());
        }
        if self.asked.silent
            || !core.settings.called_events
            || self.asked.context.distinct_id.is_empty()
        {
            return;
        }
        let definitions = self.made.definitions.as_ref();
        let access = Access {
            key,
            context: &self.asked.context,
            session_id: self.asked.session_id.as_deref(),
            found,
            remote: self.made.remote.as_ref(),
            request_error: self.made.request_error(),
            definition: definitions.and_then(|it| it.metadata(key)),
            minimal_by_definitions: definitions.is_some_and(|it| it.minimal_flag_called_events()),
            payload: self.payload_of(key, found),
        };
        if let Some(capture) = self.flags.capture() {
            core.called.capture(&access, &capture, &core.counts);
        }
    }

    /// What spans say that the snapshot is attached to.
    pub(super) fn event_flags<'a>(
        &self,
        all: impl FnOnce() -> Vec<(&'a str, FlagValue<'a>)>,
    ) -> &Arc<EventFlags> {
        let is_new = self.on_events.get().is_none();
        let flags = self.on_events.get_or_init(Arc::default);
        match self.on_events_setting() {
            FlagsOnEvents::All if is_new => flags.set(all().into_iter()),
            FlagsOnEvents::Accessed => self.update_events(&self.lock_accessed()),
            FlagsOnEvents::All | FlagsOnEvents::None => {}
        }
        flags
    }

    /// Says that the key is no flag's, or was left out. Once for each key.
    #[cold]
    pub(super) fn remark_unknown(&self, key: &str) {
        let remarks = &self.flags.core.remarks;
        if !self.asked.includes(key) {
            return remarks.left_out(key);
        }
        let definitions = self.made.definitions.iter().flat_map(|it| it.keys());
        let remote = self.made.remote.iter();
        let remote = remote.flat_map(|it| it.flags.keys().map(String::as_str));
        remarks.unknown(key, definitions.chain(remote));
    }

    /// Gives events the flags that were accessed. Under the lock, so that the last one wins.
    fn update_events(&self, accessed: &[Box<str>]) {
        if let Some(flags) = self.on_events.get() {
            let values = accessed
                .iter()
                .filter_map(|key| Some((&**key, self.find(key).value()?)));
            flags.set(values);
        }
    }
}
