//! What is captured of flags that PostHog evaluated, and of those that it did not.

use crate::support::{LONG, client_of, ms, server};
use serde_json::{Value, json};
use tracing_posthog::testing::{Answer, CapturedEvents, Flags, PostHogServer, RecordedEvent};
use tracing_posthog::{FeatureFlags, FlagEvaluations, FlagMode, FlagSettings, UnresolvedReason};

struct Remote {
    server: PostHogServer,
    captured: CapturedEvents,
    flags: FeatureFlags,
}

impl Remote {
    fn new() -> Self {
        Self::with(|flags| flags)
    }

    fn with(settings: impl FnOnce(FlagSettings) -> FlagSettings) -> Self {
        let server = server();
        let captured = CapturedEvents::new();
        let client = client_of(&server)
            .flags(|flags| settings(flags.mode(FlagMode::Remote).request_timeout(LONG)))
            .build()
            .unwrap();
        let flags = client.flags().capture_to(captured.handle());
        Self {
            server,
            captured,
            flags,
        }
    }

    async fn answered(&self, answer: Value) -> FlagEvaluations {
        self.server.answer_next(Answer::status(200).json(answer));
        self.flags.evaluate("ada").await.unwrap()
    }

    fn events(&self, name: &str) -> Vec<RecordedEvent> {
        let events = self.captured.events();
        events.into_iter().filter(|it| it.event == name).collect()
    }

    fn called(&self) -> RecordedEvent {
        let called = self.events("$feature_flag_called");
        called
            .last()
            .unwrap_or_else(|| panic!("{:?}", self.captured))
            .clone()
    }
}

/// Which of these properties are there, and what they are.
fn some(event: &RecordedEvent, names: &[&str]) -> Value {
    let all = names.iter().filter_map(|name| {
        let value = event.properties.get(*name)?.clone();
        Some(((*name).to_owned(), value))
    });
    Value::Object(all.collect())
}

const OF_REMOTE: [&str; 14] = [
    "$feature_flag",
    "$feature_flag_response",
    "$feature/a",
    "locally_evaluated",
    "$feature_flag_has_experiment",
    "$feature_flag_payload",
    "$feature_flag_id",
    "$feature_flag_version",
    "$feature_flag_reason",
    "$feature_flag_reason_code",
    "$feature_flag_config_version",
    "$feature_flag_request_id",
    "$feature_flag_evaluated_at",
    "$feature_flag_error",
];

fn detailed() -> Value {
    json!({
        "flags": {"a": {
            "key": "a", "enabled": true, "variant": "blue",
            "reason": {"code": "condition_match", "condition_index": 0, "description": "Matched condition set 1"},
            "metadata": {"id": 91, "version": 4, "description": null, "payload": "{\"n\":1}", "has_experiment": false},
        }},
        "errorsWhileComputingFlags": false,
        "requestId": "0195f0aa-3333-7333-8333-444455556666",
        "evaluatedAt": 1_933_222_028_901_i64,
    })
}

#[tokio::test]
async fn a_flag_of_an_answer_says_what_posthog_said() {
    let remote = Remote::new();
    let user = remote.answered(detailed()).await;
    assert_eq!(user.variant("a"), Some("blue"));
    assert_eq!(user.payload("a").unwrap(), Some(json!({"n": 1})));
    let reason = user.reason("a").unwrap();
    assert_eq!(
        (reason.code, reason.condition_index),
        ("condition_match", Some(0))
    );
    assert_eq!(
        user.request_id(),
        Some("0195f0aa-3333-7333-8333-444455556666")
    );
    assert_eq!(
        some(&remote.called(), &OF_REMOTE),
        json!({
            "$feature_flag": "a", "$feature_flag_response": "blue", "$feature/a": "blue",
            "locally_evaluated": false, "$feature_flag_has_experiment": false,
            "$feature_flag_payload": {"n": 1}, "$feature_flag_id": 91, "$feature_flag_version": 4,
            "$feature_flag_reason": "Matched condition set 1",
            "$feature_flag_request_id": "0195f0aa-3333-7333-8333-444455556666",
            "$feature_flag_evaluated_at": 1_933_222_028_901_i64,
        })
    );
}

#[tokio::test]
async fn the_short_form_leaves_out_value_and_payload_again() {
    for (minimal, has_experiment, is_short) in [
        (json!(true), json!(false), true),
        (json!(true), json!(true), false),
        (json!(true), Value::Null, false),
        (json!(false), json!(false), false),
        (Value::Null, json!(false), false),
    ] {
        let remote = Remote::new();
        let mut answer = detailed();
        answer["minimalFlagCalledEvents"] = minimal.clone();
        answer["flags"]["a"]["metadata"]["has_experiment"] = has_experiment.clone();
        assert!(remote.answered(answer).await.is_enabled("a"));
        let event = remote.called();
        let case = format!("{minimal} {has_experiment}: {event}");
        for left_out in ["$feature/a", "$feature_flag_payload"] {
            assert_eq!(
                event.properties.contains_key(left_out),
                !is_short,
                "{left_out}: {case}"
            );
        }
        for kept in [
            "$feature_flag_id",
            "$feature_flag_reason",
            "$feature_flag_request_id",
        ] {
            assert!(event.properties.contains_key(kept), "{kept}: {case}");
        }
    }
}

#[tokio::test]
async fn what_went_wrong_is_told_in_posthogs_words() {
    let flag =
        json!({"key": "a", "enabled": true, "variant": null, "reason": null, "metadata": {}});
    let failed = json!({"key": "a", "enabled": false, "failed": true, "reason": null, "metadata": {"id": 9}});
    let ok = |body: Value| Answer::status(200).json(body);
    for (answers, error, is_on) in [
        (vec![Answer::status(500)], Some("api_error_500"), None),
        (vec![Answer::status(401)], Some("api_error_401"), None),
        (vec![Answer::status(402)], Some("api_error_402"), None),
        (vec![Answer::status(429)], Some("api_error_429"), None),
        // Tried once more.
        (
            vec![Answer::status(502), Answer::status(504)],
            Some("api_error_504"),
            None,
        ),
        (
            vec![Answer::status(502), ok(json!({"flags": {"a": flag}}))],
            None,
            Some(true),
        ),
        (
            vec![Answer::reset(), Answer::close()],
            Some("connection_error"),
            None,
        ),
        (
            vec![ok(json!({"flags": {}, "errorsWhileComputingFlags": true}))],
            Some("errors_while_computing_flags,flag_missing"),
            None,
        ),
        (
            vec![ok(
                json!({"flags": {"a": flag}, "errorsWhileComputingFlags": true}),
            )],
            Some("errors_while_computing_flags"),
            Some(true),
        ),
        (
            vec![ok(json!({"flags": {}, "quotaLimited": ["feature_flags"]}))],
            Some("quota_limited,flag_missing"),
            None,
        ),
        (
            vec![ok(
                json!({"flags": {"a": flag}, "quotaLimited": ["recordings"]}),
            )],
            None,
            Some(true),
        ),
        (
            vec![ok(
                json!({"flags": {"a": failed}, "errorsWhileComputingFlags": true}),
            )],
            Some("errors_while_computing_flags,evaluation_failed"),
            None,
        ),
        (vec![ok(json!({"flags": {}}))], Some("flag_missing"), None),
    ] {
        let remote = Remote::new();
        let case = format!("{answers:?}");
        let number = answers.len();
        for answer in answers {
            remote.server.answer_next(answer);
        }
        let user = remote.flags.evaluate("ada").await.unwrap();
        assert_eq!(remote.server.request_count(), number, "{case}");
        assert_eq!(
            user.flag("a").map(|value| value.is_enabled()),
            is_on,
            "{case}"
        );
        let event = remote.called();
        // An error of the request comes before what is missing because of it.
        let errors = event
            .properties
            .get("$feature_flag_error")
            .and_then(Value::as_str);
        match error {
            Some(error) if error.starts_with("api_") || error.starts_with("connection") => {
                assert_eq!(errors, Some(&*format!("{error},flag_missing")), "{case}");
                assert!(user.error().is_some());
            }
            _ => {
                assert_eq!(errors, error, "{case}");
                assert!(user.error().is_none());
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let remote = Remote::with(|flags| flags.request_timeout(ms(50)).request_retries(0));
    remote.server.answer_next(Answer::stall());
    let user = remote.flags.evaluate("ada").keys(["a"]).await.unwrap();
    assert!(user.is_enabled_or("a", true));
    assert_eq!(user.unresolved(), [("a", UnresolvedReason::RequestFailed)]);
    let error = &remote.called().properties["$feature_flag_error"];
    assert_eq!(error.as_str(), Some("timeout,flag_missing"));
}

fn split(variant: &str) -> Value {
    json!({"key": "a", "enabled": true, "variant": variant,
        "reason": {"code": "experiment_split", "condition_index": null, "description": "Experiment split"},
        "metadata": {"id": 91, "version": 4, "config_version": 2, "payload": null, "has_experiment": true,
            "rule_type": "experiment", "rule_id": "rule-1", "variant_key": variant},
    })
}

#[tokio::test]
async fn the_newer_configuration_has_its_own_names_and_tells_of_an_exposure() {
    let remote = Remote::new();
    let answer = json!({"flags": {"a": split("blue")}, "requestId": "r-1", "evaluatedAt": 12});
    for _ in 0..2 {
        assert!(remote.answered(answer.clone()).await.is_enabled("a"));
    }
    let names = [
        "$feature_flag_config_version",
        "$feature_flag_reason_code",
        "$feature_flag_rule_id",
        "$feature_flag_rule_type",
        "$feature_flag_variant_key",
        "$feature_flag_reason",
    ];
    assert_eq!(
        some(&remote.called(), &names),
        json!({
            "$feature_flag_config_version": 2, "$feature_flag_reason_code": "experiment_split",
            "$feature_flag_rule_id": "rule-1", "$feature_flag_rule_type": "experiment",
            "$feature_flag_variant_key": "blue",
        })
    );
    let exposures = remote.events("$experiment_exposure");
    assert_eq!(exposures.len(), 1, "{:?}", remote.captured);
    assert_eq!(exposures[0].distinct_id, "ada");
    let names = [
        "$feature_flag",
        "$feature_flag_response",
        "locally_evaluated",
        "$feature_flag_variant_key",
        "$feature_flag_rule_id",
        "$feature_flag_id",
        "$feature_flag_version",
        "$feature_flag_request_id",
        "$feature_flag_evaluated_at",
        "$feature_flag_payload",
    ];
    assert_eq!(
        some(&exposures[0], &names),
        json!({
            "$feature_flag": "a", "$feature_flag_response": "blue", "locally_evaluated": false,
            "$feature_flag_variant_key": "blue", "$feature_flag_rule_id": "rule-1",
            "$feature_flag_id": 91, "$feature_flag_version": 4, "$feature_flag_request_id": "r-1",
            "$feature_flag_evaluated_at": 12,
        })
    );
    // Another variant is another exposure.
    let user = remote.answered(json!({"flags": {"a": split("red")}})).await;
    assert_eq!(user.variant("a"), Some("red"));
    assert_eq!(remote.events("$experiment_exposure").len(), 2);
}

/// The value that a variant has may be edited. Who was exposed to the variant is not exposed again.
#[tokio::test]
async fn another_value_of_the_same_variant_is_no_other_exposure() {
    let remote = Remote::new();
    for (steps, variant) in [(1, "blue"), (2, "blue"), (2, "red")] {
        let mut flag = split(variant);
        flag["value"] = json!({"steps": steps});
        let user = remote.answered(json!({"flags": {"a": flag}})).await;
        assert!(user.is_enabled("a"));
    }
    // The last one has a value that was captured.
    assert_eq!(remote.events("$feature_flag_called").len(), 2);
    let exposures = remote.events("$experiment_exposure").into_iter();
    let variants: Vec<_> = exposures
        .map(|mut it| it.properties["$feature_flag_variant_key"].take())
        .collect();
    assert_eq!(variants, [json!("blue"), json!("red")]);
}

#[tokio::test]
async fn an_incomplete_split_and_an_older_configuration_expose_nobody() {
    let without = |path: &[&str]| {
        let mut flag = split("blue");
        let (last, parents) = path.split_last().unwrap();
        let parent = parents.iter().fold(&mut flag, |it, name| &mut it[*name]);
        parent.as_object_mut().unwrap().remove(*last);
        flag
    };
    let mut other_reason = split("blue");
    other_reason["reason"]["code"] = "targeting_match".into();
    let mut older = split("blue");
    older["metadata"]["config_version"] = 1.into();
    for flag in [
        without(&["metadata", "rule_id"]),
        without(&["metadata", "variant_key"]),
        without(&["metadata", "config_version"]),
        other_reason,
        older,
    ] {
        let remote = Remote::new();
        assert!(
            remote
                .answered(json!({"flags": {"a": flag}}))
                .await
                .is_enabled("a")
        );
        assert_eq!(remote.events("$feature_flag_called").len(), 1);
        assert_eq!(remote.events("$experiment_exposure").len(), 0, "{flag}");
    }
}

#[tokio::test]
async fn nothing_is_captured_where_the_client_says_so() {
    let remote = Remote::with(|flags| flags.called_events(false));
    remote.server.flags(Flags::new().on("a"));
    assert!(remote.flags.evaluate("ada").await.unwrap().is_enabled("a"));
    assert_eq!(remote.captured.events().len(), 0);
}

#[tokio::test]
async fn the_backend_over_the_client_captures_by_itself() {
    let server = server();
    server.flags(Flags::new().on("a"));
    let (_layer, posthog) = tracing_posthog::PostHog::builder()
        .project_api_key("phc_x")
        .host(server.url())
        .shutdown_timeout(LONG)
        .flags(|flags| flags.request_timeout(LONG))
        .start()
        .unwrap();
    let users = [posthog.flags().clone(), posthog.client().flags()];
    for (user, flags) in ["ada", "grace"].into_iter().zip(users) {
        assert!(flags.evaluate(user).await.unwrap().is_enabled("a"));
    }
    assert!(posthog.shutdown().await.is_complete());
    let events = server.events();
    let who: Vec<_> = events
        .iter()
        .map(|it| (it.event.as_str(), it.distinct_id.as_str()))
        .collect();
    assert_eq!(
        who,
        [
            ("$feature_flag_called", "ada"),
            ("$feature_flag_called", "grace")
        ]
    );
    // After the end, flags still have values.
    assert!(
        posthog
            .flags()
            .evaluate("alan")
            .await
            .unwrap()
            .is_enabled("a")
    );
}
