//! Uploads: forms as PostHog reads them, tried again like everything else.

use tracing_posthog::rest::Form;
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{Method, PostHogClient, PostHogError, RetryPolicy};

fn start() -> (PostHogServer, PostHogClient) {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .personal_api_key("phx_test")
        .host(server.url())
        .retry(RetryPolicy::default().first_delay(std::time::Duration::from_millis(1)))
        .build()
        .unwrap();
    (server, client)
}

/// Reads a form without the help of what wrote it, with the parser of a web framework.
async fn read(request: &RecordedRequest) -> Vec<(String, Option<String>, Option<String>, Vec<u8>)> {
    use axum::extract::{FromRequest, Multipart, Request};
    let kind = request.header("content-type").unwrap();
    let parsed = Request::post("/")
        .header("content-type", kind)
        .body(request.body.clone().into())
        .unwrap();
    let mut form = Multipart::from_request(parsed, &()).await.unwrap();
    let mut parts = Vec::new();
    while let Some(field) = form.next_field().await.unwrap() {
        parts.push((
            field.name().unwrap().to_owned(),
            field.file_name().map(str::to_owned),
            field.content_type().map(str::to_owned),
            field.bytes().await.unwrap().to_vec(),
        ));
    }
    parts
}

#[tokio::test]
async fn a_form_arrives_whole_at_each_attempt() {
    let (server, client) = start();
    server.answer_next(Answer::status(503));
    server.answer_next(Answer::status(201).json(serde_json::json!({"id": "t", "name": "orders"})));
    let sound: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let form = Form::new().text("name", "orders").text("rows", 3).file(
        "file",
        "a \"b\".csv",
        "text/csv",
        &sound,
    );
    let request = client.project(1).warehouse_tables().file(form);
    assert!(!format!("{request:?}").contains("orders"));
    request.await.unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    for request in &requests {
        assert_eq!(request.path, "/api/projects/1/warehouse_tables/file/");
        let text = |name: &str, value: &str| (name.into(), None, None, value.into());
        let file = (
            "file".to_owned(),
            Some("a %22b%22.csv".to_owned()),
            Some("text/csv".to_owned()),
            sound.clone(),
        );
        assert_eq!(
            read(request).await,
            [text("name", "orders"), text("rows", "3"), file]
        );
    }
}

#[tokio::test]
async fn nothing_in_a_form_leaves_its_part() {
    let (server, client) = start();
    server.answer_with(|_| Some(Answer::status(200).json(serde_json::json!({}))));
    let evil = "x\"\r\n\r\n--form-0\r\ncontent-disposition: form-data; name=\"owner\"\r\n\r\nme";
    let form = Form::new().text(evil, evil).file(evil, evil, "a/b", evil);
    assert!(!format!("{form:?}").contains("owner"));
    let upload = |form| client.request(Method::POST, "/api/x/").form(form);
    upload(form).await.unwrap();
    upload(Form::new()).await.unwrap();
    let requests = server.requests();
    let parts = read(&requests[0]).await;
    assert_eq!(parts.len(), 2);
    assert!(parts.iter().all(|p| p.3 == evil.as_bytes()));
    assert!(read(&requests[1]).await.is_empty());

    server.clear();
    let form = Form::new().file("f", "f", "a/b\r\nx: y", "");
    let error = upload(form).await.unwrap_err();
    assert!(
        matches!(
            error,
            PostHogError::Config {
                setting: "content_type",
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(server.request_count(), 0);
}
