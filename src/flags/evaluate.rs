//! [`Evaluate`]: one evaluation before it is made.

use super::FeatureFlags;
use super::context::EvaluationContext;
use super::core::Source;
use super::evaluations::FlagEvaluations;
use super::local::FlagDefinitions;
use super::settings::FlagMode;
use super::snapshot::{Asked, Made, Snapshot};
use super::value::UnresolvedReason;
use crate::capture::GeoIp;
use crate::error::PostHogError;
use serde_json::Value;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::SystemTime;
use tracing::Span;

/// One evaluation, made by [`FeatureFlags::evaluate`]. Say what is known of the person; then await it, or evaluate
/// [`locally`](Self::locally).
///
/// Its `Debug` output shows names, but no ids and values, which may be personal.
///
/// ```no_run
/// # async fn f(flags: &tracing_posthog::FeatureFlags) -> Result<(), tracing_posthog::PostHogError> {
/// let user = flags
///     .evaluate("user_42")
///     .person("plan", "pro")
///     .group("company", "acme")
///     .group_property("company", "seats", 40)
///     .keys(["beta-ui", "checkout"]) // no others are evaluated
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Awaited
///
/// Flags are evaluated here where the client has a key that may read definitions ([`FlagMode`]): the first time it waits
/// for them, at most for [`request_timeout`](crate::FlagSettings::request_timeout) (3 s). Where a flag cannot be decided
/// here, one request asks PostHog for all of them; values that were decided here stay. With its retry a request takes at
/// most 6.3 s, so the first evaluation takes at most 9.3 s where PostHog hangs; after five failures in a row the
/// [circuit breaker](crate::Destination::Flags) lets them fail at once for half a minute.
///
/// A PostHog that is slow, down or refuses is no error: the snapshot then says what is unknown, and
/// [why](FlagEvaluations::error). So `?` never fails a request of yours because of PostHog.
///
/// # Errors
/// [`PostHogError::Config`] where PostHog has to be asked and the client has no project API key.
#[must_use = "an evaluation does nothing until it is awaited or made `locally`"]
pub struct Evaluate {
    flags: FeatureFlags,
    asked: Asked,
    geoip: Option<GeoIp>,
    attach_to: Option<Span>,
    /// Where in the program it is made.
    place: &'static Location<'static>,
}

impl Evaluate {
    #[track_caller]
    pub(super) fn new(flags: FeatureFlags, context: EvaluationContext) -> Self {
        Self {
            flags,
            asked: Asked {
                context,
                session_id: None,
                keys: None,
                silent: false,
            },
            geoip: None,
            attach_to: None,
            place: Location::caller(),
        }
    }

    #[track_caller]
    pub(super) fn of_current(flags: FeatureFlags) -> Self {
        let here = flags.capture().map(|capture| capture.current_context());
        let here = here.unwrap_or_default();
        let mut context = EvaluationContext::new(here.distinct_id().unwrap_or_default());
        for (group_type, key) in here.groups() {
            context = context.group(group_type, key);
        }
        let properties = here.properties().iter();
        let of_person = properties.filter(|(name, _)| !super::on_events::is_of_flags(name));
        context = context.person_properties(of_person.map(|(name, value)| (name, value.clone())));
        let mut evaluate = Self::new(flags, context);
        evaluate.asked.session_id = here.session_id().map(str::to_owned);
        evaluate.attach_to = Some(Span::current());
        evaluate
    }

    /// A property of the person. See [`EvaluationContext::person`].
    pub fn person(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.asked.context = self.asked.context.person(name, value);
        self
    }

    /// Properties of the person. See [`EvaluationContext::person_properties`].
    pub fn person_properties<N: Into<String>, V: Into<Value>>(
        mut self,
        properties: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.asked.context = self.asked.context.person_properties(properties);
        self
    }

    /// The group of that type that the person belongs to.
    pub fn group(mut self, group_type: impl Into<String>, key: impl Into<String>) -> Self {
        self.asked.context = self.asked.context.group(group_type, key);
        self
    }

    /// A property of the group of that type.
    pub fn group_property(
        mut self,
        group_type: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        self.asked.context = self.asked.context.group_property(group_type, name, value);
        self
    }

    /// The device, for flags that are the same for everybody who uses a device.
    pub fn device_id(mut self, id: impl Into<String>) -> Self {
        self.asked.context = self.asked.context.device_id(id);
        self
    }

    /// Evaluates these flags only. Others are unknown in the snapshot. Default: all.
    ///
    /// A flag that cannot be decided here costs a request, whether or not anybody asks for it: naming those that you ask
    /// for saves that.
    pub fn keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        let mut keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        keys.sort_unstable();
        keys.dedup();
        self.asked.keys = Some(keys);
        self
    }

    /// Captures no `$feature_flag_called`, whatever the snapshot is asked for.
    pub fn silently(mut self) -> Self {
        self.asked.silent = true;
        self
    }

    /// Whether PostHog looks up where the person is by the address that the request comes from. Default: that of
    /// [`FlagSettings::geoip`](crate::FlagSettings::geoip).
    pub fn geoip(mut self, geoip: GeoIp) -> Self {
        self.geoip = Some(geoip);
        self
    }

    /// Evaluates here, without waiting and without a request. What cannot be decided here is
    /// [unresolved](FlagEvaluations::unresolved). So are all flags as long as no definitions are loaded: await
    /// [`FeatureFlags::ready`] at the start of the program.
    ///
    /// Each flag is evaluated when it is asked for.
    ///
    /// ```no_run
    /// # fn f(flags: &tracing_posthog::FeatureFlags) {
    /// let user = flags.evaluate("user_42").person("plan", "pro").locally();
    /// let new_search = user.is_enabled_or("new-search", false);
    /// # }
    /// ```
    pub fn locally(self) -> FlagEvaluations {
        self.flags.core.start_polling();
        let now = self.now();
        if let Some(error) = self.about_nobody() {
            return self.nothing(now, error);
        }
        let core = &self.flags.core;
        let definitions = core.definitions();
        if definitions.is_none()
            && let Some(why) = core.never_loads()
        {
            core.remarks.never_loaded(why);
            return self.nothing(now, PostHogError::config("feature_flags_secret_key", why));
        }
        self.made(now, Made::here(definitions))
    }

    /// Asks PostHog for all flags, also where they could be decided here.
    ///
    /// # Errors
    /// As where the evaluation is awaited.
    pub async fn remotely(self) -> Result<FlagEvaluations, PostHogError> {
        let now = self.now();
        match self.about_nobody() {
            Some(error) => Ok(self.nothing(now, error)),
            None => self.ask(now, None).await,
        }
    }

    async fn awaited(self) -> Result<FlagEvaluations, PostHogError> {
        let now = self.now();
        if let Some(error) = self.about_nobody() {
            return Ok(self.nothing(now, error));
        }
        let core = &self.flags.core;
        let definitions = core.loaded_definitions().await;
        if core.settings.mode == FlagMode::LocalOnly {
            return Ok(self.made(now, Made::here(definitions)));
        }
        if let Some(here) = &definitions {
            let confirmed = core.counts.confirmations();
            match self.undecided(here, now, |key| core.absent.contains(confirmed, key)) {
                None => return Ok(self.made(now, Made::here(definitions))),
                Some((key, Some(reason))) => {
                    let missing = || here.missing(key, &self.asked.context);
                    core.remarks.asked_for(key, reason, missing);
                }
                Some((_, None)) => {}
            }
        }
        self.ask(now, definitions).await
    }

    /// A flag that is asked for and cannot be decided here, and why; without a reason where there is no such flag.
    fn undecided<'a>(
        &'a self,
        definitions: &'a FlagDefinitions,
        now: SystemTime,
        is_absent: impl Fn(&str) -> bool,
    ) -> Option<(&'a str, Option<UnresolvedReason>)> {
        let context = &self.asked.context;
        let Some(keys) = &self.asked.keys else {
            let mut undecided = None;
            definitions.evaluate_all(context, now, |key, decision| {
                if let Err(reason) = decision.value() {
                    undecided.get_or_insert((key, Some(reason)));
                }
            });
            return undecided;
        };
        keys.iter()
            .find_map(|key| match definitions.evaluate(key, context, now) {
                Some(decision) => Some((key.as_str(), Some(decision.value().err()?))),
                None if is_absent(key) => None,
                None => Some((key, None)),
            })
    }

    async fn ask(
        self,
        now: SystemTime,
        definitions: Option<Arc<FlagDefinitions>>,
    ) -> Result<FlagEvaluations, PostHogError> {
        let core = &self.flags.core;
        if core.http().is_none() {
            // There is no other place to ask.
            let definitions = definitions.or_else(|| core.definitions());
            return Ok(self.made(now, Made::here(definitions)));
        }
        let confirmed = core.counts.confirmations();
        let geoip = self.geoip.unwrap_or(core.settings.geoip);
        let answer = core
            .ask(&self.asked.context, self.asked.keys.as_deref(), geoip)
            .await;
        let made = match answer {
            Ok(remote) => {
                if let (Some(definitions), Some(keys)) = (&definitions, &self.asked.keys)
                    && !remote.is_partial()
                {
                    let keys = keys.iter().map(String::as_str);
                    let is_absent =
                        |key: &&str| !definitions.contains(key) && !remote.flags.contains_key(*key);
                    core.absent.note(confirmed, keys.filter(is_absent));
                }
                Made {
                    definitions,
                    remote: Some(remote),
                    ..Made::default()
                }
            }
            Err(error @ PostHogError::Config { .. }) => return Err(error),
            Err(error) => Made {
                definitions,
                error: Some(error),
                ..Made::default()
            },
        };
        Ok(self.made(now, made))
    }

    /// Why nothing can be known, if there is nobody, or nowhere, to ask about.
    fn about_nobody(&self) -> Option<PostHogError> {
        let core = &self.flags.core;
        if matches!(core.source, Source::Disabled) {
            let why = core.never_loads().unwrap_or_default();
            return Some(PostHogError::config("feature flags", why));
        }
        if self.asked.context.distinct_id.is_empty() {
            core.counts.without_id.fetch_add(1, Relaxed);
            core.remarks.nobody(self.place);
            return Some(PostHogError::config(
                "distinct_id",
                format!(
                    "flags were evaluated for nobody at {}; give `evaluate` an id, or let a span name one",
                    self.place
                ),
            ));
        }
        None
    }

    fn now(&self) -> SystemTime {
        self.flags.core.settings.clock.now()
    }

    /// A snapshot of nothing. It replaces no other on a span.
    fn nothing(self, now: SystemTime, error: PostHogError) -> FlagEvaluations {
        let snapshot = Snapshot::new(self.flags, self.asked, now, Made::nothing(error));
        FlagEvaluations::over(snapshot)
    }

    fn made(self, now: SystemTime, made: Made) -> FlagEvaluations {
        let snapshot = Snapshot::new(self.flags, self.asked, now, made);
        let evaluations = FlagEvaluations::over(snapshot);
        if let Some(span) = self.attach_to {
            evaluations.attach(&span);
        }
        evaluations
    }
}

impl fmt::Debug for Evaluate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evaluate")
            .field("context", &self.asked.context)
            .field("keys", &self.asked.keys)
            .field("silent", &self.asked.silent)
            .field("geoip", &self.geoip)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for Evaluate {
    type Output = Result<FlagEvaluations, PostHogError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.awaited())
    }
}
