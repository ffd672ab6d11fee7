//! A service that ends well on ctrl-c and on SIGTERM (see `src/stop.rs`): it answers the requests it has, then delivers
//! their events.

use axum::{Router, routing::post};
use std::error::Error;
use tracing::info;
use tracing_posthog::PostHogLayer;
use tracing_posthog::tower::RequestContextLayer;
use tracing_posthog_recipes::stop::stop_signal;
use tracing_subscriber::prelude::*;

async fn order(item: String) -> &'static str {
    info!(posthog.event = "order placed", item);
    "thank you"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (layer, posthog) = PostHogLayer::from_env()?;
    tracing_subscriber::registry().with(layer).init();

    let stop = stop_signal()?; // before the program listens
    let context = RequestContextLayer::new();
    let app = Router::new().route("/orders", post(order)).layer(context);
    let address = std::env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    // At most 5 s by default. Give the program more than that to end, after its last request.
    println!("{}", posthog.shutdown().await);
    Ok(())
}
