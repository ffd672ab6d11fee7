//! What is known about an operation, and the answer of one that returns nothing.

use serde::de::{Deserialize, Deserializer, IgnoredAny};
use std::fmt;

/// One operation of PostHog's REST API, as listed in [`OPERATIONS`](super::OPERATIONS).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// Where its method is: `dashboards.collaborators`.
    pub resource: &'static str,
    /// The method: `list`.
    pub name: &'static str,
    /// `GET`, `POST`, `PATCH`, `PUT` or `DELETE`.
    pub method: &'static str,
    /// With ids in braces; `{scope}` is `projects` or `environments`.
    pub path: &'static str,
    /// The scopes a key needs, all of them. Empty where they are not known.
    pub scopes: &'static [&'static str],
    /// What is special about it.
    pub marks: &'static [Mark],
}

/// What is special about an [`Operation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mark {
    /// PostHog offers it behind a feature flag of its own, on some plans, or after consent to AI.
    Preview,
    /// PostHog's public document of October 2025 has it, and the sources from 2026 do not. They do not list everything, so
    /// it may work as before.
    SeenIn2025Only,
    /// PostHog calls it deprecated.
    Deprecated,
    /// PostHog documents it and answers 405.
    Refused,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preview => "preview",
            Self::SeenIn2025Only => "2025-10",
            Self::Deprecated => "deprecated",
            Self::Refused => "refused",
        })
    }
}

pub(super) const fn op(
    resource: &'static str,
    name: &'static str,
    method: &'static str,
    path: &'static str,
    scopes: &'static [&'static str],
    marks: &'static [Mark],
) -> Operation {
    Operation {
        resource,
        name,
        method,
        path,
        scopes,
        marks,
    }
}

/// The answer of an operation that returns nothing: it was done. JSON that PostHog sends all the same is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done;

impl<'de> Deserialize<'de> for Done {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}
