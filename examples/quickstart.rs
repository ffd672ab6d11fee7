//! The whole road: a layer, events, spans with identity, delivery.
//!
//! Without an account it talks to a local PostHog, started here, and prints what arrived:
//!
//!     cargo run --example quickstart
//!
//! With `POSTHOG_API_KEY` set (and `POSTHOG_HOST`, for another region or host) it sends to that one.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::process::ExitCode;
use tracing::{info, instrument};
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{PostHog, PostHogError, PostHogLayer};
use tracing_subscriber::prelude::*;

struct User {
    id: &'static str,
    company: &'static str,
}

/// Events in this span, however deep, belong to this user and this company.
#[instrument(skip_all, fields(posthog.distinct_id = user.id, posthog.group.company = user.company))]
fn sign_up(user: &User) {
    info!(
        posthog.event = "signup",
        plan = "pro",
        seats = 3,
        "a user signed up"
    );
    send_welcome_mail(user);
}

/// A span that is an event itself: it is sent when the span closes, with `duration_ms`.
#[instrument(skip_all, fields(posthog.event = "welcome mail sent", template = "welcome-2"))]
fn send_welcome_mail(user: &User) {
    info!("sending mail to {}", user.id); // no posthog.event: a log line and nothing else
}

fn start(local: Option<&PostHogServer>) -> Result<(PostHogLayer, PostHog), PostHogError> {
    // What a service has in its `main` is this one line:
    let Some(local) = local else {
        return PostHogLayer::from_env();
    };
    PostHog::builder()
        .project_api_key("phc_local")
        .host(local.url())
        .start()
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let local = match std::env::var_os("POSTHOG_API_KEY") {
        Some(_) => None,
        None => Some(PostHogServer::start()?),
    };
    let (layer, posthog) = start(local.as_ref())?;
    tracing_subscriber::registry()
        .with(
            tracing_subscriber::fmt::layer()
                .with_filter(tracing_subscriber::filter::LevelFilter::INFO),
        )
        .with(layer)
        .init();

    sign_up(&User {
        id: "user_42",
        company: "acme",
    });
    info!(posthog.event = "page viewed", path = "/pricing"); // nobody's: a personless event

    let report = posthog.shutdown().await;
    println!("\n{report}");
    for event in local.iter().flat_map(PostHogServer::events) {
        println!("\n{event}");
    }
    Ok(if report.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
