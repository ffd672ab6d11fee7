//! A filter of the whole subscriber that hides analytics events is said. Programs of a new user, each run in a process
//! of its own with a `RUST_LOG` of its own.

use crate::own_process::own_process;
use crate::support::*;
use std::process::Command;
use tracing_posthog::PostHogLayer;
use tracing_posthog::testing::{CapturedEvents, PostHogServer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, fmt, registry, reload};

/// Names the program to run, in the processes that these tests start.
const PROGRAM: &str = "HIDDEN_EVENTS_PROGRAM";

/// How a line of this kind begins.
const SAID: &str = "the subscriber's filter";

const SIGN_UP: u32 = line!() + 2;
fn sign_up() {
    tracing::info!(posthog.event = "signup", posthog.distinct_id = "user_42");
}

const FORGET: u32 = line!() + 2;
fn forget() {
    tracing::info_span!(target: "shop::privacy", "f", posthog.event = "forgotten").in_scope(|| ());
}

fn place(line: u32) -> String {
    format!("{}:{line} ", file!())
}

/// As in the documentation of `fmt`.
fn fmt_with_env_filter() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let env = EnvFilter::from_default_env();
    fmt().with_env_filter(env).finish().with(posthog).init();
    sign_up();
}

fn filter_as_a_layer() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let env = EnvFilter::from_default_env();
    registry().with(fmt::layer()).with(env).with(posthog).init();
    sign_up();
    forget();
}

/// Logs by other means, or not at all.
fn filter_without_a_log_layer() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let env = EnvFilter::from_default_env();
    registry().with(env).with(posthog).init();
    sign_up();
}

fn filter_beside_a_log_layer_without_our_lines() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let logs = fmt::layer().with_filter(EnvFilter::new("info,tracing_posthog=off"));
    let env = EnvFilter::from_default_env();
    registry().with(env).with(posthog).with(logs).init();
    sign_up();
}

/// What the layer's own documentation says.
fn filter_on_the_log_layer() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let logs = fmt::layer().with_filter(EnvFilter::from_default_env());
    registry().with(logs).with(posthog).init();
    sign_up();
}

fn filter_above_the_layer() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let env = EnvFilter::from_default_env();
    registry().with(posthog).with(fmt::layer()).with(env).init();
    sign_up();
}

fn filter_on_our_layer() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let posthog = posthog.with_filter(EnvFilter::from_default_env());
    let logs = fmt::layer().with_filter(LevelFilter::WARN);
    registry().with(logs).with(posthog).init();
    sign_up();
}

fn a_layer_in_an_option() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let env = EnvFilter::from_default_env();
    registry()
        .with(fmt::layer())
        .with(env)
        .with(Some(posthog))
        .init();
    sign_up();
}

/// Filters by what it reads from its configuration, a moment after the start.
fn filter_that_is_reloaded() {
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let (env, reload) = reload::Layer::new(EnvFilter::new("warn"));
    registry().with(fmt::layer()).with(env).with(posthog).init();
    sign_up();
    reload.reload(EnvFilter::from_default_env()).unwrap();
    sign_up();
}

/// Never flushes: the actor says it by itself.
fn server_without_end() {
    let (seen, _guard) = (crate::layers::Seen::default(), ());
    let (posthog, _guard) = PostHogLayer::from_env().unwrap();
    let (env, reload) = reload::Layer::new(EnvFilter::from_default_env());
    registry().with(seen.layer()).with(env).with(posthog).init();
    sign_up();
    wait_until("it is said", || !seen.with(SAID).is_empty());
    // What is reached later is said too, and what was said is not said again.
    forget();
    sign_up();
    wait_until("the second is said", || seen.with(SAID).len() == 2);
    let lines = seen.with(SAID);
    assert!(
        lines[0].contains(&place(SIGN_UP)) && !lines[0].contains(&place(FORGET)),
        "{lines:?}"
    );
    assert!(
        !lines[1].contains(&place(SIGN_UP)) && lines[1].contains(&place(FORGET)),
        "{lines:?}"
    );
    reload.reload(EnvFilter::new("info")).unwrap();
    sign_up();
    println!("{}", lines.join("\n"));
    // Nothing more comes by the end.
    drop(_guard);
    assert_eq!(seen.with(SAID).len(), 2);
}

const PROGRAMS: [fn(); 10] = [
    fmt_with_env_filter,
    filter_as_a_layer,
    filter_without_a_log_layer,
    filter_beside_a_log_layer_without_our_lines,
    filter_on_the_log_layer,
    filter_above_the_layer,
    filter_on_our_layer,
    a_layer_in_an_option,
    filter_that_is_reloaded,
    server_without_end,
];

fn name_of(program: fn()) -> &'static str {
    let names = [
        "fmt_with_env_filter",
        "filter_as_a_layer",
        "filter_without_a_log_layer",
        "filter_beside_a_log_layer_without_our_lines",
        "filter_on_the_log_layer",
        "filter_above_the_layer",
        "filter_on_our_layer",
        "a_layer_in_an_option",
        "filter_that_is_reloaded",
        "server_without_end",
    ];
    let at = PROGRAMS
        .iter()
        .position(|p| std::ptr::fn_addr_eq(*p, program));
    names[at.unwrap()]
}

/// Not a test: runs one of the programs, where another test starts this one for it.
#[test]
fn program() {
    if let Ok(name) = std::env::var(PROGRAM) {
        let program = PROGRAMS.into_iter().find(|p| name_of(*p) == name).unwrap();
        program();
    }
}

/// What a program wrote, and which events arrived.
struct Outcome {
    log: String,
    errors: String,
    events: Vec<String>,
}

impl Outcome {
    /// The lines about hidden events, wherever they went.
    fn said(&self) -> Vec<&str> {
        let lines = self.log.lines().chain(self.errors.lines());
        lines.filter(|line| line.contains(SAID)).collect()
    }
}

fn run(program: fn(), rust_log: Option<&str>) -> Outcome {
    let server: PostHogServer = server();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "hidden_events::program", "--nocapture"])
        .env(PROGRAM, name_of(program))
        .env("POSTHOG_API_KEY", PROJECT_KEY)
        .env("POSTHOG_HOST", server.url())
        .env_remove("POSTHOG_PERSONAL_API_KEY")
        .env_remove("RUST_LOG")
        .env("NO_COLOR", "1");
    if let Some(rust_log) = rust_log {
        command.env("RUST_LOG", rust_log);
    }
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (log, errors) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{log}\n{errors}");
    let events = server.events().into_iter().map(|e| e.event).collect();
    Outcome {
        log,
        errors,
        events,
    }
}

#[test]
fn a_filter_that_hides_events_is_said_with_callsite_and_remedy() {
    for program in [fmt_with_env_filter, filter_as_a_layer] {
        for rust_log in [None, Some("warn")] {
            let outcome = run(program, rust_log);
            assert_eq!(outcome.events, [""; 0]);
            let said = outcome.said();
            assert_eq!(
                said.len(),
                1,
                "{} {rust_log:?}: {}",
                name_of(program),
                outcome.log
            );
            let line = said[0];
            assert!(line.contains("ERROR tracing_posthog: "), "{line}");
            assert!(
                line.contains(&format!("{}(INFO ", place(SIGN_UP))),
                "{line}"
            );
            assert!(line.contains("fmt::layer().with_filter("), "{line}");
            assert_eq!(
                outcome.errors.matches(SAID).count(),
                0,
                "{}",
                outcome.errors
            );
        }
    }
    // A span that is an event is named too.
    let outcome = run(filter_as_a_layer, None);
    let line = outcome.said()[0].to_owned();
    assert!(
        line.contains(&format!("{}(INFO shop::privacy)", place(FORGET))),
        "{line}"
    );
}

/// It hides this crate's lines as well.
#[test]
fn a_filter_for_other_targets_is_said_on_the_standard_error() {
    let outcome = run(fmt_with_env_filter, Some("other=info"));
    assert_eq!(outcome.events, [""; 0]);
    let line = outcome.said().concat();
    assert!(outcome.errors.contains(&line), "{}", outcome.errors);
    assert!(line.starts_with("ERROR tracing_posthog: "), "{line}");
    assert!(
        line.contains(&format!("{}(INFO ", place(SIGN_UP))),
        "{line}"
    );
    let outcome = run(filter_as_a_layer, Some("shop=info,tracing_posthog=error"));
    assert_eq!(outcome.events, ["forgotten"]);
    let line = outcome.said().concat();
    assert!(
        line.contains(&place(SIGN_UP)) && !line.contains(&place(FORGET)),
        "{line}"
    );
    assert!(outcome.log.contains(&line), "{}", outcome.log);
}

/// The line passes the filter, but no layer writes it.
#[test]
fn what_no_layer_writes_is_said_on_the_standard_error() {
    for program in [
        filter_without_a_log_layer,
        filter_beside_a_log_layer_without_our_lines,
    ] {
        let outcome = run(program, Some("warn"));
        assert_eq!(outcome.events, [""; 0]);
        let said = outcome.said();
        assert_eq!(said.len(), 1, "{}: {said:?}", name_of(program));
        assert!(outcome.errors.contains(said[0]), "{}", outcome.log);
        assert!(said[0].starts_with("ERROR tracing_posthog: "), "{said:?}");
        assert!(said[0].contains(&place(SIGN_UP)), "{said:?}");
    }
}

#[test]
fn a_filter_that_hides_nothing_is_not_said() {
    for program in [
        fmt_with_env_filter,
        a_layer_in_an_option,
        filter_above_the_layer,
    ] {
        let outcome = run(program, Some("info"));
        assert_eq!((outcome.said(), outcome.events.len()), (vec![], 1));
    }
    for rust_log in [None, Some("warn"), Some("other=info"), Some("off")] {
        let outcome = run(filter_on_the_log_layer, rust_log);
        assert_eq!((outcome.said(), outcome.events.len()), (vec![], 1));
    }
}

#[test]
fn a_filter_on_our_layer_alone_is_a_choice() {
    for rust_log in [None, Some("warn"), Some("other=info"), Some("[span]=info")] {
        let outcome = run(filter_on_our_layer, rust_log);
        assert_eq!((outcome.said(), outcome.events.len()), (vec![], 0));
    }
}

/// Above the layer, or with the layer in an `Option`, nothing tells the layer of callsites that the level alone hides.
#[test]
fn a_limited_level_is_said_where_no_callsite_is_known() {
    for program in [filter_above_the_layer, a_layer_in_an_option] {
        for rust_log in [None, Some("warn")] {
            let outcome = run(program, rust_log);
            assert_eq!(outcome.events, [""; 0]);
            let said = outcome.said();
            assert_eq!(said.len(), 1, "{} {}", name_of(program), outcome.log);
            assert!(said[0].contains("ERROR tracing_posthog: "), "{said:?}");
            assert!(said[0].contains("max_level"), "{said:?}");
        }
    }
    let outcome = run(a_layer_in_an_option, Some("other=info"));
    assert!(
        outcome.errors.contains(&place(SIGN_UP)),
        "{}",
        outcome.errors
    );
}

#[test]
fn what_counts_is_the_filter_of_the_moment() {
    let outcome = run(filter_that_is_reloaded, Some("info"));
    assert_eq!((outcome.said(), outcome.events.len()), (vec![], 1));
    let outcome = run(filter_that_is_reloaded, Some("error"));
    assert_eq!((outcome.said().len(), outcome.events.len()), (1, 0));
}

#[test]
fn it_is_said_without_a_flush_and_each_callsite_once() {
    let outcome = run(server_without_end, None);
    assert_eq!(outcome.events, ["signup"]);
    assert!(outcome.log.contains(&place(SIGN_UP)) && outcome.log.contains(&place(FORGET)));
}

/// In a process of its own, because callsites of other tests are hidden from that subscriber too.
#[test]
fn debug_says_which_callsites_a_filter_hides() {
    own_process!();
    let captured = CapturedEvents::new();
    let filter = tracing_subscriber::filter::LevelFilter::WARN;
    let subscriber = tracing_subscriber::registry()
        .with(filter)
        .with(captured.layer());
    let at = tracing::subscriber::with_default(subscriber, || {
        tracing::info!(posthog.event = "signup");
        let at = line!() - 1;
        let said = format!("{captured:?}");
        assert!(said.contains(&format!("{}:{at} (INFO ", file!())), "{said}");
        at
    });
    // That subscriber is gone.
    let said = format!("{captured:?}");
    assert!(!said.contains(&format!(":{at} ")), "{said}");
}
