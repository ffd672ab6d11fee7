//! What is attached to spans, without an evaluation. See `tests/layer/flags_on_events.rs` for whole snapshots.

mod life;

use super::*;
use crate::PostHogSpanExt;
use crate::flags::{Core, FeatureFlags, FlagDefinitions, FlagsOnEvents};
use crate::testing::{CapturedEvents, RecordedEvent};
use serde_json::{Map, json};
use tracing::field::Empty;
use tracing::{info, info_span};

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
fn the_setting_says_which_flags_of_a_snapshot_they_are() {
    let body = json!({"flags": [
        {"key": "on", "active": true, "filters": {"groups": [{"properties": []}]}},
        {"key": "off", "active": true, "filters": {"groups": []}},
    ]});
    let body = body.to_string();
    let all = json!({"$active_feature_flags": ["on"], "$feature/on": true, "$feature/off": false});
    for (setting, before, after) in [
        (FlagsOnEvents::Accessed, none(), one("on")),
        (FlagsOnEvents::All, all.clone(), all),
        (FlagsOnEvents::None, none(), none()),
    ] {
        let mut core = Core::fixed(FlagDefinitions::parse(body.as_bytes()).unwrap());
        core.settings.on_events = setting;
        let events = said(|| {
            let span = info_span!("s");
            let user = FeatureFlags::over(Arc::new(core)).evaluate("ada").locally();
            user.attach(&span);
            span.in_scope(say);
            user.is_enabled("on");
            span.in_scope(say);
        });
        assert_eq!(events, [before, after], "{setting}");
    }
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
