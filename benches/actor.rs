//! What becomes of events behind the queue: taken out, encoded, compressed. All per batch of 100 events of
//! 350 to 400 bytes of JSON each.
#![allow(clippy::unwrap_used)]

#[path = "work/mod.rs"]
mod work;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher};
use flate2::{Compress, Compression, FlushCompress};
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{PostHogLayer, SpanFields};
use tracing_subscriber::prelude::*;
use work::{Data, big_event, in_spans, notes};

#[global_allocator]
static ALLOC: AllocProfiler = AllocProfiler::system();

/// The default of `batch_events`.
const BATCH: u64 = 100;

fn main() {
    divan::main();
}

/// Runs `f` where events are captured, and gives it something that captures a batch.
fn with_captured(f: impl FnOnce(&CapturedEvents, &dyn Fn())) {
    let captured = CapturedEvents::new();
    let layer = PostHogLayer::builder(captured.handle()).span_fields(SpanFields::all());
    let (notes, next) = (notes(), std::cell::Cell::new(0));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer.build()), || {
        f(&captured, &|| {
            let first = next.replace(next.get() + BATCH);
            in_spans(first, || {
                for i in first..first + BATCH {
                    big_event(&Data::at(i), &notes[i as usize % notes.len()]);
                }
            });
        });
    });
}

/// Records into JSON.
#[divan::bench(sample_count = 500, sample_size = 1)]
fn encoder(bencher: Bencher<'_, '_>) {
    with_captured(|captured, capture_batch| {
        bencher
            .counter(ItemsCount::new(BATCH as usize))
            .with_inputs(capture_batch)
            .bench_local_values(|()| captured.encode());
    });
}

/// Out of the queue, and the memory back to it.
#[divan::bench(sample_count = 500, sample_size = 1)]
fn queue_taken(bencher: Bencher<'_, '_>) {
    with_captured(|captured, capture_batch| {
        bencher
            .counter(ItemsCount::new(BATCH as usize))
            .with_inputs(capture_batch)
            .bench_local_values(|()| captured.forget());
    });
}

/// Threads that capture at once, and one queue. Each empties it after a batch.
#[divan::bench(sample_count = 100, sample_size = 10, threads = [1, 2, 8])]
fn queue_shared(bencher: Bencher<'_, '_>) {
    let captured = CapturedEvents::new();
    let dispatch = tracing::Dispatch::new(tracing_subscriber::registry().with(captured.layer()));
    bencher.counter(ItemsCount::new(BATCH as usize)).bench(|| {
        tracing::dispatcher::with_default(&dispatch, || {
            (0..BATCH).for_each(|i| work::event(&Data::at(i)));
        });
        captured.forget();
    });
}

/// The JSON of a batch at a level of gzip; the crate uses 1.
#[divan::bench(sample_count = 200, sample_size = 1, args = [1, 3, 6])]
fn compressor(bencher: Bencher<'_, '_>, level: u32) {
    with_captured(|captured, capture_batch| {
        capture_batch();
        let json = captured.encode();
        let mut gzip = Compress::new_gzip(Compression::new(level), 15);
        let mut out = Vec::with_capacity(json.len());
        bencher
            .counter(BytesCount::new(json.len()))
            .bench_local(|| {
                gzip.reset();
                out.clear();
                gzip.compress_vec(&json, &mut out, FlushCompress::Finish)
                    .unwrap();
                out.len()
            });
    });
}
