//! What PostHog ignores because it processes no profile is said, and dropped where nothing would be left of it.

use crate::layers::diagnostics;
use serde_json::json;
use tracing::{info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{DropReason, Event};
use tracing_subscriber::prelude::*;

/// The names of the events that are left, how many were dropped as invalid, and what was said, for each event on its
/// own.
fn fate(event: Event) -> (Vec<RecordedEvent>, u64, Vec<String>) {
    let mut found = (Vec::new(), 0);
    let lines = diagnostics(|captured| {
        for _ in 0..3 {
            captured.handle().capture(event.clone());
        }
        found.0 = captured.events();
        found.1 = captured.handle().stats().dropped.by(DropReason::Invalid);
    });
    (found.0, found.1, lines)
}

#[track_caller]
fn is_dropped_and_said(event: Event, about: &str) {
    let name = format!("event={:?}", event.name);
    let (events, dropped, mut lines) = fate(event);
    assert_eq!((events.len(), dropped), (0, 3), "{lines:?}");
    // What is wrong with an id is said for itself.
    lines.retain(|line| line.contains("is dropped"));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains(&name) && lines[0].contains(about),
        "{lines:?}"
    );
}

#[track_caller]
fn is_sent_and_said(event: Event, about: &str) {
    let (events, dropped, lines) = fate(event);
    assert_eq!((events.len(), dropped), (3, 0), "{lines:?}");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains(about), "{lines:?}");
}

fn personless(event: Event) -> Event {
    event.property("$process_person_profile", false)
}

#[test]
fn groups_of_a_personless_event_are_said() {
    is_sent_and_said(Event::new("x").group("company", "acme"), "groups");
    let explicit = personless(Event::new("x").distinct_id("ada"));
    is_sent_and_said(explicit.group("company", "acme"), "groups");
    let object = Event::new("x").property("$groups", json!({"company": "acme"}));
    is_sent_and_said(object, "groups");
    let lines = diagnostics(|_| {
        info_span!("s", posthog.group.company = "acme").in_scope(|| info!(posthog.event = "x"));
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn person_properties_of_an_event_that_says_it_is_personless_are_said() {
    let event = personless(Event::new("x").distinct_id("ada"));
    is_sent_and_said(event.clone().set("plan", "pro"), "person properties");
    is_sent_and_said(event.set_once("plan", "pro"), "person properties");
    let lines = diagnostics(|_| {
        info_span!(
            "s",
            posthog.process_person_profile = false,
            posthog.distinct_id = "ada"
        )
        .in_scope(|| info!(posthog.event = "x", posthog.set.plan = "pro"));
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn an_event_of_a_person_in_a_group_says_nothing() {
    let event = Event::new("x")
        .distinct_id("ada")
        .set("plan", "pro")
        .group("company", "acme");
    let (events, dropped, lines) = fate(event);
    assert_eq!((events.len(), dropped), (3, 0));
    assert_eq!(lines, [""; 0]);
}

#[test]
fn personless_events_about_profiles_are_dropped_and_said() {
    let about = "process_person_profile";
    is_dropped_and_said(personless(Event::identify("ada").set("plan", "pro")), about);
    is_dropped_and_said(
        personless(Event::person_properties("ada").set("plan", "pro")),
        about,
    );
    is_dropped_and_said(personless(Event::group_identify("company", "acme")), about);
    is_dropped_and_said(personless(Event::alias("ada", "guest 7")), about);
    let merge = Event::new("$merge_dangerously")
        .distinct_id("ada")
        .property("alias", "guest 7");
    is_dropped_and_said(personless(merge), about);
}

#[test]
fn also_where_the_field_says_so() {
    let captured = CapturedEvents::new();
    let subscriber = tracing_subscriber::registry().with(captured.layer());
    tracing::subscriber::with_default(subscriber, || {
        info!(
            posthog.event = "$identify",
            posthog.distinct_id = "ada",
            posthog.process_person_profile = false,
        );
        info!(
            posthog.event = "$groupidentify",
            posthog.group.company = "acme",
            posthog.properties = r#"{"$process_person_profile": false}"#,
        );
        info!(
            posthog.event = "good",
            posthog.process_person_profile = false
        );
    });
    let names: Vec<_> = captured.events().into_iter().map(|e| e.event).collect();
    assert_eq!(names, ["good"]);
    assert_eq!(captured.handle().stats().dropped.by(DropReason::Invalid), 2);
}

#[test]
fn a_merge_without_an_alias_is_dropped_and_said() {
    let merge = Event::new("$merge_dangerously").distinct_id("ada");
    is_dropped_and_said(merge.clone(), "an alias");
    is_dropped_and_said(merge.clone().property("alias", " "), "an alias");
    let (events, ..) = fate(merge.property("alias", "guest 7"));
    assert_eq!(events.len(), 3);
}

#[test]
fn aliases_that_posthog_merges_with_nobody_are_dropped_and_said() {
    for id in [
        "null",
        "0",
        "None",
        "NaN",
        "Undefined",
        "anonymous",
        "guest",
        "id",
        "email",
        "TRUE",
        "[object Object]",
        "\"null\"",
        "'guest'",
        "distinct_id",
    ] {
        is_dropped_and_said(Event::alias("ada", id), "alias");
        is_dropped_and_said(Event::alias(id, "ada"), "alias");
        let merge = Event::new("$merge_dangerously")
            .distinct_id("ada")
            .property("alias", id);
        is_dropped_and_said(merge, "alias");
    }
}

#[test]
fn aliases_that_only_look_like_those_are_sent() {
    for id in ["nan", "NULL", "nullable", "00", "null island", "ada"] {
        let (events, dropped, lines) = fate(Event::alias("user_42", id));
        assert_eq!((events.len(), dropped), (3, 0), "{id}");
        assert_eq!(lines, [""; 0], "{id}");
    }
}
