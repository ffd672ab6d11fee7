//! What is known of the requests that an instance makes, from the crate's own spans: one for each attempt.

use crate::lock;
use serde::Serialize;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::runtime::{Handle, Runtime};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Subscriber, dispatcher};
use tracing_subscriber::filter::{EnvFilter, Targets};
use tracing_subscriber::fmt as lines;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// One attempt, as `/state` shows it. What the spans do not tell is left empty.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Attempt {
    timestamp_ms: u64,
    /// 0 where no answer came, or none yet.
    status_code: u64,
    retry_attempt: u64,
    event_count: u64,
    uuid_list: Vec<String>,
}

impl Attempt {
    pub(crate) fn is_retry(&self) -> bool {
        self.retry_attempt > 0
    }
}

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    attempts: Mutex<Vec<Attempt>>,
    last_error: Mutex<Option<String>>,
}

impl RequestLog {
    /// A runtime whose threads tell this log what the crate does on them. A subscriber for the whole process
    /// could not tell instances apart.
    pub(crate) fn watched_runtime(self: &Arc<Self>) -> io::Result<WatchedRuntime> {
        let of_requests = Targets::new().with_target("tracing_posthog::http", LevelFilter::DEBUG);
        let dispatch = Dispatch::new(
            tracing_subscriber::registry()
                .with(Watch(self.clone()).with_filter(of_requests))
                // For people: `RUST_LOG=tracing_posthog=debug`.
                .with(
                    lines::layer()
                        .with_writer(io::stderr)
                        .with_filter(EnvFilter::from_default_env()),
                ),
        );
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sdk-under-test")
            .enable_all()
            // For as long as the thread lives.
            .on_thread_start(move || std::mem::forget(dispatcher::set_default(&dispatch)))
            .build()?;
        Ok(WatchedRuntime {
            handle: runtime.handle().clone(),
            runtime: Some(runtime),
        })
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        lock(&self.attempts).clone()
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        lock(&self.last_error).clone()
    }

    pub(crate) fn failed(&self, error: String) {
        *lock(&self.last_error) = Some(error);
    }
}

pub(crate) struct WatchedRuntime {
    handle: Handle,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl WatchedRuntime {
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for WatchedRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Waiting for a runtime to end is not allowed where this is dropped, within another one.
            runtime.shutdown_background();
        }
    }
}

struct Watch(Arc<RequestLog>);

/// Which attempt a span is about, by its place in the log.
struct Place(usize);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Watch {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        let (Some(number), Some(span)) = (fields.attempt, context.span(id)) else {
            return;
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut attempts = lock(&self.0.attempts);
        span.extensions_mut().insert(Place(attempts.len()));
        attempts.push(Attempt {
            timestamp_ms: now.map_or(0, |since| since.as_millis() as u64),
            status_code: 0,
            retry_attempt: number.saturating_sub(1),
            event_count: fields.events.unwrap_or_default(),
            uuid_list: Vec::new(),
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        let Some(span) = context.span(id) else {
            return;
        };
        if let Some(Place(place)) = span.extensions().get()
            && let Some(attempt) = lock(&self.0.attempts).get_mut(*place)
        {
            attempt.status_code = fields.status.unwrap_or(attempt.status_code);
        }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(error) = fields.error {
            self.0.failed(error);
        }
    }
}

/// The fields of the crate's spans and events that say something here.
#[derive(Default)]
struct Fields {
    attempt: Option<u64>,
    events: Option<u64>,
    status: Option<u64>,
    error: Option<String>,
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "attempt" => self.attempt = Some(value),
            "events" => self.events = Some(value),
            "status" => self.status = Some(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "error" {
            self.error = Some(format!("{value:?}"));
        }
    }
}
