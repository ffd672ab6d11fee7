//! The body of `/flags/definitions` as PostHog writes it, before anything is made of it.
//!
//! The body is read in two steps: first its outline, with every flag and cohort as text, then each of these by itself,
//! so that one that cannot be read costs no other.

use super::shape::{Entries, Field, Numeric, object};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;

pub(super) type Text<'a> = Field<Cow<'a, str>>;
type List<T> = Field<Vec<Field<T>>>;

object! {
    /// The outline.
    Body<'a> {
        flags: Field<Vec<&'a RawValue>> = "flags",
        cohorts: Field<Entries<'a, &'a RawValue>> = "cohorts",
        group_types: Field<Entries<'a, Text<'a>>> = "group_type_mapping",
        property_matching_version: Numeric = "property_matching_version",
        minimal_flag_called_events: Field<bool> = "minimal_flag_called_events",
    }
}

object! {
    Flag<'a> {
        key: Text<'a> = "key",
        id: Numeric = "id",
        version: Numeric = "version",
        active: Field<bool> = "active",
        has_experiment: Field<bool> = "has_experiment",
        ensure_experience_continuity: Field<bool> = "ensure_experience_continuity",
        bucketing_identifier: Text<'a> = "bucketing_identifier",
        filters: Field<Filters<'a>> = "filters",
    }
}

object! {
    /// What is left of a flag whose filters cannot be read.
    Shell<'a> {
        key: Text<'a> = "key",
    }
}

object! {
    Filters<'a> {
        version: Numeric = "version",
        groups: List<Condition<'a>> = "groups",
        multivariate: Field<Multivariate<'a>> = "multivariate",
        aggregation: Numeric = "aggregation_group_type_index",
        payloads: Field<Entries<'a, &'a RawValue>> = "payloads",
        early_exit: Field<bool> = "early_exit",
        feature_enrollment: Field<bool> = "feature_enrollment",
        super_groups: List<Condition<'a>> = "super_groups",
        holdout: Field<Holdout<'a>> = "holdout",
        bucketing_identifier: Text<'a> = "bucketing_identifier",
    }
}

object! {
    Multivariate<'a> {
        variants: List<Variant<'a>> = "variants",
    }
}

object! {
    Variant<'a> {
        key: Text<'a> = "key",
        rollout_percentage: Numeric = "rollout_percentage",
    }
}

object! {
    Holdout<'a> {
        id: Numeric = "id",
        exclusion_percentage: Numeric = "exclusion_percentage",
    }
}

object! {
    Condition<'a> {
        properties: List<Filter<'a>> = "properties",
        rollout_percentage: Numeric = "rollout_percentage",
        variant: Text<'a> = "variant",
        aggregation: Numeric = "aggregation_group_type_index",
    }
}

object! {
    /// A filter of a condition; in a cohort also a group of filters.
    Filter<'a> {
        key: Text<'a> = "key",
        kind: Text<'a> = "type",
        operator: Text<'a> = "operator",
        // Missing and null are the same: no value.
        value: Option<Value> = "value",
        negation: Field<bool> = "negation",
        group_type_index: Numeric = "group_type_index",
        dependency_chain: List<Cow<'a, str>> = "dependency_chain",
        values: List<Filter<'a>> = "values",
    }
}
