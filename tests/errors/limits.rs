//! How many exceptions of one type and callsite are captured, and what is said of the others.

use std::error::Error;
use std::fmt;
use std::time::Duration;
use tracing::error;
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{DropReason, Errors, Stacks};

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Declined;

#[derive(Debug)]
struct TimedOut;

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("declined")
    }
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("timed out")
    }
}

impl Error for Declined {}
impl Error for TimedOut {}

fn kit(errors: Errors) -> CapturedEvents {
    let errors = errors.stacks(Stacks::None).duplicate_window(Duration::ZERO);
    CapturedEvents::builder()
        .layer(move |layer| layer.errors(errors.clone()))
        .build()
        .unwrap()
}

fn pay(error: &(dyn Error + 'static)) {
    error!(error, "payment failed");
}

/// How many of so many are captured, and how many were held back.
fn counts(kit: &CapturedEvents, run: impl FnOnce()) -> (usize, u64) {
    kit.in_scope(run);
    let held_back = kit.handle().stats().dropped.by(DropReason::RateLimited);
    (kit.events().len(), held_back)
}

#[test]
fn the_default_is_fifty_at_once() {
    let kit = kit(Errors::new());
    let (captured, held_back) = counts(&kit, || (0..200).for_each(|_| pay(&Declined)));
    // One more each second: a slow machine has some.
    assert!((50..100).contains(&captured), "{captured}");
    assert_eq!(captured as u64 + held_back, 200);
}

#[test]
fn each_type_and_each_callsite_has_its_own() {
    let kit = kit(Errors::new().rate_limit(3, HOUR));
    let (captured, held_back) = counts(&kit, || {
        for _ in 0..10 {
            pay(&Declined);
            pay(&TimedOut);
            error!("one text");
            error!("another");
        }
    });
    assert_eq!((captured, held_back), (12, 28));
}

#[test]
fn a_period_of_zero_is_no_limit() {
    let kit = kit(Errors::new().rate_limit(1, Duration::ZERO));
    let (captured, held_back) = counts(&kit, || (0..500).for_each(|_| pay(&Declined)));
    assert_eq!((captured, held_back), (500, 0));
}

#[test]
fn events_that_opt_out_take_no_token() {
    let kit = kit(Errors::new().rate_limit(1, HOUR));
    let (captured, held_back) = counts(&kit, || {
        for out in [false, false, true, true] {
            error!(posthog.exception = out, "opted");
        }
    });
    assert_eq!((captured, held_back), (1, 1));
}

#[test]
fn the_test_kit_shows_what_was_held_back() {
    let kit = kit(Errors::new().rate_limit(2, HOUR));
    let line = line!() + 1;
    kit.in_scope(|| (0..7).for_each(|_| error!("no stock")));
    let shown = format!("{kit:?}");
    let want = format!("tests/errors/limits.rs:{line} (5 until now)");
    assert!(
        shown.contains(&want) && shown.contains("Errors::rate_limit"),
        "{shown}"
    );
}
