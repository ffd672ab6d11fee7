//! Plain span fields that the layer's options take for identity: analytics with no `posthog.*` field on spans.

use crate::layers::{captured, captured_with};
use serde_json::json;
use std::fmt;
use tracing::field::{Empty, debug};
use tracing::{debug_span, info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{PostHogLayer, PostHogLayerBuilder, PostHogSpanExt, SpanFields};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

fn ids(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|e| e.distinct_id.as_str()).collect()
}

fn mapped(options: PostHogLayerBuilder) -> PostHogLayerBuilder {
    options
        .distinct_id_field("user.id")
        .distinct_id_field("enduser.id")
        .session_id_field("session.id")
        .group_field("company", "tenant.id")
}

#[test]
fn a_service_with_only_user_id_on_its_request_span_attributes_every_event() {
    let handle_request = |user: u64| {
        let request = info_span!("request", method = "POST", user.id = user);
        let _request = request.enter();
        info!(posthog.event = "order placed", items = 3);
        info_span!("query", table = "orders").in_scope(|| info!(posthog.event = "order stored"));
        info_span!("payment", posthog.event = "order paid", amount = 7).in_scope(|| {});
    };
    let events = captured_with(mapped, || [1, 2].into_iter().for_each(handle_request));
    assert_eq!(ids(&events), ["1", "1", "1", "2", "2", "2"]);
    for event in events {
        assert!(!event.properties.contains_key("user.id"));
        assert!(!event.properties.contains_key("$process_person_profile"));
    }
    // Without the option it is a plain field.
    assert_ne!(ids(&captured(|| handle_request(1))), ["1", "1", "1"]);
}

#[test]
fn all_of_them_count_also_when_they_are_recorded_later() {
    let events = captured_with(mapped, || {
        let span = info_span!("s", user.id = Empty, session.id = Empty, tenant.id = Empty);
        let say = || span.in_scope(|| info!(posthog.event = "x"));
        say();
        span.record("user.id", debug(format_args!("ada")));
        span.record("session.id", "s1");
        span.record("tenant.id", 7);
        say();
        span.record("user.id", "bob");
        say();
    });
    assert_eq!(events[0].properties["$process_person_profile"], false);
    assert_eq!(ids(&events[1..]), ["ada", "bob"]);
    for event in &events[1..] {
        assert_eq!(event.properties["$session_id"], "s1");
        assert_eq!(event.properties["$groups"], json!({"company": "7"}));
    }
}

#[test]
fn an_explicit_field_of_the_same_span_wins_and_a_nearer_span_over_both() {
    let events = captured_with(mapped, || {
        let say = || info!(posthog.event = "x");
        info_span!("s", posthog.distinct_id = "explicit", user.id = 1).in_scope(say);
        info_span!("s", user.id = 1, posthog.distinct_id = "explicit").in_scope(say);
        let late = info_span!("s", posthog.distinct_id = "explicit", user.id = Empty);
        late.record("user.id", 1);
        late.in_scope(|| {
            say();
            info_span!("near", enduser.id = "near").in_scope(say);
            info_span!("near", enduser.id = "").in_scope(say);
        });
        let set = info_span!("s", user.id = 1);
        set.set_distinct_id("set");
        set.record("user.id", 2);
        set.in_scope(say);
    });
    let explicit = "explicit";
    assert_eq!(
        ids(&events),
        [explicit, explicit, explicit, "near", explicit, "set"]
    );
}

#[test]
fn they_are_properties_only_where_they_are_let_through() {
    let program = || {
        let span = info_span!(
            "s",
            user.id = 7,
            posthog.event = "a span",
            n = 1,
            tenant.id = Empty
        );
        span.record("tenant.id", "acme");
        span.in_scope(|| info!(posthog.event = "x", enduser.id = "of the event"));
    };
    let events = captured_with(mapped, program);
    assert_eq!(ids(&events), ["7", "7"]);
    for event in &events {
        let p = &event.properties;
        assert!(!p.contains_key("user.id") && !p.contains_key("tenant.id"));
        assert_eq!(p["$groups"]["company"], "acme");
    }
    assert_eq!(events[0].properties["enduser.id"], "of the event");
    assert_eq!(events[1].properties["n"], 1);

    let through = |o| mapped(o).span_fields(SpanFields::named(["user.id"]));
    for event in captured_with(through, program) {
        assert_eq!(event.distinct_id, "7");
        assert_eq!(event.properties["user.id"], 7);
        assert!(!event.properties.contains_key("tenant.id"));
    }
}

#[test]
fn each_layer_has_its_own_and_they_can_be_read_back() {
    let (one, two) = (CapturedEvents::new(), CapturedEvents::new());
    let of_tenant = PostHogLayer::builder(two.handle()).distinct_id_field("tenant.id");
    let subscriber = registry()
        .with(mapped(PostHogLayer::builder(one.handle())).build())
        .with(of_tenant.build());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("s", user.id = 1, tenant.id = "acme");
        span.in_scope(|| {
            info!(posthog.event = "x");
            let context = one.handle().current_context();
            assert_eq!(context.distinct_id(), Some("1"));
            assert_eq!(context.group("company"), Some("acme"));
            let context = two.handle().current_context();
            assert_eq!(context.distinct_id(), Some("acme"));
        });
    });
    assert_eq!(ids(&one.events()), ["1"]);
    assert_eq!(ids(&two.events()), ["acme"]);
}

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of it")?;
        panic!("in Debug")
    }
}

#[test]
fn a_value_that_panics_and_a_span_below_the_level_say_nothing() {
    let events = captured_with(mapped, || {
        info_span!("far", user.id = "ada").in_scope(|| {
            info_span!("s", user.id = ?Panics).in_scope(|| info!(posthog.event = "x"));
            debug_span!("s", user.id = "bob").in_scope(|| info!(posthog.event = "x"));
        });
    });
    assert_eq!(ids(&events), ["ada", "ada"]);
}
