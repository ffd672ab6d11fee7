//! `capture_error`: what an error that is captured by hand says, and whose it is.

use serde_json::json;
use std::error::Error;
use std::fmt;
use std::num::ParseIntError;
use std::time::Duration;
use tracing::{error, info, info_span};
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};
use tracing_posthog::{
    CaptureHandle, DropReason, Errors, Exception, IntoException, PostHogSpanExt, SpanFields, Stacks,
};

fn malformed() -> ParseIntError {
    "seven".parse::<i32>().unwrap_err()
}

fn only(captured: &CapturedEvents) -> RecordedEvent {
    let mut events = captured.events();
    assert_eq!(events.len(), 1, "{events:?}");
    events.remove(0)
}

#[test]
fn an_error_is_captured_as_an_exception_without_settings_and_without_a_subscriber() {
    let captured = CapturedEvents::new();
    captured.handle().capture_error(&malformed());
    let event = only(&captured);
    assert_eq!(event.event, "$exception");
    let first = &event.property("$exception_list").unwrap()[0];
    assert_eq!(first["value"], "invalid digit found in string");
    assert!(
        first["type"].as_str().unwrap().ends_with("ParseIntError"),
        "{first}"
    );
    assert_eq!(
        event.property("$process_person_profile"),
        Some(&json!(false))
    );
}

#[test]
fn it_belongs_to_whom_the_spans_around_name_as_an_event_does() {
    let captured = CapturedEvents::builder()
        .layer(|layer| {
            layer
                .span_fields(SpanFields::named(["plan"]))
                .distinct_id("of the layer")
        })
        .build()
        .unwrap();
    let posthog = captured.handle();
    captured.in_scope(|| {
        let _outer = info_span!("request", posthog.distinct_id = "ada", plan = "free").entered();
        let inner = info_span!("pay", posthog.group.company = "acme", secret = "s").entered();
        inner.set_property("step", 2).set_session_id("session-1");
        posthog.capture_error(&malformed());
        info!(posthog.event = "beside");
        drop(inner);
    });
    let (exception, event) = (
        captured.find("$exception").unwrap(),
        captured.find("beside").unwrap(),
    );
    assert_eq!(exception.distinct_id, "ada");
    for name in ["$groups", "plan", "step", "$session_id", "secret"] {
        assert_eq!(exception.property(name), event.property(name), "{name}");
    }
    assert_eq!(exception.property("plan"), Some(&json!("free")));
    assert_eq!(
        exception.property("$groups"),
        Some(&json!({"company": "acme"}))
    );

    captured.take();
    captured.in_scope(|| posthog.capture_error(&malformed()));
    assert_eq!(only(&captured).distinct_id, "of the layer");
}

#[test]
fn its_stack_ends_where_it_was_captured() {
    let captured = CapturedEvents::new();
    captured.handle().capture_error(&malformed());
    let event = only(&captured);
    let first = &event.property("$exception_list").unwrap()[0];
    let frames = first["stacktrace"]["frames"].as_array().unwrap();
    let innermost = frames.last().unwrap();
    let function = innermost["function"].as_str().unwrap();
    assert!(
        function.ends_with("its_stack_ends_where_it_was_captured"),
        "{innermost}"
    );
    assert_eq!(innermost["in_app"], true, "{innermost}");
}

#[test]
fn it_has_the_steps_before_it() {
    let captured = CapturedEvents::builder()
        .layer(|layer| layer.errors(Errors::new().steps(5)))
        .build()
        .unwrap();
    captured.in_scope(|| {
        let _outer = info_span!("request").entered();
        let _inner = info_span!("pay").entered();
        info!("reached the bank");
        captured.handle().capture_error(&malformed());
    });
    let event = only(&captured);
    let steps = event.property("$exception_steps").unwrap();
    assert_eq!(steps[0]["$message"], "reached the bank", "{steps}");
    assert_eq!(event.property("spans"), Some(&json!(["request", "pay"])));
}

#[test]
fn what_the_exception_says_itself_wins_over_the_spans() {
    let captured = CapturedEvents::new();
    let posthog = captured.handle();
    captured.in_scope(|| {
        let span = info_span!("s", posthog.distinct_id = "ada").entered();
        span.set_property("file", "of the span")
            .set_property("kept", 1);
        posthog.capture_error(
            Exception::of(&malformed())
                .distinct_id("bob")
                .property("file", "menu.json")
                .property("nested", json!({"a": [1, null]})),
        );
    });
    let event = only(&captured);
    assert_eq!(event.distinct_id, "bob");
    assert_eq!(event.property("file"), Some(&json!("menu.json")));
    assert_eq!(event.property("kept"), Some(&json!(1)));
    assert_eq!(event.property("nested"), Some(&json!({"a": [1, null]})));
}

#[test]
fn each_layer_of_a_subscriber_gives_its_own_handle_its_context() {
    let (one, two) = (CapturedEvents::new(), CapturedEvents::new());
    let stranger = CapturedEvents::new();
    use tracing_subscriber::prelude::*;
    let subscriber = tracing_subscriber::registry()
        .with(one.layer())
        .with(two.layer());
    tracing::subscriber::with_default(subscriber, || {
        let _span = info_span!("s", posthog.distinct_id = "ada").entered();
        for captured in [&one, &two, &stranger] {
            captured.handle().capture_error(&malformed());
        }
    });
    assert_eq!(only(&one).distinct_id, "ada");
    assert_eq!(only(&two).distinct_id, "ada");
    assert_ne!(only(&stranger).distinct_id, "ada");
}

#[test]
fn a_callsite_has_a_rate_limit_for_each_type_and_the_rest_is_counted() {
    let captured = CapturedEvents::builder()
        .layer(|layer| layer.errors(Errors::new().rate_limit(3, Duration::from_secs(3600))))
        .build()
        .unwrap();
    // The settings are those of the layer.
    let _layer = captured.layer();
    let posthog = captured.handle();
    let capture = |error: Exception| posthog.capture_error(error);
    for _ in 0..10 {
        capture(Exception::new("A", "a"));
        capture(Exception::new("B", "b"));
    }
    posthog.capture_error(Exception::new("A", "elsewhere"));
    assert_eq!(captured.events().len(), 7);
    let stats = posthog.stats();
    assert_eq!(stats.dropped.by(DropReason::RateLimited), 14, "{stats:?}");
    assert_eq!(stats.captured, 21, "{stats:?}");
}

/// An error whose text panics.
struct Hostile;

impl fmt::Debug for Hostile {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("of a Debug")
    }
}

impl fmt::Display for Hostile {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("of a Display")
    }
}

impl Error for Hostile {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        panic!("of a source")
    }
}

struct NeverOne;

impl IntoException<NeverOne> for NeverOne {
    fn into_exception(self) -> Exception {
        panic!("of a conversion")
    }
}

#[test]
fn code_of_the_error_that_panics_costs_a_text_at_most() {
    let captured = CapturedEvents::new();
    let posthog = captured.handle();
    posthog.capture_error(&Hostile);
    let event = only(&captured);
    let first = &event.property("$exception_list").unwrap()[0];
    assert!(
        first["type"].as_str().unwrap().ends_with("Hostile"),
        "{first}"
    );
    posthog.capture_error(NeverOne);
    let stats = posthog.stats();
    assert_eq!(stats.dropped.by(DropReason::Invalid), 1, "{stats:?}");
}

#[test]
fn a_disabled_handle_captures_nothing() {
    let posthog = CaptureHandle::disabled();
    posthog.install_panic_hook();
    posthog.capture_error(&malformed());
    assert_eq!(posthog.stats().captured, 0);

    let captured = CapturedEvents::new();
    captured.handle().opt_out();
    captured.handle().capture_error(&malformed());
    assert_eq!(captured.events().len(), 0);
}

#[test]
fn an_error_within_a_callback_of_the_layer_is_captured() {
    struct Captures(CaptureHandle);
    impl fmt::Debug for Captures {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.capture_error(&malformed());
            f.write_str("captured")
        }
    }
    let captured = CapturedEvents::builder()
        .layer(|layer| layer.errors(Errors::new().stacks(Stacks::None)))
        .build()
        .unwrap();
    let posthog = captured.handle();
    captured.in_scope(|| error!(value = ?Captures(posthog.clone()), "within"));
    let events = captured.events();
    assert_eq!(events.len(), 2, "{events:?}");
}

/// Its text captures it again.
#[derive(Debug)]
struct CapturesItself(tracing_posthog::CaptureHandle);

impl std::fmt::Display for CapturesItself {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.capture_error(&Self(self.0.clone()));
        f.write_str("again")
    }
}

impl std::error::Error for CapturesItself {}

#[test]
fn an_error_whose_text_captures_it_ends_and_is_counted() {
    let captured = CapturedEvents::new();
    let handle = captured.handle();
    // Within fewer levels than there are tokens, and than a thread's stack has room for.
    handle.capture_error(&CapturesItself(handle.clone()));
    let exceptions = captured.exceptions().len() as u64;
    assert!((1..20).contains(&exceptions), "{exceptions}");
    let stats = handle.stats();
    assert_eq!(stats.captured, exceptions + stats.dropped.total());
}

#[test]
fn of_one_that_is_held_back_nothing_is_formatted() {
    #[derive(Debug)]
    struct Counts(std::sync::Arc<std::sync::atomic::AtomicUsize>);
    impl std::fmt::Display for Counts {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            f.write_str("counted")
        }
    }
    impl std::error::Error for Counts {}

    let captured = CapturedEvents::new();
    let handle = captured.handle();
    let error = Counts(std::sync::Arc::default());
    for _ in 0..200 {
        handle.capture_error(&error);
    }
    let formatted = error.0.load(std::sync::atomic::Ordering::SeqCst) as u64;
    assert_eq!(
        formatted,
        handle.stats().captured - handle.stats().dropped.total()
    );
}
