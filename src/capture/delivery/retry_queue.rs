//! Batches in memory that failed and wait for their next attempt.
//!
//! A batch between two attempts waits for its own time. A batch whose attempts are exhausted waits with all others of
//! its kind: for [`Backoff`], which grows with each of them and ends with any success, so that a PostHog that is back
//! gets everything soon.

use super::batch::Batch;
use crate::http::FOREVER;
use crate::http::retry::RetryPolicy;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug, Default)]
pub(super) struct RetryQueue {
    /// Between two attempts, each with its own time.
    retrying: Vec<Batch>,
    /// Their attempts were exhausted; the longest waiting first.
    exhausted: VecDeque<Batch>,
}

impl RetryQueue {
    /// A batch that is to be tried again at its `next_at`.
    pub(super) fn retry(&mut self, batch: Batch) {
        self.retrying.push(batch);
    }

    /// A batch whose attempts are exhausted.
    pub(super) fn keep(&mut self, batch: Batch) {
        self.exhausted.push_back(batch);
    }

    /// How many batches wait between two attempts.
    pub(super) fn retrying(&self) -> usize {
        self.retrying.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.retrying.is_empty() && self.exhausted.is_empty()
    }

    /// When the next batch may go; `backoff_until` holds for the exhausted ones.
    pub(super) fn next_at(&self, backoff_until: Option<Instant>, now: Instant) -> Option<Instant> {
        let at = |batch: &Batch| batch.delivery.next_at.unwrap_or(now);
        let retrying = self.retrying.iter().map(at).min();
        let exhausted = (!self.exhausted.is_empty()).then(|| backoff_until.unwrap_or(now));
        [retrying, exhausted].into_iter().flatten().min()
    }

    /// The batch that has waited longest for a time that has come.
    pub(super) fn pop(&mut self, backoff_until: Option<Instant>, now: Instant) -> Option<Batch> {
        let at = |batch: &Batch| batch.delivery.next_at.unwrap_or(now);
        let first = (0..self.retrying.len()).min_by_key(|i| at(&self.retrying[*i]));
        if let Some(first) = first
            && at(&self.retrying[first]) <= now
        {
            return Some(self.retrying.swap_remove(first));
        }
        match backoff_until.is_none_or(|until| until <= now) {
            true => self.exhausted.pop_front(),
            false => None,
        }
    }

    /// Lets every batch go at once.
    pub(super) fn hurry(&mut self) {
        for batch in &mut self.retrying {
            batch.delivery.next_at = None;
        }
    }

    /// Takes a batch out that is between two attempts, whatever it waits for.
    pub(super) fn take_retrying(&mut self) -> Option<Batch> {
        self.retrying.pop()
    }

    /// Takes any batch out, whatever it waits for.
    pub(super) fn take_any(&mut self) -> Option<Batch> {
        self.retrying.pop().or_else(|| self.exhausted.pop_front())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Batch> {
        self.retrying.iter().chain(&self.exhausted)
    }

    /// Batches whose next attempt is only a matter of time.
    pub(super) fn iter_retrying(&self) -> impl Iterator<Item = &Batch> {
        self.retrying.iter()
    }

    pub(super) fn iter_exhausted(&self) -> impl Iterator<Item = &Batch> {
        self.exhausted.iter()
    }
}

/// How long failed batches wait once their attempts are exhausted: longer each time, and not at all after a success.
#[derive(Default)]
pub(super) struct Backoff {
    /// `None`: they may go.
    until: Option<Instant>,
    delays: Option<Box<dyn Iterator<Item = Duration> + Send>>,
}

impl Backoff {
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Waits longer than the last time, and at least as long as PostHog asked for.
    pub(super) fn lengthen(&mut self, at_least: Duration) {
        let policy = RetryPolicy::default().first_delay(Duration::from_secs(1));
        let delays = self.delays.get_or_insert_with(|| Box::new(policy.delays()));
        let delay = delays.next().unwrap_or(policy.max_delay);
        // As between attempts: the server's wish plus the backoff, within the longest wait.
        let wait = at_least.saturating_add(delay).min(policy.max_delay);
        self.until = Some(Instant::now() + wait.max(at_least.min(FOREVER)));
    }

    /// Ends this wait; the next one is longer all the same.
    pub(super) fn cut_short(&mut self) {
        self.until = None;
    }

    /// Starts over: PostHog accepts events.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}

impl std::fmt::Debug for Backoff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backoff")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(seq: u64, next_at: Option<Instant>) -> Batch {
        let mut batch = Batch::of_events(seq, [&b"{}"[..]]);
        batch.delivery.next_at = next_at;
        batch
    }

    #[test]
    fn batches_go_when_their_own_time_has_come() {
        let now = Instant::now();
        let at = |s| now + Duration::from_secs(s);
        let mut queue = RetryQueue::default();
        queue.retry(batch(1, Some(at(2))));
        queue.retry(batch(2, Some(at(1))));
        queue.keep(batch(3, None));
        let backoff = Some(at(3));
        assert_eq!(queue.next_at(backoff, now), Some(at(1)));
        assert!(queue.pop(backoff, now).is_none());
        let mut popped = |when| queue.pop(backoff, at(when)).map(|b| b.seq);
        assert_eq!(popped(1), Some(2));
        assert_eq!(popped(1), None);
        assert_eq!(popped(3), Some(1));
        assert_eq!(popped(3), Some(3));
        assert_eq!(popped(9), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_backoff_grows_and_a_success_ends_it() {
        let mut backoff = Backoff::default();
        let wait = |b: &Backoff| b.until().map(|u| u - Instant::now()).unwrap_or_default();
        backoff.lengthen(Duration::ZERO);
        let first = wait(&backoff);
        assert!(first >= Duration::from_secs(1), "{first:?}");
        backoff.lengthen(Duration::ZERO);
        assert!(wait(&backoff) >= Duration::from_secs(2));
        backoff.lengthen(Duration::from_secs(100));
        assert!(wait(&backoff) >= Duration::from_secs(100), "as asked for");
        backoff.reset();
        assert!(backoff.is_over(Instant::now()));
        backoff.lengthen(Duration::ZERO);
        assert!(wait(&backoff) <= Duration::from_secs(2), "from the start");
    }
}
