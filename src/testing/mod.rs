//! Tests and demos without PostHog (feature `testing`): a [`PostHogServer`] on a loopback port that
//! takes and refuses what PostHog does and plays faults on purpose, and an in-memory
//! [`CapturedEvents`] for the tests of your own code.
//!
//! ```
//! use tracing_posthog::testing::CapturedEvents;
//! use tracing_subscriber::prelude::*;
//!
//! let captured = CapturedEvents::new();
//! let subscriber = tracing_subscriber::registry().with(captured.layer());
//! tracing::subscriber::with_default(subscriber, || {
//!     tracing::info!(posthog.event = "signup", posthog.distinct_id = "user_42", plan = "pro");
//! });
//!
//! let signup = captured.find("signup").expect("a signup was captured");
//! assert_eq!(signup.distinct_id, "user_42");
//! assert_eq!(signup.properties["plan"], "pro");
//! ```

mod answer;
mod captured;
mod recorded;
mod rules;
mod server;

pub use answer::{Answer, EventVerdict};
pub use captured::CapturedEvents;
pub use recorded::{RecordedEvent, RecordedRequest, Recording};
pub use server::PostHogServer;
