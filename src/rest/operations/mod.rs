//! Every operation of PostHog's REST API, what a personal API key opens, as a method.
//!
//! One starts from a [`Project`], an [`Environment`], an [`Organization`], a [`User`] or, for what
//! stands above them, the [`PostHogClient`](crate::PostHogClient), and goes down to a resource:
//!
//! ```no_run
//! # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
//! use serde_json::json;
//! let project = client.project(12345);
//! let flags = project.feature_flags().list().limit(20).search("beta").await?;
//! project.feature_flags().update(7, &json!({"active": false})).await?;
//! let sharing = project.dashboards().sharing(3).list().await?;
//! # Ok(())
//! # }
//! ```
//!
//! - `list`, `create`, `get`, `update` (the given fields), `replace` (all of it) and `delete` are what
//!   they say; every other method has the name of PostHog's action. Where PostHog keeps what is
//!   deleted and marks it, `delete` does that, and `hard_delete` is the `DELETE` that PostHog mostly
//!   refuses.
//! - Ids are anything that is `Display`, bodies anything that is `Serialize`, and the answer can be
//!   asked for as any type: [`send_as`](crate::rest::Request::send_as).
//! - Query parameters are methods of the request; those that PostHog requires are arguments.
//! - Nothing is sent until the [`Request`](crate::rest::Request) is awaited.
//! - [`OPERATIONS`] lists them all, with paths and the scopes that a key needs.

mod handles;
mod macros;
mod operation;
mod prelude;
mod request;
/// The resources of PostHog, whose methods are its operations.
pub mod resources;

pub(crate) use handles::{Environment, Organization, Project, User};
pub use operation::{Done, Mark, Operation};
pub use resources::{OPERATIONS, params, values};
