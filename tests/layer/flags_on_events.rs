//! Feature flags on events: what an attached snapshot makes events say, and for whom `evaluate_current` evaluates.

use crate::layers::{captured, diagnostics};
use serde_json::{Map, Value, json};
use tracing::{Dispatch, Instrument, dispatcher, info, info_span};
use tracing_posthog::testing::{CapturedEvents, Flags, RecordedEvent};
use tracing_posthog::{
    Event, FeatureFlags, FlagDefinitions, FlagValue, PostHogSpanExt, SpanFields,
};
use tracing_subscriber::prelude::*;

/// `beta` is on, `old` is off, `checkout` has the variant `b`; and what is decided by what is known of somebody:
/// `pro` by the plan, `of-ada` by the id, `of-acme` by the group.
fn flags() -> FeatureFlags {
    let flag = |key: &str, groups: Value| json!({"key": key, "active": true, "filters": {"groups": groups}});
    let condition = |key: &str, value: &str| json!([{"properties": [{"key": key, "type": "person", "operator": "exact", "value": value}]}]);
    let mut checkout = flag("checkout", json!([{"properties": [], "variant": "b"}]));
    checkout["filters"]["multivariate"] = json!({"variants": [{"key": "a", "rollout_percentage": 50}, {"key": "b", "rollout_percentage": 50}]});
    let mut of_acme = flag(
        "of-acme",
        json!([{"properties": [{"key": "$group_key", "type": "group", "group_type_index": 0, "operator": "exact", "value": "acme"}]}]),
    );
    of_acme["filters"]["aggregation_group_type_index"] = json!(0);
    let body = json!({
        "flags": [
            flag("beta", json!([{"properties": []}])),
            flag("old", json!([])),
            checkout,
            flag("pro", condition("plan", "pro")),
            flag("of-ada", condition("distinct_id", "ada")),
            of_acme,
        ],
        "group_type_mapping": {"0": "company"},
    });
    FeatureFlags::from_definitions(FlagDefinitions::parse(body.to_string().as_bytes()).unwrap())
}

fn say() {
    info!(posthog.event = "x");
}

fn of_flags(properties: &Map<String, Value>) -> Value {
    let of_flags = |name: &str| name.starts_with("$feature/") || name == "$active_feature_flags";
    let all = properties.iter().filter(|(name, _)| of_flags(name));
    all.map(|(name, value)| (name.clone(), value.clone()))
        .collect::<Map<_, _>>()
        .into()
}

/// What the events named `x` say of flags.
fn each(events: &[RecordedEvent]) -> Vec<Value> {
    let events = events.iter().filter(|e| e.event == "x");
    events.map(|e| of_flags(&e.properties)).collect()
}

fn beta() -> Value {
    json!({"$active_feature_flags": ["beta"], "$feature/beta": true})
}

#[test]
fn events_carry_the_flags_that_were_asked_for() {
    let events = captured(|| {
        let span = info_span!("foreign");
        let user = flags().evaluate("ada").locally();
        user.attach(&span);
        let say = || span.in_scope(say);
        say();
        assert!(user.is_enabled("beta"));
        say();
        assert!(!user.is_enabled("old") && !user.is_enabled("unheard-of"));
        say();
        assert_eq!(user.clone().variant("checkout"), Some("b"));
        assert!(user.payload::<Value>("pro").is_ok() && user.keys().len() > 3);
        say();
        drop(user);
        say();
    });
    let three = json!({
        "$active_feature_flags": ["beta", "checkout"],
        "$feature/beta": true,
        "$feature/old": false,
        "$feature/checkout": "b",
    });
    let two =
        json!({"$active_feature_flags": ["beta"], "$feature/beta": true, "$feature/old": false});
    assert_eq!(
        each(&events),
        [json!({}), beta(), two, three.clone(), three]
    );
}

#[test]
fn what_was_asked_for_before_is_carried_from_the_beginning() {
    let events = captured(|| {
        let user = flags().evaluate("ada").locally();
        assert!(user.is_enabled("beta"));
        let (one, two) = (
            info_span!("one"),
            info_span!("two", posthog.distinct_id = "ada"),
        );
        user.attach(&one);
        one.in_scope(say);
        user.attach(&two);
        user.variant("checkout");
        one.in_scope(say);
        two.in_scope(say);
    });
    let both = json!({"$active_feature_flags": ["beta", "checkout"], "$feature/beta": true, "$feature/checkout": "b"});
    assert_eq!(each(&events), [beta(), both.clone(), both]);
}

#[test]
fn a_narrowed_snapshot_is_carried_as_it_is() {
    let events = captured(|| {
        let span = info_span!("s");
        let user = flags().evaluate("ada").locally();
        user.only(["beta", "old", "unheard-of"]).attach(&span);
        user.variant("checkout");
        span.in_scope(say);
        user.only_accessed().attach(&span);
        user.is_enabled("beta");
        span.in_scope(say);
    });
    assert_eq!(
        each(&events),
        [
            json!({"$active_feature_flags": ["beta"], "$feature/beta": true, "$feature/old": false}),
            json!({"$active_feature_flags": ["checkout"], "$feature/checkout": "b"}),
        ]
    );
}

/// Whoever asks gets no value, so no event may say one.
#[test]
fn a_flag_that_a_narrowed_snapshot_leaves_out_is_not_asked_for() {
    let captured = CapturedEvents::new();
    let flags = flags().capture_to(captured.handle());
    captured.in_scope(|| {
        let span = info_span!("s");
        let user = flags.evaluate("ada").locally();
        user.attach(&span);
        assert!(!user.only(["old"]).is_enabled("beta"));
        span.in_scope(say);
        assert!(user.is_enabled("beta"));
        span.in_scope(say);
    });
    let events = captured.events();
    assert_eq!(each(&events), [json!({}), beta()]);
    let called = events.iter().filter(|e| e.event == "$feature_flag_called");
    let called: Vec<_> = called
        .map(|e| &e.properties["$feature_flag_response"])
        .collect();
    assert_eq!(called, [true]);
}

#[test]
fn an_event_from_code_is_given_a_snapshot() {
    let captured = CapturedEvents::new();
    let user = flags()
        .capture_to(captured.handle())
        .evaluate("ada")
        .locally();
    let events = [
        Event::new("x").flags(&user.only(["beta", "old", "checkout", "unheard-of"])),
        Event::new("x").flags(&user.only_accessed()),
        Event::new("x")
            .property("$feature/beta", 1)
            .flags(&user.only(["old"])),
        Event::new("x").flags(&user),
    ];
    for event in events {
        captured.handle().capture(event);
    }
    let events = captured.events();
    assert_eq!(events.len(), 4, "no access: {events:?}");
    let events = each(&events);
    assert_eq!(
        events[0],
        json!({
            "$active_feature_flags": ["beta", "checkout"],
            "$feature/beta": true,
            "$feature/old": false,
            "$feature/checkout": "b",
        })
    );
    assert_eq!(events[1], json!({}));
    assert_eq!(
        events[2],
        json!({"$active_feature_flags": [], "$feature/beta": 1, "$feature/old": false})
    );
    assert_eq!(events[3]["$feature/of-ada"], true);
}

#[test]
fn the_current_span_says_for_whom_flags_are_evaluated() {
    let captured = CapturedEvents::builder()
        .layer(|layer| layer.span_fields(SpanFields::all()))
        .build()
        .unwrap();
    let flags = flags().capture_to(captured.handle());
    captured.in_scope(|| {
        let request = info_span!(
            "request",
            posthog.distinct_id = "ada",
            posthog.session_id = "s1"
        );
        let inner =
            info_span!(parent: &request, "inner", posthog.group.company = "acme", plan = "pro");
        let far = request.in_scope(|| flags.evaluate_current().locally());
        assert!(far.is_enabled("of-ada"));
        assert_eq!(far.flag("pro"), None);
        assert_eq!(far.flag("of-acme"), Some(FlagValue::Bool(false)));
        let near = inner.in_scope(|| flags.evaluate_current().locally());
        for key in ["of-ada", "pro", "of-acme"] {
            assert!(near.is_enabled(key), "{key}");
        }
        let given = inner.in_scope(|| {
            let given = flags.evaluate_current().person("plan", "free");
            given.group("company", "other").silently().locally()
        });
        assert!(!given.is_enabled("pro") && !given.is_enabled("of-acme"));
    });
    let mut called = captured.events();
    called.retain(|e| e.event == "$feature_flag_called");
    assert!(called.len() >= 4, "{called:?}");
    for event in &called {
        assert_eq!(event.distinct_id, "ada");
        assert_eq!(event.properties["$session_id"], "s1");
    }
    let of_acme = called.iter().find(|e| {
        e.properties["$feature_flag"] == "of-acme" && e.properties["$feature_flag_response"] == true
    });
    assert_eq!(
        of_acme.unwrap().properties["$groups"],
        json!({"company": "acme"})
    );
}

#[test]
fn what_events_say_of_flags_is_no_property_of_the_person() {
    let captured = CapturedEvents::new();
    let flags = flags().capture_to(captured.handle());
    captured.in_scope(|| {
        let span = info_span!("s", posthog.distinct_id = "ada");
        span.set_property("plan", "pro");
        let _within = span.enter();
        let user = flags.evaluate_current().locally();
        assert!(user.is_enabled("beta"));
        let again = format!("{:?}", flags.evaluate_current());
        assert!(again.contains("plan"), "{again}");
        for secret in ["$feature/", "$active", "ada", "\"pro\""] {
            assert!(!again.contains(secret), "{secret} in {again}");
        }
    });
}

#[test]
fn after_evaluate_current_the_span_carries_them_and_the_later_evaluation_wins() {
    let captured = CapturedEvents::new();
    let flags = flags().capture_to(captured.handle());
    captured.in_scope(|| {
        let request = info_span!("request", posthog.distinct_id = "ada");
        let foreign = info_span!(parent: &request, "foreign");
        foreign.in_scope(|| {
            let user = flags.evaluate_current().locally();
            user.is_enabled("beta");
            say();
            info_span!("inner").in_scope(|| {
                let user = flags.evaluate_current().locally();
                user.is_enabled("old");
                say();
            });
            say();
            flags.evaluate_current().locally();
            say();
            flags.evaluate_current().locally().variant("checkout");
            say();
        });
        request.in_scope(say);
    });
    assert_eq!(
        each(&captured.events()),
        [
            beta(),
            json!({"$active_feature_flags": [], "$feature/beta": true, "$feature/old": false}),
            beta(),
            json!({}),
            json!({"$active_feature_flags": ["checkout"], "$feature/checkout": "b"}),
            json!({}),
        ]
    );
}

#[test]
fn where_nobody_is_named_no_flag_is_known_and_nothing_is_replaced() {
    let captured = CapturedEvents::new();
    let known = flags().capture_to(captured.handle());
    let nobody = |flags: &FeatureFlags| {
        let user = flags.evaluate_current().locally();
        assert_eq!(user.flag("beta"), None);
        assert!(user.keys().is_empty());
    };
    nobody(&known);
    captured.in_scope(|| {
        nobody(&known);
        let span = info_span!("s");
        let user = known.evaluate("ada").locally();
        user.attach(&span);
        user.is_enabled("beta");
        span.in_scope(|| {
            nobody(&known);
            span.set_distinct_id("ada");
            nobody(&FeatureFlags::disabled());
            // It captures nowhere, so no layer is its own.
            nobody(&flags());
            say();
        });
    });
    assert_eq!(each(&captured.events()), [beta()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_task_the_flags_are_those_of_its_span() {
    let captured = CapturedEvents::new();
    let flags = flags().capture_to(captured.handle());
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(captured.layer()));
    let request = async move {
        let user = flags.evaluate_current().await.unwrap();
        tokio::task::yield_now().await;
        assert!(user.is_enabled("of-ada"));
        tokio::task::yield_now().await;
        say();
    };
    let task = dispatcher::with_default(&dispatch, || {
        let span = info_span!("request", posthog.distinct_id = "ada");
        tracing::instrument::WithSubscriber::with_current_subscriber(request.instrument(span))
    });
    tokio::spawn(task).await.unwrap();
    assert_eq!(
        each(&captured.events()),
        [json!({"$active_feature_flags": ["of-ada"], "$feature/of-ada": true})]
    );
}

#[test]
fn too_many_flags_for_a_span_are_said() {
    let mut flags = Flags::new();
    for n in 0..3_000 {
        flags = flags.on(format!("flag-{n}"));
    }
    let user = flags.build().evaluate("ada").locally();
    let warnings = diagnostics(|_| {
        let span = info_span!("s");
        user.only(user.keys()).attach(&span);
        span.in_scope(say);
        span.in_scope(say);
    });
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("64 KiB"));
}
