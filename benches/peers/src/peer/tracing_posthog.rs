//! This crate: with default settings, and all fields of spans, as the others keep them.

use super::Peer;
use std::time::Duration;
use tracing_posthog::{
    CaptureHandle, EventCaptureBackend, PostHogClient, PostHogLayer, RetryPolicy, SpanFields,
};

pub struct Ours(CaptureHandle);

impl Peer for Ours {
    fn in_spans(&self, i: u64, f: &mut dyn FnMut()) {
        // As the others, but that the id is an identity.
        let outer =
            tracing::info_span!("request", posthog.distinct_id = i, path = "/signup/confirm");
        let _outer = outer.enter();
        let inner = tracing::info_span!("query", table = "accounts", rows = 3);
        let _inner = inner.enter();
        f();
    }

    fn room(&self) -> u64 {
        1_000
    }

    fn wait(&self) {
        // Half of the default queue.
        while self.0.stats().queued + self.0.stats().in_flight > 5_000 {
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    fn finish(&self) {
        self.0.shutdown_blocking(Duration::from_secs(60));
    }
}

pub fn new(url: Option<&str>) -> Ours {
    let client = PostHogClient::builder()
        .project_api_key("phc_bench")
        .host(url.unwrap_or("http://127.0.0.1:9"));
    let handle = match url {
        Some(_) => EventCaptureBackend::builder(client.build().expect("a client")),
        None => {
            let patient = RetryPolicy::default()
                .first_delay(Duration::from_secs(600))
                .max_delay(Duration::from_secs(600));
            EventCaptureBackend::builder(client.retry(patient).build().expect("a client"))
                .queue_events(1 << 20)
                .queue_bytes(1 << 30)
        }
    }
    .start()
    .expect("a thread");
    let fields = match std::env::var("SPAN_FIELDS").as_deref() {
        Ok("none") => SpanFields::none(),
        _ => SpanFields::all(),
    };
    super::install(
        PostHogLayer::builder(handle.clone())
            .span_fields(fields)
            .build(),
    );
    Ours(handle)
}
