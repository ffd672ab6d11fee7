//! Times as PostHog reads them.

use jiff::civil::DateTime;
use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, Timestamp};
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

/// PostHog reads years 0 to 9999, in UTC.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Reads an RFC 3339 time with its offset, as milliseconds since 1970; PostHog may not take it.
pub(crate) fn read(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at.as_millisecond());
    }
    // A `Timestamp` ends a day before the year 9999 does.
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.to_numeric_offset()?;
    let local = pieces.date().to_datetime(pieces.time()?);
    let at = local.duration_since(EPOCH) - SignedDuration::from_secs(offset.seconds().into());
    i64::try_from(at.as_millis()).ok()
}

/// Whether PostHog takes that time.
pub(crate) fn is_taken(millis: i64) -> bool {
    (FIRST..=LAST).contains(&millis)
}

impl TimestampWriter {
    pub(crate) fn write(&mut self, millis: i64, out: &mut Vec<u8>) {
        let (second, ms) = (millis.div_euclid(1000), millis.rem_euclid(1000));
        if second != self.second {
            let at = EPOCH.checked_add(SignedDuration::from_secs(second));
            self.text.clear();
            // Without a fraction: `2031-04-05T06:07:08`.
            let _ = write!(self.text, "{:.0}", at.unwrap_or(EPOCH));
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
        assert_eq!(text(FIRST), "0000-01-01T00:00:00.000Z");
        assert_eq!(text(LAST), "9999-12-31T23:59:59.999Z");
        assert_eq!(
            read("2025-01-02T08:34:05+05:30").map(text).unwrap(),
            "2025-01-02T03:04:05.000Z"
        );
        for bad in [
            "",
            "yesterday",
            "2025-01-02",
            "2025-01-02T03:04:05",
            "1735787045",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_last_days_are_read_like_all_others() {
        for (last, want) in [
            ("9999-12-31T23:59:59.999Z", 0),
            ("9999-12-31T23:59:59.999+00:00", 0),
            ("9999-12-31t20:59:59.9999z", -3 * 3_600_000),
            ("9999-12-31T23:59:59.999+05:30", -19_800_000),
            ("9999-12-31T23:59:59.999-00:01", 60_000),
            (
                "9999-12-31T23:59:59.999-25:59",
                25 * 3_600_000 + 59 * 60_000,
            ),
        ] {
            assert_eq!(read(last), Some(LAST + want), "{last}");
        }
        for bad in [
            "9999-12-31",
            "9999-12-31T23:59:59",
            "9999-12-31T24:00:00Z",
            "9999-12-32T00:00:00Z",
            "10000-01-01T00:00:00Z",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(millis in FIRST..=LAST) {
            prop_assert_eq!(read(&text(millis)), Some(millis));
        }
    }
}
