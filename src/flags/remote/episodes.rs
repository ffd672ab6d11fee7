//! What is logged of requests for flags.

use super::RemoteFlags;
use crate::diagnostics::{OncePerEpisode, log};
use crate::error::PostHogError;
use crate::suppress::SuppressGuard;
use std::sync::{Mutex, PoisonError};

/// What has been logged, until it is over.
#[derive(Debug, Default)]
pub(in crate::flags) struct Episodes(Mutex<Open>);

#[derive(Debug, Default)]
struct Open {
    unauthorized: OncePerEpisode,
    quota: OncePerEpisode,
    computing: OncePerEpisode,
    failing: OncePerEpisode,
}

/// What to log now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Unauthorized,
    Quota,
    Computing,
    Failing,
    Recovered,
}

impl Episodes {
    /// Notes how a request ended, and logs what is new.
    pub(super) fn note(&self, answered: Result<&RemoteFlags, &PostHogError>) {
        let line = self.line(answered);
        if let Some(line) = line {
            say(line, answered.err());
        }
    }

    fn line(&self, answered: Result<&RemoteFlags, &PostHogError>) -> Option<Line> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = match answered {
            Ok(flags) if flags.quota_limited => Line::Quota,
            Ok(flags) if flags.errors_while_computing => Line::Computing,
            Ok(_) => Line::Recovered,
            Err(error) => match error.status() {
                Some(401) => Line::Unauthorized,
                Some(402) => Line::Quota,
                _ => Line::Failing,
            },
        };
        let is_due = match line {
            Line::Unauthorized => open.unauthorized.begin(),
            Line::Quota => open.quota.begin(),
            Line::Computing => {
                open.failing.end();
                open.computing.begin()
            }
            Line::Failing => open.failing.begin(),
            Line::Recovered => {
                let Open {
                    unauthorized,
                    quota,
                    computing,
                    failing,
                } = &mut *open;
                [unauthorized, quota, computing, failing]
                    .into_iter()
                    .fold(false, |logged, episode| episode.end() | logged)
            }
        };
        is_due.then_some(line)
    }
}

#[cold]
fn say(line: Line, error: Option<&PostHogError>) {
    let _suppressed = SuppressGuard::enter();
    let error = error.map(tracing::field::display);
    match line {
        Line::Unauthorized => log!(
            target: "tracing_posthog::flags",
            error,
            error,
            "PostHog does not know the project API key, so it evaluates no flags: check `project_api_key` \
             (POSTHOG_API_KEY) and the region or host"
        ),
        Line::Quota => log!(
            target: "tracing_posthog::flags",
            warn,
            error,
            "PostHog evaluates no flags: the project has used up its quota of flag requests; raise the billing limit, \
             or evaluate by definitions"
        ),
        Line::Computing => log!(
            target: "tracing_posthog::flags",
            warn,
            "PostHog could not evaluate all flags: those without a value are unresolved"
        ),
        Line::Failing => log!(
            target: "tracing_posthog::flags",
            warn,
            error,
            "PostHog evaluates no flags now: those that cannot be decided here are unresolved"
        ),
        Line::Recovered => log!(
            target: "tracing_posthog::flags",
            info,
            "PostHog evaluates flags again"
        ),
    }
}
