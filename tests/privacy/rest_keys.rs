//! Keys show in nothing that is said of REST calls. Alone in its process: it listens to all that is
//! traced.

use crate::own_process::own_process;
use serde_json::json;
use std::sync::{Arc, Mutex};
use tracing::span::{Attributes, Id};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient, PostHogError, RetryPolicy};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

#[tokio::test]
async fn keys_are_taken_out_of_what_is_said_of_queries_and_paths() {
    own_process!();
    let log = Log::default();
    tracing_subscriber::registry().with(log.clone()).init();
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .personal_api_key("phx_SecretKey123")
        .host(server.url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap();
    let echo = "no table of phx_SecretKey123 or phs_Another_1";
    let mut shown = Vec::new();
    for failed in [
        json!({"results": [], "error": echo}),
        json!({"query_status": {"complete": true, "error": true, "error_message": echo}}),
    ] {
        server.answer_next_times(2, Answer::status(200).json(failed));
        let query = || client.project(1).hogql("SELECT 1");
        shown.push(query().run().await.unwrap_err());
        shown.push(query().in_background().run().await.unwrap_err());
    }
    let is_failure = |e: &PostHogError| matches!(e, PostHogError::QueryFailed { .. });
    assert!(shown.iter().all(is_failure), "{shown:?}");
    // Values of rows are not quoted where they do not fit.
    server.answer_next(Answer::status(200).json(json!({"columns": ["n"], "results": [[echo]]})));
    let misfit = client
        .project(1)
        .hogql("SELECT 1")
        .rows::<u8>()
        .await
        .unwrap_err();
    let misfit = format!("{misfit} {misfit:?}");
    assert!(misfit.contains("invalid type: string"), "{misfit}");
    assert!(!misfit.contains("no table of"), "{misfit}");
    // A key in the place of an id, or in a path that is none.
    let at = client.project("phx_SecretKey123");
    shown.push(at.annotations().get("phs_Another_1").await.unwrap_err());
    server.answer_next(Answer::close());
    shown.push(at.annotations().get(1).await.unwrap_err());
    server.answer_next(Answer::wrong_length(9).body("a"));
    let mut cut = at.annotations().list().send_for_stream().await.unwrap();
    cut.next().await.unwrap().unwrap();
    shown.push(cut.next().await.unwrap().unwrap_err());
    let path = "/api/feature_flag/local_evaluation/?token=phx_SecretKey123";
    shown.push(client.request(Method::GET, path).send().await.unwrap_err());
    let list = at.annotations().list();
    let made = format!("{at:?}; {:?}; {:?}", at.annotations().get(1), list.pages());
    let logged = log.0.lock().unwrap().clone();
    let said = shown.iter().map(|error| format!("{error} {error:?}"));
    for said in said
        .chain(made.split("; ").map(str::to_owned))
        .chain([logged])
    {
        assert!(said.contains("[redacted]"), "{said}");
        for secret in ["SecretKey", "Another_1"] {
            assert!(!said.contains(secret), "{said}");
        }
    }
}

/// All that is traced, spans too.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        *self.0.lock().unwrap() += &format!("{:?}", span.values());
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        *self.0.lock().unwrap() += &format!("{event:?}");
    }
}
