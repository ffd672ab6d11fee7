//! [`Flags`]: feature flags for tests, as a test wants them.
//!
//! ```text
//!  Flags ──[definitions]──► body of /flags/definitions ──► FlagDefinitions ──► FeatureFlags      build(), no network
//!    │                                                └──► PostHogServer: GET /flags/definitions
//!    └──► Served ──► PostHogServer: POST /flags/
//! ```
//!
//! What a test asks for becomes definitions as PostHog has them, so that the code under test runs the same evaluation as
//! in production. There is no second evaluator.

mod definitions;
mod served;

pub(super) use served::{Form, Served};

use crate::error::PostHogError;
use crate::flags::{FeatureFlags, FlagDefinitions};
use serde_json::{Map, Value};

/// Feature flags for tests: on, off, a variant, a payload, for everybody or for one person.
///
/// [`build`](Self::build) gives a [`FeatureFlags`] without a network. [`PostHogServer::flags`](super::PostHogServer::flags)
/// lets the local PostHog answer with the same flags. In what order things are said of a flag makes no difference; of
/// two that contradict, the later one counts. A flag that is not mentioned does not exist.
///
/// ```
/// use serde_json::json;
/// use tracing_posthog::FeatureFlags;
/// use tracing_posthog::testing::Flags;
///
/// /// The code under test.
/// fn checkout(flags: &FeatureFlags, user: &str) -> String {
///     let user = flags.evaluate(user).locally();
///     match user.variant("checkout") {
///         Some("one-page") if user.is_enabled("beta-ui") => "/checkout/one-page".into(),
///         _ => "/checkout".into(),
///     }
/// }
///
/// let flags = Flags::new()
///     .variant("checkout", "one-page")
///     .payload("checkout", json!({"steps": 1}))
///     .on_for("beta-ui", "user_42") // off for others
///     .build();
///
/// assert_eq!(checkout(&flags, "user_42"), "/checkout/one-page");
/// assert_eq!(checkout(&flags, "user_7"), "/checkout");
/// ```
///
/// # Who has which value
///
/// What is said of a person counts first, then what is said of a group of the person, then what is said of everybody.
/// Where nothing is said of everybody, the flag is off for the others.
///
/// # Which flags were asked for
///
/// Give [`CapturedEvents`](super::CapturedEvents) as the place where accesses are captured:
///
/// ```
/// use tracing_posthog::testing::{CapturedEvents, Flags};
///
/// let captured = CapturedEvents::new();
/// let flags = Flags::new().on("beta-ui").build().capture_to(captured.handle());
///
/// assert!(flags.evaluate("user_42").locally().is_enabled("beta-ui"));
///
/// let called = captured.find("$feature_flag_called").unwrap();
/// assert_eq!(called.distinct_id, "user_42");
/// assert_eq!(called.properties["$feature_flag"], "beta-ui");
/// assert_eq!(called.properties["$feature_flag_response"], true);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[must_use = "flags do nothing until they are built or given to a server"]
pub struct Flags {
    /// A body of definitions that the flags are added to.
    base: Map<String, Value>,
    /// A key comes once.
    flags: Vec<TestFlag>,
}

/// What a test says of one flag.
#[derive(Debug, Clone, Default, PartialEq)]
struct TestFlag {
    key: String,
    /// For whom nothing else is said.
    everybody: Option<State>,
    /// By distinct id, which comes once.
    people: Vec<(String, State)>,
    /// The groups, type and key, whose members have it on.
    groups: Vec<(String, String)>,
    payload: Option<Value>,
    is_unresolved: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    Off,
    On,
    Variant(String),
}

impl Flags {
    /// No flags.
    pub fn new() -> Self {
        Self::default()
    }

    /// The flags of a body of PostHog's `/flags/definitions`, for tests of real conditions, rollouts and cohorts. What is
    /// said of a flag afterwards replaces its definition.
    ///
    /// ```
    /// use serde_json::json;
    /// use tracing_posthog::testing::Flags;
    ///
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// let flags = Flags::from_definitions(json!({"flags": [{
    ///     "key": "beta-ui",
    ///     "active": true,
    ///     "filters": {"groups": [{"properties": [
    ///         {"key": "plan", "type": "person", "operator": "exact", "value": ["pro"]},
    ///     ]}]},
    /// }]}))?;
    ///
    /// // The code under test has to say of the person what the condition asks for.
    /// let flags = flags.build();
    /// assert!(flags.evaluate("user_42").person("plan", "pro").locally().is_enabled("beta-ui"));
    /// assert!(!flags.evaluate("user_42").locally().unresolved().is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PostHogError::SerializationError`] where the body is not an object with a list `flags`.
    pub fn from_definitions(body: Value) -> Result<Self, PostHogError> {
        FlagDefinitions::parse(body.to_string().as_bytes())?;
        let base = match body {
            Value::Object(base) => base,
            _ => Map::new(),
        };
        Ok(Self {
            base,
            flags: Vec::new(),
        })
    }

    /// The flag is on for everybody.
    pub fn on(self, key: impl Into<String>) -> Self {
        self.everybody(key, State::On)
    }

    /// The flag exists, and is off for everybody.
    pub fn off(self, key: impl Into<String>) -> Self {
        self.everybody(key, State::Off)
    }

    /// Everybody has that variant of the flag.
    pub fn variant(self, key: impl Into<String>, variant: impl Into<String>) -> Self {
        self.everybody(key, State::Variant(variant.into()))
    }

    /// The payload of the flag, for whoever has it on or has a variant. Where nothing else is said of the flag, it is on
    /// for everybody.
    pub fn payload(mut self, key: impl Into<String>, payload: impl Into<Value>) -> Self {
        self.flag(key.into()).payload = Some(payload.into());
        self
    }

    /// The flag is on for the person of that distinct id.
    pub fn on_for(self, key: impl Into<String>, distinct_id: impl Into<String>) -> Self {
        self.person(key, distinct_id, State::On)
    }

    /// The flag is off for the person of that distinct id.
    pub fn off_for(self, key: impl Into<String>, distinct_id: impl Into<String>) -> Self {
        self.person(key, distinct_id, State::Off)
    }

    /// The person of that distinct id has that variant of the flag.
    pub fn variant_for(
        self,
        key: impl Into<String>,
        distinct_id: impl Into<String>,
        variant: impl Into<String>,
    ) -> Self {
        self.person(key, distinct_id, State::Variant(variant.into()))
    }

    /// The flag is on for whoever is evaluated with that group, such as `"company"`, `"acme"`.
    ///
    /// ```
    /// use tracing_posthog::testing::Flags;
    ///
    /// let flags = Flags::new().on_for_group("beta-ui", "company", "acme").build();
    /// assert!(flags.evaluate("user_42").group("company", "acme").locally().is_enabled("beta-ui"));
    /// assert!(!flags.evaluate("user_42").group("company", "ecma").locally().is_enabled("beta-ui"));
    /// assert!(!flags.evaluate("user_42").locally().is_enabled("beta-ui"));
    /// ```
    pub fn on_for_group(
        mut self,
        key: impl Into<String>,
        group_type: impl Into<String>,
        group_key: impl Into<String>,
    ) -> Self {
        let group = (group_type.into(), group_key.into());
        let groups = &mut self.flag(key.into()).groups;
        if !groups.contains(&group) {
            groups.push(group);
        }
        self
    }

    /// The flag cannot be decided locally, for
    /// [`ExperienceContinuity`](crate::UnresolvedReason::ExperienceContinuity): it is
    /// [unresolved](crate::FlagEvaluations::unresolved) without a network, and costs a request with the local PostHog.
    /// That one answers what else is said of the flag; where nothing is, that it could not compute the flag.
    ///
    /// ```
    /// use tracing_posthog::UnresolvedReason;
    /// use tracing_posthog::testing::Flags;
    ///
    /// let user = Flags::new().unresolved("beta-ui").build().evaluate("user_42").locally();
    /// assert!(user.is_enabled_or("beta-ui", true)); // the default of the code under test
    /// assert_eq!(user.unresolved(), [("beta-ui", UnresolvedReason::ExperienceContinuity)]);
    /// ```
    pub fn unresolved(mut self, key: impl Into<String>) -> Self {
        self.flag(key.into()).is_unresolved = true;
        self
    }

    /// A [`FeatureFlags`] with these flags, without a network. `$feature_flag_called` goes where
    /// [`capture_to`](FeatureFlags::capture_to) says, and nowhere else.
    pub fn build(&self) -> FeatureFlags {
        match FlagDefinitions::parse(self.definitions().to_string().as_bytes()) {
            Ok(definitions) => FeatureFlags::from_definitions(definitions),
            // Not reached: `from_definitions` lets in only what can be parsed, and the rest is made here.
            Err(_) => FeatureFlags::disabled(),
        }
    }

    /// The flags as PostHog's `/flags/definitions` has them, for a mock server of another kind.
    #[must_use]
    pub fn definitions(&self) -> Value {
        definitions::of(&self.base, &self.flags)
    }

    fn everybody(mut self, key: impl Into<String>, state: State) -> Self {
        self.flag(key.into()).everybody = Some(state);
        self
    }

    fn person(
        mut self,
        key: impl Into<String>,
        distinct_id: impl Into<String>,
        state: State,
    ) -> Self {
        let distinct_id = distinct_id.into();
        let people = &mut self.flag(key.into()).people;
        match people.iter_mut().find(|(id, _)| *id == distinct_id) {
            Some((_, known)) => *known = state,
            None => people.push((distinct_id, state)),
        }
        self
    }

    fn flag(&mut self, key: String) -> &mut TestFlag {
        let known = self.flags.iter().position(|flag| flag.key == key);
        let at = known.unwrap_or_else(|| {
            self.flags.push(TestFlag {
                key,
                ..TestFlag::default()
            });
            self.flags.len() - 1
        });
        &mut self.flags[at]
    }
}

impl From<Flags> for FeatureFlags {
    fn from(flags: Flags) -> Self {
        flags.build()
    }
}
