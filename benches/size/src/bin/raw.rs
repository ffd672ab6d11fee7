//! Three operations by raw requests, their answers as plain JSON.

use serde_json::json;
use tracing_posthog::{Method, PostHogClient, PostHogError};

async fn three() -> Result<(), PostHogError> {
    let client = PostHogClient::from_env()?;
    let flag = client
        .request(Method::POST, "/api/projects/1/feature_flags/")
        .body(&json!({"key": "beta-ui", "active": true}))
        .await?;
    println!("{:?}", flag["id"].as_i64());
    let people = client
        .request(Method::GET, "/api/projects/1/persons/")
        .query("search", "ada@")
        .await?;
    println!("{:?}", people["results"].as_array().map(Vec::len));
    let note = client
        .request(Method::POST, "/api/projects/1/annotations/")
        .body(&json!({"content": "deployed", "scope": "project"}))
        .await?;
    println!("{:?}", note["id"].as_i64());
    Ok(())
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    println!("{:?}", runtime.block_on(three()));
}
