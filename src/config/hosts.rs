//! Hosts: the address of a PostHog as people write it, read into two base addresses.

use super::keys::is_key;
use super::shown::shown_host;
use crate::error::PostHogError;
use crate::redact::{excerpt, has_key};
use crate::words::words;
use reqwest::Url;
use std::fmt;

/// Where PostHog Cloud keeps a project's data.
///
/// As text, such as in a configuration file: `us`, `eu`.
///
/// ```
/// # use tracing_posthog::Region;
/// assert_eq!("eu".parse::<Region>()?, Region::Eu);
/// let error = "asia".parse::<Region>().unwrap_err();
/// assert_eq!(error.to_string(), r#"region: "asia" is unknown; write us or eu"#);
/// # Ok::<(), tracing_posthog::PostHogError>(())
/// ```
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

words! { Region, "region": Us = "us", Eu = "eu", }

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

/// Endpoints of PostHog that people copy together with its host. Longer ones come first.
const ENDPOINTS: [&str; 9] = [
    "/i/v1/analytics/events",
    "/flags/definitions",
    "/i/v0/ai",
    "/i/v0/e",
    "/capture",
    "/decide",
    "/batch",
    "/flags",
    "/e",
];

/// A setting that was read, and what is to be said about how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read<T> {
    pub(crate) value: T,
    /// A sentence that names what was removed or replaced, for a warning.
    pub(crate) notice: Option<String>,
}

impl Hosts {
    /// Reads a host as people write it. Empty means PostHog Cloud US; the web addresses of PostHog Cloud become its
    /// ingestion hosts; an endpoint at the end is removed; anything else stays as it is, path prefix included.
    pub(crate) fn parse(setting: &'static str, host: &str) -> Result<Read<Self>, PostHogError> {
        if host.trim().is_empty() {
            return Ok(Read {
                value: Region::default().into(),
                notice: None,
            });
        }
        let url = address(setting, host)?;
        let former = url.host_str() == Some("app.posthog.com");
        let (value, removed) = match region(&url) {
            Some(region) => (Self::from(region), url.path().trim_matches('/')),
            None => {
                let (base, removed) = Base::without(&url, &ENDPOINTS);
                let value = Self {
                    capture: base.clone(),
                    api: base,
                };
                (value, removed)
            }
        };
        let notice = match removed {
            "" if former => Some(format!(
                "{setting}: app.posthog.com is a former address of PostHog Cloud US; events go to {}, REST calls to {}",
                value.capture, value.api
            )),
            "" => None,
            removed => Some(removed_from(setting, removed, &value.capture)),
        };
        Ok(Read { value, notice })
    }

    /// Whether what may be told to the REST API may be told to where events go: no proxy of its own stands before these.
    #[cfg(feature = "flags")]
    pub(crate) fn trust_each_other(&self) -> bool {
        let of_cloud = |base: &Base| Url::parse(&base.0).is_ok_and(|url| is_cloud(&url));
        self.capture == self.api || of_cloud(&self.capture) && of_cloud(&self.api)
    }

    /// Whether events go to PostHog Cloud itself, not to a proxy or another server.
    pub(crate) fn is_cloud(&self) -> bool {
        let url = Url::parse(&self.capture.0);
        url.is_ok_and(|url| is_cloud(&url))
    }
}

impl Base {
    /// Reads where the REST API answers, if that is elsewhere.
    pub(crate) fn rest(setting: &'static str, host: &str) -> Result<Read<Self>, PostHogError> {
        let url = address(setting, host)?;
        let (value, removed) = match region(&url) {
            Some(region) => (Hosts::from(region).api, url.path().trim_matches('/')),
            None => Self::without(&url, &["/api"]),
        };
        let notice = (!removed.is_empty()).then(|| removed_from(setting, removed, &value));
        Ok(Read { value, notice })
    }

    /// The base of an address without one of those ends of its path, and what was removed.
    fn without<'a>(url: &'a Url, ends: &[&str]) -> (Self, &'a str) {
        let path = url.path().trim_end_matches('/');
        let end = ends.iter().find(|end| path.ends_with(**end));
        let kept = path.len() - end.map_or(0, |end| end.len());
        let origin = url.as_str().len() - url.path().len();
        let base = format!("{}{}", &url.as_str()[..origin], &path[..kept]);
        (
            Self(base.trim_end_matches('/').to_owned()),
            path[kept..].trim_matches('/'),
        )
    }
}

fn removed_from(setting: &'static str, removed: &str, base: &Base) -> String {
    format!(
        "{setting}: \"/{}\" was removed from the address, because the crate adds the paths itself; \
         it is taken for {base}",
        excerpt(removed, 100)
    )
}

fn is_cloud(url: &Url) -> bool {
    url.host_str()
        .is_some_and(|host| host.ends_with(".posthog.com"))
}

/// The region of PostHog Cloud that an address belongs to.
fn region(url: &Url) -> Option<Region> {
    match url.host_str() {
        Some("app.posthog.com" | "us.posthog.com" | "us.i.posthog.com") => Some(Region::Us),
        Some("eu.posthog.com" | "eu.i.posthog.com") => Some(Region::Eu),
        _ => None,
    }
}

/// Reads an address of a server: scheme, host, port, path prefix.
fn address(setting: &'static str, host: &str) -> Result<Url, PostHogError> {
    let bad = |problem: String| Err(PostHogError::config(setting, problem));
    let host = host.trim();
    if is_key(host) {
        return bad(
            "this is an API key, not an address; are the variables of key and host swapped?".into(),
        );
    }
    if has_key(host) {
        return bad("the address holds what looks like an API key; remove it".into());
    }
    let url = match Url::parse(host) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ => {
            return bad(format!(
                "{} is not a URL; write it like https://us.i.posthog.com or http://localhost:8000",
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
    Ok(url)
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
        let hosts = Hosts::parse("host", host).unwrap().value;
        (hosts.capture.0, hosts.api.0)
    }

    fn notice(host: &str) -> Option<String> {
        Hosts::parse("host", host).unwrap().notice
    }

    #[test]
    fn an_endpoint_at_the_end_is_removed_and_named() {
        for end in [
            "batch",
            "capture",
            "e",
            "i/v0/e",
            "i/v1/analytics/events",
            "flags",
            "decide",
        ] {
            for slashes in ["", "/", "//"] {
                for base in ["https://ph.example.com", "https://ph.example.com/ingest"] {
                    let host = format!("{base}/{end}{slashes}");
                    assert_eq!(bases(&host), (base.to_owned(), base.to_owned()), "{host}");
                    let notice = notice(&host).unwrap();
                    assert!(notice.starts_with("host: "), "{notice}");
                    assert!(notice.contains(&format!("\"/{end}\"")), "{notice}");
                    assert!(notice.contains(base), "{notice}");
                }
                let host = format!("https://eu.i.posthog.com/{end}{slashes}");
                assert_eq!(bases(&host).0, "https://eu.i.posthog.com");
                assert!(notice(&host).unwrap().contains(end));
            }
        }
        let project = "https://eu.posthog.com/project/123/";
        assert_eq!(bases(project).1, "https://eu.posthog.com");
        assert!(notice(project).unwrap().contains("\"/project/123\""));
        assert!(
            notice("https://app.posthog.com/")
                .unwrap()
                .contains("former")
        );
        for host in [
            "",
            "https://us.posthog.com",
            "https://eu.posthog.com/",
            "https://eu.i.posthog.com",
            "http://localhost:8000/",
            "https://ph.example.com/ingest/",
            // These only end like an endpoint.
            "https://ph.example.com/made",
            "https://ph.example.com/my-flags",
        ] {
            assert_eq!(notice(host), None, "{host}");
        }
    }

    #[test]
    fn the_rest_api_may_be_elsewhere() {
        for (host, base, removed) in [
            ("https://us.i.posthog.com", "https://us.posthog.com", None),
            ("https://app.posthog.com/", "https://us.posthog.com", None),
            ("https://eu.posthog.com", "https://eu.posthog.com", None),
            (
                "https://eu.posthog.com/api/",
                "https://eu.posthog.com",
                Some("\"/api\""),
            ),
            (
                "https://ph.example.com/x/",
                "https://ph.example.com/x",
                None,
            ),
            (
                "https://ph.example.com/x/api/",
                "https://ph.example.com/x",
                Some("\"/api\""),
            ),
        ] {
            let read = Base::rest("rest_host", host).unwrap();
            assert_eq!(read.value.0, base, "{host}");
            match removed {
                Some(removed) => assert!(read.notice.unwrap().contains(removed)),
                None => assert_eq!(read.notice, None),
            }
        }
        let error = Base::rest("rest_host", "phx_hunter2").unwrap_err();
        assert!(error.to_string().starts_with("rest_host: "), "{error}");
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
        let hosts = Hosts::parse("host", "https://proxy.example.com/ph/")
            .unwrap()
            .value;
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
