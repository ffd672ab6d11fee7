//! Ids and times as they stand on the wire.

use jiff::Timestamp;
use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use uuid::Uuid;

/// UUIDs of version 7. Those of one millisecond count up from random bits, so that they sort as the events
/// came, and what is alike in them is compressed ([RFC 9562, 6.2], method 2).
///
/// [RFC 9562, 6.2]: https://www.rfc-editor.org/rfc/rfc9562#section-6.2
#[derive(Debug)]
pub(crate) struct Ids {
    millis: i64,
    /// The random part of the last one. The version and the variant stand over six of its bits.
    high: [u8; 2],
    low: u64,
}

impl Default for Ids {
    fn default() -> Self {
        Self {
            millis: i64::MIN,
            high: [0; 2],
            low: 0,
        }
    }
}

impl Ids {
    pub(crate) fn at(&mut self, millis: i64) -> Uuid {
        if millis == self.millis {
            self.low = self.low.wrapping_add(1);
        } else {
            self.millis = millis;
            self.begin();
        }
        let mut bits = [0; 10];
        bits[..2].copy_from_slice(&self.high);
        bits[2..].copy_from_slice(&self.low.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis.max(0).unsigned_abs(), &bits).into_uuid()
    }

    fn begin(&mut self) {
        let mut random = [0; 10];
        if getrandom::fill(&mut random).is_err() {
            // The system has no random bits yet; std's hasher keys are unlike in each process.
            let bits = RandomState::new().hash_one(self.millis);
            random[2..].copy_from_slice(&bits.to_ne_bytes());
        }
        let [h0, h1, low @ ..] = random;
        self.high = [h0, h1];
        // With room to count up in, so that it does not go over into the bits of the variant.
        self.low = u64::from_be_bytes(low) >> 3;
    }
}

/// Writes times as PostHog reads them: `2031-04-05T06:07:08.901Z`.
#[derive(Debug)]
pub(crate) struct Stamp {
    /// The last second written, and its text: events of one batch share it.
    second: i64,
    text: Vec<u8>,
}

impl Default for Stamp {
    fn default() -> Self {
        Self {
            second: i64::MIN,
            text: Vec::new(),
        }
    }
}

/// PostHog reads years 0 to 9999; the time library ends a day earlier.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_207_199_999;

impl Stamp {
    pub(crate) fn writes(millis: i64) -> bool {
        (FIRST..=LAST).contains(&millis) && Timestamp::from_millisecond(millis).is_ok()
    }

    /// Reads an RFC 3339 time with its offset.
    pub(crate) fn read(text: &str) -> Option<i64> {
        let at: Timestamp = text.trim().parse().ok()?;
        Self::writes(at.as_millisecond()).then_some(at.as_millisecond())
    }

    pub(crate) fn write(&mut self, millis: i64, out: &mut Vec<u8>) {
        let (second, ms) = (millis.div_euclid(1000), millis.rem_euclid(1000));
        if second != self.second {
            let at = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
            self.text.clear();
            // Without a fraction: `2031-04-05T06:07:08Z`.
            let _ = write!(self.text, "{at:.0}");
            self.text.pop();
            self.second = second;
        }
        out.extend_from_slice(&self.text);
        let digit = |n: i64| b'0' + (n % 10) as u8;
        out.extend_from_slice(&[b'.', digit(ms / 100), digit(ms / 10), digit(ms), b'Z']);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(millis: i64) -> String {
        let mut out = Vec::new();
        Stamp::default().write(millis, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_735_787_045_678), "2025-01-02T03:04:05.678Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(text(LAST), "9999-12-30T21:59:59.999Z");
        assert_eq!(
            Stamp::read("2025-01-02T08:34:05+05:30").map(text).unwrap(),
            "2025-01-02T03:04:05.000Z"
        );
        for bad in [
            "",
            "yesterday",
            "2025-01-02",
            "2025-01-02T03:04:05",
            "1735787045",
        ] {
            assert_eq!(Stamp::read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in FIRST..=LAST) {
            prop_assert_eq!(Stamp::read(&text(millis)), Some(millis));
        }
    }

    #[test]
    fn ids_are_version_7_of_their_time_and_all_different() {
        let (mut ids, mut others) = (Ids::default(), Ids::default());
        let times = (0..10_000).map(|n| 1_735_787_045_678 + n / 3 % 2);
        let made: std::collections::HashSet<_> = times
            .flat_map(|at| [(ids.at(at), at), (others.at(at), at)])
            .collect();
        assert_eq!(made.len(), 20_000);
        for (id, at) in made {
            assert_eq!(
                (id.get_version_num(), id.get_variant()),
                (7, uuid::Variant::RFC4122)
            );
            assert_eq!(id.as_u64_pair().0 >> 16, at.unsigned_abs());
        }
    }

    #[test]
    fn ids_of_one_millisecond_sort_as_they_came() {
        for _ in 0..100 {
            let mut ids = Ids::default();
            let made: Vec<_> = (0..1_000).map(|_| ids.at(1_735_787_045_678)).collect();
            assert!(made.is_sorted());
        }
    }
}
