use super::*;
use crate::{DropReason, Event, PostHog, PostHogClient, TryCaptureError};
use std::collections::BTreeSet;
use std::thread;

const LONG: Duration = Duration::from_secs(60);

fn event(name: &str) -> Event {
    Event::new(name).distinct_id("user_42")
}

fn names(events: &[RecordedEvent]) -> Vec<&str> {
    events.iter().map(|e| e.event.as_str()).collect()
}

#[tokio::test]
async fn what_is_flushed_is_delivered() {
    let captured = CapturedEvents::new();
    let handle = captured.handle();
    handle.capture(event("a"));
    handle.capture(event("b"));
    assert_eq!(handle.stats().queued, 2);
    let report = handle.flush().await;
    assert_eq!((report.delivered, report.is_complete()), (2, true));
    handle.capture(event("c"));
    let report = handle.flush_blocking(LONG);
    assert_eq!((report.delivered, report.is_complete()), (1, true));
    // What a reader saw before is not delivered since.
    handle.capture(event("d"));
    assert_eq!(names(&captured.events()), ["a", "b", "c", "d"]);
    let report = handle.flush().await;
    assert_eq!((report.delivered, report.is_complete()), (0, true));
    let stats = handle.stats();
    assert_eq!((stats.captured, stats.delivered, stats.queued), (4, 4, 0));
}

#[tokio::test]
async fn a_shutdown_is_complete_and_the_end_of_capturing() {
    let captured = CapturedEvents::new();
    let handle = captured.handle();
    handle.capture(event("before"));
    let report = handle.shutdown().await;
    assert_eq!((report.delivered, report.is_complete()), (1, true));
    handle.capture(event("after"));
    let refused = handle.try_capture(&event("after"));
    assert_eq!(refused, Err(TryCaptureError::Shutdown));
    assert!(handle.shutdown_blocking(LONG).is_complete());
    assert_eq!(handle.stats().dropped.by(DropReason::Shutdown), 2);
    assert_eq!(names(&captured.events()), ["before"]);
}

fn kept(captured: &CapturedEvents) -> PostHog {
    let client = PostHogClient::builder().project_api_key("phc_test");
    PostHog::from_parts(client.build().unwrap(), captured.handle())
}

#[tokio::test]
async fn what_a_program_keeps_does_the_same() {
    let captured = CapturedEvents::new();
    let posthog = kept(&captured);
    posthog.handle().capture(event("flushed"));
    assert_eq!(posthog.flush().await.delivered, 1);
    posthog.handle().capture(event("at the end"));
    let report = posthog.shutdown().await;
    assert_eq!((report.delivered, report.is_complete()), (1, true));

    let captured = CapturedEvents::new();
    let posthog = kept(&captured);
    posthog.handle().capture(event("at the drop"));
    drop(posthog);
    let stats = captured.handle().stats();
    assert_eq!((stats.delivered, stats.dropped.total()), (1, 0));
    captured.handle().capture(event("after"));
    assert_eq!(names(&captured.events()), ["at the drop"]);
}

#[test]
fn what_posthog_would_not_take_is_no_part_of_a_complete_flush() {
    let captured = CapturedEvents::new();
    let handle = captured.handle();
    handle.capture(event(" "));
    handle.capture(event("good"));
    let report = handle.flush_blocking(LONG);
    assert_eq!((report.delivered, report.dropped), (1, 1));
    assert!(!report.is_complete());
    assert_eq!(handle.stats().dropped.by(DropReason::Invalid), 1);
}

/// However many look at the same time.
#[test]
fn every_event_is_taken_once() {
    const EACH: usize = 2_000;
    let captured = CapturedEvents::new();
    let (captured, handle) = (&captured, &captured.handle());
    let taken: Vec<RecordedEvent> = thread::scope(|scope| {
        let takers: Vec<_> = (0..2)
            .map(|n| {
                scope.spawn(move || {
                    let mut taken = Vec::new();
                    for i in 0..EACH {
                        handle.capture(event(&format!("{n} {i}")));
                        taken.extend(captured.take());
                    }
                    taken
                })
            })
            .collect();
        let looker = scope.spawn(|| {
            while handle.stats().captured < 2 * EACH as u64 {
                captured.find("none");
                handle.flush_blocking(LONG);
            }
        });
        looker.join().unwrap();
        takers.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    let left = captured.take();
    let all = names(&taken).into_iter().chain(names(&left));
    let all: Vec<&str> = all.collect();
    let different: BTreeSet<&str> = all.iter().copied().collect();
    assert_eq!((all.len(), different.len()), (2 * EACH, 2 * EACH));
}

/// This crate writes none, so the test does.
#[test]
fn an_event_that_cannot_be_read_back_is_loud() {
    let captured = CapturedEvents::new();
    captured.handle().capture(event("good"));
    assert!(!captured.store.kept().add(br#"{"uuid": 5"#));
    for read in [
        |c: &CapturedEvents| drop(c.events()),
        |c: &CapturedEvents| drop(c.find("good")),
        |c: &CapturedEvents| drop(c.take()),
    ] {
        let reading = std::panic::AssertUnwindSafe(|| read(&captured));
        let said = std::panic::catch_unwind(reading).unwrap_err();
        let said = said.downcast_ref::<String>().unwrap();
        assert!(said.contains(r#"{"uuid": 5"#), "{said}");
    }
}
