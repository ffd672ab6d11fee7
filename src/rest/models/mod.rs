//! What the REST API answers, as structs; and what it is given to create things.
//!
//! PostHog's answers differ between versions and plans, so models take any JSON object, and lose nothing of it:
//!
//! - A field that is missing or `null` is `None`, or an empty list or map. An empty text is `Some("")`.
//! - What no field of the model takes is in `extra`, untouched, under its name: fields that this version does not know,
//!   and values of another type. A list or a map with one item that does not fit is there whole, so look there where one
//!   is empty against expectation.
//! - Text is read as a number only if it is one (`"12"`; not `"007"`), a float as an integer only if it has no
//!   fraction. Integers beyond `i64`, and those that a float cannot hold, are in `extra`.
//! - Ids that PostHog sends as numbers in one place and as text in another are text: `7` is read as `"7"`, and written so.
//! - Enums keep values that they do not know in `Other`.
//! - An object that has a name twice is an error, and so is anything but an object.
//! - Integers beyond 64 bits are rounded before a model sees them;
//!   [`send_for_text`](crate::rest::Request::send_for_text) gives the JSON as it came.
//!
//! A model writes its fields and `extra`. What is missing or empty it does not write: put a `null` or an empty list
//! into `extra` to send it. To create or change things, use [`bodies`](crate::rest::bodies).
//!
//! [`Event`] is also the name of another thing at the crate's root: import the models that you use, not all of them
//! beside `tracing_posthog::*`.
//!
//! Times are [`Time`](crate::rest::Time): PostHog's text, kept as it is, and a point in time to compute with. A time
//! that is no text stays in `extra`. Secrets, such as the tokens of shared dashboards, are [`Hidden`] from `{:?}`.
//!
//! ```
//! use tracing_posthog::rest::models::FeatureFlag;
//! let flag: FeatureFlag = serde_json::from_str(
//!     r#"{"id": 7, "key": "beta-ui", "active": true, "tags": null, "brand_new": {"a": 1}}"#,
//! )?;
//! assert_eq!(flag.key.as_deref(), Some("beta-ui"));
//! assert!(flag.tags.is_empty());
//! assert_eq!(flag.extra["brand_new"]["a"], 1);
//! # Ok::<(), serde_json::Error>(())
//! ```

mod activity;
mod dashboards;
mod error_tracking;
mod events;
mod experiments;
pub(crate) mod field;
mod flags;
mod generated;
pub(crate) mod macros;
mod organizations;
mod people;
mod pipelines;
mod projects;
mod query;
mod recordings;
mod shared;

pub use activity::*;
pub use dashboards::*;
pub use error_tracking::*;
pub use events::*;
pub use experiments::*;
pub use field::{Hidden, Object};
pub use flags::*;
pub use generated::*;
pub use organizations::*;
pub use people::*;
pub use pipelines::*;
pub use projects::*;
pub use query::*;
pub use recordings::*;
pub use shared::*;
