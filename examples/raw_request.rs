//! Any endpoint of PostHog by its path, with the same retries and errors as all others: for what is newer than this
//! crate. (Those below have methods too.)
//!
//! It talks to a local PostHog, started here:
//!
//!     cargo run --example raw_request

#![allow(clippy::print_stdout)]

use serde::Deserialize;
use serde_json::json;
use std::error::Error;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient};

#[derive(Debug, Deserialize)]
struct Note {
    id: u64,
    content: String,
}

const NOTES: &str = "/api/projects/12345/annotations/";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;

    // Query parameters are encoded; the answer is JSON, unless you ask for a type.
    local.on(
        Method::GET,
        "/api/users/@me/",
        json!({"email": "ada@example.com"}),
    );
    let me = client.request(Method::GET, "/api/users/@me/").await?;
    assert_eq!(me["email"], "ada@example.com");

    // A body, and an answer of your own type. The client waits and retries when PostHog is overloaded.
    let note = json!({"id": 7, "content": "v1.2 is out"});
    local.on(
        Method::POST,
        NOTES,
        [Answer::status(503), Answer::status(201).json(note)],
    );
    let note: Note = client
        .request(Method::POST, NOTES)
        .body(&json!({"content": "v1.2 is out", "scope": "project"}))
        .send_as()
        .await?;
    println!("annotation {}: {}", note.id, note.content);
    assert_eq!(local.request_count(), 3);

    // An answer that is not JSON.
    let csv = Answer::status(200).body("id,name\n1,Ada\n2,Grace\n");
    local.on(Method::GET, "/api/projects/12345/persons/", csv);
    let persons = client
        .request(Method::GET, "/api/projects/12345/persons/")
        .query("format", "csv")
        .send_for_text()
        .await?;
    assert_eq!(persons.lines().count(), 3);

    // An error has PostHog's words, and names a missing scope.
    local.on(
        Method::GET,
        "/api/projects/12345/feature_flags/",
        Answer::status(403).json(json!({
            "type": "authentication_error", "code": "permission_denied", "attr": null,
            "detail": "API key missing required scope 'feature_flag:read'",
        })),
    );
    let flags = client.request(Method::GET, "/api/projects/12345/feature_flags/");
    if let Err(error) = flags.await {
        println!("{error}");
        assert_eq!(error.missing_scope(), Some("feature_flag:read"));
    }

    // An answer that does not fit your type names the field.
    local.on(
        Method::GET,
        format!("{NOTES}7/"),
        json!({"id": "seven", "content": ""}),
    );
    let note = client.request(Method::GET, format!("{NOTES}7/"));
    if let Err(error) = note.send_as::<Note>().await {
        println!("{error}");
    }
    Ok(())
}
