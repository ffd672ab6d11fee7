//! Tests and demos without PostHog (feature `testing`): a [`PostHogServer`] on a loopback port that
//! takes and refuses what PostHog does and plays faults on purpose, an in-memory
//! [`CapturedEvents`] for the tests of your own code, and feature flags without a network.
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
//!
//! Async code, code that spawns, and hooks: see [`CapturedEvents`] and its [builder](CapturedEvents::builder).
//!
//! # Feature flags
//!
//! With the feature `flags`, `Flags` says which flags are on for whom, without a network; a [`PostHogServer`] answers
//! with the same flags.
//!
//! ```
//! # #[cfg(feature = "flags")] {
//! use tracing_posthog::testing::Flags;
//!
//! let flags = Flags::new().on("beta-ui").variant_for("checkout", "ada", "one-page").build();
//! assert!(flags.evaluate("grace").locally().is_enabled("beta-ui"));
//! assert_eq!(flags.evaluate("ada").locally().variant("checkout"), Some("one-page"));
//! # }
//! ```
//!
//! # Calls of the REST API
//!
//! A [`PostHogServer`] answers calls by their [routes](PostHogServer::on), records them, and plays faults:
//!
//! ```
//! # #[cfg(feature = "rest")] {
//! use serde_json::json;
//! use std::time::Duration;
//! use tracing_posthog::testing::{Answer, PostHogServer};
//! use tracing_posthog::{Method, PostHogClient, PostHogError, RetryPolicy};
//!
//! /// The code under test.
//! async fn is_active(posthog: &PostHogClient, flag: &str) -> Result<bool, PostHogError> {
//!     let flag = posthog.project(7).feature_flags().get(flag).await?;
//!     Ok(flag.active == Some(true))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = PostHogServer::start()?;
//! server.answer_next(Answer::status(503)); // retried by the client
//! server.on(
//!     Method::GET,
//!     "/api/projects/{project}/feature_flags/3/",
//!     json!({"id": 3, "key": "beta-ui", "active": true}),
//! );
//! let client = PostHogClient::builder()
//!     .personal_api_key("phx_test")
//!     .host(server.url())
//!     .retry(RetryPolicy::default().first_delay(Duration::from_millis(1)))
//!     .build()?;
//!
//! assert!(is_active(&client, "3").await?);
//! let request = &server.requests()[1];
//! assert_eq!(request.header("authorization"), Some("Bearer phx_test"));
//! assert_eq!(request.path_param("project"), Some("7"));
//! assert!(is_active(&client, "4").await.unwrap_err().is_not_found()); // its text names the routes there are
//! # Ok(())
//! # }
//! # main().unwrap();
//! # }
//! ```
//!
//! Any other mock server will do as well. With [wiremock](https://docs.rs/wiremock) 0.6, which brings matchers and
//! expected numbers of calls:
//!
//! ```ignore
//! use wiremock::matchers::{header, method, path};
//! use wiremock::{Mock, MockServer, ResponseTemplate};
//!
//! let server = MockServer::start().await;
//! Mock::given(method("GET"))
//!     .and(path("/api/projects/7/feature_flags/3/"))
//!     .and(header("authorization", "Bearer phx_test"))
//!     .respond_with(
//!         ResponseTemplate::new(200).set_body_json(json!({"id": 3, "key": "beta-ui", "active": true})),
//!     )
//!     .expect(1) // checked when the server is dropped
//!     .mount(&server)
//!     .await;
//! let client = PostHogClient::builder().personal_api_key("phx_test").host(server.uri()).build()?;
//!
//! assert!(is_active(&client, "3").await?);
//! ```

// How it works inside:
//
//   CapturedEvents: handle ──► queue ──► the same pipeline as the actor's ──► RecordedEvent, in memory
//
//   PostHogServer:  client ──HTTP──► server/wire ──► server/connection ──► rules ──► verdict ──► answer on the wire
//                                                          │   ▲                        │
//                                         script, function (answer), routes             └──► server/memory (recorded)
//
// - `captured`: stands in for the actor. Whoever flushes, shuts down or looks settles what was captured. Its scopes say
//   whose events land there; one test at a time may have those of all threads.
// - `server`: the listener and its threads. `wire` reads HTTP/1.1, `connection` serves one connection, `memory` is what
//   the threads share.
// - `rules`: what PostHog accepts and refuses, by capture v0 and, in `rules/v1`, v1. Written from PostHog's behaviour,
//   not from this crate's encoder. `rules/tree` finds keys that come twice.
// - `answer`: answers and faults that a test asks for. `routes`: which of them a method and path get. `recorded`: what is
//   remembered.
// - `exceptions`: `$exception` events, parsed. `grouping`: what PostHog makes issues of.
// - `flags`: feature flags as a test wants them, made into definitions of PostHog; `rules/flags` answers with them.
//
// Invariants: a request and its events are recorded in one step, before any of the answer is sent; a scripted answer
// comes before the function's, that before a route's, and that before PostHog's own; nothing here needs an async
// runtime; stopping the server ends every delay and stall. This module is above all others: no other module knows it.

mod answer;
mod captured;
#[cfg(feature = "errors")]
mod exceptions;
#[cfg(feature = "flags")]
mod flags;
#[cfg(feature = "errors")]
mod grouping;
mod recorded;
mod routes;
mod rules;
mod server;

pub use answer::{Answer, EventVerdict};
pub use captured::{CapturedEvents, CapturedEventsBuilder, GlobalEvents, GlobalLayer, Scoped};
#[cfg(feature = "errors")]
pub use exceptions::{CapturedException, CapturedFrame};
#[cfg(feature = "flags")]
#[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
pub use flags::Flags;
#[cfg(feature = "errors")]
pub use grouping::{Grouping, GroupingInput};
pub use recorded::{RecordedEvent, RecordedRequest, Recording};
pub use routes::Answers;
pub use server::PostHogServer;
