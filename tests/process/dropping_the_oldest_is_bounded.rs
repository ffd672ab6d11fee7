//! A full queue that drops the oldest stays as small as one that drops the newest.
#![cfg(target_os = "linux")]

use crate::own_process::own_process;
use crate::support::*;
use std::fs;
use std::time::Duration;
use tracing_posthog::testing::Answer;
use tracing_posthog::{Event, QueuePolicy};

/// Bytes that this process has in memory. It runs one test, so they are its own.
fn rss() -> usize {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn dropping_the_oldest_needs_no_more_room() {
    own_process!();
    let server = server();
    server.answer_with(|_| Some(Answer::accept().delay(Duration::from_secs(15))));
    let posthog = capture_to(&server)
        .requests_in_flight(1)
        .queue_events(100)
        .queue_policy(QueuePolicy::DropOldest)
        .shutdown_timeout(ms(10))
        .start()
        .unwrap();
    posthog.capture(Event::new("first").distinct_id("u"));
    wait_until("a request", || posthog.stats().in_flight == 1);
    let before = rss();
    let text = "x".repeat(1_000);
    for _ in 0..200_000 {
        posthog.capture(
            Event::new("a")
                .distinct_id("u")
                .property("t", text.as_str()),
        );
    }
    let grown = rss().saturating_sub(before);
    assert!(
        grown < 32 << 20,
        "grown by {} MiB with a queue of 100 events",
        grown >> 20
    );
}
