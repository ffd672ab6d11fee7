//! tonic: `RequestContextLayer` opens the span, the handlers only say what happened.

use std::error::Error;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tracing::info;
use tracing_posthog::PostHogLayer;
use tracing_posthog::tower::RequestContextLayer;
use tracing_posthog_recipes::orders::{Orders, OrdersServer};
use tracing_posthog_recipes::stop::stop_signal;
use tracing_subscriber::prelude::*;

struct Shop;

impl Orders for Shop {
    async fn place(&self, request: Request<String>) -> Result<Response<String>, Status> {
        let item = request.into_inner();
        info!(posthog.event = "order placed", item);
        Ok(Response::new(format!("{item}: ordered")))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (layer, posthog) = PostHogLayer::from_env()?;
    tracing_subscriber::registry().with(layer).init();

    let stop = stop_signal()?;
    let context = RequestContextLayer::new()
        // Stands for your authentication: metadata are headers.
        .distinct_id(|head| {
            let token = head.headers.get("authorization")?.to_str().ok()?;
            Some(token.strip_prefix("Bearer token-of-")?.to_owned())
        })
        // The path names the method: `/shop.Orders/Place`.
        .route(|head| Some(head.uri.path().to_owned()));

    let address = std::env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    Server::builder()
        .layer(context)
        .add_service(OrdersServer::new(Shop))
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), stop)
        .await?;
    println!("{}", posthog.shutdown().await);
    Ok(())
}
