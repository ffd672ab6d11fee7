//! Recorded shapes of PostHog's answers, and what is not in any of them, read as the models.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value, json};
use std::sync::LazyLock;
use tracing_posthog::rest::Time;
use tracing_posthog::rest::bodies::{
    FeatureFlagChange, FlagFilters, NewAction, NewAnnotation, NewCohort, NewEarlyAccessFeature,
    NewFeatureFlag, NewGroup, NewInvite, PersonDeletion, SubscriptionChange,
};
use tracing_posthog::rest::models::*;

/// A model, whichever it is: what it reads is written again.
type Reread = fn(Value) -> Result<Value, serde_json::Error>;

fn reread<M: DeserializeOwned + Serialize>(sent: Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<M>(sent)?)
}

macro_rules! all_models {
    ($($name:ident)*) => {
        const ALL: &[(&str, Reread)] = &[$( (stringify!($name), reread::<$name>), )*];
    };
}

all_models! {
    Action ActionStep ActivityChange ActivityDetail ActivityLogEntry ActivityLogFilters Alert
    AlertCheck AlertDestinations AlertSimulationResult AlertSimulationOfBreakdown AlertThreshold
    Annotation AppMetricSeries AppMetricTotals AppMetrics ApprovalPolicy Assignee BatchExport
    BatchExportBackfill BatchExportCancellation BatchExportDestination BatchExportPause
    BatchExportRun BlastRadius BulkTagUpdate ChangeRequest ChangeRequestDecision ClusteringJob
    Cohort ColumnAnnotation Comment CommentCount CreatedCohort Dashboard DashboardBasic
    DashboardCollaborator DashboardResults DashboardTemplate DashboardText DashboardTile
    DashboardTileBasic DashboardTileResult DataColorTheme Dataset DatasetItem DatasetItemVersion
    DatasetRevision DateRange DeletedFlag DemoDataStatus DependentFlag EarlyAccessFeature
    EmailReputation EmailReputationSnapshot Endpoint EndpointColumn EndpointMaterialization
    EndpointResults ErrorTrackingFingerprint ErrorTrackingIssue ErrorTrackingIssueExists
    ErrorTrackingIssueSplit ErrorTrackingRecommendation ErrorTrackingRelease ErrorTrackingRule
    ErrorTrackingSpike ErrorTrackingSpikeConfig ErrorTrackingSpikeIssue ErrorTrackingSymbolSet
    Evaluation EvaluationDirectory EvaluationReport EvaluationReportRun EvaluationTest
    EvaluationTestResult Event EventDefinition EventElement EventSchema Experiment
    ExperimentFlagCleanup ExperimentHoldout ExperimentMetricResult ExperimentPromptTemplate
    ExperimentRecalculation ExperimentRunningTime ExperimentSavedMetric ExperimentStats
    ExperimentTimeseries ExperimentToSavedMetric ExportedAsset ExternalDataJob
    ExternalDataPrerequisites ExternalDataSchema ExternalDataSource ExternalDataSyncOptions
    ExternalReference FeatureFlag FeatureFlagFilters FileSystemEntry FlagBulkDeletionResult
    FlagCondition FlagConditionAnalysis FlagCopies FlagDependents FlagKeys FlagPropertyAnalysis
    FlagStatus FlagTestEvaluation FlagVariant FlagVariants GithubLogin GithubRepositories
    GithubRepository GoogleAccounts GoogleConversions Group GroupType GroupUsageMetric HealthIssue
    HogFlow HogFlowAction HogFlowBatchJob HogFlowPublication HogFlowPublishImpact HogFlowSchedule
    HogFlowTemplate HogFunction HogFunctionFilters HogFunctionInput HogFunctionInputSchema
    HogFunctionMapping HogFunctionMappingTemplate HogFunctionMasking HogFunctionMinimal
    HogFunctionStatus HogFunctionTemplate HogFunctionTestResult HogInvocationResult HogQlMetadata
    HogQlRemark Insight InsightResult InsightVariable Integration IssueAggregations IssueCohort
    JiraProjects LinearTeams LinkedinAccounts LinkedinConversions LlmPrompt LlmPromptHeading
    LlmProviderKey LlmSkill LlmSkillFile LlmSkillHeading LocalEvaluation LogEntry LogsAlert
    LogsAlertEvent LogsAlertSimulation LogsAlertState McpServerInstallation McpTool MemberApiKeys
    MinimalFeatureFlag MyFlag Notebook NotebookKernelStatus NotebookMinimal Organization
    OrganizationBasic OrganizationDomain OrganizationInvite OrganizationMember PersistedFolder
    Person PersonBulkDeletion PersonPropertiesTimeline PersonalApiKey PluginLogEntry
    PresignedUpload Project ProjectBasic PropertyDefinition PropertyFilter ProxyRecord
    QueryProgress QueryResponse QueryStatus QueryStatusResponse QueryTiming QueryUpgrade
    RelatedActor ReviewQueue ReviewQueueItem Revision Role RoleMembership SavedHeatmap SavedQuery
    SavedQueryAncestors SavedQueryDescendants SavedQueryRuns ScenePersonalisation ScheduledChange
    ScoreDefinition SessionRecording SessionRecordingBulkDeletion SessionRecordingPlaylist
    SharingConfiguration SignalSourceConfig SkippedTagUpdate SlackChannel SlackChannels SourceLink
    StartedBackfill Subscription SubscriptionDelivery Success Survey SurveyQuestion SurveyStats
    SurveysStats SymbolSetDownload SymbolSetUpload SymbolSetUploadTargets TagUpdate Task TaskRun Team
    TeamBasic Ticket TicketView TraceReview TraceReviewScore TrendingInsight TwilioNumbers
    UndeletedFlag User UserBasic UserInterview VolumeBucket WarehouseCredential WarehouseSource
    WarehouseTable WebExperiment WorkflowEmail
}

fn read<M: DeserializeOwned>(sent: Value) -> M {
    serde_json::from_value(sent).unwrap()
}

fn write(model: impl Serialize) -> Value {
    serde_json::to_value(model).unwrap()
}

pub(crate) fn ada() -> Value {
    json!({
        "id": 31, "uuid": "018f2c5e-0000-7000-8000-000000000031", "distinct_id": "d1s71nc7",
        "first_name": "Ada", "last_name": "Lovelace", "email": "ada@example.com",
        "is_email_verified": true, "hedgehog_config": {"color": "red"}, "role_at_organization": "engineering"
    })
}

fn full_flag() -> Value {
    json!({
        "id": 7, "name": "The new UI", "key": "beta-ui",
        "filters": {
            "groups": [{
                "properties": [{"key": "plan", "value": ["pro", "team"], "operator": "exact", "type": "person"}],
                "rollout_percentage": 12.5, "variant": null
            }],
            "multivariate": {"variants": [
                {"key": "a", "name": "A", "rollout_percentage": 50.0},
                {"key": "b", "rollout_percentage": 50.0}
            ]},
            "payloads": {"a": "{\"colour\": \"blue\"}"},
            "aggregation_group_type_index": 0
        },
        "deleted": false, "active": true, "created_by": ada(), "created_at": "2026-11-01T10:00:00Z",
        "updated_at": "2026-11-02T10:00:00Z", "version": 3, "last_modified_by": ada(),
        "is_simple_flag": false, "rollout_percentage": 12.5, "ensure_experience_continuity": false,
        "experiment_set": [4, 5], "surveys": [{"id": "s"}], "features": [], "can_edit": true,
        "tags": ["ui", "beta"], "evaluation_tags": ["web"], "usage_dashboard": 77,
        "analytics_dashboards": [1, 2], "has_enriched_analytics": true, "user_access_level": "editor",
        "creation_context": "feature_flags", "is_remote_configuration": false,
        "has_encrypted_payloads": false, "status": "ACTIVE", "evaluation_runtime": "all",
        "last_called_at": "2026-11-03T10:00:00Z"
    })
}

fn full_recording() -> Value {
    json!({
        "id": "018f2c5e-1111-7000-8000-000000000001", "distinct_id": "u1", "viewed": false,
        "viewers": ["ada@example.com"], "recording_duration": 93.0, "active_seconds": 40.5,
        "inactive_seconds": 52.5, "start_time": "2026-11-01T10:00:00Z", "end_time": "2026-11-01T10:01:33Z",
        "click_count": 12, "keypress_count": 30, "mouse_activity_count": 200, "console_log_count": 3,
        "console_warn_count": 1, "console_error_count": 2, "start_url": "https://example.com/",
        "person": {"id": "90", "name": "u1", "distinct_ids": ["u1", "anon"], "properties": {"plan": "pro"},
                   "created_at": "2026-10-01T10:00:00Z", "uuid": "018f2c5e-2222-7000-8000-000000000001"},
        "storage": "object_storage_v2", "retention_period_days": 90, "recording_ttl": 80,
        "expiry_time": "2027-01-30T10:00:00Z", "snapshot_source": "web", "ongoing": false, "activity_score": 61.2
    })
}

fn full_hog_function() -> Value {
    json!({
        "id": "018f2c5e-3333-7000-8000-000000000001", "type": "destination", "name": "To Slack",
        "description": "Tells", "created_at": "2026-11-01T10:00:00Z", "created_by": ada(), "enabled": true,
        "hog": "print(1)", "bytecode": ["_H", 1, 32],
        "inputs_schema": [{"key": "text", "type": "string", "label": "Text", "required": true, "requiredScopes": "chat"}],
        "inputs": {"text": {"value": "Hello {event.event}", "templating": "hog", "order": 0, "bytecode": ["_H"]}},
        "filters": {"source": "events", "events": [{"id": "signed up"}], "filter_test_accounts": true},
        "masking": {"ttl": 60, "threshold": 5, "hash": "{event.uuid}"},
        "mappings": [{"name": "m", "inputs": {"x": {"value": {"deep": 1}}}}],
        "template": {"id": "template-slack", "name": "Slack", "status": "stable", "category": ["Chat"], "free": true},
        "template_id": "template-slack", "status": {"state": 1, "tokens": 9999.5}, "execution_order": 2
    })
}

fn full_query() -> Value {
    json!({
        "results": [["signed up", 3], ["left", 1]], "columns": ["event", "count()"],
        "types": [["event", "String"], ["count()", "UInt64"]], "hasMore": false, "limit": 100, "offset": 0,
        "query": "select 1", "hogql": "SELECT 1 LIMIT 100", "clickhouse": "SELECT 1",
        "timings": [{"k": "./execute", "t": 0.25}], "modifiers": {"personsOnEventsMode": "disabled"},
        "metadata": {"isValid": true, "isUsingIndices": "yes", "warnings": [{"message": "slow", "start": 0, "end": 6}]},
        "resolved_date_range": {"date_from": "2026-11-01T00:00:00Z", "date_to": "2026-11-02T00:00:00Z"},
        "query_status": {"id": "q1", "complete": false, "query_async": true, "team_id": 1,
            "query_progress": {"rows_read": 10, "bytes_read": 99, "estimated_rows_total": 100, "time_elapsed": 0.5, "active_cpu_time": 7.0}},
        "is_cached": true, "cache_key": "k"
    })
}

fn full_dashboard() -> Value {
    json!({
        "id": 5, "name": "Growth", "pinned": true, "created_by": ada(), "is_shared": true, "creation_mode": "default",
        "filters": {"date_from": "-7d"}, "variables": {"v": {"value": 1}}, "tags": ["team"],
        "restriction_level": 21, "effective_restriction_level": 37, "effective_privilege_level": 37, "team_id": 2,
        "tiles": [
            {"id": 1, "order": 0, "color": "blue", "layouts": {"sm": {"x": 0, "y": 0, "w": 6, "h": 5}},
             "insight": {"id": 9, "short_id": "aBcD", "query": {"kind": "InsightVizNode"}, "result": [{"data": [1, 2]}],
                "hasMore": false, "columns": ["a"], "dashboards": [5], "dashboard_tiles": [{"id": 1, "dashboard_id": 5}],
                "effective_restriction_level": 21}},
            {"id": 2, "text": {"id": 3, "body": "# Hello", "team": 2, "created_by": ada()}}
        ]
    })
}

fn full_samples() -> Vec<(&'static str, Value)> {
    vec![
        ("FeatureFlag", full_flag()),
        ("SessionRecording", full_recording()),
        ("HogFunction", full_hog_function()),
        ("QueryResponse", full_query()),
        ("Dashboard", full_dashboard()),
        ("UserBasic", ada()),
        (
            "Person",
            json!({"id": "12", "name": "Ada", "distinct_ids": ["a", "b"], "properties": {"n": null, "x": [1]},
                   "created_at": "2026-11-01T10:00:00Z", "uuid": "018f2c5e-0000-7000-8000-000000000001"}),
        ),
        (
            "Event",
            json!({"id": "e1", "distinct_id": "a", "properties": {"$lib": "rust"}, "event": "$autocapture",
                   "timestamp": "2026-11-01T10:00:00Z", "person": {"is_identified": true, "distinct_ids": ["a"], "properties": {"p": 1}},
                   "elements": [{"tag_name": "a", "attr_class": ["btn"], "nth_child": 1, "order": 0, "attributes": {"attr__x": "y"}}],
                   "elements_chain": "a.btn"}),
        ),
        (
            "Group",
            json!({"group_type_index": 0, "group_key": "acme", "group_properties": {"seats": 4}, "created_at": "2026-11-01T10:00:00Z"}),
        ),
        (
            "Cohort",
            json!({"id": 3, "name": "Payers", "filters": {"properties": {"type": "AND", "values": []}}, "is_calculating": false,
                   "errors_calculating": 0, "count": 120, "is_static": false, "cohort_type": "behavioral", "experiment_set": [1]}),
        ),
        (
            "Action",
            json!({"id": 1, "name": "Bought", "steps": [{"event": "$pageview", "url": "/thanks", "url_matching": "contains",
                   "properties": [{"key": "plan", "value": "pro", "operator": "icontains", "type": "event"}]}], "team_id": 1, "tags": ["x"]}),
        ),
        (
            "Annotation",
            json!({"id": 1, "content": "v2 deployed", "date_marker": "2026-11-01T10:00:00Z", "creation_type": "GIT", "scope": "project", "created_by": ada()}),
        ),
        (
            "Survey",
            json!({"id": "s", "name": "NPS", "type": "popover", "linked_flag": {"id": 1, "key": "f"}, "questions": [
                   {"id": "q", "type": "rating", "question": "How likely?", "scale": 10, "display": "number", "lowerBoundLabel": "no", "buttonText": "Send"}],
                   "response_sampling_interval_type": "week", "iteration_start_dates": ["2026-11-01T10:00:00Z"], "conditions": {"url": "x"}}),
        ),
        (
            "Experiment",
            json!({"id": 1, "name": "Colours", "feature_flag_key": "colours", "feature_flag": {"id": 1, "key": "colours", "active": true},
                   "holdout": {"id": 2, "name": "H", "filters": [{"rollout_percentage": 10}]}, "parameters": {"feature_flag_variants": []},
                   "metrics": [{"kind": "ExperimentMetric"}], "type": "product", "conclusion": "stopped_early",
                   "saved_metrics": [{"id": 1, "experiment": 1, "saved_metric": 3, "metadata": {"type": "primary"}}]}),
        ),
        (
            "BatchExport",
            json!({"id": "b", "team_id": 1, "name": "To S3", "model": "events", "interval": "hour", "paused": false,
                   "destination": {"type": "S3", "config": {"bucket_name": "b"}, "integration": 3},
                   "latest_runs": [{"id": "r", "status": "FailedBilling", "records_completed": 10, "bytes_exported": 1000}]}),
        ),
        (
            "EarlyAccessFeature",
            json!({"id": "e", "name": "Beta", "stage": "general-availability", "feature_flag": {"id": 1, "key": "beta"}, "documentation_url": ""}),
        ),
        (
            "Organization",
            json!({"id": "o", "name": "Acme", "slug": "acme", "membership_level": 15, "teams": [{"id": 1, "name": "Web"}],
                   "projects": [{"id": 1, "name": "Web"}], "metadata": {"instance_tag": "none"}, "member_count": 4}),
        ),
        (
            "OrganizationMember",
            json!({"id": "m", "user": ada(), "level": 8, "joined_at": "2026-11-01T10:00:00Z", "is_2fa_enabled": true, "last_login": "2026-11-01T10:00:00Z"}),
        ),
        (
            "Project",
            json!({"id": 1, "uuid": "p", "organization": "o", "name": "Web", "api_token": "phc_abc", "secret_api_token": "phs_abc",
                   "timezone": "UTC", "app_urls": ["https://example.com"], "session_recording_opt_in": true, "week_start_day": 1,
                   "test_account_filters": [{"key": "email", "value": "@example.com", "operator": "not_icontains", "type": "person"}],
                   "group_types": [{"group_type": "company", "group_type_index": 0}], "effective_membership_level": 8}),
        ),
        (
            "User",
            json!({"id": 31, "uuid": "u", "email": "ada@example.com", "notification_settings": {"plugin_disabled": true},
                   "team": {"id": 1, "name": "Web"}, "organization": {"id": "o", "membership_level": 8},
                   "organizations": [{"id": "o", "name": "Acme"}], "scene_personalisation": [{"scene": "Person", "dashboard": 2}]}),
        ),
        (
            "ActivityLogEntry",
            json!({"id": "l", "user": ada(), "unread": false, "activity": "updated", "item_id": "7", "scope": "FeatureFlag",
                   "detail": {"name": "beta-ui", "changes": [{"type": "FeatureFlag", "action": "changed", "field": "active", "before": false, "after": true}]},
                   "created_at": "2026-11-01T10:00:00Z"}),
        ),
        (
            "ErrorTrackingIssue",
            json!({"id": "i", "status": "pending_release", "severity": "high", "name": "TypeError", "description": "x is undefined",
                   "first_seen": "2026-11-01T10:00:00Z", "assignee": {"id": "31", "type": "user"},
                   "aggregations": {"occurrences": 9.0, "sessions": 3.0, "users": 2.0, "volumeRange": [1.0, 2.0], "volume_buckets": [{"label": "a", "value": 1.0}]},
                   "external_issues": [{"id": "x", "external_url": "https://example.com/1", "integration": {"id": 1, "kind": "github", "display_name": "acme"}}]}),
        ),
        (
            "SavedQuery",
            json!({"id": "v", "name": "orders", "query": {"kind": "HogQLQuery", "query": "select 1"}, "columns": [{"name": "a", "type": "string"}],
                   "status": "Completed", "is_materialized": true, "sync_frequency": "24hour"}),
        ),
        (
            "QueryStatusResponse",
            json!({"query_status": {"id": "q", "complete": true, "error": true, "error_message": "Unknown table", "results": {"a": 1}, "labels": ["x"]}}),
        ),
        (
            "EventDefinition",
            json!({"id": "d", "name": "signed up", "owner": ada(), "tags": ["core"], "verified": true, "last_seen_at": "2026-11-01T10:00:00Z"}),
        ),
        (
            "PropertyDefinition",
            json!({"id": "d", "name": "seats", "is_numerical": true, "property_type": "Numeric", "is_seen_on_filtered_events": true}),
        ),
        (
            "Insight",
            json!({"id": 9, "short_id": "aBcD", "name": null, "derived_name": "Sign-ups", "order": 1, "deleted": false,
                   "query": {"kind": "InsightVizNode", "source": {"kind": "TrendsQuery"}}, "dashboards": [5],
                   "dashboard_tiles": [{"id": 1, "dashboard_id": 5, "deleted": null}], "last_refresh": "2026-11-01T10:00:00Z",
                   "cache_target_age": "2026-11-01T11:00:00Z", "next_allowed_client_refresh": "2026-11-01T10:03:00Z",
                   "result": [{"data": [1, 2]}], "hasMore": false, "columns": ["a"], "created_at": "2026-11-01T10:00:00Z",
                   "created_by": ada(), "description": "", "updated_at": "2026-11-01T10:00:00Z", "tags": ["x"], "favorited": true,
                   "last_modified_at": "2026-11-01T10:00:00Z", "last_modified_by": ada(), "is_sample": false,
                   "effective_restriction_level": 21, "effective_privilege_level": 37, "user_access_level": "editor",
                   "timezone": "UTC", "is_cached": true, "query_status": {"id": "q", "complete": true}, "hogql": "SELECT 1",
                   "types": [["a", "String"]], "alerts": [{"id": "x"}], "last_viewed_at": "2026-11-01T10:00:00Z"}),
        ),
        (
            "DashboardBasic",
            json!({"id": 5, "name": "Growth", "description": "", "pinned": false, "created_at": "2026-11-01T10:00:00Z",
                   "created_by": ada(), "last_accessed_at": null, "last_viewed_at": null, "is_shared": false, "deleted": false,
                   "creation_mode": "template", "tags": [], "restriction_level": 37, "effective_restriction_level": 37,
                   "effective_privilege_level": 37, "user_access_level": "manager", "access_control_version": "v2",
                   "last_refresh": null, "team_id": 1}),
        ),
        (
            "HogFunctionMinimal",
            json!({"id": "h", "type": "transformation", "name": "GeoIP", "description": "", "created_at": "2026-11-01T10:00:00Z",
                   "created_by": ada(), "updated_at": "2026-11-01T10:00:00Z", "enabled": true, "hog": "return event",
                   "filters": {"source": "events"}, "icon_url": "/i.svg", "template": {"id": "t"},
                   "status": {"state": 3, "tokens": 0.0}, "execution_order": 1}),
        ),
        (
            "BatchExportRun",
            json!({"id": "r", "status": "Completed", "records_completed": 10, "latest_error": null, "data_interval_start": "2026-11-01T10:00:00Z",
                   "data_interval_end": "2026-11-01T11:00:00Z", "cursor": null, "created_at": "2026-11-01T11:00:00Z",
                   "finished_at": "2026-11-01T11:01:00Z", "last_updated_at": "2026-11-01T11:01:00Z", "records_total_count": 10,
                   "bytes_exported": 1000, "batch_export": "b", "backfill": null}),
        ),
        (
            "BatchExportBackfill",
            json!({"id": "f", "progress": {"total_runs": 4, "finished_runs": 1}, "start_at": "2026-11-01T10:00:00Z", "end_at": null,
                   "status": "Running", "created_at": "2026-11-01T10:00:00Z", "finished_at": null, "last_updated_at": null, "team": 1,
                   "batch_export": "b"}),
        ),
        (
            "TeamBasic",
            json!({"id": 1, "uuid": "t", "organization": "o", "project_id": 1, "api_token": "phc_abc", "name": "Web",
                   "completed_snippet_onboarding": true, "has_completed_onboarding_for": {"analytics": true}, "ingested_event": true,
                   "is_demo": false, "timezone": "UTC", "access_control": false}),
        ),
        (
            "OrganizationInvite",
            json!({"id": "i", "target_email": "grace@example.com", "first_name": "Grace", "emailing_attempt_made": true, "level": 1,
                   "is_expired": false, "created_by": ada(), "created_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-01T10:00:00Z",
                   "message": "Come in", "private_project_access": [{"id": 1, "level": "member"}]}),
        ),
        (
            "GroupType",
            json!({"group_type": "company", "group_type_index": 0, "name_singular": "Company", "name_plural": "Companies",
                   "detail_dashboard": 5, "default_columns": ["name"], "created_at": "2026-11-01T10:00:00Z"}),
        ),
        (
            "LocalEvaluation",
            json!({"flags": [{"id": 1, "team_id": 1, "key": "f", "active": true, "filters": {"groups": []}}],
                   "group_type_mapping": {"0": "company"}, "cohorts": {"1": {"type": "OR", "values": []}}}),
        ),
    ]
}

fn model(name: &str) -> Reread {
    ALL.iter().find(|(n, _)| *n == name).unwrap().1
}

/// What models do not write: `null`, and lists and maps without anything. The rest must be there.
pub(crate) fn same(sent: &Value, written: &Value, at: &str) -> Result<(), String> {
    match (sent, written) {
        (Value::Object(sent), Value::Object(written)) => {
            for (key, value) in sent {
                let at = format!("{at}.{key}");
                match written.get(key) {
                    Some(now) => same(value, now, &at)?,
                    None if is_nothing(value) => {}
                    None => return Err(format!("{at} is lost")),
                }
            }
            match written.keys().find(|key| !sent.contains_key(*key)) {
                Some(key) => Err(format!("{at}.{key} is new")),
                None => Ok(()),
            }
        }
        (Value::Array(sent), Value::Array(written)) if sent.len() == written.len() => sent
            .iter()
            .zip(written)
            .enumerate()
            .try_for_each(|(i, (sent, written))| same(sent, written, &format!("{at}[{i}]"))),
        (sent, written) if sent == written => Ok(()),
        (sent, written) if as_number(sent).is_some() && as_number(sent) == as_number(written) => {
            Ok(())
        }
        _ => Err(format!("{at} was {sent}, is {written}")),
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A number, or text that is one and is written as it is: its value, whatever holds it.
fn as_number(value: &Value) -> Option<String> {
    let number = match value {
        Value::Number(number) => number.clone(),
        Value::String(text) => text
            .parse()
            .ok()
            .filter(|n: &Number| n.to_string() == *text)?,
        _ => return None,
    };
    match number.as_f64() {
        // Below it every integer is a float of its own.
        Some(float) if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
            Some(format!("{:.0}", float + 0.0))
        }
        _ => Some(number.to_string()),
    }
}

/// Every name that a model gives its fields: those that it does not leave in `extra` as text.
fn field_names(read: Reread) -> Vec<String> {
    let all: Map<String, Value> = KNOWN_NAMES
        .split_whitespace()
        .map(|name| (name.to_owned(), Value::Null))
        .collect();
    // A `null` is dropped where the field is known, and kept where it is not.
    let left = read(Value::Object(all.clone())).unwrap();
    all.into_iter()
        .map(|(name, _)| name)
        .filter(|name| left.get(name).is_none())
        .collect()
}

const KNOWN_NAMES: &str = "
    abort_action access_control access_control_version access_key access_method access_secret
    access_token accessibleAccounts account_id action action_id action_key action_redirects
    action_version actions active active_cpu_time active_experiments active_seconds active_variant
    activity activity_score actual_value adAccounts added_at adjusted_start_at affected after
    aggregation_group_type_index aggregations ai_model ai_resolved alerts allow_impersonation
    allow_publicly_shared_resources allow_self_approve allow_sidebar_suggestions
    allow_unknown_events allowed_tools analysis_level analytics_dashboards ancestors anomaly_count
    anomaly_scores anonymize_data anonymize_ips anonymous_traits api_key api_key_masked api_token
    api_version api_version_display app_urls appearance append_available applied_at applied_by
    apply_error approval_state approvals approver_config archived artifacts assignee attempts
    attr_class attr_id attributes auth_type autocapture_exceptions_errors_to_ignore
    autocapture_exceptions_opt_in autocapture_opt_out autocapture_web_vitals_allowed_metrics
    autocapture_web_vitals_opt_in availability_contexts available_product_features
    available_setup_task_ids azure_endpoint azure_endpoint_display backend backfill backfill_id
    base_currency base_language baseline_value batch_export batch_export_id before
    billable_action_types body boolean_value bounce_rate branch branching breakdown_colors
    breakdown_results bucket_overrides bucketing_identifier buckets business_model buttonText
    bypass_org_membership_levels bypass_roles bysetpos bytecode bytecode_error bytes_exported
    bytes_read byweekday cache_key cache_target_age calculated_value calculation_interval
    can_approve can_cancel can_edit can_materialize can_view_task cancelled
    capture_console_log_opt_in capture_dead_clicks capture_performance_opt_in categorical_values
    category cc_participants cdc_table_mode ch_table_names change_request change_summary changes
    channel_detail channel_source channels check_interval_minutes checks checks_total choices
    ci_prompt click_count clickhouse clickhouse_event client client_item_id client_secret code
    code_language code_name cohort cohort_type cohorts color colors column_name columns comment
    compatibility complaint_rate complete completed_at completed_last_30d completed_metrics
    completed_snippet_onboarding computed_at computed_baseline conclusion conclusion_comment
    condition condition_index conditions config configuration confirm_token consecutive_failures
    console_error_count console_log_count console_warn_count content content_snapshot content_type
    context conversations_enabled conversations_settings conversion conversionActions
    conversionRules cookieless_server_hash_mode cooldown_minutes correlation_config count
    cpu_cores created_at created_by creation_context creation_mode creation_type credential
    cron_expression crucial_property_keys current_bucket_value current_iteration
    current_iteration_start_date current_version current_version_id cursor
    customer_analytics_config customer_id dag_id daily_run_cap dashboard dashboard_description
    dashboard_export_insights dashboard_filters dashboard_id dashboard_item dashboard_name
    dashboard_tiles dashboards data data_attributes data_color_theme_id data_freshness_seconds
    data_interval_end data_interval_start data_url data_warehouse datapoints_to_alarm dataset
    dataset_id dataset_revision date_from date_joined date_marker date_to dates dedupe_key default
    default_anonymize_ips default_columns default_data_theme default_evaluation_contexts_enabled
    default_evaluation_environments_enabled default_experiment_stats_method default_modifiers
    default_role_id default_value definition_archived definition_config definition_id
    definition_kind definition_name definition_version definition_version_id deleted deleted_count
    deleted_steps deletion_errors delivery_errors delivery_status delivery_targets dependent_flags
    depth derived_from_insight derived_name descendants description descriptionContentType
    description_source destination destination_types detail detail_dashboard detail_fields
    detected_at detector_config disabled_data dismissed dismissed_at display display_name
    distinct_id distinct_ids documentation_url domain draft draft_updated_at duration_ms
    early_exit edges edited_history_id effective_date_from effective_date_to
    effective_membership_level effective_privilege_level effective_restriction_level elements
    elements_chain email email_from email_subject email_to emailing_attempt_made emails_sent emoji
    empty_variables enable_iframe_embedding enable_partial_responses enabled end end_at end_date
    end_time endpoint_is_active endpoint_path endpoint_version enforce_2fa enforcement_mode engine
    ensure_experience_continuity environment error error_kind error_message errors
    errors_calculating escalation_reason estimated_rows_total evaluated_at evaluation
    evaluation_config evaluation_contexts evaluation_distinct_id evaluation_periods
    evaluation_runtime evaluation_tags evaluation_type event event_definition event_filters
    event_uuid events events_column_config events_queued_for_deletion exception executed_at
    execution_order exists exit_condition expected_output experiment experiment_id
    experiment_recalculation_time experiment_set experiment_set_metadata expiration_time
    expires_after expires_at expiry_time explain explanation export_context export_format
    exported_asset_ids exposure_cohort exposure_criteria external_data_source external_id
    external_issues external_references external_schema external_url extra_settings failed
    failed_metrics failure_reason favorited feature_enrollment feature_flag
    feature_flag_confirmation_enabled feature_flag_confirmation_message feature_flag_id
    feature_flag_key feature_flag_keys features field fields filename files filter_test_accounts
    filters filters_overrides fingerprint finished_at fire_count first_event first_name first_seen
    first_version_created_at fix flag_key flags flags_persistence_default folder_id folder_name
    form_content format found frames free frequency full_name full_refresh_available function
    function_id function_name github_integration github_login globals group_key group_properties
    group_type group_type_index group_type_mapping group_types groups hasMore hasOpenChoice
    has_active_dependents has_completed_onboarding_for has_content has_encrypted_payloads
    has_enriched_analytics has_group_types has_keys has_keys_active_last_week has_more
    has_password has_saml has_scim has_seen_product_intro_for has_social_auth has_sso_enforcement
    has_summary hash hash_id heatmaps_opt_in hedgehog_config hidden hidden_in_user_interface
    history hog hog_flow hog_flow_id hog_flow_name hog_function_ids hogql hogql_query holdout
    holdout_groups holdout_id hourly_price href href_matching human_friendly_comparison_periods
    icon_key icon_url id id_map idempotency_key idle_timeout_seconds image_url impact
    in_flight_runs inactive_seconds include_by_default incremental incremental_available
    incremental_field incremental_field_type incremental_fields index ingested_event
    inject_web_apps input input_preview input_schema inputs inputs_schema insight
    insight_derived_name insight_id insight_name insight_short_id instance_id integration
    integration_field integration_id integration_key intent intent_display internal
    internal_targeting_flag interval interviewee_emails investigation_agent_enabled
    investigation_gates_notifications investigation_inconclusive_action
    investigation_notebook_short_id investigation_status investigation_summary
    investigation_verdict invite_message invocation_globals invocation_id isUsingIndices isValid
    is_2fa_enabled is_action is_active is_ai_data_processing_approved is_cached is_calculating
    is_default is_demo is_email_verified is_enabled is_existing is_expired is_ext_shared
    is_featured is_generating_demo_data is_global is_historical is_identified is_impersonated
    is_impersonated_read_only is_impersonated_until is_latest is_materialized is_member
    is_member_join_email_enabled is_not_active_reason is_numerical is_organization_first_user
    is_pending_deletion is_private is_private_without_access is_recurring is_remote_configuration
    is_requester is_retry is_sample is_seen_on_filtered_events is_shared is_simple_flag is_staff
    is_static is_synthetic is_system is_task is_test is_used_in_replay_settings is_user_edited
    is_verified issue issue_id item_context item_id iteration_count iteration_frequency_days
    iteration_start_dates jit_provisioning_enabled job_inputs joined_at json_schema k key
    keypress_count keys kind label labels lastRefreshedAt last_accessed_at
    last_backfill_person_properties_at last_calculated_at last_calculation last_calculation_error
    last_called_at last_checked_at last_delivered_at last_error_message last_event
    last_executed_at last_login last_materialized_at last_message_at last_message_text
    last_modified_at last_modified_by last_name last_notified_at last_paused_at last_refresh
    last_rolled_at last_run_at last_seen last_seen_at last_synced_at last_updated_at last_used
    last_used_at last_value last_viewed_at latest_error latest_history_id latest_run latest_runs
    latest_version launched_last_30d launched_previous_30d layouts level library license limit
    link linked_flag linked_flag_id linked_insight_id live_events_columns live_events_token log
    log_source_id log_url logo_media_id logs logs_settings lowerBoundLabel managed_viewset_kind
    managed_viewsets mapping_templates mappings marketing_analytics_config mask_value masking
    matched materialization math math_property max_sample_size media_preview_urls member_count
    members members_can_invite members_can_use_personal_api_keys membership_level memory_gb
    mentions message message_count meta metadata metric_errors metric_uuid metrics
    metrics_secondary mock_async_functions model model_configuration model_name modified_by
    modifiers mouse_activity_count multiplier multivariate name name_plural name_singular
    needs_reauth negation new_issue_ids next_allowed_client_refresh next_check_at
    next_delivery_date next_refresh_at next_run_at notices notification_sent_at
    notification_settings notification_suppressed_by_agent nth_child nth_of_type numeric_value
    occurrences offset offset_day offset_hour on_error onboarding_tasks ongoing
    only_count_matured_users operator optional options order order_key organization
    organization_id organization_member organizations origin origin_product outline output
    output_config output_preview output_type output_variable owner parameters parent_run_id
    passkeys_enabled_for_2fa password_required path path_cleaning_filters paused payload payloads
    pending_email pending_invites pending_item_count pending_oauth pending_version percent_change
    performed_rollback period_end period_start persisted_filters persisted_variables person
    person_display_name_properties person_id person_on_events_querying_enabled person_properties
    persons_deleted persons_found phone_numbers pickup_time pinned pinned_at plugin_config_id
    plugin_id plugins_access_level points policy_snapshot position position_unknown post_to_slack
    prefix preset_key presigned_url primary_dashboard primary_key_columns
    primary_metrics_ordered_uuids primary_repository priority private_project_access
    proactive_tasks_enabled product_description product_intents progress project project_id
    projects prompt prompt_preview prompt_size_bytes properties properties_matched property_group
    property_group_id property_type protocol provider proxy_url published query query_async
    query_duration_ms query_progress query_status query_to question questions queue_id queue_name
    quick_filter_ids rates reason reasoning reasoning_effort recalculation_created_at
    recalculation_status receive_org_level_activity_logs recipient recipient_results
    recommended_running_time_days recommended_sample_size record_id recording_domains
    recording_duration recording_id recording_ttl recordings_counts recordings_queued_for_deletion
    records_completed records_failed records_total_count recurrence_interval ref ref_source_id
    ref_timestamp ref_trace_id release removed_at report report_prompt_guidance repositories
    repository repository_config repository_list reputation require_evaluation_contexts required
    requiredScopes requires_field resolve_count resolved_at resolved_date_range resource_id
    resource_name resource_type response_sampling_daily_limits response_sampling_interval
    response_sampling_interval_type response_sampling_limit response_sampling_start_date
    responses_limit restriction_level result result_count result_data result_source results
    retention_period_days revenue revenue_analytics_config reviewed_by revision rich_content
    role_at_organization role_id rollback_conditions rollout_excluded rollout_percentage
    rollout_state rows_read rows_synced rrule run_history running_metrics runtime_adapter
    saml_acs_url saml_entity_id saml_x509_cert saved_metric saved_metrics saved_metrics_ids
    saved_query saved_query_id scale scene scene_personalisation schedule schedule_conflicts
    schedule_restriction scheduled_at schedules scheduling_config schema schemas scim_base_url
    scim_bearer_token scim_enabled scope scoped_organizations scoped_teams scopes scores
    secondary_metrics secondary_metrics_ordered_uuids secret secret_api_token
    secret_api_token_backup selector selector_regex sensitive_session_expires_at sent_at series
    session_context session_id session_recording_event_trigger_config
    session_recording_linked_flag session_recording_masking_config
    session_recording_minimum_duration_milliseconds
    session_recording_network_payload_capture_config session_recording_opt_in
    session_recording_retention_period session_recording_sample_rate
    session_recording_trigger_groups session_recording_trigger_match_type_config
    session_recording_url_blocklist_config session_recording_url_trigger_config
    session_replay_config sessions set_as_active settings severity share_passwords short_id
    shortcut shortcut_position should_sync show_description shuffleOptions signal_report
    signal_report_task_relationship skip_weekend skipped sla_due_at slack_channel_id
    slack_incoming_webhook slack_message_format slack_team_id slack_thread_ts slug
    snapshot_library snapshot_source snapshots snooze_duration_minutes snooze_until snoozed_until
    soft_update sort_key source source_comment source_output source_product source_type
    sso_enforcement stage start start_at start_date start_time start_url started_at starts_at
    state state_after state_before state_timeline static_filters stats stats_config status
    status_reason steps storage storage_ptr sub_detector_scores subject subscribed_users
    subscription success summary summary_enabled summary_outcome summary_prompt_guide super_groups
    supports_webhooks survey_config survey_id surveys surveys_opt_in symbol_set_id sync_frequency
    sync_time_of_day sync_type t table table_names tag_name tags target_cname target_email
    target_type target_value target_widths targeting_flag targeting_flag_filters targeting_flag_id
    targets_notified task task_id task_number team team_id teams template template_id
    template_name templating temporal_workflow_id test_account_filters
    test_account_filters_default_checked text text_content text_matching theme_mode threshold
    threshold_breached threshold_count threshold_operator ticket_number tiles time_elapsed
    timeseries timestamp timezone timezone_name timings title title_manually_set tokens tool_count
    tool_name toolbar_mode total total_buckets total_metrics total_points total_records_count
    total_requested total_users totals trace_id transcript translations transpiled trigger
    trigger_masking trigger_threshold trigger_type triggered_dates triggered_indices
    triggered_metadata triggered_points ttl type types ui_url unread unread_customer_count
    unread_team_count until_date updated updated_at updated_by upperBoundLabel url url_matching
    url_pattern usage_dashboard use_all_events_by_default user user_access_level user_decision
    user_id user_uuid users users_affected uuid valid validated_at validation_errors
    validation_status value values variables variance variant variants verification_challenge
    verified verified_at verified_by version version_count version_created_at version_created_by
    version_id version_timestamp version_updated_at versions_count view_count viewed viewers
    virtual_property volumeRange volume_buckets warning warnings was_impersonated
    web_analytics_pre_aggregated_tables_enabled week_start_day window_minutes workflow
    workflow_run_id workflows
";

#[test]
fn empty_objects_are_read_as_all_models_and_written_empty() {
    assert!(ALL.len() > 100, "{}", ALL.len());
    for (name, read) in ALL {
        assert_eq!(read(json!({})).unwrap(), json!({}), "{name}");
    }
}

#[test]
fn full_answers_are_read_and_written_as_they_are() {
    for (name, sent) in full_samples() {
        let written = model(name)(sent.clone()).unwrap();
        same(&sent, &written, name).unwrap();
    }
}

#[test]
fn full_answers_leave_nothing_in_extra() {
    for (name, sent) in full_samples() {
        let known = field_names(model(name));
        for field in sent.as_object().unwrap().keys() {
            assert!(known.contains(field), "{name} does not know {field}");
        }
    }
    assert!(read::<FeatureFlag>(full_flag()).extra.is_empty());
    assert!(read::<SessionRecording>(full_recording()).extra.is_empty());
    assert!(read::<HogFunction>(full_hog_function()).extra.is_empty());
    assert!(read::<QueryResponse>(full_query()).extra.is_empty());
    assert!(read::<Dashboard>(full_dashboard()).extra.is_empty());
}

#[test]
fn fields_are_read_where_they_belong() {
    let flag: FeatureFlag = read(full_flag());
    assert_eq!(flag.id, Some(7));
    assert_eq!(flag.evaluation_runtime, Some(EvaluationRuntime::All));
    assert_eq!(flag.created_by.unwrap().first_name.as_deref(), Some("Ada"));
    let filters = flag.filters.unwrap();
    assert_eq!(filters.groups[0].rollout_percentage, Some(12.5));
    let plan = &filters.groups[0].properties[0];
    assert_eq!(plan.operator, Some(PropertyOperator::Exact));
    assert_eq!(plan.kind.as_deref(), Some("person"));
    assert_eq!(
        filters.multivariate.unwrap().variants[1].key.as_deref(),
        Some("b")
    );

    let function: HogFunction = read(full_hog_function());
    assert_eq!(function.kind, Some(HogFunctionType::Destination));
    assert_eq!(function.inputs["text"].order, Some(0));
    assert_eq!(
        function.status.unwrap().state,
        Some(HogFunctionState::Healthy)
    );

    let dashboard: Dashboard = read(full_dashboard());
    assert_eq!(
        dashboard.effective_restriction_level,
        Some(RestrictionLevel::OnlyCollaboratorsCanEdit)
    );
    let insight = dashboard.tiles[0].insight.as_ref().unwrap();
    assert_eq!(insight.has_more, Some(false));
    assert_eq!(
        dashboard.tiles[1].text.as_ref().unwrap().body.as_deref(),
        Some("# Hello")
    );
}

#[test]
fn times_compute_and_keep_their_text() {
    let second = |n| std::time::UNIX_EPOCH + std::time::Duration::from_secs(n);
    for (text, want) in [
        ("1970-01-01T00:01:00.000000Z", Some(second(60))),
        ("1970-01-01T02:00:01+02:00", Some(second(1))),
        ("1970-01-02", Some(second(86_400))),
        ("", None),
        ("soon", None),
    ] {
        let sent = json!({"created_at": text});
        let flag: FeatureFlag = read(sent.clone());
        let time = flag.created_at.clone().unwrap();
        assert_eq!((time.as_str(), time.to_system_time()), (text, want));
        assert_eq!(write(&flag), sent);
    }
    let flag: FeatureFlag = read(json!({"created_at": 60, "updated_at": null}));
    assert_eq!((flag.created_at, flag.updated_at), (None, None));
    assert_eq!(flag.extra, *json!({"created_at": 60}).as_object().unwrap());
}

#[test]
fn unknown_fields_are_kept_and_written_back() {
    let unknown =
        json!({"brand_new": {"a": [1, null, "x"]}, "extra": {"extra": 1}, "": "empty", "😀": null});
    for (name, sent) in full_samples() {
        let mut sent = sent;
        sent.as_object_mut()
            .unwrap()
            .extend(unknown.as_object().unwrap().clone());
        let written = model(name)(sent.clone()).unwrap();
        same(&sent, &written, name).unwrap();
        for (key, value) in unknown.as_object().unwrap() {
            assert_eq!(&written[key], value, "{name}.{key}");
        }
    }
    let flag: FeatureFlag = read(json!({"key": "k", "extra": 1, "filters": {"newer": true}}));
    assert_eq!(flag.extra, *json!({"extra": 1}).as_object().unwrap());
    assert_eq!(flag.filters.unwrap().extra["newer"], true);
}

#[test]
fn nulls_everywhere_are_nothing() {
    for (name, read) in ALL {
        let names = field_names(*read);
        assert!(!names.is_empty(), "{name} knows no field");
        let nulls: Map<String, Value> = names.into_iter().map(|n| (n, Value::Null)).collect();
        assert_eq!(read(Value::Object(nulls)).unwrap(), json!({}), "{name}");
    }
    let mut flag = full_flag();
    flag.as_object_mut()
        .unwrap()
        .values_mut()
        .for_each(|value| *value = Value::Null);
    assert_eq!(read::<FeatureFlag>(flag), FeatureFlag::default());
}

#[test]
fn a_null_among_the_items_of_a_list_hides_no_other() {
    let read: Project = read(json!({"app_urls": ["https://a.example", null]}));
    assert_eq!(read.app_urls, [Some("https://a.example".to_owned()), None]);
    assert!(read.extra.is_empty());
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(written, json!({"app_urls": ["https://a.example", null]}));
}

#[test]
fn any_value_under_any_known_name_survives() {
    let values = [
        json!("text"),
        json!(""),
        json!("12"),
        json!("0.5"),
        json!("NaN"),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(true),
        json!([1]),
        json!([null]),
        json!([{}]),
        json!(["a", 1, {}]),
        json!([[["x"]]]),
        json!({"a": 1}),
        json!({"a": null}),
        json!({"id": "x"}),
        json!([{"id": {"a": 1}}]),
        json!({"a": {"value": 1}}),
    ];
    for (name, read) in ALL {
        let names = field_names(*read);
        for value in &values {
            let sent: Map<String, Value> =
                names.iter().map(|n| (n.clone(), value.clone())).collect();
            let sent = Value::Object(sent);
            same(&sent, &read(sent.clone()).unwrap(), name).unwrap();
        }
    }
}

#[test]
fn wrong_types_are_accepted_where_they_fit_and_kept_where_not() {
    let flag: FeatureFlag = read(json!({
        "id": "7", "name": 12, "key": ["no"], "active": "yes", "version": 3.0, "rollout_percentage": "12.5",
        "created_by": "Ada", "tags": "one", "experiment_set": ["1", 2.0, 3], "filters": [],
        "evaluation_runtime": 5, "usage_dashboard": 1.5, "analytics_dashboards": [1, "x"], "evaluation_tags": [1, "b"]
    }));
    assert_eq!(flag.id, Some(7));
    assert_eq!(flag.name.as_deref(), Some("12"));
    assert_eq!(flag.version, Some(3));
    assert_eq!(flag.rollout_percentage, Some(12.5));
    assert_eq!(flag.experiment_set, [1, 2, 3]);
    assert_eq!(flag.evaluation_tags, ["1", "b"]);
    assert_eq!(flag.key, None);
    assert_eq!(flag.created_by, None);
    let kept = json!({
        "key": ["no"], "active": "yes", "created_by": "Ada", "tags": "one", "filters": [],
        "evaluation_runtime": 5, "usage_dashboard": 1.5, "analytics_dashboards": [1, "x"]
    });
    assert_eq!(&flag.extra, kept.as_object().unwrap());
}

#[test]
fn a_field_set_later_goes_before_what_did_not_fit() {
    let mut flag: FeatureFlag = read(json!({"key": ["no"], "deleted": "?"}));
    flag.key = Some("yes".into());
    flag.extra.insert("rollback_conditions".into(), Value::Null);
    assert_eq!(
        write(&flag),
        json!({"key": "yes", "deleted": "?", "rollback_conditions": null})
    );
}

#[test]
fn numbers_at_the_edges() {
    let id = |id: Value| read::<FeatureFlag>(json!({"id": id})).id;
    assert_eq!(id(json!(i64::MAX)), Some(i64::MAX));
    assert_eq!(id(json!(i64::MIN)), Some(i64::MIN));
    assert_eq!(id(json!(u64::MAX)), None);
    assert_eq!(id(json!(1e19)), None);
    assert_eq!(id(json!(-0.0)), Some(0));
    assert_eq!(id(json!(" 7")), None);
    assert_eq!(id(json!("")), None);
    let percentage =
        |p: Value| read::<FeatureFlag>(json!({"rollout_percentage": p})).rollout_percentage;
    assert_eq!(percentage(json!("NaN")), None);
    assert_eq!(percentage(json!("inf")), None);
    assert_eq!(percentage(json!("1e999")), None);
    assert_eq!(percentage(json!(50)), Some(50.0));
    // What would be another number or text afterwards stays what it is.
    for (field, value) in [
        ("id", json!("007")),
        ("id", json!("+7")),
        ("id", json!("7.0")),
        ("rollout_percentage", json!("12.50")),
        ("id", json!("-0")),
        ("rollout_percentage", json!("0.12345678901234567891")),
        ("rollout_percentage", json!(9_007_199_254_740_993_u64)),
        ("rollout_percentage", json!(u64::MAX)),
    ] {
        let flag: FeatureFlag = read(json!({field: value}));
        assert_eq!((flag.id, flag.rollout_percentage), (None, None), "{value}");
        assert_eq!(flag.extra[field], value);
    }
}

#[test]
fn a_name_that_an_object_has_twice_is_an_error() {
    for text in [
        r#"{"id": 1, "id": 2}"#,
        r#"{"unknown": 1, "unknown": 1}"#,
        r#"{"filters": {"payloads": {"a": "1", "a": "2"}}}"#,
        r#"{"tags": ["a", {"b": [{"c": 1, "c": null}]}]}"#,
    ] {
        let error = serde_json::from_str::<FeatureFlag>(text).unwrap_err();
        assert!(error.to_string().contains("a name twice"), "{error}");
    }
}

#[test]
fn a_list_or_map_with_one_misfit_is_kept_whole() {
    let sent = json!({
        "tags": ["a", null, "b"], "experiment_set": [1, "two", 3], "filters": {"groups": [{"variant": "a"}, 5]}
    });
    let flag: FeatureFlag = read(sent.clone());
    assert!(flag.tags.is_empty() && flag.experiment_set.is_empty());
    assert_eq!(flag.extra["tags"], sent["tags"]);
    let filters = flag.filters.as_ref().unwrap();
    assert!(filters.groups.is_empty());
    assert_eq!(filters.extra["groups"], sent["filters"]["groups"]);
    assert_eq!(write(&flag), sent);
}

#[test]
fn values_that_are_not_known_are_kept() {
    let feature: EarlyAccessFeature = read(json!({"stage": "nightly"}));
    assert_eq!(feature.stage, Some(Stage::Other("nightly".into())));
    assert_eq!(write(&feature), json!({"stage": "nightly"}));
    let member: OrganizationMember = read(json!({"level": 3}));
    assert_eq!(member.level, Some(MembershipLevel::Other(3)));
    assert_eq!(write(&member), json!({"level": 3}));
    assert_eq!(Stage::from("beta"), Stage::Beta);
    assert_eq!(
        Stage::GeneralAvailability.to_string(),
        "general-availability"
    );
    assert_eq!(read::<Stage>(json!("beta")), Stage::Beta);
    assert_eq!(write(MembershipLevel::Owner), json!(15));
}

#[test]
fn anything_but_an_object_is_an_error_that_names_the_model() {
    for (name, read) in ALL {
        for sent in [
            json!(null),
            json!(true),
            json!(1),
            json!("secret text"),
            json!([{}]),
        ] {
            let error = read(sent).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("{name} is a JSON object")),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }
    assert!(serde_json::from_str::<FeatureFlag>("{\"id\": 1").is_err());
    assert!(serde_json::from_str::<FeatureFlag>("{\"id\": 1} x").is_err());
    assert!(
        serde_json::from_str::<Option<FeatureFlag>>("null")
            .unwrap()
            .is_none()
    );
}

#[test]
fn secrets_do_not_show() {
    let project: Project = read(
        json!({"api_token": "phc_public", "secret_api_token": "phs_hush", "live_events_token": "jwt"}),
    );
    let shown = format!("{project:?}");
    assert!(shown.contains("phc_public") && !shown.contains("phs_hush") && !shown.contains("jwt"));
    assert_eq!(
        project.secret_api_token.as_ref().unwrap().reveal(),
        "phs_hush"
    );
    assert_eq!(write(&project)["secret_api_token"], "phs_hush");
}

#[test]
fn deep_and_large_json_does_not_panic() {
    // Deeper than serde_json goes: an error.
    let deep = format!(
        "{{\"filters\": {}1{}}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(serde_json::from_str::<FeatureFlag>(&deep).is_err());
    let deep = format!(
        "{}1{}",
        "{\"filters\":".repeat(100_000),
        "}".repeat(100_000)
    );
    assert!(serde_json::from_str::<FeatureFlag>(&deep).is_err());
    // As deep as it goes: kept.
    let deep = format!("{{\"filters\": {}1{}}}", "[".repeat(120), "]".repeat(120));
    let flag: FeatureFlag = serde_json::from_str(&deep).unwrap();
    assert!(flag.extra.contains_key("filters"));
    // Large: a million numbers, and a hundred thousand models.
    let flag: FeatureFlag = read(json!({"experiment_set": (0..1_000_000).collect::<Vec<_>>()}));
    assert_eq!(flag.experiment_set.len(), 1_000_000);
    let answer: LocalEvaluation = read(json!({"flags": vec![json!({"key": "k"}); 100_000]}));
    assert_eq!(answer.flags.len(), 100_000);
    let mut misfit = vec![json!(1); 1_000_000];
    misfit.push(json!({}));
    let flag: FeatureFlag = read(json!({"experiment_set": misfit}));
    assert!(flag.experiment_set.is_empty());
    assert_eq!(
        flag.extra["experiment_set"].as_array().unwrap().len(),
        1_000_001
    );
}

#[test]
fn bodies_have_only_what_was_set() {
    assert_eq!(write(NewFeatureFlag::new("k")), json!({"key": "k"}));
    assert_eq!(
        write(
            NewFeatureFlag::new("k")
                .name("N")
                .active(false)
                .tags(["a", "b"])
                .evaluation_runtime(EvaluationRuntime::Server)
                .variant("x", 33.3)
                .variant("y", 66.7)
                .rollout_percentage(100)
                .set("archived", Value::Null)
        ),
        json!({
            "key": "k", "name": "N", "active": false, "tags": ["a", "b"], "evaluation_runtime": "server", "archived": null,
            "filters": {
                "multivariate": {"variants": [{"key": "x", "rollout_percentage": 33.3}, {"key": "y", "rollout_percentage": 66.7}]},
                "groups": [{"properties": [], "rollout_percentage": 100}]
            }
        })
    );
    assert_eq!(write(FeatureFlagChange::new()), json!({}));
    assert_eq!(
        write(
            NewAnnotation::new("v2")
                .by_bot()
                .date_marker(Time::parse("2026-11-01T10:00:00Z").unwrap())
        ),
        json!({"content": "v2", "scope": "project", "creation_type": "GIT", "date_marker": "2026-11-01T10:00:00Z"})
    );
    assert_eq!(
        write(NewCohort::new("C").persons(["u1"])),
        json!({"name": "C", "is_static": true, "_create_static_person_ids": ["u1"]})
    );
    assert_eq!(
        write(NewEarlyAccessFeature::new("F", Stage::Beta).feature_flag_id(3)),
        json!({"name": "F", "stage": "beta", "feature_flag_id": 3})
    );
    let step = tracing_posthog::rest::bodies::ActionStep::new().event("signed up");
    assert_eq!(
        write(NewAction::new("A").steps([step])),
        json!({"name": "A", "steps": [{"event": "signed up"}]})
    );
    assert_eq!(
        write(NewGroup::new(0, "acme").properties(json!({"seats": 3}))),
        json!({"group_type_index": 0, "group_key": "acme", "group_properties": {"seats": 3}})
    );
    assert_eq!(
        write(
            PersonDeletion::of_ids(["u"])
                .distinct_ids(["a", "b"])
                .delete_events(true)
                .keep_person(true)
        ),
        json!({"ids": ["u"], "distinct_ids": ["a", "b"], "delete_events": true, "keep_person": true})
    );
    assert_eq!(
        write(NewInvite::new("a@example.com").level(MembershipLevel::Admin)),
        json!({"target_email": "a@example.com", "level": 8})
    );
}

#[test]
fn rollout_keeps_the_conditions_that_were_given() {
    let flag: FeatureFlag = read(full_flag());
    let body = write(
        FeatureFlagChange::new()
            .filters(FlagFilters::from(flag.filters.unwrap()).rollout_percentage(75)),
    );
    let group = &body["filters"]["groups"][0];
    assert_eq!(group["rollout_percentage"], 75);
    assert_eq!(group["properties"][0]["key"], "plan");
    assert_eq!(body["filters"]["payloads"]["a"], "{\"colour\": \"blue\"}");
}

#[test]
fn percentages_are_sent_without_a_needless_fraction() {
    for (given, sent) in [(25.0, json!(25)), (0.1, json!(0.1)), (-0.0, json!(0))] {
        let body = write(NewFeatureFlag::new("k").rollout_percentage(given));
        assert_eq!(body["filters"]["groups"][0]["rollout_percentage"], sent);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e6..1e6f64).prop_map(Value::from),
        "[0-9a-z.]{0,6}".prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(any_name(), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn any_name() -> impl Strategy<Value = String> {
    let known: Vec<String> = KNOWN_NAMES.split_whitespace().map(str::to_owned).collect();
    prop_oneof![4 => proptest::sample::select(known), 1 => ".{0,6}"]
}

fn any_object() -> impl Strategy<Value = Value> {
    proptest::collection::btree_map(any_name(), any_json(), 0..40)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_object_is_read_and_written_without_loss(
        values in proptest::collection::vec(any_json(), 1..30),
        others in any_object(),
    ) {
        for (at, (name, read)) in ALL.iter().enumerate() {
            // Every field of the model gets a value, other ones in other models, beside fields that it may not have.
            let mut sent = others.as_object().cloned().unwrap_or_default();
            for (field, value) in FIELDS[at].iter().zip(values.iter().cycle().skip(at)) {
                sent.insert(field.clone(), value.clone());
            }
            let sent = Value::Object(sent);
            let written = read(sent.clone()).unwrap();
            if let Err(what) = same(&sent, &written, name) {
                return Err(TestCaseError::fail(what));
            }
            // What was written is read the same again.
            prop_assert_eq!(&read(written.clone()).unwrap(), &written, "{}", name);
        }
    }
}

/// The names of the fields of all models, in their order.
static FIELDS: LazyLock<Vec<Vec<String>>> =
    LazyLock::new(|| ALL.iter().map(|(_, read)| field_names(*read)).collect());

#[test]
fn a_flag_is_never_sent_with_filters_that_posthog_ignores() {
    let everyone = json!([{"properties": [], "rollout_percentage": 100}]);
    let flag = NewFeatureFlag::new("k")
        .variant("a", 50.0)
        .variant("b", 50.0);
    let filters = &write(flag)["filters"];
    assert_eq!(filters["groups"], everyone);
    assert_eq!(
        filters["multivariate"]["variants"].as_array().map(Vec::len),
        Some(2)
    );
    let change = FeatureFlagChange::new().filters(FeatureFlagFilters::default());
    assert_eq!(write(change), json!({"filters": {"groups": []}}));
    let some = json!({"groups": [{"properties": [], "rollout_percentage": 5}]});
    let change = FeatureFlagChange::new().filters(read::<FeatureFlagFilters>(some.clone()));
    assert_eq!(write(change), json!({"filters": some}));
}

#[test]
fn floats_are_read_and_written_as_they_were() {
    let text = r#"{"rollout_percentage":37.433125956118964,"unknown":37.433125956118964}"#;
    let flag: FeatureFlag = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&flag).unwrap(), text);
}

#[test]
fn permissions_for_a_while_are_hidden() {
    let upload: PresignedUpload = read(json!({
        "url": "https://s3/secret", "fields": {"policy": "secret", "x-amz-signature": "secret"},
    }));
    let publication: HogFlowPublication = read(json!({"confirm_token": "secret"}));
    let reach: BlastRadius = read(json!({"confirm_token": "secret"}));
    let run: TaskRun = read(json!({"log_url": "https://s3/secret"}));
    let shown = format!("{upload:?} {publication:?} {reach:?} {run:?}");
    assert!(!shown.contains("secret"), "{shown}");
    assert_eq!(upload.fields["policy"].reveal(), "secret");
    let written = json!(upload);
    assert_eq!(written["fields"]["x-amz-signature"], "secret");
}

#[test]
fn values_that_were_read_can_be_sent() {
    let read: Subscription = read(json!({
        "frequency": "weekly", "target_type": "webhook", "byweekday": ["monday", "sunday"],
    }));
    assert_eq!(read.frequency, Some(Frequency::Weekly));
    assert_eq!(read.target_type, Some(SubscriptionTarget::Webhook));
    assert_eq!(read.byweekday, [Weekday::Monday, Weekday::Sunday]);
    let change = SubscriptionChange::new()
        .frequency(read.frequency.unwrap())
        .target_type(read.target_type.unwrap())
        .byweekday(read.byweekday);
    let sent =
        json!({"frequency": "weekly", "target_type": "webhook", "byweekday": ["monday", "sunday"]});
    assert_eq!(json!(change), sent);
    let interval: BatchExport =
        serde_json::from_str(r#"{"interval": "every 30 minutes"}"#).unwrap();
    let other = BatchExportInterval::Other("every 30 minutes".into());
    assert_eq!(interval.interval, Some(other));
}
