//! Times that events are given: what PostHog takes is written as it is, and what it does not take is said.

use crate::layers::{captured, diagnostics, one};
use std::time::{Duration, UNIX_EPOCH};
use tracing::info;
use tracing_posthog::Event;
use tracing_posthog::testing::CapturedEvents;

const LAST: &str = "9999-12-31T23:59:59.999Z";
const LAST_MILLIS: u64 = 253_402_300_799_999;

#[test]
fn the_last_millisecond_that_posthog_reads_is_written() {
    let event = one(|| info!(posthog.event = "x", posthog.timestamp = LAST));
    assert_eq!(event.timestamp.as_deref(), Some(LAST));
    let event = one(|| info!(posthog.event = "x", posthog.timestamp = LAST_MILLIS));
    assert_eq!(event.timestamp.as_deref(), Some(LAST));
    let with_offset = "9999-12-31T20:59:59.999-03:00";
    let event = one(|| info!(posthog.event = "x", posthog.timestamp = with_offset));
    assert_eq!(event.timestamp.as_deref(), Some(LAST));
    let captured = CapturedEvents::new();
    let at = UNIX_EPOCH + Duration::from_millis(LAST_MILLIS);
    captured.handle().capture(Event::new("x").timestamp(at));
    assert_eq!(captured.events()[0].timestamp.as_deref(), Some(LAST));
}

#[test]
fn so_is_the_first() {
    let first = "0000-01-01T00:00:00.000Z";
    let event = one(|| info!(posthog.event = "x", posthog.timestamp = first));
    assert_eq!(event.timestamp.as_deref(), Some(first));
}

#[test]
fn a_time_outside_of_what_posthog_reads_is_said_to_be_that() {
    let after = LAST_MILLIS as i64 + 1;
    let emit = || {
        info!(posthog.event = "x", posthog.timestamp = after);
        info!(posthog.event = "x", posthog.timestamp = u64::MAX);
        info!(posthog.event = "x", posthog.timestamp = i64::MIN);
        info!(
            posthog.event = "x",
            posthog.timestamp = "9999-12-31T23:59:59.999-00:01"
        );
        info!(
            posthog.event = "x",
            posthog.timestamp = "0000-01-01T00:00:00+00:01"
        );
        info!(
            posthog.event = "x",
            posthog.timestamp = "-000001-01-01T00:00:00Z"
        );
    };
    for event in captured(emit) {
        let at = event.timestamp.unwrap();
        assert!(at.parse::<jiff::Timestamp>().is_ok(), "{at}");
        assert!(at.starts_with("20"), "{at}");
    }
    let lines = diagnostics(|_| emit());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("years 0 to 9999"), "{lines:?}");
    assert!(!lines[0].contains("RFC 3339"), "{lines:?}");
}

#[test]
fn what_is_no_time_is_said_to_be_that() {
    let lines = diagnostics(|_| {
        for text in [
            "yesterday",
            "9999-12-31",
            "9999-12-31T23:59:59.999",
            "9999-12-32T00:00:00Z",
        ] {
            info!(posthog.event = "x", posthog.timestamp = text);
        }
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("RFC 3339"), "{lines:?}");
}

#[test]
fn a_time_in_the_future_is_said_once_as_posthog_puts_its_own_in_its_place() {
    let lines = diagnostics(|_| {
        for _ in 0..3 {
            info!(posthog.event = "x", posthog.timestamp = LAST);
        }
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("23 hours"), "{lines:?}");
}

#[test]
fn a_text_of_an_early_time_is_not_taken_for_seconds() {
    // An event with an object of properties is decoded, and its time with it.
    let lines = diagnostics(|_| {
        info!(
            posthog.event = "x",
            posthog.properties = r#"{"a": 1}"#,
            posthog.timestamp = "1971-01-01T00:00:00Z"
        );
    });
    assert_eq!(lines, [""; 0]);
}
