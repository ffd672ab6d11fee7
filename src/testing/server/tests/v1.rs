//! Capture v1: what it takes, what it refuses, and its verdict on each event.

use flate2::write::{DeflateEncoder, ZlibEncoder};

use super::super::super::EventVerdict;
use super::*;

const PATH: &str = "/i/v1/analytics/events";
const UUID: &str = "0195f0aa-1111-7222-8333-444455556666";
const REQUEST_ID: &str = "0195f0aa-7777-7222-8333-444455556666";
const MIB: usize = 1024 * 1024;

/// The headers that v1 requires, some of them replaced.
fn headers(other: &[(&str, &str)]) -> String {
    let required = [
        ("Authorization", "Bearer phc_x"),
        ("Content-Type", "application/json"),
        ("User-Agent", "test/1.0.0"),
        ("PostHog-Sdk-Info", "test/1.0.0"),
        ("PostHog-Attempt", "1"),
        ("PostHog-Request-Id", REQUEST_ID),
        ("PostHog-Request-Timestamp", "2031-04-05T06:07:08.901Z"),
    ];
    let kept = required
        .iter()
        .filter(|(name, _)| !other.iter().any(|(o, _)| o == name));
    kept.chain(other.iter().filter(|(_, value)| *value != ABSENT))
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect()
}

/// In place of a value: no such header.
const ABSENT: &str = "absent";

/// The same, without that one.
fn without(name: &str) -> String {
    headers(&[(name, ABSENT)])
}

/// An event that v1 takes, with these fields in place of its own.
fn event(other: Value) -> Value {
    let mut event = json!({
        "event": "e", "uuid": UUID, "distinct_id": "d",
        "timestamp": "2031-04-05T06:07:05.123Z", "options": {}, "properties": {"n": 1},
    });
    if let (Some(event), Value::Object(other)) = (event.as_object_mut(), other) {
        event.extend(other);
        event.retain(|_, value| value != ABSENT);
    }
    event
}

fn body(batch: &[Value]) -> Vec<u8> {
    json!({"created_at": "2031-04-05T06:07:08.901Z", "batch": batch})
        .to_string()
        .into_bytes()
}

fn one(other: Value) -> Vec<u8> {
    body(&[event(other)])
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Client {
    /// Status, head, and the JSON of the body.
    fn post_v1(&mut self, headers: &str, body: &[u8]) -> (u16, String, Value) {
        self.send(PATH, headers, body);
        let (status, head, text) = self.answer().unwrap();
        (status, head, serde_json::from_str(&text).unwrap())
    }
}

#[test]
fn what_v1_takes() {
    let server = server();
    let mut client = Client::new(&server);
    let good = one(json!({}));
    let encoded = |name: &str| headers(&[("Content-Encoding", name)]);
    let rows: Vec<(String, Vec<u8>)> = vec![
        (headers(&[]), good.clone()),
        (headers(&[("Authorization", "bEARER  phc_x")]), good.clone()),
        (
            headers(&[("Content-Type", "application/json; charset=utf-8")]),
            good.clone(),
        ),
        (headers(&[("PostHog-Sdk-Info", "nonsense")]), good.clone()),
        (encoded("GZIP"), gzip(&good)),
        (encoded("deflate"), zlib(&good)),
        (encoded("deflate"), raw_deflate(&good)),
        (encoded("identity"), good),
        (headers(&[]), one(json!({"uuid": format!(" {UUID} ")}))),
        (headers(&[]), one(json!({"options": {"of_tomorrow": 5}}))),
        (
            headers(&[]),
            one(json!({"options": {"cookieless_mode": null, "product_tour_id": " "}})),
        ),
    ];
    let taken = rows.len();
    for (headers, body) in rows {
        let (status, _, answer) = client.post_v1(&headers, &body);
        assert_eq!(status, 200, "{headers}{answer}");
        assert_eq!(answer, json!({"results": {UUID: {"result": "ok"}}}));
    }
    for path in ["/i/v1/analytics/events/", "/in/gest/i/v1/analytics/events"] {
        client.send(path, &headers(&[]), &one(json!({})));
        assert_eq!(client.answer().unwrap().0, 200, "{path}");
    }
    let events = server.events();
    assert_eq!(events.len(), taken + 2);
    for event in events {
        assert_eq!(Value::Object(event.properties), json!({"n": 1}));
        assert_eq!(event.uuid.as_deref(), Some(UUID));
        assert_eq!(event.api_key, "phc_x");
    }
}

#[test]
fn what_v1_lifts_is_put_back() {
    let server = server();
    let lifted = json!({
        "session_id": "s", "window_id": "w",
        "options": {
            "cookieless_mode": true, "disable_skew_correction": false,
            "process_person_profile": false, "product_tour_id": "t",
        },
    });
    let (status, ..) = Client::new(&server).post_v1(&headers(&[]), &one(lifted));
    assert_eq!(status, 200);
    let event = server.find("e").unwrap();
    let properties = json!({
        "n": 1, "$session_id": "s", "$window_id": "w", "$cookieless_mode": true,
        "$ignore_sent_at": false, "$process_person_profile": false, "$product_tour_id": "t",
    });
    assert_eq!(Value::Object(event.properties), properties);
    assert_eq!(event.sent_at.as_deref(), Some("2031-04-05T06:07:08.901Z"));
}

#[test]
fn what_v1_refuses() {
    let server = server();
    let mut client = Client::new(&server);
    let good = one(json!({}));
    let with = |name: &str, value: &str| headers(&[(name, value)]);
    let token = |token: &str| with("Authorization", &format!("Bearer {token}"));
    let twice = body(&[event(json!({})), event(json!({}))]);
    let deep = format!("{}{}", "[".repeat(130), "]".repeat(130));
    let deep = String::from_utf8(one(json!({"properties": {"a": "deep"}})))
        .unwrap()
        .replace("\"deep\"", &deep);
    let mut cut = gzip(&good);
    cut.truncate(cut.len() / 2);
    const MISSING: &str = "missing_required_headers";
    const INVALID: &str = "invalid_header_value";
    const PARSING: &str = "request_parsing_error";
    let rows: Vec<(String, Vec<u8>, u16, &str)> = vec![
        (
            without("Authorization"),
            good.clone(),
            401,
            "missing_authorization",
        ),
        (
            with("Authorization", "Basic phc_x"),
            good.clone(),
            400,
            INVALID,
        ),
        (token("phx_1"), good.clone(), 401, "invalid_api_token"),
        (
            token(&"x".repeat(65)),
            good.clone(),
            401,
            "invalid_api_token",
        ),
        (token("é"), good.clone(), 401, "invalid_api_token"),
        (without("Content-Type"), good.clone(), 400, MISSING),
        (
            with("Content-Type", "text/plain"),
            good.clone(),
            415,
            "unsupported_content_type",
        ),
        (without("User-Agent"), good.clone(), 400, MISSING),
        (with("User-Agent", ""), good.clone(), 400, MISSING),
        (without("PostHog-Sdk-Info"), good.clone(), 400, MISSING),
        (without("PostHog-Attempt"), good.clone(), 400, MISSING),
        (with("PostHog-Attempt", "0"), good.clone(), 400, INVALID),
        (with("PostHog-Attempt", "first"), good.clone(), 400, INVALID),
        (without("PostHog-Request-Id"), good.clone(), 400, MISSING),
        (with("PostHog-Request-Id", "7"), good.clone(), 400, INVALID),
        (
            without("PostHog-Request-Timestamp"),
            good.clone(),
            400,
            MISSING,
        ),
        (
            with("PostHog-Request-Timestamp", "noon"),
            good.clone(),
            400,
            INVALID,
        ),
        (
            with("Content-Encoding", "lzma"),
            good.clone(),
            415,
            "unsupported_encoding",
        ),
        (
            with("Content-Encoding", "gzip"),
            good.clone(),
            400,
            "request_decoding_error",
        ),
        (
            with("Content-Encoding", "gzip"),
            cut,
            400,
            "request_decoding_error",
        ),
        (
            with("Content-Encoding", "deflate"),
            good,
            400,
            "request_decoding_error",
        ),
        (headers(&[]), Vec::new(), 400, "empty_body"),
        (headers(&[]), b"{\"batch\":".to_vec(), 400, PARSING),
        (headers(&[]), b"\xff".to_vec(), 400, PARSING),
        (headers(&[]), deep.into_bytes(), 400, PARSING),
        (headers(&[]), br#"{"batch":[]}"#.to_vec(), 400, PARSING),
        (
            headers(&[]),
            br#"{"created_at":"noon","batch":[]}"#.to_vec(),
            400,
            "invalid_batch",
        ),
        (headers(&[]), body(&[]), 400, "empty_batch"),
        (
            headers(&[]),
            one(json!({"uuid": ABSENT})),
            400,
            "missing_event_uuid",
        ),
        (
            headers(&[]),
            one(json!({"uuid": " "})),
            400,
            "missing_event_uuid",
        ),
        (
            headers(&[]),
            one(json!({"uuid": "nope"})),
            400,
            "invalid_event_uuid",
        ),
        (headers(&[]), twice, 400, "duplicate_event_uuid"),
        (headers(&[]), one(json!({"distinct_id": 5})), 400, PARSING),
        (headers(&[]), one(json!({"properties": []})), 400, PARSING),
        // As the older of them do.
        (
            headers(&[]),
            one(json!({"options": {"cookieless_mode": "yes"}})),
            400,
            PARSING,
        ),
    ];
    for (headers, body, status, tag) in rows {
        let (got, head, answer) = client.post_v1(&headers, &body);
        assert_eq!((got, &answer["error"]), (status, &json!(tag)), "{headers}");
        assert!(answer["error_description"].is_string(), "{answer}");
        assert!(head.contains("content-type: application/json\r\n"));
        assert!(!head.contains("retry-after"), "{head}");
    }
    let all = "authorization: Bearer phc_x\r\n";
    let (_, _, answer) = client.post_v1(all, b"{}");
    let missing = answer["error_description"].as_str().unwrap();
    assert_eq!(missing.split(", ").count(), 6, "{missing}");
    assert_eq!((server.event_count(), server.connection_count()), (0, 1));
}

/// An event and that many MiB of spaces, packed. One MiB is packed and repeated: all of them take long.
fn packed_spaces(mib: usize) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&one(json!({}))).unwrap();
    encoder.flush().unwrap();
    let before = encoder.get_ref().len();
    encoder.write_all(&vec![b' '; MIB]).unwrap();
    encoder.flush().unwrap();
    let spaces = encoder.get_ref()[before..].repeat(mib - 1);
    let mut packed = encoder.get_ref().clone();
    packed.extend(spaces);
    // An empty block that is the last one.
    packed.extend([3, 0]);
    packed
}

#[test]
fn v1_limits() {
    let server = server();
    let mut client = Client::new(&server);
    let padded = |bytes: usize| {
        let mut body = one(json!({}));
        body.resize(bytes, b' ');
        body
    };
    let packed = headers(&[("Content-Encoding", "deflate")]);
    let rows = [
        (headers(&[]), padded(10 * MIB), 200),
        (headers(&[]), padded(10 * MIB + 1), 413),
        (headers(&[]), padded(30 * MIB), 413),
        (packed.clone(), packed_spaces(11), 200),
        (packed, packed_spaces(50), 413),
    ];
    for (headers, body, status) in rows {
        let (got, _, answer) = client.post_v1(&headers, &body);
        assert_eq!(got, status, "{} bytes: {answer}", body.len());
        if status == 413 {
            assert_eq!(answer["error"], "payload_too_large");
        }
    }
    assert_eq!((server.event_count(), server.connection_count()), (2, 1));
}

#[test]
fn v1_says_of_each_event_what_becomes_of_it() {
    let server = server();
    let mut client = Client::new(&server);
    let (longest, too_long) = ("x".repeat(200), "ü".repeat(101));
    let rows = [
        (json!({}), None),
        (
            json!({"event": longest, "distinct_id": format!(" {longest} ")}),
            None,
        ),
        (json!({"event": " "}), Some("missing_event_name")),
        (json!({"event": too_long}), Some("event_name_too_long")),
        (json!({"distinct_id": " "}), Some("missing_distinct_id")),
        (
            json!({"distinct_id": too_long}),
            Some("distinct_id_too_large"),
        ),
        (
            json!({"timestamp": "noon"}),
            Some("invalid_event_timestamp"),
        ),
        (
            json!({"timestamp": "2031-04-05T06:07:05"}),
            Some("invalid_event_timestamp"),
        ),
    ];
    let uuid = |n: usize| format!("0195f0aa-1111-7222-8333-4444555566{n:02}");
    let batch: Vec<Value> = rows
        .iter()
        .enumerate()
        .map(|(n, (other, _))| {
            let mut event = event(other.clone());
            event["uuid"] = uuid(n).into();
            event
        })
        .collect();
    let (status, head, answer) = client.post_v1(&headers(&[]), &body(&batch));
    assert_eq!(status, 200);
    for (n, (_, drop)) in rows.iter().enumerate() {
        let wanted = match drop {
            None => json!({"result": "ok"}),
            Some(details) => json!({"result": "drop", "details": details}),
        };
        assert_eq!(answer["results"][uuid(n)], wanted);
    }
    assert!(head.contains(&format!("posthog-request-id: {REQUEST_ID}\r\n")));
    assert!(!head.contains("retry-after"), "nothing is to come again");
    assert_eq!(server.event_count(), 2);

    server.answer_next(Answer::accept().verdict("e", EventVerdict::Retry("later".into())));
    let (_, head, _) = client.post_v1(&headers(&[]), &one(json!({})));
    assert!(head.contains("retry-after: 1\r\n"), "{head}");
}

#[test]
fn a_status_comes_with_what_v1_says_with_it() {
    let server = server();
    let mut client = Client::new(&server);
    let rows = [
        (400, "request_parsing_error", false),
        (401, "invalid_api_token", false),
        (402, "billing_limit_exceeded", false),
        (408, "request_timeout", true),
        (413, "payload_too_large", false),
        (415, "unsupported_content_type", false),
        (429, "rate_limited", false),
        (500, "internal_error", true),
        (503, "service_unavailable", true),
        (504, "gateway_timeout", true),
    ];
    for (status, tag, waits) in rows {
        server.answer_next(Answer::status(status));
        let (got, head, answer) = client.post_v1(&headers(&[]), &one(json!({})));
        assert_eq!((got, &answer["error"]), (status, &json!(tag)));
        assert!(answer["error_description"].is_string(), "{answer}");
        assert_eq!(head.contains("retry-after: 1\r\n"), waits, "{status}");
    }
    server.answer_next(Answer::status(503).header("Retry-After", "7").body("{}"));
    let (_, head, answer) = client.post_v1(&headers(&[]), &one(json!({})));
    assert!(head.contains("Retry-After: 7\r\n") && !head.contains("retry-after"));
    assert_eq!(answer, json!({}));
    // Alone, 200 says nothing of the events. A status that v1 does not give comes from a proxy.
    for (path, status, text) in [
        (PATH, 200, OK),
        (PATH, 502, "bad gateway"),
        (PATH, 403, "forbidden"),
        ("/batch/", 503, "transient error, please retry"),
    ] {
        server.answer_next(Answer::status(status));
        assert_eq!(client.post(path, b"{}"), (status, text.to_owned()));
    }
    assert_eq!(server.event_count(), 0);
}
