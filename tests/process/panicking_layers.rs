//! A subscriber layer that panics on this crate's diagnostics costs log lines, never events. Each test runs in its
//! own process, because it installs the panicking layer as global subscriber.

use crate::own_process::own_process;
use crate::support::*;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_posthog::testing::Answer;
use tracing_posthog::{CaptureHandle, CircuitBreaker, Event, FlushReport};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// The callback in which the layer panics.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Event,
    NewSpan,
    Enter,
    Record,
    Exit,
    Close,
}

/// Panics on every diagnostic of this crate.
struct Panicking {
    at: At,
    panics: Arc<AtomicUsize>,
}

impl Panicking {
    /// Installs the layer globally. Returns the counter of panics.
    fn install(at: At) -> Arc<AtomicUsize> {
        let panics = Arc::<AtomicUsize>::default();
        let layer = Self {
            at,
            panics: panics.clone(),
        };
        tracing_subscriber::registry().with(layer).init();
        // Keeps thousands of expected panics out of the output.
        std::panic::set_hook(Box::new(|panic| {
            if panic.payload().downcast_ref::<&str>() != Some(&OF_A_LAYER) {
                eprintln_of(panic);
            }
        }));
        panics
    }

    fn meet(&self, at: At, metadata: &Metadata<'_>) {
        if at == self.at && metadata.target().starts_with("tracing_posthog") {
            self.panics.fetch_add(1, SeqCst);
            std::panic::panic_any(OF_A_LAYER);
        }
    }

    fn meet_in<S>(&self, at: At, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if let Some(metadata) = ctx.metadata(id) {
            self.meet(at, metadata);
        }
    }
}

const OF_A_LAYER: &str = "of a layer of the program's";

#[allow(clippy::print_stderr)]
fn eprintln_of(panic: &std::panic::PanicHookInfo<'_>) {
    eprintln!("{panic}");
}

impl<S> Layer<S> for Panicking
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.meet(At::Event, event.metadata());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.meet(At::NewSpan, attributes.metadata());
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.meet_in(At::Enter, id, &ctx);
    }

    fn on_record(&self, id: &Id, _: &Record<'_>, ctx: Context<'_, S>) {
        self.meet_in(At::Record, id, &ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.meet_in(At::Exit, id, &ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.meet_in(At::Close, &id, &ctx);
    }
}

fn capture(posthog: &CaptureHandle, names: impl IntoIterator<Item = String>) {
    for name in names {
        let event = Event::new(name).distinct_id("ada");
        let captured = catch_unwind(AssertUnwindSafe(|| posthog.capture(event)));
        assert!(captured.is_ok(), "capturing panics; {:?}", posthog.stats());
    }
}

fn named(prefix: &str, events: usize) -> impl Iterator<Item = String> + use<> {
    let prefix = prefix.to_owned();
    (0..events).map(move |n| format!("{prefix}{n}"))
}

/// Repeats the flush while events are pending: a batch that failed in all its attempts ends a flush early.
fn flush_patiently(posthog: &CaptureHandle) -> FlushReport {
    let mut report = posthog.flush_blocking(SLOW);
    for _ in 0..100 {
        if report.pending > 0 {
            report = posthog.flush_blocking(SLOW);
        }
    }
    report
}

/// Provokes many diagnostics: failing attempts, a batch that fails in all of them, an invalid event, a late event.
fn delivers_with_a_layer_that_panics(at: At) {
    let panics = Panicking::install(at);
    let server = server();
    server.answer_next_times(4, Answer::status(503));
    let client = client_of(&server)
        .retry(quick().attempts(2))
        .circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client).flush_at(1).start().unwrap();
    capture(&posthog, named("before", 10));
    wait_until("a panic", || panics.load(SeqCst) > 0);
    // An event without a name is dropped with a warning.
    capture(&posthog, [String::new()]);
    capture(&posthog, named("after", 1_000));
    let report = flush_patiently(&posthog);
    let stats = posthog.stats();
    let (events, panics) = (server.events(), panics.load(SeqCst));
    let arrived: BTreeSet<_> = events.iter().map(|e| &e.event).collect();
    assert_eq!(arrived.len(), 1_010, "{panics} panics; {report}; {stats:?}");
    assert_eq!(report.pending, 0, "{report}");
    assert_eq!((stats.delivered, stats.dropped.total()), (1_010, 1));
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    // The warning about a late event is emitted on this thread.
    capture(&posthog, named("late", 1));
    assert_settled(&posthog.stats());
}

#[test]
fn a_layer_that_panics_at_each_line_of_the_log_costs_no_event() {
    own_process!();
    delivers_with_a_layer_that_panics(At::Event);
}

#[test]
fn a_layer_that_panics_at_each_new_span_costs_no_event() {
    own_process!();
    delivers_with_a_layer_that_panics(At::NewSpan);
}

#[test]
fn a_layer_that_panics_at_each_entered_span_costs_no_event() {
    own_process!();
    delivers_with_a_layer_that_panics(At::Enter);
}

#[test]
fn a_layer_that_panics_at_each_recorded_value_costs_no_event() {
    own_process!();
    delivers_with_a_layer_that_panics(At::Record);
}

#[test]
fn a_layer_that_panics_at_each_span_that_is_left_costs_no_event() {
    own_process!();
    delivers_with_a_layer_that_panics(At::Exit);
}

#[test]
fn a_layer_that_panics_at_each_span_that_closes_costs_no_event() {
    own_process!();
    delivers_with_a_layer_that_panics(At::Close);
}

/// Panics on every line of the HTTP stack.
#[cfg(feature = "flags")]
struct PanickingInHttp(Arc<AtomicUsize>);

#[cfg(feature = "flags")]
impl<S: Subscriber> Layer<S> for PanickingInHttp {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target().starts_with("hyper") {
            self.0.fetch_add(1, SeqCst);
            std::panic::panic_any(OF_A_LAYER);
        }
    }
}

#[cfg(feature = "flags")]
#[tokio::test]
async fn a_layer_that_panics_at_lines_of_the_http_stack_costs_one_load_of_definitions() {
    own_process!();
    let panics = Arc::<AtomicUsize>::default();
    let layer = PanickingInHttp(panics.clone());
    tracing_subscriber::registry().with(layer).init();
    let server = server();
    server.answer_with(|request| {
        let definitions =
            r#"{"flags": [{"key": "a", "active": true, "filters": {"groups": [{}]}}]}"#;
        let is_load = request.path == "/flags/definitions";
        is_load.then(|| Answer::status(200).body(definitions))
    });
    let flags = client_of(&server).build().unwrap().flags();
    let error = flags.ready().await.unwrap_err();
    assert!(panics.load(SeqCst) > 0, "{error}");
    flags.ready().await.unwrap();
    assert!(flags.evaluate("ada").locally().is_enabled("a"));
}

/// A panic within `Handle::modify` poisons the layer that holds another: from then on it panics whenever a subscriber of the
/// process asks for interests.
#[test]
fn a_reload_that_is_poisoned_costs_no_event() {
    own_process!();
    let server = server();
    let handle = capture_to(&server).start().unwrap();
    let (filter, reload) =
        tracing_subscriber::reload::Layer::new(tracing_subscriber::filter::LevelFilter::TRACE);
    let layer = tracing_posthog::PostHogLayer::new(handle.clone());
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .init();
    std::panic::set_hook(Box::new(|_| {}));
    let poisoned = catch_unwind(AssertUnwindSafe(|| {
        reload.modify(|_| std::panic::panic_any(OF_A_LAYER))
    }));
    assert!(poisoned.is_err());
    for n in 0..3 {
        handle.capture(Event::new(format!("event {n}")));
        let report = handle.flush_blocking(LONG);
        assert!(report.is_complete(), "{report:?}");
    }
    assert_eq!(server.events().len(), 3, "{:?}", handle.stats());
}
