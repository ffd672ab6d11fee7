//! Reading answers that refuse.

use super::{Endpoint, Http, Redirect, Response};
use crate::error::{Account, ApiError, PostHogError, excerpt};
use std::time::Duration;

impl Http {
    pub(crate) fn refused(&self, endpoint: &Endpoint, response: &Response) -> PostHogError {
        let status = response.status.as_u16();
        // A proxy that shows the request it failed on shows the key.
        let text = self.clean(&String::from_utf8_lossy(&response.body));
        let mut account = Account::read(&text);
        if let (402, Some(uri)) = (status, &account.uri) {
            // Where the limit can be raised.
            account.detail = excerpt(&format!("{}; see {uri}", account.detail), 500);
        }
        PostHogError::ApiError(Box::new(ApiError {
            operation: endpoint.operation,
            method: endpoint.method.to_string(),
            path: self.clean(&endpoint.path),
            status,
            kind: account.kind,
            code: account.code,
            detail: match &response.redirect {
                Some(Redirect::NotFollowed(place)) => format!(
                    "it redirects to {} and this is not followed; check host and path",
                    excerpt(&self.clean(place), 300)
                ),
                Some(Redirect::Followed(place)) => {
                    let mut detail = format!(
                        "the HTTP client followed a redirect to {}, which may take no events: set the host to \
                         that address, or give the client `redirect::Policy::none()`",
                        excerpt(&self.clean(place), 300)
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
            attempts: response.attempts,
            retry_after: Duration::ZERO,
        }))
    }
}
