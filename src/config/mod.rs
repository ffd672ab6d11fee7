//! Keys, hosts and the environment: what a user gives, checked and made exact.
//!
//! - [`keys`]: [`Secret`] holds a key and never shows it.
//! - [`hosts`]: [`Hosts`] holds two base addresses, for capture and for the REST API; [`Region`] or a host decides both.
//! - [`shown`]: what an error or a `Debug` may show of a host.
//! - [`environment`]: the variables that are read.
//!
//! Invariants: a wrong setting is a [`PostHogError::Config`](crate::PostHogError::Config) that names it and says what to
//! write; errors about hosts leave out user names and passwords; every path is appended to a base, so a path prefix
//! stays in front of it.

pub(crate) mod environment;
mod hosts;
mod keys;
mod shown;

pub(crate) use hosts::Hosts;
pub use hosts::Region;
#[cfg(feature = "rest")]
pub(crate) use hosts::host_name;
pub(crate) use keys::{Secret, personal_key, project_key};
pub(crate) use shown::shown_host;
