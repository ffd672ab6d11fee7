//! An event belongs to whom its nearest enclosing span says, however the program gets there.

use crate::layers::{captured, captured_with, one};
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span, info, info_span};
use tracing_posthog::PostHogLayer;
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Layer, registry};

fn ids(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|e| e.distinct_id.as_str()).collect()
}

#[test]
fn it_comes_from_the_parent_or_the_grandparent() {
    let events = captured(|| {
        info_span!(
            "outer",
            posthog.distinct_id = "ada",
            posthog.group.company = "acme"
        )
        .in_scope(|| {
            info!(posthog.event = "in the span");
            info_span!("plain", n = 1).in_scope(|| {
                info_span!("bare").in_scope(|| info!(posthog.event = "deeper"));
            });
        });
    });
    assert_eq!(ids(&events), ["ada", "ada"]);
    assert_eq!(events[1].properties["$groups"]["company"], "acme");
}

#[test]
fn the_nearest_wins_and_the_events_own_is_nearest() {
    let events = captured(|| {
        info_span!(
            "a",
            posthog.distinct_id = "outer",
            posthog.session_id = "s1"
        )
        .in_scope(|| {
            info_span!("b", posthog.distinct_id = "inner").in_scope(|| {
                info!(posthog.event = "x");
                info!(
                    posthog.event = "x",
                    posthog.distinct_id = "own",
                    posthog.session_id = "s2"
                );
            });
            info!(posthog.event = "x");
        });
    });
    assert_eq!(ids(&events), ["inner", "own", "outer"]);
    let sessions: Vec<_> = events
        .iter()
        .map(|e| &e.properties["$session_id"])
        .collect();
    assert_eq!(sessions, ["s1", "s2", "s1"]);
}

#[test]
fn groups_of_all_spans_add_up_and_the_nearest_of_a_type_wins() {
    let event = one(|| {
        info_span!(
            "a",
            posthog.group.company = "acme",
            posthog.group.team = "far"
        )
        .in_scope(|| {
            info_span!("b", posthog.group.team = "near").in_scope(|| {
                info!(posthog.event = "x", posthog.group.project = 7);
            });
        });
    });
    let groups = serde_json::json!({"company": "acme", "team": "near", "project": "7"});
    assert_eq!(event.properties["$groups"], groups);
}

#[test]
fn an_empty_id_says_nothing() {
    let events = captured(|| {
        info_span!("a", posthog.distinct_id = "ada").in_scope(|| {
            info_span!("b", posthog.distinct_id = "").in_scope(|| {
                info!(posthog.event = "x", posthog.distinct_id = " ");
            });
            info_span!("b", posthog.distinct_id = Empty).in_scope(|| info!(posthog.event = "x"));
        });
    });
    assert_eq!(ids(&events), ["ada", "ada"]);
}

#[test]
fn without_one_the_event_is_personless() {
    let [a, b] = captured(|| {
        info!(posthog.event = "x");
        info!(posthog.event = "x", posthog.process_person_profile = true);
    })
    .try_into()
    .unwrap();
    assert_ne!(a.distinct_id, b.distinct_id);
    for event in [a, b] {
        assert!(
            uuid::Uuid::try_parse(&event.distinct_id).is_ok(),
            "{}",
            event.distinct_id
        );
        assert_eq!(event.properties["$process_person_profile"], false);
    }
}

#[test]
fn without_one_it_is_the_layers_own_where_that_has_one() {
    let events = captured_with(
        |o| o.distinct_id("device_1"),
        || {
            info!(posthog.event = "x");
            info_span!("s", posthog.distinct_id = "ada").in_scope(|| info!(posthog.event = "x"));
            info_span!("s", posthog.event = "a span").in_scope(|| {});
        },
    );
    assert_eq!(ids(&events), ["device_1", "ada", "device_1"]);
    assert!(!events[0].properties.contains_key("$process_person_profile"));
}

#[test]
fn switches_on_spans_reach_the_events_within() {
    let event = one(|| {
        info_span!(
            "s",
            posthog.distinct_id = "ada",
            posthog.process_person_profile = false,
            posthog.geoip_disable = false
        )
        .in_scope(|| info!(posthog.event = "x"));
    });
    assert_eq!(event.properties["$process_person_profile"], false);
    assert_eq!(event.properties["$geoip_disable"], false);
}

#[test]
fn a_field_of_the_grammar_wins_over_a_plain_one_of_the_same_property() {
    let event = one(|| {
        info!(
            posthog.event = "x",
            "$geoip_disable" = 0,
            posthog.geoip_disable = false,
            posthog.session_id = "s1",
            "$session_id" = "plain",
        );
    });
    assert_eq!(event.properties["$geoip_disable"], false);
    assert_eq!(event.properties["$session_id"], "s1");
}

#[test]
fn what_only_an_event_can_say_a_span_does_not_say_for_it() {
    let event = one(|| {
        info_span!(
            "s",
            posthog.distinct_id = "ada",
            posthog.uuid = "0195f0aa-1111-7222-8333-444455556666",
            posthog.timestamp = "2001-01-01T00:00:00Z",
            posthog.set.plan = "pro",
            posthog.set_once.first = "x"
        )
        .in_scope(|| info!(posthog.event = "x"));
    });
    assert_ne!(event.uuid.unwrap(), "0195f0aa-1111-7222-8333-444455556666");
    assert!(!event.timestamp.unwrap().starts_with("2001"));
    assert!(!event.properties.contains_key("$set"));
    assert!(!event.properties.contains_key("$set_once"));
}

#[test]
fn an_object_of_properties_on_a_span_reaches_the_events_within() {
    let event = one(|| {
        info_span!("far", posthog.properties = r#"{"a": 1, "b": 1, "c": 1}"#).in_scope(|| {
            info_span!("near", posthog.properties = r#"{"b": 2, "c": 2}"#)
                .in_scope(|| info!(posthog.event = "x", c = 3));
        });
    });
    let p = &event.properties;
    assert_eq!([&p["a"], &p["b"], &p["c"]], [1, 2, 3]);
}

#[test]
fn the_nearest_wins_whether_it_stands_in_an_object_or_by_itself() {
    let options = |o: tracing_posthog::PostHogLayerBuilder| {
        o.span_fields(tracing_posthog::SpanFields::named(["plan", "seats"]))
    };
    let events = captured_with(options, || {
        info_span!("request", plan = "free", seats = 1).in_scope(|| {
            info!(
                posthog.event = "x",
                posthog.properties = r#"{"plan": "pro"}"#
            );
            info_span!("near", posthog.properties = r#"{"plan": "pro"}"#, seats = 2)
                .in_scope(|| info!(posthog.event = "x"));
        });
    });
    let told: Vec<_> = events
        .iter()
        .map(|e| (&e.properties["plan"], &e.properties["seats"]))
        .collect();
    assert_eq!(
        told,
        [(&"pro".into(), &1.into()), (&"pro".into(), &2.into())]
    );
}

#[test]
fn what_is_recorded_later_reaches_later_events_and_not_earlier_ones() {
    let events = captured(|| {
        let parent = info_span!("parent", posthog.distinct_id = Empty);
        let _parent = parent.enter();
        info_span!("child").in_scope(|| {
            info!(posthog.event = "early", posthog.distinct_id = "guest 1");
            parent.record("posthog.distinct_id", "ada");
            info!(posthog.event = "later");
            parent.record("posthog.distinct_id", "bob");
            info!(posthog.event = "last");
        });
    });
    assert_eq!(ids(&events), ["guest 1", "ada", "bob"]);
}

#[test]
fn an_explicit_parent_counts_and_an_explicit_root_has_none() {
    let events = captured_with(
        |o| o.distinct_id("fallback"),
        || {
            let elsewhere = info_span!("elsewhere", posthog.distinct_id = "bob");
            info_span!("here", posthog.distinct_id = "ada").in_scope(|| {
                info!(posthog.event = "x");
                info!(parent: &elsewhere, { posthog.event = "x" }, "m");
                info!(parent: None, { posthog.event = "x" }, "m");
                info_span!(parent: None, "root").in_scope(|| info!(posthog.event = "x"));
                info_span!(parent: &elsewhere, "child").in_scope(|| info!(posthog.event = "x"));
                info_span!(parent: None, "root", posthog.event = "a span").in_scope(|| {});
            });
        },
    );
    assert_eq!(
        ids(&events),
        ["ada", "bob", "fallback", "fallback", "bob", "fallback"]
    );
}

#[test]
fn spans_of_another_subscriber_say_nothing() {
    let (here, there) = (CapturedEvents::new(), CapturedEvents::new());
    let foreign = tracing::subscriber::with_default(registry().with(there.layer()), || {
        let _other = info_span!("other");
        info_span!("foreign", posthog.distinct_id = "stranger")
    });
    tracing::subscriber::with_default(registry().with(here.layer()), || {
        let _foreign = foreign.enter();
        info!(posthog.event = "current");
        info!(parent: &foreign, { posthog.event = "parent" }, "m");
    });
    let events = here.events();
    assert_eq!(events.len(), 2);
    assert!(
        events.iter().all(|e| e.distinct_id != "stranger"),
        "{events:?}"
    );
    assert_eq!(there.events(), []);
}

/// A subscriber that wants every span: a span that nobody wants does not exist, and no event is in it.
macro_rules! wanting_all_spans {
    ($layer:expr) => {
        registry()
            .with(crate::layers::Seen::default().layer())
            .with($layer)
    };
}

/// Our layer behind a filter that hides spans called `hidden` from it.
fn filtered<S>(layer: PostHogLayer) -> impl Layer<S>
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a>,
{
    layer.with_filter(filter_fn(|meta| meta.name() != "hidden"))
}

/// A task in a span of its own, as servers spawn them.
async fn task_in(span: Span) {
    let task = async {
        tokio::task::yield_now().await;
        info!(posthog.event = "in the task");
    };
    tokio::spawn(task.instrument(span)).await.unwrap();
}

fn spawns_tasks() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let parent = info_span!("parent", posthog.distinct_id = "ada");
        task_in(info_span!(parent: &parent, "child")).await;
        task_in(info_span!(parent: &parent, "hidden")).await;
        let hidden = info_span!(parent: &parent, "hidden");
        task_in(info_span!(parent: &hidden, "child")).await;
        task_in(debug_span!(parent: &hidden, "hidden")).await;
    });
}

#[test]
fn a_spawned_task_keeps_it() {
    assert_eq!(ids(&captured(spawns_tasks)), ["ada"; 4]);
}

#[test]
fn a_spawned_task_keeps_it_also_where_a_filter_hides_the_tasks_span_from_us() {
    let captured = CapturedEvents::new();
    let subscriber = wanting_all_spans!(filtered(captured.layer()));
    tracing::subscriber::with_default(subscriber, spawns_tasks);
    assert_eq!(ids(&captured.events()), ["ada"; 4]);
}

#[test]
fn the_same_beneath_others() {
    let captured = CapturedEvents::new();
    let beneath = registry()
        .with(filtered(captured.layer()))
        .with(crate::layers::Seen::default().layer());
    tracing::subscriber::with_default(beneath, spawns_tasks);
    assert_eq!(ids(&captured.events()), ["ada"; 4]);
}

#[test]
#[ignore = "`Option` and `Vec` do not forward `on_register_dispatch`, and within an event `tracing` \
            gives no scoped dispatcher; under a global one it works, see process/identity_global.rs"]
fn the_same_in_an_option_and_a_vec() {
    let captured = CapturedEvents::new();
    let option = wanting_all_spans!(Some(filtered(captured.layer())));
    tracing::subscriber::with_default(option, spawns_tasks);
    let vec = wanting_all_spans!(vec![filtered(captured.layer())]);
    tracing::subscriber::with_default(vec, spawns_tasks);
    assert_eq!(ids(&captured.events()), ["ada"; 8]);
}

#[test]
fn a_hidden_parent_is_passed_by() {
    let captured = CapturedEvents::new();
    let subscriber = wanting_all_spans!(filtered(captured.layer()));
    tracing::subscriber::with_default(subscriber, || {
        let ada = info_span!("visible", posthog.distinct_id = "ada");
        let hidden = info_span!(parent: &ada, "hidden", posthog.distinct_id = "nobody");
        info!(parent: &hidden, { posthog.event = "x" }, "m");
        hidden.in_scope(|| {
            info_span!("visible", posthog.event = "a span").in_scope(|| {});
            info!(posthog.event = "x");
            info!(parent: None, { posthog.event = "root", posthog.distinct_id = "none" }, "m");
        });
    });
    assert_eq!(ids(&captured.events()), ["ada", "ada", "ada", "none"]);
}

#[test]
fn a_span_entered_on_another_thread_keeps_it() {
    let captured = CapturedEvents::new();
    let dispatch = tracing::Dispatch::new(wanting_all_spans!(filtered(captured.layer())));
    let hidden = tracing::dispatcher::with_default(&dispatch, || {
        let parent = info_span!("parent", posthog.distinct_id = "ada");
        info_span!(parent: &parent, "hidden")
    });
    let elsewhere = std::thread::spawn(move || {
        tracing::dispatcher::with_default(&dispatch, || {
            hidden.in_scope(|| info!(posthog.event = "x"));
        });
    });
    elsewhere.join().unwrap();
    assert_eq!(ids(&captured.events()), ["ada"]);
}
