//! Feature flags: what it takes, what it refuses, and in which forms it answers.

use super::super::super::Flags;
use super::*;

const DEFINITIONS: &str = "/flags/definitions?token=phc_x&send_cohorts";
const KEY: &str = "Authorization: Bearer phx_x\r\n";

/// A request without a body: status, head, body.
fn ask(client: &mut Client, method: &str, path: &str, headers: &str) -> (u16, String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    client.0.write_all(request.as_bytes()).unwrap();
    if method != "HEAD" {
        return client.answer().unwrap();
    }
    let head = client.head().unwrap();
    (head[9..12].parse().unwrap(), head, String::new())
}

fn etag(head: &str) -> &str {
    let mut lines = head.lines();
    lines.find_map(|line| line.strip_prefix("etag: ")).unwrap()
}

fn post(client: &mut Client, path: &str, body: &Value) -> Value {
    let (status, text) = client.post(path, body.to_string().as_bytes());
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).unwrap()
}

#[test]
fn requests_are_refused_as_posthog_refuses_them() {
    let server = server();
    let mut client = Client::new(&server);
    let no_token = "No API token provided. Please include a valid API token in your request.";
    let invalid =
        "The provided API key is invalid or has expired. Please check your API key and try again.";
    let nobody =
        "The distinct_id field is missing from the request. Please include a valid identifier.";
    for (body, status, text) in [
        (json!({"distinct_id": "u"}), 401, no_token),
        (json!({"token": "", "distinct_id": "u"}), 401, no_token),
        (json!({"token": "phx_x", "distinct_id": "u"}), 401, invalid),
        (json!({"token": "phc_x"}), 400, nobody),
        (
            json!({"api_key": "phc_x", "distinct_id": null}),
            400,
            nobody,
        ),
        (json!({"$token": "phc_x", "distinct_id": {}}), 400, nobody),
    ] {
        let said = client.post("/flags/?v=2", body.to_string().as_bytes());
        assert_eq!(said, (status, text.to_owned()), "{body}");
    }
    for body in [
        "",
        "[]",
        "{",
        r#"{"token": "phc_x", "distinct_id": "u", "groups": 3}"#,
        r#"{"token": "phc_x", "distinct_id": "u", "flag_keys_to_evaluate": "a"}"#,
    ] {
        let (status, text) = client.post("/flags/?v=2", body.as_bytes());
        assert_eq!(status, 400, "{body}");
        assert!(text.starts_with("Failed to parse request: "), "{text}");
    }
    client.send("/flags/?v=2&compression=gzip", "", b"no gzip");
    let (status, _, text) = client.answer().unwrap();
    assert_eq!(status, 400);
    assert!(text.starts_with("Failed to decode request: "), "{text}");
    assert_eq!(ask(&mut client, "GET", "/flags/?v=2", "").0, 405);
}

#[test]
fn without_flags_there_are_none() {
    let server = server();
    let mut client = Client::new(&server);
    let body = json!({"token": "phc_x", "distinct_id": "u"});
    let answer = post(&mut client, "/flags/?v=2", &body);
    assert_eq!(answer["flags"], json!({}));
    assert_eq!(answer["errorsWhileComputingFlags"], false);
    assert_eq!(answer["requestId"].as_str().map(str::len), Some(36));
    assert!(answer["evaluatedAt"].as_i64() > Some(1_700_000_000_000));
    let answer = post(&mut client, "/prefix/flags", &body);
    assert_eq!(answer["featureFlags"], json!({}));
    let (status, _, text) = ask(&mut client, "GET", DEFINITIONS, KEY);
    assert_eq!(status, 200);
    let none = json!({"flags": [], "group_type_mapping": {}, "cohorts": {}});
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), none);
}

#[test]
fn definitions_need_the_project_and_a_key_that_may_read_them() {
    let server = server();
    server.flags(Flags::new().on("a"));
    let mut client = Client::new(&server);
    for (path, headers, status) in [
        (DEFINITIONS, KEY, 200),
        (DEFINITIONS, "Authorization: Bearer phs_x\r\n", 200),
        ("/prefix/flags/definitions/?token=phc_x", KEY, 200),
        (DEFINITIONS, "", 401),
        (DEFINITIONS, "Authorization: Bearer phc_x\r\n", 401),
        (DEFINITIONS, "Authorization: Bearer phx_\r\n", 401),
        (DEFINITIONS, "Authorization: phx_x\r\n", 401),
        ("/flags/definitions?token=phx_x", KEY, 401),
        ("/flags/definitions", KEY, 400),
    ] {
        let (seen, _, text) = ask(&mut client, "GET", path, headers);
        assert_eq!(seen, status, "{path} {headers} {text}");
        assert_eq!(text.contains(r#""key":"a""#), status == 200, "{text}");
    }
    assert_eq!(ask(&mut client, "HEAD", DEFINITIONS, KEY).0, 200);
    assert_eq!(ask(&mut client, "OPTIONS", DEFINITIONS, "").0, 204);
    assert_eq!(ask(&mut client, "DELETE", DEFINITIONS, KEY).0, 405);
}

#[test]
fn the_etag_changes_with_the_definitions() {
    let server = server();
    server.flags(Flags::new().on("a"));
    let mut client = Client::new(&server);
    let (status, head, _) = ask(&mut client, "GET", DEFINITIONS, KEY);
    let first = etag(&head).to_owned();
    assert_eq!(status, 200);
    assert!(first.starts_with("W/\"") && first.ends_with('"'), "{first}");

    let with_first = format!("{KEY}If-None-Match: {first}\r\n");
    let (status, head, body) = ask(&mut client, "GET", DEFINITIONS, &with_first);
    assert_eq!(
        (status, etag(&head), body.as_str()),
        (304, first.as_str(), "")
    );
    // The same again is no change.
    server.flags(Flags::new().on("a"));
    assert_eq!(ask(&mut client, "GET", DEFINITIONS, &with_first).0, 304);

    server.flags(Flags::new().off("a"));
    let (status, head, body) = ask(&mut client, "GET", DEFINITIONS, &with_first);
    assert_eq!(status, 200);
    assert_ne!(etag(&head), first);
    assert!(body.contains(r#""key":"a""#), "{body}");
    // Who asks with a wrong key does not learn that much.
    let headers = format!("If-None-Match: {first}\r\n");
    assert_eq!(ask(&mut client, "GET", DEFINITIONS, &headers).0, 401);
}

#[test]
fn scripted_answers_speak_as_the_endpoint_does() {
    let server = server();
    let mut client = Client::new(&server);
    server.answer_next(Answer::status(402));
    let (status, _, text) = ask(&mut client, "GET", DEFINITIONS, KEY);
    assert_eq!(status, 402);
    assert!(text.contains("quota_limited"), "{text}");
    server.answer_next(Answer::status(402));
    let said = client.post("/flags/?v=2", b"{}");
    assert_eq!(said.1, "Billing limit reached. Please upgrade your plan.");
    server.answer_next(Answer::status(502));
    assert_eq!(client.post("/flags/?v=2", b"{}").0, 502);

    let requests = server.requests();
    assert_eq!(requests[0].path, "/flags/definitions");
    assert_eq!(
        requests[0].query.as_deref(),
        Some("token=phc_x&send_cohorts")
    );
    assert_eq!(requests[0].status, Some(402));
}
