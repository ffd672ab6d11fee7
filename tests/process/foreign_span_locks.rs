//! A value that captures events while another layer formats it under the lock of the span's extensions. Under a global
//! subscriber that event comes to all layers, and none of them may wait for that lock.

use crate::own_process::own_process;
use std::fmt;
use std::sync::mpsc;
use std::time::Duration;
use tracing::field::{Empty, Field, Visit, debug};
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, info, info_span};
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// Captures an event and opens and closes a span that is one, wherever it is formatted.
struct Captures;

impl fmt::Debug for Captures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        info!(posthog.event = "within the value");
        info_span!("s", posthog.event = "a span within the value").in_scope(|| {});
        f.write_str("formatted")
    }
}

/// Runs the program on a thread of its own; fails where it does not come back.
fn the_program_comes_back(captured: &CapturedEvents) {
    let (done, wait) = mpsc::channel();
    std::thread::spawn(move || {
        let span = info_span!("request", posthog.distinct_id = "ada", value = Empty);
        let _entered = span.enter();
        span.record("value", debug(Captures));
        info!(posthog.event = "after");
        done.send(()).unwrap();
    });
    wait.recv_timeout(Duration::from_secs(60))
        .expect("no deadlock");
    let events = captured.events();
    assert!(events.iter().all(|e| e.distinct_id == "ada"), "{events:?}");
    for name in ["within the value", "a span within the value", "after"] {
        assert!(events.iter().any(|e| e.event == name), "{name}");
    }
}

#[test]
fn of_a_log_that_formats_spans_only() {
    own_process!();
    let captured = CapturedEvents::new();
    // Not the spans within the value: the log would wait for itself.
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(filter_fn(|m| m.is_span() && m.name() == "request"));
    tracing_subscriber::registry()
        .with(log)
        .with(captured.layer())
        .init();
    the_program_comes_back(&captured);
}

/// Formats what is recorded while it holds the span's extensions.
struct FormatsUnderTheLock;

struct Formats(String);

impl Visit for Formats {
    fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
        self.0 = format!("{value:?}");
    }
}

impl<S> Layer<S> for FormatsUnderTheLock
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let span = ctx.span(id).unwrap();
        let _lock = span.extensions_mut();
        attributes.record(&mut Formats(String::new()));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let span = ctx.span(id).unwrap();
        let _lock = span.extensions_mut();
        values.record(&mut Formats(String::new()));
    }
}

#[test]
fn of_a_layer_that_formats_under_the_lock() {
    own_process!();
    let captured = CapturedEvents::new();
    tracing_subscriber::registry()
        .with(FormatsUnderTheLock)
        .with(captured.layer())
        .init();
    the_program_comes_back(&captured);
}
