//! Spans leave nothing behind.

use tracing::{info, info_span};
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{PostHogLayer, SpanFields};
use tracing_subscriber::prelude::*;

#[test]
fn spans_leave_no_memory_behind() {
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
        captured.take();
    };
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer.build()), || {
        spans(2_000);
        let left = allocation_counter::measure(|| spans(10_000));
        // Not one place for each hundred spans.
        assert!(left.count_current < 100, "{left:?}");
        assert!(left.bytes_current < 64 << 10, "{left:?}");
    });
}
