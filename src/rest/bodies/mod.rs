//! What operations are sent: types whose constructor takes what PostHog requires, and whose methods set the rest.
//!
//! A field is sent if and only if it was set. Methods that begin with `clear_` send `null`, which clears a field;
//! [`set`](NewFeatureFlag::set) sets fields that a type does not name. Sets of values, such as [`IssueStatus`], are the types
//! that answers have. A method takes its own type, or
//! [`Raw`](super::Raw) of any value.
//!
//! ```no_run
//! # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
//! use tracing_posthog::rest::bodies::{FeatureFlagChange, NewFeatureFlag};
//!
//! let flags = client.project(12345).feature_flags();
//! let flag = flags.create(NewFeatureFlag::new("beta-ui").rollout_percentage(25)).await?;
//! let change = FeatureFlagChange::new().active(false);
//! flags.update(flag.id.unwrap_or_default(), change).await?;
//! # Ok(())
//! # }
//! ```
//!
//! `Debug` shows which fields are set, and not their values.
//!
// ```text
//  api/schemas.json ─┐
//  api/bodies.txt  ──┴─ tools/apigen ──► generated/ ──body!──► types ──► Fields (rest/body.rs) ──► the request
// ```
//
// - `generated/`: most types, by product. Sets of values that answers have too are those of `models`. The other modules: what a schema cannot say, each with its reason.
// - `check`: samples of every type fit PostHog's schema, where the table does not correct it.
//
// Invariants: a type sends no field that its schema lacks, unless api/bodies.txt adds it; what is required is an argument
// of the constructor; no method loses what another has set.

/// Sets of values that answers have too: one type for both.
macro_rules! model_values {
    ($($name:ident = $schema:literal,)*) => {$(
        crate::rest::body::macros::text_part!($name);

        #[cfg(test)]
        impl crate::rest::body::sample::Sample for $name {
            fn samples() -> Vec<Self> {
                let values = crate::rest::bodies::check::values_of($schema).into_iter();
                values.map(Self::from).collect()
            }
        }
    )*};
}

mod errors;
mod experiments;
mod flags;
mod generated;
mod people;
mod prelude;
mod properties;
mod read;
mod surveys;

#[cfg(test)]
mod check;
#[cfg(doctest)]
mod mistakes;

use super::models;
pub use errors::{IssueAssignee, IssueBulkAction, RuleFilters};
pub use flags::{FlagCondition, FlagFilters, FlagVariant};
pub use generated::*;
pub use models::MembershipLevel;
pub use people::{CohortCriterion, CohortFilters};
pub use properties::{PropertyFilter, PropertyKind};
pub use surveys::{RatingDisplay, SurveyQuestion};

/// What a user may do with a dashboard.
///
/// By hand: PostHog numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DashboardAccess {
    /// May look at it.
    View,
    /// May edit it.
    Edit,
}

impl crate::rest::body::Part for DashboardAccess {
    #[inline]
    fn into_json(self) -> Result<serde_json::Value, crate::rest::request::Problem> {
        Ok(match self {
            Self::View => 21.into(),
            Self::Edit => 37.into(),
        })
    }
}

#[cfg(test)]
impl crate::rest::body::sample::Sample for DashboardAccess {
    fn samples() -> Vec<Self> {
        vec![Self::View, Self::Edit]
    }
}

impl crate::rest::body::Part for models::MembershipLevel {
    #[inline]
    fn into_json(self) -> Result<serde_json::Value, crate::rest::request::Problem> {
        Ok(self.as_i64().into())
    }
}

#[cfg(test)]
impl crate::rest::body::sample::Sample for models::MembershipLevel {
    fn samples() -> Vec<Self> {
        [1, 8, 15].map(Self::from).into()
    }
}

/// By hand: PostHog shows a note without a scope on no chart.
impl NewAnnotation {
    /// A note of that text, on the charts of the project.
    pub fn new(content: impl Into<String>) -> Self {
        let fields = super::body::Fields::default();
        Self { fields }
            .content(content)
            .scope(models::AnnotationScope::Project)
    }

    #[cfg(test)]
    fn minimal_samples() -> Vec<Self> {
        vec![Self::new("text")]
    }

    /// Made by a program, such as a deployment, and not by a user.
    pub fn by_bot(self) -> Self {
        self.creation_type(models::AnnotationCreation::Bot)
    }
}
