//! What the test kit shows of exceptions.

use crate::grouping::sent;
use serde_json::json;
use tracing::info;
use tracing_posthog::Event;
use tracing_posthog::testing::{CapturedEvents, CapturedException, CapturedFrame};

/// An exception with all that can be read of one.
fn whole() -> CapturedException {
    let frames = json!([
        {"function": "tokio::run", "module": "tokio", "filename": "tokio-1.43.0/src/run.rs", "lineno": 7, "in_app": false},
        {"function": "main", "filename": "src/main.rs", "lineno": 3, "colno": 9, "in_app": true, "synthetic": false},
        {"instruction_addr": "0x55d0", "image_addr": "0x5000", "lang": "rust", "in_app": true},
        {"function": "src/pay.rs:12", "module": "shop::pay", "filename": "src/pay.rs", "lineno": 12, "in_app": true,
            "synthetic": true},
    ]);
    let list = json!([
        {"type": "Declined", "value": "order 17 \u{1b}[2J", "mechanism": {"handled": false},
            "stacktrace": {"type": "raw", "frames": frames}},
        {"type": "Timeout", "value": "too late", "mechanism": {"exception_id": 1, "parent_id": 0}},
    ]);
    let more = json!({
        "$exception_level": "fatal", "$exception_fingerprint": "declined", "$issue_name": "no money", "order": 17,
    });
    sent(list, more)
}

#[test]
fn an_exception_is_read() {
    let exception = whole();
    assert_eq!(exception.types(), ["Declined", "Timeout"]);
    assert_eq!(exception.values(), ["order 17 \u{1b}[2J", "too late"]);
    assert_eq!(exception.level(), "fatal");
    assert!(!exception.is_handled());
    assert_eq!(exception.fingerprint(), Some("declined"));
    assert_eq!(exception.issue_name(), Some("no money"));
    assert_eq!(exception.distinct_id(), "ada");
    assert_eq!(exception.event().property("order"), Some(&json!(17)));

    let [library, main, unresolved, place] = exception.frames() else {
        panic!("{exception:?}")
    };
    assert_eq!(library.module.as_deref(), Some("tokio"));
    assert!(!library.in_app);
    assert_eq!(main.function.as_deref(), Some("main"));
    assert_eq!(main.filename.as_deref(), Some("src/main.rs"));
    assert_eq!((main.line, main.column), (Some(3), Some(9)));
    assert!(main.in_app && !main.synthetic && main.address.is_none());
    assert_eq!(unresolved.function, None);
    assert_eq!(unresolved.address.as_deref(), Some("0x55d0"));
    assert!(place.synthetic);
    let own: Vec<_> = exception.in_app_frames().collect();
    assert_eq!(own, [main, unresolved, place]);
}

#[test]
fn what_is_not_there_is_empty() {
    let exception = sent(json!([{"type": "E", "value": ""}]), json!({}));
    assert_eq!(
        (exception.types(), exception.values()),
        (vec!["E"], vec![""])
    );
    assert_eq!(exception.level(), "");
    assert!(exception.is_handled());
    assert_eq!(exception.fingerprint(), None);
    assert_eq!(exception.issue_name(), None);
    assert_eq!(exception.frames(), []);
}

#[test]
fn the_stack_is_that_of_the_first_error_that_has_one() {
    let stack = json!({"type": "raw", "frames": [{"function": "read", "in_app": true}]});
    let list = json!([
        {"type": "A", "value": "a"},
        {"type": "B", "value": "b", "stacktrace": stack},
    ]);
    let exception = sent(list, json!({}));
    let functions: Vec<_> = exception
        .frames()
        .iter()
        .map(|f| f.function.as_deref())
        .collect();
    assert_eq!(functions, [Some("read")]);
}

#[test]
fn only_exceptions_count() {
    let captured = CapturedEvents::new();
    captured.in_scope(|| info!(posthog.event = "signup"));
    let handle = captured.handle();
    let named = |name: &str| Event::new(name).distinct_id("ada");
    handle.capture(named("$exception"));
    handle.capture(named("$exception").property("$exception_list", json!([])));
    handle.capture(named("else").property("$exception_list", json!([{"type": "A"}])));
    handle.capture(named("$exception").property("$exception_list", json!([{"type": "B"}])));
    let exceptions = captured.exceptions();
    let types: Vec<_> = exceptions
        .iter()
        .flat_map(CapturedException::types)
        .collect();
    assert_eq!(types, ["B"]);
    // Nothing is taken away.
    assert_eq!(
        (captured.exceptions().len(), captured.events().len()),
        (1, 5)
    );
}

#[test]
fn an_exception_reads_well() {
    let exception = whole();
    assert_eq!(
        exception.to_string(),
        "Declined: order 17 \\u{1b}[2J  (ada)
    caused by Timeout: too late
    at src/pay.rs:12
    at 0x55d0
    at main (src/main.rs:3)"
    );
    let debug = format!("{exception:?}");
    assert_eq!(
        debug,
        "CapturedException { errors: [\"Declined: order 17 \\\\u{1b}[2J\", \"Timeout: too late\"], level: \"fatal\", \
         handled: false, distinct_id: \"ada\", fingerprint: \"declined\", issue_name: \"no money\", frames: \
         [\"tokio::run (tokio-1.43.0/src/run.rs:7), not in app\", \"main (src/main.rs:3)\", \"0x55d0\", \
         \"src/pay.rs:12, synthetic\"], .. }"
    );
    assert_eq!(CapturedFrame::default().to_string(), "unknown");
}
