//! Reading answers that refuse.

use super::{Call, Http};
use crate::error::{Account, ApiError, PostHogError, excerpt};
use reqwest::header::LOCATION;

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

impl Http {
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
        }))
    }
}
