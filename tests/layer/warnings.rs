//! A warning about a field says where the mistake stands: the event, its callsite, and what was probably meant.

use crate::layers::diagnostics;
use tracing::{info, info_span};
use tracing_posthog::Event;

/// The only line, which holds all of `parts`.
#[track_caller]
fn one_line(lines: Vec<String>, parts: &[&str]) -> String {
    assert_eq!(lines.len(), 1, "{lines:?}");
    for part in parts {
        assert!(lines[0].contains(part), "no {part:?} in {lines:?}");
    }
    lines.into_iter().next().unwrap()
}

#[test]
fn a_warning_names_the_event_and_its_callsite() {
    let line = line!() + 1;
    let lines = diagnostics(|_| info!(posthog.uuid = "7", posthog.event = "signup"));
    let callsite = format!("callsite=\"{}:{line}\"", file!());
    one_line(lines, &["event=\"signup\"", &callsite, "posthog.uuid"]);
}

#[test]
fn a_mistake_on_a_span_is_named_by_the_callsite_of_the_span() {
    let line = line!() + 2;
    let lines = diagnostics(|_| {
        let span = info_span!("request", posthog.timestamp = 7);
        span.in_scope(|| info!(posthog.event = "signup"));
    });
    let callsite = format!("callsite=\"{}:{line}\"", file!());
    one_line(lines, &["event=\"signup\"", &callsite, "posthog.timestamp"]);
}

#[test]
fn a_span_that_is_an_event_is_named_by_its_own_callsite() {
    let line = line!() + 2;
    let lines = diagnostics(|_| {
        drop(info_span!("s", posthog.uuid = 7, posthog.event = "worked"));
    });
    let callsite = format!("callsite=\"{}:{line}\"", file!());
    one_line(lines, &["event=\"worked\"", &callsite]);
}

#[test]
fn an_event_that_was_built_by_hand_has_a_name_but_no_callsite() {
    let lines = diagnostics(|captured| {
        let event = Event::new("signup").distinct_id("undefined");
        captured.handle().capture(event);
    });
    let line = one_line(lines, &["event=\"signup\"", "undefined"]);
    assert!(!line.contains("callsite"), "{line}");
}

#[test]
fn the_nearest_name_is_suggested_for_an_unknown_one() {
    let lines = diagnostics(|_| {
        info!(
            posthog.event = "x",
            posthog.distinctid = 1,
            posthog.distinctId = 1,
            posthog.sesion_id = 1,
            posthog.time_stamp = 1,
            posthog.group = 1,
            posthog.groups.company = 1,
            "posthog.set." = 1,
            posthog.setonce.plan = 1,
            posthog.evnt = 1,
            posthog.proces_person_profile = 1,
            posthog.property = 1,
            posthog.uid = 1,
            posthog.geoip_disabled = 1,
            posthog.session = 1,
            posthog.distinct = 1,
        );
    });
    for (field, meant) in [
        ("distinctid", "distinct_id"),
        ("distinctId", "distinct_id"),
        ("sesion_id", "session_id"),
        ("time_stamp", "timestamp"),
        ("group", "group.<type>"),
        ("groups.company", "group.company"),
        ("set.", "set.<name>"),
        ("setonce.plan", "set_once.plan"),
        ("evnt", "event"),
        ("proces_person_profile", "process_person_profile"),
        ("property", "properties"),
        ("uid", "uuid"),
        ("geoip_disabled", "geoip_disable"),
        ("session", "session_id"),
        ("distinct", "distinct_id"),
    ] {
        let naming = format!("field=\"posthog.{field}\"");
        let meant = format!("did you mean `posthog.{meant}`?");
        let said: Vec<_> = lines.iter().filter(|l| l.contains(&naming)).collect();
        assert_eq!(said.len(), 1, "{field}: {lines:?}");
        assert!(said[0].contains(&meant), "{field}: {said:?}");
    }
}

#[test]
fn nothing_is_suggested_where_no_name_is_near() {
    let lines = diagnostics(|_| info!(posthog.event = "x", posthog.colour_of_the_sky = 1));
    let line = one_line(lines, &["field=\"posthog.colour_of_the_sky\""]);
    assert!(!line.contains("did you mean"), "{line}");
}

#[test]
fn names_of_events_are_shown_cut_and_without_keys_and_control_characters() {
    let name = format!("a\u{1b}[31m\nb phc_abcdefghijklmnop {}", "x".repeat(5_000));
    let lines = diagnostics(|_| info!(posthog.event = name, posthog.uuid = "7"));
    let line = one_line(lines, &["[redacted]"]);
    assert!(!line.contains("abcdefghijklmnop"), "{line}");
    assert!(!line.contains(['\u{1b}', '\n']), "{line}");
    assert!(line.len() < 500, "{line}");
}

#[test]
fn no_warning_shows_a_value() {
    let secret = "s3cret";
    let lines = diagnostics(|captured| {
        let text = format!("\"{secret}\"");
        info_span!("s", posthog.set.a = secret, posthog.uuid = secret).in_scope(|| {
            info!(
                posthog.event = "a",
                posthog.distinct_id = text,
                posthog.session_id = text,
                posthog.group.company = text,
                posthog.uuid = secret,
                posthog.timestamp = secret,
                posthog.process_person_profile = secret,
                posthog.geoip_disable = secret,
                posthog.properties = secret,
                posthog.nothing = secret,
            );
            info!(
                posthog.event = "b",
                distinct_id = secret,
                posthog.timestamp = 73_313_373_313_i64,
                posthog.set.a = secret,
                posthog.group.company = secret
            );
            info!(posthog.event = "$create_alias", alias = secret);
        });
        let alias = Event::alias(secret, "null");
        captured.handle().capture(alias.property("s3cret", secret));
    });
    assert!(lines.len() > 8, "{lines:?}");
    for line in lines {
        assert!(!line.contains(secret), "{line}");
        assert!(!line.contains("7331"), "{line}");
    }
}

#[test]
fn each_is_said_once() {
    let lines = diagnostics(|_| {
        for _ in 0..3 {
            info!(posthog.event = "x", posthog.uuid = "7", posthog.evnt = 1);
            info!(posthog.event = "y", posthog.uuid = "7", posthog.evnt = 1);
        }
    });
    assert_eq!(lines.len(), 2, "{lines:?}");
}
