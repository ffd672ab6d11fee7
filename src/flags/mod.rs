//! Feature flags: what is on for whom, evaluated here or by PostHog (feature `flags`).
//!
//! ```text
//!  FeatureFlags ──evaluate(context)──► Evaluate ──locally()──────────────────────► FlagEvaluations
//!      │                                  │                                          │   ▲    │ first access
//!      │                                  └──.await──► [local]: all decided? ─ yes ──┘   │    ├──► [called]: $feature_flag_called
//!      ▼                                                   │ no                          │    └──► [on_events]: $feature/… on spans
//!  Core: definitions ◄── [poller] ◄── PostHog              └──► [remote]: POST /flags/ ──┘
//! ```
//!
//! - [`context`]: for whom. [`value`]: what a flag is, and why. [`settings`]: how one client evaluates.
//! - [`evaluate`]: one evaluation before it is made. [`evaluations`]: what comes of it, a view of a [`snapshot`].
//! - [`local`]: evaluation here, as PostHog does it: a pure function of definitions, context and time.
//! - [`poller`]: loads definitions, and loads them again. [`remote`]: asks PostHog for somebody's flags.
//! - [`absent`]: keys that no flag has, so that they cost one request and not one each time.
//! - [`called`]: what PostHog is told of flags that were asked for. [`on_events`]: flags as properties of events.
//! - [`remarks`]: what is logged of how flags are used.
//! - [`core`]: what all clones of a client's [`FeatureFlags`] share.
//!
//! This module knows `capture` (for `$feature_flag_called`), `http` and `layer` (for flags on events). `client` keeps the
//! [`Core`], so that a client has one poller.
//!
//! Invariants:
//! - A flag that cannot be decided is undecided by itself, with a reason, and never `false` by mistake: whoever wants a
//!   value then gives a default.
//! - A value that was decided here is never replaced by another of the same snapshot.
//! - Reading never waits: definitions are swapped as a whole, and a snapshot keeps those it began with.
//! - Nothing is requested before the first use, and nothing after the client is gone.

mod absent;
mod called;
mod context;
mod core;
mod evaluate;
mod evaluations;
mod local;
pub(crate) mod on_events;
mod poller;
mod remarks;
mod remote;
mod settings;
mod snapshot;
mod stats;
mod value;

pub(crate) use self::core::Core;
pub use context::EvaluationContext;
pub use evaluate::Evaluate;
pub use evaluations::FlagEvaluations;
pub use local::{FlagDecision, FlagDefinitions};
pub use settings::{FlagMode, FlagSettings, FlagsOnEvents};
pub use stats::FlagStats;
pub use value::{FlagReason, FlagValue, UnresolvedReason};

use crate::capture::CaptureHandle;
use crate::client::PostHogClient;
use crate::error::PostHogError;
use std::fmt;
use std::sync::Arc;

/// Evaluates feature flags. Cheap to clone.
///
/// It comes from [`PostHog::flags`](crate::PostHog::flags), from a client by [`PostHogClient::flags`], or without any
/// PostHog from [`definitions`](Self::from_definitions). All those of one client share its definitions, and the one task
/// that loads them, which the first use starts.
///
/// ```no_run
/// # async fn f(posthog: &tracing_posthog::PostHog) -> Result<(), tracing_posthog::PostHogError> {
/// if let Err(error) = posthog.flags().ready().await {
///     tracing::warn!("no feature flags yet: {error}"); // the program goes on without
/// }
/// let user = posthog.flags().evaluate("user_42").person("plan", "pro").group("company", "acme").locally();
/// if user.is_enabled("beta-ui") {
///     // …
/// }
/// match user.variant("checkout") {
///     Some("b") => { /* … */ }
///     _ => { /* … */ }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct FeatureFlags {
    pub(crate) core: Arc<Core>,
    /// Where `$feature_flag_called` goes. `None`: to the backend that was started over the client.
    capture: Option<CaptureHandle>,
}

impl FeatureFlags {
    /// The flags of a client: the same as [`PostHogClient::flags`].
    pub fn new(client: &PostHogClient) -> Self {
        client.flags()
    }

    pub(crate) fn over(core: Arc<Core>) -> Self {
        Self {
            core,
            capture: None,
        }
    }

    /// Flags of these definitions, without a client or any request, for good. What cannot be decided by them stays
    /// unresolved. Accesses are captured where [`capture_to`](Self::capture_to) says.
    ///
    /// ```
    /// use tracing_posthog::{FeatureFlags, FlagDefinitions};
    ///
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// let definitions = FlagDefinitions::parse(br#"{"flags": [{"key": "beta-ui", "active": true,
    ///     "filters": {"groups": [{"properties": [], "rollout_percentage": 100}]}}]}"#)?;
    /// let flags = FeatureFlags::from_definitions(definitions);
    /// let user = flags.evaluate("user_42").locally();
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_definitions(definitions: FlagDefinitions) -> Self {
        Self::over(Arc::new(Core::fixed(definitions)))
    }

    /// Flags that are all unknown, and nothing is requested or captured.
    pub fn disabled() -> Self {
        Self::over(Arc::new(Core::disabled()))
    }

    /// Captures `$feature_flag_called` by that handle. Default: by the backend that was started over the client, if one
    /// was.
    pub fn capture_to(mut self, handle: CaptureHandle) -> Self {
        self.capture = Some(handle);
        self
    }

    pub(crate) fn capture(&self) -> Option<CaptureHandle> {
        match &self.capture {
            Some(handle) => Some(handle.clone()),
            None => self.core.backend(),
        }
    }

    /// Evaluates the flags of a person: somebody's distinct id, or an [`EvaluationContext`]. Add what is known, then
    /// await it, or evaluate [`locally`](Evaluate::locally).
    #[track_caller]
    pub fn evaluate(&self, context: impl Into<EvaluationContext>) -> Evaluate {
        Evaluate::new(self.clone(), context.into())
    }

    /// Evaluates the flags of whom the current span belongs to: its identity, groups and properties, those of the spans
    /// around it included, as [`current_context`](CaptureHandle::current_context) reads them. The properties count as
    /// person properties.
    ///
    /// Events within the span then carry the flags, as [`FlagEvaluations::attach`] says. The evaluation keeps the span open
    /// until it is made or dropped; the snapshot does not.
    ///
    /// Where no span names anybody, no flag has a value, nothing is requested, and a warning says where that was.
    #[track_caller]
    pub fn evaluate_current(&self) -> Evaluate {
        Evaluate::of_current(self.clone())
    }

    /// The definitions that are in force. `None`: none were loaded.
    pub fn definitions(&self) -> Option<Arc<FlagDefinitions>> {
        self.core.definitions()
    }

    /// Waits for the end of the first load of definitions, at most for
    /// [`definitions_timeout`](crate::FlagSettings::definitions_timeout) (10 s). It returns at once where definitions are
    /// loaded, or where PostHog evaluates flags. The first use of flags starts loading.
    ///
    /// # Errors
    /// What the last load failed with: [`PostHogError::ApiError`] where PostHog refuses the key, for example. Loading goes
    /// on, so that it may be called again. That loads at once, unless PostHog asked to be left alone for a time
    /// (`Retry-After`): until then it returns the same error.
    pub async fn ready(&self) -> Result<(), PostHogError> {
        self.core.ready().await
    }

    /// Loads the definitions now, and waits for them. Does nothing where flags are evaluated by PostHog.
    ///
    /// # Errors
    /// What the load failed with.
    pub async fn refresh(&self) -> Result<(), PostHogError> {
        self.core.refresh().await
    }

    /// What was evaluated, requested and loaded so far, by all clones.
    pub fn stats(&self) -> FlagStats {
        self.core.stats()
    }
}

impl fmt::Debug for FeatureFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeatureFlags")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
