//! A command-line tool: a plain `main`, no runtime, over in a moment, and nothing is lost.
//!
//!     cargo run --example cli
//!
//! `PostHog` delivers what is left when `main` returns, early returns by `?` included.

#![allow(clippy::print_stdout)]

use std::error::Error;
use tracing::info;
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{PostHog, PostHogError};
use tracing_subscriber::prelude::*;

/// In a tool of your own this is `PostHogLayer::from_env()`, or a key that is built in.
fn start_posthog(host: String) -> Result<PostHog, PostHogError> {
    let (layer, posthog) = PostHog::builder()
        .project_api_key("phc_local")
        .host(host)
        .default_property("app_version", env!("CARGO_PKG_VERSION"))
        // One person uses a tool: everything is theirs.
        .layer(|layer| layer.distinct_id("install-4711"))
        .start()?;
    tracing_subscriber::registry().with(layer).init();
    Ok(posthog)
}

fn run(host: String) -> Result<(), Box<dyn Error>> {
    let _posthog = start_posthog(host)?;
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
    // Here, or at the `?`, `_posthog` is dropped: it sends both events and waits for PostHog's answer.
}

fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    if let Err(error) = run(local.url()) {
        // A tool of your own calls `std::process::exit(2)` here: `_posthog` is gone already, and
        // nothing is lost. Within `run` it would be: `exit` drops nothing.
        println!("convert: {error}");
    }
    println!("{} events delivered:", local.event_count());
    for event in local.events() {
        println!("\n{event}");
    }
    Ok(())
}
