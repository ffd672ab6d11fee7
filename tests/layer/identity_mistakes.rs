//! Ids that are probably a mistake are sent as they are, and said once; empty ones count as none.

use crate::layers::{captured_with, diagnostics, one};
use serde_json::json;
use tracing::{info, info_span};
use tracing_posthog::Event;

#[test]
fn an_empty_group_is_none_and_takes_no_outer_one_away() {
    for empty in ["", " \t"] {
        let event = one(|| {
            info_span!(
                "outer",
                posthog.group.company = "acme",
                posthog.distinct_id = "ada"
            )
            .in_scope(|| {
                info_span!("inner", posthog.group.company = empty).in_scope(|| {
                    info!(
                        posthog.event = "x",
                        posthog.group.company = empty,
                        posthog.group.team = empty
                    );
                });
            });
        });
        assert_eq!(event.properties["$groups"], json!({"company": "acme"}));
    }
}

#[test]
fn groups_that_are_all_empty_are_no_groups() {
    let event = one(|| info!(posthog.event = "x", posthog.group.company = ""));
    assert!(!event.properties.contains_key("$groups"), "{event:?}");
    let captured = tracing_posthog::testing::CapturedEvents::new();
    captured
        .handle()
        .capture(Event::new("x").distinct_id("ada").group("company", ""));
    let event = captured.events().remove(0);
    assert!(!event.properties.contains_key("$groups"), "{event:?}");
}

#[test]
fn an_empty_group_describes_none() {
    let event = one(|| {
        info_span!("s", posthog.group.company = "acme").in_scope(|| {
            info!(
                posthog.event = "$groupidentify",
                posthog.group.team = "",
                posthog.set.a = 1
            )
        });
    });
    assert_eq!(event.properties["$group_type"], "company");
}

#[test]
fn a_plain_field_in_the_place_of_the_distinct_id_is_said_once() {
    for lines in [
        diagnostics(|_| {
            for _ in 0..3 {
                info!(posthog.event = "x", distinct_id = "ada");
            }
        }),
        diagnostics(|captured| {
            for _ in 0..3 {
                captured
                    .handle()
                    .capture(Event::new("x").property("distinct_id", "ada"));
            }
        }),
    ] {
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("`posthog.distinct_id`"), "{lines:?}");
        assert!(lines[0].contains("event=\"x\""), "{lines:?}");
    }
}

#[test]
fn beside_a_distinct_id_it_is_a_property_like_any_other() {
    let lines = diagnostics(|_| {
        info!(
            posthog.event = "x",
            posthog.distinct_id = "ada",
            distinct_id = "ada"
        );
        info_span!("s", posthog.distinct_id = "ada")
            .in_scope(|| info!(posthog.event = "x", distinct_id = 1));
        info!(posthog.event = "x", other = "ada");
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn ids_with_the_quotes_of_debug_are_said_once_each_and_sent_as_they_are() {
    let id = "ada";
    let some = Some(7);
    let emit = || {
        for _ in 0..3 {
            info!(posthog.event = "a", posthog.distinct_id = ?id, posthog.session_id = ?some, posthog.group.company = ?Some(id));
        }
    };
    let events = captured_with(|o| o, emit);
    assert_eq!(events[0].distinct_id, "\"ada\"");
    assert_eq!(events[0].properties["$session_id"], "Some(7)");
    assert_eq!(events[0].properties["$groups"]["company"], "Some(\"ada\")");
    let lines = diagnostics(|_| emit());
    assert_eq!(lines.len(), 3, "{lines:?}");
    for field in [
        "posthog.distinct_id",
        "posthog.session_id",
        "posthog.group.company",
    ] {
        let naming = format!("field={field:?}");
        let said: Vec<_> = lines.iter().filter(|l| l.contains(&naming)).collect();
        assert!(said.len() == 1 && said[0].contains("Debug"), "{lines:?}");
        assert!(
            said[0].contains("event=\"a\"") && said[0].contains("callsite="),
            "{lines:?}"
        );
    }
}

#[test]
fn ids_that_only_hold_quotes_are_ids() {
    let lines = diagnostics(|_| {
        for id in [
            "\"",
            "Some",
            "Some(",
            "Some thing",
            "a \"b\"",
            "\"a\" b",
            "(x)",
        ] {
            info!(
                posthog.event = "a",
                posthog.distinct_id = id,
                posthog.group.company = id
            );
        }
    });
    assert_eq!(lines, [""; 0]);
}
