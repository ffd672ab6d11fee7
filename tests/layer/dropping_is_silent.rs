//! Layer, handle, `PostHog` and subscriber can be made and dropped anywhere: a layer that logs when it is
//! dropped would lock up the registry of callsites.

use crate::layers::Seen;
use std::time::Duration;
use tracing::info;
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, Event, EventCaptureBackend, PostHog, PostHogClient, PostHogLayer,
};
use tracing_subscriber::prelude::*;

fn backend() -> (PostHogServer, CaptureBuilder) {
    let server = PostHogServer::start().unwrap();
    let client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host(server.url())
        .build()
        .unwrap();
    (server, EventCaptureBackend::builder(client))
}

#[test]
fn making_and_dropping_layer_handle_and_posthog_emits_nothing_on_this_thread_but_the_line_at_the_start()
 {
    let (_server, settings) = backend();
    let seen = Seen::default();
    let subscriber = tracing_subscriber::registry().with(seen.layer());
    tracing::subscriber::with_default(subscriber, || {
        let handle = settings.start().unwrap();
        let lines = seen.lines();
        assert!(lines.len() == 1 && lines[0].contains("capturing to"));
        let layer = PostHogLayer::new(handle.clone());
        let client = PostHogClient::builder()
            .project_api_key("phc_test")
            .host("http://127.0.0.1:9");
        let kept = PostHog::from_parts(client.build().unwrap(), handle.clone());
        handle.capture(Event::new("x"));
        drop(layer);
        drop(kept);
        assert_eq!(handle.stats().delivered, 1);
        drop(handle);
        drop(PostHogLayer::new(CaptureHandle::disabled()));
        assert_eq!(seen.lines(), lines);
    });
}

#[test]
fn a_subscriber_with_the_layer_can_be_dropped_while_it_is_the_default() {
    let (_server, settings) = backend();
    let handle = settings.start().unwrap();
    let layer = PostHogLayer::new(handle.clone());
    let subscriber = tracing_subscriber::registry().with(layer);
    let default = tracing::subscriber::set_default(subscriber);
    info!(posthog.event = "x");
    drop(default);
    info!(posthog.event = "nobody hears it");
    let report = handle.shutdown_blocking(Duration::from_secs(20));
    assert!(report.is_complete(), "{report}");
    assert_eq!(handle.stats().delivered, 1);
}
