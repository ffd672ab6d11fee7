//! The context that events inherit can be read back.

use serde_json::json;
use std::collections::BTreeMap;
use tracing::field::Empty;
use tracing::{Instrument, debug_span, info, info_span};
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{CaptureHandle, PostHogContext, PostHogLayer, SpanFields};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{registry, reload};

/// The context here, which must be what an event here inherits.
fn here(captured: &CapturedEvents) -> PostHogContext {
    info!(posthog.event = "here");
    let event = captured.find("here").unwrap();
    let context = captured.handle().current_context();
    match context.distinct_id() {
        Some(id) => assert_eq!(event.distinct_id, id),
        None => assert_eq!(event.properties["$process_person_profile"], false),
    }
    let session = event
        .properties
        .get("$session_id")
        .and_then(|id| id.as_str());
    assert_eq!(context.session_id(), session);
    let groups = event.properties.get("$groups").cloned();
    assert_eq!(json!(context.groups()), groups.unwrap_or(json!({})));
    for (name, value) in context.properties() {
        assert_eq!(&event.properties[name], value, "{name}");
    }
    captured.take();
    context
}

#[test]
fn it_holds_what_events_inherit_and_the_nearest_value_wins() {
    let captured = CapturedEvents::new();
    let layer =
        PostHogLayer::builder(captured.handle()).span_fields(SpanFields::named(["route", "n"]));
    tracing::subscriber::with_default(registry().with(layer.build()), || {
        let far = info_span!(
            "far",
            posthog.distinct_id = "ada",
            posthog.group.company = "acme",
            posthog.group.team = 1,
            posthog.properties = r#"{"plan": "free", "seats": 3}"#,
            route = "/far",
            secret = "x"
        );
        let _far = far.enter();
        let near = info_span!(
            "near",
            posthog.distinct_id = Empty,
            posthog.session_id = "s1",
            posthog.group.team = 2,
            posthog.set.email = "ada@example.com",
            plan = "pro",
            n = 7,
            posthog.properties = r#"{"plan": "pro"}"#
        );
        info_span!("plain").in_scope(|| {
            let context = near.in_scope(|| here(&captured));
            assert_eq!(context.distinct_id(), Some("ada"));
            assert_eq!(context.session_id(), Some("s1"));
            assert_eq!(context.group("company"), Some("acme"));
            let groups = [("company", "acme"), ("team", "2")].map(|(k, v)| (k.into(), v.into()));
            assert_eq!(context.groups(), &BTreeMap::from(groups));
            let properties = json!({"plan": "pro", "seats": 3, "route": "/far", "n": 7});
            assert_eq!(json!(context.properties()), properties);
            assert_eq!(here(&captured).session_id(), None);
        });
        near.record("posthog.distinct_id", 42);
        near.in_scope(|| assert_eq!(here(&captured).distinct_id(), Some("42")));
    });
}

#[test]
fn it_is_empty_outside_but_for_the_layers_own_id() {
    let captured = CapturedEvents::new();
    assert!(captured.handle().current_context().is_empty());
    assert!(CaptureHandle::disabled().current_context().is_empty());
    tracing::subscriber::with_default(registry().with(captured.layer()), || {
        assert!(here(&captured).is_empty());
        info_span!("plain", n = 1).in_scope(|| assert!(here(&captured).is_empty()));
        debug_span!("hidden", posthog.distinct_id = "ada")
            .in_scope(|| assert!(here(&captured).is_empty()));
        let other = CapturedEvents::new();
        info_span!("s", posthog.distinct_id = "ada").in_scope(|| {
            assert!(
                other.handle().current_context().is_empty(),
                "of another layer"
            );
        });
    });
    let layer = PostHogLayer::builder(captured.handle()).distinct_id("device_1");
    tracing::subscriber::with_default(registry().with(layer.build()), || {
        assert_eq!(here(&captured).distinct_id(), Some("device_1"));
        info_span!("s", posthog.distinct_id = "ada")
            .in_scope(|| assert_eq!(here(&captured).distinct_id(), Some("ada")));
    });
}

#[test]
fn it_is_that_of_its_own_handle_also_in_wrappers() {
    let all: [_; 5] = std::array::from_fn(|_| CapturedEvents::new());
    let [plain, boxed, option, filtered, reloaded] = &all;
    let not_inner = filter_fn(|metadata| metadata.name() != "inner");
    let (reloaded, reload) = reload::Layer::new(reloaded.layer());
    let subscriber = registry()
        .with(option.layer().with_filter(not_inner).boxed())
        .with(boxed.layer().boxed())
        .with(reloaded)
        .with(filtered.layer().with_filter(filter_fn(|_| true)))
        .with(plain.layer());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("outer", posthog.distinct_id = "ada");
        let _outer = span.enter();
        for _ in 0..2 {
            info_span!("inner", posthog.distinct_id = "bob").in_scope(|| {
                info_span!("plain").in_scope(|| {
                    let ids = all.each_ref().map(|captured| {
                        let context = captured.handle().current_context();
                        context.distinct_id().unwrap_or("nobody").to_owned()
                    });
                    assert_eq!(ids, ["bob", "bob", "ada", "bob", "bob"]);
                });
            });
            reload.reload(all[4].layer()).unwrap();
        }
    });
}

#[test]
fn it_follows_the_span_to_other_threads_and_tasks() {
    let captured = CapturedEvents::new();
    let handle = captured.handle();
    let dispatch = tracing::Dispatch::new(registry().with(captured.layer()));
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("s", posthog.distinct_id = "ada");
        let read = async move { handle.current_context().distinct_id().map(str::to_owned) };
        let task = read.instrument(span);
        let dispatch = dispatch.clone();
        let id = std::thread::spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || {
                tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap()
                    .block_on(task)
            })
        });
        assert_eq!(id.join().unwrap().as_deref(), Some("ada"));
    });
}

#[test]
fn its_debug_output_has_names_only() {
    let captured = CapturedEvents::new();
    let layer = PostHogLayer::builder(captured.handle()).span_fields(SpanFields::all());
    tracing::subscriber::with_default(registry().with(layer.build()), || {
        let span = info_span!(
            "s",
            posthog.distinct_id = "ada",
            posthog.group.company = "acme",
            card = "4711"
        );
        let shown = span.in_scope(|| format!("{:?}", captured.handle().current_context()));
        assert!(
            shown.contains("company") && shown.contains("card"),
            "{shown}"
        );
        for value in ["ada", "acme", "4711"] {
            assert!(!shown.contains(value), "{shown}");
        }
    });
}
