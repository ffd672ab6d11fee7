//! PostHog's identity events, and the rest of the `posthog.*` grammar, from `tracing` alone.

use crate::layers::{captured, diagnostics, one};
use serde_json::json;
use tracing::{info, info_span};
use tracing_posthog::DropReason;
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

#[test]
fn identify_sets_what_is_known_of_a_person() {
    let event = one(|| {
        info!(
            posthog.event = "$identify",
            posthog.distinct_id = "ada",
            posthog.set.email = "ada@example.com",
            posthog.set.seats = 3,
            posthog.set_once.first_seen = "today",
        );
    });
    assert_eq!(
        (event.event.as_str(), event.distinct_id.as_str()),
        ("$identify", "ada")
    );
    assert_eq!(
        event.properties["$set"],
        json!({"email": "ada@example.com", "seats": 3})
    );
    assert_eq!(
        event.properties["$set_once"],
        json!({"first_seen": "today"})
    );
}

#[test]
fn a_group_is_described_by_its_only_group_and_set() {
    let event = one(|| {
        info!(
            posthog.event = "$groupidentify",
            posthog.group.company = "acme",
            posthog.set.plan = "pro",
            posthog.set_once.since = 2020,
        );
    });
    let p = &event.properties;
    assert_eq!(
        (&p["$group_type"], &p["$group_key"]),
        (&json!("company"), &json!("acme"))
    );
    assert_eq!(p["$group_set"], json!({"plan": "pro", "since": 2020}));
    assert!(!p.contains_key("$groups") && !p.contains_key("$set"));
    assert_eq!(event.distinct_id, "$company_acme");
}

#[test]
fn a_group_is_described_also_within_spans_of_other_groups() {
    let event = one(|| {
        info_span!(
            "s",
            posthog.distinct_id = "ada",
            posthog.group.workspace = "w1"
        )
        .in_scope(|| {
            info!(
                posthog.event = "$groupidentify",
                posthog.group.company = "acme",
                posthog.set.plan = "pro",
            );
        });
    });
    let p = &event.properties;
    assert_eq!(
        (&p["$group_type"], &p["$group_key"]),
        (&json!("company"), &json!("acme"))
    );
    assert_eq!(event.distinct_id, "ada");
}

#[test]
fn a_group_is_described_by_the_group_of_the_span_around_it() {
    let event = one(|| {
        info_span!("s", posthog.group.company = "acme")
            .in_scope(|| info!(posthog.event = "$groupidentify", posthog.set.plan = "pro"));
    });
    assert_eq!(event.properties["$group_key"], "acme");
}

#[test]
fn an_alias_is_another_name_of_the_person() {
    let event = one(|| {
        info_span!("s", posthog.distinct_id = "ada")
            .in_scope(|| info!(posthog.event = "$create_alias", alias = "guest 7"));
    });
    assert_eq!(event.distinct_id, "ada");
    assert_eq!(event.properties["alias"], "guest 7");
    assert_eq!(event.properties["distinct_id"], "ada");
}

#[test]
fn identity_events_that_posthog_would_refuse_are_dropped_and_counted() {
    let captured = CapturedEvents::new();
    tracing::subscriber::with_default(registry().with(captured.layer()), || {
        info!(posthog.event = "$create_alias", posthog.distinct_id = "ada");
        info!(posthog.event = "$create_alias", alias = "guest 7");
        info!(posthog.event = "$groupidentify", posthog.set.plan = "pro");
        info!(
            posthog.event = "$groupidentify",
            posthog.group.company = "acme",
            posthog.group.team = "red"
        );
        info!(posthog.event = "good");
    });
    assert_eq!(captured.events().len(), 1);
    assert_eq!(captured.handle().stats().dropped.by(DropReason::Invalid), 4);
}

#[test]
fn a_span_without_profiles_does_not_stop_events_about_profiles() {
    let no_profiles = r#"{"$process_person_profile": false, "a": 1}"#;
    let events = captured(|| {
        info_span!("s", posthog.properties = no_profiles).in_scope(|| {
            info_span!("t", posthog.process_person_profile = false).in_scope(|| {
                info!(
                    posthog.event = "$groupidentify",
                    posthog.group.company = "acme",
                    posthog.set.plan = "pro",
                );
                info!(
                    posthog.event = "$identify",
                    posthog.distinct_id = "ada",
                    posthog.set.plan = "pro",
                );
                info!(posthog.event = "plain", posthog.distinct_id = "ada");
            });
        });
    });
    let said = |n: usize| events[n].properties.get("$process_person_profile");
    assert_eq!((said(0), said(1)), (None, None));
    assert_eq!(said(2), Some(&json!(false)));
    assert_eq!(events[1].properties["a"], 1);
}

#[test]
fn identity_events_without_what_they_need_are_said_once_each() {
    let emit = || {
        for _ in 0..3 {
            info!(posthog.event = "$identify", posthog.set.plan = "pro");
            info!(posthog.event = "$set", posthog.set.plan = "pro");
            info!(posthog.event = "$create_alias", posthog.distinct_id = "ada");
            info!(posthog.event = "$groupidentify", posthog.set.plan = "pro");
        }
    };
    assert_eq!(captured(emit).len(), 0);
    let said = diagnostics(|_| emit());
    assert_eq!(said.len(), 4, "{said:?}");
    for name in ["$identify", "$set", "$create_alias", "$groupidentify"] {
        let naming = format!("event={name:?}");
        assert!(said.iter().any(|line| line.contains(&naming)), "{said:?}");
    }
}

#[test]
fn person_properties_of_nobody_are_said_once_and_the_event_still_sent() {
    let emit = || {
        for _ in 0..3 {
            info!(posthog.event = "x", posthog.set.plan = "pro");
            info!(posthog.event = "x", posthog.set_once.plan = "pro");
        }
    };
    assert_eq!(captured(emit).len(), 6);
    let said = diagnostics(|_| emit());
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn a_span_can_be_an_identity_event() {
    let event = one(|| {
        let span = info_span!(
            "s",
            posthog.event = "$identify",
            posthog.distinct_id = "ada",
            posthog.set.plan = tracing::field::Empty
        );
        span.record("posthog.set.plan", "pro");
    });
    assert_eq!(event.properties["$set"], json!({"plan": "pro"}));
}

#[test]
fn uuid_and_timestamp_can_be_given() {
    let event = one(|| {
        info!(
            posthog.event = "x",
            posthog.uuid = "0195F0AA-1111-7222-8333-444455556666",
            posthog.timestamp = %"2025-01-02T08:34:05.678+05:30",
        );
    });
    assert_eq!(event.uuid.unwrap(), "0195f0aa-1111-7222-8333-444455556666");
    assert_eq!(event.timestamp.unwrap(), "2025-01-02T03:04:05.678Z");
}

#[test]
fn a_uuid_or_timestamp_that_is_none_is_replaced_and_said_once() {
    let emit = || {
        for _ in 0..3 {
            info!(
                posthog.event = "x",
                posthog.uuid = "7",
                posthog.timestamp = "yesterday"
            );
            info!(
                posthog.event = "x",
                posthog.uuid = 7,
                posthog.timestamp = true
            );
        }
    };
    let events = captured(emit);
    assert_eq!(events.len(), 6);
    for event in events {
        assert!(uuid::Uuid::try_parse(&event.uuid.unwrap()).is_ok());
        assert!(event.timestamp.unwrap().parse::<jiff::Timestamp>().is_ok());
    }
    let said = diagnostics(|_| emit());
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said.iter().any(|line| line.contains("posthog.uuid")));
    assert!(said.iter().any(|line| line.contains("posthog.timestamp")));
}

#[test]
fn switches_that_are_no_bool_are_ignored_and_said_once() {
    let emit = || {
        for _ in 0..3 {
            info!(
                posthog.event = "x",
                posthog.distinct_id = "ada",
                posthog.process_person_profile = "maybe",
                posthog.geoip_disable = 0.5,
            );
        }
    };
    for event in captured(emit) {
        assert!(!event.properties.contains_key("$process_person_profile"));
    }
    let said = diagnostics(|_| emit());
    assert_eq!(said.len(), 2, "{said:?}");
}

#[test]
fn unknown_names_are_said_once_each_and_become_no_properties() {
    let emit = || {
        info_span!("s", posthog.distinctid = "typo on a span").in_scope(|| {
            for _ in 0..3 {
                info!(
                    posthog.event = "x",
                    posthog.evnt = 1,
                    "posthog.set." = 2,
                    posthog.group = 3
                );
            }
        });
    };
    let events = captured(emit);
    assert_eq!(events.len(), 3);
    for key in events.iter().flat_map(|e| e.properties.keys()) {
        assert!(key.starts_with('$'), "{key}");
    }
    let said = diagnostics(|_| emit());
    assert_eq!(said.len(), 4, "{said:?}");
    for name in [
        "posthog.distinctid",
        "posthog.evnt",
        "posthog.set.",
        "posthog.group",
    ] {
        let naming = format!("field={name:?}");
        assert_eq!(
            said.iter().filter(|line| line.contains(&naming)).count(),
            1,
            "{name}"
        );
    }
}

#[test]
fn ids_of_which_posthog_makes_no_person_are_said_once_and_events_still_sent() {
    let emit = || {
        for _ in 0..3 {
            info!(posthog.event = "x", posthog.distinct_id = "undefined");
        }
    };
    assert_eq!(captured(emit).len(), 3);
    let said = diagnostics(|_| emit());
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn an_id_that_is_too_long_is_cut_as_posthog_would_and_said_once() {
    let long = "\u{e9}".repeat(201);
    let emit = || {
        for _ in 0..3 {
            info!(posthog.event = "x", posthog.distinct_id = long);
        }
    };
    for event in captured(emit) {
        assert_eq!(event.distinct_id, "\u{e9}".repeat(200));
    }
    assert_eq!(diagnostics(|_| emit()).len(), 1);
}

#[test]
fn seconds_in_the_place_of_milliseconds_are_said_once() {
    let emit = || {
        for _ in 0..3 {
            info!(posthog.event = "x", posthog.timestamp = 1_700_000_000_i64);
        }
    };
    assert_eq!(captured(emit).len(), 3);
    let said = diagnostics(|_| emit());
    assert!(
        said.len() == 1 && said[0].contains("were seconds meant"),
        "{said:?}"
    );
}

#[test]
fn a_timestamp_may_be_milliseconds_of_any_integer_type() {
    let captured = CapturedEvents::new();
    let subscriber = tracing_subscriber::registry().with(captured.layer());
    tracing::subscriber::with_default(subscriber, || {
        info!(
            posthog.event = "a",
            posthog.timestamp = 1_735_787_045_678_i64
        );
        info!(
            posthog.event = "b",
            posthog.timestamp = 1_735_787_045_678_u64
        );
        info!(
            posthog.event = "c",
            posthog.timestamp = 1_735_787_045_678_u128
        );
    });
    for event in captured.events() {
        assert_eq!(event.timestamp.unwrap(), "2025-01-02T03:04:05.678Z");
    }
}
