//! Administration of feature flags: create one, roll it out step by step, archive it.
//!
//! It talks to a local PostHog, started here, that keeps one flag:
//!
//!     cargo run --example flags

#![allow(clippy::print_stdout)]

use serde_json::{Value, json};
use std::error::Error;
use std::sync::Mutex;
use tracing_posthog::PostHogClient;
use tracing_posthog::rest::bodies::{FeatureFlagChange, FlagFilters, NewFeatureFlag};
use tracing_posthog::rest::models::FeatureFlag;
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let kept = Mutex::new(json!({"id": 7}));
    local.answer_with(move |request| Some(answer(&kept, request)));
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let flags = client.project(12345).feature_flags();

    let new = NewFeatureFlag::new("beta-ui")
        .name("The new interface")
        .rollout_percentage(5);
    let flag = flags.create(&new).await?;
    let id = flag.id.ok_or("a flag has an id")?;
    show("created", &flag);

    // PostHog replaces filters whole: those that the flag has are edited.
    let filters = FlagFilters::from(flag.filters.unwrap_or_default());
    for percentage in [25, 100] {
        let filters = filters.clone().rollout_percentage(percentage);
        let change = FeatureFlagChange::new().filters(filters);
        show("rolled out", &flags.update(id, &change).await?);
    }

    flags.archive(id).await?;
    show("archived", &flags.get(id).await?);

    // What there is no such flag for, the error says.
    match flags.get("no-such-flag").await {
        Err(error) if error.is_not_found() => println!("not found: {error}"),
        other => println!("unexpected: {other:?}"),
    }
    Ok(())
}

fn show(what: &str, flag: &FeatureFlag) {
    let key = flag.key.as_deref().unwrap_or("?");
    let flag = serde_json::to_value(flag).unwrap_or_default();
    let percentage = &flag["filters"]["groups"][0]["rollout_percentage"];
    println!(
        "{what:10} {key} at {percentage} %, archived: {}",
        flag["archived"]
    );
}

/// The part of PostHog that this example needs.
fn answer(kept: &Mutex<Value>, request: &RecordedRequest) -> Answer {
    let Ok(mut flag) = kept.lock() else {
        return Answer::status(500);
    };
    if request.path.contains("no-such-flag") {
        return Answer::status(404).json(json!({
            "type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": null,
        }));
    }
    if request.path.ends_with("/archive/") {
        flag["archived"] = json!(true);
    } else if let Some(Value::Object(fields)) = request.json() {
        for (name, value) in fields {
            flag[name] = value;
        }
    }
    Answer::status(200).json(flag.clone())
}
