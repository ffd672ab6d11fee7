//! Reading answers that refuse.

use super::{Call, Http, Side};
use crate::error::{Account, ApiError, PostHogError, excerpt};
use reqwest::Url;
use reqwest::header::LOCATION;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Where a redirect leads, without what may be secret in it.
pub(super) enum Redirect {
    NotFollowed(String),
    /// To the host of that address.
    Followed(String),
}

fn place(url: &Url, path: &str) -> String {
    format!("{}{path}", url.origin().ascii_serialization())
}

/// Whether the body is what capture v0 answers where it takes events.
pub(super) fn takes_events(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|answer| answer.get("status").is_some())
}

/// Why a query failed, where nobody knows.
pub(crate) const UNSAID: &str = "PostHog does not say why";

/// What PostHog answers about a query that failed in the background: with 500 where it has no words for why.
#[derive(Deserialize)]
struct Failed {
    query_status: FailedStatus,
}

#[derive(Deserialize)]
struct FailedStatus {
    #[serde(default)]
    id: String,
    error: bool,
    error_message: Option<String>,
}

impl Http {
    /// The error of a query that an answer of 5xx tells of. It is final: asked again, PostHog says the same.
    pub(super) fn failed_query(
        &self,
        call: &Call<'_>,
        status: u16,
        body: &[u8],
    ) -> Option<PostHogError> {
        if status < 500 {
            return None;
        }
        let Failed { query_status } = serde_json::from_slice(body).ok()?;
        query_status.error.then(|| PostHogError::QueryFailed {
            operation: call.operation,
            message: match query_status.error_message {
                Some(message) => excerpt(&self.clean(&message), 500),
                None => UNSAID.to_owned(),
            },
            query_id: excerpt(&self.clean(&query_status.id), 100),
        })
    }

    /// The redirect that an answer is, or comes from. Followed by a client of the caller's, a `POST` may have
    /// become a `GET` without a body.
    pub(super) fn redirect(
        &self,
        call: &Call<'_>,
        sent_to: &Url,
        answer: &reqwest::Response,
    ) -> Option<Redirect> {
        let url = answer.url();
        if answer.status().is_redirection() {
            let location = answer.headers().get(LOCATION)?.to_str().ok()?;
            let url = url.join(location).ok()?;
            return Some(Redirect::NotFollowed(place(&url, url.path())));
        }
        (call.side == Side::Capture && self.foreign_client && url != sent_to).then(|| {
            let path = url.path();
            Redirect::Followed(place(url, path.strip_suffix(call.path).unwrap_or(path)))
        })
    }

    pub(super) fn refused(
        &self,
        call: &Call<'_>,
        status: u16,
        redirect: Option<Redirect>,
        body: &[u8],
        attempts: u32,
    ) -> PostHogError {
        // A proxy that shows the request it failed on shows the key.
        let text = self.clean(&String::from_utf8_lossy(body));
        let mut account = Account::read(&text);
        if let (402, Some(uri)) = (status, &account.uri) {
            // Where the limit can be raised.
            account.detail = excerpt(&format!("{}; see {uri}", account.detail), 500);
        }
        PostHogError::ApiError(Box::new(ApiError {
            operation: call.operation,
            method: call.method.to_string(),
            path: self.clean(call.path),
            status,
            kind: account.kind,
            code: account.code,
            detail: match redirect {
                Some(Redirect::NotFollowed(place)) => format!(
                    "it redirects to {} and this is not followed; check host and path",
                    excerpt(&self.clean(&place), 300)
                ),
                Some(Redirect::Followed(place)) => {
                    let mut detail = format!(
                        "the HTTP client followed a redirect to {}, which may take no events: set the host to \
                         that address, or give the client `redirect::Policy::none()`",
                        excerpt(&self.clean(&place), 300)
                    );
                    if !account.detail.is_empty() {
                        detail += &format!("; the answer there: {}", account.detail);
                    }
                    excerpt(&detail, 500)
                }
                None => account.detail,
            },
            attr: account.attr,
            extra: account.extra,
            list: account.list,
            body: excerpt(&text, 2_000),
            attempts,
            retry_after: Duration::ZERO,
        }))
    }
}
