//! [`Handle`]: a query at PostHog, by its place and id. Sends it, cancels it, and keeps its time limit.

use super::OPERATION;
use crate::error::PostHogError;
use crate::http::io::Io;
use crate::redact::excerpt;
use crate::rest::path::At;
use crate::rest::request::{ApiCall, Content};
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
    /// Whether the query itself asks for no more rows than PostHog returns.
    pub(super) asks_for_few: bool,
}

/// Whether a node is sure to ask for no more rows than PostHog returns: HogQL that ends in such a `LIMIT`. What is not sure
/// is false.
pub(super) fn asks_for_few(node: &Map<String, Value>) -> bool {
    let is_hogql = node.get("kind").is_some_and(|kind| kind == "HogQLQuery");
    let sql = node.get("query").and_then(Value::as_str);
    is_hogql && sql.and_then(last_limit).is_some_and(|n| n <= MOST_ROWS)
}

/// The `LIMIT` of a whole query: a number at its very end, with or without an `OFFSET`. `None` where it may be another's, or
/// in a comment.
fn last_limit(sql: &str) -> Option<usize> {
    let unsure = ["UNION", "INTERSECT", "EXCEPT", "--", "/*", "//", "#"];
    let upper = sql.to_ascii_uppercase();
    if unsure.iter().any(|word| upper.contains(word)) {
        return None;
    }
    let sql = sql.trim_end().trim_end_matches(';');
    let mut words = sql.split_whitespace().rev();
    let mut number: usize = words.next()?.parse().ok()?;
    let mut word = words.next()?;
    if word.eq_ignore_ascii_case("OFFSET") {
        number = words.next()?.parse().ok()?;
        word = words.next()?;
    }
    word.eq_ignore_ascii_case("LIMIT").then_some(number)
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
        call.put(Content::json(serde_json::to_vec(body)));
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

    /// Whether PostHog returned the most rows that it does, of a query that may have more.
    pub(super) fn may_be_cut(&self, rows: usize) -> bool {
        rows == MOST_ROWS && !self.asks_for_few
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
    fn only_a_plain_limit_at_the_end_counts() {
        let few = [
            "SELECT 1 FROM events LIMIT 50000",
            "select 1 limit\n7;",
            "SELECT 1 LIMIT 50000 OFFSET 100000 ;",
            "SELECT 1 FROM (SELECT 1 LIMIT 70000) LIMIT 9",
        ];
        let unsure = [
            "SELECT 1 LIMIT 50001",
            "SELECT 1 LIMIT 100000 OFFSET 5",
            "SELECT 1 LIMIT 0, 100000",
            "SELECT 1 LIMIT 0, 100",
            "SELECT 1 LIMIT {n}",
            "SELECT 1 LIMIT 5 BY event",
            "SELECT 1 LIMIT 5 WITH TIES",
            "SELECT 1 LIMIT 100000 -- LIMIT 5",
            "SELECT 1 LIMIT 100000 /* no\nLIMIT 5",
            "SELECT 1 LIMIT 100000 // LIMIT 5",
            "SELECT 1 LIMIT 100000 # LIMIT 5",
            "SELECT 1 UNION ALL SELECT 2 LIMIT 5",
            "(SELECT 1)UNION ALL(SELECT 2) LIMIT 5",
            "SELECT 1 FROM (SELECT 1 LIMIT 5)",
            "SELECT limits FROM events",
            "SELECT 1 LIMIT 5e9",
            "LIMIT",
            "",
        ];
        let node = |sql: &str| {
            let node = serde_json::json!({"kind": "HogQLQuery", "query": sql});
            node.as_object().cloned().unwrap()
        };
        for sql in few {
            assert!(asks_for_few(&node(sql)), "{sql}");
        }
        for sql in unsure {
            assert!(!asks_for_few(&node(sql)), "{sql}");
        }
        let mut other = node(few[0]);
        other.insert("kind".into(), "DataTableNode".into());
        assert!(!asks_for_few(&other));
    }
}
