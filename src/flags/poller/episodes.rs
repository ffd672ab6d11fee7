//! What is logged of loads: once for as long as it lasts.

use crate::diagnostics::{OncePerEpisode, log};
use crate::error::PostHogError;

/// How a load failed, as far as it makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The key, or the project API key, is unknown: 401.
    Unauthorized,
    /// The quota is used up: 402.
    Quota,
    /// The key may not read definitions: 403.
    Forbidden,
    /// PostHog asks for fewer loads: 429.
    TooOften,
    /// Anything else.
    Other,
}

impl Failure {
    pub(super) fn of(error: &PostHogError) -> Self {
        match error.status() {
            Some(401) => Self::Unauthorized,
            Some(402) => Self::Quota,
            Some(403) => Self::Forbidden,
            Some(429) => Self::TooOften,
            _ => Self::Other,
        }
    }

    /// Whether PostHog says that the definitions are not to be had any more.
    pub(super) fn withdraws(self) -> bool {
        matches!(self, Self::Unauthorized | Self::Quota)
    }

    /// Whether the next load may well succeed, without anybody's doing.
    pub(super) fn is_transient(self) -> bool {
        matches!(self, Self::TooOften | Self::Other)
    }
}

/// What has been logged, until it is over.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    unauthorized: OncePerEpisode,
    quota: OncePerEpisode,
    forbidden: OncePerEpisode,
    failing: OncePerEpisode,
}

impl Episodes {
    /// A load failed.
    pub(super) fn failed(&mut self, failure: Failure, error: &PostHogError, are_there_any: bool) {
        let episode = match failure {
            Failure::Unauthorized => &mut self.unauthorized,
            Failure::Quota => &mut self.quota,
            Failure::Forbidden => &mut self.forbidden,
            Failure::TooOften | Failure::Other => &mut self.failing,
        };
        if !episode.begin() {
            return;
        }
        match failure {
            Failure::Unauthorized => log!(
                target: "tracing_posthog::flags",
                error,
                %error,
                "the definitions of feature flags are not to be had: PostHog does not know the key; check \
                 `feature_flags_secret_key` (POSTHOG_FEATURE_FLAGS_SECRET_KEY) or `personal_api_key`, and that \
                 `project_api_key` and the region or host are of the same project"
            ),
            Failure::Quota => log!(
                target: "tracing_posthog::flags",
                warn,
                %error,
                "the definitions of feature flags are not to be had: the project has used up its quota of flag \
                 requests; raise the billing limit, or load them less often (`poll_interval`)"
            ),
            Failure::Forbidden => log!(
                target: "tracing_posthog::flags",
                error,
                %error,
                scope = error.missing_scope().unwrap_or("feature_flag:read"),
                "the definitions of feature flags are not to be had: the key may not read them; give the personal API \
                 key the scope feature_flag:read, or use the project's secret key (phs_…)"
            ),
            Failure::TooOften | Failure::Other => log!(
                target: "tracing_posthog::flags",
                warn,
                %error,
                "the definitions of feature flags could not be loaded; {}",
                match are_there_any {
                    true => "evaluation goes on by those that were loaded before",
                    false => "there are none yet",
                }
            ),
        }
    }

    /// A load succeeded.
    pub(super) fn succeeded(&mut self) {
        let all = [
            &mut self.unauthorized,
            &mut self.quota,
            &mut self.forbidden,
            &mut self.failing,
        ];
        let logged = all
            .into_iter()
            .fold(false, |logged, episode| episode.end() | logged);
        if logged {
            log!(
                target: "tracing_posthog::flags",
                info,
                "the definitions of feature flags are loaded again"
            );
        }
    }
}
