//! What capturing costs the thread that captures: time and allocations.
#![allow(clippy::unwrap_used)]

#[path = "work/mod.rs"]
mod work;

use divan::{AllocProfiler, Bencher};
use tracing_posthog::{CaptureHandle, Event, PostHogLayer, SpanFields};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use work::{Data, dead_end, event, in_spans};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// More than all samples together capture.
const ENDLESS: usize = 1 << 22;

fn with_layer(handle: CaptureHandle, span_fields: SpanFields, f: impl FnOnce()) {
    let layer = PostHogLayer::builder(handle)
        .span_fields(span_fields)
        .build();
    let subscriber = tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(layer);
    tracing::subscriber::with_default(subscriber, f);
}

/// One `info!` that is captured, in two spans that are open.
#[divan::bench(sample_count = 100, sample_size = 1000)]
fn event_in_two_spans(bencher: Bencher<'_, '_>) {
    with_layer(dead_end(ENDLESS), SpanFields::none(), || {
        let mut i = 0;
        in_spans(1, || {
            bencher.bench_local(|| {
                i += 1;
                event(&Data::at(i));
            });
        });
    });
}

/// Two spans opened, one event in them, both closed.
#[divan::bench(sample_count = 100, sample_size = 1000, args = ["identity", "all span fields"])]
fn request(bencher: Bencher<'_, '_>, kept: &str) {
    let span_fields = match kept {
        "identity" => SpanFields::none(),
        _ => SpanFields::all(),
    };
    with_layer(dead_end(ENDLESS), span_fields, || {
        let mut i = 0;
        bencher.bench_local(|| {
            i += 1;
            in_spans(i, || event(&Data::at(i)));
        });
    });
}

/// `CaptureHandle::capture`, the building of the `Event` included.
#[divan::bench(sample_count = 100, sample_size = 1000)]
fn capture_by_hand(bencher: Bencher<'_, '_>) {
    let handle = dead_end(ENDLESS);
    let mut i = 0;
    bencher.bench_local(|| {
        i += 1;
        let data = Data::at(i);
        handle.capture(
            Event::new("signup")
                .distinct_id("user_42")
                .property("plan", "pro")
                .property("user", data.user.to_string())
                .property("n", data.n)
                .property("ratio", data.ratio)
                .property("trial", data.trial),
        );
    });
}

/// One `info!` that a full queue refuses.
#[divan::bench(sample_count = 100, sample_size = 1000)]
fn full_queue(bencher: Bencher<'_, '_>) {
    let handle = dead_end(100);
    for _ in 0..200 {
        handle.capture(Event::new("filling"));
    }
    with_layer(handle, SpanFields::none(), || {
        let mut i = 0;
        in_spans(1, || {
            bencher.bench_local(|| {
                i += 1;
                event(&Data::at(i));
            });
        });
    });
}

/// From nothing to a layer that captures: the client, the actor's thread, the layer.
#[divan::bench(sample_count = 50, sample_size = 1)]
fn start(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| PostHogLayer::new(dead_end(100)));
}
