//! `PostHog` and its builder: every setting arrives, every mistake is named, and the drop delivers.

use crate::support::*;
use std::time::Instant;
use tracing::{info, info_span};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CaptureHandle, DropReason, Event, EventCaptureBackend, Method, PostHog, PostHogBuilder,
    PostHogClient, PostHogError, PostHogLayer, Region, SpanFields,
};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

fn builder_of(server: &PostHogServer) -> PostHogBuilder {
    PostHog::builder()
        .project_api_key(PROJECT_KEY)
        .host(server.url())
        .client(|client| client.retry(quick()))
        .shutdown_timeout(LONG)
}

async fn ask(client: &PostHogClient) -> Result<serde_json::Value, PostHogError> {
    client
        .request(Method::GET, "/api/users/@me/")
        .send_as()
        .await
}

fn answer_rest_calls(server: &PostHogServer) {
    server.answer_with(|request| {
        let rest = request.path.starts_with("/api/");
        rest.then(|| Answer::status(200).json(serde_json::json!({"distinct_id": "ada"})))
    });
}

#[test]
fn the_short_settings_of_all_three_parts_arrive() {
    let server = server();
    let (layer, posthog) = builder_of(&server)
        .default_property("app_version", "1.2.3")
        .before_send(|mut event| {
            event.properties.remove("email");
            Some(event)
        })
        .flush_interval(ms(20))
        .max_level(LevelFilter::DEBUG)
        .span_fields(SpanFields::named(["route"]))
        .start()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let _span = info_span!("request", route = "/pricing").entered();
        tracing::debug!(posthog.event = "viewed", email = "ada@example.com");
    });
    // Sent by the interval, with no flush.
    wait_until("the event", || server.event_count() == 1);
    drop(posthog);
    let event = &server.events()[0];
    assert_eq!((&*event.event, &*event.api_key), ("viewed", PROJECT_KEY));
    let p = &event.properties;
    assert_eq!(
        [&p["app_version"], &p["route"]],
        ["1.2.3", "/pricing"],
        "{p:?}"
    );
    assert!(!p.contains_key("email"), "{p:?}");
}

#[test]
fn the_builders_of_all_three_parts_are_within_reach() {
    let server = server();
    let (layer, posthog) = builder_of(&server)
        .client(|client| client.header("x-proxy-token", "let-me-in"))
        .capture(|capture| capture.event_bytes(2_000).flush_at(1))
        .layer(|layer| layer.with_message(true).distinct_id("host_1"))
        .start()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        info!(posthog.event = "small", "it is small");
        info!(posthog.event = "large", text = "x".repeat(4_000));
    });
    let report = posthog.shutdown_blocking(LONG);
    assert_eq!(
        (
            report.delivered,
            posthog.stats().dropped.by(DropReason::TooLarge)
        ),
        (1, 1)
    );
    let events = server.events();
    assert_eq!(events[0].properties["message"], "it is small");
    assert_eq!(events[0].distinct_id, "host_1");
    let request = &server.requests()[0];
    assert_eq!(request.header("x-proxy-token"), Some("let-me-in"));
}

#[test]
fn the_last_of_two_values_counts_whichever_way_they_are_given() {
    let server = server();
    for first_is_short in [true, false] {
        let builder = builder_of(&server);
        let (_, posthog) = match first_is_short {
            true => builder
                .default_property("tier", "first")
                .capture(|capture| capture.default_property("tier", "second")),
            false => builder
                .capture(|capture| capture.default_property("tier", "first"))
                .default_property("tier", "second"),
        }
        .start()
        .unwrap();
        posthog.handle().capture(Event::new("e"));
        drop(posthog);
    }
    let tiers: Vec<_> = server
        .events()
        .iter()
        .map(|e| e.properties["tier"].clone())
        .collect();
    assert_eq!(tiers, ["second", "second"]);
}

#[test]
fn a_mistake_in_any_part_is_named() {
    type Set = fn(PostHogBuilder) -> PostHogBuilder;
    let cases: [(&str, Set); 11] = [
        ("project_api_key", |b| b),
        ("project_api_key", |b| b.project_api_key("phx_personal")),
        ("personal_api_key", |b| {
            b.disabled(true).personal_api_key("phc_project")
        }),
        ("host", |b| b.disabled(true).host("eu.posthog.com")),
        ("host", |b| {
            b.disabled(true).host("http://localhost").region(Region::Eu)
        }),
        ("attempt_timeout", |b| {
            b.disabled(true)
                .client(|client| client.attempt_timeout(ms(0)))
        }),
        ("flush_interval", |b| b.disabled(true).flush_interval(ms(0))),
        ("default_property", |b| {
            b.disabled(true).default_property("", 1)
        }),
        ("queue_events", |b| {
            b.disabled(true).capture(|capture| capture.queue_events(0))
        }),
        ("capture", |b| {
            b.project_api_key(PROJECT_KEY)
                .capture(|_| capture_with(client_at("http://127.0.0.1:9")))
        }),
        ("layer", |b| {
            b.project_api_key(PROJECT_KEY).layer(|_| {
                let other = capture_with(client_at("http://127.0.0.1:9")).start();
                PostHogLayer::builder(other.unwrap())
            })
        }),
    ];
    for (setting, set) in cases {
        let error = set(PostHog::builder()).start().unwrap_err();
        let PostHogError::Config { setting: named, .. } = &error else {
            panic!("{setting}: {error}");
        };
        assert_eq!(*named, setting, "{error}");
    }
}

#[test]
fn a_builder_that_is_started_within_its_closure_says_who_starts_it() {
    let mut said = String::new();
    let _ = PostHog::builder()
        .project_api_key(PROJECT_KEY)
        .capture(|capture| {
            said = capture.start().unwrap_err().to_string();
            capture_with(client_at("http://127.0.0.1:9"))
        });
    assert!(
        said.contains("capture") && said.contains("PostHogBuilder"),
        "{said}"
    );
}

#[tokio::test]
async fn where_capturing_is_disabled_the_client_works_and_nothing_is_captured() {
    let server = server();
    answer_rest_calls(&server);
    let (layer, posthog) = PostHog::builder()
        .personal_api_key(PERSONAL_KEY)
        .host(server.url())
        .disabled(true)
        .start()
        .unwrap();
    assert!(!posthog.is_enabled() && !layer.is_enabled() && posthog.stats().disabled);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || info!(posthog.event = "unseen"));
    posthog.handle().capture(Event::new("unseen"));
    assert_eq!(posthog.flush().await, Default::default());
    assert_eq!(ask(posthog.client()).await.unwrap()["distinct_id"], "ada");
    drop(posthog);
    assert_eq!((server.event_count(), server.request_count()), (0, 1));
}

#[tokio::test]
async fn a_client_without_a_key_says_which_one_a_call_needs() {
    let (_, posthog) = PostHog::builder().disabled(true).start().unwrap();
    let error = ask(posthog.client()).await.unwrap_err();
    assert!(error.to_string().contains("personal_api_key"), "{error}");
    let events = [Event::new("e").distinct_id("ada")];
    let error = posthog.client().capture_batch(events).await.unwrap_err();
    assert!(error.to_string().contains("project_api_key"), "{error}");
}

#[tokio::test]
async fn capturing_and_the_client_are_one() {
    let server = server();
    answer_rest_calls(&server);
    let (_, posthog) = builder_of(&server)
        .personal_api_key(PERSONAL_KEY)
        .before_send(|event| (event.name != "secret").then_some(event))
        .start()
        .unwrap();
    // The hook counts for events that are sent at once.
    let secret = Event::new("secret").distinct_id("ada");
    let summary = posthog.client().capture_batch([secret]).await.unwrap();
    assert_eq!(summary.dropped.by(DropReason::BeforeSend), 1);
    posthog.handle().capture(Event::new("e"));
    assert_eq!(posthog.shutdown().await.delivered, 1);
    // The end of capturing is not the end of the REST API.
    assert_eq!(ask(posthog.client()).await.unwrap()["distinct_id"], "ada");
}

#[test]
fn a_program_without_a_layer_keeps_one_too() {
    let server = server();
    let (_, posthog) = builder_of(&server).start().unwrap();
    posthog.handle().capture(Event::new("e"));
    drop(posthog);
    assert_eq!(names(&server.events()), ["e"]);
}

/// The runtime has one thread, which nothing drives but this test.
#[test]
fn the_actor_can_live_on_a_runtime_of_the_program() {
    let server = server();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().build().unwrap();
    let (_, posthog) = builder_of(&server)
        .capture(|capture| capture.spawn_on(runtime.handle()))
        .start()
        .unwrap();
    posthog.handle().capture(Event::new("e"));
    assert_eq!(runtime.metrics().num_alive_tasks(), 1);
    assert_eq!(runtime.block_on(posthog.shutdown()).delivered, 1);
    assert_eq!(names(&server.events()), ["e"]);
    let without_timers = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let builder = builder_of(&server).disabled(true);
    let started = builder
        .capture(|capture| capture.spawn_on(without_timers.handle()))
        .start();
    let error = started.unwrap_err().to_string();
    assert!(error.starts_with("spawn_on: "), "{error}");
}

#[test]
fn parts_that_were_made_one_by_one_can_be_kept() {
    let server = server();
    let client = client_of(&server).build().unwrap();
    let handle = EventCaptureBackend::builder(client.clone())
        .start()
        .unwrap();
    let posthog = PostHog::from_parts(client, handle.clone());
    assert!(posthog.is_enabled());
    handle.capture(Event::new("e"));
    drop(posthog);
    assert!(!handle.is_enabled());
    assert_eq!(names(&server.events()), ["e"]);
}

/// A PostHog that never answers, timeouts that never end, and one event.
fn hung(server: &PostHogServer) -> PostHog {
    server.answer_with(|_| Some(Answer::stall()));
    let (_, posthog) = builder_of(server)
        .capture(|capture| capture.flush_timeout(LONG))
        .start()
        .unwrap();
    posthog.handle().capture(Event::new("e"));
    posthog
}

#[tokio::test]
async fn waiting_ends_after_the_given_time_in_async_code() {
    let server = server();
    let posthog = hung(&server);
    let start = Instant::now();
    assert_eq!(posthog.flush_within(ms(20)).await.pending, 1);
    assert!(posthog.is_enabled());
    let report = posthog.shutdown_within(ms(20)).await;
    assert_eq!(report.dropped + report.pending, 1, "{report}");
    drop(posthog);
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
}

#[test]
fn waiting_ends_after_the_given_time_in_blocking_code() {
    let server = server();
    let posthog = hung(&server);
    let start = Instant::now();
    assert_eq!(posthog.flush_blocking(ms(20)).pending, 1);
    assert!(posthog.is_enabled());
    let report = posthog.shutdown_blocking(ms(20));
    assert_eq!(report.dropped + report.pending, 1, "{report}");
    drop(posthog);
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
}

/// The default timeouts are shorter than `LONG`, so only the given one can have counted.
#[tokio::test]
async fn waiting_may_take_longer_than_the_timeouts_of_the_builder() {
    let server = server();
    let held = Held::by(&server);
    let (_, posthog) = builder_of(&server)
        .shutdown_timeout(ms(0))
        .capture(|capture| capture.flush_timeout(ms(0)))
        .start()
        .unwrap();
    posthog.handle().capture(Event::new("e"));
    assert_eq!(posthog.flush().await.pending, 1);
    let answer = async {
        tokio::task::yield_now().await;
        drop(held);
    };
    let (report, ()) = tokio::join!(posthog.flush_within(LONG), answer);
    assert_eq!(report.delivered, 1, "{report}");
    posthog.handle().capture(Event::new("e"));
    let report = posthog.shutdown_within(LONG).await;
    assert_eq!(report.delivered, 1, "{report}");
}

#[tokio::test]
async fn a_disabled_handle_waits_for_nothing() {
    let handle = CaptureHandle::disabled();
    assert_eq!(handle.flush_within(LONG).await, Default::default());
    assert_eq!(handle.shutdown_within(LONG).await, Default::default());
}
