//! How long to wait for the next load.

use crate::http::FOREVER;
use crate::http::retry::jittered;
use backon::BackoffBuilder;
use std::time::Duration;

/// Waits after failures grow up to this, or to the poll interval where that is longer.
const LONGEST_BACKOFF: Duration = Duration::from_secs(5 * 60);
/// The first wait after a failure without any definitions: all flags are unresolved, or cost a request, until then.
const SHORTEST_BACKOFF: Duration = Duration::from_secs(1);
/// PostHog may ask to be left alone no longer than this.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);

/// After a load that succeeded: the poll interval, give or take a tenth, so that many processes do not load in step.
pub(super) fn after_success(poll_interval: Duration) -> Duration {
    let poll_interval = poll_interval.min(FOREVER);
    let random = random_up_to(poll_interval);
    poll_interval - poll_interval / 10 + random / 5
}

/// After a number of failures in a row: the poll interval, doubling. Without any definitions it begins sooner, unless
/// PostHog refused the load.
pub(super) fn after_failure(
    failures: u32,
    poll_interval: Duration,
    begins_soon: bool,
    retry_after: Option<Duration>,
) -> Duration {
    let first = match begins_soon {
        true => poll_interval.min(SHORTEST_BACKOFF),
        false => poll_interval,
    };
    let longest = LONGEST_BACKOFF.max(poll_interval);
    let doublings = failures.saturating_sub(1).min(31);
    let backoff = first.saturating_mul(1 << doublings).min(longest);
    let backoff = after_success(backoff);
    match retry_after.map(limited) {
        // No earlier than it says, and not all in the same second.
        Some(wait) => backoff.max(wait + random_up_to(wait / 10)),
        None => backoff,
    }
}

/// How long PostHog is left alone where it asks for that.
pub(super) fn limited(retry_after: Duration) -> Duration {
    retry_after.min(LONGEST_RETRY_AFTER)
}

/// A random time, at most that long.
fn random_up_to(most: Duration) -> Duration {
    let once = jittered().with_min_delay(most).with_max_delay(most).build();
    let lengthened = once.into_iter().next().unwrap_or(most);
    lengthened.saturating_sub(most).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn polls_spread_over_a_fifth_of_the_interval() {
        let waits: Vec<_> = (0..1_000).map(|_| after_success(30 * S)).collect();
        let (least, most) = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
        assert!(*least >= 27 * S && *most <= 33 * S, "{least:?} {most:?}");
        assert!(*most - *least > 5 * S, "{least:?} {most:?}");
    }

    #[test]
    fn failures_lengthen_the_wait_up_to_some_minutes() {
        let tenth = |wait: Duration| wait - wait / 10..=wait + wait / 10;
        for (failures, soon, wait) in [
            (1, false, 30),
            (2, false, 60),
            (4, false, 240),
            (5, false, 300),
            (u32::MAX, false, 300),
            (1, true, 1),
            (2, true, 2),
            (6, true, 32),
            (90, true, 300),
        ] {
            let waited = after_failure(failures, 30 * S, soon, None);
            assert!(tenth(wait * S).contains(&waited), "{failures}: {waited:?}");
        }
        let rarely = after_failure(9, 3_600 * S, false, None);
        assert!(tenth(3_600 * S).contains(&rarely), "{rarely:?}");
    }

    #[test]
    fn retry_after_is_a_floor_and_has_a_limit() {
        let asked = |seconds| after_failure(1, 30 * S, false, Some(seconds * S));
        assert!((27 * S..=33 * S).contains(&asked(1)));
        assert!((600 * S..=660 * S).contains(&asked(600)));
        assert!((3_600 * S..=3_960 * S).contains(&asked(1_000_000)));
    }
}
