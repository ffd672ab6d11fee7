//! Runs an experiment: creates it with its flag and metrics, launches it, reads the results, ends it.
//!
//!     cargo run --example experiment
//!
//! It talks to a local PostHog, started here. Against your own, use `PostHogClient::from_env()`
//! (`POSTHOG_PERSONAL_API_KEY` with the scopes `experiment:write` and `query:read`, `POSTHOG_HOST`) and your project's
//! number.

#![allow(clippy::print_stdout)]

use serde::Deserialize;
use serde_json::json;
use std::error::Error;
use tracing_posthog::rest::bodies::{
    Conclusion, ExperimentEnd, ExperimentFlag, ExperimentMetric, ExperimentSource, FlagFilters,
    FlagVariant, NewExperiment,
};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient};

/// What PostHog says of one metric.
#[derive(Debug, Deserialize)]
struct Results {
    baseline: Variant,
    variant_results: Vec<Variant>,
}

#[derive(Debug, Deserialize)]
struct Variant {
    key: String,
    number_of_samples: u64,
    sum: f64,
    chance_to_win: Option<f64>,
    significant: Option<bool>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    play_posthog(&local);
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let project = client.project(12345);
    let experiments = project.experiments();

    let paid = ExperimentMetric::funnel([
        ExperimentSource::event("checkout started"),
        ExperimentSource::event("invoice paid"),
    ])
    .name("Paid");
    let variants = FlagFilters::new()
        .variant(FlagVariant::new("control", 50))
        .variant(FlagVariant::new("one-page", 50));
    let new = NewExperiment::new("Shorter checkout", "checkout")
        .description("One page instead of three leads to more invoices.")
        .feature_flag(ExperimentFlag::new().filters(variants))
        .metrics([paid.clone()]);
    let id = experiments
        .create(new)
        .await?
        .id
        .ok_or("an experiment has an id")?;

    experiments.launch(id).await?;

    // Some weeks later. The results are a query, one for each metric.
    let results: Results = project
        .query_node(&json!({"kind": "ExperimentQuery", "experiment_id": id, "metric": paid}))
        .run_as()
        .await?;
    for variant in [&results.baseline]
        .into_iter()
        .chain(&results.variant_results)
    {
        let Variant {
            key,
            number_of_samples,
            sum,
            ..
        } = variant;
        println!("{key:9} {sum:>5} of {number_of_samples}");
    }
    let winner = results.variant_results.iter().find(|variant| {
        variant.significant == Some(true) && variant.chance_to_win.unwrap_or_default() > 0.95
    });
    assert_eq!(winner.map(|variant| variant.key.as_str()), Some("one-page"));

    let conclusion = winner.map_or(Conclusion::Inconclusive, |_| Conclusion::Won);
    let end = ExperimentEnd::new()
        .conclusion(conclusion)
        .comment("13 % more invoices");
    experiments.end(id, end).await?;
    println!("ended");

    let requests = local.requests();
    let sent = |at: usize| requests[at].json().unwrap_or_default();
    assert_eq!(sent(0)["metrics"][0]["metric_type"], "funnel");
    assert_eq!(sent(2)["query"]["metric"], sent(0)["metrics"][0]);
    assert_eq!(sent(3)["conclusion"], "won");
    Ok(())
}

fn play_posthog(local: &PostHogServer) {
    let path = |rest: &str| format!("/api/projects/{{project}}/{rest}");
    let draft = json!({"id": 3, "name": "Shorter checkout", "start_date": null});
    local.on(
        Method::POST,
        path("experiments/"),
        Answer::status(201).json(draft),
    );
    let running = json!({"id": 3, "status": "running", "start_date": "2031-04-05T06:07:08Z"});
    local.on(Method::POST, path("experiments/{id}/launch/"), running);
    local.on(
        Method::POST,
        path("query/"),
        json!({
            "kind": "ExperimentQuery",
            "baseline": {"key": "control", "number_of_samples": 4210, "sum": 505.0, "sum_squares": 505.0},
            "variant_results": [{
                "key": "one-page", "number_of_samples": 4187, "sum": 568.0, "sum_squares": 568.0,
                "method": "bayesian", "chance_to_win": 0.984, "significant": true,
            }],
        }),
    );
    local.on(
        Method::POST,
        path("experiments/{id}/end/"),
        json!({"id": 3, "status": "complete"}),
    );
}
