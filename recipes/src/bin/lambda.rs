//! AWS Lambda: the process stands still between invocations, so each one delivers its events before it answers, and
//! waits for a limited time.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::{Value, json};
use std::time::Duration;
use tracing::{info, instrument};
use tracing_posthog::PostHogLayer;
use tracing_subscriber::prelude::*;

/// What an answer may wait for PostHog. What is not delivered by then is kept for the next invocation.
const AT_MOST: Duration = Duration::from_secs(1);

#[instrument(skip_all, fields(posthog.distinct_id = order["user"].as_str()))]
async fn place(order: Value) -> Value {
    info!(posthog.event = "order placed", items = 3);
    json!({ "ordered": order["item"] })
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let (layer, posthog) = PostHogLayer::from_env()?;
    tracing_subscriber::registry().with(layer).init();

    let posthog = &posthog;
    run(service_fn(async |invocation: LambdaEvent<Value>| {
        let answer = place(invocation.payload).await;
        posthog.flush_within(AT_MOST).await;
        Ok::<_, Error>(answer)
    }))
    .await
}
