//! [`Limiter`]: a token bucket for each type and callsite.
//!
//! ```text
//! caller: type and callsite ─► bucket ─► a token? ─ yes ─► captured, with the number held back since the last one
//!                                                 └ no ──► counted here and in the ledger
//!                                                               │ the first of a bucket
//!                              actor, later: Lookout::look ◄────┘ one warning that names the callsites
//! ```
//!
//! Invariants:
//! - Asking takes no lock and, once the bucket exists, allocates nothing.
//! - Memory is bounded: [`PLACES`] buckets, made when their callsite is first reached. Types and callsites beyond share
//!   [`OTHERS`] more, by callsite, which limit and count like the others.
//! - A callsite is named once, by the actor. Callers only leave a note.

use super::Config;
use crate::capture::watch::Lookout;
use crate::diagnostics::log;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::fmt::Write as _;
use std::num::NonZeroU32;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How many pairs of type and callsite have buckets of their own.
const PLACES: usize = 1024;
/// How many buckets those beyond share.
const OTHERS: usize = 32;
const TRIES: usize = 8;

/// How many callsites are named in one line.
const NAMED: usize = 5;

/// Token buckets. Shared by all threads, without locks.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    /// Made by the first exception: most programs have none.
    buckets: OnceLock<Box<[Place; PLACES]>>,
    /// For the types and callsites that found no place, by callsite: a noisy one keeps few others down.
    others: [Place; OTHERS],
    /// Whether exceptions of a callsite were held back that was not named yet.
    news: AtomicBool,
}

type Place = OnceLock<Box<Bucket>>;

#[derive(Debug)]
struct Bucket {
    key: u64,
    /// The callsite, for the warning.
    file: Box<str>,
    line: u32,
    burst: u32,
    period: Duration,
    /// `None`: without a limit.
    limiter: Option<DefaultDirectRateLimiter>,
    /// How many were held back since the last one that was captured.
    suppressed: AtomicU64,
    /// How many were held back before that.
    earlier: AtomicU64,
    /// Whether the callsite was named.
    said: AtomicBool,
}

/// Where an exception is captured.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct At<'a> {
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u32>,
}

impl At<'_> {
    fn number(&self) -> usize {
        let file = self.file.unwrap_or_default().bytes();
        let line = u64::from(self.line.unwrap_or(0));
        let hash = file.fold(line, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        (hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize
    }
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

impl Limiter {
    /// Takes a token of the bucket of that type and callsite, if there is one.
    pub(crate) fn admit(&self, key: u64, at: At<'_>, config: &Config) -> Admission {
        let bucket = self.bucket(key, at, config);
        let Some(limiter) = bucket.and_then(|bucket| bucket.limiter.as_ref().map(|l| (bucket, l)))
        else {
            return Admission::Admitted { suppressed: 0 };
        };
        let (bucket, limiter) = limiter;
        if limiter.check().is_ok() {
            // Looked at first: usually there is nothing, and the cache line stays shared.
            let suppressed = match bucket.suppressed.load(Relaxed) {
                0 => 0,
                _ => bucket.suppressed.swap(0, Relaxed),
            };
            if suppressed > 0 {
                bucket.earlier.fetch_add(suppressed, Relaxed);
            }
            return Admission::Admitted { suppressed };
        }
        if bucket.suppressed.fetch_add(1, Relaxed) == 0 && !bucket.said.load(Relaxed) {
            self.news.store(true, Relaxed);
        }
        Admission::Suppressed
    }

    /// Whether the actor should look, because there is something new to say. True once.
    pub(crate) fn take_news(&self) -> bool {
        self.news.load(Relaxed) && self.news.swap(false, Relaxed)
    }

    fn bucket(&self, key: u64, at: At<'_>, config: &Config) -> Option<&Bucket> {
        let new = || Box::new(Bucket::new(key, at, config));
        let buckets = get_or_set(&self.buckets, || {
            Box::new([const { OnceLock::new() }; PLACES])
        })?;
        let first = (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 54) as usize;
        (first..first + TRIES)
            .filter_map(|place| get_or_set(buckets.get(place % PLACES)?, new))
            .find(|bucket| bucket.key == key)
            .or_else(|| get_or_set(self.others.get(at.number() % OTHERS)?, new))
            .map(|bucket| &**bucket)
    }

    fn all(&self) -> impl Iterator<Item = &Bucket> {
        let buckets = self.buckets.get().into_iter().flat_map(|all| all.iter());
        buckets
            .chain(&self.others)
            .filter_map(|place| place.get().map(|bucket| &**bucket))
    }

    /// The callsites that `wanted` picks of those that exceptions were held back of, in words.
    fn describe(&self, wanted: impl Fn(&Bucket) -> bool) -> Option<String> {
        let mut sites: Vec<(&Bucket, u64)> = Vec::new();
        for bucket in self.all().filter(|b| b.suppressed() > 0 && wanted(b)) {
            match sites.iter_mut().find(|(other, _)| bucket.is_at(other)) {
                Some((_, suppressed)) => *suppressed += bucket.suppressed(),
                None => sites.push((bucket, bucket.suppressed())),
            }
        }
        sites.sort_by_key(|(_, suppressed)| std::cmp::Reverse(*suppressed));
        let (first, _) = sites.first()?;
        let mut text = String::from("the rate limit held back exceptions of ");
        for (n, (bucket, suppressed)) in sites.iter().take(NAMED).enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            let (file, line) = (&bucket.file, bucket.line);
            let _ = write!(text, "{comma}{file}:{line} ({suppressed} until now)");
        }
        if let Some(more @ 1..) = sites.len().checked_sub(NAMED) {
            let _ = write!(text, " and {more} more callsites");
        }
        let (burst, period) = (first.burst, first.period);
        let _ = write!(
            text,
            "; each type and callsite has {burst} at once and then one every {period:?}, and the others count as \
             dropped (`RateLimited`); `Errors::rate_limit` changes that"
        );
        Some(text)
    }
}

impl Lookout for Limiter {
    fn look(&self) {
        let said: Vec<&Bucket> = self.all().filter(|b| b.said.load(Relaxed)).collect();
        let text = self.describe(|bucket| !said.iter().any(|said| said.is_at(bucket)));
        for bucket in self.all().filter(|bucket| bucket.suppressed() > 0) {
            bucket.said.store(true, Relaxed);
        }
        if let Some(text) = text {
            log!(warn, "{text}");
        }
    }

    fn hidden(&self) -> Option<String> {
        self.describe(|_| true)
    }
}

impl Bucket {
    fn new(key: u64, at: At<'_>, config: &Config) -> Self {
        let burst = NonZeroU32::new(config.burst).unwrap_or(NonZeroU32::MIN);
        // The limiter counts in nanoseconds of 64 bits: 146 years for the whole burst.
        let longest = Duration::from_nanos(u64::MAX / 4 / u64::from(burst.get()));
        // No quota for a period of zero.
        let quota = Quota::with_period(config.period.min(longest));
        Self {
            key,
            file: at.file.unwrap_or("a file without a name").into(),
            line: at.line.unwrap_or(0),
            burst: burst.get(),
            period: config.period,
            limiter: quota.map(|quota| RateLimiter::direct(quota.allow_burst(burst))),
            suppressed: AtomicU64::new(0),
            earlier: AtomicU64::new(0),
            said: AtomicBool::new(false),
        }
    }

    fn suppressed(&self) -> u64 {
        self.suppressed.load(Relaxed) + self.earlier.load(Relaxed)
    }

    fn is_at(&self, other: &Self) -> bool {
        (&self.file, self.line) == (&other.file, other.line)
    }
}

/// What is there, or what `new` makes. It is made outside of the cell: an allocator that logs may come here again.
#[inline]
fn get_or_set<T>(cell: &OnceLock<T>, new: impl FnOnce() -> T) -> Option<&T> {
    if cell.get().is_none() {
        // Another thread may have been first.
        drop(cell.set(new()));
    }
    cell.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: At<'static> = At {
        file: Some("src/pay.rs"),
        line: Some(12),
    };

    fn limit(burst: u32, period: Duration) -> Config {
        Config {
            burst,
            period,
            ..Config::default()
        }
    }

    fn admitted(limiter: &Limiter, key: u64, config: &Config, times: u32) -> u32 {
        (0..times)
            .filter(|_| limiter.admit(key, AT, config) != Admission::Suppressed)
            .count() as u32
    }

    #[test]
    fn each_key_has_its_burst_and_then_one_each_period() {
        let limiter = Limiter::default();
        let config = limit(5, Duration::from_secs(3600));
        assert_eq!(admitted(&limiter, 1, &config, 20), 5);
        assert_eq!(admitted(&limiter, 2, &config, 20), 5);

        let limiter = Limiter::default();
        let config = limit(1, Duration::from_millis(20));
        let began = std::time::Instant::now();
        assert_eq!(
            limiter.admit(1, AT, &config),
            Admission::Admitted { suppressed: 0 }
        );
        let mut held_back = 0;
        let suppressed = loop {
            match limiter.admit(1, AT, &config) {
                Admission::Suppressed => held_back += 1,
                Admission::Admitted { suppressed } => break suppressed,
            }
        };
        assert!(began.elapsed() >= Duration::from_millis(20));
        assert_eq!(suppressed, held_back);
    }

    #[test]
    fn odd_settings_are_no_limit_or_a_long_one() {
        let limiter = Limiter::default();
        assert_eq!(admitted(&limiter, 1, &limit(1, Duration::ZERO), 100), 100);
        assert_eq!(admitted(&limiter, 2, &limit(0, Duration::MAX), 100), 1);
        assert_eq!(
            admitted(&limiter, 3, &limit(u32::MAX, Duration::MAX), 100),
            100
        );
        assert!(limiter.describe(|_| true).is_some());
    }

    #[test]
    fn keys_beyond_the_table_share_a_bucket_and_are_counted() {
        let limiter = Limiter::default();
        let config = limit(1, Duration::from_secs(3600));
        let keys = 4 * PLACES as u64;
        let (mut first, mut second) = (0, 0);
        for key in 0..keys {
            first += u64::from(admitted(&limiter, key, &config, 1));
        }
        for key in 0..keys {
            second += u64::from(admitted(&limiter, key, &config, 1));
        }
        assert!(
            first > PLACES as u64 / 2 && first <= PLACES as u64 + 1,
            "{first}"
        );
        assert_eq!(second, 0);
        let counted: u64 = limiter.all().map(Bucket::suppressed).sum();
        assert_eq!(counted, 2 * keys - first);
    }

    #[test]
    fn a_callsite_with_types_without_end_keeps_others_their_tokens() {
        let limiter = Limiter::default();
        let config = limit(1, Duration::from_secs(3600));
        for key in 0..4 * PLACES as u64 {
            admitted(&limiter, key, &config, 2);
        }
        let new_callsites = (0..100).filter(|line| {
            let at = At {
                file: Some("src/orders.rs"),
                line: Some(*line),
            };
            let key = 1 << 40 | u64::from(*line);
            limiter.admit(key, at, &config) != Admission::Suppressed
        });
        assert!(new_callsites.count() > OTHERS / 2);
    }

    #[test]
    fn threads_take_no_more_tokens_than_there_are() {
        let limiter = Limiter::default();
        let config = limit(50, Duration::from_secs(3600));
        let taken: u32 = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| admitted(&limiter, 7, &config, 10_000)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 50);
        assert_eq!(
            limiter.all().map(Bucket::suppressed).sum::<u64>(),
            40_000 - 50
        );
    }

    #[test]
    fn a_callsite_is_named_once_whatever_its_types() {
        let limiter = Limiter::default();
        let config = limit(1, Duration::from_secs(3600));
        for key in [1, 2] {
            admitted(&limiter, key, &config, 3);
        }
        assert!(limiter.take_news() && !limiter.take_news());
        let text = limiter.hidden().unwrap();
        assert!(text.contains("src/pay.rs:12 (4 until now);"), "{text}");
        assert!(text.contains("Errors::rate_limit"), "{text}");
        limiter.look();
        admitted(&limiter, 2, &config, 3);
        assert!(!limiter.take_news());
        // Of another type at the same callsite: there is a look, which says nothing more.
        admitted(&limiter, 3, &config, 3);
        let said: Vec<&Bucket> = limiter.all().filter(|b| b.said.load(Relaxed)).collect();
        assert_eq!(
            limiter.describe(|b| !said.iter().any(|said| said.is_at(b))),
            None
        );

        for line in 0..20 {
            let at = At {
                line: Some(line),
                ..AT
            };
            for _ in 0..2 {
                limiter.admit(100 + u64::from(line), at, &config);
            }
        }
        let text = limiter.hidden().unwrap();
        // One of them is line 12 again.
        assert!(
            text.contains("and 15 more callsites") && text.len() < 500,
            "{text}"
        );
    }
}
