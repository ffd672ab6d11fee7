//! What is read from the environment. The environment belongs to the whole process, so each case runs
//! in a process of its own: this test's binary, started again.

use crate::hostile::ProcessLog;
use crate::support::*;
use std::process::{Command, Output};
use tracing_posthog::testing::{Answer, Flags, PostHogServer};
use tracing_posthog::{
    Event, FlagMode, FlagSettings, Method, PostHog, PostHogClient, PostHogError, PostHogLayer,
    Region,
};
use tracing_subscriber::prelude::*;

/// Set in the processes that this test starts.
const ROLE: &str = "FROM_ENV_TEST_ROLE";

#[test]
fn layer_and_client_are_set_up_from_the_environment() {
    match std::env::var(ROLE).as_deref() {
        Ok("program") => program(),
        Ok("configuration") => configuration(),
        Ok("client") => client(),
        Ok("own settings") => own_settings(),
        Ok("region") => region(),
        Ok("mistake without a key") => mistake_without_a_key(),
        Ok("log") => log(),
        Ok("flags") => flags(),
        Ok("start within async code") => start_within_async_code(),
        _ => {
            a_program_delivers_without_a_flush();
            without_a_key_the_layer_is_disabled();
            the_client_is_there_with_and_without_a_project_key();
            settings_of_the_program_win();
            flags_have_a_key_of_their_own();
            without_a_key_the_log_says_why();
            mistakes_are_named();
            if cfg!(all(target_os = "linux", target_pointer_width = "64")) {
                without_a_thread_the_start_is_an_error();
            }
        }
    }
}

/// Ends right after its last event, with nothing but the drop to deliver it.
fn program() {
    let (layer, _posthog) = PostHogLayer::from_env().unwrap();
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

/// Prints what it logs, and ends at once or once something is logged.
fn log() {
    let log = ProcessLog::default();
    let (layer, posthog) = PostHogLayer::from_env().unwrap();
    tracing_subscriber::registry()
        .with(log.clone())
        .with(layer)
        .init();
    if std::env::var("WAITS").is_ok() {
        wait_until("a line", || !log.said().is_empty());
    }
    drop(posthog);
    println!("{:?}", log.said());
}

/// Fails with the error's text.
fn configuration() {
    let layer = PostHogLayer::from_env().map(drop);
    let client = PostHogClient::from_env().map(drop);
    if let Err(error) = layer.and(client) {
        panic!("from_env: {error}");
    }
}

/// Asks the REST API by the client that it got with the layer.
fn client() {
    let (layer, posthog) = PostHogLayer::from_env().unwrap();
    assert!(!layer.is_enabled() && !posthog.is_enabled());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asked = posthog.client().request(Method::GET, "/api/users/@me/");
    let me = runtime.block_on(asked.send()).unwrap();
    assert_eq!(me["distinct_id"], "ada");
}

/// The variables are malformed, but for the project API key.
fn own_settings() {
    let (_, posthog) = PostHog::builder()
        .personal_api_key(PERSONAL_KEY)
        .host(std::env::var("OWN_HOST").unwrap())
        .default_property("tier", "gold")
        .layer(|layer| layer.with_message(true))
        .start_from_env()
        .unwrap();
    posthog.handle().capture(Event::new("own"));
}

/// `POSTHOG_HOST` is malformed.
fn region() {
    let started = PostHog::builder().region(Region::Eu).start_from_env();
    assert!(started.unwrap().1.is_enabled());
}

fn mistake_without_a_key() {
    let builder = PostHog::builder().capture(|capture| capture.queue_events(0));
    let error = builder.start_from_env().unwrap_err().to_string();
    assert!(error.contains("queue_events"), "{error}");
}

/// Says whether a flag is on that only definitions decide.
fn flags() {
    let local = |flags: FlagSettings| flags.mode(FlagMode::LocalOnly);
    let (_, posthog) = match PostHog::builder().flags(local).start_from_env() {
        Ok(started) => started,
        Err(error) => panic!("from_env: {error}"),
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(posthog.flags().ready()).unwrap();
    let user = posthog.flags().evaluate("user_42").locally();
    println!("beta-ui: {}", user.is_enabled("beta-ui"));
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
        "POSTHOG_FEATURE_FLAGS_SECRET_KEY",
        "POSTHOG_HOST",
        "POSTHOG_REST_HOST",
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

fn the_client_is_there_with_and_without_a_project_key() {
    let server = PostHogServer::start().unwrap();
    server
        .answer_with(|_| Some(Answer::status(200).json(serde_json::json!({"distinct_id": "ada"}))));
    let host = server.url();
    let variables = [
        ("POSTHOG_HOST", &*host),
        ("POSTHOG_PERSONAL_API_KEY", PERSONAL_KEY),
    ];
    assert_passes("client", &variables);
    assert_eq!(server.request_count(), 1);
}

fn flags_have_a_key_of_their_own() {
    let server = server();
    server.flags(Flags::new().on("beta-ui"));
    let host = server.url();
    let host = ("POSTHOG_HOST", &*host);
    let project = ("POSTHOG_API_KEY", PROJECT_KEY);
    let secret = (
        "POSTHOG_FEATURE_FLAGS_SECRET_KEY",
        "phs_secret_key_of_the_tests",
    );
    for (variables, says, succeeds) in [
        // Developers' machines have no keys, and no flags.
        (&[host][..], "beta-ui: false", true),
        (&[host, project], secret.0, false),
        (&[host, project, (secret.0, PROJECT_KEY)], secret.0, false),
        (&[host, project, secret], "beta-ui: true", true),
    ] {
        assert_eq!(server.request_count(), 0);
        let output = run("flags", variables);
        assert_eq!(output.status.success(), succeeds, "{output:?}");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains(says), "{text}");
    }
    let bearer = format!("Bearer {}", secret.1);
    let load = &server.requests()[0];
    assert_eq!(load.header("authorization"), Some(&*bearer));
}

fn settings_of_the_program_win() {
    let server = server();
    let malformed = "eu.posthog.com";
    let variables = [
        ("POSTHOG_API_KEY", PROJECT_KEY),
        ("POSTHOG_PERSONAL_API_KEY", "phc_project"),
        ("POSTHOG_HOST", malformed),
        ("OWN_HOST", &*server.url()),
    ];
    assert_passes("own settings", &variables);
    let events = server.events();
    assert_eq!(
        (names(&events), &*events[0].api_key),
        (vec!["own"], PROJECT_KEY)
    );
    assert_eq!(events[0].properties["tier"], "gold");
    let key = ("POSTHOG_API_KEY", PROJECT_KEY);
    assert_passes("region", &[key, ("POSTHOG_HOST", malformed)]);
    assert_passes("mistake without a key", &[]);
}

#[track_caller]
fn assert_passes(role: &str, variables: &[(&str, &str)]) {
    let output = run(role, variables);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{role}: {output:?}"
    );
}

fn without_a_key_the_log_says_why() {
    for (variables, why) in [
        (&[][..], "POSTHOG_API_KEY is not set"),
        (&[("POSTHOG_API_KEY", " ")], "POSTHOG_API_KEY is empty"),
        (&[("WAITS", "")], "POSTHOG_API_KEY is not set"),
    ] {
        let output = run("log", variables);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        let what = match cfg!(feature = "flags") {
            true => "no event is captured, and no feature flag is known",
            false => "no event is captured",
        };
        let line = format!("[\"INFO tracing_posthog disabled, {what}: {why}\"]");
        assert!(text.contains(&line), "{text}");
    }
}

fn mistakes_are_named() {
    let key = ("POSTHOG_API_KEY", PROJECT_KEY);
    let cases: [(&[(&str, &str)], &str); 9] = [
        (
            &[("POSTHOG_API_KEY", "${not_a_project_key}")],
            "POSTHOG_API_KEY",
        ),
        (
            &[("POSTHOG_API_KEY", "'phc_not_a_project_key'")],
            "POSTHOG_API_KEY",
        ),
        (
            &[key, ("POSTHOG_REST_HOST", "https://eu.posthog.com")],
            "POSTHOG_REST_HOST",
        ),
        (&[], "POSTHOG_API_KEY"),
        (
            &[("POSTHOG_API_KEY", "phx_not_a_project_key")],
            "POSTHOG_API_KEY",
        ),
        (&[key, ("POSTHOG_HOST", "eu.posthog.com")], "POSTHOG_HOST"),
        (&[("POSTHOG_HOST", "eu.posthog.com")], "POSTHOG_HOST"),
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
