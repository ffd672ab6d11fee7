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
//! - PostHog's own host is a storage only by a signed address: otherwise it redirects to another page of its own, such as
//!   its login, or to its `https`. What else is no storage shows by its HTML, which [`is_page`] finds.
//! - Only a `GET`, and only to `https`, or to `http` where PostHog's own address is of that scheme.
//! - The address is a secret for as long as its signature is good: it shows in no error, log line or span. So is what the
//!   storage says about a refusal, which may repeat it.

use super::Http;
use super::attempt::Failed;
use super::request::{Redirects, Request};
use super::response::Response;
use crate::error::RequestErrorKind;
use reqwest::header::{CONTENT_TYPE, LOCATION};
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
    let is_storage = !is_own_page(&address, sent_to);
    (is_storage && may_follow(&address, sent_to.scheme())).then_some(address)
}

/// Whether it is an address of PostHog itself, rather than of a file at PostHog's host.
fn is_own_page(address: &Url, own: &Url) -> bool {
    let (Some(host), Some(own_host)) = (address.host_str(), own.host_str()) else {
        return false;
    };
    let subdomain = host.strip_suffix(own_host);
    let is_own = subdomain.is_some_and(|left| left.is_empty() || left.ends_with('.'));
    let is_signed = address.query_pairs().any(|(name, _)| {
        let name = name.to_ascii_lowercase();
        name == "sig" || name.ends_with("signature")
    });
    is_own && !is_signed
}

/// Whether the answer to a request for a file is a page for people, such as that of a login, and not the file.
pub(crate) fn is_page(response: &Response, path: &str, parameters: &[(String, String)]) -> bool {
    let kind = response.headers.get(CONTENT_TYPE);
    let is_html = kind.is_some_and(|kind| {
        let kind = kind.as_bytes().trim_ascii_start();
        kind.len() >= 9 && kind[..9].eq_ignore_ascii_case(b"text/html")
    });
    let asks_for_it = |text: &str| text.to_ascii_lowercase().contains("html");
    let is_asked_for = asks_for_it(path) || parameters.iter().any(|(_, value)| asks_for_it(value));
    is_html && !is_asked_for
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
    let is_elsewhere =
        answer.url().origin() != sent_to.origin() && !is_own_page(answer.url(), sent_to);
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
    fn pages_of_posthog_itself_are_no_storage() {
        let own = Url::parse("https://ph.example/api/projects/1/exports/7/content/").unwrap();
        for (address, want) in [
            ("https://ph.example/login?next=/api/", true),
            ("http://ph.example/api/", true),
            ("https://ph.example:8443/api/", true),
            ("https://login.ph.example/", true),
            ("https://other-ph.example/login", false),
            ("https://bucket.example/a", false),
            ("https://ph.example/bucket/a?X-Amz-Signature=1", false),
            (
                "https://ph.example/bucket/a?AWSAccessKeyId=1&Signature=2",
                false,
            ),
            ("https://files.ph.example/a?se=1&sig=2", false),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(is_own_page(&url, &own), want, "{address}");
        }
    }

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
