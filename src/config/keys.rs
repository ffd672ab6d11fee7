//! Keys: checked when a client is built, and never shown.
//!
//! A key that can never be right is an error. PostHog takes the events of a key that it does not know and forgets them,
//! so nothing else would say that it is wrong. A key that is unusual but possible is a doubt, which the client warns of
//! at its start: self-hosted servers and old projects have keys without a prefix.
//!
//! No message holds a key or a part of one.

use crate::error::PostHogError;
use std::fmt;

/// A key that never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

/// How keys of PostHog begin that are sent to it: of projects, of persons, of a project's server side, of OAuth.
const PREFIXES: [&str; 4] = ["phc_", "phx_", "phs_", "pha_"];
/// PostHog makes keys of 46 characters and more.
const SHORTEST_MADE: usize = 40;
/// Keys that older versions made have no prefix and 43 characters.
const SHORTEST_WITHOUT_PREFIX: usize = 20;
/// The longest project key that the capture endpoints take.
const LONGEST_PROJECT_KEY: usize = 64;

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is one that may read the definitions of flags: an OAuth access token is not.
    #[cfg(feature = "flags")]
    pub(crate) fn reads_flags(&self) -> bool {
        prefix(&self.0) != Some("pha_")
    }

    /// How a key begins, for a person to recognise it by: `phc_abc…`. Of a short key only the prefix.
    pub(crate) fn beginning(&self) -> String {
        let prefix = prefix(&self.0).unwrap_or_default();
        let shown = match self.0.len() >= SHORTEST_WITHOUT_PREFIX {
            true => prefix.len() + 3,
            false => prefix.len(),
        };
        format!("{}…", self.0.get(..shown).unwrap_or(prefix))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[redacted]", prefix(&self.0).unwrap_or_default())
    }
}

fn prefix(key: &str) -> Option<&'static str> {
    PREFIXES.into_iter().find(|prefix| key.starts_with(prefix))
}

/// Whether a text begins like a key.
pub(crate) fn is_key(text: &str) -> bool {
    prefix(text).is_some()
}

/// Whether a key says of itself that it is for the REST API.
pub(crate) fn is_personal(key: &str) -> bool {
    prefix(key.trim()).is_some_and(|prefix| prefix != "phc_")
}

/// Whose keys are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Issuer {
    /// PostHog Cloud: its keys have a known form.
    Cloud,
    /// A PostHog or proxy of somebody's own, whose keys may have any form.
    SelfHosted,
}

/// A key that may be right, and what speaks against it.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) key: Secret,
    /// A sentence about it, for a warning.
    pub(crate) doubt: Option<String>,
}

/// The key without white space around it, unless it can be no key at all.
fn plausible<'a>(setting: &'static str, key: &'a str) -> Result<&'a str, PostHogError> {
    let key = key.trim();
    match mistake(key) {
        Some(problem) => Err(PostHogError::config(setting, problem)),
        None => Ok(key),
    }
}

/// Checks a project API key (`phc_…`): what the capture endpoints refuse, and what can only be a mistake.
pub(crate) fn project_key(
    setting: &'static str,
    key: &str,
    issuer: Issuer,
) -> Result<Checked, PostHogError> {
    let bad = |problem: &str| Err(PostHogError::config(setting, problem));
    let key = plausible(setting, key)?;
    match prefix(key) {
        Some("phc_") => {}
        Some("pha_") => {
            return bad(
                "this is an OAuth access token (pha_…), which must not be used to send events; \
                 give the project API key (phc_…) of the project's settings",
            );
        }
        Some(_) => {
            return bad(
                "this is a personal or secret API key (phx_… or phs_…), which must not be used to send events; \
                 give the project API key (phc_…) of the project's settings",
            );
        }
        None => {}
    }
    if key.len() > LONGEST_PROJECT_KEY {
        return bad(
            "a project API key has at most 64 characters; copy it again from the project's settings",
        );
    }
    check(setting, key, issuer, "phc_…", "the project's settings")
}

/// Checks a personal API key (`phx_…`), a project secret key (`phs_…`) or an OAuth access token (`pha_…`).
pub(crate) fn personal_key(
    setting: &'static str,
    key: &str,
    issuer: Issuer,
) -> Result<Checked, PostHogError> {
    let key = plausible(setting, key)?;
    if prefix(key) == Some("phc_") {
        return Err(PostHogError::config(
            setting,
            "this is a project API key (phc_…), which only sends events; \
             the REST API needs a personal API key (phx_…) of your account's settings",
        ));
    }
    check(setting, key, issuer, "phx_…", "your account's settings")
}

/// Checks a key that reads the definitions of flags: a project secret key (`phs_…`) or a personal API key (`phx_…`).
#[cfg(feature = "flags")]
pub(crate) fn flags_key(
    setting: &'static str,
    key: &str,
    issuer: Issuer,
) -> Result<Checked, PostHogError> {
    let key = plausible(setting, key)?;
    let what = match prefix(key) {
        Some("phc_") => "this is a project API key (phc_…), which only sends events",
        Some("pha_") => "this is an OAuth access token (pha_…), which is for the REST API",
        _ => return check(setting, key, issuer, "phs_…", "the project's settings"),
    };
    Err(PostHogError::config(
        setting,
        format!(
            "{what}; definitions of feature flags are read with the secret key (phs_…) of the project's settings, \
             or with a personal API key (phx_…) that has the scope feature_flag:read"
        ),
    ))
}

/// Whether the form of a key is one that its PostHog gives out.
fn check(
    setting: &'static str,
    key: &str,
    issuer: Issuer,
    usual: &str,
    place: &str,
) -> Result<Checked, PostHogError> {
    let cloud = issuer == Issuer::Cloud;
    let doubt = match prefix(key) {
        None if cloud && key.len() < SHORTEST_WITHOUT_PREFIX => {
            return Err(PostHogError::config(
                setting,
                format!(
                    "the key has {} characters and does not begin like one of PostHog Cloud ({usual}); \
                     copy it again from {place}",
                    key.len()
                ),
            ));
        }
        None => Some(format!(
            "the key does not begin like PostHog's ({usual}), and only old or self-hosted projects have such keys; \
             if nothing arrives, copy it again from {place}"
        )),
        Some(_) if cloud && key.len() < SHORTEST_MADE => Some(format!(
            "the key has {} characters, fewer than those of PostHog Cloud, and may be cut off; \
             if nothing arrives, copy it again from {place}",
            key.len()
        )),
        Some(_) => None,
    };
    Ok(Checked {
        key: Secret(key.to_owned()),
        doubt: doubt.map(|doubt| format!("{setting}: {doubt}")),
    })
}

/// What is wrong with a text that can be no key of any PostHog, and what to do about it.
fn mistake(key: &str) -> Option<String> {
    let has = |characters: &str| key.contains(|c| characters.contains(c));
    let problem = if key.is_empty() {
        "the key is empty"
    } else if has("\"'`‘’“”«»") {
        "the key has quotes in it; remove them (Docker's `--env-file` keeps the quotes of a value)"
    } else if is_template(key) {
        "this is a template, and nothing has put the key into it; check that the variable is set where it is expanded"
    } else if is_placeholder(key) {
        "this is a placeholder, not a key; give the key that PostHog's settings show"
    } else if key.contains("://") || key.ends_with(".posthog.com") {
        "this is an address, not a key; are the variables of key and host swapped?"
    } else if key.split_once('=').is_some_and(|(name, _)| is_name(name)) {
        "this begins with a name and `=`; give only the key, which comes after it"
    } else if !key.is_ascii() {
        "the key has characters that are not ASCII; copy it again"
    } else if key
        .bytes()
        .any(|b| b.is_ascii_whitespace() || b.is_ascii_control())
    {
        "the key has white space or control characters inside; copy it again"
    } else if has("<>{}[]()$%,;\\|&#?!") {
        "the key has punctuation that no key of PostHog has; copy it again"
    } else {
        return None;
    };
    Some(problem.to_owned())
}

/// Whether a text is one of those that a shell, a template or a pipeline was to replace.
fn is_template(key: &str) -> bool {
    let around = |open: &str, close: &str| key.starts_with(open) && key.ends_with(close);
    key.contains("${")
        || key.contains("{{")
        || key.contains("$(")
        || key.strip_prefix('$').is_some_and(is_name)
        || around("%", "%")
        || around("<", ">")
        || around("{", "}")
        || around("[", "]")
}

/// Whether a text is a name as variables have them.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// What programs write where they have no value, and people where a key is to be filled in.
const PLACEHOLDERS: [&str; 31] = [
    "undefined",
    "null",
    "none",
    "nil",
    "nan",
    "true",
    "false",
    "empty",
    "unset",
    "missing",
    "todo",
    "tbd",
    "fixme",
    "key",
    "apikey",
    "api_key",
    "token",
    "secret",
    "dummy",
    "changeme",
    "change_me",
    "replaceme",
    "replace_me",
    "placeholder",
    "project_key",
    "project_api_key",
    "personal_key",
    "personal_api_key",
    "posthog_key",
    "posthog_api_key",
    "ph_project_api_key",
];

fn is_placeholder(key: &str) -> bool {
    // A word behind a prefix is what tests have for a key.
    let rest = prefix(key).map_or(key, |prefix| &key[prefix.len()..]);
    let rest = rest.to_lowercase().replace([' ', '-', '.'], "_");
    let first = rest.chars().next();
    // `phc_` alone, `phc_xxxx`, `***`, `phc_...`
    let repeats = rest.chars().count() >= 3 && rest.chars().all(|c| Some(c) == first);
    rest.is_empty()
        || repeats
        || key.ends_with("...")
        || key.ends_with('…')
        || (prefix(key).is_none() && PLACEHOLDERS.contains(&&*rest))
        || rest.starts_with("your")
        || rest.ends_with("_here")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOUD_KEY: &str = "phc_7Q2wZb3kXv9TnLm4RsYp8HdGjF6cAe1UoNiEtWqBxMz";

    fn project(key: &str, issuer: Issuer) -> Result<Checked, String> {
        project_key("POSTHOG_API_KEY", key, issuer).map_err(|e| e.to_string())
    }

    #[test]
    fn a_key_that_can_never_be_right_is_an_error_with_a_remedy_and_without_the_key() {
        for (key, says) in [
            ("", "empty"),
            ("  ", "empty"),
            ("\"\"", "quotes"),
            ("\"phc_7Q2wZb3kXv9TnLm4RsYp8Hd\"", "quotes"),
            ("'phc_7Q2wZb3kXv9TnLm4RsYp8Hd'", "quotes"),
            ("“phc_7Q2wZb3kXv9TnLm4RsYp8Hd”", "quotes"),
            ("phc_7Q2wZb3kXv9 TnLm4RsYp8Hd", "white space"),
            ("phc_7Q2wZb3kXv9\nTnLm4RsYp8Hd", "white space"),
            ("phc_7Q2wZb3kXv9ä", "ASCII"),
            ("<ph_project_api_key>", "template"),
            ("<phc_your_key>", "template"),
            ("${POSTHOG_API_KEY}", "template"),
            ("$POSTHOG_API_KEY", "template"),
            ("$(cat /run/secrets/posthog)", "template"),
            ("%POSTHOG_API_KEY%", "template"),
            ("{{ posthog_api_key }}", "template"),
            ("[your key]", "template"),
            ("undefined", "placeholder"),
            ("null", "placeholder"),
            ("None", "placeholder"),
            ("your_api_key", "placeholder"),
            ("your-api-key", "placeholder"),
            ("YOUR_API_KEY", "placeholder"),
            ("Your API key", "placeholder"),
            ("phc_your_key", "placeholder"),
            ("phc_...", "placeholder"),
            ("phc_…", "placeholder"),
            ("phc_", "placeholder"),
            ("phc_7Q2w...", "placeholder"),
            ("phc_XXXXXXXXXXXX", "placeholder"),
            ("xxx", "placeholder"),
            ("***", "placeholder"),
            ("changeme", "placeholder"),
            ("key-goes-here", "placeholder"),
            ("POSTHOG_API_KEY=phc_7Q2wZb3kXv9TnLm", "name and `=`"),
            ("https://us.i.posthog.com", "address"),
            ("eu.i.posthog.com", "address"),
            ("phc_7Q2wZb3kXv9,phc_TnLm4RsYp8Hd", "punctuation"),
        ] {
            for issuer in [Issuer::Cloud, Issuer::SelfHosted] {
                for check in [project_key, personal_key] {
                    let checked = check("POSTHOG_API_KEY", key, issuer);
                    let error = checked.map(|_| key).unwrap_err().to_string();
                    assert!(error.starts_with("POSTHOG_API_KEY: "), "{key:?}: {error}");
                    assert!(error.contains(says), "{key:?}: {error}");
                    assert!(!error.contains("7Q2w"), "{key:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_key_of_the_other_kind_is_an_error() {
        for key in ["phx_secret", "phs_secret", "pha_secret"] {
            let error = project(key, Issuer::SelfHosted).map(drop).unwrap_err();
            assert!(
                error.contains("phc_…") && !error.contains("secret_"),
                "{error}"
            );
            assert!(personal_key("k", key, Issuer::SelfHosted).is_ok(), "{key}");
            assert!(is_personal(key));
        }
        let error = personal_key("k", "phc_abcdef", Issuer::SelfHosted);
        let error = error.map(drop).unwrap_err().to_string();
        assert!(
            error.contains("phx_…") && !error.contains("abcdef"),
            "{error}"
        );
        assert!(project(&"x1".repeat(33), Issuer::SelfHosted).is_err());
    }

    #[test]
    fn a_key_that_may_be_right_is_doubted_where_its_form_is_unusual() {
        use Issuer::{Cloud, SelfHosted};
        let old = "sTMFPsFhdP1Ssg-3QeWZ2Vc_nKr5Yx8LtBm0JpHdGfA";
        for (key, issuer, doubted) in [
            (CLOUD_KEY, Cloud, false),
            (CLOUD_KEY, SelfHosted, false),
            ("phc_local", SelfHosted, false),
            // Cut off.
            (&CLOUD_KEY[..30], Cloud, true),
            // Of an old project.
            (old, Cloud, true),
            (old, SelfHosted, true),
            ("abc", SelfHosted, true),
        ] {
            let checked = project(key, issuer).unwrap();
            assert_eq!(checked.key.reveal(), key);
            assert_eq!(checked.doubt.is_some(), doubted, "{key} {issuer:?}");
            if let Some(doubt) = checked.doubt {
                assert!(doubt.starts_with("POSTHOG_API_KEY: "), "{doubt}");
                assert!(!doubt.contains(key), "{doubt}");
            }
        }
        let error = project("abc", Cloud).map(drop).unwrap_err();
        assert!(
            error.contains("3 characters") && !error.contains("abc"),
            "{error}"
        );
    }

    #[test]
    fn a_key_shows_how_it_begins_and_no_more() {
        for (key, beginning, debug) in [
            (CLOUD_KEY, "phc_7Q2…", "phc_[redacted]"),
            ("  phc_abcdef ", "phc_…", "phc_[redacted]"),
            ("abcdefghij", "…", "[redacted]"),
            ("abcdefghijklmnopqrstuvwxyz", "abc…", "[redacted]"),
        ] {
            let key = project(key, Issuer::SelfHosted).unwrap().key;
            assert_eq!(key.beginning(), beginning);
            assert_eq!(format!("{key:?}"), debug);
        }
    }
}
