//! What is sent to create or change things: only what was set.

use super::models::macros::{Item, Object};
use super::models::{
    ActionStep, AnnotationCreation, AnnotationScope, EvaluationRuntime, ExperimentType,
    MembershipLevel, Stage, SurveyQuestion, SurveyType,
};
use serde_json::{Value, json};

/// The structs: an object each.
macro_rules! inputs {
    ($( $(#[$doc:meta])* pub struct $name:ident; )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[must_use = "a body does nothing until it is sent"]
        pub struct $name {
            fields: Object,
        }

        impl $name {
            /// Sets any field, also to `null`; for what has no method of its own.
            pub fn set(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
                self.fields.insert(field.into(), value.into());
                self
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
                self.fields.serialize(into)
            }
        }

        impl super::body::Sealed for $name {}
        impl super::body::Sealed for &$name {}

        impl super::IntoBody<$name> for $name {
            fn into_body(self) -> super::BodyContent {
                super::BodyContent(super::request::Content::json(serde_json::to_vec(&self.fields)))
            }
        }

        impl super::IntoBody<$name> for &$name {
            fn into_body(self) -> super::BodyContent {
                super::BodyContent(super::request::Content::json(serde_json::to_vec(&self.fields)))
            }
        }

        impl From<$name> for Value {
            fn from(body: $name) -> Self {
                Self::Object(body.fields)
            }
        }
    )*};
}

/// Their setters: kind of value, method, field.
macro_rules! setters {
    ([$($name:ident),+] $setters:tt) => {
        $( setters! { @one $name $setters } )+
    };
    (@one $name:ident { $( $(#[$doc:meta])* $kind:ident $method:ident $field:literal; )* }) => {
        impl $name {
            $( setters! { @$kind $(#[$doc])* $method $field } )*
        }
    };
    (@text $(#[$doc:meta])* $method:ident $field:literal) => {
        $(#[$doc])*
        pub fn $method(self, $method: impl Into<String>) -> Self {
            self.set($field, Value::String($method.into()))
        }
    };
    (@texts $(#[$doc:meta])* $method:ident $field:literal) => {
        $(#[$doc])*
        pub fn $method(self, $method: impl IntoIterator<Item = impl Into<String>>) -> Self {
            let items = $method.into_iter().map(|item| Value::String(item.into()));
            self.set($field, Value::Array(items.collect()))
        }
    };
    (@integer $(#[$doc:meta])* $method:ident $field:literal) => {
        $(#[$doc])*
        pub fn $method(self, $method: i64) -> Self {
            self.set($field, $method)
        }
    };
    (@json $(#[$doc:meta])* $method:ident $field:literal) => {
        $(#[$doc])*
        pub fn $method(self, $method: impl Into<Value>) -> Self {
            self.set($field, $method)
        }
    };
    (@yes $(#[$doc:meta])* $method:ident $field:literal) => {
        $(#[$doc])*
        pub fn $method(self) -> Self {
            self.set($field, true)
        }
    };
    (@no $(#[$doc:meta])* $method:ident $field:literal) => {
        $(#[$doc])*
        pub fn $method(self) -> Self {
            self.set($field, false)
        }
    };
}

inputs! {
    /// A feature flag to create. It is on from the start, unless made [inactive](Self::inactive).
    ///
    /// ```
    /// use tracing_posthog::rest::bodies::NewFeatureFlag;
    /// let flag = NewFeatureFlag::new("beta-ui").name("The new UI").rollout_percentage(25.0);
    /// assert_eq!(
    ///     serde_json::to_value(&flag)?,
    ///     serde_json::json!({
    ///         "key": "beta-ui",
    ///         "name": "The new UI",
    ///         "filters": {"groups": [{"properties": [], "rollout_percentage": 25}]},
    ///     })
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct NewFeatureFlag;

    /// A change of a feature flag: only what is set changes.
    ///
    /// `filters` change as a whole. To keep the release conditions that a flag has, take its
    /// [`filters`](super::FeatureFlag::filters), edit them and give them to [`filters`](Self::filters).
    pub struct FeatureFlagChange;

    /// An annotation to create.
    pub struct NewAnnotation;

    /// A cohort to create.
    pub struct NewCohort;

    /// An early access feature to create. PostHog makes a flag for it, unless given one.
    pub struct NewEarlyAccessFeature;

    /// An action to create.
    pub struct NewAction;

    /// A dashboard to create.
    pub struct NewDashboard;

    /// An insight to create.
    pub struct NewInsight;

    /// An experiment to create: a draft, until launched.
    pub struct NewExperiment;

    /// A survey to create: a draft, unless given a start.
    pub struct NewSurvey;

    /// Persons to delete, and what of theirs.
    ///
    /// ```
    /// use tracing_posthog::rest::bodies::PersonDeletion;
    /// let forget = PersonDeletion::of_distinct_ids(["user_42"]).delete_events().delete_recordings();
    /// assert_eq!(
    ///     serde_json::to_value(&forget)?,
    ///     serde_json::json!({
    ///         "distinct_ids": ["user_42"], "delete_events": true, "delete_recordings": true,
    ///     })
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct PersonDeletion;

    /// A group to create.
    pub struct NewGroup;

    /// An invitation to an organization.
    pub struct NewInvite;
}

impl NewFeatureFlag {
    /// A flag of that key.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            fields: named("key", key.into()),
        }
    }
}

impl FeatureFlagChange {
    /// No change.
    pub fn new() -> Self {
        Self {
            fields: Object::new(),
        }
    }
}

impl Default for FeatureFlagChange {
    fn default() -> Self {
        Self::new()
    }
}

setters! {
    [NewFeatureFlag, FeatureFlagChange] {
        /// What it is for; PostHog shows it as the description.
        text name "name";
        /// On.
        yes active "active";
        /// Off.
        no inactive "active";
        /// Tags.
        texts tags "tags";
        /// Contexts in which it is evaluated; all if empty.
        texts evaluation_contexts "evaluation_contexts";
        /// Only carries a payload.
        yes remote_configuration "is_remote_configuration";
        /// People keep their variant when they log in.
        yes ensure_experience_continuity "ensure_experience_continuity";
    }
}

setters! {
    [FeatureFlagChange] {
        /// Another key, for all code that asks for it.
        text key "key";
        /// The version that is changed: if it is not the newest any more, PostHog refuses.
        integer version "version";
    }
}

macro_rules! flag_filters {
    ($($name:ident),*) => {$(
        impl $name {
            /// Percentage (0 to 100) of those whom the release conditions fit; with none set here, of
            /// everyone. PostHog keeps no other conditions than those sent.
            pub fn rollout_percentage(mut self, percentage: f64) -> Self {
                roll_out(&mut self.fields, percentage);
                self
            }

            /// Release conditions, variants and payloads: [`FeatureFlagFilters`](super::FeatureFlagFilters)
            /// or JSON. Replaces all that was set of them.
            pub fn filters(self, filters: impl Into<Value>) -> Self {
                let mut filters = filters.into();
                if let Some(filters) = filters.as_object_mut() {
                    // PostHog takes filters without `groups` for no change at all.
                    filters.entry("groups").or_insert_with(|| json!([]));
                }
                self.set("filters", filters)
            }

            /// Which SDKs may evaluate it.
            pub fn evaluation_runtime(self, runtime: EvaluationRuntime) -> Self {
                self.set("evaluation_runtime", runtime.write())
            }
        }
    )*};
}

flag_filters!(NewFeatureFlag, FeatureFlagChange);

impl NewFeatureFlag {
    /// Adds a variant, given to that percentage (0 to 100) of those who get the flag: of everyone, where no
    /// release conditions are set. The percentages of all variants add up to 100.
    pub fn variant(mut self, key: impl Into<String>, percentage: f64) -> Self {
        add_variant(&mut self.fields, key.into(), percentage);
        let filters = self.fields.get("filters");
        if filters.is_none_or(|filters| filters.get("groups").is_none()) {
            // PostHog makes no flag without release conditions.
            roll_out(&mut self.fields, 100.0);
        }
        self
    }
}

impl FeatureFlagChange {
    /// Adds a variant, given to that percentage (0 to 100) of those who get the flag. The percentages of all
    /// variants add up to 100.
    ///
    /// PostHog ignores variants that come without release conditions: give
    /// [`filters`](Self::filters), those that the flag has, before, or
    /// [`rollout_percentage`](Self::rollout_percentage) too.
    pub fn variant(mut self, key: impl Into<String>, percentage: f64) -> Self {
        add_variant(&mut self.fields, key.into(), percentage);
        self
    }
}

impl NewAnnotation {
    /// A note of that text: on the charts of the project, at the time it is sent.
    pub fn new(content: impl Into<String>) -> Self {
        let fields = named("content", content.into());
        Self { fields }.scope(AnnotationScope::Project)
    }

    /// Where it is shown.
    pub fn scope(self, scope: AnnotationScope) -> Self {
        self.set("scope", scope.write())
    }

    /// Made by a program, such as a deployment, rather than a user.
    pub fn by_bot(self) -> Self {
        self.set("creation_type", AnnotationCreation::Bot.write())
    }
}

setters! {
    [NewAnnotation] {
        /// The time it marks (RFC 3339).
        text date_marker "date_marker";
        /// Number of the dashboard it is shown on.
        integer dashboard_id "dashboard_id";
        /// Number of the insight it is shown on.
        integer insight_id "dashboard_item";
        /// Picture instead of a text.
        text emoji "emoji";
    }
}

impl NewCohort {
    /// A cohort of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            fields: named("name", name.into()),
        }
    }

    /// A fixed list of persons, by their UUIDs.
    pub fn persons(self, uuids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let uuids = uuids.into_iter().map(|uuid| Value::String(uuid.into()));
        let uuids = Value::Array(uuids.collect());
        self.set("is_static", true)
            .set("_create_static_person_ids", uuids)
    }
}

setters! {
    [NewCohort] {
        /// What it is for.
        text description "description";
        /// Conditions: `{"properties": {"type": "AND", "values": […]}}`.
        json filters "filters";
        /// A query that finds the persons.
        json query "query";
    }
}

impl NewEarlyAccessFeature {
    /// A feature of that name, so far.
    pub fn new(name: impl Into<String>, stage: Stage) -> Self {
        let fields = named("name", name.into());
        Self { fields }.set("stage", stage.write())
    }
}

setters! {
    [NewEarlyAccessFeature] {
        /// What it is.
        text description "description";
        /// Where it is explained.
        text documentation_url "documentation_url";
        /// Number of the flag behind it.
        integer feature_flag_id "feature_flag_id";
        /// JSON that comes with it.
        json payload "payload";
    }
}

impl NewAction {
    /// An action of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            fields: named("name", name.into()),
        }
    }

    /// Events that count; any of them is enough.
    pub fn steps(self, steps: impl IntoIterator<Item = ActionStep>) -> Self {
        self.set("steps", Value::from_iter(steps))
    }
}

setters! {
    [NewAction] {
        /// What it is for.
        text description "description";
        /// Tags.
        texts tags "tags";
    }
}

impl NewDashboard {
    /// A dashboard of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            fields: named("name", name.into()),
        }
    }
}

setters! {
    [NewDashboard] {
        /// What it is for.
        text description "description";
        /// Pinned to the side bar.
        yes pinned "pinned";
        /// Tags.
        texts tags "tags";
        /// Name of the template it is made from.
        text template "use_template";
        /// Number of the dashboard it is a copy of.
        integer copy_of "use_dashboard";
    }
}

impl NewInsight {
    /// An insight that shows a query: a node with its `kind`.
    pub fn new(query: impl Into<Value>) -> Self {
        Self {
            fields: named("query", query),
        }
    }

    /// Numbers of the dashboards that show it.
    pub fn dashboards(self, ids: impl IntoIterator<Item = i64>) -> Self {
        self.set("dashboards", Value::from_iter(ids))
    }
}

setters! {
    [NewInsight] {
        /// Name that people see.
        text name "name";
        /// What it is for.
        text description "description";
        /// Tags.
        texts tags "tags";
    }
}

impl NewExperiment {
    /// An experiment of that name, on the flag of that key.
    pub fn new(name: impl Into<String>, feature_flag_key: impl Into<String>) -> Self {
        let fields = named("name", name.into());
        Self { fields }.set("feature_flag_key", feature_flag_key.into())
    }

    /// Where it is built.
    pub fn experiment_type(self, kind: ExperimentType) -> Self {
        self.set("type", kind.write())
    }
}

setters! {
    [NewExperiment] {
        /// The hypothesis.
        text description "description";
        /// Variants, minimum detectable effect, sample size.
        json parameters "parameters";
        /// Primary metrics.
        json metrics "metrics";
        /// Secondary metrics.
        json metrics_secondary "metrics_secondary";
        /// Number of its holdout.
        integer holdout_id "holdout_id";
        /// Tags.
        texts tags "tags";
    }
}

impl NewSurvey {
    /// A survey of that name, shown in that way.
    pub fn new(name: impl Into<String>, kind: SurveyType) -> Self {
        let fields = named("name", name.into());
        Self { fields }.set("type", kind.write())
    }

    /// Questions, in order.
    pub fn questions(self, questions: impl IntoIterator<Item = SurveyQuestion>) -> Self {
        self.set("questions", Value::from_iter(questions))
    }
}

setters! {
    [NewSurvey] {
        /// What it is for.
        text description "description";
        /// When it is shown: URL, selector, events, devices.
        json conditions "conditions";
        /// Whom it is shown to: release conditions as of a flag.
        json targeting_flag_filters "targeting_flag_filters";
        /// Number of a flag that people must have.
        integer linked_flag_id "linked_flag_id";
        /// Colours, texts, position.
        json appearance "appearance";
        /// When it starts (RFC 3339).
        text start_date "start_date";
        /// After how many responses it stops.
        integer responses_limit "responses_limit";
    }
}

impl PersonDeletion {
    /// The persons of those UUIDs.
    pub fn of_ids(uuids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let fields = Object::new();
        Self { fields }.ids(uuids)
    }

    /// The persons who have those distinct ids.
    pub fn of_distinct_ids(ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let fields = Object::new();
        Self { fields }.distinct_ids(ids)
    }
}

setters! {
    [PersonDeletion] {
        /// The persons of those UUIDs.
        texts ids "ids";
        /// The persons who have those distinct ids.
        texts distinct_ids "distinct_ids";
        /// Their events too.
        yes delete_events "delete_events";
        /// Their recordings too.
        yes delete_recordings "delete_recordings";
        /// Not the persons themselves: only what else is said here.
        yes keep_person "keep_person";
    }
}

impl NewGroup {
    /// A group of that type (0 to 4) and key.
    pub fn new(group_type_index: i64, group_key: impl Into<String>) -> Self {
        let fields = named("group_type_index", group_type_index);
        Self { fields }.set("group_key", group_key.into())
    }
}

setters! {
    [NewGroup] {
        /// Properties: a JSON object.
        json properties "group_properties";
    }
}

impl NewInvite {
    /// An invitation to that address.
    pub fn new(email: impl Into<String>) -> Self {
        Self {
            fields: named("target_email", email.into()),
        }
    }

    /// What they will be able to do.
    pub fn level(self, level: MembershipLevel) -> Self {
        self.set("level", level.as_i64())
    }
}

setters! {
    [NewInvite] {
        /// Their first name.
        text first_name "first_name";
        /// Text that comes with it.
        text message "message";
    }
}

fn named(field: &str, value: impl Into<Value>) -> Object {
    // Not `from_iter`, which brings code to sort many into every program.
    let mut fields = Object::new();
    fields.insert(field.to_owned(), value.into());
    fields
}

/// From 0 to 100, without a fraction where it has none. What is no number is 0: as `null`, it would be
/// everyone.
fn percentage(of: f64) -> Value {
    let of = if of.is_nan() {
        0.0
    } else {
        of.clamp(0.0, 100.0)
    };
    if of.fract() == 0.0 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "from 0 to 100, and whole"
        )]
        Value::from(of as u64)
    } else {
        Value::from(of)
    }
}

/// Takes the object under that name, to put it back; an empty one where there is none.
fn take_object(fields: &mut Object, name: &str) -> Object {
    match fields.remove(name) {
        Some(Value::Object(object)) => object,
        _ => Object::new(),
    }
}

fn roll_out(flag: &mut Object, to: f64) {
    let to = percentage(to);
    let mut filters = take_object(flag, "filters");
    match filters.get_mut("groups").and_then(Value::as_array_mut) {
        Some(groups) if !groups.is_empty() => {
            for group in groups.iter_mut().filter_map(Value::as_object_mut) {
                group.insert("rollout_percentage".into(), to.clone());
            }
        }
        _ => {
            let everyone = json!([{"properties": [], "rollout_percentage": to}]);
            filters.insert("groups".into(), everyone);
        }
    }
    flag.insert("filters".into(), filters.into());
}

fn add_variant(flag: &mut Object, key: String, to: f64) {
    let variant = json!({"key": key, "rollout_percentage": percentage(to)});
    let mut filters = take_object(flag, "filters");
    let mut multivariate = take_object(&mut filters, "multivariate");
    match multivariate
        .get_mut("variants")
        .and_then(Value::as_array_mut)
    {
        Some(variants) => variants.push(variant),
        None => {
            multivariate.insert("variants".into(), Value::Array(vec![variant]));
        }
    }
    filters.insert("multivariate".into(), multivariate.into());
    flag.insert("filters".into(), filters.into());
}
