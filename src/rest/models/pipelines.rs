//! Hog functions and batch exports: data on its way in and out.
//!
//! Written by hand: the schemas call the inputs of functions and the settings of destinations any JSON.

use super::field::Object;
use super::macros::{levels, model, values, wire};
use super::organizations::UserBasic;
use super::shared::PropertyFilter;
use crate::rest::Time;
use serde_json::Value;
use std::collections::BTreeMap;

model! {
    /// A function in Hog that runs on events: destination, transformation, source, site app.
    ///
    /// Answered by `…/hog_functions/` (create) and `…/hog_functions/{id}/` (get, update).
    pub struct HogFunction {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// What it does.
        kind as "type": Option<HogFunctionType>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Whether it runs.
        enabled: Option<bool>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Its source.
        hog: Option<String>,
        /// Its source, compiled.
        bytecode: Option<Value>,
        /// Its source as JavaScript, of site functions.
        transpiled: Option<String>,
        /// What it asks for.
        inputs_schema: Vec<HogFunctionInputSchema>,
        /// What it was given; secrets are left out by PostHog.
        inputs: BTreeMap<String, HogFunctionInput>,
        /// Which events it runs on.
        filters: Option<HogFunctionFilters>,
        /// How often it may run.
        masking: Option<HogFunctionMasking>,
        /// What it does with which events.
        mappings: Vec<HogFunctionMapping>,
        /// Picture.
        icon_url: Option<String>,
        /// What it was made from.
        template: Option<HogFunctionTemplate>,
        /// Id of that.
        template_id: Option<String>,
        /// How it is doing.
        status: Option<HogFunctionStatus>,
        /// Its place among transformations.
        execution_order: Option<i64>,
        /// UUID of the batch export that it belongs to.
        batch_export_id: Option<String>,
    }

    /// A Hog function, in short.
    ///
    /// Answered by `…/hog_functions/` (list).
    pub struct HogFunctionMinimal {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// What it does.
        kind as "type": Option<HogFunctionType>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Whether it runs.
        enabled: Option<bool>,
        /// Its source.
        hog: Option<String>,
        /// Which events it runs on.
        filters: Option<HogFunctionFilters>,
        /// Picture.
        icon_url: Option<String>,
        /// What it was made from.
        template: Option<HogFunctionTemplate>,
        /// How it is doing.
        status: Option<HogFunctionStatus>,
        /// Its place among transformations.
        execution_order: Option<i64>,
    }

    /// What a Hog function asks for: one field of its form.
    ///
    /// Part of [`HogFunction`].
    pub struct HogFunctionInputSchema {
        /// What is asked for: `string`, `number`, `boolean`, `dictionary`, `choice`, `json`,
        /// `integration`, `email`, ….
        kind as "type": Option<String>,
        /// Name of the input.
        key: Option<String>,
        /// Label that people see.
        label: Option<String>,
        /// What can be chosen.
        choices: Vec<Object>,
        /// Whether it must be given.
        required: Option<bool>,
        /// Used where it is not.
        default: Option<Value>,
        /// Whether PostHog keeps it secret.
        secret: Option<bool>,
        /// Whether the form leaves it out.
        hidden: Option<bool>,
        /// What it is for.
        description: Option<String>,
        /// Kind of the integration.
        integration: Option<String>,
        /// Input that holds the integration.
        integration_key: Option<String>,
        /// Input that must be given first.
        requires_field: Option<String>,
        /// What of the integration is chosen.
        integration_field: Option<String>,
        /// What the integration must be allowed to do.
        required_scopes as "requiredScopes": Option<String>,
        /// Whether it may contain expressions, and in which language.
        templating: Option<Value>,
    }

    /// What a Hog function was given.
    ///
    /// Part of [`HogFunction`].
    pub struct HogFunctionInput {
        /// The value, which may contain expressions.
        value: Option<Value>,
        /// Language of the expressions: `hog` or `liquid`.
        templating: Option<String>,
        /// The value, compiled.
        bytecode: Option<Value>,
        /// In which order inputs are computed.
        order: Option<i64>,
        /// The value as JavaScript.
        transpiled: Option<Value>,
        /// Whether a secret is stored, which PostHog does not send.
        secret: Option<bool>,
    }

    /// Which events a Hog function runs on.
    ///
    /// Part of [`HogFunction`].
    pub struct HogFunctionFilters {
        /// `events` or `person-updates`.
        source: Option<String>,
        /// Events.
        events: Vec<Object>,
        /// Actions.
        actions: Vec<Object>,
        /// Properties that they must have.
        properties: Vec<PropertyFilter>,
        /// The filters, compiled.
        bytecode: Option<Value>,
        /// The filters as JavaScript.
        transpiled: Option<Value>,
        /// Whether test accounts are left out.
        filter_test_accounts: Option<bool>,
        /// Why they do not compile.
        bytecode_error: Option<String>,
        data_warehouse: Vec<Object>,
    }

    /// How often a Hog function may run for events that are alike.
    ///
    /// Part of [`HogFunction`].
    pub struct HogFunctionMasking {
        /// Seconds for which it is remembered.
        ttl: Option<i64>,
        /// After how many events it runs again.
        threshold: Option<i64>,
        /// What makes events alike: an expression.
        hash: Option<String>,
        /// That, compiled.
        bytecode: Option<Value>,
    }

    /// What a Hog function does with some events.
    ///
    /// Part of [`HogFunction`].
    pub struct HogFunctionMapping {
        /// Name that people see.
        name: Option<String>,
        /// What is asked for.
        inputs_schema: Vec<HogFunctionInputSchema>,
        /// What was given.
        inputs: BTreeMap<String, HogFunctionInput>,
        /// Which events.
        filters: Option<HogFunctionFilters>,
    }

    /// What Hog functions are made from.
    ///
    /// Answered by `…/hog_function_templates/`; part of [`HogFunction`].
    pub struct HogFunctionTemplate {
        /// Id, such as `template-slack`.
        id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Source.
        code: Option<String>,
        /// Language of the source.
        code_language: Option<String>,
        /// What it asks for.
        inputs_schema: Option<Value>,
        /// What it does.
        kind as "type": Option<String>,
        /// `stable`, `beta`, `alpha`, `deprecated` or `hidden`.
        status: Option<String>,
        /// Under what it is listed.
        category: Vec<String>,
        /// Whether every plan has it.
        free: Option<bool>,
        /// Picture.
        icon_url: Option<String>,
        /// Filters it starts with.
        filters: Option<Value>,
        /// Masking it starts with.
        masking: Option<Value>,
        /// Mappings to choose from.
        mapping_templates: Vec<HogFunctionMappingTemplate>,
    }

    /// A mapping to choose from.
    ///
    /// Part of [`HogFunctionTemplate`].
    pub struct HogFunctionMappingTemplate {
        /// Name that people see.
        name: Option<String>,
        /// Whether new functions have it.
        include_by_default: Option<bool>,
        /// Which events.
        filters: Option<Value>,
        /// What is given.
        inputs: Option<Value>,
        /// What is asked for.
        inputs_schema: Option<Value>,
        use_all_events_by_default: Option<bool>,
    }

    /// How a Hog function is doing.
    ///
    /// Part of [`HogFunction`].
    pub struct HogFunctionStatus {
        /// State.
        state: Option<HogFunctionState>,
        /// How much it may still run, before it is slowed down.
        tokens: Option<f64>,
    }

    /// A regular export of events, persons or sessions.
    ///
    /// Answered by `…/batch_exports/`.
    pub struct BatchExport {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Number of the project.
        team_id: Option<i64>,
        /// Name that people see.
        name: Option<String>,
        /// What is exported: `events`, `persons` or `sessions`.
        model: Option<String>,
        /// Where to.
        destination: Option<BatchExportDestination>,
        /// How often.
        interval: Option<BatchExportInterval>,
        /// Whether it rests.
        paused: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        last_updated_at: Option<Time>,
        /// When it was last paused.
        last_paused_at: Option<Time>,
        /// Nothing before this is exported.
        start_at: Option<Time>,
        /// Nothing after this is exported.
        end_at: Option<Time>,
        /// Its latest runs.
        latest_runs: Vec<BatchExportRun>,
        /// Query of what is exported.
        hogql_query: Option<String>,
        /// Columns.
        schema: Option<Value>,
        /// Filters.
        filters: Option<Value>,
        timezone: Option<String>,
        offset_day: Option<i64>,
        offset_hour: Option<i64>,
    }

    /// Where a batch export goes.
    ///
    /// Part of [`BatchExport`].
    pub struct BatchExportDestination {
        /// Kind of place.
        kind as "type": Option<BatchExportDestinationType>,
        /// Settings; secrets are left out by PostHog.
        config: Object,
        /// Number of the integration.
        integration: Option<i64>,
        /// Number of the integration.
        integration_id: Option<i64>,
    }

    /// One run of a batch export.
    ///
    /// Answered by `…/batch_exports/{id}/runs/`.
    pub struct BatchExportRun {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// How it went.
        status: Option<RunStatus>,
        /// Rows exported.
        records_completed: Option<i64>,
        /// What last went wrong.
        latest_error: Option<String>,
        /// Start of the exported time.
        data_interval_start: Option<Time>,
        /// End of the exported time.
        data_interval_end: Option<Time>,
        /// How far it is.
        cursor: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it ended.
        finished_at: Option<Time>,
        /// When it last changed.
        last_updated_at: Option<Time>,
        /// Rows to export.
        records_total_count: Option<i64>,
        /// Rows that could not be exported.
        records_failed: Option<i64>,
        /// Bytes exported.
        bytes_exported: Option<i64>,
        /// UUID of the batch export.
        batch_export: Option<String>,
        /// UUID of the backfill it belongs to.
        backfill: Option<String>,
    }

    /// An export of a time in the past.
    ///
    /// Answered by `…/batch_exports/{id}/backfills/`.
    pub struct BatchExportBackfill {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// How far it is.
        progress: Option<Value>,
        /// Start of the time; missing: from the first data.
        start_at: Option<Time>,
        /// End of the time.
        end_at: Option<Time>,
        /// How it went.
        status: Option<RunStatus>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it ended.
        finished_at: Option<Time>,
        /// When it last changed.
        last_updated_at: Option<Time>,
        /// Number of the project.
        team: Option<i64>,
        /// UUID of the batch export.
        batch_export: Option<String>,
        /// Rows to export.
        total_records_count: Option<i64>,
        /// Start of the data, where that is later.
        adjusted_start_at: Option<Time>,
    }

    /// A line of the log of a plugin.
    ///
    /// Answered by `…/plugin_configs/{id}/logs/`.
    pub struct PluginLogEntry {
        /// UUID.
        id: Option<String>,
        /// Number of the project.
        team_id: Option<i64>,
        /// Number of the plugin.
        plugin_id: Option<i64>,
        /// Number of its configuration.
        plugin_config_id: Option<i64>,
        /// When it was written.
        timestamp: Option<Time>,
        /// Who wrote it: `SYSTEM`, `PLUGIN` or `CONSOLE`.
        source: Option<String>,
        /// How bad it is: `DEBUG`, `LOG`, `INFO`, `WARN` or `ERROR`.
        kind as "type": Option<String>,
        /// Text.
        message: Option<String>,
        /// UUID of the process.
        instance_id: Option<String>,
    }

    /// A domain of yours under which PostHog is reached.
    ///
    /// Answered by `/api/organizations/{organization_id}/proxy_records/`.
    pub struct ProxyRecord {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// The domain.
        domain: Option<String>,
        /// What its DNS record must point to.
        target_cname: Option<String>,
        /// `waiting`, `issuing`, `valid`, `warning`, `erroring`, `deleting` or `timed_out`.
        status: Option<String>,
        /// What is wrong.
        message: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Number of who created it.
        created_by: Option<i64>,
    }
}

values! {
    /// How often a [`BatchExport`] runs.
    pub enum BatchExportInterval {
        Hour = "hour",
        Day = "day",
        Week = "week",
        Every5Minutes = "every 5 minutes",
        Every15Minutes = "every 15 minutes",
    }

    /// What a Hog function does.
    pub enum HogFunctionType {
        /// Sends events elsewhere.
        Destination = "destination",
        /// Sends events elsewhere, in the browser.
        SiteDestination = "site_destination",
        /// Tells about what happens in PostHog, such as alerts.
        InternalDestination = "internal_destination",
        /// Makes events of what others send.
        SourceWebhook = "source_webhook",
        /// Runs in the browser.
        SiteApp = "site_app",
        /// Changes events as they arrive.
        Transformation = "transformation",
    }

    /// Kinds of places that batch exports go to.
    pub enum BatchExportDestinationType {
        S3 = "S3",
        Snowflake = "Snowflake",
        Postgres = "Postgres",
        Redshift = "Redshift",
        BigQuery = "BigQuery",
        Databricks = "Databricks",
        AzureBlob = "AzureBlob",
        Http = "HTTP",
        NoOp = "NoOp",
    }

    /// How a run of an export goes.
    pub enum RunStatus {
        Starting = "Starting",
        Running = "Running",
        Completed = "Completed",
        /// Goes on as another run.
        ContinuedAsNew = "ContinuedAsNew",
        Failed = "Failed",
        /// Failed, and is tried again.
        FailedRetryable = "FailedRetryable",
        /// Over the limit of the plan.
        FailedBilling = "FailedBilling",
        Cancelled = "Cancelled",
        Terminated = "Terminated",
        TimedOut = "TimedOut",
    }
}

levels! {
    /// State of a Hog function.
    pub enum HogFunctionState {
        /// It has not run.
        Unknown = 0,
        /// All is well.
        Healthy = 1,
        /// It fails or is slow, and is run later.
        Degraded = 2,
        /// PostHog turned it off.
        Disabled = 3,
        /// PostHog's people slowed it down.
        ForcefullyDegraded = 11,
        /// PostHog's people turned it off.
        ForcefullyDisabled = 12,
    }
}
