//! What the actor does next: a pure function of what it holds and of the time.
//!
//! Three lanes lead to the free request slots: fresh events, batches in memory that failed before, and batches on
//! disk. Fresh events and older batches alternate, and of the older ones memory and disk, so that no lane waits for
//! another. A slot is held only while a request is on the wire.
//!
//! Where nothing but failures comes back, fresh batches are let through more slowly the more of them wait for a retry:
//! one after the other still tries its luck, so that a good batch passes bad ones, and a PostHog that is down is not
//! flooded. As soon as one is taken, PostHog is up, and those that fail hold no others up.

use crate::capture::queue::Sleep;
use crate::http::breaker::Circuit;
use std::time::Duration;
use tokio::time::Instant;

/// Where the next batch comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// Events that were never sent, and parts that need a request of their own.
    Fresh,
    /// Batches in memory that failed before.
    Retry,
    /// Batches on disk.
    Spool,
}

/// What the actor holds, as far as it matters for what it does next.
#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) max_in_flight: usize,
    pub(super) in_flight: usize,
    pub(super) circuit: Circuit,
    /// Whether a fresh batch could go.
    pub(super) fresh: bool,
    /// When a fresh batch was last sent.
    pub(super) fresh_sent_at: Option<Instant>,
    /// How many batches failed at once since PostHog last took one, and wait for their next attempt.
    pub(super) failing: usize,
    /// When the next batch of the lane may go; `None`: there is none.
    pub(super) retry_at: Option<Instant>,
    pub(super) spool_at: Option<Instant>,
    /// The lane that was served last, and the one of the two older ones.
    pub(super) last: Option<Lane>,
    pub(super) last_older: Lane,
    /// Whether the disk takes batches that cannot be sent.
    pub(super) disk: bool,
    /// Whether something in memory could go there.
    pub(super) to_spill: bool,
    /// When waiting events are to be flushed; `None`: none wait.
    pub(super) flush_at: Option<Instant>,
    /// Whether events that are due are written to disk even where all slots are busy.
    pub(super) writes_when_busy: bool,
    /// The earliest time at which somebody's flush ends.
    pub(super) answer_at: Option<Instant>,
    pub(super) shutdown: Option<Closing>,
}

/// A shutdown that is under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Closing {
    pub(super) deadline: Instant,
    /// Whether anything is left to be sent.
    pub(super) has_more: bool,
    /// Whether the rest is left on disk, as PostHog does not accept it.
    pub(super) gave_up: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Send a batch of this lane.
    Send(Lane),
    /// Move a batch that cannot be sent to disk.
    Spill,
    /// Sleep.
    Wait {
        /// At most until then.
        until: Option<Instant>,
        /// How callers may wake the actor.
        sleep: Sleep,
    },
    /// The shutdown is complete, or its time is over.
    Finish,
}

/// A probe of somebody else is looked at this often.
const PROBE_POLL: Duration = Duration::from_millis(20);
/// How much longer a fresh batch waits after the last one, for each batch that fails beyond the request slots.
const FAILING_SPACING: Duration = Duration::from_millis(10);
/// The most of that in a shutdown, which has little time.
const CLOSING_SPACING: Duration = Duration::from_millis(20);

/// Decides what to do next.
pub(super) fn next_step(state: &State, now: Instant) -> Step {
    if let Some(closing) = &state.shutdown {
        let idle = state.in_flight == 0 && (closing.gave_up || !closing.has_more);
        if idle || now >= closing.deadline {
            return Step::Finish;
        }
    }
    if state.sends(now)
        && let Some(lane) = state.next_lane(now)
    {
        return Step::Send(lane);
    }
    if state.spills(now) && state.to_spill {
        return Step::Spill;
    }
    state.wait(now)
}

impl State {
    /// Whether the circuit lets a request through. A shutdown tries in any case: it is the last chance.
    pub(super) fn may_send(&self, now: Instant) -> bool {
        self.shutdown.is_some()
            || match self.circuit {
                Circuit::Closed => true,
                Circuit::Open(until) => until <= now && self.in_flight == 0,
                // One at a time: it is the probe.
                Circuit::HalfOpen => self.in_flight == 0,
                Circuit::Probing => false,
            }
    }

    fn sends(&self, now: Instant) -> bool {
        self.may_send(now)
            && self.in_flight < self.max_in_flight
            && !self.shutdown.is_some_and(|closing| closing.gave_up)
    }

    /// Whether the disk takes what cannot be sent.
    fn spills(&self, now: Instant) -> bool {
        self.disk && !self.may_send(now)
    }

    /// When a fresh batch may go, were there one.
    fn fresh_at(&self) -> Option<Instant> {
        let failing = (self.failing + 1).saturating_sub(self.max_in_flight);
        let spacing = FAILING_SPACING.saturating_mul(u32::try_from(failing).unwrap_or(u32::MAX));
        let spacing = match self.shutdown {
            None => spacing,
            Some(_) => spacing.min(CLOSING_SPACING),
        };
        match failing {
            0 => None,
            _ => self.fresh_sent_at?.checked_add(spacing),
        }
    }

    fn is_due(&self, lane: Lane, now: Instant) -> bool {
        match lane {
            Lane::Fresh => self.fresh && self.fresh_at().is_none_or(|at| at <= now),
            Lane::Retry => self.retry_at.is_some_and(|at| at <= now),
            Lane::Spool => self.spool_at.is_some_and(|at| at <= now),
        }
    }

    fn next_lane(&self, now: Instant) -> Option<Lane> {
        let older = match self.last_older {
            Lane::Retry => [Lane::Spool, Lane::Retry],
            Lane::Fresh | Lane::Spool => [Lane::Retry, Lane::Spool],
        };
        let order = match (&self.shutdown, self.last) {
            // Memory goes first: the disk can wait.
            (Some(_), _) => [Lane::Fresh, Lane::Retry, Lane::Spool],
            (None, Some(Lane::Fresh)) => [older[0], older[1], Lane::Fresh],
            (None, _) => [Lane::Fresh, older[0], older[1]],
        };
        order.into_iter().find(|lane| self.is_due(*lane, now))
    }

    fn wait(&self, now: Instant) -> Step {
        let sends = self.sends(now);
        let mut until = self.answer_at;
        let mut at_latest = |at: Option<Instant>| {
            until = [until, at].into_iter().flatten().min();
        };
        at_latest(self.shutdown.map(|closing| closing.deadline));
        if sends {
            at_latest(self.retry_at);
            at_latest(self.spool_at);
            if self.fresh {
                at_latest(self.fresh_at());
            }
        }
        if !self.may_send(now) && self.in_flight == 0 {
            at_latest(Some(match self.circuit {
                Circuit::Open(until) => until.max(now + PROBE_POLL),
                // Somebody else's probe is on its way.
                _ => now + PROBE_POLL,
            }));
        }
        if self.writes_when_busy && self.may_send(now) {
            at_latest(self.flush_at);
        }
        // Fresh events that wait for a time need no caller to wake the actor.
        let spaced = self.fresh && self.fresh_at().is_some_and(|at| at > now);
        let takes = (sends && !spaced) || self.spills(now);
        let sleep = match (takes, self.flush_at) {
            (false, _) => Sleep::Awake,
            (true, None) => Sleep::Deep,
            (true, Some(_)) => {
                at_latest(self.flush_at);
                Sleep::Timer
            }
        };
        Step::Wait { until, sleep }
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
