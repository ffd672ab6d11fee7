//! One bad event never costs another.

use crate::support::*;
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};
use tracing_posthog::testing::{Answer, RecordedEvent};
use tracing_posthog::{CaptureHandle, DropReason, Event, PostHogLayer, Stats};
use tracing_subscriber::prelude::*;

fn good() -> Event {
    Event::new("good").distinct_id("user_1")
}

/// Captures something bad between good events, all in one batch, and checks that the good ones arrive.
/// Returns what became of the bad.
#[track_caller]
fn among_good_ones(bad: impl FnOnce(&CaptureHandle)) -> (Vec<RecordedEvent>, Stats) {
    let server = server();
    let posthog = capture_to(&server).flush_interval(LONG).start().unwrap();
    for _ in 0..5 {
        posthog.capture(good());
    }
    bad(&posthog);
    for _ in 0..5 {
        posthog.capture(good());
    }
    posthog.shutdown_blocking(LONG);
    assert_eq!(server.request_count(), 1, "nothing had to be sent again");
    assert_eq!(server.duplicate_keys_seen(), 0);
    let stats = posthog.stats();
    assert_settled(&stats);
    let (good, bad): (Vec<_>, Vec<_>) =
        server.events().into_iter().partition(|e| e.event == "good");
    assert_eq!(good.len(), 10, "{stats:?}");
    (bad, stats)
}

/// The one bad event, as it arrived.
#[track_caller]
fn arrives(bad: Event) -> RecordedEvent {
    let (mut bad, stats) = among_good_ones(|posthog| posthog.capture(bad));
    assert_eq!(stats.dropped.total(), 0);
    assert_eq!(bad.len(), 1);
    bad.remove(0)
}

#[track_caller]
fn is_dropped(bad: Event, reason: DropReason) {
    let (bad, stats) = among_good_ones(|posthog| posthog.capture(bad));
    assert!(bad.is_empty());
    assert_eq!((stats.dropped.by(reason), stats.dropped.total()), (1, 1));
}

/// What arrives of an event that `tracing` macros make.
fn by_layer(emit: impl FnOnce()) -> RecordedEvent {
    let (mut bad, stats) = among_good_ones(|posthog| {
        let layer = PostHogLayer::new(posthog.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, emit);
    });
    assert_eq!(stats.dropped.total(), 0);
    bad.remove(0)
}

#[test]
fn an_event_without_a_name_is_dropped_alone() {
    for name in ["", " ", "\t\n"] {
        is_dropped(Event::new(name), DropReason::Invalid);
    }
}

#[test]
fn an_event_that_is_too_large_is_dropped_alone() {
    let text = "x".repeat(1_000_000);
    is_dropped(
        Event::new("bad").property("text", text.clone()),
        DropReason::TooLarge,
    );
    is_dropped(Event::new(text), DropReason::TooLarge);
    // Small as text, large as JSON.
    let control = "\u{1}".repeat(400_000);
    is_dropped(
        Event::new("bad").property("text", control),
        DropReason::TooLarge,
    );
}

#[test]
fn a_malformed_uuid_is_replaced() {
    for uuid in ["not-a-uuid", "", "0195f0aa-1111"] {
        let event = by_layer(|| tracing::info!(posthog.event = "bad", posthog.uuid = uuid));
        let made: uuid::Uuid = event.uuid.unwrap().parse().unwrap();
        assert_eq!(made.get_version_num(), 7);
    }
}

#[test]
fn a_malformed_timestamp_is_replaced() {
    for timestamp in ["yesterday", "", "2025-13-45T00:00:00Z", "1735787045"] {
        let event =
            by_layer(|| tracing::info!(posthog.event = "bad", posthog.timestamp = timestamp));
        let at: jiff::Timestamp = event.timestamp.unwrap().parse().unwrap();
        assert!(at.as_second() > 1_735_787_045, "{timestamp}");
    }
}

#[test]
fn a_timestamp_outside_of_all_years_is_replaced() {
    let far = [
        UNIX_EPOCH + Duration::from_secs(1 << 40),
        UNIX_EPOCH - Duration::from_secs(1 << 40),
    ];
    for timestamp in far {
        let event = arrives(Event::new("bad").timestamp(timestamp));
        assert_eq!(event.timestamp.unwrap().len(), 24);
    }
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| Value::Array(vec![inner]))
}

/// A deep value is dropped level by level, which needs a larger stack than a test has.
fn with_much_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 20);
    thread.spawn(test).unwrap().join().unwrap();
}

#[test]
fn json_nested_too_deeply_is_left_out_of_its_event() {
    with_much_stack(|| {
        for levels in [65, 130, 10_000] {
            let event = Event::new("bad")
                .property("deep", nested(levels))
                .set("deep", json!({ "a": nested(levels) }))
                .property("n", 1);
            let event = arrives(event);
            assert!(event.properties["deep"].is_string(), "{levels}");
            assert!(event.properties["$set"]["deep"].is_string(), "{levels}");
            assert_eq!(event.properties["n"], 1);
        }
        assert_eq!(
            arrives(Event::new("bad").property("deep", nested(60))).properties["deep"],
            nested(60)
        );
    });
}

#[test]
fn deep_and_malformed_json_from_a_field_is_left_out_of_its_event() {
    let deep = format!("{{\"deep\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for object in [
        deep.as_str(),
        "{\"a\":",
        "[1]",
        "null",
        "",
        "{\"a\":1}{\"b\":2}",
    ] {
        let event = by_layer(|| {
            tracing::info!(posthog.event = "bad", posthog.properties = object, n = 1);
        });
        assert_eq!(event.properties["n"], 1);
        assert!(!event.properties.contains_key("a"), "{object:.20}");
    }
}

#[test]
fn null_characters_are_replaced_wherever_they_stand() {
    let event = Event::new("b\0d")
        .distinct_id("user\0")
        .property("text\0", "a\0b")
        .property("nested", json!({"k\0": ["v\0", "\\u0000"]}))
        .group("company", "ac\0me")
        .set("plan", "p\0");
    let event = arrives(event);
    assert_eq!(event.event, "b\u{fffd}d");
    assert_eq!(event.distinct_id, "user\u{fffd}");
    let text = serde_json::to_string(&event.properties).unwrap();
    assert!(!text.replace("\\\\", "").contains("\\u0000"), "{text}");
    assert_eq!(event.properties["text\u{fffd}"], "a\u{fffd}b");
    let nested = json!({"k\u{fffd}": ["v\u{fffd}", "\\u0000"]});
    assert_eq!(event.properties["nested"], nested);
}

#[test]
fn numbers_that_json_does_not_know_are_null() {
    let event = by_layer(|| {
        tracing::info!(
            posthog.event = "bad",
            nan = f64::NAN,
            up = f64::INFINITY,
            down = f64::NEG_INFINITY,
            wide = u128::MAX,
        );
    });
    for name in ["nan", "up", "down"] {
        assert_eq!(event.properties[name], Value::Null);
    }
    assert_eq!(event.properties["wide"], u128::MAX.to_string());
    let event = arrives(Event::new("bad").property("nan", f64::NAN));
    assert_eq!(event.properties["nan"], Value::Null);
}

#[test]
fn an_empty_id_makes_a_personless_event() {
    for id in ["", "  ", "\n"] {
        let event = arrives(Event::new("bad").distinct_id(id));
        assert_eq!(event.properties["$process_person_profile"], false);
        let event = by_layer(|| tracing::info!(posthog.event = "bad", posthog.distinct_id = id));
        assert_eq!(event.properties["$process_person_profile"], false);
    }
}

#[test]
fn an_id_that_is_too_long_is_cut_to_200_characters() {
    let event = arrives(Event::new("bad").distinct_id("ä".repeat(500)));
    assert_eq!(event.distinct_id, "ä".repeat(200));
}

#[test]
fn ids_that_posthog_makes_no_person_of_are_sent() {
    for id in [
        "anonymous",
        "null",
        "0",
        "[object Object]",
        "NaN",
        "undefined",
    ] {
        assert_eq!(arrives(Event::new("bad").distinct_id(id)).distinct_id, id);
    }
}

#[test]
fn names_of_the_envelope_are_ordinary_properties() {
    let mut event = Event::new("bad").distinct_id("user_1");
    for name in [
        "event",
        "uuid",
        "timestamp",
        "token",
        "api_key",
        "distinct_id",
        "$set",
        "$groups",
    ] {
        event = event.property(name, 7);
    }
    let event = arrives(event.set("a", 1).group("b", "c").uuid(uuid::Uuid::nil()));
    assert_eq!(event.distinct_id, "user_1");
    assert_eq!(event.api_key, PROJECT_KEY);
    assert_eq!(event.properties["uuid"], 7);
    assert_eq!(event.properties["$set"], json!({"a": 1}));
}

// What PostHog refuses.

#[test]
fn after_413_only_the_offender_is_dropped() {
    for offender in [0, 37, 99] {
        let server = server();
        server.answer_with(|request| {
            let too_large = String::from_utf8_lossy(&request.body).contains("offender");
            too_large.then(|| Answer::status(413))
        });
        let posthog = capture_to(&server).flush_interval(LONG).start().unwrap();
        for n in 0..100 {
            let event = good().property("n", n);
            posthog.capture(match n == offender {
                true => event.property("offender", true),
                false => event,
            });
        }
        let report = posthog.flush_blocking(LONG);
        assert_eq!(
            (report.delivered, report.dropped, report.pending),
            (99, 1, 0)
        );
        assert_eq!(server.event_count(), 99, "each once");
        assert_eq!(posthog.stats().dropped.by(DropReason::TooLarge), 1);
        assert_settled(&posthog.stats());
        assert!(server.request_count() <= 16, "{}", server.request_count());
    }
}

#[tokio::test]
async fn a_refused_batch_is_dropped_alone_and_said_once() {
    for status in [400, 401, 403, 404] {
        let (diagnostics, _listening) = Diagnostics::listen();
        let server = server();
        let posthog = capture_to(&server)
            .spawn_on(&tokio::runtime::Handle::current())
            .start()
            .unwrap();
        server.answer_next_times(3, Answer::status(status));
        for _ in 0..3 {
            posthog.capture(good());
            assert_eq!(posthog.flush().await.dropped, 1, "{status}");
        }
        posthog.capture(good());
        assert_eq!(posthog.flush().await.delivered, 1, "{status}");
        let warnings = diagnostics.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:#?}");
        assert!(warnings[0].contains(&status.to_string()), "{warnings:#?}");
        assert_eq!(posthog.stats().dropped.by(DropReason::Rejected), 3);
        assert_eq!(server.request_count(), 4);
    }
}
