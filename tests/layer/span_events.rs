//! A span with `posthog.event` is one event, sent when it closes.

use crate::layers::{Seen, captured, captured_with, one};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Dispatch, Instrument, Span, info, info_span};
use tracing_posthog::SpanFields;
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

fn ms(event: &RecordedEvent, name: &str) -> f64 {
    event.properties[name].as_f64().unwrap()
}

/// Works, so that the clock moves; nothing is waited for.
fn work(for_ms: u64) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(for_ms) {
        std::hint::spin_loop();
    }
}

#[test]
fn it_carries_all_its_fields_and_those_recorded_later() {
    let event = one(|| {
        let span = info_span!(
            "s",
            posthog.event = "checkout",
            posthog.distinct_id = "ada",
            posthog.set.plan = "pro",
            items = 3,
            plan = Empty,
            never = Empty
        );
        span.record("plan", "free");
        span.in_scope(|| span.record("plan", "pro"));
    });
    assert_eq!(
        (event.event.as_str(), event.distinct_id.as_str()),
        ("checkout", "ada")
    );
    let p = &event.properties;
    assert_eq!((&p["items"], &p["plan"]), (&json!(3), &json!("pro")));
    assert_eq!(p["$set"], json!({"plan": "pro"}));
    assert!(!p.contains_key("never"));
    assert!(ms(&event, "duration_ms") >= 0.0);
    assert!(!p.contains_key("busy_ms") && !p.contains_key("idle_ms"));
}

#[test]
fn a_name_recorded_later_counts_and_a_span_that_never_gets_one_is_no_event() {
    let (captured, seen) = (CapturedEvents::new(), Seen::default());
    let subscriber = registry().with(seen.layer()).with(captured.layer());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("s", posthog.event = Empty);
        span.record("posthog.event", "named late");
        drop(span);
        let span = info_span!(
            "s",
            posthog.event = Empty,
            posthog.distinct_id = "ada",
            n = 1
        );
        span.record("n", 2);
        span.in_scope(|| info!(posthog.event = "within"));
        drop(span);
        let events = captured.events();
        let names: Vec<_> = events.iter().map(|e| e.event.as_str()).collect();
        assert_eq!(names, ["named late", "within"]);
        assert_eq!(events[1].distinct_id, "ada");
    });
    let stats = captured.handle().stats();
    assert_eq!((stats.captured, stats.dropped.total()), (2, 0));
    assert_eq!(seen.with(" tracing_posthog::"), [""; 0]);
}

#[test]
fn its_duration_ends_with_its_last_exit_not_with_its_close() {
    let start = Instant::now();
    let mut left = Duration::ZERO;
    let event = one(|| {
        let span = info_span!("s", posthog.event = "x");
        span.in_scope(|| work(5));
        left = start.elapsed();
        work(20);
    });
    let duration = ms(&event, "duration_ms");
    assert!(duration >= 5.0, "{duration}");
    assert!(duration <= left.as_secs_f64() * 1e3, "{duration}, {left:?}");
}

#[test]
fn its_timestamp_is_its_end() {
    let end = |event: &RecordedEvent| -> jiff::Timestamp {
        event.timestamp.as_ref().unwrap().parse().unwrap()
    };
    let (mut before, mut after) = (jiff::Timestamp::now(), jiff::Timestamp::now());
    let event = one(|| {
        let span = info_span!("s", posthog.event = "x");
        work(50);
        span.in_scope(|| before = jiff::Timestamp::now());
        after = jiff::Timestamp::now();
        work(500);
    });
    let end = |event| end(event).as_millisecond();
    let from_exit = end(&event) - before.as_millisecond();
    assert!(from_exit >= -1, "{from_exit} ms from the exit");
    let from_exit = end(&event) - after.as_millisecond();
    assert!(from_exit < 450, "{from_exit} ms from the exit");
    let given = one(|| {
        drop(info_span!(
            "s",
            posthog.event = "x",
            posthog.timestamp = "2001-02-03T04:05:06Z"
        ))
    });
    assert_eq!(given.timestamp.unwrap(), "2001-02-03T04:05:06.000Z");
}

#[test]
fn a_span_entered_many_times_is_one_event() {
    let event = captured_with(
        |o| o.with_busy_idle(true),
        || {
            let span = info_span!("s", posthog.event = "x");
            for _ in 0..3 {
                span.in_scope(|| work(4));
                work(4);
            }
            span.in_scope(|| span.in_scope(|| work(4)));
        },
    );
    assert_eq!(event.len(), 1);
    let (all, busy, idle) = (
        ms(&event[0], "duration_ms"),
        ms(&event[0], "busy_ms"),
        ms(&event[0], "idle_ms"),
    );
    assert!(busy >= 16.0 && idle >= 12.0, "busy {busy}, idle {idle}");
    assert!((busy + idle - all).abs() < 0.01, "{busy} + {idle} = {all}");
}

#[test]
fn time_on_two_threads_at_once_is_not_counted_twice() {
    let captured = CapturedEvents::new();
    let layer = tracing_posthog::PostHogLayer::builder(captured.handle()).with_busy_idle(true);
    let dispatch = Dispatch::new(registry().with(layer.build()));
    tracing::dispatcher::with_default(&dispatch, || {
        let span = info_span!("s", posthog.event = "x");
        let both = std::sync::Barrier::new(2);
        std::thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| {
                    tracing::dispatcher::with_default(&dispatch, || {
                        span.in_scope(|| {
                            both.wait();
                            work(10);
                            both.wait();
                        });
                    });
                });
            }
        });
    });
    let event = captured.find("x").unwrap();
    let (all, busy) = (ms(&event, "duration_ms"), ms(&event, "busy_ms"));
    assert!(busy >= 10.0 && busy <= all, "busy {busy} of {all}");
}

#[test]
fn a_span_that_was_never_entered_lasts_until_it_closes_and_was_idle() {
    let event = captured_with(
        |o| o.with_busy_idle(true),
        || {
            let _span = info_span!("s", posthog.event = "x");
            work(5);
        },
    )
    .remove(0);
    assert!(ms(&event, "duration_ms") >= 5.0);
    assert_eq!(event.properties["busy_ms"], 0.0);
}

#[test]
fn a_cancelled_future_is_an_event_too() {
    let event = one(|| {
        let span = info_span!(
            "s",
            posthog.event = "cancelled",
            posthog.distinct_id = "ada"
        );
        let future = async {
            Span::current().record("posthog.distinct_id", "bob");
            std::future::pending::<()>().await;
        };
        let mut future = Box::pin(future.instrument(span));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
        drop(future);
    });
    assert_eq!(
        (event.event.as_str(), event.distinct_id.as_str()),
        ("cancelled", "bob")
    );
}

#[test]
fn a_child_comes_before_its_parent_and_a_parent_kept_open_by_it_comes_once() {
    let events = captured(|| {
        let parent = info_span!("p", posthog.event = "parent");
        let child = parent.in_scope(|| info_span!("c", posthog.event = "child"));
        let clone = parent.clone();
        drop(parent);
        drop(clone);
        info!(posthog.event = "between");
        drop(child);
    });
    let names: Vec<_> = events.iter().map(|e| e.event.as_str()).collect();
    assert_eq!(names, ["between", "child", "parent"]);
}

#[test]
fn it_belongs_to_whom_the_spans_around_it_say() {
    let events = captured_with(
        |o| o.span_fields(SpanFields::named(["route"])),
        || {
            info_span!("a", posthog.distinct_id = "ada", route = "/pay", secret = 1).in_scope(
                || {
                    info_span!(
                        "b",
                        posthog.event = "a span",
                        posthog.session_id = "s",
                        own = 1
                    )
                    .in_scope(|| info!(posthog.event = "within"));
                },
            );
        },
    );
    let [within, span] = events.try_into().unwrap();
    for event in [&within, &span] {
        assert_eq!(event.distinct_id, "ada");
        assert_eq!(event.properties["$session_id"], "s");
        assert_eq!(event.properties["route"], "/pay");
        assert!(!event.properties.contains_key("secret"));
    }
    assert_eq!(span.properties["own"], 1);
    assert!(
        !within.properties.contains_key("own"),
        "a span's fields are its own"
    );
    assert!(!within.properties.contains_key("duration_ms"));
}

#[test]
fn what_is_recorded_on_it_later_reaches_the_events_within_where_it_should() {
    let events = captured_with(
        |o| o.span_fields(SpanFields::named(["route"])),
        || {
            let span = info_span!(
                "s",
                posthog.event = "a span",
                posthog.distinct_id = Empty,
                route = Empty,
                secret = Empty
            );
            span.record("posthog.distinct_id", "ada");
            span.record("route", "/pay");
            span.record("secret", 1);
            span.in_scope(|| info!(posthog.event = "within"));
        },
    );
    let [within, span] = events.try_into().unwrap();
    for event in [&within, &span] {
        assert_eq!(event.distinct_id, "ada");
        assert_eq!(event.properties["route"], "/pay");
    }
    assert_eq!(within.properties.get("secret"), None);
    assert_eq!(span.properties["secret"], 1);
}

#[test]
fn ids_of_closed_spans_and_of_other_subscribers_are_ignored() {
    let captured = CapturedEvents::new();
    let foreign =
        tracing::subscriber::with_default(registry(), || info_span!("foreign", n = Empty));
    tracing::subscriber::with_default(registry().with(captured.layer()), || {
        let span = info_span!("s", posthog.event = "x", n = Empty);
        let closed = info_span!("closed", posthog.event = "closed");
        let id = closed.id();
        drop(closed);
        span.follows_from(id);
        span.follows_from(foreign.id());
        let dispatch = tracing::dispatcher::get_default(Dispatch::clone);
        let metadata = span.metadata().unwrap();
        let n = metadata.fields().field("n").unwrap();
        let value = [(&n, Some(&1 as &dyn tracing::Value))];
        let nowhere = tracing::span::Id::from_u64(u64::MAX >> 1);
        dispatch.record(
            &nowhere,
            &tracing::span::Record::new(&metadata.fields().value_set(&value)),
        );
    });
    let events = captured.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1].properties.get("n"), None::<&Value>);
}

#[test]
fn a_span_that_reuses_the_place_of_a_closed_one_inherits_nothing() {
    let events = captured(|| {
        for n in 0..10_000 {
            let span = if n % 2 == 0 {
                info_span!("s", posthog.distinct_id = "ada", posthog.event = "a span")
            } else {
                info_span!("s", plain = 1)
            };
            span.in_scope(|| {
                if n % 2 == 1 {
                    info!(posthog.event = "within");
                }
            });
        }
    });
    let (spans, within): (Vec<_>, Vec<_>) = events.iter().partition(|e| e.event == "a span");
    assert_eq!((spans.len(), within.len()), (5_000, 5_000));
    assert!(within.iter().all(|e| e.distinct_id != "ada"));
}
