//! Tests and demos without PostHog (feature `testing`): a [`PostHogServer`] on a loopback port that
//! takes and refuses what PostHog does and plays faults on purpose, and an in-memory
//! [`CapturedEvents`] for the tests of your own code.
//!
//! | | [`CapturedEvents`] | [`PostHogServer`] |
//! |---|---|---|
//! | answers | which events did this code capture? | does everything work together, also when PostHog fails? |
//! | runs | layer, queue, encoding, hooks, default properties | all of it: also the actor and requests |
//! | needs | nothing: no thread, no port | a port of this machine, and threads |
//!
//! ```
//! use tracing_posthog::testing::CapturedEvents;
//!
//! let captured = CapturedEvents::new();
//! captured.in_scope(|| {
//!     tracing::info!(posthog.event = "signup", posthog.distinct_id = "user_42", plan = "pro");
//! });
//!
//! let signup = captured.find("signup").expect("a signup was captured");
//! assert_eq!(signup.distinct_id, "user_42");
//! assert_eq!(signup.properties["plan"], "pro");
//! ```

// How it works inside:
//
//   CapturedEvents: handle ──► queue ──► the same pipeline as the actor's ──► RecordedEvent, in memory
//
//   PostHogServer:  client ──HTTP──► server/wire ──► server/connection ──► rules ──► verdict ──► answer on the wire
//                                                          │   ▲                        │
//                                                  script, function (answer)            └──► server/memory (recorded)
//
// - `captured`: stands in for the actor. Whoever flushes, shuts down or looks settles what was captured. Its scopes say
//   whose events land there; one test at a time may have those of all threads.
// - `server`: the listener and its threads. `wire` reads HTTP/1.1, `connection` serves one connection, `memory` is what
//   the threads share.
// - `rules`: what PostHog accepts and refuses, by capture v0 and, in `rules/v1`, v1. Written from PostHog's behaviour,
//   not from this crate's encoder. `rules/tree` finds keys that come twice.
// - `answer`: answers and faults that a test asks for. `recorded`: what is remembered.
//
// Invariants: a request and its events are recorded in one step, before any of the answer is sent; a scripted answer
// comes before the function's, and that before PostHog's own; nothing here needs an async runtime; stopping the server
// ends every delay and stall. This module is above all others: no other module knows it.

mod answer;
mod captured;
mod recorded;
mod rules;
mod server;

pub use answer::{Answer, EventVerdict};
pub use captured::{CapturedEvents, CapturedEventsBuilder, GlobalEvents, GlobalLayer, Scoped};
pub use recorded::{RecordedEvent, RecordedRequest, Recording};
pub use server::PostHogServer;
