//! Hosts: the address of a PostHog as people write it, read into two base addresses.

use super::shown::shown_host;
use crate::error::PostHogError;
use crate::redact::has_key;
use reqwest::Url;
use std::fmt;

/// Where PostHog Cloud keeps a project's data.
///
/// Nothing in a project API key tells its region, and PostHog accepts (and forgets) events of a key
/// that it does not know, so the region has to be right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Region {
    /// `https://us.posthog.com`, the default.
    #[default]
    Us,
    /// `https://eu.posthog.com`.
    Eu,
}

/// The two bases of one PostHog: where events go, and where the REST API answers.
///
/// On PostHog Cloud these are two hosts; anywhere else they are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hosts {
    pub(crate) capture: Base,
    pub(crate) api: Base,
}

/// Scheme, host, port and path prefix, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base(String);

impl Base {
    /// The URL of `path` (which starts with a slash, and is percent-encoded already).
    pub(crate) fn join(&self, path: &str) -> Result<Url, PostHogError> {
        Url::parse(&format!("{}{path}", self.0))
            .map_err(|e| PostHogError::config("path", format!("{path:?} is not a path: {e}")))
    }
}

#[cfg(feature = "rest")]
impl Hosts {
    /// Whether one of the two bases is on that host.
    pub(crate) fn include(&self, host: &str) -> bool {
        [&self.api, &self.capture]
            .iter()
            .any(|base| Url::parse(&base.0).is_ok_and(|url| url.host_str() == Some(host)))
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Region> for Hosts {
    fn from(region: Region) -> Self {
        let name = match region {
            Region::Us => "us",
            Region::Eu => "eu",
        };
        Self {
            capture: Base(format!("https://{name}.i.posthog.com")),
            api: Base(format!("https://{name}.posthog.com")),
        }
    }
}

/// Ends of paths that are no prefix of PostHog's but one of its endpoints.
const ENDPOINTS: [&str; 3] = ["/batch", "/i/v0/e", "/i/v1/analytics/events"];

impl Hosts {
    /// Reads a host as people write it. Empty means PostHog Cloud US; the web addresses of PostHog
    /// Cloud become its ingestion hosts; anything else stays as it is, path prefix included.
    pub(crate) fn parse(setting: &'static str, host: &str) -> Result<Self, PostHogError> {
        let bad = |problem: String| Err(PostHogError::config(setting, problem));
        let host = host.trim();
        if host.is_empty() {
            return Ok(Region::default().into());
        }
        if host.starts_with("phc_") || host.starts_with("phx_") || host.starts_with("phs_") {
            return bad(
                "this is an API key, not an address; are the variables of key and host swapped?"
                    .into(),
            );
        }
        if has_key(host) {
            return bad("the address holds what looks like an API key; remove it".into());
        }
        let url = match Url::parse(host) {
            Ok(url) if matches!(url.scheme(), "http" | "https") => url,
            _ => {
                return bad(format!(
                    "{} is not a URL; write it like https://us.posthog.com or http://localhost:8000",
                    shown_host(host)
                ));
            }
        };
        if !url.username().is_empty() || url.password().is_some() {
            return bad("a user name or password in the URL is not supported; remove it".into());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return bad(format!(
                "{} has a query or fragment; give only scheme, host and path prefix",
                shown_host(host)
            ));
        }
        let cloud = url
            .host_str()
            .is_some_and(|host| host.ends_with(".posthog.com"));
        let path = url.path().trim_end_matches('/');
        if ENDPOINTS.iter().any(|end| path.ends_with(end)) || (cloud && !path.is_empty()) {
            return bad(format!(
                "{} has a path to something; give the address without {path:?}, the crate adds the rest",
                shown_host(host)
            ));
        }
        Ok(match url.host_str() {
            Some("app.posthog.com" | "us.posthog.com" | "us.i.posthog.com") => Region::Us.into(),
            Some("eu.posthog.com" | "eu.i.posthog.com") => Region::Eu.into(),
            _ => {
                let base = Base(url.as_str().trim_end_matches('/').to_owned());
                Self {
                    capture: base.clone(),
                    api: base,
                }
            }
        })
    }
}

/// Reads the name of a host, and nothing with it, as it stands in URLs: in lower case, international names
/// in ASCII.
#[cfg(feature = "rest")]
pub(crate) fn host_name(setting: &'static str, name: &str) -> Result<String, PostHogError> {
    let url = Url::parse(&format!("http://{}/", name.trim())).ok();
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    match &url {
        Some(url) if url.as_str() == format!("http://{host}/") => Ok(host.to_owned()),
        _ => Err(PostHogError::config(
            setting,
            format!(
                "{} is not the name of a host; write it like us.posthog.com, without scheme, port and path",
                shown_host(name)
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(host: &str) -> (String, String) {
        let hosts = Hosts::parse("host", host).unwrap();
        (hosts.capture.0, hosts.api.0)
    }

    #[test]
    fn hosts_are_normalised_as_posthog_says() {
        let us = (
            "https://us.i.posthog.com".to_owned(),
            "https://us.posthog.com".to_owned(),
        );
        let eu = (
            "https://eu.i.posthog.com".to_owned(),
            "https://eu.posthog.com".to_owned(),
        );
        for host in [
            "",
            "  ",
            "https://app.posthog.com",
            "https://app.posthog.com/",
            "https://us.posthog.com/",
            " https://us.i.posthog.com ",
        ] {
            assert_eq!(bases(host), us, "{host:?}");
        }
        for host in ["https://eu.posthog.com", "https://eu.i.posthog.com/"] {
            assert_eq!(bases(host), eu, "{host:?}");
        }
        for (host, want) in [
            ("http://localhost:8000/", "http://localhost:8000"),
            (
                " https://ph.example.com/ingest// ",
                "https://ph.example.com/ingest",
            ),
        ] {
            assert_eq!(bases(host), (want.to_owned(), want.to_owned()), "{host:?}");
        }
    }

    #[test]
    fn a_path_prefix_stays_in_front_of_every_path() {
        let hosts = Hosts::parse("host", "https://proxy.example.com/ph/").unwrap();
        assert_eq!(
            hosts.capture.join("/batch/").unwrap().as_str(),
            "https://proxy.example.com/ph/batch/"
        );
    }

    #[test]
    fn bad_hosts_are_config_errors_that_show_no_password() {
        for host in [
            "eu.posthog.com",
            "ftp://x",
            "https://",
            "https://x.com/?a=b",
            "https://x.com/#f",
            "https://eu.i.posthog.com/batch/",
            "https://eu.posthog.com/project/123",
            "https://ph.example.com/ingest/i/v0/e",
            "https://me:hunter2@x.com",
            "me:hunter2@x.com",
            "phx_hunter2",
            "https://x.com/?token=hunter2",
            "https://x.com/#hunter2",
            "https://x.com/phc_hunter2/",
            "https://phx_hunter2.example.com",
            "hunter2",
        ] {
            let error = Hosts::parse("host", host).unwrap_err();
            assert!(
                matches!(
                    error,
                    PostHogError::Config {
                        setting: "host",
                        ..
                    }
                ),
                "{host:?}"
            );
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
