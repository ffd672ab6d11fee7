//! What several areas have in common: filters, sharing, subscriptions, exports.
//!
//! Written by hand: a property filter is one of fifteen schemas, and the tokens of shared links are to be hidden.

use super::field::{Hidden, Object};
use super::macros::{levels, model, values, wire};
use super::organizations::UserBasic;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// A condition on a property, as in flags, cohorts, actions and insights.
    ///
    /// Part of filters, answered by no endpoint of its own.
    pub struct PropertyFilter {
        /// Name of the property, or the number of a cohort.
        key: Option<String>,
        /// What it is compared with: text, number, boolean or a list.
        value: Option<Value>,
        /// How it is compared; missing means `exact`.
        operator: Option<PropertyOperator>,
        /// What the property belongs to: `event`, `person`, `group`, `cohort`, `session`, `hogql`,
        /// ….
        kind as "type": Option<String>,
        /// Which group type, for `group` properties.
        group_type_index: Option<i64>,
        /// Whether the condition is turned around.
        negation: Option<bool>,
        /// Label that people see.
        label: Option<String>,
    }

    /// How a dashboard, insight or recording is shared with people outside.
    ///
    /// Answered by `…/dashboards/{id}/sharing/`, `…/insights/{id}/sharing/` and
    /// `…/session_recordings/{id}/sharing/`.
    pub struct SharingConfiguration {
        /// When it was created.
        created_at: Option<Time>,
        /// Whether the link works.
        enabled: Option<bool>,
        /// Token in the link: who has it can look.
        access_token: Option<Hidden>,
        /// How the shared page looks.
        settings: Option<Value>,
        /// Whether it asks for a password.
        password_required: Option<bool>,
        /// Its passwords: id, note, who made it; never the password.
        share_passwords: Vec<Object>,
    }

    /// Regular mail, Slack message or webhook with a dashboard or an insight.
    ///
    /// Answered by `…/subscriptions/`.
    pub struct Subscription {
        /// Number.
        id: Option<i64>,
        /// Number of the dashboard it shows.
        dashboard: Option<i64>,
        /// Number of the insight it shows.
        insight: Option<i64>,
        /// Where it goes.
        target_type: Option<SubscriptionTarget>,
        /// Addresses (with commas between), channel or URL.
        target_value: Option<String>,
        /// How often.
        frequency: Option<Frequency>,
        /// Every so many days, weeks, months or years.
        interval: Option<i64>,
        /// On which days of the week.
        byweekday: Vec<Weekday>,
        /// Which of those days within a month; -1 is the last.
        bysetpos: Option<i64>,
        /// After how many deliveries it ends.
        count: Option<i64>,
        /// When the first one is due.
        start_date: Option<Time>,
        /// When it ends.
        until_date: Option<Time>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Title.
        title: Option<String>,
        /// How often, in words.
        summary: Option<String>,
        /// When the next one is due.
        next_delivery_date: Option<Time>,
        /// Text of the first mail to new receivers.
        invite_message: Option<String>,
        insight_short_id: Option<String>,
        resource_name: Option<String>,
        dashboard_export_insights: Vec<i64>,
        integration_id: Option<i64>,
        summary_enabled: Option<bool>,
        summary_prompt_guide: Option<String>,
    }

    /// A dashboard, insight or recording written to a file.
    ///
    /// Answered by `…/exports/`.
    pub struct ExportedAsset {
        /// Number.
        id: Option<i64>,
        /// Number of the dashboard.
        dashboard: Option<i64>,
        /// Number of the insight.
        insight: Option<i64>,
        /// Media type, such as `image/png` or `text/csv`.
        export_format: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// Whether the file is ready.
        has_content: Option<bool>,
        /// What exactly is exported.
        export_context: Option<Value>,
        /// Name of the file.
        filename: Option<String>,
        /// When PostHog deletes it.
        expires_after: Option<Time>,
        /// Why it failed.
        exception: Option<String>,
    }

    /// A connection to another service, such as Slack or GitHub.
    ///
    /// Answered by `…/integrations/`.
    pub struct Integration {
        /// Number.
        id: Option<i64>,
        /// Which service: `slack`, `github`, `hubspot`, `google-ads`, ….
        kind: Option<String>,
        /// Settings; the secrets are left out by PostHog.
        config: Option<Value>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// What is wrong with it; empty when nothing is.
        errors: Option<String>,
        /// Name of the connected account.
        display_name: Option<String>,
    }

    /// Colours of charts.
    ///
    /// Answered by `…/data_color_themes/`.
    pub struct DataColorTheme {
        /// Number.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// Colours in the order in which they are used.
        colors: Option<Value>,
        /// Whether it is PostHog's own.
        is_global: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
    }
}

values! {
    /// How often something is done.
    pub enum Frequency {
        Daily = "daily",
        Weekly = "weekly",
        Monthly = "monthly",
        Yearly = "yearly",
    }

    /// What a [`Subscription`] is sent by.
    pub enum SubscriptionTarget {
        Email = "email",
        Slack = "slack",
        Teams = "teams",
        Webhook = "webhook",
    }

    /// A day of the week.
    pub enum Weekday {
        Monday = "monday",
        Tuesday = "tuesday",
        Wednesday = "wednesday",
        Thursday = "thursday",
        Friday = "friday",
        Saturday = "saturday",
        Sunday = "sunday",
    }

    /// How a property is compared with a value, as PostHog names it.
    pub enum PropertyOperator {
        Exact = "exact",
        IsNot = "is_not",
        /// Contains the text, in any case.
        Icontains = "icontains",
        NotIcontains = "not_icontains",
        /// Contains one of the texts, in any case.
        IcontainsMulti = "icontains_multi",
        NotIcontainsMulti = "not_icontains_multi",
        StartsWith = "starts_with",
        NotStartsWith = "not_starts_with",
        EndsWith = "ends_with",
        NotEndsWith = "not_ends_with",
        Regex = "regex",
        NotRegex = "not_regex",
        Gt = "gt",
        Gte = "gte",
        Lt = "lt",
        Lte = "lte",
        Min = "min",
        Max = "max",
        IsSet = "is_set",
        IsNotSet = "is_not_set",
        IsDateExact = "is_date_exact",
        IsDateBefore = "is_date_before",
        IsDateAfter = "is_date_after",
        Between = "between",
        NotBetween = "not_between",
        /// The person is in the cohort.
        In = "in",
        NotIn = "not_in",
        /// The path without what changes in it, such as ids, is the text.
        IsCleanedPathExact = "is_cleaned_path_exact",
        IsCleanedPathNotExact = "is_cleaned_path_not_exact",
        /// The other flag evaluates to the value.
        FlagEvaluatesTo = "flag_evaluates_to",
        SemverEq = "semver_eq",
        SemverNeq = "semver_neq",
        SemverGt = "semver_gt",
        SemverGte = "semver_gte",
        SemverLt = "semver_lt",
        SemverLte = "semver_lte",
        /// The same minor version, at least this patch: `~1.2.3`.
        SemverTilde = "semver_tilde",
        /// The same major version, at least this one: `^1.2.3`.
        SemverCaret = "semver_caret",
        /// `1.2.*`.
        SemverWildcard = "semver_wildcard",
    }
}

levels! {
    /// Who may edit a dashboard or insight, or what a user may do with it.
    pub enum RestrictionLevel {
        /// Everyone in the project may edit it.
        EveryoneCanEdit = 21,
        /// Only collaborators may edit it.
        OnlyCollaboratorsCanEdit = 37,
    }
}
