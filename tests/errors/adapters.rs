//! What can be captured as an error without saying which kind it is, and what is known of it then.

use serde_json::json;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use tracing_posthog::Exception;

#[derive(Debug, thiserror::Error)]
enum PayError {
    #[error("declined: {0}")]
    Declined(String),
    #[error("cannot reach the bank")]
    Bank(#[from] std::io::Error),
    #[error(transparent)]
    Other(#[from] std::num::ParseIntError),
}

const PAY: &str = "errors::adapters::PayError";

fn declined() -> PayError {
    PayError::Declined("no money".into())
}

fn unreachable_bank() -> PayError {
    std::io::Error::other("timed out").into()
}

#[track_caller]
fn check(exception: &Exception, type_name: &str, value: &str) {
    assert_eq!(
        (exception.type_name(), exception.value()),
        (type_name, value)
    );
}

#[test]
fn errors_whose_type_is_known() {
    check(&Exception::of(&declined()), PAY, "declined: no money");
    check(
        &Exception::of(&Box::new(declined())),
        PAY,
        "declined: no money",
    );
    check(
        &Exception::of(&Arc::new(declined())),
        PAY,
        "declined: no money",
    );
    let parse = "x".parse::<i32>().unwrap_err();
    check(
        &Exception::of(&parse),
        "std::num::ParseIntError",
        "invalid digit found in string",
    );
    let json = serde_json::from_str::<Vec<u8>>("[").unwrap_err();
    check(
        &Exception::of(&json),
        "serde_json::Error",
        "EOF while parsing a list at line 1 column 1",
    );
    let transparent = PayError::from(parse);
    check(
        &Exception::of(&transparent),
        PAY,
        "invalid digit found in string",
    );
}

#[test]
fn errors_whose_type_is_lost() {
    let of = |text| check(&text, "Declined", "declined: no money");
    let a: Box<dyn Error> = Box::new(declined());
    let b: Box<dyn Error + Send> = Box::new(declined());
    let c: Box<dyn Error + Sync> = Box::new(declined());
    let d: Box<dyn Error + Send + Sync> = Box::new(declined());
    of(Exception::of(&a));
    of(Exception::of(&b));
    of(Exception::of(&c));
    of(Exception::of(&d));
    of(Exception::of(&*a));
    of(Exception::of(&*b));
    of(Exception::of(&*c));
    of(Exception::of(&*d));
    let arc: Arc<dyn Error + Send + Sync> = Arc::new(declined());
    of(Exception::of(&*arc));
    let text: Box<dyn Error> = "only a text".into();
    check(&Exception::of(&text), "", "only a text");
    let text: Box<dyn Error + Send + Sync> = "Capital { letter }".into();
    check(&Exception::of(&text), "", "Capital { letter }");
}

/// A report that dereferences to an error, as those of `anyhow` and `eyre` do.
#[test]
fn reports_of_anyhow_and_eyre() {
    use anyhow::Context as _;
    let result = Err::<(), _>(unreachable_bank()).context("payment failed");
    let report = result.unwrap_err();
    check(&Exception::of(&report), "", "payment failed");
    check(
        &Exception::of(&anyhow::Error::new(declined())),
        "Declined",
        "declined: no money",
    );
    check(
        &Exception::of(&anyhow::anyhow!("just {}", "text")),
        "",
        "just text",
    );

    let report = eyre::Report::new(unreachable_bank()).wrap_err("payment failed");
    check(&Exception::of(&report), "", "payment failed");
    check(
        &Exception::of(&eyre::Report::new(declined())),
        "Declined",
        "declined: no money",
    );
    check(
        &Exception::of(&eyre::eyre!("just {}", "text")),
        "",
        "just text",
    );
}

#[derive(Debug, snafu::Snafu)]
enum Stored {
    #[snafu(display("cannot store {name}"))]
    Disk {
        name: String,
        source: std::io::Error,
    },
}

#[test]
fn errors_of_snafu() {
    use snafu::ResultExt as _;
    let result: Result<(), Stored> =
        Err(std::io::Error::other("full")).context(DiskSnafu { name: "menu" });
    check(
        &Exception::of(&result.unwrap_err()),
        "errors::adapters::Stored",
        "cannot store menu",
    );
}

#[test]
fn reports_of_miette() {
    #[derive(Debug, thiserror::Error)]
    #[error("a bad menu")]
    struct BadMenu;
    impl miette::Diagnostic for BadMenu {}
    let report = miette::Report::new(BadMenu);
    let error: &(dyn Error + Send + Sync) = report.as_ref();
    check(&Exception::of(error), "BadMenu", "a bad menu");
}

#[test]
fn a_report_of_ones_own() {
    struct Refusal(u16);
    impl tracing_posthog::IntoException<Refusal> for &Refusal {
        fn into_exception(self) -> Exception {
            Exception::new("Refusal", format_args!("code {}", self.0))
        }
    }
    check(&Exception::of(&Refusal(402)), "Refusal", "code 402");
}

#[test]
fn an_exception_is_taken_as_it_is() {
    let exception = Exception::new("Refusal", "no money")
        .property("code", 402)
        .fingerprint("refusals");
    let same = Exception::of(&exception);
    assert!(same == exception);
    assert!(Exception::of(exception.clone()) == exception);
    let boxed: Box<dyn Error> = Box::new(exception.clone());
    assert!(Exception::of(&boxed) == exception);
}

#[test]
fn debug_shows_types_only() {
    let exception = Exception::new("Refusal", "of ada").property("email", json!("ada@example.com"));
    let text = format!("{exception:?}");
    assert!(text.contains("Refusal") && !text.contains("ada"), "{text}");
}

#[derive(Debug)]
struct Unnamed;

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unnamed")
    }
}

impl Error for Unnamed {}

#[test]
fn generic_errors_keep_a_readable_name() {
    #[derive(Debug)]
    struct Failed<'a, T>(std::marker::PhantomData<&'a T>);
    impl<T> fmt::Display for Failed<'_, T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("failed")
        }
    }
    impl<T: fmt::Debug> Error for Failed<'_, T> {}
    let failed = Failed::<'static, Unnamed>(std::marker::PhantomData);
    let exception = Exception::of(&failed);
    let name = exception.type_name();
    assert!(
        name.starts_with("errors::adapters::generic_errors_keep_a_readable_name::Failed<"),
        "{name}"
    );
    assert!(
        name.ends_with("errors::adapters::Unnamed>") && !name.contains('\''),
        "{name}"
    );
}
