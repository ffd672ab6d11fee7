//! HogQL, PostHog's SQL, into a struct: with values, in the foreground and in the background.
//!
//! It talks to a local PostHog, started here, with answers written below:
//!
//!     cargo run --example hogql
//!
//! Against your own PostHog, replace [`client`] by `PostHogClient::from_env()` with
//! `POSTHOG_PERSONAL_API_KEY` (scope `query:read`) and `POSTHOG_HOST` set, and give your project's id.

#![allow(clippy::print_stdout)]

use serde::Deserialize;
use serde_json::json;
use std::error::Error;
use std::time::Duration;
use tracing_posthog::PostHogClient;
use tracing_posthog::testing::{Answer, PostHogServer};

const PROJECT: u32 = 12345;

/// A row, by the names of its columns. Others in the answer do not matter.
#[derive(Debug, Deserialize)]
struct Usage {
    event: String,
    total: u64,
    last: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let client = client(&local)?;

    // The value stands beside the SQL, never in it: PostHog puts it in as a constant.
    local.answer_next(Answer::status(200).json(json!({
        "columns": ["event", "total", "last"],
        "types": [["event", "String"], ["total", "UInt64"], ["last", "Nullable(DateTime)"]],
        "results": [["signup", 1204, "2031-04-05T06:07:08Z"], ["churn", 17, null]],
    })));
    let usage: Vec<Usage> = client
        .project(PROJECT)
        .hogql(
            "SELECT event, count() AS total, max(timestamp) AS last FROM events \
             WHERE properties.plan = {plan} GROUP BY event ORDER BY total DESC LIMIT 100",
        )
        .value("plan", "pro'; DROP TABLE events --")
        .name("usage of a plan")
        .rows()
        .await?;
    for row in &usage {
        let last = row.last.as_deref().unwrap_or("never");
        println!("{:>6} × {:8} last {last}", row.total, row.event);
    }

    // One value, without a struct.
    local.answer_next(Answer::status(200).json(json!({"columns": ["n"], "results": [[42]]})));
    let people = client
        .project(PROJECT)
        .hogql("SELECT count() AS n FROM persons");
    println!("{} people", people.one::<u64>().await?);

    // Long ones run in the background: PostHog is asked until it is done, or told to stop.
    let status = |complete, read| {
        json!({"query_status": {
            "id": "q1", "complete": complete, "results": {"columns": ["n"], "results": [[7]]},
            "query_progress": {"rows_read": read, "estimated_rows_total": 1000},
        }})
    };
    local.answer_next(Answer::status(202).json(status(false, 0)));
    local.answer_next(Answer::status(202).json(status(false, 400)));
    local.answer_next(Answer::status(200).json(status(true, 1000)));
    let answer = client
        .project(PROJECT)
        .hogql("SELECT uniq(distinct_id) AS n FROM events")
        .time_limit(Duration::from_secs(60))
        .in_background()
        .progress(|status| {
            let part = status.progress.as_ref().and_then(|p| p.fraction());
            println!("  {:.0} %", part.unwrap_or_default() * 100.0);
        })
        .await?;
    println!("{} distinct ids", answer.results[0][0]);

    // What PostHog does not like about a query, it says.
    local.answer_next(Answer::status(400).json(json!({
        "type": "validation_error", "code": "invalid_input", "attr": null,
        "detail": "Unable to resolve field: evnt (line 1, column 7)",
    })));
    let broken = client.project(PROJECT).hogql("SELECT evnt FROM events");
    match broken.rows::<(String,)>().await {
        Ok(rows) => println!("{} rows", rows.len()),
        Err(error) => println!("{error}\n  at {:?}", error.hogql_position()),
    }
    Ok(())
}

fn client(local: &PostHogServer) -> Result<PostHogClient, Box<dyn Error>> {
    Ok(PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?)
}
