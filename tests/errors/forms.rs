//! The forms in which people log errors, and what becomes of each.

use crate::seen::{captured, links_of};
use crate::table::{check, form};
use serde_json::json;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use tracing::field::Empty;
use tracing::{Level, debug, error, event, info, info_span, instrument, warn};
use tracing_posthog::Exception;

#[derive(Debug, thiserror::Error)]
enum PayError {
    #[error("declined: {reason}")]
    Declined { reason: &'static str },
    #[error("cannot reach the bank")]
    Bank(#[source] std::io::Error),
    #[error(transparent)]
    Transparent(#[from] std::num::ParseIntError),
    #[error("cannot pay")]
    Boxed(#[source] Box<dyn Error + Send + Sync>),
}

/// The type of what has no type of its own, and of a source that has none.
const OF_CALLSITE: &str = "errors::forms";
const UNKNOWN: &str = "Error";

const DECLINED: PayError = PayError::Declined { reason: "no money" };
const TEXT: &str = "declined: no money";

fn io() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "timed out")
}

fn parse() -> std::num::ParseIntError {
    "x".parse::<i32>().unwrap_err()
}

fn dynamic<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    error
}

#[derive(Debug)]
struct PlainError;

impl fmt::Display for PlainError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain")
    }
}

impl Error for PlainError {}

struct DisplayPanics;

impl fmt::Debug for DisplayPanics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DisplayPanics")
    }
}

impl fmt::Display for DisplayPanics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Display")
    }
}

impl Error for DisplayPanics {}

#[test]
fn errors_as_values() {
    check(vec![
        form("an enum of thiserror", || {
            error!(error = &DECLINED as &dyn Error, order = 7, "payment failed");
        })
        .link("Declined", TEXT)
        .message("payment failed")
        .property("order", 7)
        .without("error"),
        form("with a source", || {
            error!(error = dynamic(&PayError::Bank(io())), "failed")
        })
        .link("Bank", "cannot reach the bank")
        .link("std::io::Error", "timed out"),
        form("transparent", || {
            error!(error = dynamic(&PayError::from(parse())), "failed")
        })
        .link("Transparent", "invalid digit found in string"),
        form("a boxed source", || {
            error!(error = dynamic(&PayError::Boxed("a text".into())), "failed");
        })
        .link("Boxed", "cannot pay")
        .link(UNKNOWN, "a text"),
        form("a struct", || {
            error!(error = dynamic(&PlainError), "failed")
        })
        .link("PlainError", "plain"),
        form("a box", || {
            let error: Box<dyn Error> = Box::new(DECLINED);
            error!(error = &*error, "failed");
        })
        .link("Declined", TEXT),
        form("a box that may be sent", || {
            let error: Box<dyn Error + Send + Sync> = Box::new(DECLINED);
            error!(error = &*error as &dyn Error, "failed");
        })
        .link("Declined", TEXT),
        form("an Arc", || {
            let error = Arc::new(DECLINED);
            error!(error = &error as &dyn Error, "failed");
        })
        .link("Declined", TEXT),
        form("a boxed text", || {
            let error: Box<dyn Error> = "only a text".into();
            error!(error = &*error, "failed");
        })
        .link(OF_CALLSITE, "only a text"),
        form("of the standard library", || {
            error!(error = dynamic(&parse()), "failed")
        })
        .link("std::num::ParseIntError", "invalid digit found in string"),
        form("of input and output", || {
            error!(error = dynamic(&io()), "failed")
        })
        .link("std::io::Error", "timed out"),
        form("of serde_json", || {
            let error = serde_json::from_str::<Vec<u8>>("[").unwrap_err();
            error!(error = dynamic(&error), "failed");
        })
        .link(
            "serde_json::Error",
            "EOF while parsing a list at line 1 column 1",
        ),
        form("any name", || error!(cause = dynamic(&DECLINED), "failed"))
            .link("Declined", TEXT)
            .without("cause"),
        form("no message", || error!(error = dynamic(&DECLINED)))
            .link("Declined", TEXT)
            .without("message"),
        form(
            "a literal message before",
            || error!(err = dynamic(&DECLINED), id = %"x", "order {}", 7),
        )
        .link("Declined", TEXT)
        .message("order 7")
        .property("id", "x"),
        form("two errors", || {
            error!(
                first = dynamic(&DECLINED),
                second = dynamic(&PlainError),
                "failed"
            );
        })
        .link("Declined", TEXT)
        .property("second", "plain")
        .without("first"),
        form("an error before a text", || {
            error!(err = "a text", cause = dynamic(&DECLINED))
        })
        .link("Declined", TEXT)
        .property("err", "a text"),
        form("an Option", || {
            error!(error = Some(dynamic(&DECLINED)), "failed")
        })
        .link("Declined", TEXT),
        form(
            "a target",
            || error!(target: "billing", error = dynamic(&DECLINED)),
        )
        .link("Declined", TEXT),
        form("a name", || error!(name: "pay", error = dynamic(&DECLINED))).link("Declined", TEXT),
        form("event!", || {
            event!(Level::ERROR, error = dynamic(&DECLINED), "failed")
        })
        .link("Declined", TEXT),
        form("an empty text", || {
            error!(error = dynamic(&Exception::new("Empty", "")), "failed")
        })
        .link("Empty", "")
        .message("failed"),
        form("a Display that panics", || {
            error!(error = dynamic(&DisplayPanics), order = 7, "failed")
        })
        .link("DisplayPanics", "")
        .property("order", 7),
        form("a huge text", || {
            let error: Box<dyn Error> = "ü".repeat(2_000_000).into();
            error!(error = &*error, "failed");
        })
        .link(OF_CALLSITE, "ü".repeat(10_000)),
        form("a text that is not UTF-8", || {
            let error: Box<dyn Error> = String::from_utf8_lossy(b"caf\xe9").into();
            error!(error = &*error, "failed");
        })
        .link(OF_CALLSITE, "caf\u{fffd}"),
    ]);
}

#[test]
fn reports() {
    use anyhow::Context as _;
    check(vec![
        form("anyhow", || {
            error!(
                error = anyhow::Error::new(DECLINED).as_ref() as &dyn Error,
                "failed"
            )
        })
        .link("Declined", TEXT),
        form("anyhow with context", || {
            let report = Err::<(), _>(io())
                .context("reading")
                .context("ordering")
                .unwrap_err();
            error!(error = report.as_ref() as &dyn Error, "failed");
        })
        .link(OF_CALLSITE, "ordering")
        .link(UNKNOWN, "reading")
        .link("std::io::Error", "timed out"),
        form("anyhow, all that is known", || {
            let report = anyhow::Error::new(PayError::Bank(io())).context("ordering");
            error!(
                error = &Exception::of(&report) as &dyn Error,
                order = 7,
                "failed"
            );
        })
        .link(OF_CALLSITE, "ordering")
        .link("Bank", "cannot reach the bank")
        .link("std::io::Error", "timed out")
        .property("order", 7),
        form("eyre", || {
            let report = eyre::Report::new(DECLINED).wrap_err("ordering");
            error!(error = report.as_ref() as &dyn Error, "failed");
        })
        .link(OF_CALLSITE, "ordering")
        .link("Declined", TEXT),
        form("error-stack", || {
            let report = error_stack::Report::new(PlainError)
                .attach("table 7")
                .attach_opaque(7_u8)
                .change_context(DECLINED)
                .attach("order 8");
            error!(error = &Exception::of(&report) as &dyn Error, "failed");
        })
        .link("Declined", TEXT)
        .link("PlainError", "plain")
        .property("attachments", json!(["order 8", "table 7"])),
        form("an exception", || {
            let exception = Exception::new("Refusal", "no money")
                .caused_by(&io())
                .fingerprint("refusals")
                .level(Level::WARN)
                .distinct_id("ada")
                .property("code", 402);
            error!(error = &exception as &dyn Error, "failed");
        })
        .link("Refusal", "no money")
        .link("std::io::Error", "timed out")
        .property("code", 402)
        .property("$exception_fingerprint", "refusals")
        .property("$exception_level", "warning")
        .user("ada"),
    ]);
}

#[test]
fn texts_as_values() {
    check(vec![
        form("%e", || error!(e = %DECLINED, "failed"))
            .link(OF_CALLSITE, TEXT)
            .message("failed")
            .without("e"),
        form("%error by its name", || {
            let error = DECLINED;
            error!(%error, "failed");
        })
        .link(OF_CALLSITE, TEXT)
        .without("error"),
        form("?err", || error!(err = ?DECLINED))
            .link(OF_CALLSITE, "Declined { reason: \"no money\" }"),
        form("to_string", || error!(error = io().to_string(), "failed"))
            .link(OF_CALLSITE, "timed out"),
        form("a literal", || error!(error = "timed out", "failed")).link(OF_CALLSITE, "timed out"),
        form("error.message", || {
            error!(error.kind = "io", error.message = "timed out", "failed")
        })
        .link(OF_CALLSITE, "timed out")
        .property("error.kind", "io"),
        form("error.*", || {
            error!(error.code = 5, error.details = "timed out", "failed")
        })
        .link(OF_CALLSITE, "timed out")
        .property("error.code", 5),
        form("the best name wins", || {
            error!(e = "e", err = "err", error = "error", "failed")
        })
        .link(OF_CALLSITE, "error")
        .property("e", "e")
        .property("err", "err"),
        form("numbers are properties", || {
            error!(error = 404, err = true, "failed")
        })
        .link(OF_CALLSITE, "failed")
        .property("error", 404)
        .property("err", true),
        form("a message alone", || error!("order {} failed", 7))
            .link(OF_CALLSITE, "order 7 failed"),
        form("a message as a field", || {
            error!(message = "order failed", order = 7)
        })
        .link(OF_CALLSITE, "order failed")
        .property("order", 7),
        form(
            "a target of its own",
            || error!(target: "billing", error = %"x"),
        )
        .link("billing", "x"),
        form("another text", || error!(reason = "no money", "failed"))
            .link(OF_CALLSITE, "failed")
            .property("reason", "no money"),
        form("an Option that is None", || {
            error!(error = None::<&str>, "failed")
        })
        .link(OF_CALLSITE, "failed"),
    ]);
}

#[instrument(err)]
fn fails() -> Result<(), PayError> {
    Err(DECLINED)
}

#[instrument(err(Debug), ret)]
fn fails_by_debug(order: u8) -> Result<u8, PayError> {
    match order {
        0 => Ok(order),
        _ => Err(DECLINED),
    }
}

#[instrument(err, fields(posthog.distinct_id = "ada"))]
async fn fails_later() -> anyhow::Result<()> {
    tokio::task::yield_now().await;
    anyhow::bail!("later")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

#[test]
fn instrumented_functions() {
    check(vec![
        form("err", || drop(fails()))
            .link(OF_CALLSITE, TEXT)
            .without("error")
            .without("message"),
        form("err(Debug)", || drop(fails_by_debug(1)))
            .link(OF_CALLSITE, "Declined { reason: \"no money\" }"),
        form("async", || drop(block_on(fails_later())))
            .link(OF_CALLSITE, "later")
            .user("ada"),
    ]);
    assert_eq!(captured(|| drop(fails_by_debug(0))).len(), 0);
}

#[test]
fn fields_of_ours() {
    check(vec![
        form(
            "opted in",
            || info!(posthog.exception = true, error = %"x", "failed"),
        )
        .link(OF_CALLSITE, "x"),
        form(
            "opted in by a text",
            || info!(posthog.exception = "true", error = %"x"),
        )
        .link(OF_CALLSITE, "x"),
        form(
            "opted in by a number",
            || info!(posthog.exception = 1, error = %"x"),
        )
        .link(OF_CALLSITE, "x"),
        form(
            "opted in by Display",
            || info!(posthog.exception = %true, error = %"x"),
        )
        .link(OF_CALLSITE, "x"),
        form(
            "what means nothing",
            || error!(posthog.exception = "maybe", error = %"x"),
        )
        .link(OF_CALLSITE, "x"),
        form("more verbose", || {
            debug!(posthog.exception = true, error = dynamic(&DECLINED));
        })
        .link("Declined", TEXT)
        .property("$exception_level", "debug"),
        form("identity", || {
            error!(
                posthog.distinct_id = "ada",
                posthog.group.company = "acme",
                "failed"
            );
        })
        .link(OF_CALLSITE, "failed")
        .property("$groups", json!({"company": "acme"}))
        .user("ada"),
        form("a fingerprint", || {
            error!(posthog.fingerprint = "pay", error = dynamic(&DECLINED))
        })
        .link("Declined", TEXT)
        .property("$exception_fingerprint", "pay")
        .without("posthog.fingerprint"),
        form("a field wins over the exception", || {
            let exception = Exception::of(&DECLINED).fingerprint("of the exception");
            error!(
                error = &exception as &dyn Error,
                posthog.fingerprint = "of the field"
            );
        })
        .link("errors::forms::PayError", TEXT)
        .property("$exception_fingerprint", "of the field"),
        form("a name of an issue", || {
            error!(posthog.issue_name = "Pay", error = dynamic(&DECLINED))
        })
        .link("Declined", TEXT)
        .property("$issue_name", "Pay"),
    ]);
}

#[test]
fn what_is_no_exception() {
    let events = captured(|| {
        error!(posthog.exception = false, "no");
        error!(posthog.exception = "false", "no");
        error!(posthog.exception = 0, "no");
        warn!(error = dynamic(&DECLINED), "less severe");
        warn!(posthog.exception = Empty, "not said");
        let _span = info_span!("pay", error = dynamic(&DECLINED)).entered();
        info!("in a span with an error");
    });
    assert_eq!(events.len(), 0, "{events:?}");
}

#[test]
fn an_event_and_an_exception() {
    let events = captured(|| {
        info!(
            posthog.event = "order failed",
            posthog.exception = true,
            posthog.distinct_id = "ada",
            error = dynamic(&DECLINED),
            order = 7
        );
    });
    let [event, exception] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (&*event.event, &*exception.event),
        ("order failed", "$exception")
    );
    assert_eq!(
        links_of(exception),
        [("Declined".to_owned(), TEXT.to_owned())]
    );
    for event in &events {
        assert_eq!(event.distinct_id, "ada");
        assert_eq!(event.properties["order"], 7);
    }
    assert_eq!(event.properties["error"], TEXT);
    assert!(!exception.properties.contains_key("error"));
}

#[test]
fn fields_alone_are_an_exception_of_their_place() {
    let line = line!() + 1;
    let events = captured(|| error!(order = 7));
    let want = (OF_CALLSITE.to_owned(), format!("{}:{line}", file!()));
    assert_eq!(links_of(&events[0]), [want]);
}
