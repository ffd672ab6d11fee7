//! axum with tower-http's `TraceLayer`: authentication says who is there, on a span that knows nothing of PostHog.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::post;
use std::error::Error;
use tower_http::trace::TraceLayer;
use tracing::{Span, info};
use tracing_posthog::{PostHogLayer, PostHogSpanExt};
use tracing_posthog_recipes::stop::stop_signal;
use tracing_subscriber::prelude::*;

/// Stands for your authentication.
async fn authenticate(request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization");
    if let Some(user) =
        token.and_then(|token| token.to_str().ok()?.strip_prefix("Bearer token-of-"))
    {
        Span::current().set_distinct_id(user);
    }
    next.run(request).await
}

async fn order() -> &'static str {
    info!(posthog.event = "order placed", items = 3);
    "thank you"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (layer, posthog) = PostHogLayer::from_env()?;
    tracing_subscriber::registry().with(layer).init();

    let stop = stop_signal()?;
    let app = Router::new()
        .route("/orders", post(order))
        .layer(from_fn(authenticate))
        .layer(TraceLayer::new_for_http()); // last, so outermost

    let address = std::env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(stop)
        .await?;
    println!("{}", posthog.shutdown().await);
    Ok(())
}
