//! Experiments and surveys.
//!
//! Written by hand: the schemas call the questions of surveys any JSON.

use super::field::Object;
use super::flags::{FeatureFlagFilters, MinimalFeatureFlag};
use super::macros::{model, values, wire};
use super::organizations::UserBasic;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// An A/B test on a feature flag.
    ///
    /// Answered by `…/experiments/` and its actions such as `launch` and `end`, which send only
    /// some of the fields.
    pub struct Experiment {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// The hypothesis.
        description: Option<String>,
        /// When it started; missing: not yet.
        start_date: Option<Time>,
        /// When it ended; missing: not yet.
        end_date: Option<Time>,
        /// Key of its flag.
        feature_flag_key: Option<String>,
        /// Its flag.
        feature_flag: Option<MinimalFeatureFlag>,
        /// People kept out of it.
        holdout: Option<ExperimentHoldout>,
        /// Number of its holdout.
        holdout_id: Option<i64>,
        /// Number of the cohort of those who saw it.
        exposure_cohort: Option<i64>,
        /// Variants, minimum detectable effect, sample size.
        parameters: Object,
        /// Secondary metrics in the old form.
        secondary_metrics: Option<Value>,
        /// Shared metrics that it uses.
        saved_metrics: Vec<ExperimentToSavedMetric>,
        /// Numbers and settings of those.
        saved_metrics_ids: Vec<Value>,
        /// Primary metric in the old form.
        filters: Option<Value>,
        /// Whether it was archived.
        archived: Option<bool>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Where it is built.
        kind as "type": Option<ExperimentType>,
        /// Who counts as having seen it.
        exposure_criteria: Object,
        /// Primary metrics.
        metrics: Vec<Object>,
        /// Secondary metrics.
        metrics_secondary: Vec<Object>,
        /// Which statistics are used.
        stats_config: Object,
        /// How it ended.
        conclusion: Option<Conclusion>,
        /// Why, in words.
        conclusion_comment: Option<String>,
        /// Order of the primary metrics.
        primary_metrics_ordered_uuids: Vec<String>,
        /// Order of the secondary metrics.
        secondary_metrics_ordered_uuids: Vec<String>,
        /// `draft`, `running`, `complete`, ….
        status: Option<String>,
        /// Tags.
        tags: Vec<String>,
        /// Version; every change adds one.
        version: Option<i64>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
        scheduling_config: Object,
        allow_unknown_events: Option<bool>,
        only_count_matured_users: Option<bool>,
    }

    /// People kept out of experiments, to compare with.
    ///
    /// Answered by `…/experiment_holdouts/`.
    pub struct ExperimentHoldout {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Who is kept out: release conditions as of a flag.
        filters: Option<Value>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
    }

    /// A metric that experiments share.
    ///
    /// Answered by `…/experiment_saved_metrics/`.
    pub struct ExperimentSavedMetric {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// The metric.
        query: Object,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Tags.
        tags: Vec<String>,
        user_access_level: Option<String>,
    }

    /// The use of a shared metric in an experiment.
    ///
    /// Part of [`Experiment`].
    pub struct ExperimentToSavedMetric {
        /// Number.
        id: Option<i64>,
        /// Number of the experiment.
        experiment: Option<i64>,
        /// Number of the metric.
        saved_metric: Option<i64>,
        /// How it is used, such as `{"type": "primary"}`.
        metadata: Option<Value>,
        /// When it was created.
        created_at: Option<Time>,
        /// The metric.
        query: Object,
        /// Name that people see.
        name: Option<String>,
    }

    /// An experiment on a web page without code.
    ///
    /// Answered by `…/web_experiments/`.
    pub struct WebExperiment {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// Key of its flag.
        feature_flag_key: Option<String>,
        /// What changes on the page, by variant.
        variants: Object,
    }

    /// A survey: questions, and whom they are shown to.
    ///
    /// Answered by `…/surveys/`.
    pub struct Survey {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// How it is shown.
        kind as "type": Option<SurveyType>,
        /// `once`, `recurring` or `always`.
        schedule: Option<String>,
        /// Flag that people must have.
        linked_flag: Option<MinimalFeatureFlag>,
        /// Number of that flag.
        linked_flag_id: Option<i64>,
        /// Number of an insight that belongs to it.
        linked_insight_id: Option<i64>,
        /// Flag made of the targeting conditions.
        targeting_flag: Option<MinimalFeatureFlag>,
        /// Number of that flag.
        targeting_flag_id: Option<i64>,
        /// The targeting conditions.
        targeting_flag_filters: Option<FeatureFlagFilters>,
        /// Flag by which PostHog does not show it twice.
        internal_targeting_flag: Option<MinimalFeatureFlag>,
        /// Questions, in order.
        questions: Vec<SurveyQuestion>,
        /// When it is shown: URL, selector, events, devices.
        conditions: Object,
        /// Colours, texts, position.
        appearance: Object,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it started; missing: not yet.
        start_date: Option<Time>,
        /// When it ended; missing: not yet.
        end_date: Option<Time>,
        /// Whether it was archived.
        archived: Option<bool>,
        /// After how many responses it stops.
        responses_limit: Option<i64>,
        /// Keys of the flags that it uses.
        feature_flag_keys: Vec<Value>,
        /// How often it repeats.
        iteration_count: Option<i64>,
        /// Days between two repetitions.
        iteration_frequency_days: Option<i64>,
        /// When the repetitions start.
        iteration_start_dates: Vec<Option<String>>,
        /// Which repetition runs (from 1).
        current_iteration: Option<i64>,
        /// When that one started.
        current_iteration_start_date: Option<Time>,
        /// Since when responses are limited by time.
        response_sampling_start_date: Option<Time>,
        /// Unit of `response_sampling_interval`.
        response_sampling_interval_type: Option<SamplingInterval>,
        /// Over how many days, weeks or months the limit is spread.
        response_sampling_interval: Option<i64>,
        /// How many responses that time may bring.
        response_sampling_limit: Option<i64>,
        /// Limits by day.
        response_sampling_daily_limits: Option<Value>,
        /// Whether unfinished responses count.
        enable_partial_responses: Option<bool>,
        /// Whether other sites may embed it.
        enable_iframe_embedding: Option<bool>,
        /// Language of its texts.
        base_language: Option<String>,
        /// Texts in other languages.
        translations: Option<Value>,
        /// Page around a hosted survey.
        form_content: Option<Value>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
    }

    /// One question of a survey. Which fields it has depends on its `kind`.
    ///
    /// Part of [`Survey`].
    pub struct SurveyQuestion {
        /// UUID.
        id: Option<String>,
        /// `open`, `link`, `rating`, `single_choice` or `multiple_choice`.
        kind as "type": Option<String>,
        /// The question.
        question: Option<String>,
        /// Text under it.
        description: Option<String>,
        /// Whether that is `text` or `html`.
        description_content_type as "descriptionContentType": Option<String>,
        /// Whether it may be skipped.
        optional: Option<bool>,
        /// Text of the button.
        button_text as "buttonText": Option<String>,
        /// Where a link question leads.
        link: Option<String>,
        /// Ratings: `number` or `emoji`.
        display: Option<String>,
        /// Ratings: the highest one.
        scale: Option<i64>,
        /// Ratings: what the lowest means.
        lower_bound_label as "lowerBoundLabel": Option<String>,
        /// Ratings: what the highest means.
        upper_bound_label as "upperBoundLabel": Option<String>,
        /// What can be chosen.
        choices: Vec<String>,
        /// Whether choices come in random order.
        shuffle_options as "shuffleOptions": Option<bool>,
        /// Whether the last choice is free text.
        has_open_choice as "hasOpenChoice": Option<bool>,
        /// Which question comes next.
        branching: Option<Value>,
    }
}

values! {
    /// Where an experiment is built.
    pub enum ExperimentType {
        /// On the page, without code.
        Web = "web",
        /// In code.
        Product = "product",
    }

    /// How an experiment ended.
    pub enum Conclusion {
        Won = "won",
        Lost = "lost",
        Inconclusive = "inconclusive",
        StoppedEarly = "stopped_early",
        Invalid = "invalid",
    }

    /// How a survey is shown.
    pub enum SurveyType {
        /// By itself.
        Popover = "popover",
        /// From a button.
        Widget = "widget",
        /// On a page of PostHog's.
        ExternalSurvey = "external_survey",
        /// By the application.
        Api = "api",
    }

    /// Unit of time of a limit on responses.
    pub enum SamplingInterval {
        Day = "day",
        Week = "week",
        Month = "month",
    }
}
