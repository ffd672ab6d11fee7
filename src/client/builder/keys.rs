//! The keys of a client, checked together.

use super::PostHogClientBuilder;
use crate::announcement::Announcement;
#[cfg(feature = "flags")]
use crate::config::flags_key;
use crate::config::{Checked, Hosts, Issuer, Secret, personal_key, project_key};
use crate::error::PostHogError;
#[cfg(feature = "flags")]
use crate::flags::FlagMode;

pub(super) struct Keys {
    pub(super) project: Option<Secret>,
    pub(super) personal: Option<Secret>,
    /// Reads the definitions of flags.
    #[cfg(feature = "flags")]
    pub(super) flags: Option<Secret>,
}

impl Keys {
    pub(super) fn all(&self) -> impl Iterator<Item = &Secret> {
        let all = [
            &self.project,
            &self.personal,
            #[cfg(feature = "flags")]
            &self.flags,
        ];
        all.into_iter().flatten()
    }
}

/// Checks one kind of key.
type Check = fn(&'static str, &str, Issuer) -> Result<Checked, PostHogError>;

impl PostHogClientBuilder {
    /// Checks the keys that are given, and whether the settings need others.
    pub(super) fn keys(
        &self,
        hosts: &Hosts,
        announcement: &Announcement,
    ) -> Result<Keys, PostHogError> {
        let issuer = match hosts.is_cloud() {
            true => Issuer::Cloud,
            false => Issuer::SelfHosted,
        };
        let checked = |key: &Option<(&'static str, String)>, check: Check| {
            let checked = key
                .as_ref()
                .map(|(setting, key)| check(setting, key, issuer));
            let checked = checked.transpose()?;
            Ok::<_, PostHogError>(checked.map(|Checked { key, doubt }| {
                announcement.warn_of(doubt);
                key
            }))
        };
        let keys = Keys {
            project: checked(&self.project_api_key, project_key)?,
            personal: checked(&self.personal_api_key, personal_key)?,
            #[cfg(feature = "flags")]
            flags: checked(&self.feature_flags_secret_key, flags_key)?,
        };
        #[cfg(feature = "flags")]
        let keys = self.with_flags_key(keys, hosts)?;
        Ok(keys)
    }

    /// Without a key of their own, definitions are read with the personal API key. They come from where events go: a proxy
    /// that only sees events must not see a key of the REST API.
    #[cfg(feature = "flags")]
    fn with_flags_key(&self, mut keys: Keys, hosts: &Hosts) -> Result<Keys, PostHogError> {
        if keys.flags.is_none() && hosts.trust_each_other() {
            keys.flags = keys.personal.clone().filter(Secret::reads_flags);
        }
        // Without a project API key there are no flags at all, as on a developer's machine.
        let has_flags = keys.project.is_some();
        if self.flags.mode == FlagMode::LocalOnly && has_flags && keys.flags.is_none() {
            return Err(local_only_lacks(
                "a key that reads them: give the project's secret key (phs_…) with `feature_flags_secret_key` or \
                 POSTHOG_FEATURE_FLAGS_SECRET_KEY, or a personal API key (phx_…)",
            ));
        }
        Ok(keys)
    }
}

#[cfg(feature = "flags")]
pub(super) fn local_only_lacks(what: &str) -> PostHogError {
    PostHogError::config(
        "flags.mode",
        format!("local_only evaluates flags by their definitions, and these need {what}"),
    )
}

#[cfg(all(test, feature = "flags"))]
mod tests {
    use crate::client::PostHogClient;

    #[test]
    fn a_proxy_for_events_does_not_see_the_key_of_the_rest_api() {
        let reads = |host: &str, rest_host: &str| {
            let client = PostHogClient::builder()
                .project_api_key("phc_key_of_the_test")
                .personal_api_key("phx_key_of_the_test")
                .host(host)
                .rest_host(rest_host);
            client.build().unwrap().inner.http.flags_key.is_some()
        };
        assert!(reads("https://eu.i.posthog.com", ""));
        assert!(reads("https://eu.i.posthog.com", "https://eu.posthog.com"));
        assert!(reads("https://posthog.example.com", ""));
        assert!(reads(
            "https://posthog.example.com",
            "https://posthog.example.com/"
        ));
        assert!(!reads("https://e.example.com", "https://eu.posthog.com"));
        assert!(!reads(
            "https://e.example.com",
            "https://posthog.example.com"
        ));
    }
}
