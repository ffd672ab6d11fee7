//! PostHog's rules of grouping, as the test kit has them, on exceptions as they are sent.

use serde_json::{Value, json};
use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;
use tracing::error;
use tracing_posthog::testing::{CapturedEvents, CapturedException, Grouping, GroupingInput};
use tracing_posthog::{Errors, Event, Stacks};

/// An exception with that list, and what else it says.
pub(crate) fn sent(list: Value, more: Value) -> CapturedException {
    let captured = CapturedEvents::new();
    let event = Event::new("$exception")
        .distinct_id("ada")
        .property("$exception_list", list)
        .properties(&more)
        .unwrap();
    captured.handle().capture(event);
    captured.exceptions().remove(0)
}

fn of(list: Value) -> Grouping {
    sent(list, json!({})).grouping()
}

/// An error with a stack.
fn with_stack(type_name: &str, value: &str, frames: Value) -> Value {
    json!({"type": type_name, "value": value, "stacktrace": {"type": "raw", "frames": frames}})
}

fn source(type_name: &str, value: &str) -> Value {
    json!({"type": type_name, "value": value})
}

/// A frame of the program's own code, found before it is sent.
fn own(function: &str, line: u32) -> Value {
    json!({
        "platform": "native", "lang": "rust", "function": function, "filename": "src/pay.rs", "lineno": line,
        "in_app": true,
    })
}

fn library(function: &str) -> Value {
    json!({
        "platform": "native", "lang": "rust", "function": function, "filename": "tokio-1.43.0/src/task.rs", "lineno": 7,
        "module": "tokio::task", "in_app": false,
    })
}

/// A frame that PostHog is to find, in a program that is loaded anywhere.
fn unresolved(offset: u64, image: u64, in_app: bool) -> Value {
    json!({
        "platform": "native", "lang": "rust", "in_app": in_app,
        "instruction_addr": format!("{:#x}", image + offset), "image_addr": format!("{image:#x}"),
    })
}

fn inputs(grouping: &Grouping) -> Vec<String> {
    grouping.inputs().iter().map(ToString::to_string).collect()
}

#[test]
fn type_file_module_and_function_enter_in_order() {
    let mut frame = own("pay", 12);
    frame["module"] = "shop::pay".into();
    let grouping = of(json!([with_stack(
        "Declined",
        "no money",
        json!([own("main", 3), frame])
    )]));
    let expected = [
        "type Declined",
        "file src/pay.rs",
        "function main",
        "file src/pay.rs",
        "module shop::pay",
        "function pay",
    ];
    assert_eq!(inputs(&grouping), expected);
    assert_eq!(grouping.to_string(), expected.join(", "));
    assert_eq!(grouping.inputs()[0], GroupingInput::Type("Declined".into()));
}

/// Two exceptions, and whether they are one issue.
#[test]
fn what_is_one_issue() {
    let stack = || json!([own("main", 3), own("pay", 12)]);
    let one = |value: &str| json!([with_stack("Declined", value, stack())]);
    let with = |frames: Value| json!([with_stack("Declined", "x", frames)]);
    let chain = |value: &str| json!([with_stack("Failed", "x", stack()), source("Io", value)]);
    let cases = [
        ("the text differs", one("order 17"), one("order 18"), true),
        (
            "the text differs, and there is no stack",
            json!([source("Declined", "order 17")]),
            json!([source("Declined", "order 18")]),
            false,
        ),
        (
            "the text differs, and the stack has no frames",
            with(json!([])),
            json!([with_stack("Declined", "y", json!([]))]),
            false,
        ),
        (
            "the type differs",
            one("x"),
            json!([with_stack("Expired", "x", stack())]),
            false,
        ),
        (
            "the function differs",
            one("x"),
            with(json!([own("main", 3), own("refund", 12)])),
            false,
        ),
        (
            "the caller differs",
            one("x"),
            with(json!([own("retry", 3), own("pay", 12)])),
            false,
        ),
        (
            "only lines differ",
            one("x"),
            with(json!([own("main", 300), own("pay", 1200)])),
            true,
        ),
        (
            "library frames differ",
            with(json!([own("main", 3), library("poll"), own("pay", 12)])),
            with(json!([
                library("run"),
                own("main", 3),
                own("pay", 12),
                library("send")
            ])),
            true,
        ),
        ("a source has another text", chain("a"), chain("b"), false),
        (
            "a source has another type",
            chain("a"),
            json!([with_stack("Failed", "x", stack()), source("Parse", "a")]),
            false,
        ),
        (
            "a source is missing",
            chain("a"),
            json!([with_stack("Failed", "x", stack())]),
            false,
        ),
        (
            "without own frames, the outermost counts",
            with(json!([library("run"), library("poll")])),
            with(json!([library("run"), library("send")])),
            true,
        ),
        (
            "without own frames, the outermost differs",
            with(json!([library("run"), library("poll")])),
            with(json!([library("block_on"), library("poll")])),
            false,
        ),
        (
            "unresolved frames do not count beside resolved ones",
            with(json!([unresolved(1, 0x1000, true), own("pay", 12)])),
            with(json!([unresolved(2, 0x9000, true), own("pay", 12)])),
            true,
        ),
        (
            "own frames that are not found do not count beside library frames that are",
            with(json!([library("run"), unresolved(1, 0x1000, true)])),
            with(json!([
                library("run"),
                unresolved(1, 0x1000, true),
                unresolved(2, 0x1000, true)
            ])),
            true,
        ),
    ];
    for (name, a, b, is_one) in cases {
        let (a, b) = (of(a), of(b));
        assert_eq!(a == b, is_one, "{name}:\n  {a}\n  {b}");
    }
}

#[test]
fn a_fingerprint_of_the_program_wins() {
    let list = |function: &str| json!([with_stack("Declined", "x", json!([own(function, 1)]))]);
    let grouping =
        |list, print: &str| sent(list, json!({"$exception_fingerprint": print})).grouping();
    let (a, b) = (
        grouping(list("pay"), "declined"),
        grouping(json!([source("Other", "y")]), "declined"),
    );
    assert_eq!(a, b);
    assert_eq!(inputs(&a), ["fingerprint declined"]);
    assert_ne!(a, grouping(list("pay"), "other"));
    assert_ne!(a, of(list("pay")));
}

#[test]
fn unresolved_frames_count_by_what_is_known_of_them() {
    let with = |frame: Value| inputs(&of(json!([with_stack("E", "x", json!([frame]))])));
    assert_eq!(
        with(unresolved(1, 0x1000, true)),
        ["type E", "function ", "language rust"]
    );
    // A name from the program's symbols: no line is needed.
    let mut named = unresolved(1, 0x1000, true);
    named["function"] = "pay".into();
    named["lineno"] = 12.into();
    assert_eq!(with(named.clone()), ["type E", "function pay"]);
    // PostHog shows the module with the address of the image, which is another in each process.
    named["module"] = "shop".into();
    assert_eq!(
        with(named),
        ["type E", "file shop +0x1000", "module shop", "function pay"]
    );
    let nameless = json!({"filename": "src/pay.c", "lineno": 12, "colno": 3, "in_app": true});
    assert_eq!(
        with(nameless),
        [
            "type E",
            "file src/pay.c",
            "function ",
            "line 12",
            "column 3",
            "language c"
        ]
    );
}

#[test]
fn inlined_frames_are_not_looked_up() {
    let mut inlined = unresolved(1, 0x1000, true);
    inlined["function"] = "pay".into();
    inlined["filename"] = "src/pay.rs".into();
    inlined["inline"] = true.into();
    let grouping = of(json!([with_stack(
        "E",
        "x",
        json!([unresolved(1, 0x1000, true), inlined])
    )]));
    assert_eq!(
        inputs(&grouping),
        ["type E", "file src/pay.rs", "function pay"]
    );
}

#[derive(Debug, thiserror::Error)]
#[error("payment of order {order} failed")]
struct PaymentError {
    order: u32,
    source: BankError,
}

#[derive(Debug, thiserror::Error)]
#[error("the bank did not answer for {0} ms")]
struct BankError(u32);

fn payment_error(order: u32) -> PaymentError {
    PaymentError {
        order,
        source: BankError(order * 10),
    }
}

fn groupings(errors: Errors, run: impl FnOnce(&CapturedEvents)) -> Vec<Grouping> {
    let captured = CapturedEvents::builder()
        .layer(move |layer| layer.errors(errors.clone()))
        .build()
        .unwrap();
    captured.in_scope(|| run(&captured));
    let exceptions = captured.exceptions();
    exceptions.iter().map(CapturedException::grouping).collect()
}

#[track_caller]
fn assert_issues(errors: Errors, expected: usize, run: impl FnOnce(&CapturedEvents)) {
    let all = groupings(errors.duplicate_window(Duration::ZERO), run);
    let issues: HashSet<_> = all.iter().collect();
    assert_eq!((all.len(), issues.len()), (4, expected), "{all:#?}");
}

/// With and without a stack: by the place in the source, whatever the texts are.
#[test]
fn errors_of_one_place_are_one_issue() {
    for stacks in [Stacks::All, Stacks::None] {
        let errors = || Errors::new().stacks(stacks);
        assert_issues(errors(), 1, |_| {
            for order in 0..4 {
                error!("payment {order} failed");
            }
        });
        assert_issues(errors(), 1, |_| {
            for order in 0..4 {
                error!(error = %payment_error(order), "failed");
            }
        });
        assert_issues(errors(), 2, |_| {
            for order in 0..2 {
                error!("payment {order} failed");
                error!("refund {order} failed");
            }
        });
        // Two places of one type, without a stack: each by its own.
        assert_issues(Errors::new().stacks(stacks), 2, |_| {
            for order in 0..2 {
                error!(error = %payment_error(order), "in checkout");
                error!(error = %payment_error(order), "in refund");
            }
        });
    }
}

/// The texts of sources vary as that of the error does.
#[test]
fn errors_with_sources_are_one_issue_whatever_their_texts_are() {
    for stacks in [Stacks::All, Stacks::None] {
        let errors = || Errors::new().stacks(stacks);
        assert_issues(errors(), 1, |_| {
            for order in 0..4 {
                error!(error = &payment_error(order) as &dyn Error, "failed");
            }
        });
        assert_issues(errors(), 1, |captured| {
            for order in 0..4 {
                captured.handle().capture_error(&payment_error(order));
            }
        });
    }
}
