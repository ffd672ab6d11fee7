//! The caller's thread: capturing allocates nothing once warm.

use std::time::Duration;
use tracing_posthog::testing::{Answer, Flags, PostHogServer};
use tracing_posthog::{CaptureHandle, EventCaptureBackend, PostHogClient, PostHogLayer};
use tracing_subscriber::prelude::*;

fn backend(server: &PostHogServer) -> CaptureHandle {
    let client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host(server.url())
        .build()
        .unwrap();
    EventCaptureBackend::builder(client)
        .queue_events(100_000)
        .flush_interval(Duration::from_secs(3600))
        .batch_events(50_000)
        .flush_at(50_000)
        .start()
        .unwrap()
}

struct User(u64);

impl std::fmt::Display for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "user-{}@example.com", self.0)
    }
}

fn emit(n: u64) {
    tracing::info!(
        posthog.event = "signup",
        plan = "pro",
        user = %User(n),
        n,
        ratio = 0.5,
        trial = true,
    );
}

/// Allocations of this thread while `f` runs. Other threads are not counted.
fn allocations(f: impl FnOnce()) -> u64 {
    allocation_counter::measure(f).count_total
}

#[test]
fn a_captured_event_in_two_spans_allocates_nothing_once_warm() {
    let server = PostHogServer::start().unwrap();
    let handle = backend(&server);
    let subscriber = tracing_subscriber::registry().with(PostHogLayer::new(handle.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let outer = tracing::info_span!("request", posthog.distinct_id = "user_42");
        let _outer = outer.enter();
        let inner = tracing::info_span!("query", posthog.group.company = "acme");
        let _inner = inner.enter();
        (0..1_000).for_each(emit); // this thread's buffer, and the chunk's first growth
        let count = allocations(|| (0..10_000).for_each(emit));
        // The chunk that is being filled grows by doubling; events themselves allocate nothing.
        assert!(count < 20, "{count} allocations in 10,000 events");
    });
    assert_eq!(handle.stats().captured, 11_000);
}

#[test]
fn an_event_in_a_span_with_flags_allocates_nothing_once_warm() {
    let server = PostHogServer::start().unwrap();
    let handle = backend(&server);
    let flags = Flags::new()
        .on("beta-ui")
        .off("old")
        .variant("checkout", "b");
    let user = flags.build().evaluate("user_42").locally();
    let subscriber = tracing_subscriber::registry().with(PostHogLayer::new(handle.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let ours = tracing::info_span!("request", posthog.distinct_id = "user_42");
        for span in [ours, tracing::info_span!("foreign")] {
            user.attach(&span);
            assert!(user.is_enabled("beta-ui") && !user.is_enabled("old"));
            assert_eq!(user.variant("checkout"), Some("b"));
            let _within = span.enter();
            let inner = tracing::info_span!("query", posthog.group.company = "acme");
            let _inner = inner.enter();
            assert_eq!(
                handle.current_context().properties()["$feature/checkout"],
                "b"
            );
            (0..1_000).for_each(emit);
            let access = |n| {
                emit(n);
                assert!(user.is_enabled("beta-ui"));
            };
            let count = allocations(|| (0..10_000).for_each(access));
            // As above: the chunk grows.
            assert!(count < 20, "{count} allocations in 10,000 events");
        }
    });
    assert_eq!(handle.stats().captured, 22_000);
}

#[test]
fn a_span_with_our_fields_allocates_one_place_for_them() {
    let server = PostHogServer::start().unwrap();
    let handle = backend(&server);
    let subscriber = tracing_subscriber::registry().with(PostHogLayer::new(handle.clone()));
    tracing::subscriber::with_default(subscriber, || {
        let request = |n: u64| {
            let span = tracing::info_span!("request", posthog.distinct_id = n, path = "/signup");
            span.in_scope(|| emit(n));
        };
        (0..1_000).for_each(request);
        let count = allocations(|| (0..10_000).for_each(request));
        assert!(count < 10_020, "{count} allocations in 10,000 requests");
        let unconcerned = |n: u64| tracing::info_span!("query", n, table = "x").in_scope(|| ());
        unconcerned(0);
        assert_eq!(allocations(|| (0..10_000).for_each(unconcerned)), 0);
    });
}

#[test]
fn what_is_not_ours_allocates_nothing() {
    let server = PostHogServer::start().unwrap();
    for handle in [backend(&server), CaptureHandle::disabled()] {
        let subscriber = tracing_subscriber::registry().with(PostHogLayer::new(handle.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("query", n = tracing::field::Empty);
            let unconcerned = |n: u64| {
                tracing::info!(n, kind = "x", "a log line");
                tracing::trace!(n, kind = "x", "a fine one");
                span.record("n", n);
                span.in_scope(|| tracing::info!(n, "within"));
            };
            unconcerned(0);
            assert_eq!(allocations(|| (1..1_000).for_each(unconcerned)), 0);
        });
        assert_eq!(handle.stats().captured, 0);
    }
}

#[test]
fn a_full_queue_costs_no_allocation() {
    let server = PostHogServer::start().unwrap();
    server.answer_with(|_| Some(Answer::stall()));
    let client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host(server.url())
        .build()
        .unwrap();
    let handle = EventCaptureBackend::builder(client)
        .queue_events(1_000)
        .shutdown_timeout(Duration::from_millis(50))
        .start()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(PostHogLayer::new(handle.clone()));
    tracing::subscriber::with_default(subscriber, || {
        (0..2_000).for_each(emit);
        let count = allocations(|| (0..10_000).for_each(emit));
        assert_eq!(count, 0, "an event that will not be taken is not built");
    });
    let stats = handle.stats();
    assert_eq!(stats.captured, 12_000);
    assert_eq!(stats.dropped.total(), 11_000);
}

#[cfg(feature = "tower")]
#[test]
fn the_span_of_a_request_allocates_as_a_span_by_hand_does() {
    use http::{Request, Response};
    use http_body::Body;
    use std::convert::Infallible;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use tower_layer::Layer;
    use tower_service::Service;
    use tracing_posthog::tower::RequestContextLayer;

    let request = || {
        Request::get("/")
            .header(
                "x-posthog-session-id",
                "0195f0aa-1111-7222-8333-444455556666",
            )
            .header("x-posthog-distinct-id", "user_42")
            .body(())
    };
    let layer = RequestContextLayer::new().trust_distinct_id_header();
    let mut service = layer.layer(tower::service_fn(|_: Request<()>| {
        emit(1);
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let mut serve = |request| {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut context) else {
            panic!("it waits");
        };
        let body = pin!(response.into_body());
        assert!(body.poll_frame(&mut context).is_ready());
    };
    let by_hand = || {
        let session = "0195f0aa-1111-7222-8333-444455556666";
        let span = tracing::info_span!(
            "request",
            posthog.distinct_id = "user_42",
            posthog.session_id = session
        );
        span.in_scope(|| emit(1));
    };

    let server = PostHogServer::start().unwrap();
    let handle = backend(&server);
    let subscriber = tracing_subscriber::registry().with(PostHogLayer::new(handle.clone()));
    tracing::subscriber::with_default(subscriber, || {
        (0..1_000).for_each(|_| serve(request().unwrap())); // this thread's buffer, and the chunk's first growth
        let requests: Vec<_> = (0..10_000).map(|_| request().unwrap()).collect();
        let with_layer = allocations(|| requests.into_iter().for_each(&mut serve));
        let without = allocations(|| (0..10_000).for_each(|_| by_hand()));
        assert!(
            with_layer < without + 20,
            "{with_layer} allocations in 10,000 requests, {without} by hand"
        );
    });
    handle.shutdown_blocking(Duration::ZERO);
}
