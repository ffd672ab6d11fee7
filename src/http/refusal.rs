//! Reading answers that refuse.

use super::{Call, Http};
use crate::error::{Account, ApiError, PostHogError, excerpt};
use reqwest::header::LOCATION;
use serde::Deserialize;
use std::time::Duration;

/// Where a redirect leads that was not followed, without what may be secret in it.
pub(super) fn leads_to(answer: &reqwest::Response) -> Option<String> {
    if !answer.status().is_redirection() {
        return None;
    }
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    let url = answer.url().join(location).ok()?;
    Some(format!(
        "{}{}",
        url.origin().ascii_serialization(),
        url.path()
    ))
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
            query_id: query_status.id,
        })
    }

    pub(super) fn refused(
        &self,
        call: &Call<'_>,
        status: u16,
        leads_to: Option<String>,
        body: &[u8],
        attempts: u32,
    ) -> PostHogError {
        // A proxy that shows the request it failed on shows the key.
        let text = self.clean(&String::from_utf8_lossy(body));
        let account = Account::read(&text);
        PostHogError::ApiError(Box::new(ApiError {
            operation: call.operation,
            method: call.method.to_string(),
            path: self.clean(call.path),
            status,
            kind: account.kind,
            code: account.code,
            detail: match leads_to {
                Some(place) => format!(
                    "it redirects to {} and this is not followed; check host and path",
                    excerpt(&self.clean(&place), 300)
                ),
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
