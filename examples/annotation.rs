//! Marks a deploy in PostHog's charts, as a step of a release pipeline would.
//!
//! It talks to a local PostHog, started here; with `POSTHOG_PERSONAL_API_KEY` and `POSTHOG_PROJECT` set,
//! to the real one (`POSTHOG_HOST` for another region or host):
//!
//!     cargo run --example annotation -- v1.4.2

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::error::Error;
use tracing_posthog::PostHogClient;
use tracing_posthog::rest::bodies::NewAnnotation;
use tracing_posthog::rest::models::AnnotationScope;
use tracing_posthog::testing::{Answer, PostHogServer};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let version = std::env::args().nth(1).unwrap_or("v0.0.0".into());
    let local = PostHogServer::start()?;
    let (client, project) = match std::env::var("POSTHOG_PROJECT") {
        Ok(project) => (PostHogClient::from_env()?, project),
        Err(_) => {
            local.answer_next(Answer::status(201).json(json!({"id": 9, "content": version})));
            let client = PostHogClient::builder()
                .personal_api_key("phx_local")
                .host(local.url())
                .build()?;
            (client, "12345".to_owned())
        }
    };

    let deploy = NewAnnotation::new(format!("Deployed {version}")).scope(AnnotationScope::Project);
    let annotation = client
        .project(project)
        .annotations()
        .create(&deploy)
        .await?;
    println!("annotation {:?}: Deployed {version}", annotation.id);

    for request in local.requests() {
        let body = String::from_utf8_lossy(&request.body);
        println!("  {} {} {body}", request.method, request.path);
    }
    Ok(())
}
