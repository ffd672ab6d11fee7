//! A command-line tool with a log filter of its users: `RUST_LOG=debug command_line …`. The filter stands on the log
//! layer, so it decides what is logged, and nothing about analytics.

use std::error::Error;
use tracing::{debug, info, info_span};
use tracing_posthog::PostHogLayer;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

fn main() -> Result<(), Box<dyn Error>> {
    let (layer, _posthog) = PostHogLayer::from_env()?; // delivers what is left when main returns, by `?` too
    let log = fmt::layer().with_writer(std::io::stderr);
    tracing_subscriber::registry()
        .with(log.with_filter(EnvFilter::from_default_env())) // RUST_LOG; errors only without it
        .with(layer) // last
        .init();

    // One person uses a tool: all of it is theirs.
    let user = std::env::var("TOOL_USER").unwrap_or("install-4711".to_owned());
    let _run = info_span!("run", posthog.distinct_id = user).entered();

    let number = std::env::args().nth(1).unwrap_or_default();
    debug!(number, "parsing");
    info!(posthog.event = "command run", command = "double");
    let number: i64 = number.parse()?;
    println!("{}", number * 2);
    Ok(())
}
