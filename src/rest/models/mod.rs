//! What the REST API answers, as structs; and what it is given to create things.
//!
//! All models are tolerant, as PostHog's answers differ between versions and plans:
//!
//! - A field that is missing or `null` is `None`, or an empty list or map.
//! - A field that no struct names, or whose value does not fit its type, is kept untouched in `extra`,
//!   under its name. No JSON object is ever refused; anything but an object is an error.
//! - Numbers are also read from text (`"12"`) and from floats without a fraction, text also from numbers.
//! - Enums keep values that they do not know in `Other`.
//! - Models write what they hold and what is in `extra`; what is missing or empty they do not write.
//!   To send a `null` or an empty list, put it in `extra`.
//!
//! To create or change things, [`NewFeatureFlag`], [`FeatureFlagChange`], [`NewSurvey`] and their like write
//! only what was set. Where there is none, a model makes a body too (`let mut export =
//! BatchExport::default();`), and so does any `Serialize`.
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
pub use flags::*;
pub use generated::*;
pub use macros::{Hidden, Object};
pub use organizations::*;
pub use people::*;
pub use pipelines::*;
pub use projects::*;
pub use query::*;
pub use recordings::*;
pub use shared::*;
