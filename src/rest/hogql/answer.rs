//! What PostHog answers to a query.

use super::OPERATION;
use super::handle::Handle;
use super::rows::Row;
use crate::error::PostHogError;
use crate::redact::{self, describe, excerpt, without_keys};
use crate::rest::failed_query::NO_REASON;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::{Map, Value};

/// The answer to a query.
///
/// Reading it never fails for what PostHog adds, leaves out or writes otherwise: such fields are in
/// [`extra`](Self::extra).
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HogQlAnswer {
    /// The names of the columns. Empty where the kind of query has none.
    pub columns: Vec<String>,
    /// ClickHouse's types of the columns, such as `UInt64`.
    pub types: Vec<String>,
    /// The rows, or whatever this kind of query results in. Null while it is still running.
    pub results: Value,
    /// Whether there are more rows than were asked for, or than PostHog gives without a `LIMIT`.
    pub has_more: bool,
    /// The most rows that PostHog would give.
    pub limit: Option<u64>,
    /// How many rows were skipped.
    pub offset: Option<u64>,
    /// The HogQL that was run, limits included.
    pub hogql: Option<String>,
    /// Whether it comes from PostHog's cache.
    pub is_cached: bool,
    /// When it was computed.
    pub last_refresh: Option<String>,
    /// The state of a query that runs in the background.
    pub query_status: Option<HogQlStatus>,
    /// Everything else, such as `timings` and `clickhouse`.
    pub extra: Map<String, Value>,
}

impl HogQlAnswer {
    /// Reads each row: into a struct by the names of the columns, into a tuple by their order, or a single column into
    /// any plain type. Maps go by name, lists by order: a single column of lists is `(Vec<T>,)`.
    ///
    /// PostHog writes some values in more than one way, and all of them are read: numbers as text, booleans as 0 and 1,
    /// and, if a list, map or struct is asked for, JSON as text, which is how a column `properties` comes. The same goes
    /// for values within arrays and tuples.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let answer = client.project(12345).hogql("SELECT DISTINCT event FROM events").run().await?;
    /// if answer.has_more {
    ///     println!("these are not all");
    /// }
    /// let names: Vec<String> = answer.rows()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PostHogError::SerializationError`] where a row does not fit or there are none to read;
    /// [`PostHogError::Config`] where the query is still running.
    pub fn rows<T: DeserializeOwned>(self) -> Result<Vec<T>, PostHogError> {
        let columns = self.columns;
        let rows = match self.results {
            Value::Array(rows) => rows,
            Value::Null if self.query_status.is_some_and(|status| !status.complete) => {
                return Err(PostHogError::config(
                    "refresh",
                    "the query is still running; wait for it with `in_background`",
                ));
            }
            other => {
                let what = describe(other.to_string().as_bytes()).unwrap_or_default();
                return Err(misfit(format!("the results are not rows, but {what}")));
            }
        };
        rows.into_iter()
            .enumerate()
            .map(|(n, row)| {
                T::deserialize(Row::new(&columns, row)).map_err(|source| {
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
    /// As [`rows`](Self::rows), and where there are no rows or several.
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

    /// An error where the answer tells of one.
    pub(super) fn checked(self, handle: &Handle) -> Result<Self, PostHogError> {
        let status = self.query_status.as_ref();
        let failed = status.filter(|status| status.error);
        let message = match (self.extra.get("error"), failed) {
            (Some(Value::String(message)), _) if !message.is_empty() => message.clone(),
            (_, Some(status)) => status.words(),
            _ => return Ok(self),
        };
        Err(PostHogError::QueryFailed {
            operation: OPERATION,
            message: excerpt(&handle.at.client().inner.http.clean(&message), 500),
            query_id: handle.shown_id(),
        })
    }

    fn from_map(mut map: Map<String, Value>) -> Self {
        Self {
            columns: list(&mut map, "columns", text_of),
            types: list(&mut map, "types", |kind| match kind {
                // [name, type]
                Value::Array(pair) => text_of(pair.into_iter().nth(1).unwrap_or_default()),
                kind => text_of(kind),
            }),
            results: map.remove("results").unwrap_or_default(),
            has_more: flag(&mut map, "hasMore"),
            limit: number(&mut map, "limit"),
            offset: number(&mut map, "offset"),
            hogql: text(&mut map, "hogql"),
            is_cached: flag(&mut map, "is_cached"),
            last_refresh: text(&mut map, "last_refresh"),
            query_status: match map.remove("query_status") {
                Some(Value::Object(status)) => Some(HogQlStatus::from_map(status)),
                _ => None,
            },
            extra: map,
        }
    }
}

impl<'de> Deserialize<'de> for HogQlAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from_map)
    }
}

/// How a query in the background is doing, as [`HogQlBackground::progress`](super::HogQlBackground::progress) and
/// [`HogQlRunning::status`](super::HogQlRunning::status) tell it. The plain operations answer
/// [`models::QueryStatus`](crate::rest::models::QueryStatus).
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HogQlStatus {
    /// The query's id.
    pub id: Option<String>,
    /// Whether it has ended, well or not.
    pub complete: bool,
    /// Whether it failed.
    pub error: bool,
    /// What went wrong, in PostHog's words.
    pub error_message: Option<String>,
    /// When it was asked for.
    pub start_time: Option<String>,
    /// When a worker took it up.
    pub pickup_time: Option<String>,
    /// When it ended.
    pub end_time: Option<String>,
    /// How far it has come, where PostHog knows.
    pub progress: Option<HogQlProgress>,
    /// The whole answer, once it is complete.
    pub results: Value,
    /// Everything else.
    pub extra: Map<String, Value>,
}

impl HogQlStatus {
    pub(super) fn from_map(mut map: Map<String, Value>) -> Self {
        Self {
            id: text(&mut map, "id"),
            complete: flag(&mut map, "complete"),
            error: flag(&mut map, "error"),
            error_message: text(&mut map, "error_message"),
            start_time: text(&mut map, "start_time"),
            pickup_time: text(&mut map, "pickup_time"),
            end_time: text(&mut map, "end_time"),
            progress: match map.remove("query_progress") {
                Some(Value::Object(progress)) => Some(HogQlProgress::from_map(&progress)),
                _ => None,
            },
            results: map.remove("results").unwrap_or_default(),
            extra: map,
        }
    }

    fn words(&self) -> String {
        self.error_message
            .as_deref()
            .unwrap_or(NO_REASON)
            .to_owned()
    }

    /// The answer of a query that is complete.
    pub(super) fn into_answer(mut self) -> HogQlAnswer {
        let results = std::mem::take(&mut self.results);
        let mut answer = match results {
            // The whole answer, or, as other versions have it, the rows alone.
            Value::Object(map) if map.contains_key("results") => HogQlAnswer::from_map(map),
            results => HogQlAnswer {
                results,
                ..HogQlAnswer::default()
            },
        };
        answer.query_status = Some(self);
        answer
    }
}

impl<'de> Deserialize<'de> for HogQlStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Map::deserialize(deserializer).map(Self::from_map)
    }
}

/// How far a query has come, in ClickHouse's numbers: part of [`HogQlStatus`], as
/// [`models::QueryProgress`](crate::rest::models::QueryProgress) is of the model.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct HogQlProgress {
    /// Rows read so far.
    pub rows_read: u64,
    /// Bytes read so far.
    pub bytes_read: u64,
    /// How many rows there probably are to read.
    pub estimated_rows_total: u64,
    /// How long it has been running, as PostHog counts it.
    pub time_elapsed: f64,
    /// Processor time used, as PostHog counts it.
    pub active_cpu_time: f64,
}

impl HogQlProgress {
    /// From 0 to 1; `None` where the total is not known.
    pub fn fraction(&self) -> Option<f64> {
        (self.estimated_rows_total > 0)
            .then(|| (self.rows_read as f64 / self.estimated_rows_total as f64).min(1.0))
    }

    fn from_map(map: &Map<String, Value>) -> Self {
        let number = |name: &str| map.get(name).and_then(Value::as_f64).unwrap_or_default();
        Self {
            rows_read: number("rows_read") as u64,
            bytes_read: number("bytes_read") as u64,
            estimated_rows_total: number("estimated_rows_total") as u64,
            time_elapsed: number("time_elapsed"),
            active_cpu_time: number("active_cpu_time"),
        }
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
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_reads_whatever_is_in_it() {
        let answer: HogQlAnswer = serde_json::from_value(json!({
            "columns": ["event", 7], "types": [["event", "String"], "UInt64"], "results": [["a", 1]],
            "hasMore": true, "limit": 100, "offset": "3", "hogql": 5, "is_cached": null,
            "last_refresh": "now", "query_status": null, "timings": [{"k": "x", "t": 1.5}], "error": null,
        }))
        .unwrap();
        assert_eq!(answer.columns, ["event", "7"]);
        assert_eq!(answer.types, ["String", "UInt64"]);
        assert!(answer.has_more && !answer.is_cached);
        assert_eq!((answer.limit, answer.offset), (Some(100), Some(3)));
        assert_eq!(answer.last_refresh.as_deref(), Some("now"));
        assert_eq!(answer.extra["hogql"], 5);
        assert_eq!(answer.extra["timings"][0]["t"], 1.5);
        assert_eq!(answer.one::<(String, u8)>().unwrap(), ("a".into(), 1));

        let bare: HogQlAnswer = serde_json::from_value(json!({})).unwrap();
        assert_eq!(bare, HogQlAnswer::default());
        assert!(bare.rows::<u8>().is_err());
        assert!(serde_json::from_value::<HogQlAnswer>(json!([])).is_err());
    }

    #[test]
    fn one_row_is_one_row() {
        let answer = |rows: Value| HogQlAnswer {
            results: rows,
            ..HogQlAnswer::default()
        };
        assert_eq!(answer(json!([[4]])).one::<u8>().unwrap(), 4);
        let none = answer(json!([])).one::<u8>().unwrap_err().to_string();
        assert!(none.contains("no rows"), "{none}");
        let two = answer(json!([[4], [5]])).one::<u8>().unwrap_err();
        assert!(two.to_string().contains("2 rows"), "{two}");
    }

    #[test]
    fn progress_is_a_fraction_where_the_total_is_known() {
        let read = |total: u64| HogQlProgress {
            rows_read: 50,
            estimated_rows_total: total,
            ..HogQlProgress::default()
        };
        assert_eq!(read(200).fraction(), Some(0.25));
        assert_eq!(read(10).fraction(), Some(1.0));
        assert_eq!(read(0).fraction(), None);
    }
}
