//! Waits before requests, so that they stay below PostHog's rate limits (feature `rate-limit`).
//!
//! [`RateLimits`] are the settings: a [`RateLimit`] for each [`EndpointClass`]. `Limiter` is what a client holds of them:
//! one queue for each class, in which requests wait for their turn before their first attempt.
//!
//! Invariants: requests of one class leave in the order in which they came; no window ever sees more than its limit;
//! dropping a waiting call takes it out of the queue; cancelling a query never waits.

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::InMemoryState;
use governor::state::direct::NotKeyed;
use governor::{Quota, RateLimiter};
use reqwest::Method;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;

/// How many requests may be sent, by class of endpoint: a setting of
/// [`PostHogClientBuilder::rate_limits`](crate::PostHogClientBuilder::rate_limits) (feature
/// `rate-limit`).
///
/// PostHog counts the requests of a whole team and refuses more with 429. The client retries these anyway; the limits
/// keep a bulk job from using up what the team's other programs need.
///
/// ```
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// use tracing_posthog::PostHogClient;
/// use tracing_posthog::rest::{EndpointClass, RateLimit, RateLimits};
/// let limits = RateLimits::posthog_cloud()
///     .percent(50) // leave half to others
///     .set(EndpointClass::HogQl, RateLimit::none().per_minute(30));
/// let client = PostHogClient::builder()
///     .personal_api_key("phx_example")
///     .rate_limits(limits)
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// # How requests are spread
///
/// A quarter of each limit may be used at once, the rest evenly over its time, so that no window of a
/// minute (an hour, a day) ever sees more than the limit. Requests of one class leave in the order in
/// which they came. Waiting is not an attempt and has no limit of its own: put a timeout around the call if you need one.
/// The clones of a client share its limits. Retries do not count, and cancelling a query does not wait.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RateLimits {
    classes: [RateLimit; CLASSES.len()],
}

/// Endpoints that PostHog counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EndpointClass {
    /// Insights, persons, events, session recordings.
    Analytics,
    /// HogQL and the other queries: `query/`.
    HogQl,
    /// What PostHog asks a language model for: `query/draft_sql/`.
    Ai,
    /// `feature_flags/local_evaluation/`.
    LocalEvaluation,
    /// `feature_flags/copy_flags/`.
    CopyFlags,
    /// Everything else.
    Other,
}

const CLASSES: [EndpointClass; 6] = [
    EndpointClass::Analytics,
    EndpointClass::HogQl,
    EndpointClass::Ai,
    EndpointClass::LocalEvaluation,
    EndpointClass::CopyFlags,
    EndpointClass::Other,
];

impl EndpointClass {
    /// The class of a path.
    fn of(path: &str) -> Self {
        let mut segments = path
            .trim_start_matches('/')
            .split('/')
            .skip_while(|s| *s != "api");
        let scope = segments.nth(1).unwrap_or_default();
        if !matches!(scope, "projects" | "environments" | "organizations") {
            return match scope {
                "feature_flag" => Self::LocalEvaluation,
                _ => Self::Other,
            };
        }
        let resource = segments.nth(1).unwrap_or_default();
        match (resource, segments.next().unwrap_or_default()) {
            ("query", "draft_sql") => Self::Ai,
            ("query", _) => Self::HogQl,
            ("feature_flags", "local_evaluation") => Self::LocalEvaluation,
            ("feature_flags", "copy_flags") => Self::CopyFlags,
            ("insights" | "persons" | "events" | "session_recordings", _) => Self::Analytics,
            _ => Self::Other,
        }
    }
}

/// How many requests of one class may be sent in a minute, an hour and a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[must_use]
pub struct RateLimit {
    windows: [Option<u32>; WINDOWS.len()],
}

const WINDOWS: [Duration; 3] = [
    Duration::from_secs(60),
    Duration::from_secs(3_600),
    Duration::from_secs(86_400),
];

impl RateLimit {
    /// No limit.
    pub fn none() -> Self {
        Self::default()
    }

    /// At most so many in any minute; at least 1.
    pub fn per_minute(self, requests: u32) -> Self {
        self.with(0, requests)
    }

    /// At most so many in any hour; at least 1.
    pub fn per_hour(self, requests: u32) -> Self {
        self.with(1, requests)
    }

    /// At most so many in any day; at least 1.
    pub fn per_day(self, requests: u32) -> Self {
        self.with(2, requests)
    }

    fn with(mut self, window: usize, requests: u32) -> Self {
        self.windows[window] = Some(requests.max(1));
        self
    }
}

impl RateLimits {
    /// No limits: a start for your own.
    pub fn none() -> Self {
        Self {
            classes: [RateLimit::none(); CLASSES.len()],
        }
    }

    /// The limits of PostHog Cloud, as its documentation states them. Where it leaves a choice, the
    /// larger.
    ///
    /// | class | per minute | per hour | per day |
    /// |---|---|---|---|
    /// | analytics | 240 | 1,200 | |
    /// | query | 240 | 2,400 | |
    /// | AI | 10 | | 100 |
    /// | local evaluation | 600 | | |
    /// | copying flags | 120 | 300 | |
    /// | other | 480 | 4,800 | |
    pub fn posthog_cloud() -> Self {
        let limit = RateLimit::none;
        Self::none()
            .set(
                EndpointClass::Analytics,
                limit().per_minute(240).per_hour(1_200),
            )
            .set(
                EndpointClass::HogQl,
                limit().per_minute(240).per_hour(2_400),
            )
            .set(EndpointClass::Ai, limit().per_minute(10).per_day(100))
            .set(EndpointClass::LocalEvaluation, limit().per_minute(600))
            .set(
                EndpointClass::CopyFlags,
                limit().per_minute(120).per_hour(300),
            )
            .set(
                EndpointClass::Other,
                limit().per_minute(480).per_hour(4_800),
            )
    }

    /// Sets the limit of one class.
    pub fn set(mut self, class: EndpointClass, limit: RateLimit) -> Self {
        self.classes[class as usize] = limit;
        self
    }

    /// Takes that share of every limit set so far, at least one request.
    pub fn percent(mut self, percent: u32) -> Self {
        for limit in &mut self.classes {
            for requests in limit.windows.iter_mut().flatten() {
                let share = u64::from(*requests) * u64::from(percent) / 100;
                *requests = u32::try_from(share).unwrap_or(u32::MAX).max(1);
            }
        }
        self
    }
}

type Gauge = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// The limits at work.
pub(crate) struct Limiter {
    /// One queue for each class, so that those who wait leave in the order in which they came.
    classes: [Mutex<Vec<Gauge>>; CLASSES.len()],
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

impl Limiter {
    pub(crate) fn new(limits: &RateLimits) -> Self {
        let clock = TokioClock(Instant::now());
        let gauges = |limit: RateLimit| {
            let set = limit.windows.into_iter().zip(WINDOWS);
            set.filter_map(|(requests, window)| quota(requests?, window))
                .map(|quota| RateLimiter::direct_with_clock(quota, clock))
                .collect()
        };
        Self {
            classes: limits.classes.map(|limit| Mutex::new(gauges(limit))),
        }
    }

    /// Waits until a request to that path may be sent. Cancelling a query does not wait: it takes load
    /// off PostHog, and late it is of no use.
    pub(crate) async fn wait(&self, method: &Method, path: &str) {
        let class = EndpointClass::of(path);
        if class == EndpointClass::HogQl && *method == Method::DELETE {
            return;
        }
        let gauges = self.classes[class as usize].lock().await;
        // The longest window comes first: what waits for the hour has not used up its minute.
        for gauge in gauges.iter().rev() {
            while let Err(not_yet) = gauge.check() {
                let wait = not_yet.wait_time_from(gauge.clock().now());
                debug!(target: "tracing_posthog::http", ?class, ?wait, "waiting for the rate limit");
                tokio::time::sleep(wait).await;
            }
        }
    }
}

/// A quarter at once and the rest evenly: together never more than `requests` in one window.
fn quota(requests: u32, window: Duration) -> Option<Quota> {
    let burst = (requests / 4).max(1);
    let evenly = (requests - burst).max(1);
    // Rounded up, or the last of a window would come a moment early.
    let each = window / evenly + Duration::from_nanos(1);
    Some(Quota::with_period(each)?.allow_burst(NonZeroU32::new(burst)?))
}

/// Tokio's time, which tests can drive.
#[derive(Debug, Clone, Copy)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    #[test]
    fn paths_have_classes() {
        use EndpointClass::*;
        for (path, class) in [
            ("/api/projects/1/query/", HogQl),
            ("/api/projects/1/query/abc/log/", HogQl),
            ("/api/environments/1/query/draft_sql/", Ai),
            ("/api/projects/1/persons/", Analytics),
            ("/api/environments/1/insights/5/", Analytics),
            ("/api/projects/query/feature_flags/", Other),
            (
                "/api/projects/1/feature_flags/local_evaluation/",
                LocalEvaluation,
            ),
            ("/api/feature_flag/local_evaluation/", LocalEvaluation),
            ("/api/organizations/1/feature_flags/copy_flags/", CopyFlags),
            ("/api/users/@me/", Other),
            ("/api/projects/", Other),
            ("/", Other),
            ("", Other),
        ] {
            assert_eq!(EndpointClass::of(path), class, "{path}");
        }
        for (n, class) in CLASSES.into_iter().enumerate() {
            assert_eq!(class as usize, n);
        }
    }

    /// Sends as fast as it may; no window may see more than its limit, nor stay half empty.
    async fn spread(limit: RateLimit, requests: usize) -> Duration {
        let limiter = Limiter::new(&RateLimits::none().set(EndpointClass::HogQl, limit));
        let start = Instant::now();
        let mut sent: [VecDeque<Instant>; WINDOWS.len()] = Default::default();
        for _ in 0..requests {
            limiter.wait(&Method::GET, "/api/projects/1/query/").await;
            let now = Instant::now();
            for ((sent, window), limit) in sent.iter_mut().zip(WINDOWS).zip(limit.windows) {
                sent.retain(|then| now - *then < window);
                sent.push_back(now);
                assert!(limit.is_none_or(|limit| sent.len() <= limit as usize));
            }
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_sees_more_than_its_limit() {
        let limit = RateLimit::none();
        assert!(spread(limit, 10_000).await < Duration::from_secs(1));
        // A quarter at once, then three quarters each minute.
        assert!(spread(limit.per_minute(240), 60).await < Duration::from_secs(1));
        let took = spread(limit.per_minute(240), 60 + 180 * 5).await;
        assert!((300..302).contains(&took.as_secs()), "{took:?}");
        let took = spread(limit.per_minute(240).per_hour(1_200), 300 + 900).await;
        assert!((3_590..3_700).contains(&took.as_secs()), "{took:?}");
        for n in 1..10 {
            spread(limit.per_minute(n).per_day(40), 50).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn classes_do_not_wait_for_each_other() {
        let one = RateLimit::none().per_minute(1);
        let limits = RateLimits::none()
            .set(EndpointClass::HogQl, one)
            .set(EndpointClass::Ai, one);
        let limiter = Limiter::new(&limits);
        let start = Instant::now();
        limiter.wait(&Method::GET, "/api/projects/1/query/").await;
        limiter
            .wait(&Method::GET, "/api/projects/1/query/draft_sql/")
            .await;
        limiter.wait(&Method::GET, "/api/users/@me/").await;
        assert!(start.elapsed() < Duration::from_secs(1));
        limiter.wait(&Method::GET, "/api/projects/1/query/").await;
        assert!(start.elapsed() >= Duration::from_secs(60));
        // Who gives up waiting leaves the queue.
        let given_up = tokio::time::timeout(
            Duration::from_secs(1),
            limiter.wait(&Method::GET, "/api/projects/1/query/"),
        );
        assert!(given_up.await.is_err());
        limiter.wait(&Method::GET, "/api/projects/1/query/").await;
        assert!(start.elapsed() < Duration::from_secs(121));
        // A cancellation passes by all of them.
        let before = start.elapsed();
        limiter
            .wait(&Method::DELETE, "/api/projects/1/query/abc/")
            .await;
        assert_eq!(start.elapsed(), before);
    }

    #[test]
    fn shares_are_rounded_down_but_never_to_nothing() {
        let limits = RateLimits::posthog_cloud().percent(5);
        assert_eq!(limits.classes[0].windows, [Some(12), Some(60), None]);
        assert_eq!(limits.classes[2].windows, [Some(1), None, Some(5)]);
        assert_eq!(RateLimit::none().per_day(0).windows, [None, None, Some(1)]);
    }
}
