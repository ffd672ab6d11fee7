//! Feature flags in a web service: handlers read the flags of the user of the request.
//!
//!     cargo run --example feature_flags
//!
//! It serves on a free port of this machine, asks itself as two users, and prints what they got, what PostHog was asked
//! and what it was told. PostHog is a local one, started here.

#![allow(clippy::print_stdout)]

use axum::Router;
use axum::extract::State;
use axum::http::request::Parts;
use axum::routing::get;
use serde_json::json;
use std::error::Error;
use tracing::{info, warn};
use tracing_posthog::testing::{Flags, PostHogServer};
use tracing_posthog::tower::RequestContextLayer;
use tracing_posthog::{FeatureFlags, PostHog};
use tracing_subscriber::prelude::*;

/// What somebody with a project would set up in PostHog.
fn flags() -> Flags {
    Flags::new()
        .on_for("beta-search", "ada")
        .variant("checkout", "control")
        .variant_for("checkout", "ada", "one-page")
        .payload("limits", json!({"items": 20}))
        // Its value survives a login, so only PostHog can decide it.
        .unresolved("loyalty")
        .on_for("loyalty", "grace")
}

/// The payload of the flag `limits`.
#[derive(serde::Deserialize)]
struct Limits {
    items: u32,
}

/// A gate: no await, no request. The span of the request names the user.
async fn search(State(flags): State<FeatureFlags>) -> &'static str {
    let user = flags.evaluate_current().locally();
    match user.is_enabled("beta-search") {
        true => "beta search",
        false => "search",
    }
}

/// A variant and a payload. The event carries the flags that were read, so that PostHog can compare variants.
async fn checkout(State(flags): State<FeatureFlags>) -> String {
    let user = flags.evaluate_current().locally();
    let pages = match user.variant("checkout") {
        Some("one-page") => 1,
        _ => 3,
    };
    let limits = user.payload("limits").unwrap_or_else(|error| {
        warn!("{error}"); // of another shape: the service goes on with its own limit
        None
    });
    let Limits { items } = limits.unwrap_or(Limits { items: 10 });
    info!(posthog.event = "checkout viewed", pages);
    format!("{pages} page(s), up to {items} items")
}

/// A flag that only PostHog can decide: one request each time, and a default if there is no answer.
async fn account(State(flags): State<FeatureFlags>) -> Result<&'static str, String> {
    let user = flags.evaluate_current().keys(["loyalty"]).await;
    let user = user.map_err(|error| error.to_string())?; // wrong settings; never a PostHog that is down
    Ok(match user.is_enabled_or("loyalty", false) {
        true => "account, with points",
        false => "account",
    })
}

/// A service takes the id from its session or token instead: anybody can write a header.
fn user(head: &Parts) -> Option<String> {
    Some(head.headers.get("x-user-id")?.to_str().ok()?.to_owned())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    local.flags(flags());
    let (layer, posthog) = PostHog::builder()
        .project_api_key("phc_local")
        .feature_flags_secret_key("phs_local") // reads definitions: without it, PostHog evaluates
        .host(local.url())
        .start()?;
    tracing_subscriber::registry().with(layer).init();

    // Without definitions, every flag has the default of its call, so wait for them before the first request. If
    // PostHog is down, the service starts all the same; definitions come when PostHog is back.
    if let Err(error) = posthog.flags().ready().await {
        warn!("no feature flags yet: {error}");
    }

    let app = Router::new()
        .route("/search", get(search))
        .route("/checkout", get(checkout))
        .route("/account", get(account))
        .with_state(posthog.flags().clone())
        .layer(RequestContextLayer::new().distinct_id(user));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    let browser = reqwest::Client::new();
    for user in ["ada", "grace"] {
        println!("{user}:");
        for page in ["/search", "/checkout", "/account"] {
            let get = browser
                .get(format!("{url}{page}"))
                .header("x-user-id", user);
            println!("  {page:10} {}", get.send().await?.text().await?);
        }
    }

    println!("\nPostHog was asked:");
    for request in local.requests() {
        if request.path.starts_with("/flags") {
            println!("  {} {}", request.method, request.path);
        }
    }
    println!("\n{}", posthog.shutdown().await);
    println!("\nPostHog was told of each flag that was asked for, once for each user:");
    let events = local.events();
    for called in events
        .iter()
        .filter(|it| it.event == "$feature_flag_called")
    {
        let (flag, value) = ("$feature_flag", "$feature_flag_response");
        let (flag, value) = (&called.properties[flag], &called.properties[value]);
        println!("  {:6} {flag}: {value}", called.distinct_id);
    }
    println!("\nand of what happened, with the flags:");
    for event in events.iter().filter(|it| it.event == "checkout viewed") {
        println!("{event}");
    }
    Ok(())
}
