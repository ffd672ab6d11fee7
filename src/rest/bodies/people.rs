//! What is by hand of persons and cohorts: who is deleted, and the criteria of cohorts.
//!
//! By hand, because a deletion needs one of two lists, and because criteria are a tree of shapes of their own.

use super::prelude::*;
use super::{NewCohort, PersonDeletion, PropertyOperator};
use crate::rest::body::as_list;
use crate::rest::request::Problem;
use serde::Serialize;
use serde_json::{Number, Value, json};

impl PersonDeletion {
    /// The persons of those UUIDs.
    pub fn of_ids(uuids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let fields = Fields::default();
        Self { fields }.ids(uuids)
    }

    /// The persons who have those distinct ids.
    pub fn of_distinct_ids(ids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let fields = Fields::default();
        Self { fields }.distinct_ids(ids)
    }

    #[cfg(test)]
    pub(super) fn minimal_samples() -> Vec<Self> {
        vec![Self::of_ids(["a"]), Self::of_distinct_ids(["a"])]
    }
}

impl NewCohort {
    /// A fixed list of persons, by their UUIDs. PostHog passes over what is none, such as a distinct id: find the person
    /// of one by `persons().list().distinct_id(id)`.
    pub fn persons(mut self, uuids: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let uuids = uuids.into_iter().map(|uuid| Ok(Value::String(uuid.into())));
        self.fields.list("_create_static_person_ids", uuids);
        self.is_static(true)
    }
}

body! {
    /// The criteria of a cohort: who is in it.
    pub struct CohortFilters {
        /// Whether people of the project's own team stay out.
        filter_test_accounts as "filterTestAccounts" / clear_filter_test_accounts: boolean,
    }
}

impl CohortFilters {
    /// Persons whom all of these fit.
    pub fn all(criteria: impl IntoIterator<Item = CohortCriterion>) -> Self {
        Self::of("AND", criteria.into_iter().collect())
    }

    /// Persons whom one of these fits.
    pub fn any(criteria: impl IntoIterator<Item = CohortCriterion>) -> Self {
        Self::of("OR", criteria.into_iter().collect())
    }

    /// Also persons whom all of these fit, whether or not the other criteria fit them.
    pub fn or_all(self, criteria: impl IntoIterator<Item = CohortCriterion>) -> Self {
        self.or("AND", criteria.into_iter().collect())
    }

    fn of(how: &'static str, criteria: Vec<CohortCriterion>) -> Self {
        let mut fields = Fields::default();
        fields.set("properties", json!({"type": "OR", "values": []}));
        Self { fields }.or(how, criteria)
    }

    fn or(mut self, how: &'static str, criteria: Vec<CohortCriterion>) -> Self {
        if let Err(problem) = self.add(how, criteria) {
            self.fields.fail(problem);
        }
        self
    }

    fn add(&mut self, how: &'static str, criteria: Vec<CohortCriterion>) -> Result<(), Problem> {
        let criteria: Result<Vec<_>, _> = criteria.into_iter().map(Part::into_json).collect();
        let group = json!({"type": how, "values": criteria?});
        if let Some(properties) = self.fields.object_mut("properties") {
            properties.entry("type").or_insert_with(|| "OR".into());
            let groups = properties.entry("values").or_insert(Value::Null);
            as_list("properties", groups)?.push(group);
        }
        Ok(())
    }

    #[cfg(test)]
    fn minimal_samples() -> Vec<Self> {
        use crate::rest::body::sample::Sample;
        vec![
            Self::all(CohortCriterion::samples()),
            Self::any(CohortCriterion::samples()).or_all([CohortCriterion::in_cohort(1)]),
        ]
    }
}

object! {
    /// One criterion of a cohort.
    pub struct CohortCriterion {
        /// Whether it must not fit.
        negated as "negation": boolean,
    }
}

impl CohortCriterion {
    /// A property of the person, compared with a value.
    pub fn person(
        key: impl Into<String>,
        operator: PropertyOperator,
        value: impl Serialize,
    ) -> Self {
        let mut of = Self::valueless(key.into(), operator);
        of.fields.json("value", &value);
        of
    }

    /// The person has the property.
    pub fn is_set(key: impl Into<String>) -> Self {
        Self::valueless(key.into(), PropertyOperator::IsSet)
    }

    /// The person does not have the property.
    pub fn is_not_set(key: impl Into<String>) -> Self {
        Self::valueless(key.into(), PropertyOperator::IsNotSet)
    }

    fn valueless(key: String, operator: PropertyOperator) -> Self {
        let mut of = Self::of("person");
        of.fields.text("key", key);
        of.fields.part("operator", operator);
        of
    }

    /// Persons who did this in the last days.
    pub fn performed_event(event: impl Into<String>, days: u32) -> Self {
        Self::behaviour("performed_event", event.into().into(), "events", days)
    }

    /// Persons who did this so often in the last days: `Gte`, `Lte`, `Exact`, … a number of times.
    pub fn performed_event_times(
        event: impl Into<String>,
        operator: PropertyOperator,
        times: u32,
        days: u32,
    ) -> Self {
        let event = event.into().into();
        let mut of = Self::behaviour("performed_event_multiple", event, "events", days);
        of.fields.part("operator", operator);
        of.fields.set("operator_value", times.into());
        of
    }

    /// Persons who did the action of that number in the last days.
    pub fn performed_action(id: impl Into<Number>, days: u32) -> Self {
        Self::behaviour("performed_event", id.into().into(), "actions", days)
    }

    /// Persons who are in the cohort of that number.
    pub fn in_cohort(id: impl Into<Number>) -> Self {
        let mut of = Self::of("cohort");
        of.fields.set("key", "id".into());
        of.fields.number("value", Some(id.into()));
        of
    }

    fn behaviour(value: &str, key: Value, kind: &str, days: u32) -> Self {
        let mut of = Self::of("behavioral");
        of.fields.set("key", key);
        of.fields.set("value", value.into());
        of.fields.set("event_type", kind.into());
        of.fields.set("time_value", days.into());
        of.fields.set("time_interval", "day".into());
        of
    }

    fn of(kind: &str) -> Self {
        let mut fields = Fields::default();
        fields.set("type", kind.into());
        Self { fields }
    }
}

#[cfg(test)]
impl crate::rest::body::sample::Sample for CohortCriterion {
    fn samples() -> Vec<Self> {
        vec![
            Self::person("plan", PropertyOperator::Exact, ["pro"]),
            Self::is_set("plan"),
            Self::is_not_set("plan"),
            Self::performed_event("order", 30).negated(true),
            Self::performed_event_times("order", PropertyOperator::Gte, 3, 30),
            Self::performed_action(7, 30),
            Self::in_cohort(7),
        ]
    }
}
