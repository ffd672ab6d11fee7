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
pub use client::{AnyQuery, BatchSummary, PostHogClient, PostHogClientBuilder, Request};
#[cfg(feature = "rest")]
pub use client::{
    AsyncQuery, Items, Page, Pages, Query, QueryAnswer, QueryCheck, QueryNotice, QueryProgress,
    QueryStatus, Refresh, RunningQuery,
};
#[cfg(feature = "rate-limit")]
pub use client::{EndpointClass, RateLimit, RateLimits};
pub use config::Region;
pub use error::{ApiError, Complaint, PostHogError, QueryPosition, RequestError, RequestErrorKind};
pub use http::breaker::{CircuitBreaker, CircuitState};
pub use http::retry::{RetryMethods, RetryPolicy};
pub use layer::{PostHogLayer, PostHogLayerBuilder, SpanFields};
pub use reqwest::Method;
