//! What PostHog answers to a request for flags, in all its versions.

use crate::remote::{asking, flags_of};
use crate::support::*;
use serde_json::{Value, json};
use tracing_posthog::testing::Answer;
use tracing_posthog::{FlagEvaluations, FlagValue, PostHogError, UnresolvedReason};

/// An evaluation that is answered with this text.
async fn answered(body: impl Into<Vec<u8>>) -> FlagEvaluations {
    let server = server();
    server.answer_next(Answer::status(200).body(body));
    let flags = flags_of(asking(&server));
    flags.evaluate("user_42").await.unwrap()
}

async fn with_json(body: Value) -> FlagEvaluations {
    answered(body.to_string()).await
}

fn payload(user: &FlagEvaluations, key: &str) -> Option<Value> {
    user.payload(key).unwrap()
}

#[tokio::test]
async fn version_2_is_read() {
    let user = with_json(json!({
        "flags": {
            "checkout": {
                "key": "checkout", "enabled": true, "variant": "b",
                "reason": {"code": "condition_match", "condition_index": 0, "description": "Matched condition set 1"},
                "metadata": {"id": 91, "version": 4, "description": null, "payload": "{\"color\":\"#00f\"}",
                    "has_experiment": false, "unheard_of": [1]},
                "unheard_of": {}
            },
            "on": {"enabled": true, "variant": null, "metadata": {"payload": {"plain": [1]}}},
            "off": {"enabled": false, "reason": {"code": "no_condition_match", "condition_index": null}},
            "no-json": {"enabled": true, "metadata": {"payload": "not { json"}},
        },
        "errorsWhileComputingFlags": false,
        "requestId": "0195f0aa-3333-7333-8333-444455556666",
        "evaluatedAt": 1_933_222_028_901_i64,
        "unheard_of": 1,
    }))
    .await;
    assert_eq!(user.keys(), ["checkout", "no-json", "off", "on"]);
    assert_eq!(user.variant("checkout"), Some("b"));
    assert_eq!(user.flag("on"), Some(FlagValue::Bool(true)));
    assert_eq!(user.flag("off"), Some(FlagValue::Bool(false)));
    assert_eq!(payload(&user, "checkout"), Some(json!({"color": "#00f"})));
    assert_eq!(payload(&user, "on"), Some(json!({"plain": [1]})));
    assert_eq!(payload(&user, "no-json"), None);
    let reason = user.reason("checkout").unwrap();
    assert_eq!(
        (reason.code, reason.condition_index, reason.description),
        ("condition_match", Some(0), Some("Matched condition set 1"))
    );
    assert_eq!(user.reason("off").unwrap().condition_index, None);
    assert_eq!(
        user.request_id(),
        Some("0195f0aa-3333-7333-8333-444455556666")
    );
    assert_eq!(user.flag("unheard-of"), None);
    assert!(user.unresolved().is_empty() && user.error().is_none());
}

#[tokio::test]
async fn version_4_is_read() {
    let user = with_json(json!({
        "flags": {
            "bool": {"key": "bool", "value": true, "metadata": {"config_version": 1, "payload": "7"}},
            "variant": {"value": "b", "metadata": {"config_version": 2, "rule_id": 5, "rule_type": "targeting",
                "variant_key": "b", "payload": null}},
            "number": {"value": 2.5, "metadata": {"config_version": 2}},
            "object": {"value": {"limit": 10}, "metadata": {"config_version": 2}},
            "null": {"value": null, "metadata": {"config_version": 2}},
            "off": {"value": false, "metadata": {"config_version": 2}},
        }
    }))
    .await;
    assert_eq!(user.flag("bool"), Some(FlagValue::Bool(true)));
    assert_eq!(payload(&user, "bool"), Some(json!(7)));
    assert_eq!(user.variant("variant"), Some("b"));
    assert_eq!(user.flag("number"), Some(FlagValue::Json(&json!(2.5))));
    assert_eq!(payload(&user, "number"), Some(json!(2.5)));
    assert_eq!(payload(&user, "object"), Some(json!({"limit": 10})));
    assert!(user.is_enabled("object") && !user.is_enabled("null") && !user.is_enabled("off"));
    assert_eq!(
        (payload(&user, "null"), payload(&user, "off")),
        (None, None)
    );
    assert!(user.unresolved().is_empty());
}

#[tokio::test]
async fn the_legacy_answer_is_read() {
    let user = with_json(json!({
        "featureFlags": {"on": true, "off": false, "variant": "b", "odd": 5},
        "featureFlagPayloads": {"on": "{\"a\":1}", "variant": [1], "off": "not json"},
        "errorsWhileComputingFlags": false,
    }))
    .await;
    assert_eq!(user.flag("on"), Some(FlagValue::Bool(true)));
    assert_eq!(user.flag("off"), Some(FlagValue::Bool(false)));
    assert_eq!(user.variant("variant"), Some("b"));
    assert_eq!(payload(&user, "on"), Some(json!({"a": 1})));
    assert_eq!(payload(&user, "variant"), Some(json!([1])));
    assert_eq!(user.unresolved(), [("odd", UnresolvedReason::NotComputed)]);
}

#[tokio::test]
async fn a_bad_record_costs_itself_only() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let bad = [
        r#"5"#,
        r#"null"#,
        r#"[]"#,
        r#"{}"#,
        r#"{"enabled": "yes"}"#,
        r#"{"enabled": true, "variant": 5}"#,
        r#"{"enabled": true, "failed": true}"#,
        r#"{"enabled": true, "failed": "no"}"#,
        r#"{"enabled": true, "reason": "because"}"#,
        r#"{"enabled": true, "reason": {"code": 5}}"#,
        r#"{"enabled": true, "reason": {"condition_index": "0"}}"#,
        r#"{"enabled": true, "metadata": []}"#,
        r#"{"enabled": true, "metadata": {"id": "91"}}"#,
        r#"{"enabled": true, "metadata": {"version": 1.5}}"#,
        r#"{"enabled": true, "metadata": {"has_experiment": 1}}"#,
        r#"{"value": [1]}"#,
        r#"{"value": true, "metadata": {"rule_type": 1}}"#,
        // A number and a text that JSON allows and nobody can hold.
        r#"{"value": 1e999}"#,
        r#"{"enabled": true, "variant": "\ud800"}"#,
        &format!(r#"{{"enabled": true, "metadata": {{"payload": {deep}}}}}"#),
    ];
    let mut records = String::from(r#"{"flags": {"good": {"enabled": true}"#);
    for (n, record) in bad.iter().enumerate() {
        records += &format!(r#", "bad-{n:02}": {record}"#);
    }
    records += "}}";
    let user = answered(records).await;
    assert!(user.error().is_none(), "{:?}", user.error());
    assert_eq!(user.keys(), ["good"]);
    let unresolved = user.unresolved();
    assert_eq!(unresolved.len(), bad.len(), "{unresolved:?}");
    // Not even a default is taken from it.
    assert!(user.is_enabled_or("bad-04", true) && !user.is_enabled_or("bad-04", false));
}

#[tokio::test]
async fn what_comes_twice_counts_as_its_last() {
    let body = r#"{"requestId": 5, "flags": {"no": {"enabled": true}}, "requestId": "r",
        "flags": {"a": {"enabled": true}, "a": {"enabled": false, "enabled": true, "variant": "v"}}}"#;
    let user = answered(body).await;
    assert_eq!(user.keys(), ["a"]);
    assert_eq!(user.variant("a"), Some("v"));
    assert_eq!(user.request_id(), Some("r"));
}

#[tokio::test]
async fn nothing_at_the_top_has_to_be_there() {
    for body in [
        json!({}),
        json!({"flags": null}),
        json!({"flags": {}, "requestId": 5, "evaluatedAt": "now", "quotaLimited": null,
            "errorsWhileComputingFlags": 1, "minimalFlagCalledEvents": "x"}),
    ] {
        let user = with_json(body.clone()).await;
        assert!(user.keys().is_empty(), "{body}");
        assert!(user.error().is_none(), "{body}");
        assert_eq!(user.request_id(), None, "{body}");
    }
}

#[tokio::test]
async fn a_quota_that_is_used_up_leaves_no_flags() {
    for limited in [
        json!({"quotaLimited": ["recordings", "feature_flags"]}),
        json!({"quota_limited": ["feature_flags"]}),
        json!({"quotaLimited": true}),
    ] {
        let mut body = json!({"flags": {"a": {"enabled": false}}});
        body.as_object_mut()
            .unwrap()
            .extend(limited.as_object().unwrap().clone());
        let user = with_json(body.clone()).await;
        assert!(user.keys().is_empty(), "{body}");
        assert!(user.is_enabled_or("a", true), "{body}");
    }
    for unlimited in [
        json!(["recordings"]),
        json!([]),
        json!(false),
        json!("feature_flags"),
    ] {
        let body = json!({"flags": {"a": {"enabled": true}}, "quotaLimited": unlimited});
        assert_eq!(with_json(body).await.keys(), ["a"], "{unlimited}");
    }
}

#[tokio::test]
async fn a_partial_answer_leaves_what_is_missing_unresolved() {
    let user = with_json(json!({
        "flags": {"a": {"enabled": true}}, "errorsWhileComputingFlags": true,
    }))
    .await;
    assert!(user.is_enabled("a"));
    assert!(user.is_enabled_or("missing", true) && !user.is_enabled_or("missing", false));
}

#[tokio::test]
async fn an_answer_that_is_none_is_an_error_that_names_it() {
    for (body, what) in [
        ("<html><title>Log in</title></html>", "HTML"),
        ("", "empty"),
        ("[]", "type"),
        ("null", "type"),
        (r#"{"flags": {"a": {"#, "JSON"),
        ("upstream is down", "JSON"),
        (r#"{"flags": ["a"]}"#, "`flags` is no object"),
        (r#"{"featureFlags": 5}"#, "`featureFlags` is no object"),
    ] {
        let user = answered(body).await;
        let error = user.error().unwrap();
        let is_misfit = matches!(error, PostHogError::SerializationError { .. });
        assert!(is_misfit, "{body}: {error:?}");
        let said = error.to_string();
        assert!(said.starts_with("evaluate flags: "), "{said}");
        assert!(said.contains(what), "{body}: {said}");
        assert!(user.is_enabled_or("a", true));
    }
}

/// Values of newer configurations are payloads, which may hold anything.
#[tokio::test]
async fn debug_output_shows_no_value_that_is_a_payload() {
    let user = with_json(json!({"flags": {
        "limits": {"key": "limits", "value": {"for": "ada@example.com"}, "metadata": {"config_version": 2}},
        "on": {"key": "on", "value": true},
    }}))
    .await;
    let shown = format!("{user:?}");
    assert!(!shown.contains("ada@example.com"), "{shown}");
    assert!(shown.contains(r#"("limits", Json(…))"#), "{shown}");
    assert!(shown.contains(r#"("on", Bool(true))"#), "{shown}");
}
