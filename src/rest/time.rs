//! [`Time`]: points in time, as PostHog reads and writes them.
//!
//! Values and parameters take `impl IntoTime`. Text does not convert, it is [parsed](Time::parse): PostHog reads a time
//! that it does not understand as none at all, without an error.

use super::request::Problem;
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// A point in time, a day, or a time relative to now, as PostHog reads and writes it.
///
/// A [`SystemTime`] converts, and with [`at`](Self::at) everything that converts to one: the times of `chrono` and `time`.
/// So does the `Timestamp` of `jiff`. Text is [parsed](Self::parse).
///
/// Times in answers keep PostHog's text, whatever it is: [`as_str`](Self::as_str) gives it,
/// [`to_system_time`](Self::to_system_time) computes with it. Two times are equal if their texts are.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tracing_posthog::rest::Time;
///
/// let time = Time::from(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
/// assert_eq!(time.as_str(), "1970-01-01T00:00:01.5Z");
/// assert_eq!(Time::days_ago(7).as_str(), "-7d");
///
/// let parsed = Time::parse("2031-04-05T08:00:00+02:00")?;
/// assert_eq!(parsed, Time::parse("2031-04-05 06:00:00Z")?);
/// // PostHog would read this one as no time at all.
/// assert!(Time::parse("2031-04-05 06:00:00 UTC").is_err());
/// # Ok::<(), tracing_posthog::rest::TimeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Time {
    text: String,
    /// A [`SystemTime`] that no text says.
    is_out_of_range: bool,
}

/// A text that PostHog does not read as a time. From [`Time::parse`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "PostHog cannot read this time: write it as 2031-04-05T06:07:08Z, as the day 2031-04-05 or relative to now as -7d, \
     or convert a time with `Time::at`"
)]
#[non_exhaustive]
pub struct TimeError;

const OUT_OF_RANGE: &str =
    "the time is outside of the years 1 to 9999; give one that PostHog can store";

impl Time {
    /// This point in time, in microseconds, as PostHog keeps it. What is finer is cut off.
    ///
    /// Takes a [`SystemTime`], `chrono::DateTime` or `time::OffsetDateTime`. What is
    /// outside of the years 1 to 9999 makes the request that holds it fail with
    /// [`PostHogError::Config`](crate::PostHogError).
    ///
    /// ```
    /// # use tracing_posthog::rest::Time;
    /// let now = Time::at(std::time::SystemTime::now());
    /// ```
    pub fn at(time: impl Into<SystemTime>) -> Self {
        Self::of(time.into())
    }

    fn of(time: SystemTime) -> Self {
        Timestamp::try_from(time).map_or_else(|_| Self::out_of_range(), Self::from)
    }

    fn out_of_range() -> Self {
        Self {
            text: "out of range".to_owned(),
            is_out_of_range: true,
        }
    }

    /// A day, in the time zone of the project.
    ///
    /// # Errors
    /// [`TimeError`] where there is no such day in the years 1 to 9999.
    pub fn day(year: i16, month: i8, day: i8) -> Result<Self, TimeError> {
        match Date::new(year, month, day) {
            Ok(date) if year > 0 => Ok(Self::written(date.to_string())),
            _ => Err(TimeError),
        }
    }

    /// Days before now: `-7d`. For parameters, not for values that PostHog keeps.
    pub fn days_ago(days: u32) -> Self {
        Self::written(format!("-{days}d"))
    }

    /// Hours before now: `-24h`. For parameters, not for values that PostHog keeps.
    pub fn hours_ago(hours: u32) -> Self {
        Self::written(format!("-{hours}h"))
    }

    /// A time in a text: RFC 3339 with an offset (`2031-04-05T06:07:08Z`), the same without one, which PostHog reads in
    /// the time zone of the project, a day (`2031-04-05`), or what PostHog reads relative to now (`-7d`, `-1mStart`,
    /// `dStart`, `all`).
    ///
    /// # Errors
    /// [`TimeError`] for any other text.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let text = text.trim();
        if let Ok(at) = text.parse::<Timestamp>() {
            return if is_taken(at) {
                Ok(Self::from(at))
            } else {
                Err(TimeError)
            };
        }
        if is_relative(text) {
            return Ok(Self::written(text.to_owned()));
        }
        // The last day of the last year is none of `jiff`'s time stamps, and people write it for "never".
        let (local, zone) = match text.strip_suffix(['Z', 'z']) {
            Some(local) if local.len() > 10 => (local, "Z"),
            _ => (text, ""),
        };
        if !is_local(local) {
            return Err(TimeError);
        }
        let written = match local.len() {
            10 => local.parse::<Date>().map(|date| date.to_string()),
            _ => local
                .parse::<DateTime>()
                .map(|time| format!("{time}{zone}")),
        };
        match written {
            Ok(written) if !written.starts_with("0000") => Ok(Self::written(written)),
            _ => Err(TimeError),
        }
    }

    fn written(text: String) -> Self {
        Self {
            text,
            is_out_of_range: false,
        }
    }

    /// PostHog's text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The point in time. A day is its midnight; what names no offset counts as UTC. `None` for a time relative to now,
    /// and for a text that says no time.
    pub fn to_system_time(&self) -> Option<SystemTime> {
        if let Ok(at) = self.text.parse::<Timestamp>() {
            return at.try_into().ok();
        }
        let local = Some(&self.text).filter(|text| is_local(text));
        let local = local?.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(local).ok()?.try_into().ok()
    }

    /// The text, where it may be sent as the value of `setting`.
    pub(crate) fn checked(self, setting: &'static str) -> Result<String, Problem> {
        match self.is_out_of_range {
            false => Ok(self.text),
            true => Err(Problem {
                setting,
                problem: OUT_OF_RANGE.into(),
            }),
        }
    }

    /// Whatever PostHog sent.
    pub(crate) fn received(text: String) -> Self {
        Self::written(text)
    }
}

/// The JSON of a value, a [`SystemTime`] in it as the text of its [`Time`]: `serde` writes it as an object that says
/// nothing to PostHog.
pub(crate) fn with_time_texts(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| *item = with_time_texts(item.take())),
        Value::Object(object) if object.len() == 2 => {
            let part = |name| object.get(name).and_then(Value::as_u64);
            let seconds = part("secs_since_epoch").map(Duration::from_secs);
            let nanos = part("nanos_since_epoch").map(Duration::from_nanos);
            let time = seconds
                .zip(nanos)
                .and_then(|(s, n)| SystemTime::UNIX_EPOCH.checked_add(s.checked_add(n)?));
            if let Some(Ok(text)) = time.map(|time| Time::of(time).checked("")) {
                value = Value::String(text);
            }
        }
        _ => {}
    }
    value
}

/// Whether PostHog reads the text relative to now. It takes `+7d` for `-7d`, and a unit alone for now: neither is one.
fn is_relative(text: &str) -> bool {
    if text == "all" {
        return true;
    }
    let text = text.strip_prefix('-').unwrap_or(text);
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let has_number = rest.len() < text.len();
    let mut rest = rest.chars();
    let unit = rest.next();
    unit.is_some_and(|unit| "smhdwqyM".contains(unit))
        && match rest.as_str() {
            "" => has_number,
            "Start" | "End" => true,
            _ => false,
        }
}

/// Whether a text has neither an offset nor a time zone, both of which `jiff` passes over, and is no other form of
/// ISO 8601 than `2031-04-05`, alone or before a time.
fn is_local(text: &str) -> bool {
    let is_of = |part: Option<&str>, others: &[u8]| {
        part.is_some_and(|part| {
            part.bytes()
                .all(|b| b.is_ascii_digit() || others.contains(&b))
        })
    };
    text.get(4..5) == Some("-") && is_of(text.get(..10), b"-") && is_of(text.get(10..), b":T .")
}

/// PostHog reads the years 1 to 9999.
fn is_taken(at: Timestamp) -> bool {
    const FIRST: i64 = -62_135_596_800;
    at.as_second() >= FIRST
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        Self::of(time)
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        if !is_taken(at) {
            return Self::out_of_range();
        }
        let micros = Timestamp::from_microsecond(at.as_microsecond());
        Self::written(micros.unwrap_or(at).to_string())
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        Self::parse(text)
    }
}

/// What parameters and fields of bodies take as a time: a [`Time`], a [`SystemTime`] or a `jiff::Timestamp`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not taken as a time",
    label = "this takes a `rest::Time` or a `SystemTime`",
    note = "convert a time of `chrono` or `time` with `Time::at(time)`, and a text with `Time::parse(text)?`"
)]
pub trait IntoTime {
    /// The time, as PostHog reads it.
    fn into_time(self) -> Time;
}

impl IntoTime for Time {
    fn into_time(self) -> Time {
        self
    }
}

impl IntoTime for &Time {
    fn into_time(self) -> Time {
        self.clone()
    }
}

impl IntoTime for SystemTime {
    fn into_time(self) -> Time {
        Time::from(self)
    }
}

impl IntoTime for Timestamp {
    fn into_time(self) -> Time {
        Time::from(self)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        if self.is_out_of_range {
            return Err(serde::ser::Error::custom(OUT_OF_RANGE));
        }
        into.serialize_str(&self.text)
    }
}

/// Any text: PostHog's are kept as they are.
impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from).map(Self::received)
    }
}

#[cfg(test)]
mod tests;
