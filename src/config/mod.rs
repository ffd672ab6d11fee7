//! Keys, hosts and the environment: what a user gives, checked and made exact.
//!
//! - [`keys`]: [`Secret`] holds a key and never shows it. Keys that can never be right are errors, unusual ones doubts.
//! - [`hosts`]: [`Hosts`] holds two base addresses, for capture and for the REST API; [`Region`] or a host decides both,
//!   and a second host the latter.
//! - [`shown`]: what an error or a `Debug` may show of a host.
//! - [`environment`]: the variables that are read.
//!
//! Invariants:
//! - A wrong setting is a [`PostHogError::Config`](crate::PostHogError::Config) that names it and says what to write. One
//!   that is unusual, or taken in another way than it was written, is a notice, which the client announces
//!   (`announcement.rs`).
//! - Nothing shows a key; errors about hosts leave out user names and passwords.
//! - Every path is appended to a base, so a path prefix stays in front of it.

pub(crate) mod environment;
mod hosts;
mod keys;
mod shown;

pub use hosts::Region;
#[cfg(feature = "rest")]
pub(crate) use hosts::host_name;
pub(crate) use hosts::{Base, Hosts};
#[cfg(feature = "flags")]
pub(crate) use keys::flags_key;
pub(crate) use keys::{Checked, Issuer, Secret, is_personal, personal_key, project_key};
pub(crate) use shown::shown_host;
