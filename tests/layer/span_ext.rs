//! `PostHogSpanExt`: identity, groups, session and properties on spans that declared no field for them.

use crate::layers::{Seen, captured, captured_with, one};
use serde_json::json;
use std::fmt;
use tracing::field::Empty;
use tracing::{Span, debug_span, info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{PostHogSpanExt, SpanFields};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{registry, reload};

fn ids(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|e| e.distinct_id.as_str()).collect()
}

/// The handler of a service, in a span that somebody else made.
fn handler() {
    let user = 42;
    Span::current().record("posthog.distinct_id", user);
    Span::current().set_distinct_id(user).set_session_id("s1");
    info_span!("inner", n = 1).in_scope(|| info!(posthog.event = "handled"));
}

#[test]
fn it_sets_what_a_foreign_span_did_not_declare() {
    let event = one(|| info_span!("request", method = "GET").in_scope(handler));
    assert_eq!(event.distinct_id, "42");
    assert_eq!(event.properties["$session_id"], "s1");
    assert!(!event.properties.contains_key("method"));
}

#[test]
fn all_it_sets_reaches_the_events_within_and_no_others() {
    let events = captured(|| {
        info!(posthog.event = "before");
        let request = info_span!("request");
        request
            .set_distinct_id("ada")
            .set_session_id("s1")
            .set_group("company", "acme")
            .set_group("team", 7)
            .set_property("route", "/pay")
            .set_property("seats", 3)
            .set_property("tags", json!(["a", "b"]));
        request.in_scope(|| info!(posthog.event = "within"));
        info!(parent: &request, { posthog.event = "by parent" }, "m");
        info_span!("other").in_scope(|| info!(posthog.event = "beside"));
        drop(request);
        info!(posthog.event = "after");
    });
    for event in &events {
        let p = &event.properties;
        if ["within", "by parent"].contains(&&*event.event) {
            assert_eq!(event.distinct_id, "ada");
            assert_eq!(p["$session_id"], "s1");
            assert_eq!(p["$groups"], json!({"company": "acme", "team": "7"}));
            assert_eq!(
                [&p["route"], &p["seats"], &p["tags"]],
                [&json!("/pay"), &json!(3), &json!(["a", "b"])]
            );
        } else {
            assert_eq!(p["$process_person_profile"], false, "{}", event.event);
            assert!(!p.contains_key("route") && !p.contains_key("$groups"));
        }
    }
    assert_eq!(events.len(), 5);
}

#[test]
fn the_nearest_value_wins_whenever_the_spans_were_opened() {
    let events = captured(|| {
        let far = info_span!(
            "far",
            posthog.distinct_id = "far",
            posthog.session_id = "s1"
        );
        let plain = info_span!(parent: &far, "plain");
        let near = info_span!(parent: &plain, "near", posthog.group.company = "acme");
        let say = || near.in_scope(|| info!(posthog.event = "x"));
        say();
        // Between two spans of ours that were open before.
        plain.set_distinct_id("plain");
        say();
        near.set_distinct_id("near");
        say();
        near.set_distinct_id("");
        say();
        plain.set_distinct_id(7);
        say();
    });
    assert_eq!(ids(&events), ["far", "plain", "near", "plain", "7"]);
    for event in &events {
        assert_eq!(event.properties["$session_id"], "s1");
        assert_eq!(event.properties["$groups"]["company"], "acme");
    }
}

#[test]
fn it_replaces_what_was_declared_and_is_replaced_by_what_is_recorded() {
    let events = captured(|| {
        let span = info_span!("s", posthog.distinct_id = "declared", posthog.event = Empty);
        let say = || span.in_scope(|| info!(posthog.event = "x"));
        span.set_distinct_id("set");
        say();
        span.record("posthog.distinct_id", "recorded");
        say();
        span.set_distinct_id("set again");
        say();
    });
    assert_eq!(ids(&events), ["set", "recorded", "set again"]);
}

#[test]
fn the_level_of_the_span_does_not_matter() {
    let captured = CapturedEvents::new();
    let subscriber = registry()
        .with(Seen::default().layer())
        .with(captured.layer());
    tracing::subscriber::with_default(subscriber, || {
        let span = debug_span!("verbose", posthog.distinct_id = "ignored");
        span.set_distinct_id("ada");
        span.in_scope(|| info!(posthog.event = "x"));
    });
    assert_eq!(ids(&captured.events()), ["ada"]);
}

#[test]
fn it_reaches_the_own_event_of_a_span() {
    let events = captured(|| {
        let request = info_span!("request");
        let span = info_span!(parent: &request, "s", posthog.event = "a span", n = 1);
        span.set_property("n", 2).set_group("company", "acme");
        request.set_distinct_id("ada");
        span.in_scope(|| {});
    });
    assert_eq!(ids(&events), ["ada"]);
    assert_eq!(events[0].properties["n"], 2);
    assert_eq!(events[0].properties["$groups"]["company"], "acme");
}

#[test]
fn it_reaches_every_layer_of_the_subscriber_in_its_wrappers() {
    let all: [_; 5] = std::array::from_fn(|_| CapturedEvents::new());
    let [plain, boxed, filtered, reloaded, elsewhere] = &all;
    let (reloaded, reload) = reload::Layer::new(reloaded.layer());
    let other = tracing::Dispatch::new(registry().with(elsewhere.layer()));
    let subscriber = registry()
        .with(boxed.layer().boxed())
        .with(reloaded)
        .with(
            filtered
                .layer()
                .with_filter(filter_fn(|m| m.name() != "hidden")),
        )
        .with(plain.layer());
    tracing::subscriber::with_default(subscriber, || {
        info_span!("request").in_scope(|| {
            Span::current().set_distinct_id("ada");
            info_span!("plain").in_scope(|| info!(posthog.event = "x"));
            reload.reload(all[3].layer()).unwrap();
            info_span!("hidden").in_scope(|| info!(posthog.event = "x"));
        });
        tracing::dispatcher::with_default(&other, || {
            info_span!("request").in_scope(|| info!(posthog.event = "x"));
        });
    });
    for captured in &all[..4] {
        assert_eq!(ids(&captured.events()), ["ada", "ada"]);
    }
    assert_ne!(ids(&elsewhere.events()), ["ada"]);
}

#[test]
fn one_in_an_option_is_found_where_it_is_the_only_one() {
    let captured = CapturedEvents::new();
    let subscriber = registry().with(Some(captured.layer()));
    tracing::subscriber::with_default(subscriber, || info_span!("request").in_scope(handler));
    assert_eq!(ids(&captured.events()), ["42"]);
}

#[test]
fn on_a_span_that_the_layers_filter_hides_it_does_nothing() {
    let captured = CapturedEvents::new();
    let ours = captured
        .layer()
        .with_filter(filter_fn(|m| m.name() != "hidden"));
    let subscriber = registry().with(Seen::default().layer()).with(ours);
    tracing::subscriber::with_default(subscriber, || {
        let request = info_span!("request");
        request.set_distinct_id("ada");
        let hidden = info_span!(parent: &request, "hidden");
        hidden.set_distinct_id("nobody");
        hidden.in_scope(|| {
            let context = captured.handle().current_context();
            assert_eq!(context.distinct_id(), Some("ada"));
            info!(posthog.event = "x");
        });
    });
    assert_eq!(ids(&captured.events()), ["ada"]);
}

struct Panics;

impl fmt::Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Display")
    }
}

#[test]
fn it_does_nothing_where_there_is_nothing_to_do() {
    Span::current().set_distinct_id("ada");
    Span::none().set_property("n", 1);
    tracing::subscriber::with_default(registry(), || {
        info_span!("s").set_distinct_id("ada");
    });
    let events = captured(|| {
        Span::current().set_distinct_id("ada");
        debug_span!("disabled").set_distinct_id("ada");
        let span = info_span!("s");
        span.set_distinct_id("ada")
            .set_distinct_id(Panics)
            .set_property("after", 1);
        span.in_scope(|| info!(posthog.event = "x"));
        info!(posthog.event = "x");
    });
    assert_eq!(events[0].distinct_id, "ada");
    assert_eq!(events[0].properties["after"], 1);
    assert_ne!(events[1].distinct_id, "ada");
}

#[test]
fn it_is_bounded_and_what_is_left_out_is_said() {
    let (captured, seen) = (CapturedEvents::new(), Seen::default());
    let subscriber = registry().with(seen.layer()).with(captured.layer());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("s");
        span.set_distinct_id("ada")
            .set_property("huge", "x".repeat(70_000));
        for n in 0..100 {
            span.set_property(&format!("k{n}"), "x".repeat(6_000));
        }
        span.in_scope(|| info!(posthog.event = "x"));
        let event = captured.find("x").unwrap();
        assert_eq!(event.distinct_id, "ada");
        assert!(!event.properties.contains_key("huge"));
        let kept = event
            .properties
            .keys()
            .filter(|k| k.starts_with('k'))
            .count();
        assert!((1..30).contains(&kept), "{kept}");
    });
    let said = seen.with(" tracing_posthog::");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("64 KiB"));
}

#[test]
fn a_span_that_comes_after_one_with_the_same_id_inherits_nothing() {
    let events = captured_with(
        |o| o.span_fields(SpanFields::none()),
        || {
            let open = || info_span!("request");
            let first = open();
            let id = first.id();
            first.set_distinct_id("stranger");
            drop(first);
            let again = (0..1_000_000).map(|_| open()).find(|span| span.id() == id);
            again.unwrap().in_scope(|| info!(posthog.event = "x"));
        },
    );
    assert_ne!(ids(&events), ["stranger"]);
}

#[test]
fn threads_that_open_set_record_and_close_at_once_do_not_mix() {
    let captured = CapturedEvents::new();
    let dispatch = tracing::Dispatch::new(registry().with(captured.layer()));
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let dispatch = dispatch.clone();
            scope.spawn(move || {
                let _default = tracing::dispatcher::set_default(&dispatch);
                for n in 0..500 {
                    let user = format!("{thread}.{n}");
                    let foreign = info_span!("foreign");
                    foreign.set_distinct_id(&user);
                    let own = info_span!(parent: &foreign, "own", posthog.session_id = Empty);
                    own.record("posthog.session_id", &*user);
                    own.in_scope(|| info!(posthog.event = "x", user));
                }
            });
        }
    });
    let events = captured.events();
    assert_eq!(events.len(), 2_000);
    for event in events {
        let user = event.properties["user"].as_str().unwrap();
        assert_eq!(event.distinct_id, user);
        assert_eq!(event.properties["$session_id"], user);
    }
}
