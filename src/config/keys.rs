//! Keys: checked when a client is built, and never shown.

use crate::error::PostHogError;
use std::fmt;

/// A key that never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = ["phc_", "phx_", "phs_"]
            .into_iter()
            .find(|prefix| self.0.starts_with(prefix));
        write!(f, "{}[redacted]", kind.unwrap_or_default())
    }
}

/// Checks a project API key (`phc_…`) as the capture endpoints do: not empty, ASCII, at most 64
/// characters, not a personal key.
pub(crate) fn project_key(setting: &'static str, key: &str) -> Result<Secret, PostHogError> {
    let key = well_formed(setting, key)?;
    if key.starts_with("phx_") || key.starts_with("phs_") {
        return Err(PostHogError::config(
            setting,
            "this is a personal or secret API key (phx_… or phs_…), which must not be used to send events; \
             give the project API key (phc_…) of the project's settings",
        ));
    }
    if key.len() > 64 {
        return Err(PostHogError::config(
            setting,
            "a project API key has at most 64 characters; copy it again from the project's settings",
        ));
    }
    Ok(Secret(key.to_owned()))
}

/// Checks a personal API key (`phx_…`) or project secret key (`phs_…`).
pub(crate) fn personal_key(setting: &'static str, key: &str) -> Result<Secret, PostHogError> {
    let key = well_formed(setting, key)?;
    if key.starts_with("phc_") {
        return Err(PostHogError::config(
            setting,
            "this is a project API key (phc_…), which only sends events; \
             the REST API needs a personal API key (phx_…) of your account's settings",
        ));
    }
    Ok(Secret(key.to_owned()))
}

fn well_formed<'a>(setting: &'static str, key: &'a str) -> Result<&'a str, PostHogError> {
    let key = key.trim();
    let problem = if key.is_empty() {
        "the key is empty"
    } else if !key.is_ascii() {
        "the key has characters that are not ASCII; copy it again"
    } else if key
        .bytes()
        .any(|b| b.is_ascii_whitespace() || b.is_ascii_control())
    {
        "the key has white space or control characters inside; copy it again"
    } else {
        return Ok(key);
    };
    Err(PostHogError::config(setting, problem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_and_never_shown() {
        for key in [
            "",
            " ",
            "phx_secret",
            "phs_secret",
            "phc_ä",
            "phc_a b",
            &"x".repeat(65),
        ] {
            let error = project_key("api_key", key).unwrap_err().to_string();
            assert!(
                !error.contains("secret_") && error.contains("api_key"),
                "{error}"
            );
        }
        assert!(personal_key("personal_api_key", "phc_abc").is_err());
        let key = project_key("api_key", "  phc_abcdef ").unwrap();
        assert_eq!(key.reveal(), "phc_abcdef");
        assert_eq!(format!("{key:?}"), "phc_[redacted]");
        assert_eq!(
            format!(
                "{:?}",
                personal_key("k", "ümlaut").map_err(|e| e.to_string())
            ),
            "Err(\"k: the key has characters that are not ASCII; copy it again\")"
        );
    }
}
