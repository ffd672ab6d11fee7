//! Names that are the same once their NUL characters are replaced are one.

use crate::callsites::{Held, emit};
use crate::support::*;
use serde_json::{Map, Value, json};
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{CaptureBuilder, Event, PostHogLayer};
use tracing_subscriber::prelude::*;

/// Runs `f` with a handle and a layer of a backend.
fn sent(
    options: impl FnOnce(CaptureBuilder) -> CaptureBuilder,
    f: impl FnOnce(&tracing_posthog::CaptureHandle),
) -> PostHogServer {
    let server = server();
    let posthog = options(capture_to(&server)).start().unwrap();
    let layer = PostHogLayer::new(posthog.clone());
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || f(&posthog));
    let report = posthog.shutdown_blocking(LONG);
    assert_eq!(report.delivered, 1, "{report}");
    assert_eq!(server.duplicate_keys_seen(), 0, "{:?}", server.events());
    server
}

fn twice() -> Map<String, Value> {
    let both = json!({"a\0": "x", "a\u{fffd}": "x", "b": 1});
    both.as_object().unwrap().clone()
}

fn once() -> Value {
    json!({"a\u{fffd}": "x", "b": 1})
}

fn event() -> Event {
    let mut event = Event::new("x").distinct_id("ada");
    (event.properties, event.set, event.set_once) = (twice(), twice(), twice());
    event.group("g\0", "x").group("g\u{fffd}", "x")
}

#[test]
fn in_an_event_that_was_built_by_hand() {
    for hooked in [false, true] {
        let server = sent(
            |b| match hooked {
                true => {
                    b.before_send(|event| Some(event.property("c\0", 1).property("c\u{fffd}", 1)))
                }
                false => b,
            },
            |posthog| posthog.capture(event()),
        );
        let p = &server.events()[0].properties;
        assert_eq!((&p["$set"], &p["$set_once"]), (&once(), &once()));
        assert_eq!(p["$groups"], json!({"g\u{fffd}": "x"}));
        assert_eq!((&p["a\u{fffd}"], &p["b"]), (&json!("x"), &json!(1)));
        assert_eq!(p.contains_key("c\u{fffd}"), hooked);
    }
}

#[test]
fn in_a_default_property_beside_an_events_own() {
    let server = sent(
        |b| {
            b.default_property("a\0", "default")
                .default_property("d\0", "default")
        },
        |posthog| posthog.capture(Event::new("x").property("a\u{fffd}", "own")),
    );
    let p = &server.events()[0].properties;
    assert_eq!(
        (&p["a\u{fffd}"], &p["d\u{fffd}"]),
        (&json!("own"), &json!("default"))
    );
}

#[test]
fn in_fields() {
    let made = [
        "a\0",
        "a\u{fffd}",
        "posthog.set.a\0",
        "posthog.set.a\u{fffd}",
    ];
    let made: Vec<_> = made
        .map(|name| (name.to_owned(), Held::Text("x".to_owned())))
        .into();
    let server = sent(|b| b, |_| emit(&made));
    let p = &server.events()[0].properties;
    assert_eq!(p["a\u{fffd}"], "x");
}
