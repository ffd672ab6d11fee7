//! [`FlagEvaluations`]: the flags of somebody at one moment.
//!
//! ```text
//!  key ──► is it one of `keys`, `only`? ──► decided by the definitions? ──► in PostHog's answer? ──► unresolved, or unknown
//! ```
//!
//! A snapshot holds what values follow from: definitions, context, time and PostHog's answer. A flag is evaluated when it
//! is asked for; evaluation is pure, so it has the same value each time.
//!
//! Invariants: reading does no I/O; the first access to a flag is noted once for all clones and narrowed snapshots.

use super::FeatureFlags;
use super::called::Access;
use super::context::EvaluationContext;
use super::local::{FlagDecision, FlagDefinitions};
use super::on_events::{self, EventFlags};
use super::remote::{RemoteFlag, RemoteFlags};
use super::settings::FlagsOnEvents;
use super::value::{FlagReason, FlagValue, UnresolvedReason};
use crate::error::PostHogError;
use crate::redact;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;
use tracing::Span;

/// The flags of somebody at one moment. Cheap to clone; it never changes.
///
/// Reading never waits. The first access to a flag by [`is_enabled`](Self::is_enabled),
/// [`is_enabled_or`](Self::is_enabled_or), [`variant`](Self::variant) or [`flag`](Self::flag) is captured as
/// `$feature_flag_called`, once for each distinct id, groups, flag and value. [`payload`](Self::payload),
/// [`keys`](Self::keys), [`all`](Self::all) and [`unresolved`](Self::unresolved) are silent.
///
/// ```
/// # #[cfg(feature = "testing")] {
/// use tracing_posthog::testing::Flags;
///
/// let flags = Flags::new().on("beta-ui").variant("checkout", "b").build();
/// let user = flags.evaluate("user_42").locally();
///
/// assert!(user.is_enabled("beta-ui"));
/// assert_eq!(user.variant("checkout"), Some("b"));
/// assert!(user.is_enabled_or("unheard-of", true));
/// # }
/// ```
#[derive(Clone)]
pub struct FlagEvaluations {
    snapshot: Arc<Snapshot>,
    /// What [`only`](Self::only) left. `None`: everything.
    only: Option<Arc<BTreeSet<String>>>,
}

/// What values follow from.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) definitions: Option<Arc<FlagDefinitions>>,
    pub(super) remote: Option<RemoteFlags>,
    pub(super) error: Option<PostHogError>,
}

impl Made {
    pub(super) fn here(definitions: Option<Arc<FlagDefinitions>>) -> Self {
        Self {
            definitions,
            ..Self::default()
        }
    }
}

struct Snapshot {
    flags: FeatureFlags,
    context: EvaluationContext,
    session_id: Option<String>,
    /// The flags that were to be evaluated. `None`: all.
    keys: Option<Vec<String>>,
    silent: bool,
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

impl FlagEvaluations {
    pub(super) fn new(
        flags: FeatureFlags,
        context: EvaluationContext,
        session_id: Option<String>,
        keys: Option<Vec<String>>,
        silent: bool,
        at: SystemTime,
        made: Made,
    ) -> Self {
        Self {
            snapshot: Arc::new(Snapshot {
                flags,
                context,
                session_id,
                keys,
                silent,
                at,
                made,
                accessed: Mutex::default(),
                on_events: OnceLock::new(),
            }),
            only: None,
        }
    }

    /// Whether the flag is on: `true` or any variant. `false` where it has no value.
    pub fn is_enabled(&self, key: &str) -> bool {
        self.is_enabled_or(key, false)
    }

    /// Whether the flag is on, or `default` where it has no value: PostHog did not answer, the flag cannot be decided, or
    /// there is no such flag.
    pub fn is_enabled_or(&self, key: &str, default: bool) -> bool {
        self.flag(key).map_or(default, FlagValue::is_enabled)
    }

    /// The key of the flag's variant. `None`: it is off, has no variants, or has no value.
    pub fn variant(&self, key: &str) -> Option<&str> {
        self.flag(key)?.variant()
    }

    /// The flag's value. `None`: it has none.
    pub fn flag(&self, key: &str) -> Option<FlagValue<'_>> {
        let found = self.find(key);
        self.snapshot.accessed(key, &found);
        found.value()
    }

    /// The payload that the flag has for its value, as any type. `Ok(None)`: the flag is off or has no value or no
    /// payload.
    ///
    /// # Errors
    /// [`PostHogError::SerializationError`], naming the flag, where the payload has another shape.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use serde_json::json;
    /// use tracing_posthog::testing::Flags;
    ///
    /// #[derive(serde::Deserialize)]
    /// struct Limits {
    ///     requests: u32,
    /// }
    ///
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// let flags = Flags::new().payload("limits", json!({"requests": 100})).build();
    /// let user = flags.evaluate("user_42").locally();
    /// let limits: Option<Limits> = user.payload("limits")?;
    /// assert_eq!(limits.map(|limits| limits.requests), Some(100));
    ///
    /// let error = user.payload::<u32>("limits").unwrap_err();
    /// assert!(error.to_string().contains("\"limits\""));
    /// # Ok(())
    /// # }
    /// # main().unwrap();
    /// # }
    /// ```
    pub fn payload<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, PostHogError> {
        let Some(payload) = self.payload_of(key, &self.find(key)) else {
            return Ok(None);
        };
        serde_json::from_value(payload).map(Some).map_err(|source| {
            PostHogError::SerializationError {
                operation: "feature flags",
                what: format!(
                    "the payload of the flag {key:?} is no {}: {}",
                    std::any::type_name::<T>(),
                    redact::problem(&source)
                ),
                // The library quotes the value that it did not like.
                source: serde::de::Error::custom(redact::problem(&source)),
            }
        })
    }

    fn payload_of(&self, key: &str, found: &Found<'_>) -> Option<Value> {
        let payload = match found {
            Found::Here(value, _) => {
                let definitions = self.snapshot.made.definitions.as_ref()?;
                definitions.payload(key, *value)
            }
            Found::Remote(flag) => flag.payload.clone(),
            Found::Unresolved(_) | Found::Unknown => None,
        };
        payload.filter(|payload| !payload.is_null())
    }

    /// The keys of all flags that have a value, in alphabetical order.
    pub fn keys(&self) -> Vec<&str> {
        let mut keys = Vec::new();
        self.each(|key, found| keys.extend(found.value().map(|_| key)));
        keys.sort_unstable();
        keys
    }

    /// All flags that have a value, with it, in no particular order. Silent.
    pub fn all(&self) -> Vec<(&str, FlagValue<'_>)> {
        let mut all = Vec::with_capacity(self.snapshot.expected());
        self.each(|key, found| all.extend(found.value().map(|value| (key, value))));
        all
    }

    /// A snapshot of these flags only, for [`attach`](Self::attach) and [`Event::flags`](crate::Event::flags). Others have
    /// no value in it.
    pub fn only<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(Into::into);
        let keys = keys.filter(|key: &String| self.includes(key)).collect();
        Self {
            snapshot: self.snapshot.clone(),
            only: Some(Arc::new(keys)),
        }
    }

    /// A snapshot of the flags that were asked for until now; without any, of none.
    pub fn only_accessed(&self) -> Self {
        let accessed = self.snapshot.accessed_keys();
        self.only(accessed.iter().map(|key| key.to_string()))
    }

    /// The flags that have no value though they exist or were asked for by [`keys`](crate::Evaluate::keys), and why.
    ///
    /// Where nothing is known of any flag, because PostHog did not answer or no definitions were loaded, there may be
    /// none here: see [`error`](Self::error).
    pub fn unresolved(&self) -> Vec<(&str, UnresolvedReason)> {
        let mut unresolved = Vec::new();
        self.each(|key, found| {
            if let Found::Unresolved(reason) = found {
                unresolved.push((key, reason));
            }
        });
        unresolved.sort_unstable();
        unresolved
    }

    /// Why the flag has its value. `None`: it has none, or PostHog did not say.
    pub fn reason(&self, key: &str) -> Option<FlagReason<'_>> {
        match self.find(key) {
            Found::Here(_, decision) => decision.reason(),
            Found::Remote(flag) => flag.reason(),
            Found::Unresolved(_) | Found::Unknown => None,
        }
    }

    /// Why PostHog gave no answer, where it was asked.
    pub fn error(&self) -> Option<&PostHogError> {
        self.snapshot.made.error.as_ref()
    }

    /// PostHog's id of its answer, for its support. `None`: PostHog was not asked, or did not answer.
    pub fn request_id(&self) -> Option<&str> {
        self.snapshot.made.remote.as_ref()?.request_id.as_deref()
    }

    /// Lets the span, and events and spans within, carry the flags: `$feature/<key>`, and `$active_feature_flags` with
    /// the keys of those that are on. Which flags, says [`FlagSettings::on_events`](crate::FlagSettings::on_events): by
    /// default those that are asked for, from then on. Of a snapshot that [`only`](Self::only) made, all.
    ///
    /// A flag of a snapshot that is attached to an inner span replaces those of outer spans.
    pub fn attach(&self, span: &Span) {
        let snapshot = &self.snapshot;
        let setting = snapshot.flags.core.settings.on_events;
        if setting == FlagsOnEvents::None {
            return;
        }
        if self.only.is_some() {
            let flags = Arc::<EventFlags>::default();
            flags.set(self.all().into_iter());
            return on_events::attach(span, &flags);
        }
        let is_new = snapshot.on_events.get().is_none();
        let flags = snapshot.on_events.get_or_init(Arc::default);
        match setting {
            FlagsOnEvents::All if is_new => flags.set(self.all().into_iter()),
            FlagsOnEvents::Accessed => snapshot.update_events(&snapshot.lock_accessed()),
            _ => {}
        }
        on_events::attach(span, flags);
    }

    fn includes(&self, key: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(key))
    }

    fn find(&self, key: &str) -> Found<'_> {
        match self.includes(key) {
            true => self.snapshot.find(key),
            false => Found::Unknown,
        }
    }

    /// Calls `each` for every flag that was to be evaluated or that PostHog answered.
    fn each<'a>(&'a self, mut each: impl FnMut(&'a str, Found<'a>)) {
        let snapshot = &*self.snapshot;
        let mut each = |key: &'a str, found| {
            if self.includes(key) {
                each(key, found);
            }
        };
        if let Some(keys) = &snapshot.keys {
            for key in keys {
                each(key, snapshot.find(key));
            }
            return;
        }
        let definitions = snapshot.made.definitions.as_deref();
        if let Some(definitions) = definitions {
            definitions.evaluate_all(&snapshot.context, snapshot.at, &mut |key, decision| {
                each(key, snapshot.found(key, Some(decision)));
            });
        }
        if let Some(remote) = &snapshot.made.remote {
            for key in remote.flags.keys() {
                if definitions.is_none_or(|it| it.metadata(key).is_none()) {
                    each(key, snapshot.found(key, None));
                }
            }
        }
    }
}

impl Snapshot {
    fn find(&self, key: &str) -> Found<'_> {
        if let Some(keys) = &self.keys
            && !keys.iter().any(|asked| asked == key)
        {
            return Found::Unknown;
        }
        let here = self.made.definitions.as_ref();
        let here = here.and_then(|it| it.evaluate(key, &self.context, self.at));
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
            Some(_) => Found::Unresolved(UnresolvedReason::RequestFailed),
            None => match (undecided, remote) {
                (Some(reason), _) => Found::Unresolved(reason),
                (None, Some(remote)) if remote.is_partial() => {
                    Found::Unresolved(UnresolvedReason::RequestFailed)
                }
                (None, Some(_)) => Found::Unknown,
                (None, None) if self.made.error.is_some() => {
                    Found::Unresolved(UnresolvedReason::RequestFailed)
                }
                (None, None) if self.made.definitions.is_none() => {
                    Found::Unresolved(UnresolvedReason::NotLoaded)
                }
                (None, None) => Found::Unknown,
            },
        }
    }

    /// How many flags there are, about.
    fn expected(&self) -> usize {
        match (&self.keys, &self.made) {
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

    fn lock_accessed(&self) -> std::sync::MutexGuard<'_, Vec<Box<str>>> {
        self.accessed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accessed_keys(&self) -> Vec<Box<str>> {
        self.lock_accessed().clone()
    }

    /// Notes an access; the first one to a key is told to PostHog and to events.
    #[inline]
    fn accessed(&self, key: &str, found: &Found<'_>) {
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
        }
        if core.settings.on_events == FlagsOnEvents::Accessed && self.on_events.get().is_some() {
            self.update_events(&self.lock_accessed());
        }
        if self.silent || !core.settings.called_events || self.context.distinct_id.is_empty() {
            return;
        }
        let definitions = self.made.definitions.as_ref();
        let access = Access {
            key,
            context: &self.context,
            session_id: self.session_id.as_deref(),
            found,
            remote: self.made.remote.as_ref(),
            error: self.made.error.as_ref(),
            definition: definitions.and_then(|it| it.metadata(key)),
            minimal_by_definitions: definitions.is_some_and(|it| it.minimal_flag_called_events()),
            payload: match found {
                Found::Here(value, _) => definitions.and_then(|it| it.payload(key, *value)),
                Found::Remote(flag) => flag.payload.clone(),
                Found::Unresolved(_) | Found::Unknown => None,
            },
        };
        if let Some(capture) = self.flags.capture() {
            core.called.capture(&access, &capture, &core.counts);
        }
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

impl fmt::Debug for FlagEvaluations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.all();
        f.debug_struct("FlagEvaluations")
            .field("flags", &values)
            .field("unresolved", &self.unresolved())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}
