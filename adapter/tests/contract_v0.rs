//! What the harness asserts of capture v0 alone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::*;
use serde_json::json;
use tracing_posthog_adapter::Protocol;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_the_shape_of_v0() {
    let case = Case::new(Protocol::V0).await;
    case.init(json!({"api_key": "phc_test_key", "flush_at": 10}))
        .await;
    case.capture("first").await;
    case.capture("second").await;
    case.flush().await;

    let requests = case.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(
        (requests[0].method.as_str(), requests[0].path.as_str()),
        ("POST", "/batch/")
    );
    let body = requests[0].json().unwrap();
    assert_eq!(body["api_key"], "phc_test_key");
    assert_utc(body["sent_at"].as_str().unwrap());
    let events = batch(&requests[0]);
    assert_eq!(values(&events, "event"), ["first", "second"]);
    for event in &events {
        assert_eq!(event["properties"]["$lib"], "tracing-posthog");
        assert!(event["properties"]["$lib_version"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn options_become_the_properties_that_v0_knows() {
    let case = Case::new(Protocol::V0).await;
    case.init(json!({})).await;
    case.capture_with(json!({"options": {
        "process_person_profile": false, "disable_skew_correction": true,
        "cookieless_mode": true, "product_tour_id": "tour-9",
    }}))
    .await;
    case.flush().await;
    let properties = &case.event()["properties"];
    assert_eq!(properties["$process_person_profile"], false);
    assert_eq!(properties["$ignore_sent_at"], true);
    assert_eq!(properties["$cookieless_mode"], true);
    assert_eq!(properties["$product_tour_id"], "tour-9");
}
