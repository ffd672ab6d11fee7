//! What the harness asserts of capture v1 alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::*;
use serde_json::json;
use std::time::Duration;
use tracing_posthog::testing::{Answer, EventVerdict};
use tracing_posthog_adapter::Protocol;

async fn v1() -> Case {
    Case::new(Protocol::V1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_has_the_headers_and_the_body_of_v1() {
    let case = v1().await;
    case.init(json!({"api_key": "phc_test_key", "flush_at": 1}))
        .await;
    let before = jiff::Timestamp::now();
    case.capture("test_event").await;
    case.flush().await;

    let requests = case.requests();
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/i/v1/analytics/events")
    );
    assert_eq!(request.query, None);
    let header = |name| request.header(name).unwrap_or_else(|| panic!("no {name}"));
    assert_eq!(header("authorization"), "Bearer phc_test_key");
    assert!(header("content-type").starts_with("application/json"));
    let (name, version) = header("posthog-sdk-info").rsplit_once('/').unwrap();
    assert!(!name.is_empty() && !version.is_empty());
    assert_eq!(header("posthog-attempt"), "1");
    assert!(is_uuid(header("posthog-request-id")));
    assert_utc(header("posthog-request-timestamp"));
    assert!(!header("user-agent").is_empty());

    let body = request.json().unwrap();
    for absent in ["api_key", "token", "sent_at", "historical_migration"] {
        assert_eq!(body.get(absent), None, "{absent}");
    }
    let created_at = body["created_at"].as_str().unwrap();
    assert_utc(created_at);
    let age = created_at.parse::<jiff::Timestamp>().unwrap() - before;
    assert!(age.as_secs().abs() < 5, "{age}");
    let event = case.event();
    assert_eq!(event["options"], json!({}), "what is not set is left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn options_are_beside_the_properties() {
    let case = v1().await;
    case.init(json!({})).await;
    case.capture_with(json!({
        "properties": {"plan": "pro"},
        "options": {
            "process_person_profile": false, "disable_skew_correction": true,
            "cookieless_mode": true, "product_tour_id": "tour-9",
        },
    }))
    .await;
    case.capture_with(
        json!({"options": {"process_person_profile": true, "cookieless_mode": null}}),
    )
    .await;
    case.flush().await;

    let batches = case.batches();
    let (all, one) = (&batches[0][0], &batches[0][1]);
    assert_eq!(
        all["options"],
        json!({
            "process_person_profile": false, "disable_skew_correction": true,
            "cookieless_mode": true, "product_tour_id": "tour-9",
        })
    );
    assert_eq!(all["properties"]["plan"], "pro");
    for property in [
        "$process_person_profile",
        "$ignore_sent_at",
        "$cookieless_mode",
        "$product_tour_id",
    ] {
        assert_eq!(all["properties"].get(property), None, "{property}");
    }
    assert_eq!(one["options"], json!({"process_person_profile": true}));
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_are_numbered_and_belong_together() {
    let case = v1().await;
    case.posthog.answer_next_times(2, Answer::status(503));
    case.init(json!({})).await;
    case.capture("first").await;
    case.flush().await;
    case.capture("second").await;
    case.flush().await;

    let requests = case.requests();
    assert_eq!(headers(&requests, "posthog-attempt"), ["1", "2", "3", "1"]);
    let ids = headers(&requests, "posthog-request-id");
    assert_eq!((&ids[1], &ids[2]), (&ids[0], &ids[0]));
    assert_ne!(ids[3], ids[0]);
    let times = headers(&requests, "posthog-request-timestamp");
    assert!(times[0] < times[1] && times[1] < times[2], "{times:?}");
    let created: Vec<_> = requests
        .iter()
        .map(|r| r.json().unwrap()["created_at"].clone())
        .collect();
    assert!(created[0].is_string());
    assert_eq!((&created[1], &created[2]), (&created[0], &created[0]));
}

/// What is sent after this verdict on `b`, beside one that is kept and one that is dropped.
async fn after_a_partial_answer(answer: Answer) -> Case {
    let case = v1().await;
    case.posthog.answer_next(
        answer
            .verdict("dropped", EventVerdict::Drop("event_name_too_long".into()))
            .verdict("again", EventVerdict::Retry("not_persisted".into())),
    );
    case.init(json!({"flush_at": 10})).await;
    for name in ["kept", "dropped", "again"] {
        case.capture(name).await;
    }
    assert_eq!(case.flush().await, 2);
    case
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_posthog_asks_for_again_is_sent_again() {
    let case = after_a_partial_answer(Answer::accept()).await;
    let requests = case.requests();
    let batches = case.batches();
    assert_eq!(batches.len(), 2);
    assert_eq!(values(&batches[0], "event"), ["kept", "dropped", "again"]);
    assert_eq!(batches[1], [batches[0][2].clone()], "as it was");
    assert_eq!(headers(&requests, "posthog-attempt"), ["1", "2"]);
    let ids = headers(&requests, "posthog-request-id");
    assert_eq!(ids[0], ids[1]);
    // One second, by the mock's own header.
    assert!(gaps(&requests)[0] >= Duration::from_secs(1));
    case.assert_only_this_comes("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_waited_for_after_a_partial_answer() {
    let later = Answer::accept().header("retry-after", "2");
    let case = after_a_partial_answer(later).await;
    let waited = gaps(&case.requests())[0];
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_answers_use_up_the_retries() {
    let case = v1().await;
    let again = Answer::accept()
        .header("retry-after", "0")
        .verdict("again", EventVerdict::Retry("not_persisted".into()));
    case.posthog.answer_next_times(5, again);
    case.init(json!({"max_retries": 3})).await;
    case.capture("again").await;
    assert_eq!(case.flush().await, 0);
    assert_eq!(case.requests().len(), 4);
    // The last of the five is for this one, and says nothing of it.
    case.assert_only_this_comes("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_verdicts_are_final() {
    let case = v1().await;
    case.posthog.answer_next(
        Answer::accept()
            .verdict("unknown", EventVerdict::Other("unknown_future".into()))
            .verdict("limited", EventVerdict::Other("limited".into()))
            .verdict("warned", EventVerdict::Warning("person_processing".into()))
            .verdict("unspoken", EventVerdict::Silence)
            .verdict("dropped", EventVerdict::Drop("rejected".into())),
    );
    case.init(json!({"flush_at": 10})).await;
    for name in ["unknown", "limited", "warned", "unspoken", "dropped", "ok"] {
        case.capture(name).await;
    }
    assert_eq!(case.flush().await, 5);
    assert_eq!(case.requests().len(), 1);
    case.assert_only_this_comes("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_says_nothing_is_final() {
    let case = v1().await;
    case.posthog
        .answer_next(Answer::accept().json(json!({"results": []})));
    case.init(json!({})).await;
    case.capture("test_event").await;
    case.flush().await;
    assert_eq!(case.requests().len(), 1);
    case.assert_only_this_comes("after").await;
}
