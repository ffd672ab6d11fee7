//! Each option of the layer does what its name says, and nothing before it is chosen.

use crate::layers::{captured, captured_with};
use serde_json::json;
use tracing::{info, info_span, warn};
use tracing_posthog::testing::RecordedEvent;
use tracing_posthog::{PostHog, PostHogClient, PostHogLayerBuilder, SpanFields};

fn emit() {
    info_span!("s", route = "/pay", tenant = 7, card = "4111").in_scope(|| {
        warn!(posthog.event = "paid", amount = 12.5, "charged {}", "ada");
    });
}

fn own(event: &RecordedEvent) -> Vec<&str> {
    let keys = event.properties.keys().map(String::as_str);
    keys.filter(|key| !key.starts_with('$')).collect()
}

#[test]
fn fields_of_its_own_beat_what_is_known_of_the_callsite() {
    let options =
        |o: PostHogLayerBuilder| o.with_level(true).with_target(true).with_busy_idle(true);
    let events = captured_with(options, || {
        info!(posthog.event = "level up", level = 7, target = "boss");
        info_span!("s", posthog.event = "a span", duration_ms = 5, level = 8);
    });
    let p = &events[0].properties;
    assert_eq!((&p["level"], &p["target"]), (&7.into(), &"boss".into()));
    let p = &events[1].properties;
    assert_eq!((&p["level"], &p["duration_ms"]), (&8.into(), &5.into()));
    assert_eq!(p["target"], module_path!());
}

#[test]
fn by_default_an_event_has_its_own_fields_only() {
    assert_eq!(own(&captured(emit)[0]), ["amount"]);
}

#[test]
fn where_it_was_emitted_is_one_option_each() {
    let this = module_path!();
    let expected = [
        ("message", json!("charged ada")),
        ("level", json!("WARN")),
        ("target", json!(this)),
        ("module_path", json!(this)),
        ("file", json!(file!())),
        ("line", json!(null)), // checked below
    ];
    for (name, value) in expected {
        let events = captured_with(
            |o| match name {
                "message" => o.with_message(true),
                "level" => o.with_level(true),
                "target" => o.with_target(true),
                "module_path" => o.with_module_path(true),
                "file" => o.with_file(true),
                _ => o.with_line(true),
            },
            emit,
        );
        let mut keys = own(&events[0]);
        keys.retain(|key| *key != "amount");
        assert_eq!(keys, [name]);
        if name != "line" {
            assert_eq!(events[0].properties[name], value);
        }
    }
    let events = captured_with(|o| o.with_line(true), || info!(posthog.event = "here"));
    assert_eq!(events[0].properties["line"], line!() - 1);
}

#[test]
fn spans_that_become_events_say_where_they_are_too() {
    let events = captured_with(
        |o| o.with_level(true).with_target(true).with_message(true),
        || drop(info_span!(target: "billing", "s", posthog.event = "a span")),
    );
    assert_eq!(events[0].properties["level"], "INFO");
    assert_eq!(events[0].properties["target"], "billing");
    assert!(!events[0].properties.contains_key("message"));
}

#[test]
fn span_fields_are_none_named_or_all() {
    let with = |fields: SpanFields| {
        let events = captured_with(|o| o.span_fields(fields), emit);
        own(&events[0]).join(" ")
    };
    assert_eq!(with(SpanFields::none()), "amount");
    assert_eq!(with(SpanFields::default()), "amount");
    assert_eq!(
        with(SpanFields::named(["route", "tenant"])),
        "amount route tenant"
    );
    assert_eq!(with(SpanFields::named(Vec::<String>::new())), "amount");
    assert_eq!(with(SpanFields::all()), "amount card route tenant");
}

#[test]
fn of_span_fields_too_the_nearest_wins() {
    let events = captured_with(
        |o| o.span_fields(SpanFields::all()),
        || {
            info_span!("far", a = 1, b = 1, c = 1).in_scope(|| {
                info_span!("near", b = 2, c = 2).in_scope(|| info!(posthog.event = "x", c = 3));
            });
        },
    );
    let p = &events[0].properties;
    assert_eq!([&p["a"], &p["b"], &p["c"]], [1, 2, 3]);
}

#[test]
fn the_layer_tells_its_handle_and_whether_it_is_enabled() {
    let captured = tracing_posthog::testing::CapturedEvents::new();
    let layer = captured.layer();
    assert!(layer.is_enabled());
    layer.handle().opt_out();
    assert!(!layer.is_enabled());
    layer.handle().opt_in();
    let client = PostHogClient::builder().project_api_key("phc_test");
    let kept = PostHog::from_parts(client.build().unwrap(), layer.handle().clone());
    assert!(layer.is_enabled());
    drop(kept);
    assert!(!layer.is_enabled(), "nobody delivers what comes now");
}
