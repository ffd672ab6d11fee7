//! The environment variables that settings are read from.

use crate::error::PostHogError;
use std::env;

pub(crate) const PROJECT_KEY: &str = "POSTHOG_API_KEY";
pub(crate) const PERSONAL_KEY: &str = "POSTHOG_PERSONAL_API_KEY";
#[cfg(feature = "flags")]
pub(crate) const FLAGS_KEY: &str = "POSTHOG_FEATURE_FLAGS_SECRET_KEY";
pub(crate) const HOST: &str = "POSTHOG_HOST";
pub(crate) const REST_HOST: &str = "POSTHOG_REST_HOST";

#[cfg(feature = "errors")]
const RELEASE_ID: &str = "POSTHOG_RELEASE_ID";

/// The release that exceptions belong to, if the environment names one.
#[cfg(feature = "errors")]
pub(crate) fn release_id() -> Option<String> {
    variable(RELEASE_ID).ok().flatten()
}

/// What is said of a variable that has no value.
pub(crate) fn absence(name: &str) -> String {
    match env::var_os(name) {
        Some(_) => format!("{name} is empty"),
        None => format!("{name} is not set"),
    }
}

/// The value of a variable. `None`: it is unset or empty.
pub(crate) fn variable(name: &'static str) -> Result<Option<String>, PostHogError> {
    match env::var(name) {
        Ok(value) if value.trim().is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(PostHogError::config(
            name,
            "the variable is not valid UTF-8",
        )),
    }
}
