//! What is read from the environment. The environment belongs to the whole process, so each case runs
//! in a process of its own: this test's binary, started again.

use crate::support::*;
use std::process::{Command, Output};
use tracing_posthog::{PostHogClient, PostHogError, PostHogLayer};
use tracing_subscriber::prelude::*;

/// Set in the processes that this test starts.
const ROLE: &str = "FROM_ENV_TEST_ROLE";

#[test]
fn layer_and_client_are_set_up_from_the_environment() {
    match std::env::var(ROLE).as_deref() {
        Ok("program") => program(),
        Ok("configuration") => configuration(),
        Ok("start within async code") => start_within_async_code(),
        _ => {
            a_program_delivers_without_a_flush();
            without_a_key_the_layer_is_disabled();
            mistakes_are_named();
            if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
                without_a_thread_the_start_is_an_error();
            }
        }
    }
}

/// Ends right after its last event, with nothing but the guard to deliver it.
fn program() {
    let (layer, _guard) = PostHogLayer::from_env().unwrap();
    let enabled = layer.is_enabled();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        tracing::info!(posthog.event = "signup", enabled);
    });
    assert_eq!(
        enabled,
        std::env::var("POSTHOG_API_KEY").is_ok_and(|key| !key.is_empty())
    );
}

/// Fails with the error's text.
fn configuration() {
    let layer = PostHogLayer::from_env().map(drop);
    let client = PostHogClient::from_env().map(drop);
    if let Err(error) = layer.and(client) {
        panic!("from_env: {error}");
    }
}

/// Starts where the system gives no threads.
fn start_within_async_code() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let error = PostHogLayer::from_env().unwrap_err();
        assert!(matches!(error, PostHogError::Start { .. }), "{error}");
    });
}

/// A stack larger than any memory.
fn without_a_thread_the_start_is_an_error() {
    let output = run(
        "start within async code",
        &[
            ("POSTHOG_API_KEY", PROJECT_KEY),
            ("RUST_MIN_STACK", "281474976710656"),
        ],
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{output:?}"
    );
}

fn run(role: &str, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in [
        "POSTHOG_API_KEY",
        "POSTHOG_PERSONAL_API_KEY",
        "POSTHOG_HOST",
    ] {
        command.env_remove(name);
    }
    let test = "from_env::layer_and_client_are_set_up_from_the_environment";
    command
        .args(["--exact", test, "--nocapture"])
        .env(ROLE, role)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

fn a_program_delivers_without_a_flush() {
    let server = server();
    let host = server.url();
    let variables = [("POSTHOG_API_KEY", PROJECT_KEY), ("POSTHOG_HOST", &*host)];
    let output = run("program", &variables);
    assert!(output.status.success(), "{output:?}");
    let events = server.events();
    assert_eq!(names(&events), ["signup"]);
    assert_eq!(events[0].api_key, PROJECT_KEY);
}

fn without_a_key_the_layer_is_disabled() {
    let server = server();
    let host = server.url();
    for variables in [
        &[("POSTHOG_HOST", &*host)][..],
        &[("POSTHOG_HOST", &*host), ("POSTHOG_API_KEY", "")],
    ] {
        let output = run("program", variables);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(server.request_count(), 0);
}

fn mistakes_are_named() {
    let key = ("POSTHOG_API_KEY", PROJECT_KEY);
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[], "POSTHOG_API_KEY"),
        (
            &[("POSTHOG_API_KEY", "phx_not_a_project_key")],
            "POSTHOG_API_KEY",
        ),
        (&[key, ("POSTHOG_HOST", "eu.posthog.com")], "POSTHOG_HOST"),
        (
            &[key, ("POSTHOG_PERSONAL_API_KEY", "phc_project")],
            "POSTHOG_PERSONAL_API_KEY",
        ),
        (
            &[key, ("POSTHOG_HOST", "http://me:hunter2@localhost")],
            "POSTHOG_HOST",
        ),
    ];
    for (variables, named) in cases {
        let output = run("configuration", variables);
        let text = format!("{output:?}");
        assert!(!output.status.success(), "{variables:?}: {text}");
        let error = text.split("from_env: ").nth(1).unwrap();
        assert!(error.contains(named), "{variables:?}: {text}");
        for secret in ["hunter2", "not_a_project_key"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    let personal = [
        key,
        ("POSTHOG_PERSONAL_API_KEY", PERSONAL_KEY),
        ("POSTHOG_HOST", ""),
    ];
    let output = run("configuration", &personal);
    assert!(output.status.success(), "{output:?}");
}
