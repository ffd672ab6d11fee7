//! Lists of any length: item by item, page by page, or all at once.
//!
//! It talks to a local PostHog, started here, which has 250 persons:
//!
//!     cargo run --example pages

#![allow(clippy::print_stdout)]

use serde::Deserialize;
use serde_json::{Value, json};
use std::error::Error;
use tracing_posthog::rest::{Page, Request};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient};

/// Your own view of a person: what else PostHog tells of one does not matter.
#[derive(Debug, Deserialize)]
struct Person {
    name: String,
    properties: Value,
}

const PATH: &str = "/api/projects/12345/persons/";

fn persons(client: &PostHogClient) -> Request<Page<Person>> {
    client.request(Method::GET, PATH).answer_as()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    play_posthog(&local);
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;

    // One page: a request is sent when it is awaited.
    let page = persons(&client).query("limit", 3).await?;
    println!("{} of {:?}:", page.results.len(), page.count);
    for person in page {
        println!("  {} {}", person.name, person.properties["email"]);
    }

    // Every item, asking for each page when its turn comes. It is a `futures` stream, too.
    let (mut all, mut paying) = (0, 0);
    let mut people = persons(&client).stream();
    while let Some(person) = people.next().await {
        all += 1;
        paying += u32::from(person?.properties["plan"] == "pro");
    }
    println!(
        "{paying} of {all} pay, in {} requests",
        local.request_count() - 1
    );

    // Every page.
    let mut pages = persons(&client).query("limit", 120).pages();
    while let Some(page) = pages.next().await {
        println!("a page of {}", page?.results.len());
    }

    // In one go, with a bound; or only the first.
    println!(
        "{} in memory",
        persons(&client).all_up_to(10_000).await?.len()
    );
    println!("{} of them", persons(&client).first(150).await?.len());

    // An address at another host is not followed: the key stays here.
    local.answer_next(Answer::status(200).json(json!({
        "results": [], "next": format!("https://evil.example{PATH}?offset=100"),
    })));
    if let Err(error) = persons(&client).all().await {
        println!("{error}");
    }
    Ok(())
}

fn play_posthog(local: &PostHogServer) {
    let url = local.url();
    local.answer_with(move |request| {
        let number = |name: &str| {
            let mut pairs = request.query.as_deref()?.split('&');
            pairs.find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
        };
        let (limit, offset) = (
            number("limit").unwrap_or(100),
            number("offset").unwrap_or(0),
        );
        let end = u32::min(offset + limit, 250);
        let person = |n| {
            let plan = if n % 5 == 0 { "pro" } else { "free" };
            json!({"name": format!("Person {n}"),
                   "properties": {"email": format!("{n}@example.com"), "plan": plan}})
        };
        Some(Answer::status(200).json(json!({
            "count": 250,
            "next": (end < 250).then(|| format!("{url}{PATH}?limit={limit}&offset={end}")),
            "previous": null,
            "results": (offset..end).map(person).collect::<Vec<_>>(),
        })))
    });
}
