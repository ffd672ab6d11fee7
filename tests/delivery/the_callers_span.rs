//! What the crate says about its requests stands in its own spans, never in the caller's.

use crate::support::*;
use std::sync::{Arc, Mutex};
use tracing_posthog::Event;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::prelude::*;

/// Everything that is recorded into spans that exist already.
struct Records(Arc<Mutex<Vec<String>>>);
impl<S> Layer<S> for Records
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    fn on_record(
        &self,
        id: &tracing::span::Id,
        values: &tracing::span::Record<'_>,
        ctx: Context<'_, S>,
    ) {
        let name = ctx.span(id).unwrap().name();
        self.0.lock().unwrap().push(format!("{name} {values:?}"));
    }
}

#[test]
fn no_status_is_written_into_the_callers_span() {
    use tracing::Instrument;
    let server = server();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry()
        // Spans of requests are `debug`: here there are none.
        .with(Records(seen.clone()).with_filter(tracing::level_filters::LevelFilter::INFO));
    let client = client_of(&server).build().unwrap();
    tracing::subscriber::with_default(subscriber, || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(
            async {
                client
                    .capture_batch([Event::new("a").distinct_id("u")])
                    .await
                    .unwrap();
            }
            .instrument(tracing::info_span!(
                "handler",
                status = tracing::field::Empty
            )),
        );
    });
    assert_eq!(*seen.lock().unwrap(), Vec::<String>::new());
}
