//! PostHog product analytics from `tracing`: one field makes an event, a background thread delivers it.
//!
//! ```no_run
//! use tracing_posthog::PostHogLayer;
//! use tracing_subscriber::{filter::LevelFilter, prelude::*};
//!
//! fn main() -> Result<(), tracing_posthog::PostHogError> {
//!     let (layer, _posthog) = PostHogLayer::from_env()?; // POSTHOG_API_KEY, POSTHOG_HOST
//!     tracing_subscriber::registry()
//!         .with(tracing_subscriber::fmt::layer().with_filter(LevelFilter::INFO))
//!         .with(layer) // last
//!         .init();
//!
//!     tracing::info!(posthog.event = "signup", posthog.distinct_id = "user_42", plan = "pro");
//!     Ok(())
//! } // `_posthog` is dropped here: it delivers what is left, within 5 s
//! ```
//!
//! Without `POSTHOG_API_KEY` the layer is disabled and costs nothing. Filter your log at its own layer, as
//! above: a global filter would hide events from PostHog too.
//!
//! # Identity
//!
//! Put the id of a person on a span, once. Everything within belongs to that person: nested calls, other
//! modules and crates, and tasks that carry the span.
//!
//! ```
//! use tracing::{Instrument, info, instrument};
//!
//! #[instrument(skip_all, fields(posthog.distinct_id = user, posthog.group.company = company))]
//! async fn check_out(user: &str, company: &str) {
//!     info!(posthog.event = "order placed", items = 3);
//!     tokio::spawn(async { info!(posthog.event = "receipt sent") }.in_current_span());
//! }
//! ```
//!
//! Fields that your spans have already, such as `user.id`, can be taken for identity:
//! [`PostHogLayerBuilder::distinct_id_field`], `session_id_field`, `group_field`.
//!
//! Within a span of somebody else that declared no such field, set the id by [`PostHogSpanExt`]. What an event at some
//! point would inherit can be read back: [`CaptureHandle::current_context`].
//!
//! An event that names nobody is personless: a random id, and no person in PostHog.
//!
//! # Fields
//!
//! | field | on | becomes |
//! |---|---|---|
//! | `posthog.event` | event | the event's name; makes it an analytics event |
//! | `posthog.event` | span | one event when the span closes, with `duration_ms` |
//! | `posthog.distinct_id` | event, span | who did it; cut after 200 characters (by capture v1 200 bytes) |
//! | `posthog.session_id` | event, span | `$session_id` |
//! | `posthog.group.<type>` | event, span | `$groups.<type>`, as text |
//! | `posthog.set.<name>`, `posthog.set_once.<name>` | event ¹ | person properties: `$set`, `$set_once` |
//! | `posthog.timestamp` | event ¹ | when it happened: RFC 3339 text with its offset, or milliseconds since 1970 as an integer; years 0 to 9999 |
//! | `posthog.uuid` | event ¹ | its uuid |
//! | `posthog.process_person_profile` | event, span | `$process_person_profile` |
//! | `posthog.geoip_disable` | event, span | `$geoip_disable` |
//! | `posthog.properties` | event, span | text of a JSON object, merged in; plain fields beside it, and nearer ones, win over it |
//! | `posthog.exception` | event | an exception or not, whatever else is true of it; see [errors](#errors) |
//! | `posthog.fingerprint`, `posthog.issue_name` | exception | its group; the title of a new issue |
//! | any other field | event ¹ | a property of that name |
//! | any other field | span | nothing, unless [`span_fields`](PostHogLayerBuilder::span_fields) lets it through |
//! | message, level, target, module, file, line | event ¹ | nothing, unless switched on in [`PostHogLayerBuilder`] |
//!
//! ¹ Also on a span that has `posthog.event`, for that span's own event. On other spans it is ignored.
//!
//! The nearest value wins: the event's own, then the innermost span's. Booleans, integers, floats and
//! strings keep their type; integers beyond 2^53, which PostHog would round, become text
//! ([`LargeIntegers`]); NaN and infinities become `null`; `%` and `?` give text; an `Error`
//! (`error = &e as &dyn std::error::Error`) gives its text, and its sources as `error.chain`. A NUL character
//! becomes U+FFFD everywhere, ids included. Unknown
//! `posthog.*` names are reported once, by a warning that names the event, its callsite and the nearest known name.
//!
//! The macros of `tracing` take no dotted field right after `target:` or `name:`
//! (`info!(target: "t", posthog.event = "x")` does not compile). Write one of these:
//!
//! ```
//! # use tracing::info;
//! # let plan = "pro";
//! info!(target: "billing", plan, posthog.event = "signup"); // a field without a dot first
//! info!(target: "billing", { posthog.event = "signup", plan }, "a user signed up"); // braces, then a message
//! ```
//!
//! # Spans as events
//!
//! ```
//! use tracing::{Span, field::Empty, instrument};
//!
//! #[instrument(skip_all, fields(posthog.event = "report built", format = "pdf", pages = Empty))]
//! async fn build_report(rows: &[u8]) {
//!     Span::current().record("pages", 40); // known late, sent when the span closes
//! }
//! ```
//!
//! All fields of such a span become properties: without `skip_all` also the arguments of the function.
//!
//! A span whose `posthog.event` is declared `Empty` is an event only if a name is recorded before it closes, for example
//! on success. Otherwise nothing is sent, and nothing counts as dropped.
//!
//! # From code
//!
//! ```
//! use tracing_posthog::{CaptureHandle, Event};
//!
//! fn shipped(posthog: &CaptureHandle) {
//!     posthog.capture(Event::new("order shipped").distinct_id("user_42").property("items", 3));
//!     posthog.capture(Event::identify("user_42").set("plan", "pro"));
//! }
//! ```
//!
//! # Settings
//!
//! [`PostHog::builder`] has the settings that people set most, and reaches those of the three parts: a
//! [`PostHogClient`] has keys, host, retries and connections; an [`EventCaptureBackend`] over it has queue, batches and
//! hooks, and is talked to through a [`CaptureHandle`]; a [`PostHogLayer`] over that decides what becomes an event.
//!
//! ```no_run
//! use std::time::Duration;
//! use tracing_posthog::{PostHog, Region, RetryPolicy};
//! use tracing_subscriber::prelude::*;
//!
//! # fn main() -> Result<(), tracing_posthog::PostHogError> {
//! let (layer, posthog) = PostHog::builder()
//!     .project_api_key("phc_key")
//!     .region(Region::Eu)
//!     .flush_interval(Duration::from_secs(2))
//!     .before_send(|mut event| {
//!         event.properties.remove("email");
//!         Some(event)
//!     })
//!     .client(|client| client.retry(RetryPolicy::default().attempts(3)))
//!     .capture(|capture| capture.queue_events(50_000))
//!     .layer(|layer| layer.with_message(true))
//!     .start()?; // or `start_from_env()?`
//! tracing_subscriber::registry().with(layer).init();
//! # Ok(())
//! # }
//! ```
//!
//! # REST API
//!
//! The same client has every operation of PostHog's REST API as a method. It needs a personal API key (`phx_…`):
//!
//! ```no_run
//! # #[cfg(feature = "rest")]
//! # async fn f() -> Result<(), tracing_posthog::PostHogError> {
//! use tracing_posthog::PostHogClient;
//! use tracing_posthog::rest::bodies::NewFeatureFlag;
//!
//! let client = PostHogClient::from_env()?; // POSTHOG_PERSONAL_API_KEY, POSTHOG_HOST
//! let project = client.project(12345);
//! let flag = project.feature_flags().create(NewFeatureFlag::new("beta-ui")).await?;
//! let mut people = project.persons().list().search("ada@").stream(); // every page
//! let rows: Vec<(String, u64)> =
//!     project.hogql("SELECT event, count() FROM events GROUP BY event").rows().await?;
//! # Ok(())
//! # }
//! ```
//!
//! All types of the REST API are in the module [`rest`]. The page [`guide::rest`] explains how to find an operation, bodies,
//! answers, times, lists, HogQL, errors, rate limits and tests.
//!
//! # Feature flags
//!
//! The feature `flags` evaluates feature flags: in the process with a key that may read definitions
//! (`POSTHOG_FEATURE_FLAGS_SECRET_KEY`: `phs_…`, or `phx_…` with the scope `feature_flag:read`), else by PostHog.
//!
//! ```no_run
//! # #[cfg(feature = "flags")]
//! # async fn f(posthog: tracing_posthog::PostHog) -> Result<(), tracing_posthog::PostHogError> {
//! // At the start: waits for the first load of the definitions.
//! if let Err(error) = posthog.flags().ready().await {
//!     tracing::warn!("no feature flags yet: {error}");
//! }
//!
//! // No await, no request.
//! let user = posthog.flags().evaluate("user_42").person("plan", "pro").group("company", "acme").locally();
//! if user.is_enabled("beta-ui") { /* … */ }
//! let pages = match user.variant("checkout") {
//!     Some("one-page") => 1,
//!     _ => 3,
//! };
//! let limits: Option<serde_json::Value> = user.payload("limits")?;
//! let here = posthog.flags().evaluate_current().locally(); // for the distinct id of the current span
//! let is_open = here.is_enabled_or("orders-open", true); // the default as long as the flag has no value
//!
//! // One request each time any of these is undecided locally.
//! let user = posthog.flags().evaluate("user_42").keys(["beta-ui", "checkout"]).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The page [`guide::feature_flags`] explains keys, what cannot be decided locally, how stale a flag may be, and what
//! happens while PostHog is down.
//!
//! # Errors
//!
//! The feature `errors` makes issues of PostHog's error tracking of errors and panics: with type, chain, stack, and the
//! person it happened to.
//!
//! ```no_run
//! # #[cfg(feature = "errors")]
//! # fn f() -> Result<(), tracing_posthog::PostHogError> {
//! use std::error::Error;
//! use tracing_posthog::{Errors, PostHog};
//! use tracing_subscriber::prelude::*;
//!
//! let (layer, posthog) = PostHog::builder().errors(Errors::new().panics(true)).start_from_env()?;
//! tracing_subscriber::registry().with(layer).init();
//!
//! if let Err(error) = std::fs::read("menu.json") {
//!     tracing::error!(error = &error as &dyn Error, menu = 7, "no menu"); // `#[instrument(err)]` works too
//!     posthog.capture_error(&error); // by hand
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The page [`guide::errors`] explains which events count, how PostHog groups them, panics, symbols and limits.
//!
//! # What you can rely on
//!
//! - Capturing does no I/O, never waits for PostHog (unless you choose [`QueuePolicy::Block`]) and never panics.
//! - The queue is bounded, in events and bytes. What does not fit, or cannot be delivered, is dropped and
//!   counted by reason: `captured + recovered = delivered + dropped + queued + in_flight + spooled` in every
//!   [`stats`](CaptureHandle::stats); `recovered` and `spooled` are of the disk spool.
//! - Requests are retried ([`RetryPolicy`]), batches that failed are kept and tried again while there is room,
//!   and a [`CircuitBreaker`] for each [`Destination`] leaves a failing PostHog alone. A batch that waits for its next
//!   attempt holds up no other.
//! - Delivery and requests run on two threads of their own, `posthog-capture` and `posthog-io` (and a few short-lived
//!   ones that look up host names). So async methods work on any executor, and a runtime of yours that is blocked stops
//!   no delivery.
//! - A panic in code of yours (a value, a hook, a clock, a tracing layer, a resolver) costs that value, event or
//!   attempt, not the actor.
//! - [`flush`](CaptureHandle::flush), [`shutdown`](CaptureHandle::shutdown) and the drop of the
//!   [`PostHog`] end in bounded time. `std::process::exit` drops nothing: shut down before it.
//! - What this crate logs itself is never captured. One line at INFO, of the target `tracing_posthog`, says where events
//!   go, or why none are captured. Its warnings have the target `tracing_posthog::capture` and are repeated at most once a
//!   minute; its requests have `tracing_posthog::http` (level debug).
//! - Spans and events without `posthog.*` fields cost a few dozen instructions more than without it.
//!
//! # Features
//!
//! - `rustls` (default): TLS by rustls with the provider aws-lc-rs, and the platform's certificates. Builds C code.
//! - `rustls-ring`: the same with ring. Builds C code.
//! - `rustls-no-provider`: the same with the provider that the program installed, or whose feature of rustls it has on.
//!   For programs with a rustls of their own: a second provider in one program makes `rustls::ClientConfig::builder()`
//!   panic. With `default-features = false`.
//! - `native-tls`: TLS by the operating system's library, on Linux OpenSSL.
//! - `rest` (default): every endpoint of PostHog's REST API as a method, from [`PostHogClient::project`] and its
//!   like, and the types of their bodies and answers, in the module [`rest`].
//! - `errors`: errors and panics as issues ([`Errors`]); `anyhow`, `error-stack` and `tracing-error` read what such errors
//!   hold.
//! - `opentelemetry`: trace and span ids of OpenTelemetry on exceptions and events.
//! - `flags`: feature flags, evaluated in the process or by PostHog ([`FeatureFlags`]).
//! - `rate-limit`: a client-side limit of requests by class of endpoint.
//! - `spool`: what cannot be delivered now goes to disk ([`Spool`]), and is delivered later, by this process or the
//!   next.
//! - `brotli`, `zstd`: these compressions, for capture v1 ([`CaptureProtocol`], [`Compression`]); `zstd` builds C
//!   code.
//! - `metrics`: what became of events, published through the [`metrics`](https://docs.rs/metrics) facade, as
//!   `posthog_events_captured_total`, `posthog_events_delivered_total` and more; `docs/delivery.md` lists them.
//! - `tower`: the module `tower`, with a layer that opens one span per HTTP request and takes the session, and if asked
//!   the distinct id, of `posthog-js` from its headers. `axum`: that layer knows the routes of axum 0.8.
//! - `testing`: the module `testing`, with captured events in memory, feature flags without a network, and a local
//!   PostHog, for tests of your own code and for demos.
//!
//! With no TLS feature, give your own `reqwest::Client` to
//! [`reqwest_client`](PostHogClientBuilder::reqwest_client).
//!
//! # Guide
//!
//! The module [`guide`] has pages about events, configuration, feature flags, errors, testing, delivery, the REST API,
//! frameworks, AWS Lambda, many processes, privacy, and troubleshooting.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod announcement;
mod backend;
mod capture;
mod client;
mod config;
mod diagnostics;
mod error;
mod event;
#[cfg(feature = "errors")]
mod exceptions;
#[cfg(feature = "flags")]
mod flags;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
mod http;
mod layer;
#[cfg(all(test, feature = "testing"))]
#[allow(clippy::unwrap_used)] // in tests only
#[path = "../tests/shared/own_process.rs"]
mod own_process;
mod panic;
mod posthog;
mod redact;
pub mod rest;
mod suppress;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tower")]
pub mod tower;
mod trace_ids;
mod words;

/// What the fuzzers feed.
#[cfg(fuzzing)]
#[doc(hidden)]
#[allow(missing_docs)]
pub mod __fuzz {
    /// Encodes what crosses the queue.
    pub fn record(bytes: &[u8]) -> Option<Vec<u8>> {
        crate::capture::fuzz::record(bytes)
    }

    /// Reads what capture v1 answers.
    pub fn v1_answer(bytes: &[u8]) {
        static CLIENT: std::sync::OnceLock<Option<crate::PostHogClient>> =
            std::sync::OnceLock::new();
        let client = CLIENT.get_or_init(|| {
            let builder = crate::PostHogClient::builder().project_api_key("phc_fuzz");
            builder.build().ok()
        });
        if let Some(client) = client {
            crate::capture::delivery::protocol::v1::fuzz(&client.inner.http, bytes);
        }
    }

    /// Reads a spool file: how many events, and how many damaged lines.
    #[cfg(feature = "spool")]
    pub fn spool_file(bytes: &[u8]) -> (usize, usize) {
        crate::capture::spool::file::fuzz(bytes)
    }
}

pub use backend::*;
pub use capture::*;
pub use client::{PostHogClient, PostHogClientBuilder};
pub use config::Region;
pub use error::{
    ApiError, FieldError, HogQlPosition, PostHogError, RequestError, RequestErrorKind,
};
pub use event::Event;
#[cfg(feature = "errors")]
pub use exceptions::*;
#[cfg(feature = "flags")]
pub use flags::*;
pub use http::breaker::{CircuitBreaker, CircuitState};
pub use http::request::Destination;
pub use http::retry::{RetryMethods, RetryPolicy};
pub use layer::{PostHogContext, PostHogLayer, PostHogLayerBuilder, PostHogSpanExt, SpanFields};
pub use posthog::{PostHog, PostHogBuilder};
pub use reqwest::Method;
pub use trace_ids::TraceIds;
pub use uuid::Uuid;

// Pages that show a feature are tested where it is on.
#[cfg(doctest)]
#[cfg_attr(
    all(feature = "errors", feature = "flags", feature = "rest", feature = "testing", feature = "tower"),
    doc = include_str!("../README.md")
)]
#[cfg_attr(feature = "spool", doc = include_str!("../docs/delivery.md"))]
#[doc = include_str!("../docs/guide/configuration.md")]
#[cfg_attr(feature = "flags", doc = include_str!("../docs/guide/events.md"))]
#[cfg_attr(feature = "errors", doc = include_str!("../docs/guide/errors.md"))]
#[cfg_attr(feature = "flags", doc = include_str!("../docs/guide/feature_flags.md"))]
#[cfg_attr(feature = "axum", doc = include_str!("../docs/guide/frameworks.md"))]
#[doc = include_str!("../docs/guide/lambda.md")]
#[doc = include_str!("../docs/guide/privacy.md")]
#[cfg_attr(feature = "rest", doc = include_str!("../docs/guide/rest.md"))]
#[doc = include_str!("../docs/guide/scale.md")]
#[cfg_attr(feature = "testing", doc = include_str!("../docs/guide/testing.md"))]
#[doc = include_str!("../docs/guide/troubleshooting.md")]
struct Doctests;
