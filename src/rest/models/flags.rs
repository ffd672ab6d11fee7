//! Feature flags and early access features.
//!
//! Written by hand: the schemas call the filters of a flag a map of anything.

use super::field::{Hidden, Object};
use super::macros::{model, values, wire};
use super::organizations::UserBasic;
use super::shared::PropertyFilter;
use crate::rest::Time;
use serde_json::Value;
use std::collections::BTreeMap;

model! {
    /// A feature flag: who gets which variant of what.
    ///
    /// Answered by `…/feature_flags/` (list, create, get, update) and its actions such as `enable`
    /// and `archive`, which send only some of the fields.
    pub struct FeatureFlag {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// What it is for; PostHog shows it as the description.
        name: Option<String>,
        /// Key, as in code.
        key: Option<String>,
        /// Release conditions, variants and payloads.
        filters: Option<FeatureFlagFilters>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Whether it is on.
        active: Option<bool>,
        /// Whether it was archived.
        archived: Option<bool>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Version; every change adds one.
        version: Option<i64>,
        /// Who edited it last.
        last_modified_by: Option<UserBasic>,
        /// Whether it has no conditions on properties and no variants.
        is_simple_flag: Option<bool>,
        /// Percentage (0 to 100) of everyone who gets it, where that can be said.
        rollout_percentage: Option<f64>,
        /// Whether people keep their variant when they log in.
        ensure_experience_continuity: Option<bool>,
        /// Numbers of the experiments that use it.
        experiment_set: Vec<i64>,
        /// Surveys that use it.
        surveys: Option<Value>,
        /// Early access features that use it.
        features: Option<Value>,
        /// When PostHog turns it off by itself.
        rollback_conditions: Option<Value>,
        /// Whether PostHog turned it off by itself.
        performed_rollback: Option<bool>,
        /// Whether the asking user may edit it.
        can_edit: Option<bool>,
        /// Tags.
        tags: Vec<String>,
        /// Environments in which it is evaluated; all if empty. Newer: `evaluation_contexts`.
        evaluation_tags: Vec<String>,
        /// Contexts in which it is evaluated; all if empty.
        evaluation_contexts: Vec<String>,
        /// Number of the dashboard with its usage.
        usage_dashboard: Option<i64>,
        /// Numbers of dashboards that show it.
        analytics_dashboards: Vec<i64>,
        /// Whether SDKs send events of its views and interactions.
        has_enriched_analytics: Option<bool>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
        /// What made it: `feature_flags`, `experiments`, `surveys`, ….
        creation_context: Option<String>,
        /// Whether it only carries a payload.
        is_remote_configuration: Option<bool>,
        /// Whether its payloads are secret.
        has_encrypted_payloads: Option<bool>,
        /// `ACTIVE`, `INACTIVE`, `STALE`, `DELETED` or `UNKNOWN`.
        status: Option<String>,
        /// Which SDKs may evaluate it.
        evaluation_runtime: Option<EvaluationRuntime>,
        /// What percentages are counted by.
        bucketing_identifier: Option<BucketingIdentifier>,
        /// When an SDK last evaluated it.
        last_called_at: Option<Time>,
        experiment_set_metadata: Vec<Object>,
        is_used_in_replay_settings: Option<bool>,
    }

    /// The conditions of a flag: who gets it.
    ///
    /// Part of [`FeatureFlag`].
    pub struct FeatureFlagFilters {
        /// Release conditions; the first that fits decides.
        groups: Vec<FlagCondition>,
        /// Variants; missing: on or off.
        multivariate: Option<FlagVariants>,
        /// JSON texts that come with a variant, by its key (`true` without variants).
        payloads: Object,
        /// Group type the flag is decided by; missing: by person.
        aggregation_group_type_index: Option<i64>,
        /// Conditions that go before all others, as those of early access features.
        super_groups: Vec<FlagCondition>,
        /// The experiment holdout that keeps people out.
        holdout: Option<Value>,
        /// Conditions of experiment holdouts.
        holdout_groups: Vec<FlagCondition>,
        /// Whether people may opt in to it as an early access feature.
        feature_enrollment: Option<bool>,
        /// Whether a condition that fits but does not roll out ends the search.
        early_exit: Option<bool>,
    }

    /// One release condition of a flag: these properties, that percentage.
    ///
    /// Part of [`FeatureFlagFilters`].
    pub struct FlagCondition {
        /// All must hold; empty is everyone.
        properties: Vec<PropertyFilter>,
        /// Percentage (0 to 100) of those who get it; missing: all.
        rollout_percentage: Option<f64>,
        /// Variant given to them instead of a random one.
        variant: Option<String>,
        /// Group type this condition is decided by.
        aggregation_group_type_index: Option<i64>,
        /// What it is for.
        description: Option<String>,
        /// PostHog's name for the condition.
        sort_key: Option<String>,
        /// How many people it applies to.
        users_affected: Option<f64>,
    }

    /// The variants of a flag.
    ///
    /// Part of [`FeatureFlagFilters`].
    pub struct FlagVariants {
        /// Variants; their percentages add up to 100.
        variants: Vec<FlagVariant>,
    }

    /// One variant of a flag.
    ///
    /// Part of [`FlagVariants`].
    pub struct FlagVariant {
        /// Key, as in code.
        key: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// Percentage (0 to 100) of those who get the flag.
        rollout_percentage: Option<f64>,
    }

    /// A flag, in short.
    ///
    /// Part of experiments, surveys and early access features; and of
    /// `…/feature_flags/local_evaluation/`.
    pub struct MinimalFeatureFlag {
        /// Number.
        id: Option<i64>,
        /// Number of the project.
        team_id: Option<i64>,
        /// What it is for.
        name: Option<String>,
        /// Key, as in code.
        key: Option<String>,
        /// Release conditions, variants and payloads.
        filters: Option<FeatureFlagFilters>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Whether it is on.
        active: Option<bool>,
        /// Whether people keep their variant when they log in.
        ensure_experience_continuity: Option<bool>,
        /// Whether its payloads are secret.
        has_encrypted_payloads: Option<bool>,
        /// Version; every change adds one.
        version: Option<i64>,
        /// Which SDKs may evaluate it.
        evaluation_runtime: Option<EvaluationRuntime>,
        /// Environments in which it is evaluated; all if empty.
        evaluation_tags: Vec<String>,
        /// What percentages are counted by.
        bucketing_identifier: Option<BucketingIdentifier>,
        evaluation_contexts: Vec<String>,
    }

    /// All that is needed to decide flags without asking PostHog.
    ///
    /// Answered by `…/feature_flags/local_evaluation/`.
    pub struct LocalEvaluation {
        /// Flags.
        flags: Vec<MinimalFeatureFlag>,
        /// Group types by index.
        group_type_mapping: BTreeMap<String, String>,
        /// Conditions of the cohorts that flags use, by number of the cohort.
        cohorts: Object,
    }

    /// Whether a flag is in use, and why PostHog thinks so.
    ///
    /// Answered by `…/feature_flags/{id}/status/`.
    pub struct FlagStatus {
        /// `active`, `inactive`, `stale`, `deleted` or `unknown`.
        status: Option<String>,
        /// Why.
        reason: Option<String>,
    }

    /// How many people release conditions apply to.
    ///
    /// Answered by `…/feature_flags/user_blast_radius/`.
    pub struct BlastRadius {
        /// People (or groups) whom they fit.
        users_affected: Option<i64>,
        /// All people (or groups).
        total_users: Option<i64>,
        /// People (or groups) whom they fit, in newer PostHog.
        affected: Option<i64>,
        /// All people (or groups), in newer PostHog.
        total: Option<i64>,
        /// How many a batch trigger may have.
        limit: Option<i64>,
        /// What counts once: `email`; missing: a person.
        dedupe_key: Option<String>,
        /// Shows that this audience was looked at, to run a batch for it.
        confirm_token: Option<Hidden>,
    }

    /// A feature that people may opt in to before all get it.
    ///
    /// Answered by `…/early_access_feature/`.
    pub struct EarlyAccessFeature {
        /// UUID.
        id: Option<String>,
        /// The flag behind it.
        feature_flag: Option<MinimalFeatureFlag>,
        /// Number of the flag behind it.
        feature_flag_id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// How far it is.
        stage: Option<Stage>,
        /// Where it is explained.
        documentation_url: Option<String>,
        /// JSON that comes with it.
        payload: Option<Value>,
        /// When it was created.
        created_at: Option<Time>,
    }
}

values! {
    /// By what a rollout of a flag tells people apart.
    pub enum BucketingIdentifier {
        DistinctId = "distinct_id",
        DeviceId = "device_id",
    }

    /// Which SDKs may evaluate a flag.
    pub enum EvaluationRuntime {
        Server = "server",
        Client = "client",
        All = "all",
    }

    /// How far an early access feature is.
    pub enum Stage {
        Draft = "draft",
        Concept = "concept",
        Alpha = "alpha",
        Beta = "beta",
        GeneralAvailability = "general-availability",
        Archived = "archived",
    }
}
