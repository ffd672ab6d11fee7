//! What is said of mistakes that make every flag `false`, and of where flags are evaluated. Each test has a process of its
//! own: it listens to all that is traced there.

use crate::own_process::own_process;
use crate::poller::{answer_loads, deciding, good};
use crate::said::{Said, assert_line};
use crate::support::*;
use serde_json::json;
use tracing_posthog::testing::{CapturedEvents, Flags, PostHogServer};
use tracing_posthog::{
    FeatureFlags, FlagEvaluations, FlagMode, PostHog, PostHogClient, PostHogError, UnresolvedReason,
};

/// The setting that the snapshot's error names.
fn wrong_setting(user: &FlagEvaluations) -> &'static str {
    match user.error() {
        Some(PostHogError::Config { setting, .. }) => setting,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_evaluation_for_nobody_is_said_with_its_place() {
    own_process!();
    let said = Said::listen();
    let captured = CapturedEvents::new();
    let flags = captured.flags(Flags::new().on("on"));
    let user = flags.evaluate_current().keys(["on"]).locally();
    let line = line!() - 1;
    assert_line(
        &said.new_lines(),
        "WARN",
        &[
            &format!("mistakes.rs:{line}:"),
            "`evaluate_current`",
            "posthog.distinct_id",
        ],
    );
    assert!(user.is_enabled_or("on", true) && !user.is_enabled("on"));
    assert_eq!(
        user.unresolved(),
        [("on", UnresolvedReason::MissingContext)]
    );
    assert_eq!(wrong_setting(&user), "distinct_id");
    // Once a minute.
    assert_eq!(wrong_setting(&flags.evaluate("").locally()), "distinct_id");
    assert!(said.new_lines().is_empty());
    assert_eq!(flags.stats().without_id, 2);
    assert_eq!(flags.stats().unknown, 0);
    assert!(captured.events().is_empty());
}

#[test]
fn evaluating_locally_without_definitions_is_said_with_the_key_that_lacks() {
    own_process!();
    let said = Said::listen();
    let client = PostHogClient::builder().project_api_key(PROJECT_KEY);
    let client = client.host("http://127.0.0.1:9").build().unwrap();
    for n in 0..3 {
        let user = client.flags().evaluate("ada").keys(["a"]).locally();
        assert_eq!(user.unresolved(), [("a", UnresolvedReason::NotLoaded)]);
        assert_eq!(wrong_setting(&user), "feature_flags_secret_key");
        match n {
            0 => assert_line(
                &said.new_lines(),
                "WARN",
                &["`locally`", "POSTHOG_FEATURE_FLAGS_SECRET_KEY"],
            ),
            _ => assert!(said.new_lines().is_empty()),
        }
    }
    let (_layer, posthog) = PostHog::builder().disabled(true).start().unwrap();
    assert_eq!(
        wrong_setting(&posthog.flags().evaluate("ada").locally()),
        "feature flags"
    );
}

#[test]
fn a_key_that_no_flag_has_is_said_once_with_the_nearest() {
    own_process!();
    let said = Said::listen();
    let flags: FeatureFlags = Flags::new().on("plan-flag").on("other").into();
    for _ in 0..2 {
        assert!(!flags.evaluate("ada").locally().is_enabled("plan-flga"));
    }
    assert_line(
        &said.new_lines(),
        "WARN",
        &["\"plan-flga\"", "did you mean \"plan-flag\"?"],
    );
    assert_eq!(flags.stats().unknown, 2);

    let user = flags.evaluate("ada").keys(["other"]).locally();
    assert_eq!(user.payload::<bool>("plan-flag").unwrap(), None);
    assert_line(&said.new_lines(), "WARN", &["\"plan-flag\"", "`keys`"]);

    let user = flags.evaluate("ada").locally();
    assert_eq!(user.payload::<bool>("a key\nlike none").unwrap(), None);
    assert_line(&said.new_lines(), "WARN", &["\"a key\\nlike none\""]);
    // What was left out by the program itself is no mistake.
    assert!(!user.only(["other"]).is_enabled("plan-flag"));
    assert!(said.new_lines().is_empty());
    // Programs name their flags.
    for n in 0..200 {
        user.flag(&format!("key of a request {n}"));
    }
    assert!(said.new_lines().len() < 100);
}

#[tokio::test]
async fn where_flags_are_evaluated_is_said_once() {
    own_process!();
    let said = Said::listen();
    let server = PostHogServer::start().unwrap();
    answer_loads(&server, [good(&["a", "b"]), good(&["a", "b"])]);
    let flags = deciding(&server).build().unwrap().flags();
    flags.ready().await.unwrap();
    flags.refresh().await.unwrap();
    assert_line(
        &said.new_places(),
        "INFO",
        &["flags=2", "are loaded", "in this process"],
    );
    for (mode, why) in [
        (FlagMode::Auto, "POSTHOG_FEATURE_FLAGS_SECRET_KEY"),
        (FlagMode::Remote, "FlagMode::Remote"),
    ] {
        let client = PostHogClient::builder().project_api_key(PROJECT_KEY);
        let client = client.host(server.url()).flags(|flags| flags.mode(mode));
        let flags = client.build().unwrap().flags();
        for _ in 0..2 {
            flags.evaluate("ada").await.unwrap();
        }
        assert_line(&said.new_places(), "INFO", &["by PostHog", why]);
    }
}

#[tokio::test]
async fn a_flag_that_costs_a_request_each_time_is_named_once() {
    own_process!();
    let said = Said::listen();
    let server = PostHogServer::start().unwrap();
    let by_plan = json!({"key": "by plan", "active": true, "filters": {"groups": [{"properties": [
        {"key": "plan", "type": "person", "operator": "exact", "value": ["pro"]},
    ]}]}});
    let flags = Flags::from_definitions(json!({"flags": [by_plan]})).unwrap();
    server.flags(flags.on("on"));
    let flags = deciding(&server).build().unwrap().flags();
    flags.ready().await.unwrap();
    for _ in 0..2 {
        flags.evaluate("ada").keys(["on"]).await.unwrap();
        flags.evaluate("ada").person("plan", "pro").await.unwrap();
    }
    assert!(said.new_lines().is_empty());
    for _ in 0..2 {
        flags.evaluate("ada").await.unwrap();
    }
    assert_line(
        &said.new_lines(),
        "INFO",
        &["missing=\"plan\"", "\"by plan\"", "`keys`"],
    );
}
