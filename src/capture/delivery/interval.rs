//! The flush interval: how long events wait for their batch to fill.

use std::time::Duration;
use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Interval {
    length: Duration,
    /// When the interval is over; `None` while no events wait.
    deadline: Option<Instant>,
    /// Events before this number go at once.
    flush_up_to: u64,
}

impl Interval {
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            deadline: None,
            flush_up_to: 0,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(super) fn flush_up_to(&self) -> u64 {
        self.flush_up_to
    }

    /// Events before this number are to go at once.
    pub(super) fn flush(&mut self, up_to: u64) {
        self.flush_up_to = self.flush_up_to.max(up_to);
    }

    /// Begins an interval, unless one runs.
    pub(super) fn begin(&mut self) {
        self.deadline
            .get_or_insert_with(|| Instant::now() + self.length);
    }

    /// A batch went ahead of its time and left nothing behind: what comes waits from now on.
    pub(super) fn begin_again(&mut self) {
        if self.deadline.is_some() {
            self.deadline = Some(Instant::now() + self.length);
        }
    }

    /// Looks at the time. At the end of an interval, events before `next_seq` are to go; another begins where some
    /// wait.
    pub(super) fn tick(
        &mut self,
        next_seq: impl FnOnce() -> u64,
        is_waiting: impl FnOnce() -> bool,
    ) {
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| deadline > now) {
            return;
        }
        let waiting = is_waiting();
        if self.deadline.is_some() {
            self.flush(next_seq());
        }
        self.deadline = waiting.then(|| now + self.length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn events_go_at_the_end_of_the_interval_that_began_with_them() {
        let mut interval = Interval::new(Duration::from_secs(5));
        interval.tick(|| 3, || false);
        assert_eq!(interval.deadline(), None);
        interval.tick(|| 3, || true);
        assert_eq!(interval.flush_up_to(), 0);
        tokio::time::advance(Duration::from_secs(5)).await;
        interval.tick(|| 7, || false);
        assert_eq!(interval.flush_up_to(), 7);
        assert_eq!(interval.deadline(), None);
    }
}
