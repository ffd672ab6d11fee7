//! Nothing that the crate, its hooks or the HTTP stack emit while it delivers is captured. Alone in its
//! process: only a global subscriber hears the actor's thread.

use crate::layers::Seen;
use crate::own_process::own_process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tracing::level_filters::LevelFilter;
use tracing::{info, info_span};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, DropReason, Event, EventCaptureBackend, PostHogClient,
    PostHogLayer, SpanFields,
};
use tracing_subscriber::prelude::*;

/// Captures in every way there is.
fn echo(handle: &CaptureHandle) {
    info!(posthog.event = "echo", "an event");
    info_span!("echo", posthog.event = "echo").in_scope(|| info!(posthog.event = "echo"));
    handle.capture(Event::new("echo"));
}

/// A server, and settings whose hooks emit events of their own, through `handle` too.
fn backend() -> (
    PostHogServer,
    CaptureBuilder,
    Arc<std::sync::OnceLock<CaptureHandle>>,
    Arc<AtomicU64>,
) {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host(server.url())
        .build()
        .unwrap();
    let handle = Arc::new(std::sync::OnceLock::<CaptureHandle>::new());
    let calls = Arc::new(AtomicU64::new(0));
    let (in_hook, in_error) = (handle.clone(), handle.clone());
    let (hook_calls, error_calls) = (calls.clone(), calls.clone());
    let settings = EventCaptureBackend::builder(client)
        .before_send(move |event| {
            hook_calls.fetch_add(1, Relaxed);
            echo(in_hook.get().unwrap());
            if event.name == "makes the hook panic" {
                std::panic::resume_unwind(Box::new(()));
            }
            Some(event)
        })
        .on_error(move |_| {
            error_calls.fetch_add(1_000, Relaxed);
            echo(in_error.get().unwrap());
        });
    (server, settings, handle, calls)
}

#[test]
fn only_the_programs_own_events_are_captured() {
    own_process!();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let own = backend();
    let shared = backend();
    let handles = [
        own.1.start().unwrap(),
        shared.1.spawn_on(runtime.handle()).start().unwrap(),
    ];
    own.2.set(handles[0].clone()).unwrap();
    shared.2.set(handles[1].clone()).unwrap();
    let layers = handles.each_ref().map(|handle| {
        PostHogLayer::builder(handle.clone())
            .max_level(LevelFilter::TRACE)
            .span_fields(SpanFields::all())
            .build()
    });
    let [first, second] = layers;
    let seen = Seen::default();
    tracing_subscriber::registry()
        .with(seen.layer())
        .with(first)
        .with(second)
        .init();

    // A batch that is refused for good, so that the other hook runs, and others that are taken.
    for server in [&own.0, &shared.0] {
        server.answer_next(Answer::status(400));
    }
    let send = |names: &[&str]| {
        info_span!("s", posthog.distinct_id = "ada", posthog.unknown = 1).in_scope(|| {
            for name in names {
                info!(posthog.event = *name);
            }
        });
        for handle in &handles {
            let report = handle.flush_blocking(Duration::from_secs(20));
            assert_eq!(report.pending, 0, "{report}");
        }
    };
    send(&["refused"]);
    send(&["x"; 50]);
    send(&["x", "makes the hook panic", "x"]);

    for ((server, handle), calls) in [&own.0, &shared.0]
        .iter()
        .zip(&handles)
        .zip([&own.3, &shared.3])
    {
        let stats = handle.stats();
        assert_eq!(stats.captured, 54, "{stats:?}");
        assert_eq!(stats.delivered, 52);
        assert_eq!(stats.dropped.by(DropReason::Rejected), 1);
        assert_eq!(stats.dropped.by(DropReason::BeforeSend), 1);
        assert_eq!(server.event_count(), 52);
        assert!(server.events().iter().all(|e| e.event == "x"));
        assert_eq!(calls.load(Relaxed), 2_054, "both hooks ran");
    }
    // All of that was there to be captured.
    let echoes = seen.with("posthog.event=\"echo\"").len();
    assert_eq!(
        echoes,
        2 * 3 * (54 + 2),
        "of two actors, three in each of their hooks"
    );
    assert!(
        !seen.with("posthog_attempt").is_empty(),
        "the crate's own spans"
    );
    assert_eq!(
        seen.with("unknown posthog field").len(),
        2,
        "its diagnostics, once for each"
    );
    assert!(!seen.with(" hyper").is_empty(), "the HTTP stack's");
}
