use super::*;
use crate::{DropReason, Event, PostHog, PostHogClient, TryCaptureError};
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

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
    assert!(!captured.store.kept().add(br#"{"uuid": 5"#, false));
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

async fn hop(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_scope_holds_through_awaits_on_any_thread() {
    let captured = CapturedEvents::new();
    let other = CapturedEvents::new();
    let tasks: Vec<_> = (0..32)
        .map(|n| {
            let task = async move {
                let mut threads = BTreeSet::new();
                for _ in 0..8 {
                    hop(3).await;
                    threads.insert(format!("{:?}", thread::current().id()));
                    tracing::info!(posthog.event = "step", posthog.distinct_id = n);
                }
                threads.len()
            };
            match n % 2 {
                0 => tokio::spawn(captured.scope(task)),
                _ => tokio::spawn(other.scope(task)),
            }
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let of = |events: &[RecordedEvent], even: bool| {
        let right = events.iter().filter(|e| {
            let n: usize = e.distinct_id.parse().unwrap();
            n.is_multiple_of(2) == even
        });
        right.count()
    };
    assert_eq!(
        (of(&captured.events(), true), captured.events().len()),
        (128, 128)
    );
    assert_eq!(
        (of(&other.events(), false), other.events().len()),
        (128, 128)
    );
}

#[test]
fn a_future_that_is_dropped_is_within_its_scope_too() {
    struct Goodbye;
    impl Drop for Goodbye {
        fn drop(&mut self) {
            tracing::info!(posthog.event = "cancelled");
        }
    }
    let captured = CapturedEvents::new();
    let mut future = captured.scope(async {
        let _goodbye = Goodbye;
        std::future::pending::<()>().await;
    });
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::Pin::new(&mut future).poll(&mut cx).is_pending());
    assert_eq!(captured.events(), []);
    drop(future);
    assert_eq!(names(&captured.events()), ["cancelled"]);
}

#[test]
fn a_span_is_of_every_scope_of_its_events() {
    let captured = CapturedEvents::new();
    let span = captured.in_scope(|| tracing::info_span!("request", posthog.distinct_id = "ada"));
    let again = captured.clone();
    let within = thread::spawn(move || {
        again.in_scope(|| span.in_scope(|| tracing::info!(posthog.event = "signup")));
    });
    within.join().unwrap();
    assert_eq!(captured.events()[0].distinct_id, "ada");
}

#[test]
fn what_an_attached_thread_emits_is_captured() {
    let captured = CapturedEvents::new();
    let attach = captured.clone();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(move || attach.attach_thread())
        .build()
        .unwrap();
    runtime.block_on(captured.scope(async {
        let tasks: Vec<_> = (0..20)
            .map(|_| {
                tokio::spawn(async {
                    hop(2).await;
                    tracing::info!(posthog.event = "spawned");
                    tokio::task::spawn_blocking(|| tracing::info!(posthog.event = "blocking"))
                        .await
                        .unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    }));
    let events = captured.take();
    let spawned = events.iter().filter(|e| e.event == "spawned").count();
    assert_eq!((spawned, events.len()), (20, 40));
}

#[test]
fn clones_share_their_events() {
    let captured = CapturedEvents::new();
    let clone = captured.clone();
    captured.handle().capture(event("a"));
    assert_eq!(names(&clone.take()), ["a"]);
    assert_eq!(captured.events(), []);
    drop(captured);
    clone.handle().capture(event("b"));
    assert_eq!(names(&clone.events()), ["b"]);
}

/// A handle and the store hold each other; the scopes' dispatcher must not keep them alive as well.
#[test]
fn nothing_stays_when_all_clones_are_gone() {
    let captured = CapturedEvents::new();
    let dispatch = captured.in_scope(|| tracing::dispatcher::get_default(|d| d.downgrade()));
    assert!(dispatch.upgrade().is_some());
    drop(captured);
    assert!(dispatch.upgrade().is_none());
}

#[test]
fn debug_lists_names_and_ids_and_says_why_others_are_missing() {
    let captured = CapturedEvents::new();
    let handle = captured.handle();
    assert_eq!(format!("{captured:?}"), "CapturedEvents { events: [] }");
    handle.capture(event("sign\nup").property("text", "x".repeat(5_000)));
    handle.capture(Event::new("n".repeat(500)).distinct_id("ada"));
    handle.capture(event(" "));
    let n = "n".repeat(80);
    assert_eq!(
        format!("{captured:?}"),
        format!(
            "CapturedEvents {{ events: [sign\\nup (user_42), {n}… (ada)], dropped: {{Invalid: 1}} }}"
        )
    );
    for _ in 0..1_000 {
        handle.capture(event("x"));
    }
    handle.shutdown_blocking(LONG);
    let said = format!("{captured:?}");
    assert!(said.len() < 2_000, "{said}");
    assert!(said.contains("more_events: 952"), "{said}");
    assert!(said.contains("captures_no_more: shut down"), "{said}");
    // Looking takes nothing away.
    assert_eq!(captured.take().len(), 1_002);
}

#[test]
fn settings_of_the_program_count() {
    let (failed, failures) = std::sync::mpsc::channel();
    let captured = CapturedEvents::builder()
        .capture(move |capture| {
            capture
                .default_property("app_version", "1.2.3")
                .before_send(|event| (event.name != "secret").then_some(event))
                .before_send(|mut event| {
                    event.properties.remove("email");
                    Some(event)
                })
                .on_error(move |failure| {
                    failed.send((failure.events, failure.disposition)).unwrap()
                })
                .historical_migration(true)
                .protocol(crate::CaptureProtocol::V1)
        })
        .layer(|layer| layer.with_message(true).distinct_id("the user"))
        .build()
        .unwrap();
    captured.in_scope(|| {
        tracing::info!(posthog.event = "signup", email = "a@b.c", "hello");
        tracing::info!(posthog.event = "secret");
        tracing::info!(
            posthog.event = "long",
            posthog.distinct_id = "ö".repeat(150)
        );
    });
    let report = captured.handle().flush_blocking(LONG);
    assert_eq!((report.delivered, report.dropped), (2, 1));
    let dropped = crate::Disposition::Dropped(DropReason::BeforeSend);
    assert_eq!(failures.try_iter().collect::<Vec<_>>(), [(1, dropped)]);
    let events = captured.events();
    assert_eq!(names(&events), ["signup", "long"]);
    assert_eq!(events[0].distinct_id, "the user");
    assert_eq!(events[0].properties["app_version"], "1.2.3");
    assert_eq!(events[0].properties["message"], "hello");
    assert!(!events[0].properties.contains_key("email"));
    assert!(events[0].historical_migration);
    assert_eq!(events[1].distinct_id, "ö".repeat(100));

    let wrong = CapturedEvents::builder().capture(|capture| capture.default_property("", 1));
    let said = wrong.build().unwrap_err().to_string();
    assert!(said.contains("default_property"), "{said}");

    let off = CapturedEvents::builder().capture(|capture| capture.disabled(true));
    let off = off.build().unwrap();
    off.handle().capture(event("a"));
    assert_eq!(off.events(), []);
    assert!(format!("{off:?}").contains("disabled"));
}

/// It runs while they are being read, and must not wait for itself.
#[test]
fn a_hook_may_look_and_flush() {
    let looks: Arc<OnceLock<CapturedEvents>> = Arc::default();
    let hook = looks.clone();
    let captured = CapturedEvents::builder()
        .capture(move |capture| {
            capture.before_send(move |event| {
                let captured = hook.get().unwrap();
                captured.handle().capture(Event::new("from a hook"));
                let before = captured.events().len();
                let flushed = captured.handle().flush_blocking(LONG);
                assert_eq!(flushed.delivered, 0);
                drop(format!("{captured:?}"));
                Some(event.property("before", before))
            })
        })
        .build()
        .unwrap();
    looks.set(captured.clone()).unwrap();
    captured.handle().capture(event("a"));
    assert_eq!(captured.events().len(), 1);
    captured.handle().capture(event("b"));
    assert_eq!(names(&captured.events()), ["a", "b"]);
    assert_eq!(captured.events()[1].properties["before"], 1);
    assert_eq!(captured.handle().stats().dropped.total(), 0);
}
