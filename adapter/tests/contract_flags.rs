//! What the harness asserts of feature flags that PostHog evaluates: requests, retries, the value, the event.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::*;
use serde_json::{Value, json};
use tracing_posthog::testing::{Answer, Flags, RecordedRequest};
use tracing_posthog_adapter::{Codec, Protocol};

async fn started(init: Value) -> Case {
    let case = Case::new(Protocol::V0).await;
    // So long that only a flush sends events.
    let mut settings = json!({"flush_interval_ms": 600_000});
    merge(&mut settings, init);
    case.init(settings).await;
    case
}

/// Asks for a flag, as the harness does: by a request.
async fn ask(case: &Case, more: Value) -> Value {
    let mut body = json!({"key": "beta-ui", "distinct_id": "user_1", "force_remote": true});
    merge(&mut body, more);
    case.succeed("/get_feature_flag", Some(&body)).await["value"].clone()
}

fn to_flags(case: &Case) -> Vec<RecordedRequest> {
    let requests = case.requests().into_iter();
    requests.filter(|r| r.path == "/flags/").collect()
}

/// The body of the only request for flags.
#[track_caller]
fn asked(case: &Case) -> Value {
    let requests = to_flags(case);
    assert_eq!(requests.len(), 1);
    requests[0].json().unwrap()
}

/// The properties of the `$feature_flag_called` that arrived.
fn called(case: &Case) -> Vec<Value> {
    let events = case.posthog.events().into_iter();
    let called = events.filter(|e| e.event == "$feature_flag_called");
    called.map(|e| Value::from(e.properties)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_says_all_that_is_known() {
    let case = started(json!({"api_key": "phc_of_this_test"})).await;
    ask(
        &case,
        json!({
            "key": "checkout", "distinct_id": "user_123",
            "person_properties": {"$device_id": "device_1", "seats": 40},
            "groups": {"company": "acme"}, "group_properties": {"company": {"plan": "enterprise"}},
            "disable_geoip": true,
        }),
    )
    .await;
    let body = asked(&case);
    for (field, value) in [
        ("token", json!("phc_of_this_test")),
        ("distinct_id", json!("user_123")),
        ("groups", json!({"company": "acme"})),
        (
            "group_properties",
            json!({"company": {"plan": "enterprise"}}),
        ),
        ("geoip_disable", json!(true)),
        ("flag_keys_to_evaluate", json!(["checkout"])),
    ] {
        assert_eq!(body[field], value, "{field}: {body}");
    }
    assert_eq!(body["person_properties"]["$device_id"], "device_1");
    assert_eq!(body["person_properties"]["seats"], 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_said_is_empty_and_not_absent() {
    let case = started(json!({})).await;
    // The harness leaves out what a test does not say, or sends null.
    ask(&case, json!({"groups": null, "person_properties": null})).await;
    let body = asked(&case);
    for field in ["groups", "group_properties", "person_properties"] {
        assert_eq!(body[field], json!({}), "{field}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flags_are_asked_for_by_version_2_and_without_authorization() {
    let case = started(json!({"personal_api_key": "phx_test_key"})).await;
    ask(&case, json!({})).await;
    let requests = case.requests();
    assert_eq!(requests.len(), 1, "and nothing else is");
    let request = &requests[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/flags/")
    );
    assert_eq!(request.query.as_deref(), Some("v=2"));
    assert_eq!(request.header("authorization"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn geoip_is_that_of_the_call_then_of_the_instance_then_on() {
    for (of_instance, of_call, is_disabled) in [
        (None, None, false),
        (None, Some(false), false),
        (None, Some(true), true),
        (Some(true), None, true),
        (Some(true), Some(false), false),
        (Some(false), None, false),
        (Some(false), Some(true), true),
    ] {
        let case = started(json!({"disable_geoip": of_instance})).await;
        ask(&case, json!({"disable_geoip": of_call})).await;
        assert_eq!(
            asked(&case)["geoip_disable"],
            is_disabled,
            "{of_instance:?} {of_call:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_call_for_a_flag_asks_for_flags() {
    let case = started(json!({"personal_api_key": "phx_test_key"})).await;
    assert_eq!(case.requests().len(), 0);
    case.capture("regular_event").await;
    case.flush().await;
    assert_eq!(case.batches().len(), 1);
    assert_eq!(case.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_a_request() {
    let case = started(json!({})).await;
    case.posthog.flags(Flags::new().on("beta-ui"));
    assert_eq!(ask(&case, json!({})).await, true);
    case.posthog.flags(Flags::new().off("beta-ui"));
    assert_eq!(ask(&case, json!({})).await, false);
    assert_eq!(to_flags(&case).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_value_is_that_of_the_answer() {
    let case = started(json!({})).await;
    for (answer, value) in [
        (json!({"featureFlags": {"beta-ui": "b"}}), json!("b")),
        (json!({"featureFlags": {"beta-ui": true}}), json!(true)),
        (
            json!({"flags": {"beta-ui": {"key": "beta-ui", "enabled": true, "variant": "b"}}}),
            json!("b"),
        ),
        (
            json!({"flags": {"beta-ui": {"key": "beta-ui", "enabled": false, "variant": null}}}),
            json!(false),
        ),
        (json!({"flags": {}}), Value::Null),
        (
            json!({"flags": {"beta-ui": {"key": "beta-ui", "enabled": false, "failed": true}}}),
            Value::Null,
        ),
    ] {
        case.posthog
            .answer_next(Answer::status(200).json(answer.clone()));
        assert_eq!(ask(&case, json!({})).await, value, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_fails_once_is_asked_again() {
    for status in [502, 504] {
        let case = started(json!({})).await;
        case.posthog.flags(Flags::new().on("beta-ui"));
        case.posthog.answer_next(Answer::status(status));
        assert_eq!(ask(&case, json!({})).await, true, "{status}");
        assert_eq!(to_flags(&case).len(), 2, "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_errors_leave_the_flag_unknown_at_once() {
    for status in [400, 401, 402, 429, 500, 503] {
        let case = started(json!({})).await;
        case.posthog.answer_next(Answer::status(status));
        assert_eq!(ask(&case, json!({})).await, Value::Null, "{status}");
        assert_eq!(to_flags(&case).len(), 1, "{status}");
        let error = case.state().await["last_error"].clone();
        let error = error.as_str().unwrap_or_default();
        assert!(error.contains(&status.to_string()), "{status}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_captured_as_one_event() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        case.init(json!({})).await;
        case.posthog.flags(Flags::new().variant("beta-ui", "b"));
        ask(&case, json!({"groups": {"company": "acme"}})).await;
        case.flush().await;
        let called = called(&case);
        assert_eq!(called.len(), 1);
        assert_eq!(called[0]["$feature_flag"], "beta-ui");
        assert_eq!(called[0]["$feature_flag_response"], "b");
        assert_eq!(called[0]["$groups"], json!({"company": "acme"}));
        assert_eq!(called[0]["locally_evaluated"], false);
        assert_eq!(case.posthog.events()[0].distinct_id, "user_1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_says_what_went_wrong() {
    let case = started(json!({})).await;
    case.posthog.answer_next(Answer::status(500));
    ask(&case, json!({})).await;
    case.flush().await;
    let called = called(&case);
    assert_eq!(called.len(), 1);
    assert_eq!(called[0]["$feature_flag_response"], Value::Null);
    let error = called[0]["$feature_flag_error"].as_str().unwrap();
    assert!(error.contains("api_error_500"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_told_apart() {
    let adapter = Adapter::start(Protocol::V1, Codec::Gzip).await;
    let tests = ["t-1", "t-2"].map(|id| {
        let case = Case::in_parallel(&adapter, id);
        async move {
            case.init(json!({"api_key": format!("phc_of_{id}")})).await;
            case.posthog.flags(Flags::new().variant("beta-ui", id));
            assert_eq!(ask(&case, json!({})).await, id);
            case.flush().await;
            for header in headers(&case.requests(), "x-test-id") {
                assert_eq!(header, id);
            }
            assert_eq!(asked(&case)["token"], format!("phc_of_{id}"));
            assert_eq!(called(&case).len(), 1);
        }
    });
    for test in tests.map(tokio::spawn) {
        test.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_flags_are_in_the_state() {
    let case = started(json!({})).await;
    case.posthog.answer_next(Answer::status(502));
    ask(&case, json!({})).await;
    let state = case.state().await;
    let attempts = state["requests_made"].as_array().unwrap();
    let of = |field: &str| attempts.iter().map(|a| &a[field]).collect::<Vec<_>>();
    assert_eq!(of("status_code"), [502, 200], "{state}");
    assert_eq!(of("retry_attempt"), [0, 1], "{state}");
    assert_eq!(state["total_retries"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_call_is_said() {
    let case = started(json!({})).await;
    let both = json!({
        "key": "x", "distinct_id": "y", "force_remote": true, "only_evaluate_locally": true,
    });
    for (path, body, status, words) in [
        (
            "/get_feature_flag",
            json!({"distinct_id": "y"}),
            422,
            "missing field `key`",
        ),
        (
            "/get_feature_flag",
            json!({"key": "x", "distinct_id": "y", "groups": {"company": 1}}),
            422,
            "groups",
        ),
        ("/get_feature_flag", both, 400, "exclude each other"),
        (
            "/get_feature_flag?test_id=t-9",
            json!({"key": "x", "distinct_id": "y"}),
            409,
            "test_id \"t-9\"",
        ),
        (
            "/reload_feature_flag_definitions",
            json!({"timeout_ms": "soon"}),
            422,
            "timeout_ms",
        ),
    ] {
        let (got, answer) = case.adapter.post(path, &body).await;
        assert_eq!(got.as_u16(), status, "{path} {body}: {answer}");
        let error = answer["error"].as_str().unwrap();
        assert!(error.contains(words), "{path} {body}: {error}");
    }
    assert_eq!(case.requests().len(), 0);
}
