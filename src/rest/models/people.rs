//! Persons, groups and cohorts.
//!
//! Written by hand: the schemas call the id of a person a number, which PostHog also sends as a UUID, and its
//! properties any JSON.

use super::field::Object;
use super::macros::{model, values, wire};
use super::organizations::UserBasic;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// A person: one user under all their distinct ids.
    ///
    /// Answered by `…/persons/` (list, get, update); part of events and recordings.
    pub struct Person {
        /// Number or UUID, as PostHog sends it.
        id: Option<String>,
        /// Name that people see: email, name or distinct id.
        name: Option<String>,
        /// All ids under which the person sent events.
        distinct_ids: Vec<String>,
        /// Properties.
        properties: Object,
        /// When PostHog first saw the person.
        created_at: Option<Time>,
        /// UUID, which is the same in queries.
        uuid: Option<String>,
        /// Whether the person was identified.
        is_identified: Option<bool>,
        /// When the person last did something.
        last_seen_at: Option<Time>,
    }

    /// A group, such as a company.
    ///
    /// Answered by `…/groups/`, `…/groups/find/`.
    pub struct Group {
        /// Which group type (0 to 4).
        group_type_index: Option<i64>,
        /// Key of the group within its type.
        group_key: Option<String>,
        /// Properties.
        group_properties: Object,
        /// When PostHog first saw the group.
        created_at: Option<Time>,
    }

    /// A kind of groups, such as companies; a project has up to five.
    ///
    /// Answered by `…/groups_types/`.
    pub struct GroupType {
        /// Name, as in code.
        group_type: Option<String>,
        /// Index (0 to 4).
        group_type_index: Option<i64>,
        /// Name of one.
        name_singular: Option<String>,
        /// Name of many.
        name_plural: Option<String>,
        /// Number of the dashboard on the page of a group.
        detail_dashboard: Option<i64>,
        /// Columns that lists of groups show.
        default_columns: Vec<String>,
        /// When it was created.
        created_at: Option<Time>,
    }

    /// A number that tells how much a group uses the product.
    ///
    /// Answered by `…/groups_types/{group_type_index}/metrics/`.
    pub struct GroupUsageMetric {
        /// UUID.
        id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// How it is written.
        format: Option<GroupMetricFormat>,
        /// Days over which it is counted.
        interval: Option<i64>,
        /// How it is shown.
        display: Option<GroupMetricDisplay>,
        /// Which events are counted.
        filters: Option<Value>,
        math: Option<String>,
        math_property: Option<String>,
    }

    /// A list of persons: fixed, or all who meet conditions.
    ///
    /// Answered by `…/cohorts/`.
    pub struct Cohort {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Conditions in the old form.
        groups: Option<Value>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Conditions: `properties` with nested `AND` and `OR`.
        filters: Object,
        /// Query that finds the persons.
        query: Option<Value>,
        /// Whether it is being computed.
        is_calculating: Option<bool>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it was last computed.
        last_calculation: Option<Time>,
        /// Why computing it failed.
        last_calculation_error: Option<String>,
        /// How often in a row computing it failed.
        errors_calculating: Option<i64>,
        /// How many persons it has.
        count: Option<i64>,
        /// Whether it is a fixed list.
        is_static: Option<bool>,
        /// What kind it is.
        cohort_type: Option<CohortType>,
        /// Numbers of the experiments that use it.
        experiment_set: Vec<i64>,
        version: Option<i64>,
        pending_version: Option<i64>,
        last_backfill_person_properties_at: Option<Time>,
        last_error_message: Option<String>,
    }
}

values! {
    /// How the number of a [`GroupUsageMetric`] is written.
    pub enum GroupMetricFormat {
        Numeric = "numeric",
        Currency = "currency",
    }

    /// How a [`GroupUsageMetric`] is shown.
    pub enum GroupMetricDisplay {
        Number = "number",
        Sparkline = "sparkline",
    }

    /// What kind of cohort it is.
    pub enum CohortType {
        /// A fixed list.
        Static = "static",
        /// By properties of persons.
        PersonProperty = "person_property",
        /// By what persons did.
        Behavioral = "behavioral",
        /// Computed as events arrive.
        Realtime = "realtime",
        /// By queries over events.
        Analytical = "analytical",
    }
}
