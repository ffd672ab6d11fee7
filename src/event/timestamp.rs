//! Times as PostHog reads them.

use jiff::Timestamp;
use std::io::Write as _;

/// Writes times as PostHog reads them: `2031-04-05T06:07:08.901Z`.
#[derive(Debug)]
pub(crate) struct TimestampWriter {
    /// The last second written, and its text: events of one batch share it.
    second: i64,
    text: Vec<u8>,
}

impl Default for TimestampWriter {
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

impl TimestampWriter {
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
        TimestampWriter::default().write(millis, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_are_utc_with_milliseconds() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(1_735_787_045_678), "2025-01-02T03:04:05.678Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(text(LAST), "9999-12-30T21:59:59.999Z");
        assert_eq!(
            TimestampWriter::read("2025-01-02T08:34:05+05:30")
                .map(text)
                .unwrap(),
            "2025-01-02T03:04:05.000Z"
        );
        for bad in [
            "",
            "yesterday",
            "2025-01-02",
            "2025-01-02T03:04:05",
            "1735787045",
        ] {
            assert_eq!(TimestampWriter::read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in FIRST..=LAST) {
            prop_assert_eq!(TimestampWriter::read(&text(millis)), Some(millis));
        }
    }
}
