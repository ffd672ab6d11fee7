//! What `before_send` sees of an exception, and what texts are scrubbed of.

use std::error::Error;
use std::sync::{Arc, Mutex};
use tracing::error;
use tracing_posthog::testing::{CapturedEvents, CapturedException};
use tracing_posthog::{CaptureBuilder, DropReason, Errors};

fn captured(
    errors: Errors,
    settings: impl FnOnce(CaptureBuilder) -> CaptureBuilder + 'static,
) -> CapturedEvents {
    let builder = CapturedEvents::builder().capture(settings);
    let builder = builder.layer(move |layer| layer.errors(errors.clone()));
    builder.build().unwrap()
}

fn log_one() {
    let failed = std::io::Error::other("postgres://shop:hunter2@db/shop refused");
    error!(error = &failed as &dyn Error, "token=abc123 is no good");
}

fn only(captured: &CapturedEvents) -> CapturedException {
    let exceptions = captured.exceptions();
    assert_eq!(exceptions.len(), 1, "{captured:?}");
    exceptions.into_iter().next().unwrap()
}

#[test]
fn a_hook_sees_the_whole_exception_and_may_change_it() {
    let seen = Arc::new(Mutex::new(None));
    let hook = Arc::clone(&seen);
    let captured = captured(Errors::new(), move |capture| {
        capture.before_send(move |mut event| {
            *hook.lock().unwrap() = Some(event.properties.clone());
            event.properties.remove("message");
            event.properties["$exception_list"][0]["value"] = "hidden".into();
            Some(event)
        })
    });
    captured.in_scope(log_one);
    let exception = only(&captured);
    assert_eq!(exception.values(), ["hidden"]);
    assert!(!exception.event().properties.contains_key("message"));
    let seen = seen.lock().unwrap().take().unwrap();
    let frames = seen["$exception_list"][0]["stacktrace"]["frames"].as_array();
    assert!(frames.is_some_and(|frames| !frames.is_empty()), "{seen:?}");
}

#[test]
fn a_hook_may_drop_an_exception() {
    let captured = captured(Errors::new(), |capture| {
        capture.before_send(|event| (event.name != "$exception").then_some(event))
    });
    captured.in_scope(log_one);
    assert!(captured.exceptions().is_empty());
    let stats = captured.handle().stats();
    assert_eq!(stats.dropped.by(DropReason::BeforeSend), 1);
}

#[test]
fn texts_are_sent_without_credentials_unless_asked_for() {
    let with = captured(Errors::new(), |capture| capture);
    with.in_scope(log_one);
    let exception = only(&with);
    assert_eq!(
        exception.values(),
        ["postgres://[redacted]@db/shop refused"]
    );
    let clean = "token=[redacted] is no good";
    assert_eq!(exception.event().properties["message"], clean);
    assert_eq!(exception.issue_name(), Some(clean));

    let without = captured(Errors::new().scrub(false), |capture| capture);
    without.in_scope(log_one);
    let exception = only(&without);
    assert_eq!(exception.issue_name(), Some("token=abc123 is no good"));
}
