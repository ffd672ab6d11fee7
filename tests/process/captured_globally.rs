//! Tests of users that capture the events of all threads.

use crate::own_process::own_process;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use tracing::{info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_subscriber::prelude::*;

fn names(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|e| e.event.as_str()).collect()
}

fn on_another_thread(work: impl FnOnce() + Send + 'static) {
    thread::spawn(work).join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_code_under_test_spawns_is_captured() {
    own_process!();
    let captured = CapturedEvents::global().unwrap();
    let request = info_span!("request", posthog.distinct_id = "ada");
    let spawned = request.clone();
    tokio::spawn(async move {
        let _entered = spawned.entered();
        info!(posthog.event = "task");
    })
    .await
    .unwrap();
    let spawned = request.clone();
    on_another_thread(move || spawned.in_scope(|| info!(posthog.event = "thread")));
    drop(request);
    on_another_thread(|| drop(info_span!("a span", posthog.event = "span event")));
    let events = captured.events();
    assert_eq!(
        names(&events),
        ["task", "thread", "span event"],
        "{captured:?}"
    );
    assert_eq!(events[0].distinct_id, "ada");
    assert_eq!(events[1].distinct_id, "ada");
}

#[test]
fn tests_have_it_in_turns_and_see_only_their_own_events() {
    own_process!();
    const TESTS: usize = 8;
    let (all, at_once) = (Barrier::new(TESTS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for n in 0..TESTS {
            let (all, at_once) = (&all, &at_once);
            scope.spawn(move || {
                all.wait();
                let captured = CapturedEvents::builder()
                    .capture(move |capture| capture.default_property("test", n))
                    .build_global()
                    .unwrap();
                assert_eq!(at_once.fetch_add(1, SeqCst), 0);
                on_another_thread(move || info!(posthog.event = "x", posthog.distinct_id = n));
                at_once.fetch_sub(1, SeqCst);
                let events = captured.events();
                assert_eq!(names(&events), ["x"]);
                assert_eq!(events[0].distinct_id, n.to_string());
                assert_eq!(events[0].properties["test"], n);
            });
        }
    });
}

#[test]
fn a_failing_test_gives_its_turn_back() {
    own_process!();
    let failing = thread::spawn(|| {
        let _captured = CapturedEvents::global().unwrap();
        panic!("a test fails");
    });
    assert!(failing.join().is_err());
    let captured = CapturedEvents::global().unwrap();
    let again = CapturedEvents::global().unwrap_err().to_string();
    assert!(
        again.contains("already") && again.contains("captured_globally.rs"),
        "{again}"
    );
    on_another_thread(|| info!(posthog.event = "x"));
    assert_eq!(names(&captured.events()), ["x"]);
}

#[test]
fn what_is_emitted_outside_of_every_capture_is_said() {
    own_process!();
    drop(CapturedEvents::global().unwrap());
    let captured = CapturedEvents::new();
    captured.in_scope(|| {
        info!(posthog.event = "here");
        on_another_thread(|| info!(posthog.event = "elsewhere", posthog.distinct_id = "ada"));
    });
    assert_eq!(names(&captured.events()), ["here"]);
    let said = format!("{captured:?}");
    assert!(
        said.contains("outside_of_every_capture: 1, such_as: [elsewhere (ada)]"),
        "{said}"
    );
    for _ in 0..2_000 {
        info!(posthog.event = "flood");
    }
    let said = format!("{captured:?}");
    assert!(said.contains("outside_of_every_capture: 2001"), "{said}");
    assert!(said.len() < 2_000, "{said}");
}

#[test]
fn a_global_subscriber_of_the_program_is_said_or_used() {
    own_process!();
    let seen = crate::layers::Seen::default();
    tracing_subscriber::registry()
        .with(seen.layer())
        .with(CapturedEvents::global_layer())
        .init();
    let captured = CapturedEvents::global().unwrap();
    on_another_thread(|| info!(posthog.event = "x"));
    assert_eq!(names(&captured.events()), ["x"]);
    assert_eq!(seen.with("event").len(), 1);
}

#[test]
fn another_global_subscriber_is_an_error_that_names_the_remedy() {
    own_process!();
    tracing_subscriber::registry().init();
    for _ in 0..2 {
        let said = CapturedEvents::global().unwrap_err().to_string();
        assert!(said.contains("CapturedEvents::global_layer()"), "{said}");
    }
}
