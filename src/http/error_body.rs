//! Refusals as errors: what may be shown of a response that says no.

use super::storage::By;
use super::{Destination, Endpoint, Http, Redirect, Response};
use crate::error::{ApiError, ErrorBody, PostHogError, Refusals};
use crate::redact::excerpt;
#[cfg(feature = "flags")]
use reqwest::Method;

impl Http {
    /// The error of a response that is no success.
    pub(crate) fn refused(&self, endpoint: &Endpoint, response: &Response) -> PostHogError {
        let status = response.status.as_u16();
        let from = match endpoint.destination {
            Destination::Capture => Refusals::Capture,
            Destination::Api => Refusals::Api,
            // What was sent is somebody's properties.
            #[cfg(feature = "flags")]
            Destination::Flags if endpoint.method == Method::POST => Refusals::Capture,
            #[cfg(feature = "flags")]
            Destination::Flags => Refusals::Api,
        };
        let said: &[u8] = match response.by {
            By::PostHog => &response.body,
            // It may repeat the signed address.
            By::Storage => b"",
        };
        let mut body = ErrorBody::read(said, from, &self.redactor);
        if let (402, Some(uri)) = (status, &body.uri) {
            // Where the limit can be raised.
            body.detail = excerpt(&format!("{}; see {uri}", body.detail), 500);
        }
        let detail = match &response.redirect {
            Some(Redirect::NotFollowed(address)) => format!(
                "it redirects to {} and this is not followed; check host and path",
                excerpt(&self.clean(address), 300)
            ),
            Some(Redirect::Followed(address)) => {
                let lost = match endpoint.destination {
                    Destination::Capture => "which may take no events",
                    _ => "which got no key",
                };
                let mut detail = format!(
                    "the HTTP client followed a redirect to {}, {lost}: set the host to \
                     that address, or give the client `redirect::Policy::none()`",
                    excerpt(&self.clean(address), 300)
                );
                if !body.detail.is_empty() {
                    detail += &format!("; the answer there: {}", body.detail);
                }
                excerpt(&detail, 500)
            }
            None if response.by == By::Storage => {
                "not PostHog's answer, but that of the storage to which it redirects for the file"
                    .to_owned()
            }
            None => body.detail,
        };
        let text = self.redactor.body(said);
        PostHogError::ApiError(Box::new(ApiError {
            operation: endpoint.operation,
            method: endpoint.method.to_string(),
            path: self.clean(&endpoint.path),
            status,
            kind: body.kind,
            code: body.code,
            detail,
            attr: body.attr,
            extra: body.extra,
            list: body.list,
            body: excerpt(&text, 2_000),
            attempts: response.attempts,
            retry_after: response.retry_after(),
        }))
    }
}
