//! Files that PostHog keeps in object storage: it answers a redirect to an address that is signed for a short time.
//!
//! ```text
//! GET …/content/ with our key ──► PostHog: 302 to https://bucket/…?signature
//!                                    │ only of a request for a file
//! GET that address, as it stands ◄───┘     no key, header or cookie of ours
//! ```
//!
//! Invariants:
//! - One such step; what the storage redirects to elsewhere is not followed.
//! - Only a `GET`, and only to `https`, or to `http` where PostHog's own address is of that scheme.
//! - The address is a secret for as long as its signature is good: it shows in no error, log line or span. So is what the
//!   storage says about a refusal, which may repeat it.

use super::Http;
use super::attempt::Failed;
use super::request::{Redirects, Request};
use crate::error::RequestErrorKind;
use reqwest::header::LOCATION;
use reqwest::{Method, Url};

/// The address of the file that a response redirects to, if the request may follow it.
pub(super) fn address(request: &Request, sent_to: &Url, answer: &reqwest::Response) -> Option<Url> {
    let is_asked_for =
        request.redirects == Redirects::ToStorage && request.endpoint.method == Method::GET;
    if !is_asked_for || !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = answer.headers().get(LOCATION)?.to_str().ok()?;
    let address = answer.url().join(location).ok()?;
    may_follow(&address, sent_to.scheme()).then_some(address)
}

/// Whether a file may be read from there by a client whose own PostHog has that scheme.
fn may_follow(address: &Url, own_scheme: &str) -> bool {
    let is_safe = match address.scheme() {
        "https" => true,
        "http" => own_scheme == "http",
        _ => false,
    };
    // Credentials in it would become a header.
    is_safe && address.has_host() && address.username().is_empty() && address.password().is_none()
}

impl Http {
    /// Asks the storage for the file.
    pub(super) async fn fetch_file(&self, address: Url) -> Result<reqwest::Response, Failed> {
        #[cfg(not(any(
            feature = "rustls",
            feature = "rustls-no-provider",
            feature = "native-tls"
        )))]
        if address.scheme() == "https" && !super::no_tls::is_compiled() {
            return Err(Failed {
                kind: RequestErrorKind::Setup,
                source: Some(super::no_tls::NO_TLS_FOR_FILES.into()),
                by: By::Storage,
            });
        }
        let client = self.bare_client().map_err(|error| Failed {
            kind: RequestErrorKind::ClientSetup,
            source: Some(error),
            by: By::Storage,
        })?;
        let sent = client.get(address).send().await;
        sent.map_err(|error| Failed::from(error).by(By::Storage))
    }
}

/// Who answered a request: a client of the caller's follows redirects by itself.
pub(super) fn who_answered(request: &Request, sent_to: &Url, answer: &reqwest::Response) -> By {
    let is_elsewhere = answer.url().origin() != sent_to.origin();
    match request.redirects == Redirects::ToStorage && is_elsewhere {
        true => By::Storage,
        false => By::PostHog,
    }
}

/// Who answered, or failed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    PostHog,
    /// PostHog redirected to it, so PostHog is well.
    Storage,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_as_safe_as_posthogs_own_are_followed() {
        for (address, own, want) in [
            ("https://bucket.example/a?sig=1", "https", true),
            ("https://bucket.example/a?sig=1", "http", true),
            ("http://minio:19000/a?sig=1", "http", true),
            ("http://bucket.example/a?sig=1", "https", false),
            ("https://user@bucket.example/a", "https", false),
            ("https://user:pw@bucket.example/a", "https", false),
            ("https://:pw@bucket.example/a", "https", false),
            ("file:///etc/passwd", "http", false),
            ("ftp://bucket.example/a", "https", false),
            ("data:text/plain,a", "https", false),
            ("ws://bucket.example/a", "http", false),
            ("s3://bucket/a", "https", false),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(may_follow(&url, own), want, "{address} from {own}");
        }
    }
}
