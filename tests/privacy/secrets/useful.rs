//! What must stay readable, for people and for programs.

use super::capture::deliver;
use super::{Leaks, Log, client_of, everything, shown_by};
use crate::own_process::own_process;
use serde_json::json;
use tracing_posthog::testing::{Answer, EventVerdict, PostHogServer};
use tracing_posthog::{CaptureProtocol, Method, PostHogError};

async fn get(answer: Answer) -> PostHogError {
    let server = PostHogServer::start().unwrap();
    server.answer_next(answer);
    let client = client_of(&server).build().unwrap();
    let request = client.request(Method::GET, "/api/users/@me/");
    request.send_as::<Vec<u64>>().await.unwrap_err()
}

#[track_caller]
fn assert_says(error: &PostHogError, texts: &[&str]) {
    let said = error.to_string();
    for text in texts {
        assert!(said.contains(text), "{text:?} is not in {said:?}");
    }
}

#[tokio::test]
async fn a_refusal_in_posthogs_shape_is_shown_and_readable() {
    let error = get(Answer::status(400).json(json!({
        "type": "validation_error", "code": "does_not_exist",
        "detail": "No flag named onboarding-v2 exists.", "attr": "filters__groups",
    })))
    .await;
    assert_says(
        &error,
        &[
            "400",
            "/api/users/@me/",
            "No flag named onboarding-v2 exists.",
            "filters__groups",
        ],
    );
    let api = error.api_error().unwrap();
    assert_eq!(api.status, 400);
    assert_eq!(api.kind.as_deref(), Some("validation_error"));
    assert_eq!(api.code.as_deref(), Some("does_not_exist"));
    assert_eq!(api.attr.as_deref(), Some("filters__groups"));
    assert_eq!(api.detail, "No flag named onboarding-v2 exists.");
}

#[tokio::test]
async fn several_complaints_are_shown_and_readable() {
    let error = get(Answer::status(400).json(json!({
        "type": "multiple", "code": "multiple", "detail": null, "attr": null,
        "list": [
            {"code": "required", "detail": "This field is required.", "attr": "name"},
            {"code": "invalid", "detail": "Enter a whole number.", "attr": "days"},
        ],
    })))
    .await;
    assert_says(
        &error,
        &["This field is required.", "Enter a whole number.", "days"],
    );
    let api = error.api_error().unwrap();
    assert_eq!(api.list.len(), 2);
    assert_eq!(api.list[1].code.as_deref(), Some("invalid"));
}

#[tokio::test]
async fn a_missing_scope_is_still_named() {
    let error = get(Answer::status(403).json(json!({
        "type": "authentication_error", "code": "permission_denied",
        "detail": "API key missing required scope 'feature_flag:read'", "attr": null,
    })))
    .await;
    assert_eq!(error.missing_scope(), Some("feature_flag:read"));
    assert_says(&error, &["feature_flag:read"]);
}

#[tokio::test]
async fn the_page_of_a_gateway_is_still_named() {
    let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    let error = get(Answer::status(502).body(page)).await;
    assert_says(&error, &["502 Bad Gateway", "HTML"]);
    // A login page or a firewall says 200.
    let error = get(Answer::status(200).body(page)).await;
    assert!(matches!(error, PostHogError::SerializationError { .. }));
    assert_says(&error, &["502 Bad Gateway", "HTML"]);
}

#[tokio::test]
async fn what_does_not_fit_is_still_explained() {
    let error = get(Answer::status(200).json(json!(["idmark"]))).await;
    let said = format!("{error} {error:?}");
    assert!(said.contains("not of the type asked for"), "{said}");
    assert!(said.contains("u64"), "{said}");
    assert!(!said.contains("idmark"), "{said}");
}

#[tokio::test]
async fn a_redirect_still_names_the_host() {
    let error = get(Answer::status(301).header("location", "https://eu.posthog.com/login")).await;
    assert_says(&error, &["301", "eu.posthog.com"]);
}

#[cfg(feature = "rest")]
#[tokio::test]
async fn the_failure_of_a_query_is_still_shown() {
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server).build().unwrap();
    let words = "Unable to resolve field: evnt";
    server.answer_next(Answer::status(200).json(json!({"results": [], "error": words})));
    let error = client
        .project(1)
        .hogql("SELECT evnt")
        .run()
        .await
        .unwrap_err();
    assert!(matches!(error, PostHogError::QueryFailed { .. }));
    assert_says(&error, &[words]);
}

/// The texts of these kinds.
fn of_kind(shown: &[(String, String)], kind: &str) -> String {
    let of_kind = shown.iter().filter(|(what, _)| what == kind);
    of_kind.map(|(_, text)| format!("{text}\n")).collect()
}

#[test]
fn known_words_of_v1_are_shown_and_others_are_not() {
    own_process!();
    let log = Log::start();
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server).build().unwrap();
    for (details, known) in [
        ("event_name_too_long", true),
        ("event_too_big", true),
        ("invalid_distinct_id", false),
        (
            "distinct id idmark of phc_ProjectMark7Q2wZ is too odd",
            false,
        ),
    ] {
        server.clear();
        let verdict = EventVerdict::Drop(details.to_owned());
        server.answer_next(Answer::accept().verdict("paid", verdict));
        let mut shown = deliver(client.clone(), CaptureProtocol::V1, &server);
        shown.extend(log.take());
        assert_ne!(of_kind(&shown, "detail"), "", "the hook ran: {details}");
        assert_ne!(of_kind(&shown, "detail"), "None\n", "{details}");
        if known {
            for kind in ["on_error", "detail", "log"] {
                assert!(of_kind(&shown, kind).contains(details), "{kind}: {shown:?}");
            }
        }
        if details == "event_too_big" {
            assert!(
                of_kind(&shown, "on_error").contains("TooLarge"),
                "{shown:?}"
            );
        }
        let mut leaks = Leaks::default();
        leaks.look(details, &everything(), shown);
        leaks.assert_none(4);
    }
}

#[test]
fn refusals_of_capture_are_still_shown() {
    let server = PostHogServer::start().unwrap();
    let client = client_of(&server).build().unwrap();
    let page = "<html><title>403 Forbidden</title></html>";
    let of_v1 = json!({"error": "invalid_api_token", "error_description": "no such token"});
    for (protocol, answer, kind, words) in [
        (
            CaptureProtocol::V0,
            Answer::status(401).body("event submitted without an api_key"),
            "Display",
            "event submitted without an api_key",
        ),
        (
            CaptureProtocol::V0,
            Answer::status(403).body(page),
            "Display",
            "403 Forbidden",
        ),
        (
            CaptureProtocol::V1,
            Answer::status(401).json(of_v1),
            "Debug",
            r#"code: Some("invalid_api_token")"#,
        ),
        (
            CaptureProtocol::V1,
            Answer::status(402).body("billing limit reached"),
            "Display",
            "402",
        ),
    ] {
        server.clear();
        server.answer_next(answer);
        let shown = deliver(client.clone(), protocol, &server);
        let said = of_kind(&shown, kind);
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[tokio::test]
async fn sources_repeat_nothing_that_display_leaves_out() {
    let error = get(Answer::status(200).json(json!({"emailmark@example.com": "idmark"}))).await;
    let mut leaks = Leaks::default();
    leaks.look("a map", &everything(), shown_by(&error));
    leaks.assert_none(3);
}
