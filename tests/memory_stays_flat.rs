//! Spans leave nothing behind. Alone in its process, as it looks at the memory of the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use tracing::{info, info_span};
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{PostHogLayer, SpanFields};
use tracing_subscriber::prelude::*;

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let resident: usize = pages.split(' ').nth(1).unwrap().parse().unwrap();
    resident * 4096
}

#[test]
fn a_hundred_thousand_spans_leave_memory_flat() {
    let captured = CapturedEvents::new();
    let layer = PostHogLayer::builder(captured.handle()).span_fields(SpanFields::all());
    let text = "x".repeat(1_000);
    let spans = |count: usize| {
        for n in 0..count {
            let span = info_span!("s", posthog.distinct_id = "ada", text, n);
            let timed = info_span!(parent: &span, "t", posthog.event = "a span", text);
            timed.in_scope(|| info!(posthog.event = "within"));
            timed.record("text", "recorded again");
            if n % 500 == 0 {
                drop((span, timed));
                captured.take();
            }
        }
    };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer.build()), || {
        spans(2_000);
        let before = resident_bytes();
        spans(50_000);
        let grown = resident_bytes().saturating_sub(before);
        // A kilobyte left by each would be a hundred megabytes.
        assert!(grown < 16 << 20, "{} KiB more", grown >> 10);
    });
}
