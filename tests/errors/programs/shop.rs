//! A program that fails, and prints what PostHog would get of it. Built by `builds.rs` in several ways.

use std::error::Error;
use std::fmt;
use std::hint::black_box;
use tracing_posthog::Errors;
use tracing_posthog::testing::CapturedEvents;

#[derive(Debug)]
struct Declined(u32);

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "card declined for order {}", self.0)
    }
}

impl Error for Declined {}

mod pay {
    use super::*;

    pub trait Method {
        fn charge(&self, order: u32) -> u32;
    }

    pub struct Card;

    impl Method for Card {
        #[inline(never)]
        fn charge(&self, order: u32) -> u32 {
            black_box(check(black_box(order))) // <Card as Method>::charge
        }
    }

    #[inline(always)]
    fn check(order: u32) -> u32 {
        let reported = report(order); // check
        black_box(reported) + 1
    }

    #[inline(never)]
    fn report(order: u32) -> u32 {
        let error = Declined(order);
        tracing::error!(error = &error as &dyn Error, "payment failed"); // report
        black_box(order)
    }

    #[inline(never)]
    pub fn overdraw(limit: Option<u32>) -> u32 {
        black_box(limit.unwrap()) // overdraw
    }

    #[inline(never)]
    pub fn refund(order: u32) -> u32 {
        let error = Declined(order);
        tracing::error!(error = &error as &dyn Error, "refund failed"); // refund
        black_box(order)
    }
}

#[inline(never)]
fn process(what: &str, order: u32) -> u32 {
    match what {
        "refund" => black_box(pay::refund(order)),
        "panic" => black_box(pay::overdraw(black_box(None))),
        _ => {
            let charged = pay::Method::charge(black_box(&pay::Card), order); // process
            black_box(charged)
        }
    }
}

fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let captured = CapturedEvents::builder()
        .layer(|layer| layer.errors(Errors::new().panics(true)))
        .build()
        .unwrap();
    captured.in_scope(|| {
        let retry = |order| black_box(process(&what, order)) + 1; // {closure}
        // A panic is caught, and has been captured then.
        let _ = std::panic::catch_unwind(|| black_box(retry(black_box(7))));
    });
    for event in captured.events() {
        println!("{}", serde_json::Value::Object(event.properties));
    }
}
