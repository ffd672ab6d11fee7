//! What a program reads at its start: where events go, or that none are captured; and what is unusual about its
//! settings. Each test runs in its own process, because it installs a global subscriber.

use crate::hostile::ProcessLog;
use crate::own_process::own_process;
use crate::support::*;
use std::sync::mpsc;
use tracing_posthog::{CaptureHandle, Event, EventCaptureBackend, PostHogClient, PostHogLayer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

/// The lines that say where events go, or that none are captured.
fn start_lines(log: &ProcessLog) -> Vec<String> {
    let mut lines = log.said();
    lines.retain(|line| line.contains("capturing to") || line.contains("disabled"));
    lines
}

fn install(log: &ProcessLog, layer: PostHogLayer) {
    let subscriber = tracing_subscriber::registry().with(log.clone());
    subscriber.with(layer).init();
}

#[track_caller]
fn assert_said_once(log: &ProcessLog, host: &str) {
    // Another thread may be about to say it.
    wait_until("the line", || !start_lines(log).is_empty());
    let lines = start_lines(log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    let line = &lines[0];
    assert!(line.starts_with("INFO tracing_posthog "), "{line}");
    for text in [host, "phc_pro…", "capture v0"] {
        assert!(line.contains(text), "{text}: {line}");
    }
    assert!(!line.contains(PROJECT_KEY), "{line}");
}

/// As most programs do it: the layer is a part of the subscriber, so capturing starts first.
#[test]
fn a_program_that_starts_before_its_subscriber_reads_once_where_events_go() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let handle = capture_to(&server).start().unwrap();
    let layer = PostHogLayer::new(handle.clone());
    install(&log, layer);
    wait_until("the line", || !start_lines(&log).is_empty());
    tracing::info!(posthog.event = "signup");
    handle.flush_blocking(LONG);
    drop(kept(handle));
    assert_said_once(&log, &server.url());
    assert_eq!(names(&server.events()), ["signup"]);
}

#[test]
fn a_program_that_ends_at_once_reads_it_too() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let posthog = kept(capture_to(&server).start().unwrap());
    let layer = PostHogLayer::new(posthog.handle().clone());
    install(&log, layer);
    drop(posthog);
    assert_said_once(&log, &server.url());
}

#[test]
fn a_program_whose_subscriber_holds_no_layer_of_ours_reads_it_with_its_first_events() {
    own_process!();
    let server = server();
    let handle = capture_to(&server).start().unwrap();
    let log = ProcessLog::start();
    handle.capture(Event::new("signup"));
    handle.flush_blocking(LONG);
    assert_said_once(&log, &server.url());
}

#[test]
fn a_program_that_starts_after_its_subscriber_reads_it_at_once() {
    own_process!();
    let log = ProcessLog::start();
    let server = server();
    let handle = capture_to(&server).start().unwrap();
    assert_said_once(&log, &server.url());
    // Of each backend once.
    let client = client_of(&server).build().unwrap();
    EventCaptureBackend::builder(client.clone())
        .start()
        .unwrap()
        .shutdown_blocking(LONG);
    EventCaptureBackend::builder(client)
        .start()
        .unwrap()
        .shutdown_blocking(LONG);
    handle.shutdown_blocking(LONG);
    wait_until("a line of each", || start_lines(&log).len() == 3);
}

#[test]
fn a_scoped_subscriber_reads_it() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let handle = capture_to(&server).start().unwrap();
    let layer = PostHogLayer::new(handle.clone());
    let subscriber = tracing_subscriber::registry().with(log.clone()).with(layer);
    tracing::subscriber::with_default(subscriber, || {
        wait_until("the line", || !start_lines(&log).is_empty());
    });
    assert_said_once(&log, &server.url());
}

#[test]
fn a_log_at_warn_holds_nothing_of_a_usual_start() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let handle = capture_to(&server).start().unwrap();
    let layer = PostHogLayer::new(handle.clone());
    tracing_subscriber::registry()
        .with(log.clone().with_filter(LevelFilter::WARN))
        .with(layer)
        .init();
    tracing::info!(posthog.event = "signup");
    drop(kept(handle));
    assert_eq!(log.said(), Vec::<String>::new());
    assert_eq!(names(&server.events()), ["signup"]);
}

#[test]
fn what_is_unusual_about_settings_is_said_once() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let client = PostHogClient::builder()
        .project_api_key("an_old_key_without_prefix")
        .personal_api_key(PERSONAL_KEY)
        .host(format!("{}/i/v0/e/", server.url()))
        .rest_host(format!("{}/api/", server.url()))
        .build()
        .unwrap();
    let handle = EventCaptureBackend::builder(client).start().unwrap();
    let layer = PostHogLayer::new(handle.clone());
    tracing_subscriber::registry()
        .with(log.clone().with_filter(LevelFilter::WARN))
        .with(layer)
        .init();
    wait_until("the warnings", || log.warnings().len() >= 3);
    tracing::info!(posthog.event = "signup");
    drop(kept(handle));
    let warnings = log.warnings();
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    let said = |texts: &[&str]| {
        let all = |line: &&String| texts.iter().all(|text| line.contains(text));
        warnings.iter().filter(all).count()
    };
    assert_eq!(said(&["host: ", "\"/i/v0/e\"", &server.url()]), 1);
    assert_eq!(said(&["rest_host: ", "\"/api\""]), 1);
    assert_eq!(said(&["project_api_key: ", "phc_…"]), 1);
    assert!(!warnings.concat().contains("an_old_key"), "{warnings:?}");
    assert_eq!(names(&server.events()), ["signup"]);
}

/// On the thread that registers the subscriber, or emits into it, a line would come from within a callback.
#[test]
fn nothing_is_logged_by_the_thread_that_installs_the_subscriber() {
    own_process!();
    struct Threads(mpsc::Sender<std::thread::ThreadId>);
    impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Threads {
        fn on_event(
            &self,
            event: &tracing::Event<'_>,
            _: tracing_subscriber::layer::Context<'_, S>,
        ) {
            if event.metadata().target() == "tracing_posthog" {
                self.0.send(std::thread::current().id()).unwrap();
            }
        }
    }
    let (says, said) = mpsc::channel();
    let server = server();
    let handle = capture_to(&server).start().unwrap();
    let layer = PostHogLayer::new(handle.clone());
    tracing_subscriber::registry()
        .with(Threads(says))
        .with(layer)
        .init();
    let thread = said.recv_timeout(LONG).unwrap();
    assert_ne!(thread, std::thread::current().id());
}

#[test]
fn a_backend_that_the_program_disabled_says_so() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let posthog = kept(capture_to(&server).disabled(true).start().unwrap());
    let layer = PostHogLayer::new(posthog.handle().clone());
    install(&log, layer);
    wait_until("the line", || !start_lines(&log).is_empty());
    drop(posthog);
    let lines = start_lines(&log);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("disabled by the program"), "{lines:?}");
}

#[test]
fn a_handle_that_is_none_says_nothing() {
    own_process!();
    let log = ProcessLog::default();
    let layer = PostHogLayer::new(CaptureHandle::disabled());
    install(&log, layer);
    drop(kept(CaptureHandle::disabled()));
    assert_eq!(log.said(), Vec::<String>::new());
}

#[test]
fn a_posthog_that_is_dropped_before_the_subscriber_is_said_instead() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let handle = capture_to(&server).start().unwrap();
    let layer = PostHogLayer::new(handle.clone());
    drop(kept(handle));
    install(&log, layer);
    wait_until("a line", || !log.said().is_empty());
    let said = log.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with("WARN tracing_posthog no event is captured: "),
        "{said:?}"
    );
}

#[test]
fn events_that_a_layer_captures_after_the_shutdown_are_said_once() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let handle = capture_to(&server).start().unwrap();
    let layer = PostHogLayer::new(handle.clone());
    install(&log, layer);
    wait_until("the line", || !start_lines(&log).is_empty());
    handle.shutdown_blocking(LONG);
    assert_eq!(log.warnings(), Vec::<String>::new());
    for _ in 0..3 {
        tracing::info!(posthog.event = "late");
    }
    wait_until("the warning", || !log.warnings().is_empty());
    let said = log.warnings();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("after the shutdown"), "{said:?}");
    assert_eq!(
        handle
            .stats()
            .dropped
            .by(tracing_posthog::DropReason::Shutdown),
        3
    );
}

#[test]
fn a_client_that_captures_again_says_where_events_go() {
    own_process!();
    let (server, log) = (server(), ProcessLog::default());
    let client = client_of(&server).build().unwrap();
    let start = || {
        EventCaptureBackend::builder(client.clone())
            .start()
            .unwrap()
    };
    drop(kept(start()));
    let layer = PostHogLayer::new(start());
    install(&log, layer);
    wait_until("the line", || {
        log.said().iter().any(|line| line.contains("capturing to"))
    });
}
