//! Queries and what they answer; saved queries and tables of the warehouse.
//!
//! Written by hand: the schemas have 68 answers to a query, with nothing that tells them apart.

use super::field::{Hidden, Object};
use super::macros::{model, values, wire};
use super::organizations::UserBasic;
use crate::rest::Time;
use serde_json::Value;

model! {
    /// How a query is doing.
    ///
    /// Part of [`QueryStatusResponse`] and of answers that are not complete. The status of a query that runs
    /// [in the background](crate::rest::HogQlQuery::in_background) is a [`HogQlStatus`](crate::rest::HogQlStatus).
    pub struct QueryStatus {
        /// Id, by which it is asked for.
        id: Option<String>,
        /// Whether it ended, well or not.
        complete: Option<bool>,
        /// Whether it failed.
        error: Option<bool>,
        /// Why it failed.
        error_message: Option<String>,
        /// The answer, once complete.
        results: Option<Value>,
        /// Whether it runs in the background.
        query_async: Option<bool>,
        /// How far it is.
        query_progress: Option<QueryProgress>,
        /// When it was asked.
        start_time: Option<Time>,
        /// When it started.
        pickup_time: Option<Time>,
        /// When it ended.
        end_time: Option<Time>,
        /// Until when the answer is kept.
        expiration_time: Option<Time>,
        /// Number of the dashboard it is for.
        dashboard_id: Option<i64>,
        /// Number of the insight it is for.
        insight_id: Option<i64>,
        /// What it is for.
        labels: Vec<String>,
        /// Id of the task that runs it.
        task_id: Option<String>,
        /// Number of the project.
        team_id: Option<i64>,
    }

    /// Answer to how a query is doing.
    ///
    /// Answered by `…/query/{id}/`.
    pub struct QueryStatusResponse {
        /// How it is doing.
        query_status: Option<QueryStatus>,
    }

    /// How far a query is.
    ///
    /// Part of [`QueryStatus`].
    pub struct QueryProgress {
        /// Rows read.
        rows_read: Option<i64>,
        /// Bytes read.
        bytes_read: Option<i64>,
        /// Rows to read, about.
        estimated_rows_total: Option<i64>,
        /// Seconds so far.
        time_elapsed: Option<f64>,
        /// Microseconds of computing.
        active_cpu_time: Option<f64>,
    }

    /// Answer to a query, its rows as they are.
    ///
    /// Answered by `…/query/`, above all to a query of kind `HogQLQuery`; what others result in, where it is
    /// no list, is in `extra`. [`HogQlQuery::rows`](crate::rest::HogQlQuery::rows) reads rows into types of yours.
    pub struct QueryResponse {
        /// Rows: a list of values each.
        results: Vec<Value>,
        /// Names of the columns.
        columns: Vec<String>,
        /// Types of the columns: pairs of name and ClickHouse type.
        types: Vec<Value>,
        /// Whether there are more rows than the limit.
        has_more as "hasMore": Option<bool>,
        /// Rows asked for.
        limit: Option<i64>,
        /// Rows left out.
        offset: Option<i64>,
        /// The query as given.
        query: Option<String>,
        /// The query as run, in HogQL.
        hogql: Option<String>,
        /// The query as run, in ClickHouse SQL; only when debugging.
        clickhouse: Option<String>,
        /// What went wrong; only when debugging.
        error: Option<String>,
        /// How ClickHouse runs it; only when asked for.
        explain: Vec<String>,
        /// What the query uses, and what is wrong with it; only when debugging.
        metadata: Option<HogQlMetadata>,
        /// How it was run.
        modifiers: Object,
        /// How long its parts took.
        timings: Vec<QueryTiming>,
        /// How it is doing, while it is not complete.
        query_status: Option<QueryStatus>,
        /// Time that it is about.
        resolved_date_range: Option<DateRange>,
        /// Whether it was computed earlier.
        is_cached: Option<bool>,
        /// Key of the stored answer.
        cache_key: Option<String>,
        /// When the stored answer gets old.
        cache_target_age: Option<Time>,
        /// When it was computed.
        last_refresh: Option<Time>,
        /// When it may be computed anew.
        next_allowed_client_refresh: Option<Time>,
        /// Time zone of the times.
        timezone: Option<String>,
    }

    /// What a HogQL query uses, and what is wrong with it.
    ///
    /// Answered by `…/query/` to a query of kind `HogQLMetadata`; part of [`QueryResponse`].
    pub struct HogQlMetadata {
        /// The query.
        query: Option<String>,
        /// Whether it can be run.
        is_valid as "isValid": Option<bool>,
        /// Whether it uses indices: `yes`, `partial`, `no` or `undecisive`.
        is_using_indices as "isUsingIndices": Option<String>,
        /// What stops it.
        errors: Vec<HogQlRemark>,
        /// What may be wrong.
        warnings: Vec<HogQlRemark>,
        /// What is worth knowing.
        notices: Vec<HogQlRemark>,
        /// Tables it uses.
        table_names: Vec<String>,
        /// ClickHouse tables it uses.
        ch_table_names: Vec<String>,
    }

    /// A remark on a HogQL query.
    ///
    /// Part of [`HogQlMetadata`].
    pub struct HogQlRemark {
        /// What is wrong.
        message: Option<String>,
        /// Where it starts: characters into the query.
        start: Option<i64>,
        /// Where it ends.
        end: Option<i64>,
        /// What to write instead.
        fix: Option<String>,
    }

    /// How long a part of a query took.
    ///
    /// Part of [`QueryResponse`].
    pub struct QueryTiming {
        /// The part, such as `./execute`.
        key as "k": Option<String>,
        /// Seconds.
        seconds as "t": Option<f64>,
    }

    /// A time that a query is about.
    ///
    /// Part of [`QueryResponse`].
    pub struct DateRange {
        /// Its start.
        date_from: Option<Time>,
        /// Its end.
        date_to: Option<Time>,
    }

    /// A query in today's form.
    ///
    /// Answered by `…/query/upgrade/`.
    pub struct QueryUpgrade {
        /// The query.
        query: Object,
    }

    /// A view of the data warehouse: a query with a name.
    ///
    /// Answered by `…/warehouse_saved_queries/`.
    pub struct SavedQuery {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Name, as in queries.
        name: Option<String>,
        /// The query, as a node with its `kind`.
        query: Object,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// How often it is computed, such as `24hour`; missing: when used.
        sync_frequency: Option<String>,
        /// Columns: name, type, and how they are shown.
        columns: Vec<Object>,
        /// How computing it went.
        status: Option<SavedQueryStatus>,
        /// When it was last computed.
        last_run_at: Option<Time>,
        /// Why computing it failed.
        latest_error: Option<String>,
        /// Version that an update is based on.
        edited_history_id: Option<String>,
        /// Newest version; an update names it as `edited_history_id`.
        latest_history_id: Option<String>,
        /// Whether an update keeps the schedule.
        soft_update: Option<bool>,
        /// Whether its results are stored.
        is_materialized: Option<bool>,
        /// Set of PostHog's own views that it belongs to.
        managed_viewset_kind: Option<String>,
        /// UUID of its folder.
        folder_id: Option<String>,
        folder_name: Option<String>,
        dag_id: Option<String>,
        origin: Option<String>,
        is_test: Option<bool>,
        expires_at: Option<Time>,
    }

    /// A table of the data warehouse.
    ///
    /// Answered by `…/warehouse_tables/`.
    pub struct WarehouseTable {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Name, as in queries.
        name: Option<String>,
        /// Format of its files, such as `Parquet`.
        format: Option<String>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// Where its files are.
        url_pattern: Option<String>,
        /// How they are reached.
        credential: Option<WarehouseCredential>,
        /// Columns: name, type, and how they are shown.
        columns: Vec<Object>,
        /// Where its rows come from.
        external_data_source: Option<WarehouseSource>,
        /// How they are synchronised.
        external_schema: Option<Value>,
        options: Object,
    }

    /// How the files of a table are reached.
    ///
    /// Part of [`WarehouseTable`].
    pub struct WarehouseCredential {
        /// UUID.
        id: Option<String>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// When it was created.
        created_at: Option<Time>,
        /// Access key.
        access_key: Option<Hidden>,
        /// Secret key.
        access_secret: Option<Hidden>,
    }

    /// Where the rows of a table come from.
    ///
    /// Part of [`WarehouseTable`].
    pub struct WarehouseSource {
        /// UUID.
        id: Option<String>,
        /// When it was created.
        created_at: Option<Time>,
        /// Number of who created it.
        created_by: Option<i64>,
        /// How it is doing.
        status: Option<String>,
        /// What it is: `Stripe`, `Postgres`, `Hubspot`, ….
        source_type: Option<String>,
    }

    /// A regular check of what language models answer.
    ///
    /// Answered by `…/evaluations/`.
    pub struct Evaluation {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Whether it runs.
        enabled: Option<bool>,
        /// Who checks, such as `llm_judge`.
        evaluation_type: Option<String>,
        /// What is checked.
        evaluation_config: Object,
        /// What comes out, such as `boolean`.
        output_type: Option<String>,
        /// What may come out.
        output_config: Object,
        /// Which answers are checked.
        conditions: Option<Value>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        status: Option<String>,
        status_reason: Option<String>,
        model_configuration: Object,
    }

    /// A set of examples for language models.
    ///
    /// Answered by `…/datasets/`.
    pub struct Dataset {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// Name that people see.
        name: Option<String>,
        /// What it is for.
        description: Option<String>,
        /// Further data.
        metadata: Option<Value>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Whether it was deleted; PostHog keeps what was.
        deleted: Option<bool>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// Number of the project.
        team: Option<i64>,
    }

    /// One example.
    ///
    /// Answered by `…/dataset_items/`.
    pub struct DatasetItem {
        /// UUID, by which it is asked for.
        id: Option<String>,
        /// UUID of the set.
        dataset: Option<String>,
        /// Its id elsewhere.
        external_id: Option<String>,
        /// Number of this version: what changing or deleting it takes as `base_version`.
        version: Option<i64>,
        /// What goes in.
        input: Option<Value>,
        /// What should come out.
        expected_output: Option<Value>,
        /// The same, as PostHog called it in 2025.
        output: Option<Value>,
        /// What came out where it was taken from.
        source_output: Option<Value>,
        /// Further data.
        metadata: Option<Value>,
        /// Trace it was taken from.
        ref_trace_id: Option<String>,
        /// When that was.
        ref_timestamp: Option<Time>,
        /// Event it was taken from.
        ref_source_id: Option<String>,
        /// Whether it was archived, which is how PostHog deletes.
        archived: Option<bool>,
        /// The same, as PostHog said it in 2025.
        deleted: Option<bool>,
        /// When it was created.
        created_at: Option<Time>,
        /// When it last changed.
        updated_at: Option<Time>,
        /// Who created it.
        created_by: Option<UserBasic>,
        /// Number of the project.
        team: Option<i64>,
    }
}

values! {
    /// How computing a saved query went.
    pub enum SavedQueryStatus {
        Cancelled = "Cancelled",
        /// Changed since.
        Modified = "Modified",
        Completed = "Completed",
        Failed = "Failed",
        Running = "Running",
    }
}
