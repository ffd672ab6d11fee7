//! Asks people: makes a survey, launches it, reads the answers, stops it.
//!
//!     cargo run --example survey
//!
//! It talks to a local PostHog, started here. Against your own, use `PostHogClient::from_env()`
//! (`POSTHOG_PERSONAL_API_KEY` with the scopes `survey:read`, `survey:write` and `query:read`, `POSTHOG_HOST`) and your
//! project's number.

#![allow(clippy::print_stdout)]

use serde::Deserialize;
use serde_json::json;
use std::error::Error;
use tracing_posthog::rest::bodies::{
    FlagCondition, FlagFilters, NewSurvey, PropertyFilter, PropertyOperator, SurveyConditions,
    SurveyQuestion,
};
use tracing_posthog::rest::models::SurveyType;
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{Method, PostHogClient};

/// One response: what each question got.
#[derive(Debug, Deserialize)]
struct Response {
    score: u8,
    /// The question may be skipped.
    missing: Option<String>,
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
    let surveys = project.surveys();

    let who_pays =
        FlagCondition::new().property(PropertyFilter::new("plan", PropertyOperator::Exact, "pro"));
    let new = NewSurvey::new("Checkout feedback", SurveyType::Popover)
        .questions([
            SurveyQuestion::rating("How was the checkout?", 10)
                .lower_bound_label("terrible")
                .upper_bound_label("great"),
            SurveyQuestion::open("What was missing?").optional(true),
        ])
        .conditions(
            SurveyConditions::new()
                .url("/checkout/done")
                .seen_survey_wait_period_in_days(30),
        )
        .targeting_flag_filters(FlagFilters::new().condition(who_pays))
        .responses_limit(500);
    let survey = surveys.create(new).await?;
    let id = survey.id.ok_or("a survey has an id")?;
    surveys.launch(&id).await?;

    // Responses are events, `survey sent`.
    let responses: Vec<Response> = project
        .hogql(
            "SELECT toInt(properties.$survey_response) AS score, properties.$survey_response_1 AS missing \
             FROM events WHERE event = 'survey sent' AND properties.$survey_id = {id} LIMIT 1000",
        )
        .value("id", &id)
        .rows()
        .await?;
    let total: u32 = responses
        .iter()
        .map(|response| u32::from(response.score))
        .sum();
    println!("{total} points in {} responses", responses.len());
    for missing in responses
        .iter()
        .filter_map(|response| response.missing.as_ref())
    {
        println!("missing: {missing}");
    }
    assert_eq!((total, responses.len()), (17, 2));

    surveys.stop(&id).await?;

    let created = local.requests()[0].json().unwrap_or_default();
    assert_eq!(created["questions"][0]["scale"], 10);
    assert_eq!(created["conditions"]["seenSurveyWaitPeriodInDays"], 30);
    let is_unexpected = |request: &RecordedRequest| request.route().is_none();
    assert!(!local.requests().iter().any(is_unexpected), "{local:?}");
    Ok(())
}

fn play_posthog(local: &PostHogServer) {
    let path = |rest: &str| format!("/api/projects/{{project}}/{rest}");
    let id = "0195f0aa-1111-7222-8333-444455556666";
    let draft =
        json!({"id": id, "name": "Checkout feedback", "type": "popover", "start_date": null});
    local.on(
        Method::POST,
        path("surveys/"),
        Answer::status(201).json(draft),
    );
    local.on(
        Method::POST,
        path("surveys/{id}/launch/"),
        json!({"id": id}),
    );
    local.on(Method::POST, path("surveys/{id}/stop/"), json!({"id": id}));
    local.on(
        Method::POST,
        path("query/"),
        json!({"columns": ["score", "missing"], "results": [[9, null], [8, "Apple Pay"]]}),
    );
}
