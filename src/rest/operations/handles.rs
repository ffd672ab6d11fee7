//! Where the resources of a project, an environment, an organization or a user start.

use crate::client::PostHogClient;
use crate::rest::path::At;
use std::fmt::Display;

/// A project: most resources of PostHog hang under one. From [`PostHogClient::project`].
#[derive(Debug, Clone)]
pub struct Project {
    pub(crate) at: At,
}

/// A project by its older path, `/api/environments/`. From [`PostHogClient::environment`].
///
/// Its resources are those of a [`Project`] that PostHog serves there; their types are the same.
#[derive(Debug, Clone)]
pub struct Environment {
    pub(crate) at: At,
}

/// An organization. From [`PostHogClient::organization`].
#[derive(Debug, Clone)]
pub struct Organization {
    pub(crate) at: At,
}

/// A user. From [`PostHogClient::user`] or [`PostHogClient::user_me`].
#[derive(Debug, Clone)]
pub struct User {
    pub(crate) at: At,
}

impl PostHogClient {
    /// The project of that id, or `@current`: the one of the key's user.
    pub fn project(&self, id: impl Display) -> Project {
        Project {
            at: At::root(self).down("api/projects").id("project_id", &id),
        }
    }

    /// The project of that id by its older path, `/api/environments/`. Prefer
    /// [`project`](Self::project) where it has what you need.
    pub fn environment(&self, id: impl Display) -> Environment {
        Environment {
            at: At::root(self)
                .down("api/environments")
                .id("project_id", &id),
        }
    }

    /// The organization of that id, or `@current`.
    pub fn organization(&self, id: impl Display) -> Organization {
        Organization {
            at: At::root(self)
                .down("api/organizations")
                .id("organization_id", &id),
        }
    }

    /// The user of that uuid.
    pub fn user(&self, uuid: impl Display) -> User {
        User {
            at: At::root(self).down("api/users").id("uuid", &uuid),
        }
    }

    /// The user whose key it is.
    pub fn user_me(&self) -> User {
        self.user("@me")
    }
}
