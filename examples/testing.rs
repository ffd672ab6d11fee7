//! Testing your own events: in memory, without a thread, a port or a global subscriber.
//!
//!     cargo run --example testing
//!
//! `a_pro_signup_counts_its_seats` is what would stand under `#[test]`; here `main` calls it. Your
//! `Cargo.toml` needs `tracing-posthog = { version = "0.1", features = ["testing"] }` among the
//! dev-dependencies.

#![allow(clippy::print_stdout)]

use tracing::{info, instrument, warn};
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{CaptureHandle, Event};

// The code under test. It knows `tracing`, and nothing of the tests.

#[instrument(skip_all, fields(posthog.distinct_id = user))]
fn sign_up(user: &str, plan: &str, seats: u32) {
    if seats == 0 {
        warn!("no seats"); // a log line, no event
        return;
    }
    info!(posthog.event = "signup", plan, seats);
}

// Code that captures by hand takes a handle.
fn pay(posthog: &CaptureHandle, user: &str, amount: f64) {
    posthog.capture(
        Event::new("invoice paid")
            .distinct_id(user)
            .property("amount", amount),
    );
}

// The tests.

fn a_pro_signup_counts_its_seats() {
    let captured = CapturedEvents::new();
    captured.in_scope(|| sign_up("user_42", "pro", 3));

    let events = captured.events();
    assert_eq!(events.len(), 1, "one event, no more: {captured:?}");
    assert_eq!(events[0].event, "signup");
    assert_eq!(events[0].distinct_id, "user_42");
    assert_eq!(events[0].properties["plan"], "pro");
    assert_eq!(events[0].properties["seats"], 3);
    println!("{}\n", events[0]);
}

fn nobody_signs_up_without_seats() {
    let captured = CapturedEvents::new();
    captured.in_scope(|| sign_up("user_42", "pro", 0));
    assert!(captured.find("signup").is_none());
}

fn a_payment_is_captured_by_hand() {
    let captured = CapturedEvents::new();
    pay(&captured.handle(), "user_42", 12.5);
    let paid = captured.find("invoice paid");
    assert_eq!(
        paid.as_ref().map(|e| e.distinct_id.as_str()),
        Some("user_42")
    );
    assert_eq!(
        paid.map(|e| e.properties["amount"].clone()),
        Some(12.5.into())
    );
}

fn main() {
    let tests: [(&str, fn()); 3] = [
        (
            "a pro signup counts its seats",
            a_pro_signup_counts_its_seats,
        ),
        (
            "nobody signs up without seats",
            nobody_signs_up_without_seats,
        ),
        (
            "a payment is captured by hand",
            a_payment_is_captured_by_hand,
        ),
    ];
    for (name, test) in tests {
        test();
        println!("ok: {name}");
    }
}
