//! When to try again: a pure decision, apart from the sleeping and the sending.

mod rule;

pub(crate) use rule::RetryRule;

use crate::error::{RequestErrorKind, is_retryable_status};
use crate::words::words;
use backon::{BackoffBuilder, ExponentialBuilder};
use std::time::{Duration, SystemTime};

/// How often and how patiently a request is tried.
///
/// Retried are 5xx, 429, 408 and transient transport errors. Before retry *n* the wait is
/// `first_delay · 2ⁿ⁻¹`, lengthened by a random share of itself so that many clients do not return
/// in step, and never above `max_delay`: the longest waits spread over its upper half.
///
/// A `Retry-After` of the answer (seconds or an HTTP date) is a minimum, up to `max_delay`. If PostHog asks for more,
/// the next attempt comes after `max_delay` and may be refused again; once the attempts are used up,
/// [`PostHogError::retry_after`](crate::PostHogError::retry_after) says how long PostHog asked for. Events that are kept
/// to be tried again also wait for the `Retry-After` of their last attempt, up to `max_delay`, unless a flush or
/// shutdown asks for them earlier.
///
/// ```
/// # use tracing_posthog::RetryPolicy;
/// use std::time::Duration;
/// let patient = RetryPolicy::default().attempts(10).max_delay(Duration::from_secs(60));
/// let once = RetryPolicy::none();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    pub(crate) attempts: u32,
    pub(crate) first_delay: Duration,
    pub(crate) max_delay: Duration,
    pub(crate) methods: RetryMethods,
    pub(crate) rule: RetryRule,
}

impl Default for RetryPolicy {
    /// 6 attempts, 100 ms doubling up to 30 s, all methods.
    fn default() -> Self {
        Self {
            attempts: 6,
            first_delay: Duration::from_millis(100),
            max_delay: Duration::from_secs(30),
            methods: RetryMethods::All,
            rule: RetryRule::Transient,
        }
    }
}

impl RetryPolicy {
    /// One attempt, no retries.
    pub fn none() -> Self {
        Self::default().attempts(1)
    }

    /// Attempts in all, the first included; at least 1. Default 6.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The wait before the first retry; it doubles from there. Default 100 ms.
    pub fn first_delay(mut self, delay: Duration) -> Self {
        self.first_delay = delay.min(super::FOREVER);
        self
    }

    /// The longest wait between two attempts, also where `Retry-After` asks for more. Default 30 s.
    pub fn max_delay(mut self, delay: Duration) -> Self {
        self.max_delay = delay.min(super::FOREVER);
        self
    }

    /// Which methods are retried after PostHog may have acted on the request. Default all.
    /// Captured events are always retried: PostHog recognises an event it has seen by its uuid.
    pub fn methods(mut self, methods: RetryMethods) -> Self {
        self.methods = methods;
        self
    }

    /// The policy of requests for flags: 300 ms before the first retry, doubling.
    #[cfg(feature = "flags")]
    pub(crate) fn of_flags(retries: u32) -> Self {
        Self {
            rule: RetryRule::Gateway,
            ..Self::default()
                .attempts(retries.saturating_add(1))
                .first_delay(Duration::from_millis(300))
        }
    }

    /// The waits between attempts, jitter included, `Retry-After` not.
    pub(crate) fn delays(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let cap = self.max_delay;
        let (waits, longest) = match self.rule {
            // Half of it is for the jitter: cut off at the cap, all would wait the same again.
            RetryRule::Transient => (jittered(), cap / 2),
            #[cfg(feature = "flags")]
            RetryRule::Gateway => (ExponentialBuilder::new(), cap),
        };
        waits
            .with_factor(2.0)
            .with_min_delay(self.first_delay.min(longest))
            .with_max_delay(longest)
            .without_max_times()
            .build()
            .map(move |delay| delay.min(cap))
    }

    /// The wait after attempt number `attempt` (from 1), jitter included, `Retry-After` not.
    pub(crate) fn delay_after(&self, attempt: u32) -> Duration {
        // Waits stop growing long before this one.
        let nth = attempt.clamp(1, 64) as usize - 1;
        self.delays().nth(nth).unwrap_or(self.max_delay)
    }

    /// What to do after attempt number `attempt` (from 1) ended in `outcome`; `delay` is the
    /// backoff's wait for it.
    pub(crate) fn decide(
        &self,
        attempt: u32,
        idempotent: bool,
        outcome: &Outcome,
        delay: Duration,
    ) -> Decision {
        #[cfg(feature = "flags")]
        if self.rule == RetryRule::Gateway {
            return match outcome.is_of_a_gateway() && attempt < self.attempts {
                true => Decision::RetryIn(delay),
                false => Decision::Stop,
            };
        }
        let (transient, unsent) = match *outcome {
            Outcome::Status { status, .. } => (is_retryable_status(status), status == 429),
            Outcome::Transport(kind) => (kind.is_transient(), kind == RequestErrorKind::Connect),
            Outcome::Final => (false, false),
        };
        let safe = idempotent || unsent || self.methods == RetryMethods::All;
        if !transient || !safe || attempt >= self.attempts {
            return Decision::Stop;
        }
        let floor = outcome.retry_after().unwrap_or_default();
        Decision::RetryIn(self.lengthened(delay, floor))
    }

    /// The wait after attempt number `attempt` (from 1), which may be repeated. `None`: it was the last.
    pub(crate) fn wait_after(
        &self,
        attempt: u32,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        (attempt < self.attempts)
            .then(|| self.lengthened(self.delay_after(attempt), retry_after.unwrap_or_default()))
    }

    /// The server's wish is a floor and the backoff is added to it, so that clients which were all told the same
    /// second do not come back in the same instant.
    fn lengthened(&self, delay: Duration, retry_after: Duration) -> Duration {
        let floor = retry_after.min(self.max_delay);
        floor.saturating_add(delay).min(self.max_delay)
    }
}

#[cfg(test)]
thread_local! {
    /// Whether waits are random on this thread, for tests that show what they would be without.
    pub(crate) static JITTERS: std::cell::Cell<bool> = const { std::cell::Cell::new(true) };
}

/// Waits that a random share of themselves lengthens, unlike in each process.
pub(crate) fn jittered() -> ExponentialBuilder {
    #[cfg(test)]
    if !JITTERS.get() {
        return ExponentialBuilder::new();
    }
    ExponentialBuilder::new().with_jitter()
}

/// Which methods a [`RetryPolicy`] retries. As text: `all`, `idempotent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RetryMethods {
    /// All of them: a `POST` whose answer got lost is sent again.
    #[default]
    All,
    /// `GET`, `HEAD`, `OPTIONS`, `PUT` and `DELETE`. Others only where PostHog cannot have acted: no
    /// connection was made, or it answered 429.
    Idempotent,
}

words! { RetryMethods, "retry methods": All = "all", Idempotent = "idempotent", }

/// How one attempt ended, where it did not end well.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outcome {
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    Transport(RequestErrorKind),
    /// Whatever its status, the next response will be the same.
    Final,
}

impl Outcome {
    /// For how long the answer asks to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            Self::Transport(_) | Self::Final => None,
        }
    }

    #[cfg(feature = "flags")]
    fn is_of_a_gateway(&self) -> bool {
        match *self {
            Self::Status { status, .. } => matches!(status, 502 | 504),
            Self::Transport(kind) => matches!(
                kind,
                RequestErrorKind::Timeout | RequestErrorKind::Interrupted
            ),
            Self::Final => false,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    RetryIn(Duration),
    Stop,
}

/// Reads a `Retry-After` header: whole seconds, or an HTTP date in any of its three forms. Zero,
/// past and unreadable values say nothing.
pub(crate) fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    let wait = match header.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(header)
            .ok()?
            .duration_since(now)
            .ok()?,
    };
    (!wait.is_zero()).then_some(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const D: Duration = Duration::from_millis(100);

    fn status(status: u16) -> Outcome {
        Outcome::Status {
            status,
            retry_after: None,
        }
    }

    #[test]
    fn what_is_retried() {
        let p = RetryPolicy::default();
        for s in [408, 429, 500, 502, 503, 504, 599] {
            assert_eq!(
                p.decide(1, false, &status(s), D),
                Decision::RetryIn(D),
                "{s}"
            );
        }
        for s in [301, 400, 401, 402, 403, 404, 409, 413, 415, 422, 600] {
            assert_eq!(p.decide(1, true, &status(s), D), Decision::Stop, "{s}");
        }
        use RequestErrorKind::*;
        for k in [Connect, Timeout, Interrupted] {
            assert_eq!(
                p.decide(5, false, &Outcome::Transport(k), D),
                Decision::RetryIn(D)
            );
            assert_eq!(
                p.decide(6, false, &Outcome::Transport(k), D),
                Decision::Stop
            );
        }
        for k in [AnswerTooLarge, Setup] {
            assert_eq!(p.decide(1, true, &Outcome::Transport(k), D), Decision::Stop);
        }
    }

    #[test]
    fn restricted_to_idempotent_methods_only_unsent_requests_are_repeated() {
        let p = RetryPolicy::default().methods(RetryMethods::Idempotent);
        assert_eq!(p.decide(1, false, &status(503), D), Decision::Stop);
        assert_eq!(p.decide(1, true, &status(503), D), Decision::RetryIn(D));
        assert_eq!(p.decide(1, false, &status(429), D), Decision::RetryIn(D));
        let refused = Outcome::Transport(RequestErrorKind::Connect);
        assert_eq!(p.decide(1, false, &refused, D), Decision::RetryIn(D));
        let cut = Outcome::Transport(RequestErrorKind::Interrupted);
        assert_eq!(p.decide(1, false, &cut, D), Decision::Stop);
    }

    #[cfg(feature = "flags")]
    #[test]
    fn flags_are_retried_as_posthog_specifies_it() {
        use RequestErrorKind::{AnswerTooLarge, Connect, Interrupted, Panicked, Setup, Timeout};
        let p = RetryPolicy::of_flags(2);
        let waits: Vec<_> = p.delays().take(8).map(|wait| wait.as_millis()).collect();
        assert_eq!(
            waits,
            [300, 600, 1_200, 2_400, 4_800, 9_600, 19_200, 30_000]
        );
        let decided = |attempt, outcome: &Outcome| p.decide(attempt, true, outcome, D);
        for s in [502, 504] {
            // `Retry-After` does not count.
            let outcome = Outcome::Status {
                status: s,
                retry_after: Some(Duration::from_secs(60)),
            };
            assert_eq!(decided(2, &outcome), Decision::RetryIn(D), "{s}");
            assert_eq!(decided(3, &outcome), Decision::Stop, "{s}");
        }
        for s in [400, 401, 402, 408, 429, 500, 501, 503, 505] {
            assert_eq!(decided(1, &status(s)), Decision::Stop, "{s}");
        }
        for k in [Timeout, Interrupted] {
            assert_eq!(decided(1, &Outcome::Transport(k)), Decision::RetryIn(D));
        }
        for k in [Connect, Setup, Panicked, AnswerTooLarge] {
            assert_eq!(decided(1, &Outcome::Transport(k)), Decision::Stop, "{k}");
        }
    }

    #[test]
    fn retry_after_reads_seconds_and_dates() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let s = |n| Some(Duration::from_secs(n));
        assert_eq!(retry_after(" 7 ", now), s(7));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:42 GMT", now), s(5));
        assert_eq!(retry_after("Sunday, 06-Nov-94 08:50:37 GMT", now), s(60));
        assert_eq!(retry_after("Sun Nov  6 08:49:38 1994", now), s(1));
        for nothing in [
            "0",
            "",
            "-1",
            "1.5",
            "soon",
            "Sun, 06 Nov 1994 08:49:37 GMT",
        ] {
            assert_eq!(retry_after(nothing, now), None, "{nothing}");
        }
        assert_eq!(retry_after(&u64::MAX.to_string(), now), s(u64::MAX));
    }

    #[test]
    fn a_thousand_clients_at_the_cap_do_not_return_in_step() {
        let p = RetryPolicy::default();
        let mut arrivals = std::collections::BTreeMap::new();
        for _ in 0..1_000 {
            // The twelfth wait: long at the cap.
            let wait = p.delays().nth(11).unwrap();
            *arrivals.entry(wait.as_millis() / 1_000).or_insert(0) += 1;
        }
        // Over 15 s: 67 in a second on the average.
        let peak = arrivals.values().copied().max().unwrap();
        assert!(peak < 150, "{arrivals:?}");
    }

    proptest! {
        #[test]
        fn waits_grow_from_the_first_delay_and_stay_under_the_cap(
            first in 1u64..5_000, cap in 1u64..60_000, after in proptest::option::of(0u64..100_000_000),
        ) {
            let p = RetryPolicy::default()
                .attempts(u32::MAX)
                .first_delay(Duration::from_millis(first))
                .max_delay(Duration::from_millis(cap));
            let retry_after = after.map(Duration::from_secs);
            for (n, delay) in p.delays().take(12).enumerate() {
                let longest = p.max_delay / 2;
                let base = (Duration::from_millis(first).min(longest) * 2u32.pow(n as u32)).min(longest);
                prop_assert!(delay >= base && delay <= base * 2);
                let outcome = Outcome::Status { status: 503, retry_after };
                let Decision::RetryIn(wait) = p.decide(n as u32 + 1, false, &outcome, delay) else {
                    panic!("must retry")
                };
                prop_assert!(wait <= p.max_delay && wait >= delay);
                prop_assert!(wait >= retry_after.unwrap_or_default().min(p.max_delay));
            }
        }
    }
}
