//! [`HogQlStatus`] and [`HogQlProgress`]: how a query in the background is doing.

use super::answer::{HogQlAnswer, flag, number, text, time};
use crate::rest::Time;
use crate::rest::failed_query::NO_REASON;
use crate::rest::whole::read_object;
use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// How a query in the background is doing, from [`HogQlBackground::progress`](super::HogQlBackground::progress) and
/// [`HogQlRunning::status`](super::HogQlRunning::status). The plain operations answer
/// [`models::QueryStatus`](crate::rest::models::QueryStatus).
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HogQlStatus {
    /// The query's id.
    pub id: Option<String>,
    /// Whether the query has ended, well or not.
    pub complete: bool,
    /// Whether the query failed.
    pub error: bool,
    /// What went wrong, in PostHog's words.
    pub error_message: Option<String>,
    /// When PostHog received the query.
    pub start_time: Option<Time>,
    /// When a worker took it up.
    pub pickup_time: Option<Time>,
    /// When it ended.
    pub end_time: Option<Time>,
    /// How far it has come, if PostHog knows.
    pub progress: Option<HogQlProgress>,
    /// The whole answer, once the query is complete.
    pub results: Value,
    /// All other fields.
    pub extra: Map<String, Value>,
}

impl HogQlStatus {
    pub(super) fn from_map(mut map: Map<String, Value>) -> Self {
        let progress = match map.remove("query_progress") {
            Some(Value::Object(progress)) => Some(HogQlProgress::from_map(progress)),
            Some(Value::Null) | None => None,
            Some(other) => {
                map.insert("query_progress".into(), other);
                None
            }
        };
        Self {
            id: text(&mut map, "id"),
            complete: flag(&mut map, "complete"),
            error: flag(&mut map, "error"),
            error_message: text(&mut map, "error_message"),
            start_time: time(&mut map, "start_time"),
            pickup_time: time(&mut map, "pickup_time"),
            end_time: time(&mut map, "end_time"),
            progress,
            results: map.remove("results").unwrap_or_default(),
            extra: map,
        }
    }

    /// Why the query failed, in PostHog's words.
    pub(super) fn reason(&self) -> String {
        self.error_message
            .as_deref()
            .unwrap_or(NO_REASON)
            .to_owned()
    }

    /// The answer of a query that is complete.
    pub(super) fn into_answer(mut self) -> HogQlAnswer {
        let results = std::mem::take(&mut self.results);
        let mut answer = match results {
            // The whole answer, or, from other versions of PostHog, the rows alone.
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
        read_object(deserializer, "HogQlStatus").map(Self::from_map)
    }
}

/// How far a query has come, in ClickHouse's numbers: part of [`HogQlStatus`].
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HogQlProgress {
    /// Rows read so far.
    pub rows_read: u64,
    /// Bytes read so far.
    pub bytes_read: u64,
    /// How many rows there probably are to read.
    pub estimated_rows_total: u64,
    /// How long the query has been running, as PostHog counts it.
    pub time_elapsed: f64,
    /// Processor time used, as PostHog counts it.
    pub active_cpu_time: f64,
    /// All other fields, and those above that hold no number.
    pub extra: Map<String, Value>,
}

impl HogQlProgress {
    /// From 0 to 1. `None` if the total is not known.
    pub fn fraction(&self) -> Option<f64> {
        (self.estimated_rows_total > 0)
            .then(|| (self.rows_read as f64 / self.estimated_rows_total as f64).min(1.0))
    }

    fn from_map(mut map: Map<String, Value>) -> Self {
        let mut count = |name: &str| number(&mut map, name).unwrap_or_default();
        let (rows_read, bytes_read, estimated_rows_total) = (
            count("rows_read"),
            count("bytes_read"),
            count("estimated_rows_total"),
        );
        let mut float = |name: &str| match map.get(name).and_then(Value::as_f64) {
            Some(number) => {
                map.remove(name);
                number
            }
            None => 0.0,
        };
        Self {
            rows_read,
            bytes_read,
            estimated_rows_total,
            time_elapsed: float("time_elapsed"),
            active_cpu_time: float("active_cpu_time"),
            extra: map,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn progress_is_a_fraction_if_the_total_is_known() {
        let read = |total: u64| HogQlProgress {
            rows_read: 50,
            estimated_rows_total: total,
            ..HogQlProgress::default()
        };
        assert_eq!(read(200).fraction(), Some(0.25));
        assert_eq!(read(10).fraction(), Some(1.0));
        assert_eq!(read(0).fraction(), None);
    }

    #[test]
    fn nothing_of_a_status_is_lost() {
        let status: HogQlStatus = serde_json::from_value(json!({
            "id": 7, "complete": "yes", "task_id": "t", "start_time": 1, "end_time": "soon",
            "query_progress": {"rows_read": -1, "bytes_read": "12", "time_elapsed": 1.5, "active_cpu_time": "x",
                               "estimated_rows_total": 3.5, "queue": 4},
        }))
        .unwrap();
        let left = json!({"id": 7, "complete": "yes", "task_id": "t", "start_time": 1});
        assert_eq!(Value::Object(status.extra), left);
        let end = status.end_time.unwrap();
        assert_eq!((end.as_str(), end.to_system_time()), ("soon", None));
        let progress = status.progress.unwrap();
        assert_eq!((progress.bytes_read, progress.time_elapsed), (12, 1.5));
        let left = json!({"rows_read": -1, "active_cpu_time": "x", "estimated_rows_total": 3.5, "queue": 4});
        assert_eq!(Value::Object(progress.extra), left);

        let odd: HogQlStatus = serde_json::from_value(json!({"query_progress": [1]})).unwrap();
        assert_eq!(odd.extra["query_progress"], json!([1]));
        assert!(serde_json::from_str::<HogQlStatus>(r#"{"id": "a", "id": "b"}"#).is_err());
    }
}
