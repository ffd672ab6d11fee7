//! This crate: an `error!` in two spans, with default settings but for the limit.

use crate::{Case, Declined};
use std::error::Error;
use std::time::Duration;
use tracing_posthog::{
    Errors, EventCaptureBackend, PostHogClient, PostHogLayer, RetryPolicy, Stacks,
};
use tracing_subscriber::prelude::*;

pub struct Peer(());

impl Peer {
    pub fn new(case: Case) -> Self {
        let patient = RetryPolicy::default()
            .first_delay(Duration::from_secs(600))
            .max_delay(Duration::from_secs(600));
        let client = PostHogClient::builder()
            .project_api_key("phc_bench")
            .host("http://127.0.0.1:9")
            .retry(patient)
            .build()
            .expect("a client");
        let handle = EventCaptureBackend::builder(client)
            .queue_events(1 << 22)
            .queue_bytes(4 << 30)
            .flush_interval(Duration::from_secs(3600))
            .start()
            .expect("a thread");
        let errors = match case {
            Case::Held => Errors::new().rate_limit(1, Duration::from_secs(3600)),
            Case::Stack => Errors::new().rate_limit(1, Duration::ZERO),
            Case::Plain => Errors::new()
                .rate_limit(1, Duration::ZERO)
                .stacks(Stacks::None),
        };
        let layer = PostHogLayer::builder(handle).errors(errors).build();
        tracing_subscriber::registry().with(layer).init();
        let outer = tracing::info_span!("request", posthog.distinct_id = 7, path = "/pay");
        std::mem::forget(outer.entered());
        let inner = tracing::info_span!("query", table = "accounts", rows = 3);
        std::mem::forget(inner.entered());
        Self(())
    }

    #[inline(never)]
    pub fn capture(&self, error: &Declined) {
        let () = self.0;
        tracing::error!(error = error as &dyn Error, order = 17, "payment failed");
    }
}
