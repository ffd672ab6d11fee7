//! `capture_batch` sends at once and tells what became of every event.

use crate::support::*;
use tracing_posthog::testing::Answer;
use tracing_posthog::{BatchSummary, DropReason, Event, PostHogClient, PostHogError};

fn events(n: usize) -> impl Iterator<Item = Event> {
    (0..n).map(|n| Event::new(format!("e{n}")).distinct_id("user_1"))
}

#[track_caller]
fn assert_accounted(summary: &BatchSummary, events: u64) {
    assert_eq!(
        summary.delivered + summary.dropped.total(),
        events,
        "{summary:?}"
    );
}

#[tokio::test]
async fn all_events_have_arrived_in_order_when_it_returns() {
    let server = server();
    let client = client_of(&server).build().unwrap();
    let summary = client.capture_batch(events(250)).await.unwrap();
    assert!(summary.is_complete() && summary.errors.is_empty());
    assert_eq!((summary.delivered, summary.requests), (250, 3));
    let expected: Vec<_> = (0..250).map(|n| format!("e{n}")).collect();
    assert_eq!(names(&server.events()), expected);
    assert_eq!(server.duplicate_keys_seen(), 0);
}

#[tokio::test]
async fn nothing_to_send_is_no_request() {
    let server = server();
    let client = client_of(&server).build().unwrap();
    let summary = client.capture_batch([]).await.unwrap();
    assert!(summary.is_complete());
    assert_eq!(server.request_count(), 0);
}

#[tokio::test]
async fn bad_events_are_left_out_and_counted() {
    let server = server();
    let client = client_of(&server).build().unwrap();
    let bad = [
        Event::new(""),
        Event::alias("", ""),
        Event::new("large").property("text", "x".repeat(1_000_000)),
    ];
    let all = events(5).chain(bad).chain(events(5));
    let summary = client.capture_batch(all).await.unwrap();
    assert_eq!(summary.delivered, 10);
    assert_eq!(summary.dropped.by(DropReason::Invalid), 2);
    assert_eq!(summary.dropped.by(DropReason::TooLarge), 1);
    assert_eq!(server.event_count(), 10);
}

#[tokio::test]
async fn transient_failures_are_tried_again() {
    let server = server();
    for fault in [Answer::status(503), Answer::reset(), Answer::half()] {
        server.answer_next(fault);
    }
    let client = client_of(&server).build().unwrap();
    let summary = client.capture_batch(events(10)).await.unwrap();
    assert!(summary.is_complete() && summary.errors.is_empty());
    assert_eq!((summary.requests, server.request_count()), (1, 4));
}

#[tokio::test]
async fn a_failed_request_costs_only_its_own_events() {
    let server = server();
    server.answer_next(Answer::accept());
    server.answer_next(Answer::status(400));
    server.answer_next_times(6, Answer::status(503));
    server.answer_next(Answer::status(402));
    let client = client_of(&server).build().unwrap();
    let summary = client.capture_batch(events(500)).await.unwrap();
    assert_accounted(&summary, 500);
    assert_eq!(summary.delivered, 200);
    assert_eq!(summary.dropped.by(DropReason::Quota), 100);
    assert_eq!(summary.dropped.by(DropReason::Rejected), 100);
    assert_eq!(summary.dropped.by(DropReason::Exhausted), 100);
    let statuses: Vec<_> = summary.errors.iter().map(PostHogError::status).collect();
    assert_eq!(statuses, [Some(400), Some(503), Some(402)]);
    assert_eq!(server.event_count(), 200);
}

#[tokio::test]
async fn after_413_only_the_offender_is_dropped_and_the_order_kept() {
    let server = server();
    server.answer_with(|request| {
        let too_large = String::from_utf8_lossy(&request.body).contains("offender");
        too_large.then(|| Answer::status(413))
    });
    let client = client_of(&server).build().unwrap();
    let all = events(60).map(|event| match event.name.as_str() {
        "e41" => event.property("offender", true),
        _ => event,
    });
    let summary = client.capture_batch(all).await.unwrap();
    assert_accounted(&summary, 60);
    assert_eq!(summary.dropped.by(DropReason::TooLarge), 1);
    assert_eq!(summary.errors.len(), 1);
    let expected: Vec<_> = (0..60)
        .filter(|n| *n != 41)
        .map(|n| format!("e{n}"))
        .collect();
    assert_eq!(names(&server.events()), expected);
}

#[tokio::test]
async fn many_bytes_travel_in_several_requests() {
    let server = server();
    let client = client_of(&server).build().unwrap();
    let large = events(20).map(|event| event.property("text", "x".repeat(600_000)));
    let summary = client.capture_batch(large).await.unwrap();
    assert!(summary.is_complete(), "{:?}", summary.errors);
    assert!(summary.requests >= 3, "{summary:?}");
    for request in server.requests() {
        assert!(request.body.len() <= (5 << 20) + 200);
    }
}

#[tokio::test]
async fn it_needs_the_project_key() {
    let client = PostHogClient::builder()
        .personal_api_key(PERSONAL_KEY)
        .build()
        .unwrap();
    let error = client.capture_batch(events(1)).await.unwrap_err();
    let config =
        matches!(&error, PostHogError::Config { setting, .. } if *setting == "project_api_key");
    assert!(config, "{error}");
}

#[tokio::test]
async fn it_can_be_cancelled_and_used_again() {
    let server = server();
    let held = Held::by(&server);
    let client = client_of(&server).build().unwrap();
    let cancelled = tokio::time::timeout(ms(30), client.capture_batch(events(1))).await;
    assert!(cancelled.is_err());
    drop(held);
    let summary = client.capture_batch(events(1)).await.unwrap();
    assert!(summary.is_complete());
}
