//! [`FlagEvaluations`]: the flags of somebody at one moment.
//!
//! A view of a `Snapshot`, which has the values. [`only`](FlagEvaluations::only) makes a narrower view of the same one.
//!
//! Invariants: reading does no I/O; the first access to a flag is noted once for all clones and narrowed snapshots.

use super::on_events::{self, EventFlags};
use super::settings::FlagsOnEvents;
use super::snapshot::{Found, Snapshot};
use super::value::{FlagReason, FlagValue, UnresolvedReason};
use crate::error::PostHogError;
use crate::redact;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
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

impl FlagEvaluations {
    pub(super) fn over(snapshot: Snapshot) -> Self {
        Self {
            snapshot: Arc::new(snapshot),
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
        if !self.includes(key) {
            // Which says nothing of the flag: it is no access.
            return None;
        }
        let found = self.snapshot.find(key);
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
        let found = self.find(key);
        if matches!(found, Found::Unknown) && self.includes(key) {
            self.snapshot.remark_unknown(key);
        }
        let Some(payload) = self.snapshot.payload_of(key, &found) else {
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

    /// The flags that have no value, and why: those that cannot be decided, and of those that
    /// [`keys`](crate::Evaluate::keys) names what nothing is known of. A key that no flag has is not among them.
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

    /// The names of the properties that the flag's conditions depend on and that were not given, as
    /// [`FlagDefinitions::missing`](crate::FlagDefinitions::missing) says. None without definitions.
    pub fn missing(&self, key: &str) -> Vec<String> {
        match self.includes(key) {
            true => self.snapshot.missing(key),
            false => Vec::new(),
        }
    }

    /// Why the flag has its value. `None`: it has none, or PostHog did not say.
    pub fn reason(&self, key: &str) -> Option<FlagReason<'_>> {
        match self.find(key) {
            Found::Here(_, decision) => decision.reason(),
            Found::Remote(flag) => flag.reason(),
            Found::Unresolved(_) | Found::Unknown => None,
        }
    }

    /// Why nothing, or less, is known: PostHog was asked and gave no answer; or, as [`PostHogError::Config`], nobody was
    /// named, definitions are never loaded, or flags are disabled.
    pub fn error(&self) -> Option<&PostHogError> {
        self.snapshot.made().error.as_ref()
    }

    /// PostHog's id of its answer, for its support. `None`: PostHog was not asked, or did not answer.
    pub fn request_id(&self) -> Option<&str> {
        self.snapshot.made().remote.as_ref()?.request_id.as_deref()
    }

    /// Lets the span, and events and spans within, carry the flags: `$feature/<key>`, and `$active_feature_flags` with
    /// the keys of those that are on. Which flags, says [`FlagSettings::on_events`](crate::FlagSettings::on_events): by
    /// default those that are asked for, from then on. Of a snapshot that [`only`](Self::only) made, all.
    ///
    /// A flag of a snapshot that is attached to an inner span replaces those of outer spans.
    pub fn attach(&self, span: &Span) {
        if self.snapshot.on_events_setting() == FlagsOnEvents::None {
            return;
        }
        if self.only.is_some() {
            let flags = Arc::<EventFlags>::default();
            flags.set(self.all().into_iter());
            return on_events::attach(span, &flags);
        }
        on_events::attach(span, self.snapshot.event_flags(|| self.all()));
    }

    /// Calls `each` for every flag of this snapshot.
    fn each<'a>(&'a self, mut each: impl FnMut(&'a str, Found<'a>)) {
        self.snapshot.each(|key, found| {
            if self.includes(key) {
                each(key, found);
            }
        });
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
}

/// A value as debug output shows it: of JSON, which is a payload, that it is some.
struct Shown<'a>(FlagValue<'a>);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            FlagValue::Json(_) => f.write_str("Json(…)"),
            value => fmt::Debug::fmt(&value, f),
        }
    }
}

/// Flags with their values, but no payloads.
impl fmt::Debug for FlagEvaluations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values = self.all().into_iter();
        let values: Vec<_> = values.map(|(key, value)| (key, Shown(value))).collect();
        f.debug_struct("FlagEvaluations")
            .field("flags", &values)
            .field("unresolved", &self.unresolved())
            .field("error", &self.error())
            .finish_non_exhaustive()
    }
}
