//! Uploads debug symbols for PostHog's error tracking: the release first, then each file, straight to the address that
//! PostHog hands out.
//!
//!     cargo run --example upload_symbols
//!
//! It talks to a local PostHog, started here. For Rust programs, `posthog-cli symbol-sets upload` does all of this; do it
//! yourself where a build system keeps the symbols elsewhere. PostHog documents these operations nowhere, and they may
//! change.

#![allow(clippy::print_stdout)]

use serde_json::json;
use std::collections::BTreeMap;
use std::error::Error;
use tracing_posthog::rest::bodies::{NewRelease, SymbolSetHashes, SymbolSetUploads};
use tracing_posthog::rest::models::PresignedUpload;
use tracing_posthog::rest::resources::ErrorTracking;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient};

/// One file, with the debug id of the image that it belongs to.
struct Symbols {
    debug_id: &'static str,
    /// PostHog asks for the file only if it has none with this hash.
    content_hash: &'static str,
    content: &'static [u8],
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let local = PostHogServer::start()?;
    let storage = PostHogServer::start()?;
    play_posthog(&local, &storage);
    let client = PostHogClient::builder()
        .personal_api_key("phx_local")
        .host(local.url())
        .build()?;
    let error_tracking = client.project(12345).error_tracking();

    let release = release(&error_tracking, "checkout", "1.4.2", "4f2c9e1b7a").await?;
    let symbols = Symbols {
        debug_id: "4f2c9e1b-0000-7000-8000-444455556666",
        content_hash: "9f86d081884c7d65",
        content: b"symbols of checkout 1.4.2",
    };
    upload(&error_tracking, &release, &[symbols]).await?;

    let [stored] = &storage.requests()[..] else {
        return Err(format!("one upload is expected: {storage:?}").into());
    };
    assert_eq!(
        stored.header("authorization"),
        None,
        "the key stays with PostHog"
    );
    let form = String::from_utf8_lossy(&stored.body);
    assert!(form.contains("name=\"policy\"\r\n\r\nsigned\r\n"), "{form}");
    assert!(form.contains("symbols of checkout 1.4.2"), "{form}");
    let last = local.requests().pop().ok_or("PostHog was called")?;
    let hashes = &last.json().unwrap_or_default()["content_hashes"];
    assert_eq!(hashes["set-1"], "9f86d081884c7d65");
    Ok(())
}

/// The id of the release of that commit, which is made where there is none.
async fn release(
    error_tracking: &ErrorTracking,
    name: &str,
    version: &str,
    commit: &str,
) -> Result<String, Box<dyn Error>> {
    let releases = error_tracking.releases();
    let id = match releases.get_by_hash(commit).await {
        Ok(release) => release.id,
        Err(error) if error.is_not_found() => {
            let new = NewRelease::new(name, version, commit);
            releases.create(new).await?.id
        }
        Err(error) => return Err(error.into()),
    };
    Ok(id.ok_or("a release has an id")?)
}

async fn upload(
    error_tracking: &ErrorTracking,
    release: &str,
    files: &[Symbols],
) -> Result<(), Box<dyn Error>> {
    let sets = error_tracking.symbol_sets();
    let offered = files.iter().map(|file| {
        let (id, hash) = (file.debug_id, file.content_hash);
        json!({"chunk_id": id, "release_id": release, "content_hash": hash})
    });
    let wanted = sets
        .bulk_start_upload(SymbolSetUploads::new(offered))
        .await?;

    let mut done = BTreeMap::new();
    for file in files {
        match wanted.id_map.get(file.debug_id) {
            Some(upload) => {
                let to = upload.presigned_url.as_ref().ok_or("it has an address")?;
                store(to, file.content).await?;
                done.insert(
                    upload.symbol_set_id.as_deref().ok_or("it has an id")?,
                    file.content_hash,
                );
                println!("{} is uploaded", file.debug_id);
            }
            None => println!("{} is there already", file.debug_id),
        }
    }
    sets.bulk_finish_upload(SymbolSetHashes::new(done)).await?;
    Ok(())
}

/// Posts a file to the object storage: not by PostHog's client, whose key is not for other hosts.
async fn store(to: &PresignedUpload, content: &[u8]) -> Result<(), Box<dyn Error>> {
    const BOUNDARY: &str = "4f2c9e1b7a-end-of-part";
    let part =
        |name: &str| format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"");
    let mut form = Vec::new();
    for (name, value) in &to.fields {
        form.extend(format!("{}\r\n\r\n{}\r\n", part(name), value.reveal()).into_bytes());
    }
    // The storage reads nothing that comes after the file.
    form.extend(format!("{}; filename=\"file\"\r\n\r\n", part("file")).into_bytes());
    form.extend_from_slice(content);
    form.extend(format!("\r\n--{BOUNDARY}--\r\n").into_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let url = to.url.as_ref().ok_or("it has an address")?;
    let client = reqwest::Client::builder().build()?;
    let answer = client
        .post(url.reveal())
        .header("content-type", kind)
        .body(form)
        .send()
        .await?;
    answer.error_for_status()?;
    Ok(())
}

fn play_posthog(local: &PostHogServer, storage: &PostHogServer) {
    let path = |rest: &str| format!("/api/environments/{{project}}/error_tracking/{rest}");
    local.on(
        Method::GET,
        path("releases/hash/{hash}/"),
        Answer::status(404),
    );
    local.on(
        Method::POST,
        path("releases/"),
        Answer::status(201).json(json!({"id": "release-1"})),
    );
    let address = json!({"url": format!("{}/symbols/", storage.url()), "fields": {"key": "set-1", "policy": "signed"}});
    local.on(
        Method::POST,
        path("symbol_sets/bulk_start_upload/"),
        json!({"id_map": {
            "4f2c9e1b-0000-7000-8000-444455556666": {"symbol_set_id": "set-1", "presigned_url": address},
        }}),
    );
    local.on(
        Method::POST,
        path("symbol_sets/bulk_finish_upload/"),
        json!({"success": true}),
    );
    storage.on(Method::POST, "/symbols/", Answer::status(204));
}
