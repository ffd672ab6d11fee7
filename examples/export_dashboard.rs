//! Exports the insights of a dashboard as CSV files, for a report or a spreadsheet.
//!
//!     cargo run --example export_dashboard -- [DIRECTORY]
//!
//! It talks to a local PostHog, started here. Against your own, use `PostHogClient::from_env()`
//! (`POSTHOG_PERSONAL_API_KEY` with the scopes `dashboard:read` and `export:write`, `POSTHOG_HOST`) and the numbers of
//! your project and dashboard.

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::fs::{File, create_dir_all, read_to_string};
use tokio::io::AsyncWriteExt;
use tracing_posthog::rest::{Project, Raw};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{Method, PostHogClient};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).map(PathBuf::from);
    let directory = directory.unwrap_or_else(|| std::env::temp_dir().join("posthog_export"));
    create_dir_all(&directory).await?;

    let local = PostHogServer::start()?;
    let storage = PostHogServer::start()?;
    play_posthog(&local, &storage);
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let project = client.project(12345);

    let dashboard = project.dashboards().get(3).await?;
    let mut files = Vec::new();
    for tile in dashboard.tiles {
        let Some(insight) = tile.insight else {
            continue; // a text
        };
        let (Some(id), Some(name)) = (insight.id, insight.short_id) else {
            continue;
        };
        let file = directory.join(format!("{name}.csv"));
        export(&project, id, &file).await?;
        println!("{} -> {}", insight.name.unwrap_or_default(), file.display());
        files.push(file);
    }

    assert_eq!(files.len(), 2);
    let first = read_to_string(&files[0]).await?;
    assert_eq!(first, "date,signups\n2031-04-05,1204\n");
    let download = &storage.requests()[0];
    assert_eq!(
        download.header("authorization"),
        None,
        "the key stays with PostHog"
    );
    Ok(())
}

/// PostHog makes the file in the background. The answer is written as it arrives, whatever its size.
async fn export(project: &Project, insight: i64, file: &Path) -> Result<(), Box<dyn Error>> {
    let exports = project.exports();
    let new = Raw(json!({"export_format": "text/csv", "insight": insight}));
    let mut asset = exports.create(new).await?;
    let id = asset.id.ok_or("an export has an id")?;
    while asset.has_content != Some(true) {
        if let Some(why) = asset.exception {
            return Err(format!("insight {insight} was not exported: {why}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        asset = exports.get(id).await?;
    }
    let mut content = exports.content(id).send_for_stream().await?;
    let mut file = File::create(file).await?;
    while let Some(chunk) = content.next().await {
        file.write_all(&chunk?).await?;
    }
    file.flush().await?;
    Ok(())
}

fn play_posthog(local: &PostHogServer, storage: &PostHogServer) {
    let insight = |id: u32, name| json!({"insight": {"id": id, "short_id": format!("aBc{id}"), "name": name}});
    let tiles = [
        insight(1, "Signups"),
        json!({"text": {"body": "Notes"}}),
        insight(2, "Churn"),
    ];
    local.on(
        Method::GET,
        "/api/projects/{project}/dashboards/3/",
        json!({"id": 3, "tiles": tiles}),
    );
    let exports = "/api/projects/{project}/exports/";
    local.on(Method::POST, exports, |request: &RecordedRequest| {
        let insight = request.json().unwrap_or_default()["insight"].clone();
        Answer::status(201).json(json!({"id": insight, "has_content": false}))
    });
    let export = |rest: &str| format!("{exports}{{id}}/{rest}");
    local.on(Method::GET, export(""), |request: &RecordedRequest| {
        let id: Option<u32> = request.path_param("id").and_then(|id| id.parse().ok());
        Answer::status(200).json(json!({"id": id, "has_content": true}))
    });
    // Files are in an object storage. PostHog answers their address, which is good for a while.
    let address = storage.url();
    local.on(
        Method::GET,
        export("content/"),
        move |request: &RecordedRequest| {
            let id = request.path_param("id").unwrap_or_default();
            let address = format!("{address}/exports/{id}.csv?signature=secret");
            Answer::status(302).header("location", address)
        },
    );
    for (id, csv) in [
        (1, "date,signups\n2031-04-05,1204\n"),
        (2, "date,churned\n2031-04-05,17\n"),
    ] {
        let csv = Answer::status(200)
            .header("content-type", "text/csv")
            .body(csv);
        storage.on(Method::GET, format!("/exports/{id}.csv"), csv);
    }
}
