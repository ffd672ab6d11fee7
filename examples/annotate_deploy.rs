//! Marks a deploy on PostHog's charts, as a step of a release pipeline does. Running it twice marks it once.
//!
//!     cargo run --example annotate_deploy                       against a local PostHog, started here
//!     POSTHOG_PROJECT=12345 cargo run --example annotate_deploy
//!
//! With `POSTHOG_PROJECT`, it uses the real one: `POSTHOG_PERSONAL_API_KEY` (scopes `annotation:read` and
//! `annotation:write`) and `POSTHOG_HOST`. The commit is in `GIT_SHA`, or `GITHUB_SHA` as GitHub Actions has it.

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::env;
use std::error::Error;
use std::time::SystemTime;
use tracing_posthog::rest::bodies::NewAnnotation;
use tracing_posthog::rest::models::AnnotationScope;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sha = env::var("GIT_SHA")
        .or_else(|_| env::var("GITHUB_SHA"))
        .unwrap_or_else(|_| "4f2c9e1b7a".to_owned());

    if let Ok(project) = env::var("POSTHOG_PROJECT") {
        return annotate(&PostHogClient::from_env()?, &project, &sha).await;
    }
    let local = PostHogServer::start()?;
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let made = json!({"id": 9, "content": format!("Deployed {sha}")});
    local.on(Method::GET, ANNOTATIONS, json!({"count": 0, "results": []}));
    local.on(
        Method::POST,
        ANNOTATIONS,
        Answer::status(201).json(made.clone()),
    );
    annotate(&client, "12345", &sha).await?;

    local.on(
        Method::GET,
        ANNOTATIONS,
        json!({"count": 1, "results": [made]}),
    );
    annotate(&client, "12345", &sha).await?;

    let requests = local.requests();
    let created: Vec<_> = requests
        .iter()
        .filter(|request| request.method == "POST")
        .collect();
    assert_eq!(created.len(), 1);
    let body = created[0].json().unwrap_or_default();
    assert_eq!(body["content"], format!("Deployed {sha}"));
    assert_eq!(body["scope"], "project");
    assert_eq!(requests[0].param("search"), Some(sha.as_str()));
    Ok(())
}

const ANNOTATIONS: &str = "/api/projects/{project}/annotations/";

async fn annotate(client: &PostHogClient, project: &str, sha: &str) -> Result<(), Box<dyn Error>> {
    let annotations = client.project(project).annotations();
    if let Some(there) = annotations.list().search(sha).first(1).await?.pop() {
        println!("{sha} has the annotation {:?} already", there.id);
        return Ok(());
    }
    let deploy = NewAnnotation::new(format!("Deployed {sha}"))
        .scope(AnnotationScope::Project)
        .date_marker(SystemTime::now())
        .by_bot();
    let annotation = annotations.create(&deploy).await?;
    println!("{sha} has the annotation {:?} now", annotation.id);
    Ok(())
}
