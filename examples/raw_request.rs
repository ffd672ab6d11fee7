//! Any endpoint of PostHog by its path, over the same core as everything else: for what is newer than this
//! crate. (Those below have methods too.)
//!
//! It talks to a local PostHog, started here:
//!
//!     cargo run --example raw_request

#![allow(clippy::print_stdout)]

use serde::Deserialize;
use serde_json::{Value, json};
use std::error::Error;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient};

#[derive(Debug, Deserialize)]
struct Note {
    id: u64,
    content: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;

    // Query parameters are encoded; the answer is JSON, unless you say more.
    local.answer_next(Answer::status(200).json(json!({"email": "ada@example.com"})));
    let me = client.request(Method::GET, "/api/users/@me/").await?;
    println!("I am {}", me["email"]);

    // A body, and an answer of your own type. Overload is waited for and tried again.
    local.answer_next(Answer::status(503));
    local.answer_next(Answer::status(201).json(json!({"id": 7, "content": "v1.2 is out"})));
    let note: Note = client
        .request(Method::POST, "/api/projects/12345/annotations/")
        .body(&json!({"content": "v1.2 is out", "scope": "project"}))
        .send_as()
        .await?;
    println!("annotation {}: {}", note.id, note.content);

    // Not JSON.
    local.answer_next(Answer::status(200).body("id,name\n1,Ada\n2,Grace\n"));
    let csv = client
        .request(Method::GET, "/api/projects/12345/persons/")
        .query("format", "csv")
        .send_for_text()
        .await?;
    println!("{} lines of CSV", csv.lines().count());

    // A refusal says what PostHog says; a missing scope is named.
    local.answer_next(Answer::status(403).json(json!({
        "type": "authentication_error", "code": "permission_denied", "attr": null,
        "detail": "API key missing required scope 'feature_flag:read'",
    })));
    let flags = client.request(Method::GET, "/api/projects/12345/feature_flags/");
    if let Err(error) = flags.send().await {
        println!("{error}");
        println!("give the key: {:?}", error.missing_scope());
    }

    // An answer that does not fit names the field.
    local.answer_next(Answer::status(200).json(json!({"id": "seven", "content": ""})));
    let note = client.request(Method::GET, "/api/projects/12345/annotations/7/");
    if let Err(error) = note.send_as::<Note>().await {
        println!("{error}");
    }
    Ok(())
}
