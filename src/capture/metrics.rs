//! The ledger, published through the facade of the `metrics` crate.

use super::ledger::{DropReason, Stats};
use crate::http::breaker::CircuitState;
use crate::panic::catch;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use std::time::Duration;
use tokio::time::Instant;

/// How often at most. An actor that falls asleep publishes before.
const INTERVAL: Duration = Duration::from_secs(1);

const CAPTURED: &str = "posthog_events_captured_total";
const DELIVERED: &str = "posthog_events_delivered_total";
const DROPPED: &str = "posthog_events_dropped_total";
const BATCHES: &str = "posthog_batches_sent_total";
const KEPT: &str = "posthog_batches_kept_total";
const QUEUED: &str = "posthog_events_queued";
const SPOOLED: &str = "posthog_events_spooled";
const RECOVERED: &str = "posthog_events_recovered_total";
const IN_FLIGHT: &str = "posthog_events_in_flight";
const CIRCUITS: &str = "posthog_circuits_open";

/// Publishes what changed since the last time, so that several actors of one process add up.
#[derive(Debug, Default)]
pub(crate) struct Publisher {
    last: Option<Stats>,
    next: Option<Instant>,
}

impl Publisher {
    /// Publishes, unless it did a moment ago.
    pub(crate) fn now_and_then(&mut self, stats: impl FnOnce() -> Stats) {
        if self.next.is_none_or(|next| next <= Instant::now()) {
            self.now(stats());
        }
    }

    pub(crate) fn now(&mut self, stats: Stats) {
        self.next = Some(Instant::now() + INTERVAL);
        // The recorder is the user's: its panic must not end the actor.
        catch(|| match &self.last {
            Some(last) => publish(last, &stats),
            None => {
                describe();
                // Those that nothing has happened to yet: a rate begins with two values.
                counter!(RECOVERED).increment(0);
                for reason in DropReason::ALL.iter().copied() {
                    counter!(DROPPED, "reason" => reason.as_str()).increment(0);
                }
                publish(&Stats::default(), &stats);
            }
        });
        self.last = Some(stats);
    }
}

fn publish(last: &Stats, now: &Stats) {
    counter!(CAPTURED).increment(now.captured.saturating_sub(last.captured));
    counter!(DELIVERED).increment(now.delivered.saturating_sub(last.delivered));
    let recovered = now.recovered - last.recovered;
    if recovered > 0 {
        counter!(RECOVERED).increment(recovered);
    }
    counter!(BATCHES).increment(now.batches.saturating_sub(last.batches));
    counter!(KEPT).increment(now.batches_kept.saturating_sub(last.batches_kept));
    for reason in DropReason::ALL.iter().copied() {
        let more = now.dropped.by(reason) - last.dropped.by(reason);
        if more > 0 {
            counter!(DROPPED, "reason" => reason.as_str()).increment(more);
        }
    }
    let open = |stats: &Stats| u64::from(stats.circuit.is_some_and(|c| c != CircuitState::Closed));
    for (name, before, after) in [
        (QUEUED, last.queued, now.queued),
        (IN_FLIGHT, last.in_flight, now.in_flight),
        (SPOOLED, last.spooled, now.spooled),
        (CIRCUITS, open(last), open(now)),
    ] {
        // Counts of events are far below where a float loses units.
        gauge!(name).increment(after as f64 - before as f64);
    }
}

fn describe() {
    describe_counter!(
        CAPTURED,
        Unit::Count,
        "Events captured, refused ones included."
    );
    describe_counter!(DELIVERED, Unit::Count, "Events that PostHog acknowledged.");
    describe_counter!(DROPPED, Unit::Count, "Events that will never be delivered.");
    describe_counter!(BATCHES, Unit::Count, "Batches sent, retries not counted.");
    describe_counter!(
        KEPT,
        Unit::Count,
        "Batches kept for later after all attempts failed."
    );
    describe_gauge!(QUEUED, Unit::Count, "Events waiting in memory.");
    describe_gauge!(IN_FLIGHT, Unit::Count, "Events in requests under way.");
    describe_gauge!(SPOOLED, Unit::Count, "Events that are on disk only.");
    describe_counter!(
        RECOVERED,
        Unit::Count,
        "Events on disk taken over from ended processes."
    );
    describe_gauge!(
        CIRCUITS,
        Unit::Count,
        "Circuit breakers that hold requests back."
    );
}
