//! actix-web with tracing-actix-web: a root span builder declares the fields, handlers may fill them in.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{App, HttpServer, Responder, post};
use std::error::Error;
use tracing::{Span, field::Empty, info};
use tracing_actix_web::{
    DefaultRootSpanBuilder, RootSpan, RootSpanBuilder, TracingLogger, root_span,
};
use tracing_posthog::PostHogLayer;
use tracing_subscriber::prelude::*;

struct WithPostHog;

impl RootSpanBuilder for WithPostHog {
    fn on_request_start(request: &ServiceRequest) -> Span {
        // What posthog-js sends. It serves to find the session's recording, never to decide who somebody is.
        let session = request.headers().get("x-posthog-session-id");
        let session = session.and_then(|session| session.to_str().ok());
        root_span!(
            request,
            posthog.session_id = session,
            posthog.distinct_id = Empty
        )
    }

    fn on_request_end<B: MessageBody>(
        span: Span,
        outcome: &Result<ServiceResponse<B>, actix_web::Error>,
    ) {
        DefaultRootSpanBuilder::on_request_end(span, outcome);
    }
}

#[post("/orders")]
async fn order(span: RootSpan) -> impl Responder {
    span.record("posthog.distinct_id", "ada"); // from your session or token
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
            .wrap(TracingLogger::<WithPostHog>::new())
            .service(order)
    };
    let server = HttpServer::new(app).workers(2).bind(address)?;
    println!("listening on {}", server.addrs()[0]);
    server.run().await?; // until ctrl-c or SIGTERM
    println!("{}", posthog.shutdown().await);
    Ok(())
}
