//! Large integers of default properties and from hooks are sent as the setting says.

use crate::support::*;
use serde_json::{Value, json};
use tracing_posthog::{CaptureBuilder, Event, LargeIntegers};

const LARGE: u64 = 9_007_199_254_740_993;

/// The property `name` of the event that arrives.
fn arrived(event: &Event, name: &str, options: impl Fn(CaptureBuilder) -> CaptureBuilder) -> Value {
    let server = server();
    let posthog = options(capture_to(&server)).start().unwrap();
    posthog.capture(event.clone());
    let report = posthog.shutdown_blocking(LONG);
    assert_eq!(report.delivered, 1, "{report}");
    server.events()[0].properties[name].clone()
}

#[test]
fn by_default_they_are_text_everywhere() {
    let event = Event::new("x").property("p", json!({"id": LARGE}));
    let default = |b: CaptureBuilder| b.default_property("p", LARGE);
    let nested = |b: CaptureBuilder| b.default_property("p", json!([LARGE]));
    let hooked = |b: CaptureBuilder| {
        b.before_send(|mut event| {
            assert_eq!(
                event.properties["p"],
                json!({"id": LARGE}),
                "a hook sees numbers"
            );
            event.properties.insert("added".into(), json!([i64::MIN]));
            Some(event)
        })
    };
    let text = LARGE.to_string();
    assert_eq!(arrived(&Event::new("x"), "p", default), json!(text));
    assert_eq!(arrived(&Event::new("x"), "p", nested), json!([text]));
    assert_eq!(arrived(&event, "p", hooked), json!({"id": text}));
    assert_eq!(
        arrived(&event, "added", hooked),
        json!([i64::MIN.to_string()])
    );
}

#[test]
fn they_may_be_numbers_as_far_as_64_bits_go() {
    let numbers = |b: CaptureBuilder| b.large_integers(LargeIntegers::Number);
    let event = Event::new("x").property("p", json!([LARGE, u64::MAX, i64::MIN]));
    assert_eq!(
        arrived(&event, "p", numbers),
        json!([LARGE, u64::MAX, i64::MIN])
    );
    let default = |b| numbers(b).default_property("p", json!({"a": u64::MAX}));
    assert_eq!(
        arrived(&Event::new("x"), "p", default),
        json!({"a": u64::MAX})
    );
    let hooked = |b: CaptureBuilder| numbers(b).before_send(Some);
    assert_eq!(
        arrived(&event.property("p", LARGE), "p", hooked),
        json!(LARGE)
    );
}
