//! Errors without end, from several threads.

use crate::support::{assert_settled, capture_to, server};
use std::time::Duration;
use tracing::{error, info_span};
use tracing_posthog::testing::Recording;
use tracing_posthog::{DropReason, Errors, PostHogLayer};
use tracing_subscriber::prelude::*;

const THREADS: u64 = 4;
const EACH: u64 = 100_000;

#[test]
fn a_storm_is_counted_to_the_last_and_takes_no_memory() {
    let server = server();
    server.record(Recording::CountsOnly);
    let handle = capture_to(&server).start().unwrap();
    let errors = Errors::new()
        .rate_limit(20, Duration::from_secs(3600))
        .duplicate_window(Duration::ZERO);
    let layer = PostHogLayer::builder(handle.clone()).errors(errors).build();
    let subscriber = tracing::Dispatch::new(tracing_subscriber::registry().with(layer));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&subscriber, || {
                    let _span = info_span!("request", posthog.distinct_id = "user_42").entered();
                    for n in 0..EACH {
                        error!(n, "the database is gone");
                        if n % 2 == 0 {
                            error!(n, "the cache is gone");
                        }
                        // What waits to be delivered stays bounded by the limit, not by luck.
                        assert!(n % 1000 != 0 || handle.stats().queued <= 40);
                    }
                });
            });
        }
    });
    let stats = handle.shutdown_blocking(Duration::from_secs(60));
    assert!(stats.is_complete(), "{stats}");
    let stats = handle.stats();
    assert_settled(&stats);
    let all = THREADS * (EACH + EACH / 2);
    assert_eq!(stats.captured, all);
    assert_eq!(stats.delivered, 40);
    assert_eq!(stats.dropped.by(DropReason::RateLimited), all - 40);
}
