//! `$feature_flag_called`: what is captured of flags that were asked for, and how often.

use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use tracing_posthog::testing::{CapturedEvents, Flags, RecordedEvent};
use tracing_posthog::{EvaluationContext, Event, FeatureFlags, FlagDefinitions, PostHogError};

fn with(flags: &Flags) -> (CapturedEvents, FeatureFlags) {
    let captured = CapturedEvents::new();
    let flags = flags.build().capture_to(captured.handle());
    (captured, flags)
}

fn called(captured: &CapturedEvents) -> Vec<RecordedEvent> {
    let events = captured.events();
    let called = events
        .into_iter()
        .filter(|it| it.event == "$feature_flag_called");
    called.collect()
}

/// Who asked for which flag, and what it was.
fn accesses(captured: &CapturedEvents) -> Vec<(String, String, Value)> {
    let text = |event: &RecordedEvent| {
        event.properties["$feature_flag"]
            .as_str()
            .map(str::to_owned)
    };
    called(captured)
        .into_iter()
        .map(|it| {
            (
                it.distinct_id.clone(),
                text(&it).unwrap(),
                it.properties["$feature_flag_response"].clone(),
            )
        })
        .collect()
}

fn access(who: &str, key: &str, value: impl Into<Value>) -> (String, String, Value) {
    (who.to_owned(), key.to_owned(), value.into())
}

#[test]
fn each_value_is_captured_once_for_each_person() {
    let (captured, flags) = with(&Flags::new().on("a").variant("b", "x").off("c"));
    for _ in 0..3 {
        let ada = flags.evaluate("ada").locally();
        let _ = (ada.is_enabled("a"), ada.flag("a"), ada.variant("b"));
        let _ = (
            ada.is_enabled_or("c", true),
            ada.is_enabled_or("none", true),
        );
        flags.evaluate("grace").locally().is_enabled("a");
    }
    assert_eq!(
        accesses(&captured),
        [
            access("ada", "a", true),
            access("ada", "b", "x"),
            access("ada", "c", false),
            access("ada", "none", Value::Null),
            access("grace", "a", true),
        ]
    );
    assert_eq!(flags.stats().called, 5);
    assert_eq!(flags.stats().unknown, 3);
}

#[test]
fn another_value_or_other_groups_are_captured_again() {
    let (captured, flags) = with(&Flags::new().on("a").on_for_group("b", "company", "acme"));
    let evaluate = |groups: &[(&str, &str)]| {
        let mut context = EvaluationContext::new("ada");
        for (group_type, key) in groups {
            context = context.group(*group_type, *key);
        }
        let user = flags.evaluate(context).locally();
        let _ = (user.is_enabled("a"), user.is_enabled("b"));
    };
    evaluate(&[]);
    evaluate(&[("company", "acme"), ("team", "7")]);
    evaluate(&[("team", "7"), ("company", "acme")]);
    assert_eq!(
        accesses(&captured),
        [
            access("ada", "a", true),
            access("ada", "b", false),
            access("ada", "a", true),
            access("ada", "b", true),
        ]
    );
    let groups = &called(&captured)[2].properties["$groups"];
    assert_eq!(*groups, json!({"company": "acme", "team": "7"}));
}

#[test]
fn looking_at_payloads_and_lists_is_silent() {
    let (captured, flags) = with(&Flags::new().payload("a", 1).unresolved("b"));
    let user = flags.evaluate("ada").locally();
    let _: Option<u32> = user.payload("a").unwrap();
    let _ = (
        user.keys(),
        user.all(),
        user.unresolved(),
        user.reason("a"),
        format!("{user:?}"),
    );
    assert_eq!(accesses(&captured), []);
    assert!(user.is_enabled("a"));
    assert_eq!(accesses(&captured).len(), 1);
}

#[test]
fn a_silent_snapshot_captures_nothing() {
    let (captured, flags) = with(&Flags::new().on("a"));
    let silent = flags.evaluate("ada").silently().locally();
    assert!(silent.is_enabled("a") && silent.flag("none").is_none());
    assert_eq!(accesses(&captured), []);
    // It takes nothing from the others.
    assert!(flags.evaluate("ada").locally().is_enabled("a"));
    assert_eq!(accesses(&captured), [access("ada", "a", true)]);
}

#[test]
fn what_is_asked_for_while_opted_out_is_captured_afterwards() {
    let (captured, flags) = with(&Flags::new().on("a"));
    captured.handle().opt_out();
    assert!(flags.evaluate("ada").locally().is_enabled("a"));
    captured.handle().opt_in();
    assert_eq!(accesses(&captured), []);
    assert!(flags.evaluate("ada").locally().is_enabled("a"));
    assert_eq!(accesses(&captured), [access("ada", "a", true)]);
}

#[test]
fn many_threads_capture_a_flag_once() {
    let (captured, flags) = with(&Flags::new().on("a"));
    let user = flags.evaluate("ada").locally();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..100 {
                    assert!(user.is_enabled("a"));
                    assert!(flags.evaluate("ada").locally().is_enabled("a"));
                }
            });
        }
    });
    assert_eq!(accesses(&captured), [access("ada", "a", true)]);
}

#[test]
fn nobody_asks_for_nothing() {
    let (captured, flags) = with(&Flags::new().on("a"));
    let nobody = flags.evaluate("").locally();
    assert!(!nobody.is_enabled("a") && nobody.is_enabled_or("a", true));
    assert_eq!(nobody.keys(), [""; 0]);
    assert_eq!(accesses(&captured), []);
}

#[test]
fn without_a_place_for_it_nothing_is_captured_and_nothing_fails() {
    let flags = Flags::new().on("a").build();
    assert!(flags.evaluate("ada").locally().is_enabled("a"));
    assert_eq!(flags.stats().called, 0);
}

#[test]
fn a_locally_decided_flag_says_so() {
    let (captured, flags) = with(&Flags::new().variant("a", "x").payload("a", json!({"n": 1})));
    let user = flags.evaluate("ada").device_id("phone").locally();
    assert_eq!(user.variant("a"), Some("x"));
    let event = &called(&captured)[0];
    let property = |name: &str| event.properties.get(name).cloned();
    for (name, value) in [
        ("$feature_flag", json!("a")),
        ("$feature_flag_response", json!("x")),
        ("$feature/a", json!("x")),
        ("$feature_flag_payload", json!({"n": 1})),
        ("locally_evaluated", json!(true)),
        ("$feature_flag_has_experiment", json!(false)),
        ("$device_id", json!("phone")),
    ] {
        assert_eq!(property(name), Some(value), "{name}");
    }
    for absent in [
        "$feature_flag_error",
        "$feature_flag_request_id",
        "$feature_flag_evaluated_at",
    ] {
        assert_eq!(property(absent), None, "{absent}");
    }
}

#[test]
fn an_unknown_flag_is_missing() {
    let (captured, flags) = with(&Flags::new());
    assert!(!flags.evaluate("ada").locally().is_enabled("a"));
    let event = &called(&captured)[0];
    assert_eq!(event.properties["$feature_flag_response"], Value::Null);
    assert_eq!(event.properties["$feature_flag_error"], "flag_missing");
    assert_eq!(event.properties["locally_evaluated"], false);
}

#[test]
fn the_session_of_the_span_is_told() {
    let (captured, flags) = with(&Flags::new().on("a"));
    captured.in_scope(|| {
        let span = tracing::info_span!(
            "request",
            posthog.distinct_id = "ada",
            posthog.session_id = "s-1",
            posthog.group.company = "acme"
        );
        span.in_scope(|| assert!(flags.evaluate_current().locally().is_enabled("a")));
    });
    let event = &called(&captured)[0];
    assert_eq!(event.distinct_id, "ada");
    assert_eq!(event.properties["$session_id"], "s-1");
    assert_eq!(event.properties["$groups"], json!({"company": "acme"}));
}

#[test]
fn a_value_that_changed_is_captured_again() {
    let body = json!({"flags": [{"key": "a", "active": true, "filters": {"groups": [{"properties": [
        {"key": "plan", "type": "person", "operator": "exact", "value": ["pro"]},
    ]}]}}]});
    let (captured, flags) = with(&Flags::from_definitions(body).unwrap());
    for plan in ["free", "pro", "free"] {
        let user = flags.evaluate("ada").person("plan", plan).locally();
        assert_eq!(user.is_enabled("a"), plan == "pro");
    }
    let expected = [access("ada", "a", false), access("ada", "a", true)];
    assert_eq!(accesses(&captured), expected);
}

/// Without an experiment, and where the definitions ask for it.
#[test]
fn the_short_form_leaves_out_what_nobody_counts() -> Result<(), PostHogError> {
    for (minimal, has_experiment, is_short) in [
        (json!(true), json!(false), true),
        (json!(true), json!(true), false),
        (json!(true), Value::Null, false),
        (json!(false), json!(false), false),
        (Value::Null, json!(false), false),
    ] {
        let definitions = FlagDefinitions::parse(
            json!({
                "flags": [{
                    "key": "a", "active": true, "has_experiment": has_experiment,
                    "filters": {"groups": [{}], "payloads": {"true": "1"}},
                }],
                "minimal_flag_called_events": minimal,
            })
            .to_string()
            .as_bytes(),
        )?;
        let captured = CapturedEvents::new();
        let flags = FeatureFlags::from_definitions(definitions).capture_to(captured.handle());
        assert!(flags.evaluate("ada").locally().is_enabled("a"));
        let event = &called(&captured)[0];
        let case = format!("{minimal} {has_experiment}: {event}");
        assert_eq!(event.properties["$feature_flag_response"], true, "{case}");
        assert_eq!(
            event.properties.contains_key("$feature/a"),
            !is_short,
            "{case}"
        );
        assert_eq!(
            event.properties.contains_key("$feature_flag_payload"),
            !is_short,
            "{case}"
        );
    }
    Ok(())
}

#[test]
fn a_hook_that_asks_for_flags_takes_no_access_from_others() {
    let asked = Arc::new(OnceLock::<FeatureFlags>::new());
    let hook = asked.clone();
    let captured = CapturedEvents::builder()
        .capture(move |capture| {
            capture.before_send(move |event| {
                let user = hook.get().unwrap().evaluate("ada").locally();
                assert!(user.is_enabled("a"));
                Some(event)
            })
        })
        .build()
        .unwrap();
    let flags = Flags::new().on("a").build().capture_to(captured.handle());
    asked.set(flags.clone()).unwrap();
    captured.handle().capture(Event::new("an event"));
    assert_eq!(captured.events().len(), 1);
    assert_eq!(flags.stats().called, 0);

    assert!(flags.evaluate("ada").locally().is_enabled("a"));
    assert_eq!(accesses(&captured), [access("ada", "a", true)]);
    assert_eq!(flags.stats().called, 1);
}

#[test]
fn the_short_form_leaves_out_what_defaults_and_hooks_add() {
    let captured = CapturedEvents::builder().capture(|capture| {
        capture
            .default_property("app_version", "1.2.3")
            .default_property("utm_source", "ads")
            .before_send(|event| {
                Some(
                    event
                        .property("by_hook", 1)
                        .property("$window_id", "w")
                        .set("plan", "pro"),
                )
            })
    });
    let captured = captured.build().unwrap();
    for minimal in [true, false] {
        let definitions = json!({
            "flags": [{"key": "on", "active": true, "has_experiment": false,
                "filters": {"groups": [{"properties": []}], "payloads": {"true": "1"}}}],
            "minimal_flag_called_events": minimal,
        });
        let flags = captured.flags(Flags::from_definitions(definitions).unwrap());
        let user = flags.evaluate("ada").group("company", "acme").locally();
        assert!(user.is_enabled("on"));
        let event = captured.take().pop().unwrap();
        assert_eq!(event.distinct_id, "ada");
        for kept in [
            "$feature_flag",
            "$feature_flag_response",
            "$groups",
            "$lib",
            "$os",
            "$window_id",
            "utm_source",
        ] {
            assert!(event.properties.contains_key(kept), "{kept}: {event}");
        }
        for left_out in [
            "app_version",
            "by_hook",
            "$set",
            "$feature/on",
            "$feature_flag_payload",
        ] {
            assert_eq!(
                event.properties.contains_key(left_out),
                !minimal,
                "{left_out}: {event}"
            );
        }
    }
}
