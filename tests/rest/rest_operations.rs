//! Every operation of PostHog's REST API is a method that asks what it should.
//!
//! `api/paths.txt` holds what was seen of the API, apart from the table that the methods are made of:
//! a line has a method, a path and the names of query parameters, those that are required with a `!`.

#![allow(missing_debug_implementations, unreachable_pub)]

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tracing_posthog::PostHogClient;
use tracing_posthog::rest::bodies::*;
use tracing_posthog::rest::models::*;
use tracing_posthog::rest::{Form, Page, Raw, Request, Untyped};
use tracing_posthog::rest::{Mark, OPERATIONS, Operation};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};

const SEEN: &str = include_str!("../../api/paths.txt");

/// One call of a generated method with every id and parameter.
pub struct Call {
    /// Empty for a second way to say an operation.
    operation: &'static str,
    method: &'static str,
    /// With ids in braces.
    path: &'static str,
    /// What `{scope}` in it is.
    scope: &'static str,
    query: &'static [(&'static str, &'static str)],
    /// JSON, or `form`.
    body: &'static str,
    make: fn(&PostHogClient) -> Request,
}

const fn call(
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    scope: &'static str,
    query: &'static [(&'static str, &'static str)],
    body: &'static str,
    make: fn(&PostHogClient) -> Request,
) -> Call {
    Call {
        operation,
        method,
        path,
        scope,
        query,
        body,
        make,
    }
}

fn form() -> Form {
    Form::new().text("a", 1)
}

/// Method and path, with the query parameters known for it.
fn seen() -> BTreeMap<(&'static str, &'static str), Vec<&'static str>> {
    SEEN.lines()
        .map(|line| {
            let mut words = line.split(' ');
            let method = words.next().unwrap();
            ((method, words.next().unwrap()), words.collect())
        })
        .collect()
}

#[test]
fn operations_are_those_that_were_seen() {
    let seen: BTreeSet<_> = seen().into_keys().collect();
    let ours: BTreeSet<_> = OPERATIONS.iter().map(|o| (o.method, o.path)).collect();
    let missing: Vec<_> = seen.difference(&ours).collect();
    let invented: Vec<_> = ours.difference(&seen).collect();
    assert!(missing.is_empty(), "missing: {missing:#?}");
    assert!(invented.is_empty(), "never seen: {invented:#?}");
    assert_eq!(OPERATIONS.len(), 1509, "one entry each");
    let names: BTreeSet<_> = OPERATIONS.iter().map(name).collect();
    assert_eq!(names.len(), OPERATIONS.len(), "names are unique");
}

fn name(operation: &Operation) -> String {
    format!("{}.{}", operation.resource, operation.name)
}

#[tokio::test]
async fn delete_does_what_works() {
    let server = PostHogServer::start().unwrap();
    server.answer_with(|_| Some(Answer::status(200).body("{}")));
    let client = PostHogClient::builder()
        .personal_api_key("phx_every")
        .host(server.url())
        .build()
        .unwrap();
    let (p, e) = (client.project(1), client.environment(1));
    let marked = r#"{"deleted":true}"#;
    for (request, path, body) in [
        // As PostHog's own client deletes.
        (p.actions().delete(5).untyped(), "actions/5", marked),
        (p.annotations().delete(5).untyped(), "annotations/5", marked),
        (p.dashboards().delete(5).untyped(), "dashboards/5", marked),
        (p.endpoints().delete("x").untyped(), "endpoints/x", marked),
        (p.evaluations().delete(5).untyped(), "evaluations/5", marked),
        (p.experiments().delete(5).untyped(), "experiments/5", marked),
        (
            p.feature_flags().delete(5).untyped(),
            "feature_flags/5",
            marked,
        ),
        (
            p.hog_functions().delete(5).untyped(),
            "hog_functions/5",
            marked,
        ),
        (p.insights().delete(5).untyped(), "insights/5", marked),
        (p.notebooks().delete("x").untyped(), "notebooks/x", marked),
        (
            p.subscriptions().delete(5).untyped(),
            "subscriptions/5",
            marked,
        ),
        (
            p.surveys().delete(5).untyped(),
            "surveys/5",
            r#"{"archived":true}"#,
        ),
        // As where `DELETE` is refused with 405.
        (p.cohorts().delete(5).untyped(), "cohorts/5", marked),
        (
            p.dashboard_templates().delete(5).untyped(),
            "dashboard_templates/5",
            marked,
        ),
        (
            p.session_recording_playlists().delete("x").untyped(),
            "session_recording_playlists/x",
            marked,
        ),
    ] {
        request.await.unwrap();
        let request = server.requests().pop().unwrap();
        let sent = (request.method.as_str(), request.path.as_str());
        assert_eq!(sent, ("PATCH", format!("/api/projects/1/{path}/").as_str()));
        assert_eq!(String::from_utf8_lossy(&request.body), body, "{path}");
    }
    // The user's own, under an environment, and what is deleted by an action.
    for (request, sent, body) in [
        (
            client.reminders().delete(5).untyped(),
            "PATCH /api/reminders/5/",
            marked,
        ),
        (
            e.insights().delete(5).untyped(),
            "PATCH /api/environments/1/insights/5/",
            marked,
        ),
        (
            p.datasets().delete(5).untyped(),
            "POST /api/projects/1/datasets/5/archive/",
            "{}",
        ),
        // PostHog wants to know which version is meant.
        (
            p.dataset_items()
                .delete("a", Raw(json!({"base_version": 3})))
                .untyped(),
            "POST /api/projects/1/dataset_items/a/archive/",
            r#"{"base_version":3}"#,
        ),
    ] {
        request.await.unwrap();
        let request = server.requests().pop().unwrap();
        assert_eq!(format!("{} {}", request.method, request.path), sent);
        assert_eq!(String::from_utf8_lossy(&request.body), body, "{sent}");
    }
    let refused = |o: &&Operation| o.marks.contains(&Mark::Refused);
    for operation in OPERATIONS.iter().filter(refused) {
        assert_eq!(operation.name, "hard_delete", "{}", operation.path);
    }
}

/// They take `limit`, `offset` or `cursor`, and answer no page.
#[tokio::test]
async fn answers_that_are_no_pages_are_not_read_as_such() {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .personal_api_key("phx_every")
        .host(server.url())
        .build()
        .unwrap();
    let p = client.project(1);
    let read = Reads(&server);
    read.as_is(p.integrations().channels(5), json!({"channels": []}))
        .await;
    read.as_is(
        p.integrations().github_repos(5),
        json!({"repositories": []}),
    )
    .await;
    read.as_is(p.integrations().users(5), json!({"users": []}))
        .await;
    let analytics = p.engineering_analytics();
    read.as_is(analytics.pull_requests(), json!({"items": []}))
        .await;
    read.as_is(p.context_layer().agent_pages("a"), json!({"path": "a"}))
        .await;
    let metrics = p.experiments().metrics_recalculation(5);
    read.as_is(metrics.latest(), json!({"id": "a"})).await;
    read.as_is(p.tasks().comments(5).list(), json!({"comments": []}))
        .await;
}

struct Reads<'a>(&'a PostHogServer);

impl Reads<'_> {
    async fn as_is<Q: 'static>(&self, request: Request<Untyped, Q>, said: Value) {
        self.0.answer_next(Answer::status(200).json(said.clone()));
        assert_eq!(request.await.unwrap(), said);
    }
}

/// What the most used calls answer; compiled, never called.
#[allow(dead_code, clippy::no_effect_underscore_binding)]
fn answers_have_types(client: &PostHogClient) {
    fn page<T, Q>(_: Request<Page<T>, Q>) {}
    fn one<T, Q>(_: Request<T, Q>) {}
    let p = client.project(1);
    let body = json!({});
    page::<Action, _>(p.actions().list());
    one::<Action, _>(p.actions().get(1));
    page::<Annotation, _>(p.annotations().list());
    one::<Annotation, _>(p.annotations().create(Raw(&body)));
    page::<BatchExport, _>(p.batch_exports().list());
    page::<Cohort, _>(p.cohorts().list());
    page::<Person, _>(p.cohorts().persons(1));
    page::<DashboardBasic, _>(p.dashboards().list());
    one::<Dashboard, _>(p.dashboards().get(1));
    page::<EarlyAccessFeature, _>(p.early_access_feature().list());
    page::<EventDefinition, _>(p.event_definitions().list());
    page::<Experiment, _>(p.experiments().list());
    one::<Experiment, _>(p.experiments().create(Raw(&body)));
    page::<FeatureFlag, _>(p.feature_flags().list());
    one::<FeatureFlag, _>(p.feature_flags().create(Raw(&body)));
    one::<FeatureFlag, _>(p.feature_flags().get(1));
    one::<FeatureFlag, _>(p.feature_flags().update(1, Raw(&body)));
    page::<HogFunctionMinimal, _>(p.hog_functions().list());
    one::<HogFunction, _>(p.hog_functions().get("a"));
    page::<Insight, _>(p.insights().list());
    one::<Insight, _>(p.insights().get(1));
    page::<Person, _>(p.persons().list());
    one::<Person, _>(p.persons().get(1));
    page::<PropertyDefinition, _>(p.property_definitions().list());
    page::<SessionRecording, _>(p.session_recordings().list());
    page::<Survey, _>(p.surveys().list());
    one::<Survey, _>(p.surveys().get("a"));
    page::<SavedQuery, _>(p.warehouse_saved_queries().list());
    page::<Organization, _>(client.organizations().list());
    page::<OrganizationMember, _>(client.organization("a").members().list());
    one::<tracing_posthog::rest::models::Project, _>(p.get());
    one::<User, _>(client.user_me().get());
}
