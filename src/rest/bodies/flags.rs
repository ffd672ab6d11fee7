//! What is by hand of feature flags: their filters, and the short forms of a new flag.
//!
//! By hand, because payloads are JSON text inside JSON, because PostHog ignores filters without release conditions, and
//! because filters that are sent replace all that the flag has: [`FlagFilters`] always has conditions, keeps what was read
//! in whole, and nothing sets filters twice.

use super::models;
use super::models::field::ToObject;
use super::prelude::*;
use super::{NewFeatureFlag, PropertyFilter};
use crate::rest::body::{as_list, as_object, percentage as checked};
use crate::rest::request::Problem;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt;

/// Release conditions, variants and payloads of a feature flag: who gets what.
///
/// Everyone gets the flag until a [`condition`](Self::condition) is added. PostHog replaces filters whole: to change those
/// of a flag, start with what you have read, `FlagFilters::from(filters)` of what `get` answers. Fields that this crate
/// does not know stay too.
///
/// ```
/// use serde_json::json;
/// use tracing_posthog::rest::bodies::{FlagCondition, FlagFilters, FlagVariant, PropertyFilter, PropertyOperator};
///
/// let filters = FlagFilters::new()
///     .condition(
///         FlagCondition::new()
///             .property(PropertyFilter::new("plan", PropertyOperator::Exact, "pro"))
///             .rollout_percentage(25),
///     )
///     .variant(FlagVariant::new("control", 50))
///     .variant(FlagVariant::new("test", 50))
///     .payload("test", json!({"pages": 1}));
/// ```
#[derive(Clone, PartialEq)]
#[must_use = "filters do nothing until they are sent"]
pub struct FlagFilters {
    fields: Fields,
    /// The only condition is that of [`new`](Self::new), which the first other one replaces.
    is_for_everyone: bool,
    /// The percentage of conditions that have none.
    rollout: Option<Value>,
}

impl FlagFilters {
    /// Everyone, until a [`condition`](Self::condition) is added.
    pub fn new() -> Self {
        let mut fields = Fields::default();
        fields.set(
            "groups",
            json!([{"properties": [], "rollout_percentage": 100}]),
        );
        Self {
            fields,
            is_for_everyone: true,
            rollout: None,
        }
    }

    /// Adds a release condition. Someone gets the flag if one of the conditions fits.
    pub fn condition(mut self, condition: FlagCondition) -> Self {
        if self.is_for_everyone {
            self.fields.set("groups", json!([]));
            self.is_for_everyone = false;
        }
        let condition = self.rolled_out(condition);
        self.fields.push("groups", condition);
        self
    }

    /// Replaces all release conditions. Without any, nobody gets the flag.
    pub fn conditions(mut self, conditions: impl IntoIterator<Item = FlagCondition>) -> Self {
        let conditions: Vec<_> = conditions
            .into_iter()
            .map(|condition| self.rolled_out(condition).into_json())
            .collect();
        self.fields.list("groups", conditions.into_iter());
        self.is_for_everyone = false;
        self
    }

    /// A condition, with the percentage that was set before it where it has none.
    fn rolled_out(&self, mut condition: FlagCondition) -> FlagCondition {
        if let Some(percentage) = &self.rollout {
            condition
                .fields
                .set_new("rollout_percentage", percentage.clone());
        }
        condition
    }

    /// The percentage (0 to 100) in all release conditions that there are, and in those added later that have none.
    pub fn rollout_percentage(mut self, percentage: impl IntoNumber) -> Self {
        let percentage = match checked("rollout_percentage", percentage.into_number()) {
            Ok(percentage) => percentage,
            Err(problem) => {
                self.fields.fail(problem);
                return self;
            }
        };
        let conditions = self.fields.list_mut("groups");
        if conditions
            .as_ref()
            .is_some_and(|conditions| conditions.is_empty())
        {
            self.fields.fail(Problem {
                setting: "rollout_percentage",
                problem: "the filters have no release condition that could have it; add one, or read the flag with `get`: \
                          other operations answer flags without their filters"
                    .into(),
            });
            return self;
        }
        for group in conditions.into_iter().flatten() {
            if let Value::Object(group) = group {
                group.insert("rollout_percentage".to_owned(), percentage.clone());
            }
        }
        self.rollout = Some(percentage);
        self
    }

    /// Adds a variant, or replaces that of the same key. The percentages of all variants add up to 100.
    pub fn variant(mut self, variant: FlagVariant) -> Self {
        if let Err(problem) = self.add_variant(variant) {
            self.fields.fail(problem);
        }
        self
    }

    fn add_variant(&mut self, variant: FlagVariant) -> Result<(), Problem> {
        let variant = variant.into_json()?;
        if let Some(all) = self.fields.object_mut("multivariate") {
            let variants = all.entry("variants").or_insert(Value::Null);
            let variants = as_list("multivariate", variants)?;
            match variants.iter_mut().find(|v| v["key"] == variant["key"]) {
                Some(old) => *old = variant,
                None => variants.push(variant),
            }
        }
        Ok(())
    }

    /// Takes all variants away: the flag is on or off.
    pub fn clear_variants(mut self) -> Self {
        self.fields.null("multivariate");
        self
    }

    /// The payload of a variant, or of a flag without variants under the key `true`: any value. PostHog keeps payloads as
    /// JSON text, which this makes.
    pub fn payload(mut self, variant: impl Into<String>, value: impl Serialize) -> Self {
        match to_json("payloads", &value) {
            Ok(value) => {
                self.fields
                    .entry("payloads", variant.into(), &value.to_string());
            }
            Err(problem) => self.fields.fail(problem),
        }
        self
    }

    /// The number of the group type (0 to 4) whose groups the flag is decided by, in place of persons.
    pub fn group_type_index(mut self, index: impl Into<serde_json::Number>) -> Self {
        self.fields
            .number("aggregation_group_type_index", Some(index.into()));
        self
    }

    /// The flag is decided by persons.
    pub fn clear_group_type_index(mut self) -> Self {
        self.fields.null("aggregation_group_type_index");
        self
    }

    /// Whether a condition that fits, but does not roll out, ends the search.
    pub fn early_exit(mut self, is_on: bool) -> Self {
        self.fields.set("early_exit", is_on.into());
        self
    }

    /// Whether people may opt in to it as an early access feature.
    pub fn feature_enrollment(mut self, is_on: bool) -> Self {
        self.fields.set("feature_enrollment", is_on.into());
        self
    }

    /// Sets any field, also to `null`: for fields that this type does not name.
    pub fn set(mut self, field: impl AsRef<str>, value: impl Into<Value>) -> Self {
        self.is_for_everyone &= field.as_ref() != "groups";
        self.fields.set(field.as_ref(), value.into());
        self
    }

    /// Those of an object: of a model, or put into a body.
    fn of(mut object: models::Object) -> Self {
        // Models write no empty lists. A condition without properties has an empty one.
        let groups = object.get_mut("groups").and_then(Value::as_array_mut);
        for group in groups
            .into_iter()
            .flatten()
            .filter_map(Value::as_object_mut)
        {
            group.entry("properties").or_insert_with(|| json!([]));
        }
        let mut fields = Fields::default();
        fields.set("groups", json!([]));
        for (name, value) in object {
            fields.set(&name, value);
        }
        Self {
            fields,
            is_for_everyone: false,
            rollout: None,
        }
    }
}

impl Default for FlagFilters {
    fn default() -> Self {
        Self::new()
    }
}

/// The filters of a flag that was read, with all that they have: a flag without release conditions stays one.
impl From<models::FeatureFlagFilters> for FlagFilters {
    fn from(model: models::FeatureFlagFilters) -> Self {
        let mut object = model.to_object();
        for field in ["groups", "super_groups", "holdout_groups"] {
            whole_in(object.get_mut(field));
        }
        let variants = object.get_mut("multivariate");
        whole_in(variants.and_then(|all| all.get_mut("variants")));
        Self::of(object)
    }
}

/// Numbers that models keep as floats, as they were: PostHog compares `25` and `25.0` as text in places.
fn whole(object: &mut models::Object) {
    for field in ["rollout_percentage", "users_affected"] {
        if let Some(value) = object.get_mut(field)
            && let Some(float) = value.as_f64().filter(|_| value.is_f64())
            && let Some(number) = float.into_number()
        {
            *value = Value::Number(number);
        }
    }
}

fn whole_in(list: Option<&mut Value>) {
    let items = list.and_then(Value::as_array_mut).into_iter().flatten();
    items.filter_map(Value::as_object_mut).for_each(whole);
}

impl fmt::Debug for FlagFilters {
    /// Shows which fields are set, not their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FlagFilters").field(&self.fields).finish()
    }
}

impl Serialize for FlagFilters {
    fn serialize<S: serde::Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(into)
    }
}

impl Part for FlagFilters {
    fn into_json(self) -> Result<Value, Problem> {
        self.fields.into_json()
    }
}

body! {
    /// A release condition of a feature flag: these properties, that percentage.
    pub struct FlagCondition {
        -> /// Everyone, until properties or a percentage are set.
        new(; "properties" = Vec::<Value>::new())
        /// Conditions on properties. All must hold.
        properties: parts(PropertyFilter),
        /// The percentage (0 to 100) of those whom the properties fit. Everyone, where it is not set.
        rollout_percentage: percentage,
        /// The variant that they get, in place of one by percentage.
        variant / clear_variant: text,
        /// The number of the group type (0 to 4) that this condition is decided by.
        group_type_index as "aggregation_group_type_index" / clear_group_type_index: integer,
    }

    /// A variant of a feature flag.
    pub struct FlagVariant {
        -> /// A variant of that key, for that percentage (0 to 100) of those who get the flag.
        new(key: text, rollout_percentage: percentage)
        /// The name that people see.
        name: text,
    }
}

impl FlagCondition {
    /// Adds a condition on a property. All must hold.
    pub fn property(mut self, property: PropertyFilter) -> Self {
        self.fields.push("properties", property);
        self
    }
}

/// A condition that was read, with all that it has.
impl From<models::FlagCondition> for FlagCondition {
    fn from(model: models::FlagCondition) -> Self {
        let mut object = model.to_object();
        whole(&mut object);
        // Models write no empty lists.
        object.entry("properties").or_insert_with(|| json!([]));
        let fields = Fields::of(object);
        Self { fields }
    }
}

/// A variant that was read, with all that it has.
impl From<models::FlagVariant> for FlagVariant {
    fn from(model: models::FlagVariant) -> Self {
        let mut object = model.to_object();
        whole(&mut object);
        let fields = Fields::of(object);
        Self { fields }
    }
}

impl NewFeatureFlag {
    /// Release conditions, variants and payloads.
    ///
    /// Comes before [`rollout_percentage`](Self::rollout_percentage) and [`variant`](Self::variant), which edit it. After
    /// them it would lose what they set: that request fails with [`PostHogError::Config`](crate::PostHogError).
    pub fn filters(mut self, filters: FlagFilters) -> Self {
        if let Some(old) = self.fields.take("filters") {
            self.fields.set("filters", old);
            self.fields.fail(Problem {
                setting: "filters",
                problem: "they are set already; call `filters` once, before `rollout_percentage` and `variant`".into(),
            });
        } else {
            self.fields.part("filters", filters);
        }
        self
    }

    /// The percentage (0 to 100) in all release conditions: of everyone, where there are no other conditions.
    pub fn rollout_percentage(self, percentage: impl IntoNumber) -> Self {
        self.edit(|filters| filters.rollout_percentage(percentage))
    }

    /// Adds a variant for that percentage (0 to 100) of those who get the flag. The percentages of all variants add up to
    /// 100.
    pub fn variant(self, key: impl Into<String>, percentage: impl IntoNumber) -> Self {
        self.edit(|filters| filters.variant(FlagVariant::new(key, percentage)))
    }

    fn edit(mut self, change: impl FnOnce(FlagFilters) -> FlagFilters) -> Self {
        let filters = match self.fields.take("filters") {
            None | Some(Value::Null) => FlagFilters::new(),
            Some(mut value) => match as_object("filters", &mut value) {
                Ok(object) => FlagFilters::of(std::mem::take(object)),
                Err(problem) => {
                    self.fields.fail(problem);
                    return self;
                }
            },
        };
        self.fields.part("filters", change(filters));
        self
    }
}

#[cfg(test)]
impl crate::rest::body::sample::Sample for FlagFilters {
    fn samples() -> Vec<Self> {
        let full = Self::new()
            .condition(FlagCondition::new())
            .variant(FlagVariant::new("control", 50).name("Control"))
            .variant(FlagVariant::new("test", 50.0))
            .payload("test", json!({"pages": 1}))
            .group_type_index(0)
            .early_exit(true)
            .feature_enrollment(true);
        vec![
            Self::new(),
            full,
            Self::new().clear_variants().clear_group_type_index(),
            Self::new()
                .conditions(FlagCondition::samples())
                .rollout_percentage(25),
        ]
    }
}

#[cfg(test)]
mod tests;
