//! A web service: one span per request says who is there, handlers only say what happened.
//!
//!     cargo run --example axum
//!
//! It serves on a free port of this machine, asks itself a few things, and prints what a local
//! PostHog was told, user by user.

#![allow(clippy::print_stdout)]

use axum::Router;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};
use std::error::Error;
use tracing::{Instrument, info};
use tracing_posthog::PostHog;
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::tower::RequestContextLayer;
use tracing_subscriber::prelude::*;

/// Everything in a request, however deep, belongs to this user. A service takes the id from its session or token
/// instead: anybody can write a header.
fn user(head: &Parts) -> Option<String> {
    Some(head.headers.get("x-user-id")?.to_str().ok()?.to_owned())
}

async fn pricing() -> &'static str {
    info!(posthog.event = "pricing viewed");
    "99"
}

async fn order() -> (StatusCode, &'static str) {
    info!(posthog.event = "order placed", items = 3, total = 42.5);
    // A task of its own keeps the user if it is given the current span.
    let mail = tokio::spawn(send_receipt().in_current_span());
    let _ = mail.await;
    (StatusCode::CREATED, "thank you")
}

async fn send_receipt() {
    info!(posthog.event = "receipt sent", channel = "mail");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let (layer, posthog) = PostHog::builder()
        .project_api_key("phc_local")
        .host(local.url())
        .start()?;
    tracing_subscriber::registry().with(layer).init();

    let app = Router::new()
        .route("/pricing", get(pricing))
        .route("/orders", post(order))
        .layer(RequestContextLayer::new().distinct_id(user));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async { axum::serve(listener, app).await });

    let browser = reqwest::Client::new();
    for user in ["ada", "grace"] {
        let get = browser.get(format!("{url}/pricing"));
        get.header("x-user-id", user).send().await?;
    }
    let post = browser.post(format!("{url}/orders"));
    post.header("x-user-id", "ada").send().await?;

    println!("{}", posthog.shutdown().await);
    for user in ["ada", "grace"] {
        println!("\n{user}:");
        for event in local.events().iter().filter(|e| e.distinct_id == user) {
            println!("  {event}");
        }
    }
    Ok(())
}
