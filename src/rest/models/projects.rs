//! Projects and environments.
//!
//! Written by hand: the schemas call many settings any JSON, and the share of recorded sessions text.

use super::field::{Hidden, Object};
use super::macros::{model, wire};
use super::organizations::MembershipLevel;
use super::people::GroupType;
use super::shared::PropertyFilter;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// A project and its settings.
    ///
    /// Answered by `/api/organizations/{organization_id}/projects/` (create, get, update) and
    /// `/api/projects/{id}/`.
    pub struct Project {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// UUID.
        uuid: Option<String>,
        /// UUID of the organization.
        organization: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// What the product does.
        product_description: Option<String>,
        /// Whether access is restricted.
        access_control: Option<bool>,
        /// Project API key (`phc_…`), which sends events; it is public.
        api_token: Option<String>,
        /// Project secret key.
        secret_api_token: Option<Hidden>,
        /// The secret key before it was renewed, still valid.
        secret_api_token_backup: Option<Hidden>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Whether an event ever arrived.
        ingested_event: Option<bool>,
        /// URLs at which the toolbar works.
        app_urls: Vec<Option<String>>,
        /// Webhook that actions are told to.
        slack_incoming_webhook: Option<Hidden>,
        /// Whether IP addresses are dropped.
        anonymize_ips: Option<bool>,
        /// Whether the SDK was set up.
        completed_snippet_onboarding: Option<bool>,
        /// Which persons are not test accounts.
        test_account_filters: Vec<PropertyFilter>,
        /// Whether new insights leave out test accounts.
        test_account_filters_default_checked: Option<bool>,
        /// How URLs are made alike.
        path_cleaning_filters: Option<Value>,
        /// Whether it is an example.
        is_demo: Option<bool>,
        /// Time zone, such as `Europe/Berlin`.
        timezone: Option<String>,
        /// HTML attributes by which elements are matched.
        data_attributes: Vec<String>,
        /// Properties that give persons their names.
        person_display_name_properties: Vec<String>,
        /// Settings of correlation analysis.
        correlation_config: Option<Value>,
        /// Whether autocapture is off.
        autocapture_opt_out: Option<bool>,
        /// Whether exceptions are captured.
        autocapture_exceptions_opt_in: Option<bool>,
        /// Whether web vitals are captured.
        autocapture_web_vitals_opt_in: Option<bool>,
        /// Which of them.
        autocapture_web_vitals_allowed_metrics: Option<Value>,
        /// Exceptions that are not captured.
        autocapture_exceptions_errors_to_ignore: Option<Value>,
        /// Whether recordings have the console.
        capture_console_log_opt_in: Option<bool>,
        /// Whether recordings have the network.
        capture_performance_opt_in: Option<bool>,
        /// Whether clicks without effect are captured.
        capture_dead_clicks: Option<bool>,
        /// Whether sessions are recorded.
        session_recording_opt_in: Option<bool>,
        /// Share of the sessions that is recorded (0 to 1).
        session_recording_sample_rate: Option<f64>,
        /// Milliseconds that a recording must last.
        session_recording_minimum_duration_milliseconds: Option<i64>,
        /// Flag that people must have to be recorded.
        session_recording_linked_flag: Option<Value>,
        /// What of the network is recorded.
        session_recording_network_payload_capture_config: Option<Value>,
        /// What is masked.
        session_recording_masking_config: Option<Value>,
        /// How long recordings are kept: `30d`, `90d`, `1y`, `5y`.
        session_recording_retention_period: Option<String>,
        /// Further settings of recordings.
        session_replay_config: Option<Value>,
        /// Settings of surveys.
        survey_config: Option<Value>,
        /// First day of the week: 0 is Sunday, 1 Monday.
        week_start_day: Option<i64>,
        /// Number of the dashboard on the home page.
        primary_dashboard: Option<i64>,
        /// Columns of the list of live events.
        live_events_columns: Vec<String>,
        /// Token that reads live events.
        live_events_token: Option<Hidden>,
        /// Domains that may be recorded.
        recording_domains: Vec<Option<String>>,
        /// Whether queries use the person as of the event.
        person_on_events_querying_enabled: Option<bool>,
        /// Mode of tracking without cookies (0: off).
        cookieless_server_hash_mode: Option<i64>,
        /// Whether months are compared by weeks.
        human_friendly_comparison_periods: Option<bool>,
        /// Whether site apps run.
        inject_web_apps: Option<bool>,
        /// Further settings.
        extra_settings: Option<Value>,
        /// How queries are run.
        modifiers: Option<Value>,
        /// How queries are run where nothing is set.
        default_modifiers: Object,
        /// Products that were set up.
        has_completed_onboarding_for: Option<Value>,
        /// Whether surveys are shown.
        surveys_opt_in: Option<bool>,
        /// Whether heatmaps are captured.
        heatmaps_opt_in: Option<bool>,
        /// Whether new flags keep variants at login.
        flags_persistence_default: Option<bool>,
        /// Whether changes of flags ask once more.
        feature_flag_confirmation_enabled: Option<bool>,
        /// What they ask.
        feature_flag_confirmation_message: Option<String>,
        /// Whether new flags get the evaluation environments.
        default_evaluation_environments_enabled: Option<bool>,
        /// Number of the colour theme.
        default_data_theme: Option<i64>,
        /// Currency of amounts, such as `USD`.
        base_currency: Option<String>,
        /// What the asking user may do in it.
        effective_membership_level: Option<MembershipLevel>,
        /// Whether it has group types.
        has_group_types: Option<bool>,
        /// Its group types.
        group_types: Vec<GroupType>,
        /// Products that somebody wants to use.
        product_intents: Vec<Value>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
        session_recording_url_trigger_config: Option<Value>,
        session_recording_url_blocklist_config: Option<Value>,
        session_recording_event_trigger_config: Option<Value>,
        session_recording_trigger_match_type_config: Option<String>,
        session_recording_trigger_groups: Option<Value>,
        receive_org_level_activity_logs: Option<bool>,
        business_model: Option<String>,
        conversations_enabled: Option<bool>,
        conversations_settings: Option<Value>,
        logs_settings: Option<Value>,
        proactive_tasks_enabled: Option<bool>,
        available_setup_task_ids: Option<Value>,
    }

    /// A project, in short.
    ///
    /// Answered by `/api/organizations/{organization_id}/projects/` (list).
    pub struct ProjectBasic {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// UUID.
        uuid: Option<String>,
        /// UUID of the organization.
        organization: Option<String>,
        /// UUID of the organization, in some answers.
        organization_id: Option<String>,
        /// Project API key (`phc_…`), which sends events; it is public.
        api_token: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// Whether the SDK was set up.
        completed_snippet_onboarding: Option<bool>,
        /// Products that were set up.
        has_completed_onboarding_for: Option<Value>,
        /// Whether an event ever arrived.
        ingested_event: Option<bool>,
        /// Whether it is an example.
        is_demo: Option<bool>,
        /// Time zone, such as `Europe/Berlin`.
        timezone: Option<String>,
        /// Whether access is restricted.
        access_control: Option<bool>,
    }

    /// An environment of a project and its settings. Most projects have just one.
    ///
    /// Answered by `…/environments/` (create, get, update).
    pub struct Team {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// UUID.
        uuid: Option<String>,
        /// UUID of the organization.
        organization: Option<String>,
        /// Number of the project.
        project_id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// Whether access is restricted.
        access_control: Option<bool>,
        /// Project API key (`phc_…`), which sends events; it is public.
        api_token: Option<String>,
        /// Project secret key.
        secret_api_token: Option<Hidden>,
        /// The secret key before it was renewed, still valid.
        secret_api_token_backup: Option<Hidden>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Whether an event ever arrived.
        ingested_event: Option<bool>,
        /// URLs at which the toolbar works.
        app_urls: Vec<Option<String>>,
        /// Webhook that actions are told to.
        slack_incoming_webhook: Option<Hidden>,
        /// Whether IP addresses are dropped.
        anonymize_ips: Option<bool>,
        /// Whether the SDK was set up.
        completed_snippet_onboarding: Option<bool>,
        /// Which persons are not test accounts.
        test_account_filters: Vec<PropertyFilter>,
        /// Whether new insights leave out test accounts.
        test_account_filters_default_checked: Option<bool>,
        /// How URLs are made alike.
        path_cleaning_filters: Option<Value>,
        /// Whether it is an example.
        is_demo: Option<bool>,
        /// Time zone, such as `Europe/Berlin`.
        timezone: Option<String>,
        /// HTML attributes by which elements are matched.
        data_attributes: Vec<String>,
        /// Properties that give persons their names.
        person_display_name_properties: Vec<String>,
        /// Settings of correlation analysis.
        correlation_config: Option<Value>,
        /// Whether autocapture is off.
        autocapture_opt_out: Option<bool>,
        /// Whether exceptions are captured.
        autocapture_exceptions_opt_in: Option<bool>,
        /// Whether web vitals are captured.
        autocapture_web_vitals_opt_in: Option<bool>,
        /// Which of them.
        autocapture_web_vitals_allowed_metrics: Option<Value>,
        /// Exceptions that are not captured.
        autocapture_exceptions_errors_to_ignore: Option<Value>,
        /// Whether recordings have the console.
        capture_console_log_opt_in: Option<bool>,
        /// Whether recordings have the network.
        capture_performance_opt_in: Option<bool>,
        /// Whether clicks without effect are captured.
        capture_dead_clicks: Option<bool>,
        /// Whether sessions are recorded.
        session_recording_opt_in: Option<bool>,
        /// Share of the sessions that is recorded (0 to 1).
        session_recording_sample_rate: Option<f64>,
        /// Milliseconds that a recording must last.
        session_recording_minimum_duration_milliseconds: Option<i64>,
        /// Flag that people must have to be recorded.
        session_recording_linked_flag: Option<Value>,
        /// What of the network is recorded.
        session_recording_network_payload_capture_config: Option<Value>,
        /// What is masked.
        session_recording_masking_config: Option<Value>,
        /// How long recordings are kept: `30d`, `90d`, `1y`, `5y`.
        session_recording_retention_period: Option<String>,
        /// Further settings of recordings.
        session_replay_config: Option<Value>,
        /// Settings of surveys.
        survey_config: Option<Value>,
        /// First day of the week: 0 is Sunday, 1 Monday.
        week_start_day: Option<i64>,
        /// Number of the dashboard on the home page.
        primary_dashboard: Option<i64>,
        /// Columns of the list of live events.
        live_events_columns: Vec<String>,
        /// Token that reads live events.
        live_events_token: Option<Hidden>,
        /// Domains that may be recorded.
        recording_domains: Vec<Option<String>>,
        /// Whether queries use the person as of the event.
        person_on_events_querying_enabled: Option<bool>,
        /// Mode of tracking without cookies (0: off).
        cookieless_server_hash_mode: Option<i64>,
        /// Whether months are compared by weeks.
        human_friendly_comparison_periods: Option<bool>,
        /// Whether site apps run.
        inject_web_apps: Option<bool>,
        /// Further settings.
        extra_settings: Option<Value>,
        /// How queries are run.
        modifiers: Option<Value>,
        /// How queries are run where nothing is set.
        default_modifiers: Object,
        /// Products that were set up.
        has_completed_onboarding_for: Option<Value>,
        /// Whether surveys are shown.
        surveys_opt_in: Option<bool>,
        /// Whether heatmaps are captured.
        heatmaps_opt_in: Option<bool>,
        /// Whether new flags keep variants at login.
        flags_persistence_default: Option<bool>,
        /// Whether changes of flags ask once more.
        feature_flag_confirmation_enabled: Option<bool>,
        /// What they ask.
        feature_flag_confirmation_message: Option<String>,
        /// Whether new flags get the evaluation environments.
        default_evaluation_environments_enabled: Option<bool>,
        /// Number of the colour theme.
        default_data_theme: Option<i64>,
        /// Currency of amounts, such as `USD`.
        base_currency: Option<String>,
        /// What the asking user may do in it.
        effective_membership_level: Option<MembershipLevel>,
        /// Whether it has group types.
        has_group_types: Option<bool>,
        /// Its group types.
        group_types: Vec<GroupType>,
        /// Products that somebody wants to use.
        product_intents: Vec<Value>,
        /// What the asking user may do with it: `none`, `viewer`, `editor` or `manager`.
        user_access_level: Option<String>,
        /// URLs that start a recording.
        session_recording_url_trigger_config: Option<Value>,
        /// URLs that stop a recording.
        session_recording_url_blocklist_config: Option<Value>,
        /// Events that start a recording.
        session_recording_event_trigger_config: Vec<Option<String>>,
        /// Whether `any` or `all` triggers must be met.
        session_recording_trigger_match_type_config: Option<String>,
        /// Settings of revenue analytics.
        revenue_analytics_config: Object,
        /// Settings of marketing analytics.
        marketing_analytics_config: Object,
        /// Tasks of the first steps.
        onboarding_tasks: Option<Value>,
        /// Whether web analytics use prepared tables.
        web_analytics_pre_aggregated_tables_enabled: Option<bool>,
        /// When experiments are computed each day.
        experiment_recalculation_time: Option<String>,
        /// Views that PostHog keeps.
        managed_viewsets: Object,
        logs_settings: Option<Value>,
        session_recording_trigger_groups: Option<Value>,
        default_evaluation_contexts_enabled: Option<bool>,
        require_evaluation_contexts: Option<bool>,
        customer_analytics_config: Option<Value>,
        receive_org_level_activity_logs: Option<bool>,
        business_model: Option<String>,
        conversations_enabled: Option<bool>,
        conversations_settings: Option<Value>,
        proactive_tasks_enabled: Option<bool>,
        available_setup_task_ids: Option<Value>,
    }

    /// An environment, in short.
    ///
    /// Answered by `…/environments/` (list).
    pub struct TeamBasic {
        /// Number, by which it is asked for.
        id: Option<i64>,
        /// UUID.
        uuid: Option<String>,
        /// UUID of the organization.
        organization: Option<String>,
        /// Number of the project.
        project_id: Option<i64>,
        /// Project API key (`phc_…`), which sends events; it is public.
        api_token: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// Whether the SDK was set up.
        completed_snippet_onboarding: Option<bool>,
        /// Products that were set up.
        has_completed_onboarding_for: Option<Value>,
        /// Whether an event ever arrived.
        ingested_event: Option<bool>,
        /// Whether it is an example.
        is_demo: Option<bool>,
        /// Time zone, such as `Europe/Berlin`.
        timezone: Option<String>,
        /// Whether access is restricted.
        access_control: Option<bool>,
    }
}
