//! A person asks to be forgotten: finds them, deletes them with their events and recordings, and checks that
//! they are gone.
//!
//!     cargo run --example delete_person
//!
//! It talks to a local PostHog, started here. Against your own, use `PostHogClient::from_env()`
//! (`POSTHOG_PERSONAL_API_KEY` with the scopes `person:read` and `person:write`, `POSTHOG_HOST`) and your project's
//! number.

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::error::Error;
use std::time::Duration;
use tracing_posthog::rest::bodies::PersonDeletion;
use tracing_posthog::rest::resources::Persons;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient};

const PERSONS: &str = "/api/projects/{project}/persons/";
const PERSON: &str = "/api/projects/{project}/persons/{id}/";
const BULK_DELETE: &str = "/api/projects/{project}/persons/bulk_delete/";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let ada = json!({
        "uuid": "0195f0aa-1111-7222-8333-444455556666",
        "distinct_ids": ["user_42", "ada@example.com"],
        "properties": {"email": "ada@example.com", "plan": "pro"},
    });
    local.on(
        Method::GET,
        PERSONS,
        json!({"next": null, "results": [ada]}),
    );
    local.on(Method::POST, BULK_DELETE, Answer::status(202));
    // PostHog deletes in the background: the person is still there for a moment.
    local.on(
        Method::GET,
        PERSON,
        [Answer::status(200).json(ada), Answer::status(404)],
    );

    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let persons = client.project(12345).persons();

    // `email` finds who has exactly this address; `search` finds more. First read all pages, then delete: deleting
    // moves what is on the next pages.
    let found = persons.list().email("ada@example.com").all().await?;
    let uuids: Vec<String> = found.into_iter().filter_map(|person| person.uuid).collect();
    println!("found {uuids:?}");

    let forget = PersonDeletion::of_ids(&uuids)
        .delete_events(true)
        .delete_recordings(true);
    persons.bulk_delete(&forget).await?;

    for uuid in &uuids {
        wait_until_gone(&persons, uuid).await?;
        println!("{uuid} is gone");
    }

    let deletion = local
        .requests()
        .into_iter()
        .find(|request| request.method == "POST");
    let body = deletion
        .and_then(|request| request.json())
        .ok_or("a deletion was sent")?;
    assert_eq!(body["ids"], json!(uuids));
    assert_eq!(body["delete_events"], true);
    assert_eq!(local.request_count(), 4);
    Ok(())
}

async fn wait_until_gone(persons: &Persons, uuid: &str) -> Result<(), Box<dyn Error>> {
    for _ in 0..60 {
        match persons.get(uuid).await {
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error.into()),
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    Err(format!("{uuid} is still there").into())
}
