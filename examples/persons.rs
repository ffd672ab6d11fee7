//! A person asks to be forgotten: find them, see what is known, delete them, their events and recordings.
//!
//! It talks to a local PostHog, started here, with answers written below:
//!
//!     cargo run --example persons

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::error::Error;
use tracing_posthog::PostHogClient;
use tracing_posthog::rest::bodies::PersonDeletion;
use tracing_posthog::testing::{Answer, PostHogServer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let persons = client.project(12345).persons();

    let ada = json!({
        "uuid": "0195f0aa-1111-7222-8333-444455556666",
        "distinct_ids": ["user_42", "ada@example.com"],
        "properties": {"email": "ada@example.com", "plan": "pro"},
    });
    local.answer_next(Answer::status(200).json(json!({"next": null, "results": [ada]})));

    // Every page, one person after the other. `email` finds who has exactly that one; `search` finds more.
    let mut found = persons.list().email("ada@example.com").stream();
    let mut uuids = Vec::new();
    while let Some(person) = found.next().await {
        let person = person?;
        println!("found {:?}", person.distinct_ids);
        uuids.extend(person.uuid);
    }

    // All at once, after the last page: deleting moves what is on the pages that follow. A single one also
    // by `persons.delete(uuid)`.
    local.answer_next(Answer::status(202));
    let all_of_theirs = PersonDeletion::of_ids(&uuids)
        .delete_events(true)
        .delete_recordings(true);
    persons.bulk_delete(&all_of_theirs).await?;
    println!("deleted {uuids:?}, their events and recordings");

    for request in local.requests() {
        let query = request.query.unwrap_or_default();
        let body = String::from_utf8_lossy(&request.body);
        println!("  {} {}?{query} {body}", request.method, request.path);
    }
    Ok(())
}
