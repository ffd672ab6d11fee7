//! [`HogQlQuery`] and [`NodeQuery`]: queries as callers build them.

use super::answer::HogQlAnswer;
use super::background::HogQlBackground;
use super::draft::{Bad, Draft, common_methods};
use super::refresh::HogQlRefresh;
use crate::error::PostHogError;
use crate::rest::operations::{Environment, Project};
use crate::rest::path::At;
use crate::rest::time::with_time_texts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// A query in HogQL, PostHog's SQL, before it is run: made by [`Project::hogql`] or [`Environment::hogql`].
///
/// ```no_run
/// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Row {
///     event: String,
///     total: u64,
/// }
///
/// let rows: Vec<Row> = client
///     .project(12345)
///     .hogql("SELECT event, count() AS total FROM events \
///             WHERE timestamp > {since} GROUP BY event LIMIT 1000")
///     .value("since", "2031-01-01")
///     .name("events of the week") // shown in PostHog's query log
///     .rows()
///     .await?;
/// # Ok(())
/// # }
/// ```
///
/// # Limits of PostHog
///
/// Without a `LIMIT`, PostHog returns at most 100 rows and says whether there are more
/// ([`HogQlAnswer::has_more`]). A `LIMIT` above 50,000 counts as 50,000: read more rows in parts, such as by day. PostHog runs three
/// queries at once and refuses more with 429, which is retried. A query may run for 10 seconds; what takes longer than
/// the client's [`attempt_timeout`](crate::PostHogClientBuilder::attempt_timeout) is better
/// [run in the background](Self::in_background).
///
/// # Failures
///
/// A query that PostHog refuses is a [`PostHogError::ApiError`] of status 400 whose `detail` is PostHog's message.
/// [`hogql_position`](PostHogError::hogql_position) is the place it points to, if it does. [`check`](Self::check) asks
/// PostHog for the places of all errors.
#[must_use = "a query does nothing until it is run"]
pub struct HogQlQuery {
    pub(super) draft: Draft,
}

/// A query of any other kind, such as `TrendsQuery` or `EventsQuery`, before it is run: made by
/// [`Project::query_node`] or [`Environment::query_node`].
///
/// PostHog compiles these nodes to HogQL, so they have the same answer, limits and failures as a [`HogQlQuery`].
#[must_use = "a query does nothing until it is run"]
pub struct NodeQuery {
    draft: Draft,
}

impl Project {
    /// A query in HogQL, PostHog's SQL, of this project. Needs the scope `query:read`.
    ///
    /// Put values in with [`HogQlQuery::value`], never into the text.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let users: u64 = client
    ///     .project(12345)
    ///     .hogql("SELECT count(DISTINCT person_id) FROM events WHERE event = {event}")
    ///     .value("event", "signup")
    ///     .one()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn hogql(&self, sql: impl Into<String>) -> HogQlQuery {
        HogQlQuery::new(&self.at, sql.into())
    }

    /// A query of any other kind: a node with its `kind`, as JSON or as a type of your own. Needs the scope
    /// `query:read`.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// use serde_json::json;
    /// let trend = json!({
    ///     "kind": "TrendsQuery",
    ///     "series": [{"kind": "EventsNode", "event": "signup"}],
    ///     "dateRange": {"date_from": "-7d"},
    /// });
    /// let answer = client.project(12345).query_node(&trend).run().await?;
    /// println!("{}", answer.results[0]["data"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn query_node(&self, node: &(impl Serialize + ?Sized)) -> NodeQuery {
        NodeQuery::new(&self.at, serde_json::to_value(node))
    }
}

impl Environment {
    /// A query in HogQL, as [`Project::hogql`].
    pub fn hogql(&self, sql: impl Into<String>) -> HogQlQuery {
        HogQlQuery::new(&self.at, sql.into())
    }

    /// A query of any other kind, as [`Project::query_node`].
    pub fn query_node(&self, node: &(impl Serialize + ?Sized)) -> NodeQuery {
        NodeQuery::new(&self.at, serde_json::to_value(node))
    }
}

impl HogQlQuery {
    fn new(scope: &At, sql: String) -> Self {
        let mut node = Map::new();
        node.insert("kind".into(), "HogQLQuery".into());
        node.insert("query".into(), sql.into());
        Self {
            draft: Draft::new(scope, Ok(node)),
        }
    }

    /// Sets the value of the placeholder `{name}`: a string, a number, a list, `None`, ….
    ///
    /// PostHog puts it in as a constant; nothing in it can be read as SQL. A `SystemTime` and a
    /// [`Time`](crate::rest::Time) go in as text. JSON has no `NaN`: it goes in as `NULL`.
    pub fn value(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        if let Ok(node) = &mut self.draft.node {
            let values = node.entry("values").or_insert_with(|| Map::new().into());
            match (serde_json::to_value(value).map(with_time_texts), values) {
                (Ok(value), Value::Object(values)) => {
                    values.insert(name.into(), value);
                }
                (Ok(_), _) => {
                    let problem = "the query's `values` are not an object";
                    self.draft.node = Err(Bad::problem("values", problem));
                }
                (Err(source), _) => self.draft.node = Err(Bad::Unwritable(source)),
            }
        }
        self
    }
}

impl NodeQuery {
    fn new(scope: &At, node: Result<Value, serde_json::Error>) -> Self {
        let node = match node {
            Ok(Value::Object(node)) if node.get("kind").is_some_and(Value::is_string) => Ok(node),
            Ok(_) => Err(Bad::problem(
                "query",
                "a query is an object with a `kind`, such as {\"kind\": \"TrendsQuery\"}",
            )),
            Err(source) => Err(Bad::Unwritable(source)),
        };
        Self {
            draft: Draft::new(scope, node),
        }
    }
}

common_methods!(HogQlQuery);
common_methods!(NodeQuery);
