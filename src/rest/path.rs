//! [`At`]: the path of a resource, built segment by segment.
//!
//! Invariant: an id from a caller stays within its segment. It is percent-encoded, and an id that a server would read as
//! "here" or "one up" is an error.

use super::request::{ApiCall, Problem, Request, is_dots};
use crate::client::PostHogClient;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use std::fmt::{self, Display};

/// Everything but letters, digits and what a path segment may hold unencoded.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'@')
    .remove(b'$');

/// The place of a resource: a client and the path so far, without a trailing slash.
#[derive(Clone)]
pub(crate) struct At {
    client: PostHogClient,
    path: Result<String, Problem>,
}

/// One step from a place: see the methods of [`At`].
pub(crate) enum Step<'a> {
    Under(&'static str),
    Down(&'static str),
    Id(&'static str, &'a dyn Display),
}

impl fmt::Debug for At {
    /// Shows the path, without keys that were given as ids.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or_default();
        f.write_str(&self.client.inner.http.clean(path))
    }
}

impl At {
    pub(crate) fn root(client: &PostHogClient) -> Self {
        Self {
            client: client.clone(),
            path: Ok(String::new()),
        }
    }

    pub(crate) fn client(&self) -> &PostHogClient {
        &self.client
    }

    /// Appends fixed segments, such as `feature_flags` or `error_tracking/issues`.
    pub(crate) fn down(&self, segments: &'static str) -> Self {
        let mut at = self.clone();
        if let Ok(path) = &mut at.path {
            path.push('/');
            path.push_str(segments);
        }
        at
    }

    /// Appends one id, percent-encoded. `name` is the name of the parameter, for the error.
    pub(crate) fn id(&self, name: &'static str, id: &dyn Display) -> Self {
        let mut at = self.clone();
        if let Ok(path) = &mut at.path {
            let id = id.to_string();
            if id.is_empty() || is_dots(&id) {
                at.path = Err(Problem {
                    setting: name,
                    problem: format!("{id:?} cannot stand in a path; give the id of the object"),
                });
            } else {
                path.push('/');
                path.extend(utf8_percent_encode(&id, SEGMENT));
            }
        }
        at
    }

    /// The same place under the other prefix of a project: `projects` or `environments`.
    pub(crate) fn under(&self, prefix: &str) -> Self {
        let mut at = self.clone();
        if let Ok(path) = &mut at.path
            && let Some(rest) = path
                .strip_prefix("/api/projects/")
                .or_else(|| path.strip_prefix("/api/environments/"))
        {
            *path = format!("/api/{prefix}/{rest}");
        }
        at
    }

    /// A request to a place below this one. `tail` is the end of the path, nearly always `/`. One call does it all,
    /// because there are more than a thousand methods that make one.
    pub(crate) fn request<A, P>(
        &self,
        operation: &'static str,
        method: Method,
        steps: &[Step<'_>],
        tail: &'static str,
    ) -> Request<A, P> {
        Request::new(self.below(steps).call(operation, method, tail))
    }

    fn below(&self, steps: &[Step<'_>]) -> Self {
        steps.iter().fold(self.clone(), |at, step| match step {
            Step::Under(prefix) => at.under(prefix),
            Step::Down(segments) => at.down(segments),
            Step::Id(name, id) => at.id(name, *id),
        })
    }

    /// A call to this place.
    pub(crate) fn call(
        &self,
        operation: &'static str,
        method: Method,
        tail: &'static str,
    ) -> ApiCall {
        let path = self.path.clone().map(|path| path + tail);
        ApiCall::new(&self.client, operation, method, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> PostHogClient {
        let builder = PostHogClient::builder().personal_api_key("phx_a");
        builder.build().unwrap()
    }

    fn path(id: &str) -> Result<String, String> {
        let at = At::root(&client())
            .down("api/projects")
            .id("project_id", &id);
        at.path.map_err(|p| format!("{}: {}", p.setting, p.problem))
    }

    #[test]
    fn a_project_has_two_prefixes() {
        let client = client();
        let at = At::root(&client)
            .down("api/environments")
            .id("project_id", &"/api/projects/");
        let path = |at: At| at.path.unwrap();
        assert_eq!(
            path(at.under("projects").down("x")),
            "/api/projects/%2Fapi%2Fprojects%2F/x"
        );
        assert_eq!(path(at.under("environments")), path(at));
        let elsewhere = At::root(&client).down("api/users");
        assert_eq!(path(elsewhere.under("projects")), "/api/users");
    }

    #[test]
    fn ids_stay_in_their_segment() {
        for (id, want) in [
            ("12", "12"),
            ("@me", "@me"),
            ("a/b", "a%2Fb"),
            ("../x", "..%2Fx"),
            ("a?b#c", "a%3Fb%23c"),
            ("%2e%2e", "%252e%252e"),
            ("ä b", "%C3%A4%20b"),
        ] {
            let got = path(id);
            if id == "%2e%2e" {
                assert!(got.is_err());
            } else {
                assert_eq!(got.unwrap(), format!("/api/projects/{want}"));
            }
        }
        for id in ["", ".", "..", "%2E."] {
            let error = path(id).unwrap_err();
            assert!(error.starts_with("project_id: "), "{error}");
        }
    }
}
