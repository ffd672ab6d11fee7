//! The request for somebody's flags, on real sockets.

use crate::support::*;
use serde_json::{Value, json};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    EvaluationContext, FeatureFlags, FlagMode, GeoIp, PostHogClient, PostHogClientBuilder,
    PostHogError,
};

/// A client whose flags PostHog evaluates.
pub(crate) fn asking(server: &PostHogServer) -> PostHogClientBuilder {
    PostHogClient::builder()
        .project_api_key(PROJECT_KEY)
        .host(server.url())
}

pub(crate) fn flags_of(client: PostHogClientBuilder) -> FeatureFlags {
    client.build().unwrap().flags()
}

/// What an evaluation sends.
async fn sent(of: impl Into<EvaluationContext>) -> Value {
    let server = server();
    flags_of(asking(&server)).evaluate(of).await.unwrap();
    let request = &server.requests()[0];
    request.json().unwrap()
}

#[tokio::test]
async fn a_request_is_as_posthog_specifies_it() {
    let server = server();
    let client = asking(&server).personal_api_key(PERSONAL_KEY);
    let flags = flags_of(client.flags(|flags| flags.mode(FlagMode::Remote)));
    flags
        .evaluate("user_42")
        .person("plan", "pro")
        .person("seats", 3)
        .group("company", "acme")
        .group_property("company", "size", 40)
        .device_id("dev-5")
        .keys(["checkout", "beta-ui"])
        .await
        .unwrap();
    let request = &server.requests()[0];
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/flags/");
    assert_eq!(request.query.as_deref(), Some("v=2"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    for absent in ["authorization", "content-encoding"] {
        assert_eq!(request.header(absent), None, "{absent}");
    }
    assert_eq!(
        request.json().unwrap(),
        json!({
            "token": PROJECT_KEY,
            "distinct_id": "user_42",
            "groups": {"company": "acme"},
            "person_properties": {"plan": "pro", "seats": 3},
            "group_properties": {"company": {"size": 40}},
            "geoip_disable": true,
            "flag_keys_to_evaluate": ["beta-ui", "checkout"],
            "device_id": "dev-5",
        })
    );
}

#[tokio::test]
async fn what_was_not_given_is_empty_or_absent() {
    assert_eq!(
        sent("user_42").await,
        json!({
            "token": PROJECT_KEY,
            "distinct_id": "user_42",
            "groups": {},
            "person_properties": {},
            "group_properties": {},
            "geoip_disable": true,
        })
    );
}

#[tokio::test]
async fn the_distinct_id_comes_once_and_a_device_may_be_a_property() {
    let context = EvaluationContext::new("user_42")
        .person("distinct_id", "user_42")
        .person("$device_id", "dev-5")
        .group_property("team", "size", 4);
    let sent = sent(context).await;
    assert_eq!(sent["person_properties"], json!({"$device_id": "dev-5"}));
    assert_eq!(sent["device_id"], "dev-5");
    assert_eq!(sent["groups"], json!({}));
    assert_eq!(sent["group_properties"], json!({"team": {"size": 4}}));
}

#[tokio::test]
async fn locations_are_looked_up_where_asked_for() {
    let server = server();
    let flags = flags_of(asking(&server).flags(|flags| flags.geoip(GeoIp::On)));
    flags.evaluate("user_42").await.unwrap();
    let off = flags.evaluate("user_42").geoip(GeoIp::Off);
    off.await.unwrap();
    let disabled: Vec<_> = server
        .requests()
        .iter()
        .map(|request| request.json().unwrap()["geoip_disable"].clone())
        .collect();
    assert_eq!(disabled, [json!(false), json!(true)]);
}

#[tokio::test]
async fn nobody_and_no_keys_need_no_request() {
    let server = server();
    let flags = flags_of(asking(&server));
    let nobody = flags.evaluate("").await.unwrap();
    let nothing = flags.evaluate("user_42").keys([""; 0]).await.unwrap();
    assert!(nobody.keys().is_empty() && nothing.keys().is_empty());
    assert_eq!(server.request_count(), 0);
    assert_eq!(flags.stats().requests, 0);
}

#[tokio::test]
async fn asking_needs_the_project_key() {
    let client = PostHogClient::builder().personal_api_key(PERSONAL_KEY);
    let flags = flags_of(client.host("http://127.0.0.1:9"));
    let error = flags.evaluate("user_42").await.unwrap_err();
    assert!(matches!(error, PostHogError::Config { .. }), "{error:?}");
    let said = error.to_string();
    assert!(said.starts_with("project_api_key: "), "{said}");
    assert!(said.contains("POSTHOG_API_KEY"), "{said}");
}

#[tokio::test]
async fn requests_are_counted() {
    let server = server();
    let flags = flags_of(asking(&server));
    flags.evaluate("user_42").await.unwrap();
    server.answer_next(Answer::status(500));
    flags.evaluate("user_42").await.unwrap();
    let stats = flags.stats();
    assert_eq!((stats.requests, stats.request_failures), (2, 1));
    let said = stats.to_string();
    assert!(said.contains("no definitions"), "{said}");
    assert!(said.contains("requests 2 (failed 1)"), "{said}");
}
