//! Which redirects are followed, and how others are described.
//!
//! Followed are those that keep scheme, host, port and method (307 and 308), at most four in a row. Others end the attempt with
//! their status; the error says where they lead, without the query, which may be a signature. Redirects to files are
//! [`storage`](super::storage)'s.

use super::Http;
use super::request::{Destination, Request};
use super::storage::{self, By};
use crate::redact::vouched_path;
use reqwest::Url;
use reqwest::header::LOCATION;

/// A redirect that the caller should know of. Addresses are without query and credentials.
#[derive(Debug)]
pub(crate) enum Redirect {
    /// The response is a redirect to this address.
    NotFollowed(String),
    /// The caller's own client followed one, to the host of this address.
    Followed(String),
}

impl Redirect {
    /// The redirect that a response is, or comes from. Followed by a client of the caller's, a `POST` may have
    /// become a `GET` without a body.
    pub(super) fn of(
        http: &Http,
        request: &Request,
        sent_to: &Url,
        answer: &reqwest::Response,
    ) -> Option<Self> {
        let url = answer.url();
        if answer.status().is_redirection() {
            let location = answer.headers().get(LOCATION)?.to_str().ok()?;
            let url = url.join(location).ok()?;
            return Some(Self::NotFollowed(address(&url, url.path())));
        }
        let capture = request.endpoint.destination == Destination::Capture;
        // Without the key, which stays with the first host. A storage needs none.
        let refused = !answer.status().is_success()
            && url.origin() != sent_to.origin()
            && storage::who_answered(request, sent_to, answer) == By::PostHog;
        (http.foreign_client && url != sent_to && (capture || refused)).then(|| {
            let path = url.path();
            let base = path.strip_suffix(&*request.endpoint.path).unwrap_or(path);
            Self::Followed(address(url, base))
        })
    }
}

/// Of a foreign address the host, and the path where it is made of plain words: it may hold what was sent.
fn address(url: &Url, path: &str) -> String {
    let shown = vouched_path(path).unwrap_or("/…");
    format!("{}{shown}", url.origin().ascii_serialization())
}

/// Follows a redirect only where it can neither take the key (in a header or the body) to another host nor turn a
/// `POST` into a `GET`.
pub(super) fn policy(attempt: reqwest::redirect::Attempt<'_>) -> reqwest::redirect::Action {
    let same_place = attempt.previous().first().is_some_and(|first| {
        let next = attempt.url();
        first.host_str() == next.host_str()
            && first.port_or_known_default() == next.port_or_known_default()
            && first.scheme() == next.scheme()
    });
    let keeps_method = matches!(attempt.status().as_u16(), 307 | 308);
    if same_place && keeps_method && attempt.previous().len() < 5 {
        attempt.follow()
    } else {
        attempt.stop()
    }
}
