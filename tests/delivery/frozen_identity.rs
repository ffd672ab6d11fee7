//! Whatever happens on the way, an event stays the same event: only `sent_at` tells attempts apart.

use crate::support::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{CaptureHandle, Event};

/// Events with an id, and without, whose ids are random.
fn capture_some(posthog: &CaptureHandle, events: u64) {
    for n in 0..events {
        let event = Event::new(format!("e{n}")).property("n", n);
        posthog.capture(if n % 2 == 0 {
            event.distinct_id(format!("user_{n}"))
        } else {
            event
        });
    }
}

/// All that requests say about each event, by its name.
fn sightings(requests: &[RecordedRequest]) -> BTreeMap<String, Vec<Value>> {
    let mut seen: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in requests.iter().flat_map(batch) {
        let name = event["event"].as_str().unwrap().to_owned();
        seen.entry(name).or_default().push(event);
    }
    seen
}

/// Each event was seen `times` times at least, and was the same each time; no two share a uuid.
#[track_caller]
fn assert_frozen(server: &PostHogServer, events: usize, times: usize) {
    let requests = server.requests();
    let seen = sightings(&requests);
    assert_eq!(seen.len(), events);
    let mut uuids = HashSet::new();
    for (name, versions) in seen {
        assert!(versions.len() >= times, "{name}: {} times", versions.len());
        for version in &versions {
            // Every byte of it, the properties included.
            assert_eq!(version, &versions[0], "{name}");
        }
        for field in ["uuid", "timestamp", "distinct_id"] {
            assert!(versions[0][field].is_string(), "{name}: {field}");
        }
        assert!(uuids.insert(versions[0]["uuid"].to_string()), "{name}");
    }
}

/// The moments that requests say they were sent at, in order of arrival.
fn sent_at(server: &PostHogServer) -> Vec<String> {
    let sent = |r: &RecordedRequest| r.json().unwrap()["sent_at"].as_str().unwrap().to_owned();
    server.requests().iter().map(sent).collect()
}

#[test]
fn between_attempts_only_sent_at_changes() {
    let faults = [
        Answer::status(503),
        Answer::status(429),
        Answer::reset(),
        Answer::close(),
        Answer::half(),
        Answer::wrong_length(900),
        Answer::status(503).after_accepting(),
    ];
    for fault in faults {
        let server = server();
        server.answer_next_times(3, fault.clone());
        let posthog = capture_to(&server).start().unwrap();
        capture_some(&posthog, 10);
        assert!(posthog.shutdown_blocking(LONG).is_complete(), "{fault:?}");
        assert_frozen(&server, 10, 4);
        let sent = sent_at(&server);
        let fresh: HashSet<_> = sent.iter().collect();
        assert_eq!(fresh.len(), sent.len(), "{sent:?}");
        assert!(sent.is_sorted(), "{sent:?}");
    }
}

#[test]
fn the_timestamp_is_that_of_the_capture_however_late_it_is_sent() {
    let server = server();
    server.answer_next_times(4, Answer::status(503).delay(ms(50)));
    let posthog = capture_to(&server).flush_interval(ms(200)).start().unwrap();
    let before = jiff::Timestamp::now().as_millisecond();
    capture_some(&posthog, 1);
    let after = jiff::Timestamp::now().as_millisecond();
    assert!(posthog.flush_blocking(LONG).is_complete());
    let event = server.find("e0").unwrap();
    let stamp: jiff::Timestamp = event.timestamp.unwrap().parse().unwrap();
    let sent: jiff::Timestamp = event.sent_at.unwrap().parse().unwrap();
    assert!((before..=after).contains(&stamp.as_millisecond()));
    assert!(sent.as_millisecond() - stamp.as_millisecond() >= 200);
}

#[test]
fn a_batch_split_after_413_has_the_same_events() {
    let server = server();
    server.answer_with(|request| (batch(request).len() > 3).then(|| Answer::status(413)));
    let posthog = capture_to(&server).start().unwrap();
    capture_some(&posthog, 20);
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    assert_eq!(server.event_count(), 20);
    assert_frozen(&server, 20, 3);
}

#[test]
fn a_batch_kept_after_all_its_attempts_has_the_same_events_when_it_goes_again() {
    let server = server();
    server.answer_next_times(4, Answer::status(503));
    let client = client_of(&server).retry(quick().attempts(2));
    let posthog = capture_with(client).start().unwrap();
    capture_some(&posthog, 10);
    wait_until("all is delivered", || {
        posthog.flush_blocking(LONG).is_complete()
    });
    assert_eq!(posthog.stats().dropped.total(), 0);
    assert!(posthog.stats().batches_kept >= 1);
    assert_eq!(server.event_count(), 10);
    assert_frozen(&server, 10, 5);
    let sent = sent_at(&server);
    assert_eq!(sent.iter().collect::<HashSet<_>>().len(), sent.len());
}

#[tokio::test]
async fn a_batch_sent_at_once_is_frozen_too() {
    let server = server();
    server.answer_next_times(2, Answer::reset());
    let client = client_of(&server).build().unwrap();
    let events = (0..10).map(|n| Event::new(format!("e{n}")));
    assert!(client.capture_batch(events).await.unwrap().is_complete());
    assert_frozen(&server, 10, 3);
}
