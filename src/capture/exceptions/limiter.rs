//! [`Limiter`]: a token bucket for each type and callsite.

use super::Config;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How many pairs of type and callsite have buckets of their own. Those beyond share one.
const PLACES: usize = 1024;
const TRIES: usize = 8;

/// Token buckets. Shared by all threads, without locks.
#[derive(Debug)]
pub(crate) struct Limiter {
    buckets: Box<[OnceLock<Bucket>]>,
    others: OnceLock<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    key: u64,
    /// `None`: without a limit.
    limiter: Option<DefaultDirectRateLimiter>,
    suppressed: AtomicU64,
}

/// What the limiter says of an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is captured. So many were suppressed since the last one.
    Admitted {
        suppressed: u64,
    },
    Suppressed,
}

impl Default for Limiter {
    fn default() -> Self {
        Self {
            buckets: (0..PLACES).map(|_| OnceLock::new()).collect(),
            others: OnceLock::new(),
        }
    }
}

impl Limiter {
    /// Takes a token of the bucket of that type and callsite, if there is one.
    pub(crate) fn admit(&self, key: u64, config: &Config) -> Admission {
        let bucket = self.bucket(key, config);
        let Some(limiter) = &bucket.limiter else {
            return Admission::Admitted { suppressed: 0 };
        };
        match limiter.check() {
            Ok(()) => Admission::Admitted {
                suppressed: bucket.suppressed.swap(0, Relaxed),
            },
            Err(_) => {
                bucket.suppressed.fetch_add(1, Relaxed);
                Admission::Suppressed
            }
        }
    }

    fn bucket(&self, key: u64, config: &Config) -> &Bucket {
        let first = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize;
        (first..first + TRIES)
            .map(|place| self.buckets[place % PLACES].get_or_init(|| Bucket::new(key, config)))
            .find(|bucket| bucket.key == key)
            .unwrap_or_else(|| self.others.get_or_init(|| Bucket::new(key, config)))
    }
}

impl Bucket {
    fn new(key: u64, config: &Config) -> Self {
        let burst = NonZeroU32::new(config.burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(config.period.max(Duration::from_nanos(1)));
        Self {
            key,
            limiter: (!config.period.is_zero())
                .then_some(quota)
                .flatten()
                .map(|quota| RateLimiter::direct(quota.allow_burst(burst))),
            suppressed: AtomicU64::new(0),
        }
    }
}
