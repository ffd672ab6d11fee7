//! Listens, with the options of the environment.

#![forbid(unsafe_code)]

use std::net::Ipv4Addr;
use std::process::ExitCode;
use tokio::net::TcpListener;
use tracing_posthog_adapter::{Options, router};

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let options = Options::read(|name| std::env::var(name).ok())?;
    // All interfaces: the harness reaches it from another container.
    let address = (Ipv4Addr::UNSPECIFIED, options.port);
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| format!("PORT {}: {e}", options.port))?;
    eprintln!("listening on port {}, {options:?}", options.port);
    axum::serve(listener, router(options))
        .await
        .map_err(|e| e.to_string())
}
