//! HogQL, PostHog's SQL, into structs: dates, nulls and values; one value; a long query in the background.
//!
//!     cargo run --example hogql
//!
//! It talks to a local PostHog, started here. Against your own, use `PostHogClient::from_env()`
//! (`POSTHOG_PERSONAL_API_KEY` with the scope `query:read`, `POSTHOG_HOST`) and your project's number.

#![allow(clippy::print_stdout)]

use serde::Deserialize;
use serde_json::json;
use std::error::Error;
use std::time::Duration;
use tracing_posthog::rest::Time;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient};

const QUERY: &str = "/api/projects/{project}/query/";

/// A row, by the names of its columns. Columns without a field are ignored.
#[derive(Debug, Deserialize)]
struct Usage {
    event: String,
    total: u64,
    /// `None` is `NULL`.
    last: Option<Time>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let project = client.project(12345);

    local.on(
        Method::POST,
        QUERY,
        json!({
            "columns": ["event", "total", "last"],
            "types": [["event", "String"], ["total", "UInt64"], ["last", "Nullable(DateTime)"]],
            "results": [["signup", 1204, "2031-04-05T06:07:08Z"], ["churn", 0, null]],
        }),
    );
    // A value stands beside the SQL, never in it: PostHog escapes it. Without a LIMIT, PostHog returns 100 rows.
    let usage: Vec<Usage> = project
        .hogql(
            "SELECT event, count() AS total, max(timestamp) AS last FROM events \
             WHERE properties.plan = {plan} GROUP BY event ORDER BY total DESC LIMIT 1000",
        )
        .value("plan", "pro'; DROP TABLE events --")
        .name("usage of a plan")
        .rows()
        .await?;
    for row in &usage {
        // A `Time` keeps PostHog's text and converts to `SystemTime`.
        let age = row.last.as_ref().and_then(Time::to_system_time);
        let last = row.last.as_ref().map_or("never", Time::as_str);
        println!("{:8} {:>6} times, last {last}", row.event, row.total);
        assert_eq!(age.is_some(), row.total > 0);
    }
    let sent = &local.requests()[0].json().unwrap_or_default()["query"];
    assert_eq!(sent["values"]["plan"], "pro'; DROP TABLE events --");

    // One value, without a struct.
    local.on(
        Method::POST,
        QUERY,
        json!({"columns": ["n"], "results": [[42]]}),
    );
    let people: u64 = project
        .hogql("SELECT count() AS n FROM persons")
        .one()
        .await?;
    assert_eq!(people, 42);

    // In the background: PostHog answers with an id, and the client asks until the query is done.
    let status = |complete, read| {
        json!({"query_status": {
            "id": "q1", "complete": complete, "results": {"columns": ["n"], "results": [[7]]},
            "query_progress": {"rows_read": read, "estimated_rows_total": 1000},
        }})
    };
    let running = |read| Answer::status(202).json(status(false, read));
    local.on(Method::POST, QUERY, running(0));
    local.on(
        Method::GET,
        "/api/projects/{project}/query/{id}/",
        [running(400), Answer::status(200).json(status(true, 1000))],
    );
    let answer = project
        .hogql("SELECT uniq(distinct_id) AS n FROM events")
        .time_limit(Duration::from_secs(60)) // then it is cancelled
        .in_background()
        .progress(|status| {
            let part = status.progress.as_ref().and_then(|p| p.fraction());
            println!("  {:.0} %", part.unwrap_or_default() * 100.0);
        })
        .await?;
    assert_eq!(answer.results[0][0], 7);

    // An error in the SQL comes with its position.
    local.on(
        Method::POST,
        QUERY,
        Answer::status(400).json(json!({
            "type": "validation_error", "code": "invalid_input", "attr": null,
            "detail": "Unable to resolve field: evnt (line 1, column 7)",
        })),
    );
    let broken = project.hogql("SELECT evnt FROM events");
    if let Err(error) = broken.one::<String>().await {
        println!("{error}");
        let position = error.hogql_position().ok_or("it has a position")?;
        assert_eq!(position.column, Some(7));
    }
    Ok(())
}
