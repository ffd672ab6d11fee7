//! A circuit breaker: after repeated failures, leave PostHog alone for a while.

use super::retry::jittered;
use backon::BackoffBuilder;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long the response to a probe may take to be handled once it is there.
const HANDLED_WITHIN: Duration = Duration::from_secs(1);

/// When a client stops asking a PostHog that does not answer.
///
/// Each client has a breaker for capture, one for the REST API and one for requests for flags
/// ([`Destination`](crate::Destination)): a failing query API stops no events. A breaker counts failures in a row: calls whose attempts are exhausted, and attempts
/// that timed out.
///
/// ```
/// # use tracing_posthog::CircuitBreaker;
/// use std::time::Duration;
/// let eager = CircuitBreaker::after_failures(2).cool_down(Duration::from_secs(5));
/// let never = CircuitBreaker::off();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct CircuitBreaker {
    failures: Option<u32>,
    cool_down: Duration,
}

impl Default for CircuitBreaker {
    /// Opens after 5 failures in a row, for 30 s.
    fn default() -> Self {
        Self::after_failures(5)
    }
}

impl CircuitBreaker {
    /// Opens after this many failures in a row (at least 1).
    pub fn after_failures(failures: u32) -> Self {
        Self {
            failures: Some(failures.max(1)),
            cool_down: Duration::from_secs(30),
        }
    }

    /// Never opens.
    pub fn off() -> Self {
        Self {
            failures: None,
            cool_down: Duration::ZERO,
        }
    }

    /// For how long it stays open, at least, before it lets one probe through. A random share of up to a quarter is
    /// added, so that many processes do not return in step. Default 30 s.
    pub fn cool_down(mut self, cool_down: Duration) -> Self {
        self.cool_down = cool_down.min(super::FOREVER);
        self
    }
}

/// What a client's circuit breaker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// Calls fail at once, until the cool-down is over.
    Open,
    /// The cool-down is over: the next call is the probe, or the probe is under way.
    HalfOpen,
}

/// What a breaker lets through, for who schedules attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Circuit {
    Closed,
    /// Nothing, until then.
    Open(Instant),
    /// One request, to see whether PostHog is back.
    HalfOpen,
    /// That request is on its way.
    Probing,
}

#[derive(Debug)]
pub(crate) struct Breaker {
    config: CircuitBreaker,
    /// How long a probe is waited for.
    probe_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// The probe is waited for until then. One that takes longer belongs to somebody who is held up, by a runtime that
    /// is not driven or a busy hook, and holds up nobody else: another may go.
    Probing {
        until: Instant,
    },
}

/// Permission for one call. Dropping it without a result (the call was cancelled) releases the probe slot.
#[derive(Debug)]
pub(crate) struct Permit {
    breaker: Arc<Breaker>,
    /// Of the probe: until when it is waited for.
    probe: Option<Instant>,
    settled: bool,
}

impl Breaker {
    /// `attempt_timeout`: no answer is waited for longer than that.
    pub(crate) fn new(config: CircuitBreaker, attempt_timeout: Duration) -> Self {
        Self {
            config,
            probe_timeout: attempt_timeout
                .saturating_add(HANDLED_WITHIN)
                .min(super::FOREVER),
            state: Mutex::new(State::Closed { failures: 0 }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks to make a call. Refused, says how long to wait (zero: until the running probe ends).
    pub(crate) fn admit(self: &Arc<Self>) -> Result<Permit, Duration> {
        let now = Instant::now();
        let mut state = self.state();
        let probe = match *state {
            State::Closed { .. } => None,
            State::Open { until } if until > now => return Err(until - now),
            State::Probing { until } if until > now => return Err(Duration::ZERO),
            State::Open { .. } | State::Probing { .. } => {
                let until = now + self.probe_timeout;
                *state = State::Probing { until };
                Some(until)
            }
        };
        Ok(Permit {
            breaker: self.clone(),
            probe,
            settled: false,
        })
    }

    /// Lets a call through whatever the state, for the last try before a shutdown.
    pub(crate) fn admit_always(self: &Arc<Self>) -> Permit {
        Permit {
            breaker: self.clone(),
            probe: None,
            settled: false,
        }
    }

    pub(crate) fn current(&self) -> CircuitState {
        match *self.state() {
            State::Closed { .. } => CircuitState::Closed,
            State::Open { until } if until > Instant::now() => CircuitState::Open,
            State::Open { .. } | State::Probing { .. } => CircuitState::HalfOpen,
        }
    }

    /// The same, for who schedules attempts.
    pub(crate) fn circuit(&self) -> Circuit {
        match *self.state() {
            State::Closed { .. } => Circuit::Closed,
            State::Open { until } if until > Instant::now() => Circuit::Open(until),
            State::Probing { until } if until > Instant::now() => Circuit::Probing,
            State::Open { .. } | State::Probing { .. } => Circuit::HalfOpen,
        }
    }

    /// A random time of up to a quarter of the cool-down.
    fn spread(&self) -> Duration {
        let quarter = self.config.cool_down / 4;
        let waits = jittered()
            .with_min_delay(quarter)
            .with_max_delay(quarter)
            .build();
        let jittered = waits.into_iter().next();
        jittered.unwrap_or_default().saturating_sub(quarter)
    }

    /// An attempt timed out, and its call goes on.
    pub(crate) fn count_timeout(&self) {
        self.count_failure(false);
    }

    fn count_failure(&self, probe: bool) {
        let Some(limit) = self.config.failures else {
            return;
        };
        let mut state = self.state();
        *state = match *state {
            State::Closed { failures } if failures + 1 < limit => State::Closed {
                failures: failures + 1,
            },
            // A call that began before the breaker opened does not lengthen the cool-down.
            State::Open { until } if !probe => State::Open { until },
            State::Probing { until } if !probe => State::Probing { until },
            _ => self.open(),
        };
    }

    fn open(&self) -> State {
        State::Open {
            until: Instant::now() + self.config.cool_down + self.spread(),
        }
    }
}

impl Permit {
    /// PostHog responded, be it with a refusal.
    pub(crate) fn success(mut self) {
        self.settled = true;
        *self.breaker.state() = State::Closed { failures: 0 };
    }

    /// The attempts are exhausted, or the attempt timed out.
    pub(crate) fn failure(mut self) {
        self.settled = true;
        self.breaker.count_failure(self.probe.is_some());
    }

    /// The attempt failed and another follows: a failure of the probe, else nothing.
    pub(crate) fn retried(self) {
        if self.probe.is_some() {
            self.failure();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        // Another may have gone meanwhile.
        if let (State::Probing { until }, Some(own)) = (*state, self.probe)
            && !self.settled
            && until == own
        {
            let until = Instant::now();
            *state = State::Open { until };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: Duration = Duration::from_secs(10);

    fn breaker() -> Arc<Breaker> {
        let config = CircuitBreaker::after_failures(2).cool_down(Duration::from_secs(30));
        Arc::new(Breaker::new(config, ATTEMPT))
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_the_limit_probes_once_and_closes_on_success() {
        let b = breaker();
        b.admit().unwrap().failure();
        assert_eq!(b.current(), CircuitState::Closed);
        b.admit().unwrap().failure();
        assert_eq!(b.current(), CircuitState::Open);
        let wait = b.admit().unwrap_err();
        assert!((30_000..=37_500).contains(&wait.as_millis()), "{wait:?}");

        tokio::time::advance(wait - Duration::from_millis(1)).await;
        assert_eq!(b.current(), CircuitState::Open);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(b.current(), CircuitState::HalfOpen);
        let probe = b.admit().unwrap();
        assert_eq!(
            b.admit().unwrap_err(),
            Duration::ZERO,
            "one probe at a time"
        );
        probe.success();
        assert_eq!(b.current(), CircuitState::Closed);
        b.admit().unwrap().failure();
        assert_eq!(b.current(), CircuitState::Closed, "the count starts anew");
    }

    #[tokio::test(start_paused = true)]
    async fn breakers_that_opened_together_do_not_probe_in_step() {
        let mut probes = std::collections::BTreeMap::new();
        for _ in 0..1_000 {
            let b = breaker();
            b.admit().unwrap().failure();
            b.admit().unwrap().failure();
            let wait = b.admit().unwrap_err();
            *probes.entry(wait.as_millis() / 500).or_insert(0) += 1;
        }
        // Over 7.5 s: 67 in half a second on the average.
        let peak = probes.values().copied().max().unwrap();
        assert!(peak < 150, "{probes:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_opens_again_and_a_cancelled_one_is_given_back() {
        let b = breaker();
        b.admit().unwrap().failure();
        b.admit().unwrap().failure();
        tokio::time::advance(Duration::from_secs(38)).await;
        b.admit().unwrap().failure();
        assert_eq!(b.current(), CircuitState::Open);
        tokio::time::advance(Duration::from_secs(38)).await;
        drop(b.admit().unwrap());
        assert_eq!(b.current(), CircuitState::HalfOpen);
        b.admit().unwrap().success();
        assert_eq!(b.current(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_nobody_ends_holds_up_others_no_longer_than_an_attempt_takes() {
        let b = breaker();
        b.admit().unwrap().failure();
        b.admit().unwrap().failure();
        tokio::time::advance(Duration::from_secs(38)).await;
        let held = b.admit().unwrap();
        tokio::time::advance(ATTEMPT).await;
        assert_eq!(b.circuit(), Circuit::Probing);
        assert!(b.admit().is_err(), "its response may be on its way");
        tokio::time::advance(HANDLED_WITHIN).await;
        assert_eq!(b.circuit(), Circuit::HalfOpen);
        let second = b.admit().unwrap();
        assert!(b.admit().is_err(), "one at a time");
        drop(held);
        assert!(b.admit().is_err(), "the second one is under way");
        second.success();
        assert_eq!(b.current(), CircuitState::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_time_out_count_and_other_retries_do_not() {
        let b = breaker();
        for _ in 0..5 {
            b.admit().unwrap().retried();
        }
        assert_eq!(b.current(), CircuitState::Closed);
        b.count_timeout();
        b.count_timeout();
        assert_eq!(b.current(), CircuitState::Open);
        tokio::time::advance(Duration::from_secs(38)).await;
        b.admit().unwrap().retried();
        assert_eq!(b.current(), CircuitState::Open, "a probe has one attempt");
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_between_failures_resets_the_count_and_off_never_opens() {
        let b = breaker();
        for _ in 0..5 {
            b.admit().unwrap().failure();
            b.admit().unwrap().success();
        }
        assert_eq!(b.current(), CircuitState::Closed);
        let off = Arc::new(Breaker::new(CircuitBreaker::off(), ATTEMPT));
        for _ in 0..50 {
            off.admit().unwrap().failure();
        }
        assert_eq!(off.current(), CircuitState::Closed);
    }
}
