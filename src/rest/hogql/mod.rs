//! HogQL and the other queries.

mod answer;
mod background;
mod cell;
mod check;
mod rows;

pub use answer::{QueryAnswer, QueryProgress, QueryStatus};
pub use background::{AsyncQuery, RunningQuery};
pub use check::{QueryCheck, QueryNotice};

use super::operations::{Environment, Project};
use super::path::At;
use super::request::Problem;
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::event::uuid_v7::UuidV7;
use crate::http::io::Io;
use crate::redact::excerpt;
use reqwest::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const OPERATION: &str = "query";
/// How long a cancellation may take when a time limit is over.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);

/// A query, before it is run: HogQL by [`PostHogClient::hogql`], any other by
/// [`PostHogClient::query_node`].
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
///     .hogql(12345, "SELECT event, count() AS total FROM events \
///                    WHERE timestamp > {since} GROUP BY event LIMIT 1000")
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
/// HogQL without a `LIMIT` gives 100 rows; [`QueryAnswer::has_more`] tells. Three queries run at once,
/// more are refused with 429, which is retried. A query may run for 10 seconds: what takes longer than
/// the client's [`attempt_timeout`](crate::PostHogClientBuilder::attempt_timeout) is better
/// [run in the background](Self::run_async).
///
/// # Failures
///
/// A query that PostHog refuses is a [`PostHogError::ApiError`] of status 400 whose `detail` is PostHog's
/// message. [`query_position`](PostHogError::query_position) is the place it points to, if it does;
/// [`check`](Self::check) asks PostHog for the places of all errors.
#[must_use = "a query does nothing until it is run"]
pub struct Query {
    handle: Handle,
    node: Result<Map<String, Value>, Bad>,
    options: Map<String, Value>,
    refresh: Option<Refresh>,
    limit: Option<Duration>,
}

/// Why a query cannot be sent.
enum Bad {
    Problem(Problem),
    Unwritable(serde_json::Error),
}

impl From<Bad> for PostHogError {
    fn from(bad: Bad) -> Self {
        match bad {
            Bad::Problem(problem) => problem.into(),
            Bad::Unwritable(source) => Self::SerializationError {
                operation: OPERATION,
                what: "the query or one of its values cannot be written as JSON".into(),
                source,
            },
        }
    }
}

/// What PostHog may answer from its cache, and whether the answer waits for the query.
///
/// Without any, PostHog runs the query unless a fresh result is cached, and answers when it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refresh {
    /// Runs unless a fresh result is cached; waits. The default.
    Blocking,
    /// Starts unless a fresh result is cached; does not wait.
    Async,
    /// As [`Async`](Self::Async), but content with results that are somewhat stale.
    LazyAsync,
    /// As [`Async`](Self::Async) where a stale result is cached, as [`Blocking`](Self::Blocking) where
    /// there is none.
    AsyncExceptOnCacheMiss,
    /// Runs whatever is cached; waits.
    ForceBlocking,
    /// Starts whatever is cached; does not wait.
    ForceAsync,
    /// Asks for the cached result, however old. PostHog's query endpoint runs the query where there is
    /// none.
    ForceCache,
}

impl Refresh {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Async => "async",
            Self::LazyAsync => "lazy_async",
            Self::AsyncExceptOnCacheMiss => "async_except_on_cache_miss",
            Self::ForceBlocking => "force_blocking",
            Self::ForceAsync => "force_async",
            Self::ForceCache => "force_cache",
        }
    }

    /// The mode that does not wait.
    fn in_background(self) -> Self {
        match self {
            Self::Blocking => Self::Async,
            Self::ForceBlocking => Self::ForceAsync,
            other => other,
        }
    }
}

impl PostHogClient {
    /// A HogQL query (PostHog's SQL) of a project. Needs the scope `query:read`.
    ///
    /// Values go in as values, by [`Query::value`], never into the text.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let users: u64 = client
    ///     .hogql(12345, "SELECT count(DISTINCT person_id) FROM events WHERE event = {event}")
    ///     .value("event", "signup")
    ///     .one()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn hogql(&self, project_id: impl fmt::Display, sql: impl Into<String>) -> Query {
        let project = At::root(self).down("api/projects");
        Query::hogql(&project.id("project_id", &project_id), sql.into())
    }

    /// A query of any kind: a node with its `kind`, as JSON or as a type of your own. Needs the scope
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
    /// let answer = client.query_node(12345, &trend).run().await?;
    /// println!("{}", answer.results[0]["data"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn query_node(
        &self,
        project_id: impl fmt::Display,
        node: &(impl Serialize + ?Sized),
    ) -> Query {
        let project = At::root(self).down("api/projects");
        Query::node(
            &project.id("project_id", &project_id),
            serde_json::to_value(node),
        )
    }
}

impl Project {
    /// A HogQL query (PostHog's SQL) of this project. Needs the scope `query:read`.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let rows: Vec<(String, u64)> = client
    ///     .project(12345)
    ///     .query("SELECT event, count() FROM events GROUP BY event")
    ///     .rows()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn query(&self, sql: impl Into<String>) -> Query {
        Query::hogql(&self.at, sql.into())
    }

    /// A query of any kind, as [`PostHogClient::query_node`].
    pub fn query_node(&self, node: &(impl Serialize + ?Sized)) -> Query {
        Query::node(&self.at, serde_json::to_value(node))
    }
}

impl Environment {
    /// A HogQL query, as [`Project::query`].
    pub fn query(&self, sql: impl Into<String>) -> Query {
        Query::hogql(&self.at, sql.into())
    }

    /// A query of any kind, as [`PostHogClient::query_node`].
    pub fn query_node(&self, node: &(impl Serialize + ?Sized)) -> Query {
        Query::node(&self.at, serde_json::to_value(node))
    }
}

impl Query {
    /// HogQL of a project or environment, whose path is `scope`.
    pub(crate) fn hogql(scope: &At, sql: String) -> Self {
        let mut node = Map::new();
        node.insert("kind".into(), "HogQLQuery".into());
        node.insert("query".into(), sql.into());
        Self::new(scope, Ok(node))
    }

    /// Any query of a project or environment, whose path is `scope`.
    pub(crate) fn node(scope: &At, node: Result<Value, serde_json::Error>) -> Self {
        let node = match node {
            Ok(Value::Object(node)) if node.get("kind").is_some_and(Value::is_string) => Ok(node),
            Ok(_) => Err(Bad::Problem(Problem {
                setting: "query",
                problem: "a query is an object with a `kind`, such as {\"kind\": \"TrendsQuery\"}"
                    .into(),
            })),
            Err(source) => Err(Bad::Unwritable(source)),
        };
        Self::new(scope, node)
    }

    fn new(scope: &At, node: Result<Map<String, Value>, Bad>) -> Self {
        let millis = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        Self {
            handle: Handle {
                at: scope.down("query"),
                id: UuidV7::default().at(millis).to_string(),
            },
            node,
            options: Map::new(),
            refresh: None,
            limit: None,
        }
    }

    /// The value of the placeholder `{name}`: a string, a number, a list, `None`, ….
    ///
    /// PostHog puts it in as a constant; nothing in it can be read as SQL.
    pub fn value(mut self, name: impl Into<String>, value: impl Serialize) -> Self {
        let value = serde_json::to_value(value);
        if let Ok(node) = &mut self.node {
            let is_hogql = node.get("kind").is_some_and(|kind| kind == "HogQLQuery");
            let values = node.entry("values").or_insert_with(|| Map::new().into());
            match (value, values) {
                _ if !is_hogql => {
                    self.node = Err(Bad::Problem(Problem {
                        setting: "value",
                        problem: "only HogQL has placeholders; write other queries whole".into(),
                    }));
                }
                (Ok(value), Value::Object(values)) => {
                    values.insert(name.into(), value);
                }
                (Ok(_), _) => {
                    self.node = Err(Bad::Problem(Problem {
                        setting: "values",
                        problem: "the query's `values` are not an object".into(),
                    }));
                }
                (Err(source), _) => self.node = Err(Bad::Unwritable(source)),
            }
        }
        self
    }

    /// Sets any other field of the query: `filters`, `modifiers`, `variables`, `tags`, ….
    pub fn set(mut self, field: impl Into<String>, value: impl Serialize) -> Self {
        if let Ok(node) = &mut self.node {
            match serde_json::to_value(value) {
                Ok(value) => {
                    node.insert(field.into(), value);
                }
                Err(source) => self.node = Err(Bad::Unwritable(source)),
            }
        }
        self
    }

    /// Sets a field of the request beside the query: `filters_override`, `variables_override`, ….
    pub fn option(mut self, field: impl Into<String>, value: impl Serialize) -> Self {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.options.insert(field.into(), value);
            }
            Err(source) => self.node = Err(Bad::Unwritable(source)),
        }
        self
    }

    /// A name for PostHog's query log.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.option("name", name.into())
    }

    /// What PostHog may answer from its cache.
    pub fn refresh(mut self, refresh: Refresh) -> Self {
        self.refresh = Some(refresh);
        self
    }

    /// Ends after that time, all attempts and waits included: PostHog is told to cancel the query, which may
    /// take up to 5 s more, and the result is [`PostHogError::QueryTimeLimit`], which says whether it did. Default: no limit but
    /// those of each attempt.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The id under which PostHog knows the query: made here, so that it can be cancelled and looked up
    /// from elsewhere while it runs.
    pub fn id(&self) -> &str {
        &self.handle.id
    }

    /// Runs it, and gives PostHog's answer.
    ///
    /// # Errors
    /// Any of [`PostHogError`]; see [above](Self#failures) for those of queries.
    pub async fn run(self) -> Result<QueryAnswer, PostHogError> {
        let handle = self.handle.clone();
        self.run_as::<QueryAnswer>().await?.checked(&handle)
    }

    /// Runs it, and reads the whole answer as a type of your own.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_as<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        let (limit, refresh) = (self.limit, self.refresh);
        let (handle, body) = self.into_body(refresh)?;
        handle.within(limit, handle.post(&body)).await
    }

    /// Runs it, and reads each row: into a struct by the names of the columns, into a tuple by their
    /// order, or a single column into any plain type. Maps go by name, lists by order: a single column of
    /// lists is `(Vec<T>,)`.
    ///
    /// What PostHog writes in more than one way is read in all of them: numbers as text, booleans as 0
    /// and 1, and, where a list, map or struct is asked for, JSON as text, which is how a column
    /// `properties` comes. So too within arrays and tuples.
    ///
    /// These are the rows that PostHog gave: 100 where the SQL has no `LIMIT`. Where that matters,
    /// [`run`](Self::run) it, look at [`has_more`](QueryAnswer::has_more), and then read
    /// [its rows](QueryAnswer::rows).
    ///
    /// # Errors
    /// As [`run`](Self::run); a row that does not fit is [`PostHogError::SerializationError`], with the
    /// number of the row and the name of the column.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let rows: Vec<(String, u64)> = client
    ///     .hogql(12345, "SELECT event, count() FROM events GROUP BY event")
    ///     .rows()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn rows<T: DeserializeOwned>(self) -> Result<Vec<T>, PostHogError> {
        self.run().await?.rows()
    }

    /// Runs it, and reads its only row.
    ///
    /// # Errors
    /// As [`rows`](Self::rows), and where there are no rows or several.
    pub async fn one<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        self.run().await?.one()
    }

    /// Has PostHog run it in the background, and asks until it is done: for what takes longer than one
    /// request may.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// use std::time::Duration;
    /// let rows: Vec<(String, u64)> = client
    ///     .hogql(12345, "SELECT event, count() FROM events GROUP BY event")
    ///     .time_limit(Duration::from_secs(300))
    ///     .run_async()
    ///     .progress(|status| println!("{:?}", status.progress))
    ///     .rows()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_async(self) -> AsyncQuery {
        AsyncQuery::new(self)
    }

    fn into_body(
        self,
        refresh: Option<Refresh>,
    ) -> Result<(Handle, Map<String, Value>), PostHogError> {
        let mut body = self.options;
        body.insert("query".into(), self.node?.into());
        body.insert("client_query_id".into(), self.handle.id.clone().into());
        if let Some(refresh) = refresh {
            body.insert("refresh".into(), refresh.as_str().into());
        }
        Ok((self.handle, body))
    }
}

impl fmt::Debug for Query {
    /// Shows neither the query nor its values: both may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("id", &self.handle.shown_id())
            .field("name", &self.options.get("name"))
            .field("refresh", &self.refresh)
            .field("time_limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A query at PostHog: where it is, and its id.
#[derive(Clone)]
struct Handle {
    /// Ends in `query`.
    at: At,
    id: String,
}

impl Handle {
    async fn post<T: DeserializeOwned>(
        &self,
        body: &Map<String, Value>,
    ) -> Result<T, PostHogError> {
        let mut call = self.at.call(OPERATION, Method::POST, "/");
        call.put_json(serde_json::to_vec(body));
        call.send().await
    }

    async fn cancel(&self) -> Result<(), PostHogError> {
        let at = self.at.id("query_id", &self.id);
        let call = at.call("cancel query", Method::DELETE, "/");
        call.send_raw().await.map(drop)
    }

    /// The id without secrets: the server may have chosen it.
    fn shown_id(&self) -> String {
        excerpt(&self.at.client().inner.http.clean(&self.id), 100)
    }

    fn io(&self) -> &Io {
        &self.at.client().inner.http.io
    }

    /// Works until the limit, then cancels the query.
    async fn within<T>(
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

    async fn give_up(&self, limit: Duration) -> PostHogError {
        let cancelled = self.io().timeout(CANCEL_WITHIN, self.cancel()).await;
        PostHogError::QueryTimeLimit {
            operation: OPERATION,
            limit,
            query_id: self.shown_id(),
            cancelled: matches!(cancelled, Some(Ok(()))),
        }
    }
}
