//! [`HogQlAnswer`]: what PostHog answers to a query.

use super::OPERATION;
use super::handle::Handle;
use super::rows::Row;
use super::status::HogQlStatus;
use crate::error::PostHogError;
use crate::redact::{self, excerpt, without_keys};
use crate::rest::Time;
use crate::rest::whole::read_object;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::{Map, Value};
use std::time::Duration;

/// The answer to a query.
///
/// Reading it never fails for what PostHog adds, leaves out or writes otherwise: such fields are in
/// [`extra`](Self::extra). Only an object that has a name twice is an error.
///
/// JSON and [`Value`] cannot hold every number that ClickHouse has. In [`results`](Self::results), an integer beyond 64
/// bits, a decimal of more than 17 digits, and `NaN`, `Infinity` and `-Infinity` are therefore strings;
/// [`rows`](Self::rows) reads them as the numbers they are.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HogQlAnswer {
    /// The names of the columns. Empty if the kind of query has none.
    pub columns: Vec<String>,
    /// ClickHouse's types of the columns, such as `UInt64`.
    pub types: Vec<String>,
    /// The rows, or whatever this kind of query results in. Null while the query is still running.
    pub results: Value,
    /// Whether there are, or may be, more rows than these. PostHog says so if the HogQL has no `LIMIT`, and if a node asks
    /// for fewer rows than there are. It is also true for exactly 50,000 rows, the most that PostHog returns, unless the
    /// query is HogQL that ends in a `LIMIT` of at most 50,000, written as a number.
    pub has_more: bool,
    /// The most rows that PostHog would return.
    pub limit: Option<u64>,
    /// How many rows were skipped.
    pub offset: Option<u64>,
    /// The HogQL that was run, limits included.
    pub hogql: Option<String>,
    /// Whether the answer comes from PostHog's cache.
    pub is_cached: bool,
    /// When the answer was computed.
    pub last_refresh: Option<Time>,
    /// The state of a query that runs in the background.
    pub query_status: Option<HogQlStatus>,
    /// All other fields, such as `timings` and `clickhouse`.
    pub extra: Map<String, Value>,
    /// The id that may be shown, and how long the answer took, of a query that is still running.
    pub(super) unfinished: Option<(String, Duration)>,
}

impl HogQlAnswer {
    /// Reads each row: into a struct by the names of the columns, into a tuple by their order, or a single column into
    /// any plain type. Maps go by name, lists by order: a single column of lists is `(Vec<T>,)`. Rows that are objects, of
    /// other kinds of queries, have the order of the columns; without columns they have none, and are read by name.
    ///
    /// PostHog writes some values in more than one way, and all of them are read: numbers as text, booleans as 0 and 1,
    /// and, if a list, map or struct is asked for, JSON as text, which is how a column `properties` comes. A `String`
    /// reads numbers too: integers digit by digit, decimals in their shortest form. The same goes for values within
    /// arrays and tuples.
    ///
    /// # Dates and times
    ///
    /// The columns `Date`, `DateTime` and `DateTime64` read as [`rest::Time`](crate::rest::Time), as [`SystemTime`](std::time::SystemTime)
    /// (what names no offset counts as UTC, and nothing before 1970), as text, and as the types of `jiff` and `chrono`
    /// with their feature `serde`. `NULL` needs an `Option`.
    ///
    /// ```
    /// # use serde_json::json;
    /// use serde::Deserialize;
    /// use std::time::SystemTime;
    /// use tracing_posthog::rest::{HogQlAnswer, Time};
    ///
    /// #[derive(Deserialize)]
    /// struct Usage {
    ///     event: String,
    ///     first_day: Time,              // Date
    ///     last_seen: SystemTime,        // DateTime64
    ///     churned: Option<SystemTime>,  // Nullable(DateTime)
    /// }
    ///
    /// # let answer: HogQlAnswer = serde_json::from_value(json!({
    /// #     "columns": ["event", "first_day", "last_seen", "churned"],
    /// #     "results": [["signup", "2031-04-05", "2031-04-05T06:07:08.123456Z", null]],
    /// # })).unwrap();
    /// // answer = project.hogql("SELECT event, toDate(min(timestamp)) AS first_day, …").run().await?
    /// let rows: Vec<Usage> = answer.rows()?;
    /// assert_eq!(rows[0].first_day.as_str(), "2031-04-05");
    /// assert!(rows[0].last_seen > SystemTime::UNIX_EPOCH);
    /// assert_eq!(rows[0].churned, None);
    /// # Ok::<(), tracing_posthog::PostHogError>(())
    /// ```
    ///
    /// # Errors
    /// - [`PostHogError::MoreRows`] if there are, or may be, more rows than PostHog returned; [`first_rows`](Self::first_rows) takes
    ///   these.
    /// - [`PostHogError::SerializationError`] if a row does not fit, with the number of the row and the name of the
    ///   column. Nothing is cut off or left out: a tuple has as many fields as there are columns, a map needs columns of
    ///   different names, an integer fits its type (also a float, which holds it exactly). Only a struct ignores columns
    ///   that it does not name. Only decimals are rounded, to the nearest number that the float type has; one beyond its
    ///   range is an error, not infinite.
    /// - [`PostHogError::QueryRunning`] if the query is still running.
    pub fn rows<T: DeserializeOwned>(self) -> Result<Vec<T>, PostHogError> {
        match (&self.results, self.has_more) {
            (Value::Array(rows), true) => Err(PostHogError::MoreRows {
                operation: OPERATION,
                rows: rows.len(),
            }),
            _ => self.first_rows(),
        }
    }

    /// Reads each row that PostHog returned, as [`rows`](Self::rows) does, even if there are more.
    /// [`has_more`](Self::has_more) says whether there are.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let query = client.project(12345).hogql("SELECT DISTINCT event FROM events");
    /// let answer = query.run().await?;
    /// if answer.has_more {
    ///     println!("these are not all");
    /// }
    /// let names: Vec<String> = answer.first_rows()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`rows`](Self::rows), but for [`PostHogError::MoreRows`].
    pub fn first_rows<T: DeserializeOwned>(self) -> Result<Vec<T>, PostHogError> {
        let columns = &self.columns;
        let rows = match self.results {
            Value::Array(rows) => rows,
            Value::Null if self.query_status.as_ref().is_some_and(|s| !s.complete) => {
                return Err(still_running(self.unfinished, self.query_status));
            }
            other => {
                let what = kind(&other);
                return Err(misfit(format!("the results are not rows, but {what}")));
            }
        };
        rows.into_iter()
            .enumerate()
            .map(|(n, row)| {
                T::deserialize(Row::new(columns, row)).map_err(|source| {
                    let said = redact::problem(&source);
                    let mut what = format!("row {}, {}", n + 1, excerpt(&said, 300));
                    if !said.starts_with("column ") && !columns.is_empty() {
                        let names: Vec<_> = columns
                            .iter()
                            .map(|name| redact::vouched_column(name))
                            .collect();
                        let names = excerpt(&names.join(", "), 200);
                        what = format!("{what}; the columns are {names}");
                    }
                    misfit(what)
                })
            })
            .collect()
    }

    /// Reads the only row.
    ///
    /// # Errors
    /// As [`rows`](Self::rows). Also if there are no rows, or several.
    pub fn one<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        let mut rows = self.rows()?;
        match (rows.pop(), rows.len()) {
            (Some(row), 0) => Ok(row),
            (None, _) => Err(misfit("there are no rows, where one is expected".into())),
            (Some(_), others) => Err(misfit(format!(
                "there are {} rows, where one is expected",
                others + 1
            ))),
        }
    }

    /// An error if the answer tells of one. Notes that rows are missing if PostHog does not.
    pub(super) fn checked(mut self, handle: &Handle) -> Result<Self, PostHogError> {
        let status = self.query_status.as_ref();
        let failed = status.filter(|status| status.error);
        let message = match (self.extra.get("error"), failed) {
            (Some(Value::String(message)), _) if !message.is_empty() => message.clone(),
            (_, Some(status)) => status.reason(),
            _ => {
                let rows = self.results.as_array().map_or(0, Vec::len);
                self.has_more |= handle.may_be_cut(rows);
                return Ok(self);
            }
        };
        Err(PostHogError::QueryFailed {
            operation: OPERATION,
            message: excerpt(&handle.at.client().inner.http.clean(&message), 500),
            query_id: handle.shown_id(),
        })
    }

    /// Notes which query it was and how long PostHog took, if the query is still running.
    pub(super) fn after(mut self, handle: &Handle, waited: Duration) -> Self {
        let status = self.query_status.as_ref();
        if status.is_some_and(|status| !status.complete) {
            self.unfinished = Some((handle.shown_id(), waited));
        }
        self
    }

    pub(super) fn from_map(mut map: Map<String, Value>) -> Self {
        Self {
            columns: list(&mut map, "columns", text_of),
            types: list(&mut map, "types", |kind| match kind {
                // [name, type]
                Value::Array(pair) => text_of(pair.into_iter().nth(1).unwrap_or_default()),
                kind => text_of(kind),
            }),
            results: map.remove("results").unwrap_or_default(),
            has_more: match map.get("hasMore") {
                None | Some(Value::Null | Value::Bool(_)) => flag(&mut map, "hasMore"),
                // Whatever it says, it does not say that these are all.
                Some(_) => true,
            },
            limit: number(&mut map, "limit"),
            offset: number(&mut map, "offset"),
            hogql: text(&mut map, "hogql"),
            is_cached: flag(&mut map, "is_cached"),
            last_refresh: time(&mut map, "last_refresh"),
            query_status: match map.remove("query_status") {
                Some(Value::Object(status)) => Some(HogQlStatus::from_map(status)),
                Some(Value::Null) | None => None,
                Some(other) => {
                    map.insert("query_status".into(), other);
                    None
                }
            },
            extra: map,
            unfinished: None,
        }
    }
}

impl<'de> Deserialize<'de> for HogQlAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read_object(deserializer, "HogQlAnswer").map(Self::from_map)
    }
}

fn still_running(
    unfinished: Option<(String, Duration)>,
    status: Option<HogQlStatus>,
) -> PostHogError {
    let (query_id, waited) = unfinished.unwrap_or_else(|| {
        // An answer that was read by other means.
        let id = status.and_then(|status| status.id).unwrap_or_default();
        (excerpt(&without_keys(&id), 100), Duration::ZERO)
    });
    PostHogError::QueryRunning {
        operation: OPERATION,
        query_id,
        waited,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object; read it with `run`",
    }
}

fn misfit(what: String) -> PostHogError {
    // Values of rows are quoted in it.
    let what = without_keys(&what);
    PostHogError::SerializationError {
        operation: OPERATION,
        source: serde::de::Error::custom(&what),
        what,
    }
}

/// Takes a field out where it is of that type, and leaves it where it is not.
fn take<T>(
    map: &mut Map<String, Value>,
    name: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Option<T> {
    let value = map.get(name)?;
    if value.is_null() {
        map.remove(name);
        return None;
    }
    let read = read(value)?;
    map.remove(name);
    Some(read)
}

pub(super) fn text(map: &mut Map<String, Value>, name: &str) -> Option<String> {
    take(map, name, |value| value.as_str().map(str::to_owned))
}

/// Any text, whether it says a time or not.
pub(super) fn time(map: &mut Map<String, Value>, name: &str) -> Option<Time> {
    text(map, name).map(Time::received)
}

pub(super) fn number(map: &mut Map<String, Value>, name: &str) -> Option<u64> {
    take(map, name, |value| match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_u64(),
    })
}

pub(super) fn flag(map: &mut Map<String, Value>, name: &str) -> bool {
    take(map, name, Value::as_bool).unwrap_or_default()
}

pub(super) fn list<T>(
    map: &mut Map<String, Value>,
    name: &str,
    read: impl Fn(Value) -> T,
) -> Vec<T> {
    match map.get(name) {
        Some(Value::Array(_) | Value::Null) => match map.remove(name) {
            Some(Value::Array(list)) => list.into_iter().map(read).collect(),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

pub(super) fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
