//! Errors and panics of a small shop, grouped as PostHog's error tracking groups them. Needs no account and no network.
//!
//!     cargo run --example errors
//!
//! Your `Cargo.toml` needs `tracing-posthog = { version = "0.1", features = ["errors"] }`, and `main` starts with
//! `PostHog::builder().errors(Errors::new().panics(true)).start_from_env()?`. The rest is your code, as it is.

#![allow(clippy::print_stdout, clippy::panic)]

use std::error::Error;
use std::time::Duration;
use tracing::{error, info_span, instrument};
use tracing_posthog::testing::{CapturedException, PostHogServer, RecordedEvent};
use tracing_posthog::{CaptureHandle, Errors, PostHog};
use tracing_subscriber::prelude::*;

// The shop. It knows `tracing`; only one function knows PostHog.

#[derive(Debug, thiserror::Error)]
#[error("payment of order {order} failed")]
struct PaymentError {
    order: u32,
    source: BankError,
}

#[derive(Debug, thiserror::Error)]
enum BankError {
    #[error("the bank declined the card")]
    Declined,
}

/// 1. An error value with its sources, in an `error!`.
fn checkout(user: &str, order: u32) {
    let _span = info_span!("checkout", posthog.distinct_id = user).entered();
    if let Err(error) = pay(order) {
        error!(error = &error as &dyn Error, order, "checkout failed");
    }
}

fn pay(order: u32) -> Result<(), PaymentError> {
    let source = BankError::Declined;
    Err(PaymentError { order, source })
}

/// 2. An `Err` that a function returns.
#[instrument(err, fields(posthog.distinct_id = user))]
fn receipt(user: &str) -> Result<String, std::io::Error> {
    std::fs::read_to_string("no/such/directory/receipt.txt")
}

/// 3. An error that is captured by hand. `anyhow::Error`, `Box<dyn Error>` and others work as well.
fn import(posthog: &CaptureHandle, quantity: &str) {
    if let Err(error) = quantity.parse::<u32>() {
        posthog.capture_error(&error);
    }
}

/// 4. A panic, here in a thread.
fn ship(user: &'static str) {
    let shipping = std::thread::spawn(move || {
        let _span = info_span!("ship", posthog.distinct_id = user).entered();
        let parcels: [&str; 0] = [];
        panic!("{} parcels", parcels.len());
    });
    let _ = shipping.join();
}

fn main() -> Result<(), Box<dyn Error>> {
    // PostHog stands on a port of this machine. In a program: `.start_from_env()?` instead of the two lines below.
    let local = PostHogServer::start()?;
    // The hook that Rust has prints every panic. It still runs beside ours; here it would only be in the way.
    std::panic::set_hook(Box::new(|_| {}));

    let (layer, posthog) = PostHog::builder()
        .project_api_key("phc_example")
        .host(local.url())
        .errors(Errors::new().panics(true))
        .start()?;
    tracing_subscriber::registry().with(layer).init();

    for (user, order) in [("ada", 17), ("grace", 18), ("ada", 19)] {
        checkout(user, order);
    }
    let _ = receipt("grace");
    import(posthog.handle(), "seven");
    ship("linus");

    let report = posthog.flush_blocking(Duration::from_secs(10));
    if !report.is_complete() {
        return Err(format!("not everything was delivered: {report}").into());
    }
    show(&local.events());
    Ok(())
}

// What PostHog makes of it.

fn show(events: &[RecordedEvent]) {
    let exceptions: Vec<_> = events.iter().filter_map(RecordedEvent::exception).collect();
    let mut issues: Vec<Vec<&CapturedException>> = Vec::new();
    for exception in &exceptions {
        let grouping = exception.grouping();
        match issues.iter_mut().find(|it| it[0].grouping() == grouping) {
            Some(issue) => issue.push(exception),
            None => issues.push(vec![exception]),
        }
    }
    println!("{} exceptions, {} issues\n", exceptions.len(), issues.len());
    for issue in issues {
        show_issue(&issue);
    }
}

fn show_issue(exceptions: &[&CapturedException]) {
    let first = exceptions[0];
    let (types, values) = (first.types(), first.values());
    println!("{}", first.issue_name().unwrap_or(types[0]));
    for (n, (type_name, value)) in types.iter().zip(values).enumerate() {
        let label = if n == 0 { "error" } else { "because of" };
        println!("    {label:<12}{type_name}: {value}");
    }
    if let Some(frame) = first.in_app_frames().next_back() {
        println!("    {:<12}{frame}", "place");
    }
    let handled = if first.is_handled() {
        ""
    } else {
        ", not handled"
    };
    println!("    {:<12}{}{handled}", "level", first.level());

    let mut persons: Vec<_> = exceptions.iter().map(|it| person(it)).collect();
    persons.sort_unstable();
    persons.dedup();
    let often = exceptions.len();
    println!(
        "    {:<12}{often}, of {}\n",
        "how often",
        persons.join(" and ")
    );
}

fn person(exception: &CapturedException) -> &str {
    match exception.event().property("$process_person_profile") {
        Some(process) if process == false => "nobody",
        _ => exception.distinct_id(),
    }
}
