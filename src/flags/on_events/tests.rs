//! What is attached to spans, without an evaluation. See `tests/layer/flags_on_events.rs` for whole snapshots.

use super::*;
use crate::testing::{CapturedEvents, RecordedEvent};
use crate::{CaptureHandle, PostHogLayer, PostHogSpanExt};
use serde_json::{Map, json};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Barrier, Weak};
use tracing::field::Empty;
use tracing::{Dispatch, Instrument, dispatcher, info, info_span};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{registry, reload};

const ON: FlagValue<'_> = FlagValue::Bool(true);
const OFF: FlagValue<'_> = FlagValue::Bool(false);

fn flags<'a>(flags: impl IntoIterator<Item = (&'a str, FlagValue<'a>)>) -> Arc<EventFlags> {
    let shared = Arc::<EventFlags>::default();
    shared.set(flags.into_iter());
    shared
}

fn attached(span: &Span, of: &[(&str, FlagValue<'_>)]) {
    attach(span, &flags(of.iter().copied()));
}

fn say() {
    info!(posthog.event = "x");
}

fn of_flags(properties: &Map<String, Value>) -> Value {
    let all = properties.iter().filter(|(name, _)| is_of_flags(name));
    all.map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Map<_, _>>()
        .into()
}

fn each(events: &[RecordedEvent]) -> Vec<Value> {
    events.iter().map(|e| of_flags(&e.properties)).collect()
}

/// What the events that are captured meanwhile say of flags.
fn said(f: impl FnOnce()) -> Vec<Value> {
    let captured = CapturedEvents::new();
    captured.in_scope(f);
    each(&captured.events())
}

fn one(key: &str) -> Value {
    json!({"$active_feature_flags": [key], format!("$feature/{key}"): true})
}

fn none() -> Value {
    json!({})
}

#[test]
fn events_within_carry_them_with_their_values_and_others_do_not() {
    let json = json!({"a": [1, null]});
    let events = said(|| {
        for span in [
            info_span!("foreign"),
            info_span!("ours", posthog.distinct_id = "ada"),
        ] {
            say();
            attached(
                &span,
                &[
                    ("on", ON),
                    ("off", OFF),
                    ("variant", FlagValue::Variant("b \"c\"")),
                    ("json", FlagValue::Json(&json)),
                    ("null", FlagValue::Json(&Value::Null)),
                ],
            );
            span.in_scope(say);
            span.in_scope(|| info_span!("inner", posthog.session_id = "s").in_scope(say));
            info!(parent: &span, { posthog.event = "by parent" }, "m");
            info_span!("beside", posthog.session_id = "s").in_scope(say);
            info!(parent: None, { posthog.event = "root" }, "m");
            drop(span);
        }
    });
    let want = json!({
        "$active_feature_flags": ["json", "on", "variant"],
        "$feature/on": true,
        "$feature/off": false,
        "$feature/variant": "b \"c\"",
        "$feature/json": {"a": [1, null]},
        "$feature/null": null,
    });
    for of_span in events.chunks(6) {
        assert_eq!(of_span[0], none());
        assert_eq!(of_span[1..4], [want.clone(), want.clone(), want.clone()]);
        assert_eq!(of_span[4..], [none(), none()]);
    }
    assert_eq!(events.len(), 12);
}

#[test]
fn a_change_reaches_all_spans_that_hold_them() {
    let events = said(|| {
        let shared = flags([]);
        let (foreign, ours) = (info_span!("f"), info_span!("o", posthog.session_id = "s"));
        attach(&foreign, &shared);
        attach(&ours, &shared);
        let both = || {
            foreign.in_scope(say);
            ours.in_scope(say);
        };
        both();
        shared.set([("a", ON)].into_iter());
        both();
        shared.set([("a", ON), ("b", OFF)].into_iter());
        both();
        shared.set([].into_iter());
        both();
    });
    let two = json!({"$active_feature_flags": ["a"], "$feature/a": true, "$feature/b": false});
    assert_eq!(
        events,
        [
            none(),
            none(),
            one("a"),
            one("a"),
            two.clone(),
            two,
            none(),
            none()
        ]
    );
}

#[test]
fn the_nearest_snapshot_wins_and_of_one_span_the_last() {
    let events = said(|| {
        let outer = info_span!("outer", posthog.distinct_id = "ada");
        let inner = info_span!(parent: &outer, "inner");
        attached(&outer, &[("a", ON), ("b", ON)]);
        attached(&inner, &[]);
        inner.in_scope(say);
        attached(&inner, &[("a", OFF)]);
        inner.in_scope(say);
        attached(&inner, &[("c", FlagValue::Variant("v"))]);
        inner.in_scope(say);
        outer.in_scope(say);
    });
    let outer =
        json!({"$active_feature_flags": ["a", "b"], "$feature/a": true, "$feature/b": true});
    assert_eq!(
        events,
        [
            outer.clone(),
            json!({"$active_feature_flags": [], "$feature/a": false, "$feature/b": true}),
            json!({"$active_feature_flags": ["c"], "$feature/a": true, "$feature/b": true, "$feature/c": "v"}),
            outer
        ]
    );
}

#[test]
fn fields_of_the_event_and_of_the_span_win_over_them() {
    let events = said(|| {
        let span = info_span!("s");
        attached(&span, &[("a", ON), ("b", ON)]);
        span.set_property("$feature/a", "of the span");
        span.in_scope(|| info!(posthog.event = "x", "$feature/b" = "of the event"));
    });
    let want = json!({
        "$active_feature_flags": ["a", "b"],
        "$feature/a": "of the span",
        "$feature/b": "of the event",
    });
    assert_eq!(events, [want]);
}

#[test]
fn what_is_recorded_before_and_after_stays_beside_them() {
    let captured = CapturedEvents::new();
    captured.in_scope(|| {
        let span = info_span!("s", posthog.distinct_id = Empty, posthog.session_id = Empty);
        span.record("posthog.distinct_id", "ada");
        attached(&span, &[("a", ON)]);
        span.record("posthog.session_id", "s1");
        span.set_group("company", "acme");
        span.in_scope(say);
    });
    let event = captured.find("x").unwrap();
    assert_eq!(of_flags(&event.properties), one("a"));
    assert_eq!(event.distinct_id, "ada");
    assert_eq!(event.properties["$session_id"], "s1");
    assert_eq!(event.properties["$groups"]["company"], "acme");
}

#[test]
fn the_own_event_of_a_span_carries_them() {
    let events = said(|| {
        let request = info_span!("request");
        let own = info_span!(parent: &request, "own", posthog.event = "own");
        let shared = flags([]);
        attach(&own, &shared);
        shared.set([("a", ON)].into_iter());
        let within = info_span!(parent: &own, "within", posthog.event = "within");
        let silent = info_span!("silent", posthog.event = Empty);
        attach(&silent, &shared);
        attached(&request, &[("b", ON)]);
        drop((within, own, silent));
    });
    let want = json!({"$active_feature_flags": ["a"], "$feature/a": true, "$feature/b": true});
    assert_eq!(events, [want.clone(), want]);
}

#[test]
fn the_current_context_shows_what_events_carry() {
    let captured = CapturedEvents::new();
    captured.in_scope(|| {
        let span = info_span!("s");
        attached(&span, &[("a", FlagValue::Variant("b")), ("off", OFF)]);
        let _within = span.enter();
        say();
        let context = captured.handle().current_context();
        let event = captured.find("x").unwrap();
        assert_eq!(of_flags(context.properties()), of_flags(&event.properties));
        assert_eq!(context.properties()["$feature/a"], "b");
        assert_eq!(context.properties()["$active_feature_flags"], json!(["a"]));
    });
}

#[test]
fn all_layers_of_the_subscriber_have_them_but_no_other_and_a_reload_keeps_them() {
    let all: [_; 4] = std::array::from_fn(|_| CapturedEvents::new());
    let [plain, reloaded, filtered, elsewhere] = &all;
    let (to_reload, reload) = reload::Layer::new(reloaded.layer());
    let not_hidden = filter_fn(|m| m.name() != "hidden");
    let other = Dispatch::new(registry().with(elsewhere.layer()));
    let subscriber = registry()
        .with(PostHogLayer::new(CaptureHandle::disabled()))
        .with(to_reload)
        .with(filtered.layer().with_filter(not_hidden))
        .with(plain.layer());
    tracing::subscriber::with_default(subscriber, || {
        let shared = flags([]);
        let (late, own) = (info_span!("late"), info_span!("own", posthog.event = "x"));
        let hidden = info_span!("hidden");
        for span in [&late, &own, &hidden] {
            attach(span, &shared);
        }
        late.in_scope(say);
        reload.reload(reloaded.layer()).unwrap();
        shared.set([("a", ON)].into_iter());
        late.in_scope(say);
        hidden.in_scope(say);
        drop(own);
        dispatcher::with_default(&other, || info_span!("late").in_scope(say));
    });
    for captured in [plain, reloaded] {
        assert_eq!(
            each(&captured.events()),
            [none(), one("a"), one("a"), one("a")]
        );
    }
    assert_eq!(
        each(&filtered.events()),
        [none(), one("a"), none(), one("a")]
    );
    assert_eq!(each(&elsewhere.events()), [none()]);
}

#[test]
fn nothing_happens_where_there_is_no_span_no_layer_or_no_subscriber() {
    let shared = flags([("a", ON)]);
    attach(&Span::current(), &shared);
    attach(&info_span!("nobody's"), &shared);
    attach(&Span::none(), &shared);
    let disabled = registry().with(PostHogLayer::new(CaptureHandle::disabled()));
    for dispatch in [Dispatch::new(registry()), Dispatch::new(disabled)] {
        dispatcher::with_default(&dispatch, || {
            let span = info_span!("s", posthog.distinct_id = "ada");
            attach(&span, &shared);
            span.in_scope(say);
        });
    }
    let events = said(|| {
        attach(&Span::current(), &shared);
        attach(&tracing::debug_span!("disabled"), &shared);
        say();
    });
    assert_eq!(events, [none()]);
    assert_eq!(Arc::strong_count(&shared.fields), 1);
}

#[test]
fn neither_keeps_the_other_and_each_may_be_gone_first() {
    let captured = CapturedEvents::new();
    captured.in_scope(|| {
        for open in [
            || info_span!("foreign"),
            || info_span!("ours", posthog.distinct_id = "ada"),
            || info_span!("timed", posthog.event = Empty),
        ] {
            // The snapshot outlives the span.
            let (span, shared) = (open(), flags([("a", ON)]));
            let fields = Arc::downgrade(&shared.fields);
            let inner = info_span!(parent: &span, "inner", posthog.session_id = "s");
            attach(&span, &shared);
            drop(span);
            inner.in_scope(say); // `inner` keeps it open
            drop(inner);
            assert_eq!(fields.strong_count(), 1);
            shared.set([("b", ON)].into_iter());
            say();
            // The span outlives the snapshot.
            let span = open();
            attach(&span, &shared);
            drop(shared);
            span.in_scope(say);
            assert_eq!(fields.strong_count(), 1);
            attached(&span, &[("c", ON)]);
            assert_eq!(fields.strong_count(), 0);
            assert!(Weak::upgrade(&fields).is_none());
        }
    });
    let events = each(&captured.events());
    for of_span in events.chunks(3) {
        assert_eq!(of_span, [one("a"), none(), one("b")]);
    }
    assert_eq!(events.len(), 9);
}

#[test]
fn what_is_too_much_for_a_span_is_left_out_and_the_event_arrives() {
    let captured = CapturedEvents::new();
    captured.in_scope(|| {
        let span = info_span!("s", posthog.distinct_id = "ada");
        let keys: Vec<_> = (0..3_000).map(|n| format!("flag-{n}")).collect();
        attach(&span, &flags(keys.iter().map(|key| (&**key, ON))));
        span.in_scope(say);
    });
    let event = captured.find("x").unwrap();
    assert_eq!(event.distinct_id, "ada");
    let active = event.properties["$active_feature_flags"]
        .as_array()
        .unwrap();
    assert_eq!(active.len(), 3_000);
    let of_flags = of_flags(&event.properties);
    let carried = of_flags.as_object().unwrap().len();
    assert!((100..2_900).contains(&carried), "{carried}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_and_threads_within_the_span_carry_them() {
    let captured = CapturedEvents::new();
    let dispatch = Dispatch::new(registry().with(captured.layer()));
    let task = {
        let _default = dispatcher::set_default(&dispatch);
        let span = info_span!("request");
        attached(&span, &[("a", ON)]);
        let (here, dispatch) = (span.clone(), dispatch.clone());
        std::thread::spawn(move || dispatcher::with_default(&dispatch, || here.in_scope(say)))
            .join()
            .unwrap();
        tracing::instrument::WithSubscriber::with_current_subscriber(
            async {
                tokio::task::yield_now().await;
                say();
            }
            .instrument(span),
        )
    };
    tokio::spawn(task).await.unwrap();
    assert_eq!(each(&captured.events()), [one("a"), one("a")]);
}

/// Each event has the flags of one moment.
#[test]
fn events_of_all_threads_see_whole_changes() {
    let captured = CapturedEvents::new();
    let dispatch = Dispatch::new(registry().with(captured.layer()));
    let shared = flags([
        ("a", FlagValue::Variant("0")),
        ("b", FlagValue::Variant("0")),
    ]);
    let span = dispatcher::with_default(&dispatch, || info_span!("s"));
    attach(&span, &shared);
    let (start, done) = (Barrier::new(4), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                dispatcher::with_default(&dispatch, || {
                    start.wait();
                    let mut events = 0;
                    while events < 200 || (!done.load(Relaxed) && events < 5_000) {
                        span.in_scope(say);
                        events += 1;
                    }
                });
            });
        }
        start.wait();
        for n in 1..=500 {
            // Of another length each time.
            let value = n.to_string().repeat(1 + n % 50);
            let value = FlagValue::Variant(&value);
            shared.set([("a", value), ("b", value)].into_iter());
        }
        done.store(true, Relaxed);
    });
    let mut events = captured.take();
    dispatcher::with_default(&dispatch, || span.in_scope(say));
    events.extend(captured.events());
    for event in &events {
        let p = &event.properties;
        assert_eq!(p["$feature/a"], p["$feature/b"]);
    }
    let last = &events[events.len() - 1].properties;
    assert!(last["$feature/a"].as_str().unwrap().starts_with("500"));
}
