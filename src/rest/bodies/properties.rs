//! [`PropertyFilter`]: conditions on properties, in flags, actions, metrics and cohorts.
//!
//! By hand, because PostHog's schema has seven shapes of them that differ in which operators go with which values.

use super::PropertyOperator;
use super::prelude::*;
use serde::Serialize;

object! {
    /// A condition on a property.
    ///
    /// ```
    /// use tracing_posthog::rest::bodies::{PropertyFilter, PropertyOperator};
    ///
    /// let plan = PropertyFilter::new("plan", PropertyOperator::Exact, ["pro", "team"]);
    /// let email = PropertyFilter::new("email", PropertyOperator::Icontains, "@example.com");
    /// let beta = PropertyFilter::in_cohort(7);
    /// ```
    pub struct PropertyFilter {
        /// What the property belongs to.
        kind as "type": part(PropertyKind),
        /// The number of the group type (0 to 4), for properties of groups.
        group_type_index / clear_group_type_index: integer,
    }
}

one_of! {
    /// What the property of a [`PropertyFilter`] belongs to.
    pub enum PropertyKind {
        Person = "person",
        Event = "event",
        Group = "group",
        Session = "session",
        Element = "element",
        Feature = "feature",
        Cohort = "cohort",
        Flag = "flag",
        Hogql = "hogql",
    }
}

impl PropertyFilter {
    /// A property of the person, compared with a value: a text, a number, a boolean, a [`Time`](crate::rest::Time), or a
    /// list of which one must fit.
    pub fn new(key: impl Into<String>, operator: PropertyOperator, value: impl Serialize) -> Self {
        Self::of("person", key.into(), operator, &value)
    }

    /// A property of the event.
    pub fn event(
        key: impl Into<String>,
        operator: PropertyOperator,
        value: impl Serialize,
    ) -> Self {
        Self::of("event", key.into(), operator, &value)
    }

    /// A property of the group of that type (0 to 4).
    pub fn group(
        group_type_index: impl Into<serde_json::Number>,
        key: impl Into<String>,
        operator: PropertyOperator,
        value: impl Serialize,
    ) -> Self {
        Self::of("group", key.into(), operator, &value).group_type_index(group_type_index)
    }

    /// The person has the property.
    pub fn is_set(key: impl Into<String>) -> Self {
        Self::valueless("person", key.into(), PropertyOperator::IsSet)
    }

    /// The person does not have the property.
    pub fn is_not_set(key: impl Into<String>) -> Self {
        Self::valueless("person", key.into(), PropertyOperator::IsNotSet)
    }

    /// The person is in the cohort of that number.
    pub fn in_cohort(id: impl Into<serde_json::Number>) -> Self {
        Self::of("cohort", "id".into(), PropertyOperator::In, &id.into())
    }

    /// The person is not in the cohort of that number.
    pub fn not_in_cohort(id: impl Into<serde_json::Number>) -> Self {
        Self::of("cohort", "id".into(), PropertyOperator::NotIn, &id.into())
    }

    /// The person gets this of the flag of that number: `true`, `false` or a variant.
    pub fn flag(id: impl Into<serde_json::Number>, value: impl Serialize) -> Self {
        let id = id.into().to_string();
        Self::of("flag", id, PropertyOperator::FlagEvaluatesTo, &value)
    }

    fn of(kind: &str, key: String, operator: PropertyOperator, value: &impl Serialize) -> Self {
        let mut filter = Self::valueless(kind, key, operator);
        filter.fields.json("value", value);
        filter
    }

    fn valueless(kind: &str, key: String, operator: PropertyOperator) -> Self {
        let mut fields = Fields::default();
        fields.text("key", key);
        fields.part("operator", operator);
        fields.set("type", kind.into());
        Self { fields }
    }
}

#[cfg(test)]
impl crate::rest::body::sample::Sample for PropertyFilter {
    fn samples() -> Vec<Self> {
        use PropertyOperator::*;
        vec![
            Self::new("plan", Exact, "pro"),
            Self::new("plan", Icontains, "pro"),
            Self::new("plan", Exact, ["pro", "team"]),
            Self::new("seats", Gte, 7),
            Self::new(
                "since",
                IsDateBefore,
                crate::rest::Time::at(std::time::SystemTime::UNIX_EPOCH),
            ),
            Self::new("version", SemverGte, "1.2.0"),
            Self::is_set("plan"),
            Self::is_not_set("plan"),
            Self::group(0, "tier", IsNot, "free"),
            Self::in_cohort(7),
            Self::not_in_cohort(7_u64),
            Self::flag(3, true),
        ]
    }
}
