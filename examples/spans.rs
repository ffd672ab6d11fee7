//! Spans that are events: how long something took, how much of that was work, what came of it.
//!
//!     cargo run --example spans

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;
use tokio::time::sleep;
use tracing::{Span, field, info, instrument};
use tracing_posthog::PostHog;
use tracing_posthog::testing::{PostHogServer, RecordedEvent};
use tracing_subscriber::prelude::*;

/// One event when the function is over. `skip_all` keeps the arguments out of it. What is known only
/// later is declared empty and recorded when it is known.
#[instrument(
    skip_all,
    fields(
        posthog.event = "report built",
        posthog.distinct_id = user,
        format = "pdf",
        pages = field::Empty,
    )
)]
async fn build_report(user: &str) {
    let rows = load_rows().await;
    std::thread::sleep(Duration::from_millis(20)); // work: the span is busy
    info!(posthog.event = "chart drawn", kind = "bar");
    Span::current().record("pages", rows / 25);
}

/// A span within: an event of its own, for the same user.
#[instrument(fields(posthog.event = "rows loaded", rows = field::Empty))]
async fn load_rows() -> u64 {
    sleep(Duration::from_millis(60)).await; // waiting: the span is idle
    Span::current().record("rows", 1_000);
    1_000
}

fn print(event: &RecordedEvent) {
    println!("\n{}  ({})", event.event, event.distinct_id);
    for (name, value) in &event.properties {
        match value.as_f64() {
            // Times differ a little from run to run.
            Some(ms) if name.ends_with("_ms") => println!("    {name:<12} about {ms:.0}"),
            _ if name.starts_with('$') => {}
            _ => println!("    {name:<12} {value}"),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let (layer, posthog) = PostHog::builder()
        .project_api_key("phc_local")
        .host(local.url())
        .layer(|layer| layer.with_busy_idle(true)) // adds busy_ms and idle_ms
        .start()?;
    tracing_subscriber::registry().with(layer).init();

    build_report("ada").await;

    // A future that is dropped half-way ends its span: the event is sent, without the late fields.
    let impatient = tokio::time::timeout(Duration::from_millis(30), build_report("grace"));
    println!("cancelled: {}", impatient.await.is_err());

    println!("{}", posthog.shutdown().await);
    local.events().iter().for_each(print);
    Ok(())
}
