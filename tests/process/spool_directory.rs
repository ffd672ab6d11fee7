//! A relative spool directory is meant from where the process was when it started.

use crate::own_process::own_process;
use crate::support::spooling::*;
use crate::support::*;
use tracing_posthog::testing::Answer;
use tracing_posthog::{CircuitBreaker, Event, Spool};

/// Changes the working directory of the process.
#[test]
fn a_relative_directory_is_meant_from_the_start() {
    own_process!();
    let (server, before, after) = (server(), Directory::new(), Directory::new());
    std::env::set_current_dir(&before.path).unwrap();
    server.answer_with(|_| Some(Answer::status(503)));
    let client = client_of(&server)
        .retry(quick().attempts(2))
        .circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client)
        .spool(Spool::directory("spool"))
        .flush_interval(ms(20))
        .start()
        .unwrap();
    posthog.capture(Event::new("e").distinct_id("user_1"));
    wait_until("it is on disk", || posthog.stats().spooled == 1);
    std::env::set_current_dir(&after.path).unwrap();
    server.answer_with(|_| None);
    let report = posthog.flush_blocking(LONG);
    assert!(report.is_complete(), "{report}; {}", posthog.stats());
    assert_eq!(posthog.stats().delivered, 1);
}
