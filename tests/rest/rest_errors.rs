//! What errors say of PostHog's answers, and what they keep to themselves.

use serde::Deserialize;
use serde_json::{Value, json};
use std::error::Error as _;
use std::time::{Duration, SystemTime};
use tracing_posthog::rest::{Page, Request};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient, PostHogError, RetryPolicy};

fn start() -> (PostHogServer, PostHogClient) {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .personal_api_key("phx_SecretKey123")
        .host(server.url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap();
    (server, client)
}

fn get(client: &PostHogClient) -> Request {
    client.request(Method::GET, "/api/projects/1/feature_flags/")
}

fn refusal(kind: &str, code: &str, detail: &str, attr: Value) -> Value {
    json!({"type": kind, "code": code, "detail": detail, "attr": attr})
}

#[tokio::test]
async fn helpers_tell_the_cases_apart() {
    let (server, client) = start();
    let ask = async |status, body| {
        server.answer_next(Answer::status(status).json(body));
        get(&client).send().await.unwrap_err()
    };
    let e = ask(
        404,
        refusal("invalid_request", "not_found", "Not found.", Value::Null),
    )
    .await;
    assert!(e.is_not_found() && !e.is_rate_limited() && !e.is_permission_denied());
    assert!(!e.is_retryable());

    let e = ask(
        429,
        refusal(
            "throttled_error",
            "throttled",
            "Expected available in 5 seconds.",
            Value::Null,
        ),
    )
    .await;
    assert!(e.is_rate_limited() && e.is_retryable());

    let words = "API key missing required scope 'feature_flag:read'";
    let e = ask(
        403,
        refusal(
            "authentication_error",
            "permission_denied",
            words,
            Value::Null,
        ),
    )
    .await;
    assert!(e.is_permission_denied());
    assert_eq!(e.missing_scope(), Some("feature_flag:read"));

    let e = ask(
        400,
        refusal(
            "validation_error",
            "required",
            "This field is required.",
            json!("filters__groups"),
        ),
    )
    .await;
    let api = e.api_error().unwrap();
    assert_eq!(api.kind.as_deref(), Some("validation_error"));
    assert_eq!(api.code.as_deref(), Some("required"));
    assert_eq!(api.attr.as_deref(), Some("filters__groups"));
    assert_eq!(
        e.to_string(),
        "api request: PostHog answered 400 to GET /api/projects/1/feature_flags/: \
         This field is required. (filters__groups)"
    );
    assert_eq!(e.missing_scope(), None);

    let several = json!({"type": "multiple", "code": "multiple", "detail": "Multiple exceptions", "attr": null, "list": [
        {"type": "validation_error", "code": "required", "detail": "Needed.", "attr": "key"},
        {"type": "validation_error", "code": "max_length", "detail": "Too long.", "attr": "name"}]});
    let e = ask(400, several).await;
    assert_eq!(e.api_error().unwrap().list.len(), 2);
    assert!(
        e.to_string().contains("Needed. (key); Too long. (name)"),
        "{e}"
    );

    // Nothing is as promised, and still it reads.
    let odd = json!({"type": ["x"], "code": 5, "detail": {"name": ["bad"]}, "attr": 1, "extra": "e", "list": "l"});
    let e = ask(409, odd).await;
    let api = e.api_error().unwrap();
    assert_eq!(
        (api.code.as_deref(), api.attr.as_deref()),
        (Some("5"), Some("1"))
    );
    assert_eq!(api.detail, r#"{"name":["bad"]}"#);
    assert_eq!(api.extra, Some(json!("e")));
}

#[derive(Deserialize, Debug)]
#[allow(dead_code)]
struct Flag {
    id: u64,
    filters: Filters,
}

#[derive(Deserialize, Debug)]
#[allow(dead_code)]
struct Filters {
    groups: Vec<Group>,
}

#[derive(Deserialize, Debug)]
#[allow(dead_code)]
struct Group {
    rollout_percentage: u8,
}

#[tokio::test]
async fn a_good_answer_that_does_not_fit_names_the_field() {
    let (server, client) = start();
    server.answer_next(Answer::status(200).json(json!({
        "id": 1, "padding": "x".repeat(5_000),
        "filters": {"groups": [{"rollout_percentage": 1}, {"rollout_percentage": "all", "note": "y".repeat(5_000)}]},
    })));
    let error = get(&client).send_as::<Flag>().await.unwrap_err();
    let said = error.to_string();
    assert!(
        said.contains("at filters.groups[1].rollout_percentage"),
        "{said}"
    );
    assert!(said.contains("invalid type: string, expected u8"), "{said}");
    // What PostHog sent may be personal.
    assert!(!said.contains("all") && !format!("{error:?}").contains("all"));
    assert!(said.len() < 600, "{}", said.len());
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("invalid type: string, expected u8 at line 1 column")
    );

    server.answer_next(Answer::status(200).json(json!({"id": 1, "filters": {}})));
    let error = get(&client).send_as::<Flag>().await.unwrap_err();
    assert!(error.to_string().contains("at filters"), "{error}");
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("missing field `groups`")
    );

    server.answer_next(Answer::status(200).body(r#"{"id": 1}garbage"#));
    let error = get(&client).send_as::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("it is not JSON"), "{error}");
    assert!(!error.to_string().contains("garbage"), "{error}");

    server.answer_next(Answer::status(200).body("<!doctype html><title>Sign in</title>"));
    let error = get(&client).send().await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("HTML instead of PostHog's JSON, titled \"Sign in\""),
        "{error}"
    );
}

#[tokio::test]
async fn answers_that_are_not_json() {
    let (server, client) = start();
    server.answer_next(
        Answer::status(200)
            .header("content-type", "text/csv")
            .body("id,name\n1,ä\n"),
    );
    assert_eq!(
        get(&client).send_for_text().await.unwrap(),
        "id,name\n1,ä\n"
    );
    server.answer_next(Answer::status(200).body("id,name\n1,ä\n"));
    let error = get(&client).send().await.unwrap_err().to_string();
    assert!(error.contains("cannot be read as JSON"), "{error}");
    assert!(!error.contains("id,name"), "{error}");
    server.answer_next(Answer::status(200).body(vec![0, 159, 146, 150]));
    assert_eq!(
        get(&client).send_for_bytes().await.unwrap().as_ref(),
        [0, 159, 146, 150]
    );

    for status in [204, 200] {
        server.answer_next_times(3, Answer::status(status).body(""));
        get(&client).send_as::<()>().await.unwrap();
        assert_eq!(get(&client).send().await.unwrap(), Value::Null);
        assert_eq!(
            get(&client)
                .send_as::<Option<Flag>>()
                .await
                .unwrap()
                .map(|f| f.id),
            None
        );
    }
    server.answer_next(Answer::status(204));
    let error = get(&client).send_as::<Flag>().await.unwrap_err();
    assert!(
        matches!(error, PostHogError::SerializationError { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("the answer is empty"), "{error}");
}

#[tokio::test]
async fn numbers_that_json_does_not_have_cost_no_other_value() {
    let (server, client) = start();
    let text = r#"{"results": [NaN, 1.5, -Infinity, "NaN"], "next": null, "ratio": Infinity}"#;
    server.answer_next(Answer::status(200).body(text));
    let answer = get(&client).send().await.unwrap();
    let want = json!({"results": [null, 1.5, null, "NaN"], "next": null, "ratio": null});
    assert_eq!(answer, want);
    server.answer_next(Answer::status(200).body(text));
    let page = get(&client).send_as::<Page<Value>>().await.unwrap();
    assert_eq!(page.results.len(), 4);

    // What is to be a number is missed, and other faults of the text are faults.
    server.answer_next(Answer::status(200).body(r#"{"ratio": NaN}"#));
    let error = get(&client).send_as::<Ratio>().await.unwrap_err();
    assert!(
        error.to_string().contains("at ratio: invalid type: null"),
        "{error}"
    );
    server.answer_next(Answer::status(200).body("[NaN, oops]"));
    let error = get(&client).send().await.unwrap_err();
    assert!(
        error.to_string().contains("cannot be read as JSON"),
        "{error}"
    );
}

#[tokio::test]
async fn half_a_character_costs_no_other_value() {
    let (server, client) = start();
    for (text, want) in [
        (r#"["cut \ud83d", 1]"#, json!(["cut \u{fffd}", 1])),
        (r#"{"\ude00": NaN}"#, json!({"\u{fffd}": null})),
        (r#"["\ud83d\ude00\ud83d"]"#, json!(["\u{1f600}\u{fffd}"])),
    ] {
        server.answer_next(Answer::status(200).body(text));
        assert_eq!(get(&client).send().await.unwrap(), want);
    }
}

#[derive(Deserialize, Debug)]
#[allow(dead_code)]
struct Ratio {
    ratio: f64,
}

#[tokio::test]
async fn a_byte_order_mark_is_no_part_of_the_answer() {
    let (server, client) = start();
    server.answer_next_times(2, Answer::status(200).body("\u{feff} {\"a\": 1}"));
    assert_eq!(get(&client).send().await.unwrap(), json!({"a": 1}));
    // As text it is what came.
    let text = get(&client).send_for_text().await.unwrap();
    assert_eq!(text, "\u{feff} {\"a\": 1}");
    server.answer_next(Answer::status(200).body("\u{feff}"));
    assert_eq!(get(&client).send().await.unwrap(), Value::Null);
}

#[tokio::test]
async fn an_untyped_answer_knows_what_it_answers() {
    let (server, client) = start();
    server.answer_next(Answer::status(200).json(json!({"id": "ada", "filters": {"groups": []}})));
    let answer = client
        .project(1)
        .health_issues()
        .get(1)
        .untyped()
        .await
        .unwrap();
    let error = answer.into::<Flag>().unwrap_err();
    let said = format!("{error} {error:?}");
    for part in [
        "health_issues.get: ",
        "Flag at id: invalid type: string, expected u64",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!said.contains("ada"), "{said}");
}

#[tokio::test]
async fn a_redirect_that_is_not_followed_says_where_it_leads() {
    let (server, client) = start();
    let here = format!("redirects to {}/login ", server.url());
    for (status, location, says) in [
        (
            301,
            "https://a:b@posthog.example.com/api/x/?token=phx_SecretKey123#f",
            "redirects to https://posthog.example.com/api/x/ ",
        ),
        (302, "/login?next=/api/", here.as_str()),
        (
            307,
            "https://x.example/phx_SecretKey123",
            "redirects to https://x.example/… ",
        ),
        (302, "http://", "302"),
    ] {
        let page = "<html><head><title>Moved</title></head></html>";
        let moved = Answer::status(status).header("location", location);
        server.answer_next(moved.body(page));
        let error = get(&client).send().await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        let said = format!("{error} {error:?}");
        assert!(said.contains(says), "{said}");
        assert!(
            !said.contains("SecretKey") && !said.contains("a:b@"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn keys_are_in_no_error() {
    let (server, client) = start();
    let echo = "request was: Authorization: Bearer phx_SecretKey123, created phs_Another_1";
    let mut shown = format!("{client:?} {:?}", get(&client).query("q", "v"));
    for answer in [
        Answer::status(502).body(echo),
        Answer::status(400).json(json!({"detail": echo, "list": [{"detail": echo}]})),
        Answer::status(500).body(format!("<html><title>x</title>{echo}")),
        Answer::status(400).body(format!("{}{echo}", "x".repeat(1_960))),
        Answer::status(200).body(format!("{{\"value\": \"{echo}\"}}")),
        Answer::status(200).body(format!("{{\"value\": \"{echo}\" {echo}")),
    ] {
        server.answer_next(answer);
        let error = get(&client).send_as::<u8>().await.unwrap_err();
        shown += &format!(
            "{error} {error:?} {:?}",
            error.source().map(ToString::to_string)
        );
    }
    assert!(shown.contains("[redacted]"));
    for secret in ["SecretKey", "Another_1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[tokio::test]
async fn keys_are_taken_out_of_all_that_posthog_says() {
    let (server, client) = start();
    let mut body = refusal("a", "b", "c phx_SecretKey123", json!("phx_SecretKey123"));
    body["extra"] = json!({"headers": [{"authorization": "Bearer phx_SecretKey123"}]});
    server.answer_next(Answer::status(400).json(body));
    let e = get(&client).send().await.unwrap_err();
    let said = format!("{e} {e:?}");
    assert!(
        !said.contains("SecretKey") && said.contains("c [redacted]"),
        "{said}"
    );
    let extra = e.api_error().unwrap().extra.as_ref().unwrap().to_string();
    assert!(extra.contains("Bearer [redacted]"), "{extra}");
}

#[tokio::test]
async fn an_answer_nested_without_end_costs_little() {
    let (server, client) = start();
    server.answer_next(Answer::status(200).body("[".repeat(4 << 20)));
    let e = get(&client).send_as::<Unit>().await.unwrap_err();
    assert!(e.to_string().len() < 1_000, "{e}");
}

#[derive(Debug, Deserialize)]
struct Unit;

#[tokio::test]
async fn how_long_posthog_asks_to_wait_is_in_the_error() {
    let server = PostHogServer::start().unwrap();
    let retry = RetryPolicy::default()
        .attempts(2)
        .first_delay(Duration::from_millis(1))
        .max_delay(Duration::from_millis(5));
    let client = PostHogClient::builder()
        .personal_api_key("phx_test")
        .host(server.url())
        .retry(retry)
        .build()
        .unwrap();
    let hour = Some(Duration::from_secs(3600));
    server.answer_next_times(2, Answer::status(429).header("retry-after", "3600"));
    let error = get(&client).send().await.unwrap_err();
    // Both attempts were made: an hour is longer than the client waits.
    assert_eq!(server.request_count(), 2);
    assert!(error.is_rate_limited());
    assert_eq!(error.retry_after(), hour);
    let api = error.api_error().unwrap();
    assert_eq!((api.retry_after, api.attempts), (hour, 2));

    // That of the last answer counts, also of one that is not retried, and also a date.
    server.answer_next(Answer::status(503).header("retry-after", "3600"));
    server.answer_next(Answer::status(503));
    let error = get(&client).send().await.unwrap_err();
    assert_eq!(error.retry_after(), None);
    server.answer_next(Answer::status(403).header("retry-after", "3600"));
    let error = get(&client).send().await.unwrap_err();
    assert_eq!(error.retry_after(), hour);
    let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(3600));
    server.answer_next_times(2, Answer::status(429).header("retry-after", date));
    let asked = get(&client).send().await.unwrap_err().retry_after();
    assert!(
        asked <= hour && asked > Some(Duration::from_secs(3000)),
        "{asked:?}"
    );
    server.answer_next_times(2, Answer::close());
    let error = get(&client).send().await.unwrap_err();
    assert_eq!(error.retry_after(), None);
}
