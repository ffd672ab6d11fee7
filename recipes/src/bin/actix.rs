//! actix-web with tracing-actix-web: a middleware and handlers say who is there, on the root span as it is.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, HttpServer, Responder, post};
use std::error::Error;
use tracing::{Span, info};
use tracing_actix_web::{RootSpan, TracingLogger};
use tracing_posthog::{PostHogLayer, PostHogSpanExt};
use tracing_subscriber::prelude::*;

/// What posthog-js sends. It serves to find the session's recording, never to decide who somebody is.
async fn with_session(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let session = request.headers().get("x-posthog-session-id");
    if let Some(session) = session.and_then(|session| session.to_str().ok()) {
        Span::current().set_session_id(session);
    }
    next.call(request).await
}

#[post("/orders")]
async fn order(span: RootSpan) -> impl Responder {
    span.set_distinct_id("ada"); // from your session or token
    info!(posthog.event = "order placed", items = 3);
    "thank you"
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (layer, posthog) = PostHogLayer::from_env()?;
    tracing_subscriber::registry().with(layer).init();

    let address = std::env::var("ADDRESS").unwrap_or("127.0.0.1:3000".to_owned());
    let app = || {
        App::new()
            .wrap(from_fn(with_session))
            .wrap(TracingLogger::default()) // last, so outermost
            .service(order)
    };
    let server = HttpServer::new(app).workers(2).bind(address)?;
    println!("listening on {}", server.addrs()[0]);
    server.run().await?; // until ctrl-c or SIGTERM
    println!("{}", posthog.shutdown().await);
    Ok(())
}
