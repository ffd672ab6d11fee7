//! Objects among the default properties and from hooks are merged with those of the events; and large integers there
//! are written as the setting says.

use crate::support::*;
use serde_json::{Value, json};
use tracing_posthog::testing::RecordedEvent;
use tracing_posthog::{CaptureBuilder, CaptureProtocol, Event};

#[track_caller]
fn sent(event: Event, options: impl Fn(CaptureBuilder) -> CaptureBuilder) -> RecordedEvent {
    let mut arrived = Vec::new();
    for protocol in [CaptureProtocol::V0, CaptureProtocol::V1] {
        let server = server();
        let posthog = options(capture_to(&server).protocol(protocol))
            .start()
            .unwrap();
        posthog.capture(event.clone());
        let report = posthog.shutdown_blocking(LONG);
        assert_eq!(
            (report.delivered, server.duplicate_keys_seen()),
            (1, 0),
            "{report}"
        );
        arrived.extend(server.events());
    }
    assert_eq!(
        arrived[0].properties["$groups"],
        arrived[1].properties["$groups"]
    );
    arrived.remove(0)
}

fn ada() -> Event {
    Event::new("x").distinct_id("ada")
}

fn defaults(b: CaptureBuilder) -> CaptureBuilder {
    b.default_property(
        "$groups",
        json!({"instance": "i1", "company": "default", "shard": 7}),
    )
    .default_property("$set", json!({"from": "default", "by": "default"}))
}

#[test]
fn default_groups_and_person_properties_stay_beside_an_events_own() {
    let event = ada().group("company", "acme").set("by", "event");
    let hooked = |b: CaptureBuilder| defaults(b).before_send(Some);
    for event in [sent(event.clone(), defaults), sent(event, hooked)] {
        let p = &event.properties;
        assert_eq!(
            p["$groups"],
            json!({"instance": "i1", "company": "acme", "shard": "7"})
        );
        assert_eq!(p["$set"], json!({"from": "default", "by": "event"}));
    }
    let event = sent(ada(), defaults);
    assert_eq!(
        event.properties["$groups"],
        json!({"instance": "i1", "company": "default", "shard": "7"})
    );
}

#[test]
fn a_group_is_described_also_where_all_events_have_groups() {
    let event = Event::new("$groupidentify")
        .group("company", "acme")
        .set("plan", "pro");
    let event = sent(event.property("$groups", Value::Null), defaults);
    assert_eq!(event.properties["$group_type"], "company");
}

#[test]
fn hooks_see_what_was_merged_and_may_add_objects_themselves() {
    let event = ada()
        .property("$groups", json!({"team": "red"}))
        .group("company", "acme");
    let event = sent(event, |b| {
        b.before_send(|mut event| {
            assert_eq!(event.groups.len(), 2);
            assert!(!event.properties.contains_key("$groups"));
            event.groups.remove("team");
            let added = json!({"company": "hook", "site": "hook"});
            event.properties.insert("$groups".into(), added);
            Some(event)
        })
    });
    assert_eq!(
        event.properties["$groups"],
        json!({"company": "acme", "site": "hook"})
    );
}
