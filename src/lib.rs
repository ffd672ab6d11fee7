//! PostHog from `tracing`.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod capture;
mod client;
mod config;
mod error;
mod http;
mod layer;
#[cfg(feature = "testing")]
pub mod testing;

pub use capture::*;
#[cfg(feature = "rest")]
pub use client::models;
pub use client::{AnyQuery, BatchSummary, PostHogClient, PostHogClientBuilder, Request};
pub use config::Region;
pub use error::{ApiError, PostHogError, RequestError, RequestErrorKind};
pub use http::breaker::{CircuitBreaker, CircuitState};
pub use http::retry::{RetryMethods, RetryPolicy};
pub use layer::{PostHogLayer, PostHogLayerBuilder, SpanFields};
pub use reqwest::Method;
