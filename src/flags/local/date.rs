//! Date operators: dates of filters, relative ones too, and of properties.
//!
//! Text without an offset counts as UTC. PostHog takes the project's time zone, which definitions do not have.

use super::given::Given;
use serde_json::Value;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    Before,
    After,
    Exactly,
}

impl When {
    pub(super) fn holds(self, given: Moment, asked: Moment) -> bool {
        match self {
            Self::Before => given < asked,
            Self::After => given > asked,
            Self::Exactly => given == asked,
        }
    }
}

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    /// Since 1970 in UTC.
    seconds: i64,
    nanos: u32,
}

const DAY: i64 = 86_400;

impl From<SystemTime> for Moment {
    fn from(time: SystemTime) -> Self {
        let (since, before) = match time.duration_since(UNIX_EPOCH) {
            Ok(since) => (since, false),
            Err(error) => (error.duration(), true),
        };
        // No clock shows more.
        let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX / 2);
        match (before, since.subsec_nanos()) {
            (false, nanos) => Self { seconds, nanos },
            (true, 0) => Self {
                seconds: -seconds,
                nanos: 0,
            },
            (true, nanos) => Self {
                seconds: -seconds - 1,
                nanos: 1_000_000_000 - nanos,
            },
        }
    }
}

/// A date that a filter asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    At(Moment),
    /// So many units ago.
    Ago(u16, Unit),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Unit {
    Hours,
    Days,
    Weeks,
    Months,
    Years,
}

/// What a value is, as a date.
#[derive(Debug, Clone, Copy)]
pub(super) enum Read<T> {
    At(T),
    /// No date, for PostHog either.
    Never,
    /// PostHog, which knows more forms of dates, may read it.
    Unclear,
}

impl<T> Read<T> {
    /// All other forms that PostHog knows have a digit, and none looks like a date of a month or day that there is not.
    fn new(read: Option<T>, text: &str) -> Self {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let is_plain =
            digits == 8 && matches!(text.as_bytes(), [_, _, _, _, b'-', _, _, b'-', _, _]);
        match read {
            Some(date) => Self::At(date),
            None if digits == 0 || is_plain => Self::Never,
            None => Self::Unclear,
        }
    }
}

impl Asked {
    pub(super) fn new(value: &Value) -> Read<Self> {
        match value {
            Value::String(text) => Read::new(ago(text).or_else(|| parse(text).map(Self::At)), text),
            _ => Read::Never,
        }
    }

    /// `None`: before the year 1.
    pub(super) fn at(self, now: Moment) -> Option<Moment> {
        match self {
            Self::At(moment) => Some(moment),
            Self::Ago(number, unit) => now.minus(number, unit),
        }
    }
}

/// `-7d`, `7d`.
fn ago(text: &str) -> Option<Asked> {
    let text = text.strip_prefix('-').unwrap_or(text);
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "h" => Unit::Hours,
        "d" => Unit::Days,
        "w" => Unit::Weeks,
        "m" => Unit::Months,
        "y" => Unit::Years,
        _ => return None,
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = number.parse().ok().filter(|number| *number < 10_000)?;
    Some(Asked::Ago(number, unit))
}

impl Moment {
    fn minus(self, number: u16, unit: Unit) -> Option<Self> {
        let number = i64::from(number);
        let (day, time) = (self.seconds.div_euclid(DAY), self.seconds.rem_euclid(DAY));
        let day = match unit {
            Unit::Hours => {
                return Self {
                    seconds: self.seconds.checked_sub(number * 3600)?,
                    ..self
                }
                .in_range();
            }
            Unit::Days => day - number,
            Unit::Weeks => day - number * 7,
            Unit::Months => back(day, number, 1)?,
            Unit::Years => back(day, number, 12)?,
        };
        Self {
            seconds: day.checked_mul(DAY)?.checked_add(time)?,
            ..self
        }
        .in_range()
    }

    fn in_range(self) -> Option<Self> {
        let first = days(1, 1, 1) * DAY;
        (self.seconds >= first).then_some(self)
    }
}

/// Goes back so many steps of so many months. The day of the month is cut at every step to what the month has, and does
/// not grow again.
fn back(day: i64, steps: i64, months: i64) -> Option<i64> {
    let (year, month, mut day) = date(day)?;
    let from = year * 12 + month - 1;
    let to = from - steps * months;
    let mut index = from;
    // Every month has 28 days, so nothing is cut after that. A February comes within twelve months, and one of 28 days
    // within eight years: few steps get there.
    while day > 28 && index > to {
        index -= months;
        day = day.min(days_of_month(
            index.div_euclid(12),
            index.rem_euclid(12) + 1,
        ));
        if months == 12 && day > 28 && index.rem_euclid(12) != 1 {
            // The same month has the same days each year, but for February.
            break;
        }
    }
    let (year, month) = (to.div_euclid(12), to.rem_euclid(12) + 1);
    (year >= 1).then(|| days(year, month, day))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date. Counts years from March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The year, month and day so many days after 1970 began. `None`: further away than dates go.
fn date(days: i64) -> Option<(i64, i64, i64)> {
    let days = days.checked_add(719_468)?;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Some((year, month, day))
}

/// The date that somebody has. A number, or the text of one, is seconds since 1970.
pub(super) fn moment(given: Given<'_>) -> Read<Moment> {
    match given {
        Given::Text(text) => match text.parse::<f64>() {
            Ok(seconds) => from_seconds(seconds).map_or(Read::Never, Read::At),
            Err(_) => Read::new(parse(text), text),
        },
        Given::Json(value) => value
            .as_f64()
            .and_then(from_seconds)
            .map_or(Read::Never, Read::At),
    }
}

/// The times that PostHog takes for dates, in seconds since 1970: the years -262143 to 262142. Milliseconds since 1970,
/// as JavaScript counts, are among them: dates in a far future.
const TIMES: std::ops::RangeInclusive<f64> = -8_334_601_228_800.0..=8_210_266_876_799.0;

fn from_seconds(seconds: f64) -> Option<Moment> {
    let whole = seconds.floor();
    if !TIMES.contains(&whole) {
        return None;
    }
    let nanos = ((seconds - whole) * 1e9).round() as u32;
    Some(Moment {
        seconds: whole as i64 + i64::from(nanos == 1_000_000_000),
        nanos: nanos % 1_000_000_000,
    })
}

/// A date; a date and time; either with an offset.
fn parse(text: &str) -> Option<Moment> {
    let mut rest = Rest(text);
    let year = rest.digits(4, 4)?;
    rest.skip('-')?;
    let month = rest.digits(1, 2)?;
    rest.skip('-')?;
    let day = rest.digits(1, 2)?;
    if year < 1 || !(1..=12).contains(&month) || day < 1 || day > days_of_month(year, month) {
        return None;
    }
    let midnight = days(year, month, day) * DAY;
    if rest.0.is_empty() {
        return Some(Moment {
            seconds: midnight,
            nanos: 0,
        });
    }
    rest.skip('T')
        .or_else(|| rest.skip('t'))
        .or_else(|| rest.skip(' '))?;
    let hour = rest.digits(1, 2)?;
    rest.skip(':')?;
    let minute = rest.digits(1, 2)?;
    let mut second = 0;
    let mut nanos = 0;
    if rest.skip(':').is_some() {
        second = rest.digits(1, 2)?;
        if rest.skip('.').is_some() {
            nanos = rest.fraction()?;
        }
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = rest.offset()?;
    rest.0.is_empty().then_some(Moment {
        seconds: midnight + hour * 3600 + minute * 60 + second - offset,
        nanos,
    })
}

/// What of a text is not read yet.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn skip(&mut self, expected: char) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    fn digits(&mut self, least: usize, most: usize) -> Option<i64> {
        let count = self.count().min(most);
        if count < least {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        digits.parse().ok()
    }

    fn count(&self) -> usize {
        self.0.bytes().take_while(u8::is_ascii_digit).count()
    }

    /// Nanoseconds, of digits after a point.
    fn fraction(&mut self) -> Option<u32> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let (digits, rest) = self.0.split_at(count);
        self.0 = rest;
        let digits = &digits[..count.min(9)];
        let value: u32 = digits.parse().ok()?;
        Some(value * 10_u32.pow(9 - digits.len() as u32))
    }

    /// Seconds east of UTC: `Z`, `+02:00`, or none.
    fn offset(&mut self) -> Option<i64> {
        if self.skip('Z').is_some() || self.skip('z').is_some() {
            return Some(0);
        }
        let sign = if self.skip('+').is_some() {
            1
        } else if self.skip('-').is_some() {
            -1
        } else {
            return Some(0);
        };
        let hours = self.digits(2, 2)?;
        self.skip(':')?;
        let minutes = self.digits(2, 2)?;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }
}

#[cfg(test)]
mod tests {
    use super::{back, date, days, days_of_month};

    #[test]
    fn days_and_dates_are_the_same() {
        let mut day = days(1, 1, 1);
        for year in 1..=2500 {
            for month in 1..=12 {
                for of_month in 1..=days_of_month(year, month) {
                    assert_eq!(days(year, month, of_month), day);
                    assert_eq!(date(day), Some((year, month, of_month)));
                    day += 1;
                }
            }
        }
        assert_eq!(days(1970, 1, 1), 0);
    }

    #[test]
    fn going_back_at_once_is_going_back_step_by_step() {
        for from in days(2095, 12, 25)..days(2105, 3, 5) {
            for months in [1, 12] {
                let mut step = from;
                for steps in 0..120 {
                    assert_eq!(
                        back(from, steps, months),
                        Some(step),
                        "{from} {steps} {months}"
                    );
                    let (year, month, day) = date(step).unwrap();
                    let (year, month) = match (months, month) {
                        (12, _) => (year - 1, month),
                        (_, 1) => (year - 1, 12),
                        _ => (year, month - 1),
                    };
                    step = days(year, month, day.min(days_of_month(year, month)));
                }
            }
        }
    }
}
