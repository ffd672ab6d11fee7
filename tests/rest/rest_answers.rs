//! Recorded shapes of PostHog's answers through the methods that answer them, from the local PostHog.
//!
//! Each shape comes in four forms: whole, with fields that this version does not know, with `null` in every field, and
//! with nothing but its first field. What the method answers is compared with what was sent, value by value.

use crate::rest_models::{ada, same};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::fmt::Debug;
use tracing_posthog::PostHogClient;
use tracing_posthog::rest::{Page, Raw, Request};
use tracing_posthog::testing::{Answer, PostHogServer};

struct Shapes {
    server: PostHogServer,
    count: usize,
}

impl Shapes {
    /// An operation that answers one object.
    async fn one<A, Q: 'static>(&mut self, request: impl Fn() -> Request<A, Q>, whole: Value)
    where
        A: DeserializeOwned + Serialize + Debug + Send + 'static,
    {
        self.count += 1;
        for (form, sent) in forms(&whole) {
            self.server
                .answer_next(Answer::status(200).json(sent.clone()));
            let answer = request().await.unwrap();
            let shown = format!("{answer:?}");
            compare::<A>(form, &sent, &serde_json::to_value(answer).unwrap(), &shown);
        }
    }

    /// An operation that answers a bare list.
    async fn many<A, Q: 'static>(&mut self, request: impl Fn() -> Request<Vec<A>, Q>, whole: Value)
    where
        A: DeserializeOwned + Serialize + Debug + Send + 'static,
    {
        self.count += 1;
        for (form, sent) in forms(&whole) {
            self.server
                .answer_next(Answer::status(200).json(json!([sent, whole])));
            let answers = request().await.unwrap();
            assert_eq!(answers.len(), 2);
            let shown = format!("{:?}", answers[0]);
            compare::<A>(
                form,
                &sent,
                &serde_json::to_value(&answers[0]).unwrap(),
                &shown,
            );
        }
    }

    /// An operation that answers a list, page by page.
    async fn page<A, Q: 'static>(&mut self, request: impl Fn() -> Request<Page<A>, Q>, whole: Value)
    where
        A: DeserializeOwned + Serialize + Debug + Send + 'static,
    {
        self.count += 1;
        for (form, sent) in forms(&whole) {
            let page = json!({"count": 1, "next": null, "previous": null, "results": [sent]});
            self.server.answer_next(Answer::status(200).json(page));
            let page = request().await.unwrap();
            assert_eq!((page.count, page.results.len()), (Some(1), 1));
            let answer = &page.results[0];
            let shown = format!("{answer:?}");
            compare::<A>(form, &sent, &serde_json::to_value(answer).unwrap(), &shown);
        }
    }
}

fn forms(whole: &Value) -> [(&'static str, Value); 4] {
    let fields = whole.as_object().unwrap();
    let null = |name: &String| (name.clone(), Value::Null);
    let first = fields
        .iter()
        .next()
        .map(|(name, value)| (name.clone(), value.clone()));
    [
        ("whole", whole.clone()),
        ("unknown fields", with_unknown(whole)),
        ("nulls", Value::Object(fields.keys().map(null).collect())),
        ("minimal", Value::Object(first.into_iter().collect())),
    ]
}

/// Something new beside the fields, and within the objects among them.
fn with_unknown(whole: &Value) -> Value {
    match whole {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), with_unknown(value)));
            let mut fields: Map<String, Value> = fields.collect();
            fields.insert("brand_new".into(), json!({"deep": [1, null, "x"]}));
            Value::Object(fields)
        }
        Value::Array(items) => items.iter().map(with_unknown).collect(),
        leaf => leaf.clone(),
    }
}

fn compare<A>(form: &str, sent: &Value, written: &Value, shown: &str) {
    let what = format!("{} ({form})", std::any::type_name::<A>());
    same(sent, written, &what).unwrap();
    match form {
        // Every field has its place, in what the answer holds, too.
        "whole" => assert_eq!(
            shown.matches("extra: {").count(),
            shown.matches("extra: {}").count(),
            "{what} has something in extra: {shown}"
        ),
        "nulls" => assert_eq!(*written, json!({}), "{what}"),
        _ => {}
    }
}

const AT: &str = "2026-11-20T10:30:00.123456Z";
const ID: &str = "01933f0e-7a4c-0000-8d1e-1b2c3d4e5f60";

#[tokio::test]
async fn answers_are_what_was_sent() {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .personal_api_key("phx_answers")
        .host(server.url())
        .build()
        .unwrap();
    let (p, o) = (client.project(1), client.organization("o"));
    let mut shapes = Shapes { server, count: 0 };
    let s = &mut shapes;
    let body = || Raw(json!({}));

    let alert = json!({
        "id": ID, "name": "Sign-ups", "created_by": ada(), "created_at": AT, "insight": {"id": 7, "short_id": "abc"},
        "subscribed_users": [ada()], "enabled": true, "state": "Not firing", "last_value": 12.5, "skip_weekend": false,
        "threshold": {"id": ID, "created_at": AT, "name": "low", "configuration": {"type": "absolute", "bounds": {"lower": 5}}},
        "condition": {"type": "absolute_value"}, "config": {"type": "TrendsAlertConfig", "series_index": 0},
        "calculation_interval": "every_15_minutes", "checks_total": 1, "next_check_at": AT,
        "checks": [{"id": ID, "created_at": AT, "calculated_value": 3.5, "state": "Firing", "targets_notified": true}]
    });
    s.one(|| p.alerts().get(ID), alert.clone()).await;
    s.one(|| p.alerts().update(ID, body()), alert.clone()).await;
    s.page(|| p.alerts().list(), alert).await;
    let simulation = json!({
        "data": [1.5, null, 3.0], "dates": ["2026-11-19", "2026-11-20"], "scores": [null, 0.5], "triggered_indices": [1],
        "triggered_dates": ["2026-11-20"], "interval": "day", "total_points": 3, "anomaly_count": 1,
        "breakdown_results": [{"label": "de", "data": [1.5], "scores": [0.25], "total_points": 1, "anomaly_count": 0}]
    });
    s.one(|| p.alerts().simulate(body()), simulation).await;

    let change = json!({
        "id": 3, "team_id": 1, "record_id": "7", "model_name": "FeatureFlag", "scheduled_at": AT, "created_at": AT,
        "payload": {"operation": "update_status", "value": true}, "created_by": ada(), "is_recurring": true,
        "recurrence_interval": "weekly", "end_date": AT, "failure_reason": "no such flag", "timezone": "Europe/Berlin"
    });
    s.page(|| p.scheduled_changes().list(), change.clone())
        .await;
    s.one(|| p.scheduled_changes().get(3), change).await;
    let flag = json!({"id": 7, "key": "beta-ui", "active": true, "archived": false, "status": "ACTIVE", "version": 4});
    s.one(|| p.feature_flags().enable(7, body()), flag.clone())
        .await;
    s.one(|| p.feature_flags().archive(7), flag).await;
    s.one(
        || p.feature_flags().test_evaluation(7, body()),
        json!({
            "flag_key": "beta-ui", "result": "b", "reason": "condition_match", "condition_index": 0, "payload": {"x": 1},
            "person_properties": {"plan": "pro"}, "evaluation_distinct_id": "ada", "conditions": [{
                "index": 0, "matched": true, "properties_matched": true, "explanation": "…", "rollout_percentage": 12.5,
                "rollout_excluded": false, "variant": "b", "properties": [{
                    "key": "plan", "operator": "exact", "value": ["pro"], "type": "person", "actual_value": "pro",
                    "matched": true, "explanation": "…"
                }]
            }]
        }),
    )
    .await;
    s.one(
        || p.feature_flags().bulk_delete(body()),
        json!({
            "deleted": [{"id": 7, "key": "old", "rollout_state": "fully_rolled_out", "active_variant": "a"}],
            "errors": [{"id": "x", "key": "y", "reason": "no such flag"}]
        }),
    )
    .await;
    let keys = json!({"keys": {"7": "beta-ui", "8": "dark"}, "warning": "x"});
    s.one(|| p.feature_flags().bulk_keys(body()), keys).await;
    let tags =
        json!({"updated": [{"id": 7, "tags": ["a"]}], "skipped": [{"id": 8, "reason": "locked"}]});
    s.one(|| p.feature_flags().bulk_update_tags(body()), tags)
        .await;
    let mine = json!({"feature_flag": {"id": 7, "key": "beta-ui", "evaluation_contexts": ["web"]}, "value": "b"});
    s.many(|| p.feature_flags().my_flags(), mine).await;
    let dependent = json!({"id": 8, "key": "dark", "name": "Dark"});
    s.many(|| p.feature_flags().dependent_flags(7).list(), dependent)
        .await;
    let copies =
        json!({"success": [{"id": 9, "key": "a"}], "failed": [{"project_id": 2, "errors": "…"}]});
    s.one(|| o.feature_flags().copy_flags(body()), copies).await;

    let experiment = json!({
        "id": 5, "name": "Button", "feature_flag_key": "button", "start_date": AT, "archived": false,
        "feature_flag": {"id": 7, "key": "button"}, "holdout": {"id": 1, "name": "h"}, "metrics": [{"uuid": ID}],
        "created_by": ada(), "only_count_matured_users": true
    });
    s.one(|| p.experiments().launch(5), experiment.clone())
        .await;
    s.one(|| p.experiments().pause(5), experiment).await;
    let time = json!({
        "baseline_value": 0.25, "variance": 1.5, "recommended_sample_size": 1200, "recommended_running_time_days": 14.5
    });
    s.one(|| p.experiments().calculate_running_time(body()), time)
        .await;
    s.one(
        || p.experiments().metrics_recalculation(5).latest(),
        json!({
            "id": ID, "experiment_id": 5, "status": "completed", "total_metrics": 2, "completed_metrics": 1,
            "failed_metrics": 1, "metric_errors": {"m": "…"}, "created_at": AT, "query_to": AT, "is_existing": false,
            "results": [{"metric_uuid": "m", "status": "completed", "result": {"baseline": {}}, "error_message": "x"}]
        }),
    )
    .await;

    let results = json!({"results": [{"id": 1, "insight": {"id": 2, "short_id": "abc", "name": "n", "result": [[1]]}}]});
    s.one(|| p.dashboards().run_insights(1), results).await;
    let dashboard =
        json!({"id": 1, "name": "d", "tiles": [{"id": 2, "insight": {"id": 3, "result": [1, 2]}}]});
    s.one(|| p.dashboards().copy_tile(1, body()), dashboard)
        .await;
    let trending = json!({
        "id": 2, "short_id": "abc", "name": "n", "tags": ["t"], "dashboards": [1], "created_at": AT, "created_by": ada(),
        "view_count": 40, "viewers": [{"id": 31}]
    });
    s.page(|| p.insights().trending(), trending).await;
    let insight = json!({"id": 2, "short_id": "abc", "result": [1], "resolved_date_range": {"date_from": AT, "date_to": AT}});
    s.many(|| p.insights().my_last_viewed(), insight).await;
    let variable = json!({"id": ID, "name": "Plan", "type": "List", "values": ["a"], "default_value": "a", "code_name": "plan"});
    s.one(|| p.insight_variables().create(body()), variable)
        .await;
    let delivery = json!({
        "id": ID, "subscription": 4, "status": "completed", "trigger_type": "scheduled", "target_type": "email",
        "exported_asset_ids": [1, 2], "recipient_results": [{"recipient": "a@example.com"}], "created_at": AT
    });
    s.page(|| p.subscriptions().deliveries(4).list(), delivery)
        .await;

    let deletion = json!({
        "persons_found": 2, "persons_deleted": 1, "events_queued_for_deletion": true, "deletion_errors": [{"id": ID}]
    });
    s.one(|| p.persons().bulk_delete(body()), deletion).await;
    let timeline = json!({
        "points": [{"timestamp": AT, "properties": {"plan": "pro"}}], "crucial_property_keys": ["plan"],
        "effective_date_from": AT, "effective_date_to": AT
    });
    s.one(|| p.persons().properties_timeline(ID), timeline)
        .await;
    let related = json!({"type": "group", "id": "acme", "group_type_index": 0, "group_key": "acme", "properties": {"a": 1}});
    s.many(|| p.groups().related(0, "acme"), related).await;
    let stats = json!({"survey_id": ID, "start_date": AT, "stats": {"survey sent": {"total_count": 3}}, "rates": {"response_rate": 1.5}});
    s.one(|| p.surveys().stats(ID), stats).await;

    let flow = json!({
        "id": ID, "name": "Welcome", "version": 2, "status": "active", "created_at": AT, "created_by": ada(),
        "trigger": {"type": "event"}, "trigger_masking": {"ttl": 60, "hash": "{person.id}"}, "exit_condition": "exit_only_at_end",
        "conversion": {"window_minutes": 5}, "edges": [{"from": "a", "to": "b", "type": "continue"}],
        "actions": [{"id": "a", "name": "Mail", "type": "function_email", "config": {"inputs": {}}, "created_at": 1763631000000_i64}],
        "variables": [{"key": "x", "type": "string"}], "schedules": [{"id": ID, "rrule": "FREQ=DAILY", "starts_at": AT}],
        "action_redirects": {"old": "b"}, "draft_updated_at": AT
    });
    s.page(|| p.hog_flows().list(), flow.clone()).await;
    s.one(|| p.hog_flows().get(ID), flow.clone()).await;
    let publication = json!({
        "published": true, "in_flight_runs": 3, "draft_updated_at": AT, "confirm_token": "t", "workflow": flow,
        "impact": {"deleted_steps": [{"action_id": "a"}], "position_unknown": 1}
    });
    s.one(|| p.hog_flows().publish(ID, body()), publication)
        .await;
    let metrics =
        json!({"labels": ["2026-11-20"], "series": [{"name": "succeeded", "values": [1.0, 2.0]}]});
    s.one(|| p.hog_flows().metrics(ID), metrics.clone()).await;
    s.one(|| p.hog_functions().metrics(ID), metrics).await;
    let totals = json!({"totals": {"succeeded": 12.0, "failed": 1.0}});
    s.one(|| p.hog_functions().metrics_totals(ID), totals).await;
    let line = json!({"log_source_id": ID, "instance_id": "i", "timestamp": AT, "level": "WARN", "message": "slow"});
    s.page(|| p.hog_functions().logs(ID), line.clone()).await;
    s.page(|| p.batch_exports().logs(ID), line).await;
    let email =
        json!({"invocation_id": ID, "recipient": "a@example.com", "subject": "Hi", "sent_at": AT});
    s.many(|| p.hog_flows().assets(ID), email).await;
    let job = json!({"id": ID, "status": "queued", "hog_flow": ID, "created_at": AT, "created_by": ada()});
    s.many(|| p.hog_flows().batch_jobs(ID).list(), job).await;

    let source = json!({
        "id": ID, "source_type": "Stripe", "status": "Completed", "created_at": AT, "prefix": "s_", "last_run_at": AT,
        "access_method": "warehouse", "supports_webhooks": true, "schemas": [{"id": ID, "name": "Charge", "should_sync": true}]
    });
    s.page(|| p.external_data_sources().list(), source.clone())
        .await;
    s.one(|| p.external_data_sources().get(ID), source).await;
    let schema = json!({
        "id": ID, "name": "Charge", "should_sync": true, "last_synced_at": AT, "sync_type": "incremental",
        "incremental": true, "primary_key_columns": ["id"], "table": {"id": ID}, "sync_frequency": "6hour"
    });
    s.page(|| p.external_data_schemas().list(), schema).await;
    let runs = json!({"run_history": [{"status": "Completed", "timestamp": AT}]});
    s.one(|| p.warehouse_saved_queries().run_history(ID), runs)
        .await;

    let spike = json!({"id": ID, "issue": {"id": ID, "name": "TypeError"}, "detected_at": AT, "computed_baseline": 1.5, "current_bucket_value": 90});
    s.page(|| p.error_tracking().spike_events(), spike).await;
    let uploads = json!({"id_map": {"c1": {"symbol_set_id": ID, "presigned_url": {"url": "https://files.example.com/a", "fields": {"key": "k"}}}}});
    s.one(
        || p.error_tracking().symbol_sets().bulk_start_upload(body()),
        uploads,
    )
    .await;

    let prompt = json!({
        "id": ID, "name": "greet", "prompt": "Hello", "version": 3, "created_by": ada(), "created_at": AT, "deleted": false,
        "is_latest": true, "latest_version": 3, "version_count": 3, "outline": [{"level": 1, "text": "Hello"}]
    });
    s.page(|| p.llm_prompts().list(), prompt.clone()).await;
    s.one(|| p.llm_prompts().name().get("greet"), prompt).await;
    let revision =
        json!({"id": ID, "dataset_id": ID, "revision": 4, "created_at": AT, "created_by": ada()});
    s.page(|| p.datasets().revisions(ID).list(), revision).await;

    let channels = json!({"channels": [{"id": "C1", "name": "general", "is_private": false, "is_member": true}], "lastRefreshedAt": AT});
    s.one(|| p.integrations().channels(5), channels).await;
    let keys = json!({"has_keys": true, "has_keys_active_last_week": false, "keys": [{"name": "ci", "last_used_at": AT}]});
    s.one(|| o.members().scoped_api_keys(ID), keys).await;
    let comment = json!({"id": ID, "content": "Why?", "created_by": ada(), "created_at": AT, "scope": "Insight", "mentions": [31]});
    s.page(|| p.comments().thread(ID), comment).await;
    let request = json!({
        "id": ID, "action_key": "feature_flag.update", "state": "pending", "created_by": ada(), "created_at": AT,
        "intent": {"active": false}, "approvals": [{"decision": "approved"}], "can_approve": true
    });
    s.page(|| p.change_requests().list(), request).await;

    assert!(shapes.count >= 40, "{}", shapes.count);
}

/// A field whose value is of another type, and a list with one misfit, on their way through a method.
#[tokio::test]
async fn what_does_not_fit_is_beside_what_does() {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .personal_api_key("phx_answers")
        .host(server.url())
        .build()
        .unwrap();
    let sent = json!({
        "id": 12, "created_at": 1763631000, "enabled": "yes", "checks": [{"id": ID}, null], "name": "n", "state": "Melting"
    });
    server.answer_next(Answer::status(200).json(sent.clone()));
    let alert = client.project(1).alerts().get(ID).await.unwrap();
    assert_eq!(alert.id.as_deref(), Some("12"));
    assert_eq!(alert.state.as_ref().map(|s| s.as_str()), Some("Melting"));
    assert_eq!((alert.created_at.as_ref(), alert.enabled), (None, None));
    assert!(alert.checks.is_empty());
    let kept: Vec<&String> = alert.extra.keys().collect();
    assert_eq!(kept, ["checks", "created_at", "enabled"]);
    same(&sent, &serde_json::to_value(&alert).unwrap(), "alert").unwrap();
}
