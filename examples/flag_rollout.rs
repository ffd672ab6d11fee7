//! Rolls a feature flag out: variants with payloads, only for people with a property, step by step; then turns it off.
//!
//!     cargo run --example flag_rollout
//!
//! It talks to a local PostHog, started here. Against your own, use `PostHogClient::from_env()`
//! (`POSTHOG_PERSONAL_API_KEY` with the scopes `feature_flag:read` and `feature_flag:write`, `POSTHOG_HOST`) and your
//! project's number.

#![allow(clippy::print_stdout)]

use serde_json::{Value, json};
use std::error::Error;
use std::sync::{Arc, Mutex};
use tracing_posthog::rest::bodies::{
    FeatureFlagChange, FlagCondition, FlagFilters, FlagVariant, NewFeatureFlag, PropertyFilter,
    PropertyOperator,
};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{Method, PostHogClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    play_posthog(&local);
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let flags = client.project(12345).feature_flags();

    // One in ten of those who pay, half of them with each variant.
    let filters = FlagFilters::new()
        .condition(
            FlagCondition::new()
                .property(PropertyFilter::new(
                    "plan",
                    PropertyOperator::Exact,
                    ["pro", "team"],
                ))
                .rollout_percentage(10),
        )
        .variant(FlagVariant::new("control", 50))
        .variant(FlagVariant::new("one-page", 50))
        .payload("one-page", json!({"steps": 1}));
    let new = NewFeatureFlag::new("checkout")
        .name("The new checkout")
        .tags(["growth"])
        .filters(filters);
    let mut flag = flags.create(new).await?;
    let id = flag.id.ok_or("a flag has an id")?;

    // PostHog replaces filters as a whole, so change those that the flag has. The version makes PostHog refuse the
    // change if somebody else was faster.
    for percentage in [50, 100] {
        let filters = FlagFilters::from(flag.filters.unwrap_or_default());
        let change = FeatureFlagChange::new()
            .filters(filters.rollout_percentage(percentage))
            .version(flag.version.unwrap_or_default());
        flag = flags.update(id, change).await?;
        let filters = flag.filters.clone().unwrap_or_default();
        let rolled_out = filters.groups[0].rollout_percentage;
        println!("{} % of those who pay", rolled_out.unwrap_or_default());
        assert_eq!(rolled_out, Some(f64::from(percentage)));
        assert_eq!(filters.groups[0].properties.len(), 1, "conditions stay");
        assert!(filters.payloads.contains_key("one-page"), "payloads stay");
        assert_eq!(filters.multivariate.map(|all| all.variants.len()), Some(2));
    }

    let off = flags
        .update(id, FeatureFlagChange::new().active(false))
        .await?;
    assert_eq!(off.active, Some(false));
    println!("off");

    let created = local.requests()[0].json().unwrap_or_default();
    assert_eq!(created["filters"]["payloads"]["one-page"], r#"{"steps":1}"#);
    let property = &created["filters"]["groups"][0]["properties"][0];
    assert_eq!(property["value"], json!(["pro", "team"]));

    // The error of a flag that does not exist.
    match flags.get(999).await {
        Err(error) if error.is_not_found() => println!("{error}"),
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}

/// A PostHog that keeps one flag.
fn play_posthog(local: &PostHogServer) {
    let flags = "/api/projects/{project}/feature_flags/";
    let kept = Arc::new(Mutex::new(json!({"id": 7, "active": true, "version": 0})));
    let keep = move |request: &RecordedRequest| {
        let Ok(mut flag) = kept.lock() else {
            return Answer::status(500);
        };
        if let Some(Value::Object(fields)) = request.json() {
            flag["version"] = json!(flag["version"].as_u64().unwrap_or_default() + 1);
            for (name, value) in fields.into_iter().filter(|(name, _)| name != "version") {
                flag[name] = value;
            }
        }
        Answer::status(200).json(flag.clone())
    };
    local.on(Method::POST, flags, keep.clone());
    local.on(Method::PATCH, format!("{flags}7/"), keep.clone());
    local.on(Method::GET, format!("{flags}7/"), keep);
    let not_found = json!({
        "type": "invalid_request", "code": "not_found", "detail": "Not found.", "attr": null,
    });
    local.on(
        Method::GET,
        format!("{flags}{{id}}/"),
        Answer::status(404).json(not_found),
    );
}
