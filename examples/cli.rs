//! A command-line tool: a plain `main`, no runtime, over in a moment, and nothing is lost.
//!
//!     cargo run --example cli
//!
//! The guard delivers what is left when `main` returns, early returns by `?` included.

#![allow(clippy::print_stdout)]

use std::error::Error;
use tracing::info;
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{EventCaptureBackend, PostHogClient, PostHogGuard, PostHogLayer};
use tracing_subscriber::prelude::*;

/// In a tool of your own this is `PostHogLayer::from_env()`, or a key that is built in.
fn start_posthog(host: String) -> Result<PostHogGuard, Box<dyn Error>> {
    let client = PostHogClient::builder()
        .project_api_key("phc_local")
        .host(host)
        .build()?;
    let handle = EventCaptureBackend::builder(client)
        .default_property("app_version", env!("CARGO_PKG_VERSION"))
        .start()?;
    // One person uses a tool: everything is theirs.
    let layer = PostHogLayer::builder(handle.clone())
        .distinct_id("install-4711")
        .build();
    tracing_subscriber::registry().with(layer).init();
    Ok(handle.into_guard())
}

fn run(host: String) -> Result<(), Box<dyn Error>> {
    let _guard = start_posthog(host)?;
    info!(
        posthog.event = "command run",
        command = "convert",
        files = 3
    );
    let answer = "forty-two".parse::<u32>().inspect_err(|error| {
        info!(
            posthog.event = "command failed",
            error = error as &dyn Error
        );
    })?;
    println!("the answer is {answer}");
    Ok(())
    // Here, or at the `?`, the guard is dropped: it sends both events and waits for PostHog's answer.
}

fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    if let Err(error) = run(local.url()) {
        // A tool of your own calls `std::process::exit(2)` here: the guard is gone already, and
        // nothing is lost. Within `run` it would be: `exit` drops nothing.
        println!("convert: {error}");
    }
    println!("{} events delivered:", local.event_count());
    for event in local.events() {
        println!("\n{event}");
    }
    Ok(())
}
