//! The harness's part of the contract, for both protocols: format, batches, retries, isolation, bad input.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

use harness::*;
use reqwest::StatusCode;
use serde_json::json;
use std::collections::HashSet;
use std::time::{Duration, Instant};
use tracing_posthog::testing::Answer;
use tracing_posthog_adapter::{Codec, Options, Protocol};

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_the_sdk_and_what_is_in_force() {
    for (protocol, codec, capabilities) in [
        (Protocol::V0, Codec::Gzip, ["capture_v0", "encoding_gzip"]),
        (Protocol::V1, Codec::Gzip, ["capture_v1", "encoding_gzip"]),
        (
            Protocol::V1,
            Codec::Deflate,
            ["capture_v1", "encoding_deflate"],
        ),
        (Protocol::V1, Codec::Br, ["capture_v1", "encoding_br"]),
        (Protocol::V1, Codec::Zstd, ["capture_v1", "encoding_zstd"]),
    ] {
        let adapter = Adapter::start(protocol, codec).await;
        let (status, health) = adapter.get("/health").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(health["sdk_name"], "tracing-posthog");
        assert_eq!(health["supports_parallel"], true);
        let [capture, encoding] = capabilities;
        assert_eq!(
            health["capabilities"],
            json!([capture, encoding, "feature_flags_local_evaluation_v1"])
        );
        assert!(health["adapter_version"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_is_that_of_the_crate() {
    let case = Case::new(Protocol::V0).await;
    case.init(json!({})).await;
    case.capture("test_event").await;
    case.flush().await;
    let (_, health) = case.adapter.get("/health").await;
    assert_eq!(
        case.event()["properties"]["$lib_version"],
        health["sdk_version"]
    );
}

#[test]
fn options_are_read_or_refused() {
    let read = |pairs: &[(&str, &str)]| {
        Options::read(|name| {
            let pair = pairs.iter().find(|(given, _)| *given == name);
            pair.map(|(_, value)| (*value).to_owned())
        })
    };
    let options = read(&[]).unwrap();
    assert_eq!(
        (options.protocol, options.codec, options.port),
        (Protocol::V0, Codec::Gzip, 8080)
    );
    let options = read(&[
        ("CAPTURE_PROTOCOL", "v1"),
        ("COMPRESSION", "br"),
        ("PORT", "9"),
    ])
    .unwrap();
    assert_eq!(
        (options.protocol, options.codec, options.port),
        (Protocol::V1, Codec::Br, 9)
    );
    for (pairs, remedy) in [
        (
            vec![("CAPTURE_PROTOCOL", "v2")],
            "CAPTURE_PROTOCOL is \"v2\"; it may be v0 or v1",
        ),
        (vec![("COMPRESSION", "lz4")], "gzip, deflate, br or zstd"),
        (vec![("COMPRESSION", "zstd")], "set CAPTURE_PROTOCOL=v1"),
        (vec![("PORT", "70000")], "up to 65535"),
    ] {
        let problem = read(&pairs).unwrap_err();
        assert!(problem.contains(remedy), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_arrives_as_it_was_given() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        case.init(json!({"flush_at": 1})).await;
        let uuid = case
            .capture_with(json!({
                "timestamp": "2025-01-02T08:34:05+05:30",
                "properties": {
                    "custom_string": "hello", "custom_number": 42, "custom_bool": true,
                    "timestamp_like": "2025-01-02T08:34:05+05:30",
                    "$set": {"name": "Test User"}, "$set_once": {"initial_referrer": "x"},
                    "$groups": {"company": "posthog"},
                },
            }))
            .await;
        case.flush().await;

        let event = case.event();
        assert_eq!(event["event"], "test_event");
        assert_eq!(event["distinct_id"], "test_user");
        assert_eq!(event["uuid"], uuid);
        assert!(is_uuid(&uuid));
        let timestamp = event["timestamp"].as_str().unwrap();
        assert_utc(timestamp);
        let instant = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
        assert_eq!(instant(timestamp), instant("2025-01-02T03:04:05Z"));

        let properties = &event["properties"];
        assert_eq!(properties["custom_string"], "hello");
        assert_eq!(properties["custom_number"], 42);
        assert_eq!(properties["custom_bool"], true);
        assert_eq!(properties["timestamp_like"], "2025-01-02T08:34:05+05:30");
        assert_eq!(properties["$set"], json!({"name": "Test User"}));
        assert_eq!(properties["$set_once"], json!({"initial_referrer": "x"}));
        assert_eq!(properties["$groups"], json!({"company": "posthog"}));
        // For PostHog it is a property that somebody gave, which is another thing.
        assert_eq!(properties.get("distinct_id"), None);
        // What is not said is the crate's default.
        assert_eq!(properties["$geoip_disable"], true);
        assert_eq!(case.posthog.event_count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn properties_and_timestamp_may_be_missing() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        case.init(json!({})).await;
        let bare = json!({"distinct_id": "test_user", "event": "bare"});
        let (status, _) = case.adapter.post("/capture", &bare).await;
        assert_eq!(status, StatusCode::OK);
        case.flush().await;
        assert_utc(case.event()["timestamp"].as_str().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn geoip_is_looked_up_where_asked_for() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        case.init(json!({"disable_geoip": false})).await;
        case.capture("first").await;
        case.flush().await;
        case.init(json!({"disable_geoip": true})).await;
        case.capture("second").await;
        case.flush().await;
        let batches = case.batches();
        let of = |n: usize| batches[n][0]["properties"].get("$geoip_disable").cloned();
        assert_eq!((of(0), of(1)), (None, Some(json!(true))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_batched() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        // So long that only a flush or the threshold sends.
        case.init(json!({"flush_at": 10, "flush_interval_ms": 600_000}))
            .await;
        assert_eq!(case.flush().await, 0);
        assert_eq!(case.requests().len(), 0, "a flush of nothing sends nothing");

        let mut uuids = HashSet::new();
        for n in 0..5 {
            uuids.insert(case.capture(&format!("test_event_{n}")).await);
        }
        assert_eq!(case.state().await["pending_events"], 5);
        assert_eq!(case.flush().await, 5);
        let batches = case.batches();
        assert_eq!(batches.len(), 1);
        let sent = values(&batches[0], "uuid");
        assert_eq!(uuids.len(), 5);
        assert_eq!(uuids, sent.into_iter().map(str::to_owned).collect());

        for n in 0..10 {
            case.capture(&format!("test_event_{n}")).await;
        }
        assert!(
            case.posthog.wait_for_events(15, LONG),
            "the threshold sends"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interval_sends() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        case.init(json!({"flush_interval_ms": 20})).await;
        case.capture("test_event").await;
        assert!(case.posthog.wait_for_events(1, LONG));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_above_the_usual_batch_is_one_request() {
    let case = Case::new(Protocol::V0).await;
    case.init(json!({"flush_at": 120, "flush_interval_ms": 600_000}))
        .await;
    for _ in 0..120 {
        case.capture("test_event").await;
    }
    assert!(case.posthog.wait_for_events(120, LONG));
    assert_eq!(case.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn transient_failures_are_retried_with_everything_the_same() {
    for protocol in BOTH {
        let adapter = Adapter::start(protocol, Codec::Gzip).await;
        let tests = [408, 429, 500, 502, 503, 504].map(|status| {
            let case = Case::in_parallel(&adapter, &format!("t-{status}"));
            async move {
                case.posthog.answer_next_times(2, Answer::status(status));
                case.init(json!({"flush_at": 10})).await;
                for n in 0..3 {
                    case.capture(&format!("test_event_{n}")).await;
                }
                assert_eq!(case.flush().await, 3, "{status}");

                let batches = case.batches();
                assert_eq!(batches.len(), 3, "{status}");
                let identities = |batch| (values(batch, "uuid"), values(batch, "timestamp"));
                for batch in &batches[1..] {
                    assert_eq!(identities(batch), identities(&batches[0]));
                }
                let first = gaps(&case.requests())[0];
                assert!(first >= Duration::from_millis(100), "{status}: {first:?}");
            }
        });
        for test in tests.map(tokio::spawn) {
            test.await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn final_answers_are_not_retried() {
    for (protocol, statuses) in [
        (Protocol::V0, vec![400, 401, 402, 403, 413]),
        (Protocol::V1, vec![400, 401, 402, 403, 413, 415]),
    ] {
        for status in statuses {
            let case = Case::new(protocol).await;
            case.posthog.answer_next(Answer::status(status));
            case.init(json!({})).await;
            case.capture("refused").await;
            assert_eq!(case.flush().await, 0);
            assert_eq!(case.requests().len(), 1, "{status}");
            case.assert_only_this_comes("after").await;
            let state = case.state().await;
            let error = state["last_error"].as_str().unwrap();
            assert!(error.contains(&status.to_string()), "{error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_waited_for() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        let later = Answer::status(429).header("retry-after", "1");
        case.posthog.answer_next(later);
        case.init(json!({})).await;
        case.capture("test_event").await;
        assert_eq!(case.flush().await, 1);
        let waited = gaps(&case.requests())[0];
        assert!(waited >= Duration::from_secs(1), "{waited:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flush_gives_up_after_max_retries() {
    for protocol in BOTH {
        for (settings, attempts) in [(json!({}), 4), (json!({"max_retries": 1}), 2)] {
            let case = Case::new(protocol).await;
            case.posthog
                .answer_next_times(attempts, Answer::status(503));
            case.init(settings).await;
            let uuid = case.capture("lost").await;
            assert_eq!(case.flush().await, 0);

            let batches = case.batches();
            assert_eq!(batches.len(), attempts);
            assert!(batches.iter().all(|b| values(b, "uuid") == [&uuid]));
            case.assert_only_this_comes("after").await;
            let state = case.state().await;
            assert_eq!(state["total_events_captured"], 2);
            assert_eq!(state["total_events_sent"], 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_failures_in_a_row_do_not_stop_the_sending() {
    let case = Case::new(Protocol::V0).await;
    case.init(json!({"max_retries": 0})).await;
    // More than open the circuit breaker of the crate's defaults, for 30 seconds.
    let start = Instant::now();
    case.posthog.answer_next_times(8, Answer::status(503));
    for _ in 0..8 {
        case.capture("lost").await;
        case.flush().await;
    }
    assert_eq!(case.requests().len(), 8);
    assert!(start.elapsed() < LONG);
    case.assert_only_this_comes("after").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_packed_where_asked_for() {
    for (protocol, codec, name) in [
        (Protocol::V0, Codec::Gzip, "gzip"),
        (Protocol::V1, Codec::Gzip, "gzip"),
        (Protocol::V1, Codec::Deflate, "deflate"),
        (Protocol::V1, Codec::Br, "br"),
        (Protocol::V1, Codec::Zstd, "zstd"),
    ] {
        let case = Case::with(Adapter::start(protocol, codec).await);
        for (settings, encoding) in [
            (json!({"enable_compression": true}), Some(name)),
            (json!({"enable_compression": false}), None),
            (json!({}), None),
        ] {
            case.posthog.clear();
            case.init(settings).await;
            case.capture("test_event").await;
            case.flush().await;
            let requests = case.requests();
            assert_eq!(requests[0].header("content-encoding"), encoding);
            assert_eq!(case.posthog.event_count(), 1, "PostHog can unpack {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_marked_where_asked_for() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        for settings in [json!({"historical_migration": true}), json!({})] {
            case.init(settings).await;
            case.capture("test_event").await;
            case.flush().await;
        }
        let mark = |n: usize| {
            let body = case.requests()[n].json().unwrap();
            body.get("historical_migration").cloned()
        };
        assert_eq!((mark(0), mark(1)), (Some(json!(true)), None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_apart_and_name_themselves() {
    for protocol in BOTH {
        let adapter = Adapter::start(protocol, Codec::Gzip).await;
        let tests = ["t-1", "t-2", "t-3"].map(|id| {
            let case = Case::in_parallel(&adapter, id);
            async move {
                // With a failure, so that retries are seen too.
                case.posthog.answer_next(Answer::status(503));
                case.init(json!({})).await;
                case.capture(id).await;
                assert_eq!(case.flush().await, 1);
                let requests = case.requests();
                assert_eq!(headers(&requests, "x-test-id"), [id, id]);
                assert_eq!(case.posthog.events()[0].event, id);
                assert_eq!(case.state().await["total_events_sent"], 1);
            }
        });
        for test in tests.map(tokio::spawn) {
            test.await.unwrap();
        }

        let global = Case::with(adapter);
        global.init(json!({})).await;
        global.capture("test_event").await;
        global.flush().await;
        assert_eq!(global.requests()[0].header("x-test-id"), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_drops_what_waits() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        case.init(json!({"flush_interval_ms": 600_000})).await;
        case.capture("dropped").await;
        case.reset().await;
        case.reset().await;
        let (status, _) = case.adapter.post_nothing("/flush").await;
        assert_eq!(
            status,
            StatusCode::CONFLICT,
            "there is no instance any more"
        );

        case.init(json!({})).await;
        case.assert_only_this_comes("after").await;
        assert_eq!(case.requests().len(), 1);
        assert_eq!(case.state().await["total_events_captured"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_ends_retries_at_once() {
    let case = Case::new(Protocol::V0).await;
    let later = Answer::status(503).header("retry-after", "2");
    case.posthog.answer_next(later);
    case.init(json!({"flush_at": 1})).await;
    case.capture("dropped").await;
    assert!(case.posthog.wait_for_requests(1, LONG));
    let start = Instant::now();
    case.reset().await;
    let took = start.elapsed();
    assert!(took < Duration::from_millis(1_900), "{took:?}");
    // The retry would come within this time.
    let more = Duration::from_millis(2_500);
    assert!(!case.posthog.wait_for_requests(2, more));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_does_not_wait_for_an_answer() {
    let case = Case::new(Protocol::V0).await;
    case.posthog.answer_next(Answer::stall());
    case.init(json!({"flush_at": 1})).await;
    case.capture("dropped").await;
    assert!(case.posthog.wait_for_requests(1, LONG));
    let start = Instant::now();
    case.reset().await;
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_init_replaces_what_is_there() {
    let case = Case::new(Protocol::V0).await;
    case.init(json!({"flush_interval_ms": 600_000})).await;
    case.capture("dropped").await;
    case.init(json!({"api_key": "phc_another_key"})).await;
    case.assert_only_this_comes("after").await;
    assert_eq!(case.requests().len(), 1);
    assert_eq!(case.posthog.events()[0].api_key, "phc_another_key");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_tells_what_is_known() {
    for protocol in BOTH {
        let case = Case::new(protocol).await;
        case.posthog.answer_next(Answer::status(503));
        case.posthog.answer_next(Answer::reset());
        case.init(json!({})).await;
        let state = case.state().await;
        assert_eq!(
            state,
            json!({
                "pending_events": 0, "total_events_captured": 0, "total_events_sent": 0,
                "total_retries": 0, "last_error": null, "requests_made": [],
            })
        );
        case.capture("test_event").await;
        case.capture("test_event").await;
        case.flush().await;

        let state = case.state().await;
        assert_eq!(state["pending_events"], 0);
        assert_eq!(state["total_events_captured"], 2);
        assert_eq!(state["total_events_sent"], 2);
        assert_eq!(state["total_retries"], 2);
        let error = state["last_error"].as_str().unwrap();
        assert!(error.contains("broke off"), "the last one: {error}");
        let requests = state["requests_made"].as_array().unwrap();
        let seen: Vec<_> = requests
            .iter()
            .map(|r| json!([r["status_code"], r["retry_attempt"]]))
            .collect();
        assert_eq!(seen, [json!([503, 0]), json!([0, 1]), json!([200, 2])]);
        for request in requests {
            assert!(request["timestamp_ms"].as_u64().unwrap() > 1_700_000_000_000);
            assert_eq!(request["event_count"], 2);
            assert_eq!(request["uuid_list"], json!([]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_without_an_offset_is_one_in_utc() {
    for (given, utc) in [
        ("2025-01-02T03:04:05", "2025-01-02T03:04:05.000Z"),
        ("2025-01-02 03:04:05.25", "2025-01-02T03:04:05.250Z"),
        ("2025-01-02T08:34:05+05:30", "2025-01-02T03:04:05.000Z"),
    ] {
        let case = Case::new(Protocol::V0).await;
        case.init(json!({})).await;
        case.capture_with(json!({"timestamp": given})).await;
        case.flush().await;
        assert_eq!(case.event()["timestamp"], utc, "{given}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_named() {
    let case = Case::new(Protocol::V0).await;
    let host = case.posthog.url();
    let event = |more: serde_json::Value| {
        let mut event = json!({"distinct_id": "test_user", "event": "test_event"});
        let more = more.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(more);
        event
    };
    for (path, body, status, words) in [
        ("/capture", event(json!({})), 409, "call POST /init first"),
        (
            "/init",
            json!({"host": host}),
            422,
            "missing field `api_key`",
        ),
        (
            "/init",
            json!({"api_key": "phc_x"}),
            422,
            "missing field `host`",
        ),
        (
            "/init",
            json!({"api_key": "phx_x", "host": host}),
            400,
            "project API key",
        ),
        (
            "/init",
            json!({"api_key": "phc_x", "host": "no url"}),
            400,
            "host",
        ),
        (
            "/init",
            json!({"api_key": "phc_x", "host": host, "flush_at": 0}),
            400,
            "flush_at: must be at least 1",
        ),
        (
            "/init",
            json!({"api_key": "phc_x", "host": host, "flush_at": "many"}),
            422,
            "flush_at",
        ),
        (
            "/init",
            json!({"api_key": "phc_x", "host": host, "flush_interval_ms": 0}),
            400,
            "flush_interval",
        ),
        (
            "/init?test_id=a%0Ab",
            json!({"api_key": "phc_x", "host": host}),
            400,
            "header number 1: its value is malformed",
        ),
        ("/init", json!({"api_key": "phc_x", "host": host}), 200, ""),
        (
            "/capture",
            json!({"event": "x"}),
            422,
            "missing field `distinct_id`",
        ),
        (
            "/capture",
            event(json!({"timestamp": "yesterday"})),
            400,
            "timestamp \"yesterday\"",
        ),
        (
            "/capture",
            event(json!({"timestamp": "2025-02-30T03:04:05"})),
            400,
            "timestamp \"2025-02-30T03:04:05\"",
        ),
        (
            "/capture",
            event(json!({"properties": [1]})),
            422,
            "properties",
        ),
        (
            "/capture?test_id=t-9",
            event(json!({})),
            409,
            "test_id \"t-9\"",
        ),
        ("/capture_ai", event(json!({})), 501, "AI events"),
        ("/nowhere", json!({}), 404, "no such endpoint"),
    ] {
        let (got, answer) = case.adapter.post(path, &body).await;
        assert_eq!(got.as_u16(), status, "{path} {body}: {answer}");
        if !words.is_empty() {
            assert_eq!(answer["success"], false);
            let error = answer["error"].as_str().unwrap();
            assert!(error.contains(words), "{path} {body}: {error}");
        }
    }
    // No body at all.
    let (status, answer) = case.adapter.post_nothing("/init").await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(answer["error"].as_str().unwrap().contains("api_key"));
    case.assert_only_this_comes("after").await;
}
