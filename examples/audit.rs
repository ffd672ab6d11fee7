//! Audits who changed which feature flags in the last week: the activity log, page by page.
//!
//!     cargo run --example audit
//!
//! It talks to a local PostHog, started here. Against your own, use `PostHogClient::from_env()`
//! (`POSTHOG_PERSONAL_API_KEY` with the scope `activity_log:read`, `POSTHOG_HOST`) and your project's number.

#![allow(clippy::print_stdout)]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::error::Error;
use tracing_posthog::rest::Time;
use tracing_posthog::rest::models::ActivityLogEntry;
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
    let log = client.project(12345).advanced_activity_logs();
    let of_flags = || {
        log.list()
            .scopes(["FeatureFlag"])
            .start_date(Time::days_ago(7))
    };

    // Each entry, in constant memory: the stream asks for a page when it needs one.
    let mut changes = BTreeMap::<String, u32>::new();
    let mut entries = of_flags().stream();
    while let Some(entry) = entries.next().await {
        let entry = entry?;
        if *changes
            .entry(who(&entry))
            .and_modify(|n| *n += 1)
            .or_insert(1)
            == 1
        {
            print(&entry);
        }
    }
    println!("{changes:?}");
    assert_eq!(changes["ada@example.com"], 125);
    assert_eq!(changes["PostHog itself"], 125);
    assert_eq!(local.request_count(), 3, "one for each page");
    assert_eq!(local.requests()[0].param("start_date"), Some("-7d"));

    // Other ways to read a list: one page, the first few, everything up to a bound, or page by page.
    assert_eq!(of_flags().await?.count, Some(250));
    assert_eq!(of_flags().first(3).await?.len(), 3);
    assert!(of_flags().all_up_to(200).await.is_err(), "there are more");
    let mut pages = of_flags().page_size(200).pages();
    while let Some(page) = pages.next().await {
        println!("a page of {}", page?.results.len());
    }
    Ok(())
}

fn who(entry: &ActivityLogEntry) -> String {
    let email = entry.user.as_ref().and_then(|user| user.email.clone());
    email.unwrap_or_else(|| "PostHog itself".to_owned())
}

fn print(entry: &ActivityLogEntry) {
    let at = entry.created_at.as_ref().map_or("?", Time::as_str);
    let what = entry.activity.as_deref().unwrap_or("?");
    let detail = entry.detail.clone().unwrap_or_default();
    let name = detail.name.unwrap_or_default();
    println!("{at} {} {what} {name}", who(entry));
    for change in detail.changes {
        let field = change.field.unwrap_or_default();
        let (before, after) = (
            change.before.unwrap_or_default(),
            change.after.unwrap_or_default(),
        );
        println!("    {field}: {before} -> {after}");
    }
}

/// A PostHog with 250 entries in its log.
fn play_posthog(local: &PostHogServer) {
    let url = local.url();
    let path = "/api/projects/{project}/advanced_activity_logs/";
    local.on(Method::GET, path, move |request: &RecordedRequest| {
        let number = |name| request.param(name)?.parse::<u32>().ok();
        let page = number("page").unwrap_or(1);
        let size = number("page_size").unwrap_or(100);
        let (start, end) = ((page - 1) * size, u32::min(page * size, 250));
        let path = &request.path;
        let next = format!("{url}{path}?page={}&page_size={size}", page + 1);
        Answer::status(200).json(json!({
            "count": 250,
            "next": (end < 250).then_some(next),
            "results": (start..end).map(entry).collect::<Vec<_>>(),
        }))
    });
}

fn entry(n: u32) -> Value {
    let user = n
        .is_multiple_of(2)
        .then(|| json!({"id": 1, "email": "ada@example.com"}));
    json!({
        "id": format!("0195f0aa-1111-7222-8333-{n:012}"),
        "user": user, "is_system": user.is_none(),
        "activity": "updated", "scope": "FeatureFlag", "item_id": "7",
        "created_at": "2031-04-05T06:07:08Z",
        "detail": {"name": "beta-ui", "changes": [
            {"type": "FeatureFlag", "action": "changed", "field": "active", "before": true, "after": false},
        ]},
    })
}
