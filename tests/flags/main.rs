//! Feature flags: evaluation by PostHog's rules, requests, what is captured, and the flags of tests.
#![cfg(feature = "flags")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/own_process.rs"]
mod own_process;
#[path = "../shared/support/mod.rs"]
mod support;

mod absent;
mod any_definitions;
mod called;
mod called_remotely;
mod cases;
mod dates;
mod definitions;
mod local_posthog;
mod missing;
mod mistakes;
mod odd_definitions;
mod on_events;
mod operators;
mod outages;
mod over_the_network;
mod poller;
mod poller_changes;
mod poller_lifetime;
mod poller_refusals;
mod reasons;
mod remote;
mod remote_answers;
mod remote_failures;
mod said;
mod snapshots;
mod test_kit;
