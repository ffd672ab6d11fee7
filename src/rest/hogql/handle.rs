//! [`Handle`]: a query at PostHog, by its place and id. Sends it, cancels it, and keeps its time limit.

use super::OPERATION;
use crate::error::PostHogError;
use crate::http::io::Io;
use crate::redact::excerpt;
use crate::rest::path::At;
use crate::rest::request::ApiCall;
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::time::Duration;

/// A larger `LIMIT` counts as this one, and PostHog does not say so.
const MOST_ROWS: usize = 50_000;
/// How long a cancellation may take after a time limit is over.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Handle {
    /// Ends in `query`.
    pub(super) at: At,
    pub(super) id: String,
    /// The `LIMIT` that the HogQL asks for, if it is written as a number.
    pub(super) row_limit: Option<u64>,
}

/// The last `LIMIT` in a text of HogQL, if it is a number.
pub(super) fn row_limit(sql: &str) -> Option<u64> {
    let is_between = |c: char| !(c.is_alphanumeric() || c == '_');
    let mut words = sql.rsplit(is_between).filter(|word| !word.is_empty());
    let mut after = "";
    let limit = words.find(|word| {
        let is_limit = word.eq_ignore_ascii_case("limit");
        if !is_limit {
            after = word;
        }
        is_limit
    });
    limit.and_then(|_| after.parse().ok())
}

impl Handle {
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        body: &Map<String, Value>,
    ) -> Result<T, PostHogError> {
        self.posted(body).send().await
    }

    /// The same; numbers that a `Value` would round arrive as text.
    pub(super) async fn post_exactly<T: DeserializeOwned>(
        &self,
        body: &Map<String, Value>,
    ) -> Result<T, PostHogError> {
        self.posted(body).send_exactly().await
    }

    fn posted(&self, body: &Map<String, Value>) -> ApiCall {
        let mut call = self.at.call(OPERATION, Method::POST, "/");
        call.put_json(serde_json::to_vec(body));
        call
    }

    pub(super) async fn cancel(&self) -> Result<(), PostHogError> {
        let at = self.at.id("query_id", &self.id);
        let call = at.call("cancel query", Method::DELETE, "/");
        call.send_raw().await.map(drop)
    }

    /// The id without secrets: the server may have chosen it.
    pub(super) fn shown_id(&self) -> String {
        excerpt(&self.at.client().inner.http.clean(&self.id), 100)
    }

    /// Whether PostHog returned the most rows that it does, of a query that asks for more.
    pub(super) fn is_cut(&self, rows: usize) -> bool {
        rows == MOST_ROWS && self.row_limit.is_some_and(|limit| limit > MOST_ROWS as u64)
    }

    pub(super) fn io(&self) -> &Io {
        &self.at.client().inner.http.io
    }

    /// Does the work until the limit is over, then cancels the query.
    pub(super) async fn within<T>(
        &self,
        limit: Option<Duration>,
        work: impl Future<Output = Result<T, PostHogError>>,
    ) -> Result<T, PostHogError> {
        let Some(limit) = limit else {
            return work.await;
        };
        match self.io().timeout(limit, work).await {
            Some(done) => done,
            None => Err(self.give_up(limit).await),
        }
    }

    pub(super) async fn give_up(&self, limit: Duration) -> PostHogError {
        let cancelled = self.io().timeout(CANCEL_WITHIN, self.cancel()).await;
        PostHogError::QueryTimeLimit {
            operation: OPERATION,
            limit,
            query_id: self.shown_id(),
            cancelled: matches!(cancelled, Some(Ok(()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_limit_counts() {
        for (sql, want) in [
            ("SELECT 1 FROM events LIMIT 100000", Some(100_000)),
            ("select 1 limit\n100000 OFFSET 5;", Some(100_000)),
            ("SELECT 1 FROM (SELECT 1 LIMIT 7) LIMIT 9", Some(9)),
            ("SELECT 1 LIMIT {n}", None),
            ("SELECT limits FROM events", None),
            ("SELECT 1", None),
            ("LIMIT", None),
            ("", None),
        ] {
            assert_eq!(row_limit(sql), want, "{sql}");
        }
    }
}
