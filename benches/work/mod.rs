//! The event that all benchmarks capture, and a backend whose events go nowhere.
#![allow(dead_code)] // Each benchmark uses a part of it.

pub(crate) mod setups;

use std::fmt;
use std::time::Duration;
use tracing_posthog::{CaptureHandle, EventCaptureBackend, PostHogClient, RetryPolicy};

/// A user, shown through `Display`.
pub(crate) struct User(u64);

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user-{}@example.com", self.0)
    }
}

/// The fields of one event: different for each number.
pub(crate) struct Data {
    pub(crate) user: User,
    pub(crate) n: i64,
    pub(crate) ratio: f64,
    pub(crate) trial: bool,
}

/// Looks random.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Data {
    pub(crate) fn at(i: u64) -> Self {
        let h = mix(i + 1);
        Self {
            user: User(h % 1_000_000),
            n: (h >> 20) as i64 % 100_000,
            ratio: (h % 10_000) as f64 / 128.0,
            trial: h & 1 == 1,
        }
    }
}

/// A name and five fields: text, `Display`, integer, float, bool.
pub(crate) fn event(data: &Data) {
    tracing::info!(
        posthog.event = "signup",
        plan = "pro",
        user = %data.user,
        n = data.n,
        ratio = data.ratio,
        trial = data.trial,
    );
}

/// The same with a text of 60 characters: about 400 bytes of JSON.
pub(crate) fn big_event(data: &Data, note: &str) {
    tracing::info!(
        posthog.event = "signup",
        plan = "pro",
        user = %data.user,
        n = data.n,
        ratio = data.ratio,
        trial = data.trial,
        note,
    );
}

/// Two spans with two fields each; the outer one says who.
pub(crate) fn in_spans<T>(i: u64, f: impl FnOnce() -> T) -> T {
    let outer = tracing::info_span!("request", posthog.distinct_id = i, path = "/signup/confirm");
    let _outer = outer.enter();
    let inner = tracing::info_span!("query", table = "accounts", rows = 3);
    let _inner = inner.enter();
    f()
}

/// Texts for the big events: words in some order, as real text is.
pub(crate) fn notes() -> Vec<String> {
    const WORDS: [&str; 16] = [
        "checkout", "page", "loaded", "after", "retry", "customer", "opened", "report", "filter",
        "export", "button", "session", "expired", "billing", "invite", "latency",
    ];
    (0..4096_u64)
        .map(|k| {
            let (mut note, mut h) = (String::new(), mix(k + 77));
            while note.len() < 60 {
                note.push_str(WORDS[(h % WORDS.len() as u64) as usize]);
                note.push(' ');
                h = mix(h);
                if h % 7 == 0 {
                    note.push_str(&format!("{:x} ", h & 0xffff));
                }
            }
            note.truncate(60);
            note
        })
        .collect()
}

/// A handle to an actor that never gets rid of anything: nobody listens at its PostHog, and it is in no
/// hurry to try again.
pub(crate) fn dead_end(queue_events: usize) -> CaptureHandle {
    let client = PostHogClient::builder()
        .project_api_key("phc_bench")
        .host("http://127.0.0.1:9")
        .retry(
            RetryPolicy::default()
                .first_delay(Duration::from_secs(600))
                .max_delay(Duration::from_secs(600)),
        )
        .build()
        .unwrap();
    EventCaptureBackend::builder(client)
        .queue_events(queue_events)
        .queue_bytes(1 << 30)
        .start()
        .unwrap()
}
