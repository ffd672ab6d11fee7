//! The signed address of a file in object storage is a secret: no log line of this crate or of the HTTP stack shows it.

#![cfg(feature = "rest")]

use crate::own_process::own_process;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient, RetryPolicy};
use tracing_subscriber::prelude::*;

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_line_shows_the_signed_address_of_a_file() {
    own_process!();
    let written = Written::default();
    let writer = written.clone();
    let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
    tracing_subscriber::registry()
        .with(lines.with_ansi(false))
        .init();

    let start = || PostHogServer::start().unwrap();
    let (posthog, storage) = (start(), start());
    let to = format!("{}/bucket/an-export?X-Amz-Signature=5ecr3t", storage.url());
    posthog.answer_with(move |_| Some(Answer::status(302).header("location", to.as_str())));
    storage.answer_with(|_| Some(Answer::status(200).body("a,b\n")));
    let client = PostHogClient::builder()
        .personal_api_key("phx_secret")
        .host(posthog.url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap();
    let get = || {
        let path = "/api/projects/1/exports/7/content/";
        client.request(Method::GET, path).file().send_for_bytes()
    };
    get().await.unwrap();
    storage.answer_next(Answer::status(500));
    get().await.unwrap_err();
    storage.answer_next(Answer::close());
    get().await.unwrap_err();

    let lines = written.0.lock().unwrap().clone();
    let lines = String::from_utf8_lossy(&lines);
    assert!(lines.contains("request failed"), "{lines}");
    for secret in ["5ecr3t", "X-Amz", "an-export", "phx_secret"] {
        assert!(!lines.contains(secret), "{lines}");
    }
}
