//! What several of these tests need.
#![allow(dead_code, unreachable_pub, missing_debug_implementations)]

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{PostHogLayer, PostHogLayerBuilder};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

/// What a layer saw, one line each: `event INFO target field=value…`, `span …`, `record …`,
/// `enter …`, `exit …`, `close …`.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    pub fn layer(&self) -> Watch {
        Watch(self.clone())
    }

    pub fn lines(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The lines that hold `text`.
    pub fn with(&self, text: &str) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| line.contains(text));
        lines
    }

    fn add(&self, line: String) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

/// A layer that writes down all it sees.
pub struct Watch(Seen);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl<S> Layer<S> for Watch
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        let meta = attributes.metadata();
        let mut fields = Fields(format!("span {} {}", meta.level(), meta.name()));
        attributes.record(&mut fields);
        self.0.add(fields.0);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let mut fields = Fields(format!("record {}", name(id, &ctx)));
        values.record(&mut fields);
        self.0.add(fields.0);
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        let mut fields = Fields(format!("event {} {}", meta.level(), meta.target()));
        event.record(&mut fields);
        self.0.add(fields.0);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.0.add(format!("enter {}", name(id, &ctx)));
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        self.0.add(format!("exit {}", name(id, &ctx)));
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        self.0.add(format!("close {}", name(&id, &ctx)));
    }
}

fn name<S: for<'a> LookupSpan<'a> + Subscriber>(id: &Id, ctx: &Context<'_, S>) -> &'static str {
    ctx.span(id).map_or("?", |span| span.name())
}

/// What is captured while `f` runs, by a layer with the default options alone.
pub fn captured(f: impl FnOnce()) -> Vec<RecordedEvent> {
    captured_with(|options| options, f)
}

/// What is captured while `f` runs, by a layer with these options alone.
pub fn captured_with(
    options: impl FnOnce(PostHogLayerBuilder) -> PostHogLayerBuilder,
    f: impl FnOnce(),
) -> Vec<RecordedEvent> {
    let captured = CapturedEvents::new();
    let layer = options(PostHogLayer::builder(captured.handle())).build();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), f);
    captured.events()
}

/// The only event that is captured while `f` runs.
#[track_caller]
pub fn one(f: impl FnOnce()) -> RecordedEvent {
    let mut events = captured(f);
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

/// What the crate itself logs while `f` runs and what it captures is encoded.
pub fn diagnostics(f: impl FnOnce(&CapturedEvents)) -> Vec<String> {
    diagnostics_of(&CapturedEvents::new(), f)
}

/// The same, of what `captured` captures.
pub fn diagnostics_of(captured: &CapturedEvents, f: impl FnOnce(&CapturedEvents)) -> Vec<String> {
    let seen = Seen::default();
    let subscriber = tracing_subscriber::registry()
        .with(seen.layer())
        .with(captured.layer());
    tracing::subscriber::with_default(subscriber, || {
        f(captured);
        captured.events();
    });
    seen.with(" tracing_posthog::")
}
