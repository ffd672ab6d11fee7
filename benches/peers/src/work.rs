//! The events: the same for all peers.

use std::fmt;

/// A user, shown through `Display`.
pub struct User(u64);

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user-{}@example.com", self.0)
    }
}

/// The fields of one event, different for each number.
pub struct Data {
    pub user: User,
    pub n: i64,
    pub ratio: f64,
    pub trial: bool,
}

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl Data {
    pub fn at(i: u64) -> Self {
        let h = mix(i + 1);
        Self {
            user: User(h % 1_000_000),
            n: (h >> 20) as i64 % 100_000,
            ratio: (h % 10_000) as f64 / 128.0,
            trial: h & 1 == 1,
        }
    }
}

/// Stands in each delivered event once, in whatever format: the sink counts it.
pub const MARK: &str = "evt-mark";

/// Texts of 60 characters, of words and some numbers, which compress about as text does.
pub fn notes() -> Vec<String> {
    const WORDS: [&str; 16] = [
        "checkout", "page", "loaded", "after", "retry", "customer", "opened", "report", "filter",
        "export", "button", "session", "expired", "billing", "invite", "latency",
    ];
    let note = |k: u64| {
        let (mut note, mut h) = (String::new(), mix(k + 77));
        while note.len() < 60 {
            note += WORDS[(h % WORDS.len() as u64) as usize];
            note += " ";
            h = mix(h);
            if h % 7 == 0 {
                note += &format!("{:x} ", h & 0xffff);
            }
        }
        note.truncate(60);
        note
    };
    (0..4096).map(note).collect()
}
