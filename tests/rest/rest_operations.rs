//! Operations of PostHog's REST API ask what they should: a table with a row for each way to say something.
//!
//! `tools/apigen/every_call` calls every operation, and compares the calls with what was seen of PostHog's API.

#![allow(missing_debug_implementations, unreachable_pub)]

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};
use tracing_posthog::rest::models::*;
use tracing_posthog::rest::{AnyParams, Form, Mark, OPERATIONS, Operation, Page, Raw, Request};
use tracing_posthog::rest::{Time, Untyped, values};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{PostHogClient, PostHogError};

fn client(server: &PostHogServer) -> PostHogClient {
    PostHogClient::builder()
        .personal_api_key("phx_every")
        .host(server.url())
        .build()
        .unwrap()
}

#[test]
fn operations_are_named_once() {
    assert_eq!(OPERATIONS.len(), 1509);
    let name = |o: &Operation| format!("{}.{}", o.resource, o.name);
    let names: BTreeSet<_> = OPERATIONS.iter().map(name).collect();
    assert_eq!(names.len(), OPERATIONS.len(), "names are unique");
    let marked = |mark| {
        OPERATIONS
            .iter()
            .filter(|o| o.marks.contains(&mark))
            .count()
    };
    assert_eq!(marked(Mark::Deprecated), 5);
    assert_eq!(marked(Mark::SeenIn2025Only), 365);
}

/// A request, and what it is on the wire: method, path and parameters, and the body.
type Row = (Request<Untyped, AnyParams>, &'static str, &'static str);

fn row<A, P>(request: Request<A, P>, sent: &'static str, body: &'static str) -> Row {
    (request.untyped(), sent, body)
}

/// The methods of HTTP, the handles, both prefixes, and ids.
fn paths(c: &PostHogClient) -> Vec<Row> {
    let (p, e, o) = (c.project(1), c.environment(1), c.organization("acme"));
    let any = || Raw(json!({"a": 1}));
    vec![
        row(
            p.annotations().list(),
            "GET /api/projects/1/annotations/",
            "",
        ),
        row(
            p.annotations().create(any()),
            "POST /api/projects/1/annotations/",
            r#"{"a":1}"#,
        ),
        row(
            p.annotations().update(5, any()),
            "PATCH /api/projects/1/annotations/5/",
            r#"{"a":1}"#,
        ),
        row(
            p.annotations().replace(5, any()),
            "PUT /api/projects/1/annotations/5/",
            r#"{"a":1}"#,
        ),
        row(
            p.batch_exports().delete("x"),
            "DELETE /api/projects/1/batch_exports/x/",
            "",
        ),
        // Where they start.
        row(p.get(), "GET /api/projects/1/", ""),
        row(
            c.project("@current").get(),
            "GET /api/projects/@current/",
            "",
        ),
        row(o.get(), "GET /api/organizations/acme/", ""),
        row(
            o.members().list(),
            "GET /api/organizations/acme/members/",
            "",
        ),
        row(c.user_me().get(), "GET /api/users/@me/", ""),
        row(
            c.personal_api_keys().current(),
            "GET /api/personal_api_keys/@current",
            "",
        ),
        row(c.oauth().introspect(), "POST /oauth/introspect", ""),
        // Both prefixes, and those that were seen under one of them only.
        row(p.insights().get(5), "GET /api/projects/1/insights/5/", ""),
        row(
            e.insights().get(5),
            "GET /api/environments/1/insights/5/",
            "",
        ),
        row(
            p.error_tracking().query_issue(any()),
            "POST /api/projects/1/error_tracking/query/issue/",
            r#"{"a":1}"#,
        ),
        row(
            p.session_summaries().create_session_summaries(any()),
            "POST /api/environments/1/session_summaries/create_session_summaries/",
            r#"{"a":1}"#,
        ),
        row(
            e.alerts().simulate(any()),
            "POST /api/projects/1/alerts/simulate/",
            r#"{"a":1}"#,
        ),
        // Ids stay in their segment.
        row(
            p.actions().get("a/b c?d#e%2F"),
            "GET /api/projects/1/actions/a%2Fb%20c%3Fd%23e%252F/",
            "",
        ),
        row(
            p.actions().get("é…"),
            "GET /api/projects/1/actions/%C3%A9%E2%80%A6/",
            "",
        ),
        row(
            p.actions().get("..a"),
            "GET /api/projects/1/actions/..a/",
            "",
        ),
        row(
            c.project("1/../2").actions().get(5_u64),
            "GET /api/projects/1%2F..%2F2/actions/5/",
            "",
        ),
        row(
            p.dashboards().sharing("a/b").passwords().delete("c/d"),
            "DELETE /api/projects/1/dashboards/a%2Fb/sharing/passwords/c%2Fd/",
            "",
        ),
    ]
}

/// Every kind of query parameter, optional and required.
fn parameters(c: &PostHogClient) -> Vec<Row> {
    let p = c.project(1);
    let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let stats = || p.surveys().all_stats();
    let stats_from = |time: Time| stats().date_from(time);
    vec![
        // Texts, encoded.
        row(
            p.actions().list().search("x &=é/+"),
            "GET /api/projects/1/actions/?search=x+%26%3D%C3%A9%2F%2B",
            "",
        ),
        row(
            p.surveys()
                .summarize_responses("x", Raw(json!({})))
                .question_id('q'),
            "POST /api/projects/1/surveys/x/summarize_responses/?question_id=q",
            "{}",
        ),
        // Integers of any width, also below zero; a parameter that is set again is replaced.
        row(
            p.actions().list().limit(20_usize).offset(-7),
            "GET /api/projects/1/actions/?limit=20&offset=-7",
            "",
        ),
        row(
            p.actions().list().limit(u64::MAX),
            "GET /api/projects/1/actions/?limit=18446744073709551615",
            "",
        ),
        row(
            p.actions().list().limit(1).limit(2),
            "GET /api/projects/1/actions/?limit=2",
            "",
        ),
        // Numbers: integers and floats.
        row(
            p.surveys().responses(5).list().score_gte(7).score_lte(9.5),
            "GET /api/projects/1/surveys/5/responses/?score_gte=7&score_lte=9.5",
            "",
        ),
        row(
            p.surveys().responses(5).list().score_gte(0.1_f32),
            "GET /api/projects/1/surveys/5/responses/?score_gte=0.1",
            "",
        ),
        row(
            p.surveys().list().archived(false),
            "GET /api/projects/1/surveys/?archived=false",
            "",
        ),
        // Times: points in time, days, and relative to now.
        row(
            stats_from(Time::at(second)),
            "GET /api/projects/1/surveys/stats/?date_from=1970-01-01T00%3A00%3A01Z",
            "",
        ),
        row(
            stats().date_from(second).date_to(Time::days_ago(1)),
            "GET /api/projects/1/surveys/stats/?date_from=1970-01-01T00%3A00%3A01Z&date_to=-1d",
            "",
        ),
        row(
            stats_from(Time::day(2031, 4, 5).unwrap()),
            "GET /api/projects/1/surveys/stats/?date_from=2031-04-05",
            "",
        ),
        row(
            stats_from(Time::parse("-1mStart").unwrap()),
            "GET /api/projects/1/surveys/stats/?date_from=-1mStart",
            "",
        ),
        row(
            stats_from(Time::parse("2031-04-05T08:00:00+02:00").unwrap()),
            "GET /api/projects/1/surveys/stats/?date_from=2031-04-05T06%3A00%3A00Z",
            "",
        ),
        row(
            p.insights().list().created_date_from(Time::hours_ago(24)),
            "GET /api/projects/1/insights/?created_date_from=-24h",
            "",
        ),
        // Values, also those that have no name yet.
        row(
            p.surveys().list().status(values::SurveyStatus::Draft),
            "GET /api/projects/1/surveys/?status=draft",
            "",
        ),
        row(
            p.surveys()
                .list()
                .status(values::SurveyStatus::Other("a&b".into())),
            "GET /api/projects/1/surveys/?status=a%26b",
            "",
        ),
        row(
            p.canvases()
                .list()
                .ordering(values::CanvasOrdering::CreatedAtDesc),
            "GET /api/projects/1/canvases/?ordering=-created_at",
            "",
        ),
        // JSON, and texts that are JSON already.
        row(
            p.logs()
                .attributes()
                .date_range(json!({"date_from": "-7d"})),
            "GET /api/projects/1/logs/attributes/?dateRange=%7B%22date_from%22%3A%22-7d%22%7D",
            "",
        ),
        row(
            p.logs().attributes().date_range("{}"),
            "GET /api/projects/1/logs/attributes/?dateRange=%7B%7D",
            "",
        ),
        // Lists as JSON, and as repeated keys.
        row(
            p.logs().attributes().service_names(["a", "b\""]),
            "GET /api/projects/1/logs/attributes/?serviceNames=%5B%22a%22%2C%22b%5C%22%22%5D",
            "",
        ),
        row(
            p.logs().attributes().service_names([""; 0]),
            "GET /api/projects/1/logs/attributes/?serviceNames=%5B%5D",
            "",
        ),
        row(
            p.advanced_activity_logs().list().team_ids([1_u8, 2]),
            "GET /api/projects/1/advanced_activity_logs/?team_ids=%5B1%2C2%5D",
            "",
        ),
        row(
            p.change_feed()
                .list()
                .kinds([values::ChangeFeedKind::Release]),
            "GET /api/projects/1/change_feed/?kinds=%5B%22release%22%5D",
            "",
        ),
        row(
            p.search().get().entities(["a", "b"]).q("x"),
            "GET /api/projects/1/search/?entities=a&entities=b&q=x",
            "",
        ),
        // Required ones are arguments.
        row(
            p.web_analytics()
                .breakdown(
                    values::WebAnalyticsBreakdownBy::Browser,
                    Time::days_ago(7),
                    Time::days_ago(1),
                )
                .limit(3),
            "GET /api/projects/1/web_analytics/breakdown/?breakdown_by=Browser&date_from=-7d&date_to=-1d&limit=3",
            "",
        ),
        row(
            p.feature_flags()
                .evaluation_reasons("u 1")
                .groups(r#"{"company":"acme"}"#),
            "GET /api/projects/1/feature_flags/evaluation_reasons/?distinct_id=u+1&groups=%7B%22company%22%3A%22acme%22%7D",
            "",
        ),
        // What the table does not know can be given all the same.
        row(
            p.actions().list().query("new_one", 1),
            "GET /api/projects/1/actions/?new_one=1",
            "",
        ),
    ]
}

/// Bodies that operations need, may have, or have by themselves.
fn bodies(c: &PostHogClient) -> Vec<Row> {
    let p = c.project(1);
    let exports = p.batch_exports();
    vec![
        row(
            exports.pause("x"),
            "POST /api/projects/1/batch_exports/x/pause/",
            "",
        ),
        row(
            exports.pause("x").body(&json!({"a": null})),
            "POST /api/projects/1/batch_exports/x/pause/",
            r#"{"a":null}"#,
        ),
        row(
            p.actions().update(5, Raw(json!([1]))),
            "PATCH /api/projects/1/actions/5/",
            "[1]",
        ),
        row(
            p.actions().delete(5),
            "PATCH /api/projects/1/actions/5/",
            r#"{"deleted":true}"#,
        ),
        row(
            p.uploaded_media().create(Form::new().text("a", 1)),
            "POST /api/projects/1/uploaded_media/",
            "form",
        ),
    ]
}

#[tokio::test]
async fn operations_ask_what_they_should() {
    let server = PostHogServer::start().unwrap();
    server.answer_with(|_| Some(Answer::status(200).body("{}")));
    let client = client(&server);
    let rows = [paths(&client), parameters(&client), bodies(&client)];
    let rows: Vec<Row> = rows.into_iter().flatten().collect();
    assert!(rows.len() >= 50, "{}", rows.len());
    for (request, sent, body) in rows {
        request.await.unwrap();
        let requests = server.requests();
        server.clear();
        let [request] = &requests[..] else {
            panic!("{sent}: {} requests", requests.len())
        };
        let query = request
            .query
            .as_ref()
            .map_or(String::new(), |q| format!("?{q}"));
        assert_eq!(format!("{} {}{query}", request.method, request.path), sent);
        assert_eq!(
            request.header("authorization"),
            Some("Bearer phx_every"),
            "{sent}"
        );
        let kind = request.header("content-type");
        let text = String::from_utf8_lossy(&request.body);
        if body == "form" {
            let boundary = kind.and_then(|k| k.strip_prefix("multipart/form-data; boundary="));
            assert!(text.contains(boundary.unwrap()), "{sent}: {text}");
            assert!(text.contains("name=\"a\"\r\n\r\n1\r\n"), "{sent}: {text}");
        } else {
            assert_eq!(text, body, "{sent}");
            assert_eq!(
                kind,
                Some("application/json").filter(|_| !body.is_empty()),
                "{sent}"
            );
        }
    }
}

/// Nothing is sent: PostHog would read it as something else, or as nothing.
#[tokio::test]
async fn what_cannot_be_sent_is_an_error_that_names_it() {
    let server = PostHogServer::start().unwrap();
    let client = client(&server);
    let p = client.project(1);
    let too_late = || Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40));
    let scores = || p.surveys().responses(5).list();
    struct Broken;
    impl serde::Serialize for Broken {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("broken"))
        }
    }
    for (request, name) in [
        (
            p.surveys().all_stats().date_from(too_late()).untyped(),
            "date_from",
        ),
        (
            p.insights().list().created_date_to(too_late()).untyped(),
            "created_date_to",
        ),
        (
            p.web_analytics()
                .overview(Time::days_ago(7), too_late())
                .untyped(),
            "date_to",
        ),
        // The first problem is said.
        (
            scores().since(too_late()).score_gte(f64::NAN).untyped(),
            "since",
        ),
        (scores().score_gte(f64::NAN).untyped(), "score_gte"),
        (scores().score_lte(f64::NEG_INFINITY).untyped(), "score_lte"),
        (scores().score_lte(f32::INFINITY).untyped(), "score_lte"),
        (
            p.logs().attributes().date_range(Broken).untyped(),
            "dateRange",
        ),
        (p.actions().get("..").untyped(), "id"),
        (p.actions().get("").untyped(), "id"),
        (client.project(".").actions().list().untyped(), "project_id"),
        (
            client.organization("").members().list().untyped(),
            "organization_id",
        ),
    ] {
        let error = request.await.unwrap_err();
        assert!(
            matches!(error, PostHogError::Config { .. }),
            "{name}: {error:?}"
        );
        assert!(error.to_string().contains(name), "{name}: {error}");
    }
    assert_eq!(server.requests().len(), 0);
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
    read.as_is(
        p.integrations().channels(5),
        json!({"channels": [{"id": "C1"}]}),
    )
    .await;
    read.as_is(
        p.integrations().github_repos(5),
        json!({"repositories": [{"id": 1}]}),
    )
    .await;
    read.as_is(p.integrations().users(5), json!({"users": [{"id": 1}]}))
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
    async fn as_is<Q: 'static>(
        &self,
        request: Request<impl DeserializeOwned + Serialize + Send + 'static, Q>,
        said: Value,
    ) {
        self.0.answer_next(Answer::status(200).json(said.clone()));
        let answer = request.send().await.unwrap();
        assert_eq!(serde_json::to_value(answer).unwrap(), said);
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
