//! [`RuleFilters`] and [`IssueAssignee`] of error tracking.
//!
//! By hand: filters are a tree of property filters, an assignee's id is a number or a UUID, and PostHog's document does not
//! know what is done to several issues.

use super::PropertyFilter;
use super::prelude::*;
use serde_json::{Number, Value};

object! {
    /// Which exceptions a rule of error tracking is for.
    ///
    /// ```
    /// use tracing_posthog::rest::bodies::{PropertyFilter, PropertyOperator, RuleFilters};
    ///
    /// let timeouts = RuleFilters::all([PropertyFilter::event(
    ///     "$exception_types",
    ///     PropertyOperator::Icontains,
    ///     "Timeout",
    /// )]);
    /// ```
    pub struct RuleFilters {
    }

    /// Who takes care of an issue.
    pub struct IssueAssignee {
    }
}

one_of! {
    /// What is done to several issues.
    pub enum IssueBulkAction {
        SetStatus = "set_status",
        Assign = "assign",
    }
}

impl RuleFilters {
    /// Exceptions that all of these fit.
    pub fn all(filters: impl IntoIterator<Item = PropertyFilter>) -> Self {
        Self::of("AND", filters)
    }

    /// Exceptions that one of these fits.
    pub fn any(filters: impl IntoIterator<Item = PropertyFilter>) -> Self {
        Self::of("OR", filters)
    }

    fn of(how: &str, filters: impl IntoIterator<Item = PropertyFilter>) -> Self {
        let mut fields = Fields::default();
        fields.set("type", how.into());
        fields.list("values", filters.into_iter().map(Part::into_json));
        Self { fields }
    }
}

impl IssueAssignee {
    /// The user of that number.
    pub fn user(id: impl Into<Number>) -> Self {
        Self::of("user", Value::Number(id.into()))
    }

    /// The role of that UUID.
    pub fn role(uuid: impl Into<String>) -> Self {
        Self::of("role", Value::String(uuid.into()))
    }

    fn of(kind: &str, id: Value) -> Self {
        let mut fields = Fields::default();
        fields.set("type", kind.into());
        fields.set("id", id);
        Self { fields }
    }
}

#[cfg(test)]
impl crate::rest::body::sample::Sample for RuleFilters {
    fn samples() -> Vec<Self> {
        use super::PropertyOperator::{Exact, Icontains};
        let kind = || PropertyFilter::event("$exception_types", Icontains, "Timeout");
        let plan = || PropertyFilter::new("plan", Exact, "pro");
        vec![Self::all([kind(), plan()]), Self::any([kind()])]
    }
}

#[cfg(test)]
impl crate::rest::body::sample::Sample for IssueAssignee {
    fn samples() -> Vec<Self> {
        vec![
            Self::user(7),
            Self::role("0190b1c2-0000-7000-8000-000000000001"),
        ]
    }
}
