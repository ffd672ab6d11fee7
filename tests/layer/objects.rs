//! `$set`, `$set_once` and `$groups` may also come as objects: they are merged with what the grammar says.

use crate::layers::{captured_with, diagnostics, one};
use serde_json::{Value, json};
use tracing::{info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{Event, SpanFields};

fn by_hand(event: Event) -> RecordedEvent {
    let captured = CapturedEvents::new();
    captured.handle().capture(event.distinct_id("ada"));
    captured.events().remove(0)
}

#[test]
fn an_object_and_what_is_set_beside_it_are_one() {
    let event = by_hand(
        Event::new("x")
            .property("$set", json!({"a": "object", "b": "object"}))
            .set("b", "own")
            .set("c", "own")
            .property("$set_once", json!({"a": 1}))
            .set_once("b", 2)
            .property(
                "$groups",
                json!({"company": "object", "team": 7, "none": ""}),
            )
            .group("company", "own"),
    );
    let p = &event.properties;
    assert_eq!(p["$set"], json!({"a": "object", "b": "own", "c": "own"}));
    assert_eq!(p["$set_once"], json!({"a": 1, "b": 2}));
    assert_eq!(p["$groups"], json!({"company": "own", "team": "7"}));
}

#[test]
fn the_nearest_wins_key_by_key() {
    let object = |groups: Value| json!({ "$groups": groups, "$set": {"near": 1} }).to_string();
    let event = one(|| {
        let outer = object(json!({"a": "outer", "b": "outer", "c": "outer"}));
        let inner = object(json!({"a": "inner", "b": "inner"}));
        info_span!(
            "outer",
            posthog.distinct_id = "ada",
            posthog.properties = outer,
            posthog.group.d = "outer"
        )
        .in_scope(|| {
            info_span!(
                "inner",
                posthog.properties = inner,
                posthog.group.d = "inner"
            )
            .in_scope(|| {
                info!(
                    posthog.event = "x",
                    posthog.properties = r#"{"$groups": {"a": "event"}, "$set": {"a": 1, "b": 1}}"#,
                    posthog.set.a = 2,
                );
            });
        });
    });
    let p = &event.properties;
    assert_eq!(
        p["$groups"],
        json!({"a": "event", "b": "inner", "c": "outer", "d": "inner"})
    );
    assert_eq!((&p["$set"]["a"], &p["$set"]["b"]), (&json!(2), &json!(1)));
}

#[test]
fn a_span_outside_gives_way_to_an_object_of_the_event() {
    let event = one(|| {
        info_span!(
            "s",
            posthog.distinct_id = "ada",
            posthog.group.company = "span",
            posthog.group.team = "span"
        )
        .in_scope(|| {
            info!(
                posthog.event = "x",
                posthog.properties = r#"{"$groups": {"company": "event"}}"#
            );
        });
    });
    assert_eq!(
        event.properties["$groups"],
        json!({"company": "event", "team": "span"})
    );
}

#[test]
fn a_group_is_described_by_the_object_nearest_to_the_event() {
    let event = one(|| {
        info_span!("s", posthog.group.workspace = "w1").in_scope(|| {
            info!(
                posthog.event = "$groupidentify",
                posthog.properties = r#"{"$groups": {"company": "acme"}, "$set": {"plan": "pro"}}"#,
            );
        });
    });
    let p = &event.properties;
    assert_eq!(
        (&p["$group_type"], &p["$group_key"]),
        (&json!("company"), &json!("acme"))
    );
    assert_eq!(p["$group_set"], json!({"plan": "pro"}));
    assert!(
        !p.contains_key("$groups") && !p.contains_key("$set"),
        "{p:?}"
    );
}

#[test]
fn what_is_no_object_is_said_where_it_gives_way() {
    let mut properties = Vec::new();
    let lines = diagnostics(|captured| {
        let event = Event::new("x")
            .distinct_id("ada")
            .property("$groups", "acme");
        captured.handle().capture(event.group("company", "acme"));
        properties = captured.events();
    });
    assert_eq!(
        properties[0].properties["$groups"],
        json!({"company": "acme"})
    );
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("field=\"$groups\"") && lines[0].contains("object"),
        "{lines:?}"
    );
}

#[test]
fn text_of_an_object_in_a_field_is_no_object() {
    let events = captured_with(
        |o| o.span_fields(SpanFields::all()),
        || {
            info!(
                posthog.event = "x",
                posthog.distinct_id = "ada",
                "$set" = r#"{"a": 1}"#
            )
        },
    );
    assert_eq!(events[0].properties["$set"], r#"{"a": 1}"#);
}

#[test]
fn an_empty_group_in_an_object_takes_no_outer_one_away() {
    let event = one(|| {
        info_span!(
            "s",
            posthog.distinct_id = "ada",
            posthog.group.company = "acme"
        )
        .in_scope(|| {
            info!(
                posthog.event = "x",
                posthog.properties = r#"{"$groups": {"company": "", "team": null}}"#,
            );
        });
    });
    assert_eq!(event.properties["$groups"], json!({"company": "acme"}));
}
