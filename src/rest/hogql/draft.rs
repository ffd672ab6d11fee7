//! [`Draft`]: a query before it is sent, of whatever kind. [`HogQlQuery`](super::HogQlQuery) and
//! [`NodeQuery`](super::NodeQuery) are its two public faces.

use super::OPERATION;
use super::answer::HogQlAnswer;
use super::handle::{Handle, asks_for_few};
use super::refresh::HogQlRefresh;
use crate::error::PostHogError;
use crate::event::uuid_v7::UuidV7;
use crate::rest::path::At;
use crate::rest::request::Problem;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub(super) struct Draft {
    pub(super) handle: Handle,
    pub(super) node: Result<Map<String, Value>, Bad>,
    pub(super) options: Map<String, Value>,
    pub(super) refresh: Option<HogQlRefresh>,
    pub(super) limit: Option<Duration>,
}

/// Why a query cannot be sent.
pub(super) enum Bad {
    Problem(Problem),
    Unwritable(serde_json::Error),
}

impl Bad {
    pub(super) fn problem(setting: &'static str, problem: &str) -> Self {
        Self::Problem(Problem {
            setting,
            problem: problem.into(),
        })
    }
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

impl Draft {
    /// A query of the project or environment whose path is `scope`.
    pub(super) fn new(scope: &At, node: Result<Map<String, Value>, Bad>) -> Self {
        let millis = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64);
        Self {
            handle: Handle {
                at: scope.down("query"),
                id: UuidV7::default().at(millis).to_string(),
                asks_for_few: false,
            },
            node,
            options: Map::new(),
            refresh: None,
            limit: None,
        }
    }

    /// Sets a field of the query. The first problem stays.
    pub(super) fn set(&mut self, field: String, value: &impl Serialize) {
        if let Ok(node) = &mut self.node {
            match serde_json::to_value(value) {
                Ok(value) => {
                    node.insert(field, value);
                }
                Err(source) => self.node = Err(Bad::Unwritable(source)),
            }
        }
    }

    /// Sets a field of the request beside the query.
    pub(super) fn option(&mut self, field: String, value: &impl Serialize) {
        match serde_json::to_value(value) {
            Ok(value) => {
                self.options.insert(field, value);
            }
            Err(source) => self.node = Err(Bad::Unwritable(source)),
        }
    }

    pub(super) async fn run(self) -> Result<HogQlAnswer, PostHogError> {
        let start = Instant::now();
        let (limit, refresh) = (self.limit, self.refresh);
        let (handle, body) = self.into_body(refresh)?;
        let answer = handle.within(limit, handle.post_exactly(&body)).await;
        let answer: HogQlAnswer = answer?;
        Ok(answer.checked(&handle)?.after(&handle, start.elapsed()))
    }

    pub(super) async fn run_as<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        let (limit, refresh) = (self.limit, self.refresh);
        let (handle, body) = self.into_body(refresh)?;
        handle.within(limit, handle.post(&body)).await
    }

    pub(super) fn into_body(
        self,
        refresh: Option<HogQlRefresh>,
    ) -> Result<(Handle, Map<String, Value>), PostHogError> {
        let (mut handle, mut body, node) = (self.handle, self.options, self.node?);
        handle.asks_for_few = asks_for_few(&node);
        body.insert("query".into(), node.into());
        body.insert("client_query_id".into(), handle.id.clone().into());
        if let Some(refresh) = refresh {
            body.insert("refresh".into(), refresh.as_str().into());
        }
        Ok((handle, body))
    }

    /// Shows neither the query nor its values: both may be personal.
    pub(super) fn show(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("id", &self.handle.shown_id())
            .field("name", &self.options.get("name"))
            .field("refresh", &self.refresh)
            .field("time_limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// The methods that queries of all kinds have.
macro_rules! common_methods {
    ($Query:ident) => {
        impl $Query {
            /// Sets a field of the query that has no method of its own: `filters`, `modifiers`, `variables`, `tags`, ….
            pub fn set(mut self, field: impl Into<String>, value: impl Serialize) -> Self {
                self.draft.set(field.into(), &value);
                self
            }

            /// Sets a field of the request beside the query: `filters_override`, `variables_override`, ….
            pub fn option(mut self, field: impl Into<String>, value: impl Serialize) -> Self {
                self.draft.option(field.into(), &value);
                self
            }

            /// Names the query in PostHog's query log.
            pub fn name(self, name: impl Into<String>) -> Self {
                self.option("name", name.into())
            }

            /// Sets whether PostHog may answer from its cache.
            pub fn refresh(mut self, refresh: HogQlRefresh) -> Self {
                self.draft.refresh = Some(refresh);
                self
            }

            /// Ends the query after this time, all attempts and waits included. PostHog is then told to cancel the
            /// query, which may take up to 5 s more. The error is
            /// [`PostHogError::QueryTimeLimit`](crate::PostHogError), which says whether PostHog did cancel it.
            /// Default: no limit but that of each attempt.
            pub fn time_limit(mut self, limit: Duration) -> Self {
                self.draft.limit = Some(limit);
                self
            }

            /// The id under which PostHog knows the query. It is made here, so that the query can be cancelled and
            /// looked up from elsewhere while it runs.
            pub fn id(&self) -> &str {
                &self.draft.handle.id
            }

            /// Runs the query and returns PostHog's answer.
            ///
            /// # Errors
            /// Any of [`PostHogError`].
            pub async fn run(self) -> Result<HogQlAnswer, PostHogError> {
                self.draft.run().await
            }

            /// Runs the query and reads the whole answer as a type of your own.
            ///
            /// A [`Value`](serde_json::Value) within it keeps an integer beyond 64 bits as a rounded float, and `NaN` and
            /// `Infinity` as null. [`run`](Self::run) keeps them as they are.
            ///
            /// # Errors
            /// As [`run`](Self::run).
            pub async fn run_as<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
                self.draft.run_as().await
            }

            /// Runs the query and reads each row, as [`HogQlAnswer::rows`] does: all rows, or an error.
            ///
            /// # Errors
            /// As [`run`](Self::run) and [`HogQlAnswer::rows`].
            ///
            /// ```no_run
            /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
            /// let rows: Vec<(String, u64)> = client
            ///     .project(12345)
            ///     .hogql("SELECT event, count() FROM events GROUP BY event LIMIT 1000")
            ///     .rows()
            ///     .await?;
            /// # Ok(())
            /// # }
            /// ```
            pub async fn rows<T: DeserializeOwned>(self) -> Result<Vec<T>, PostHogError> {
                self.run().await?.rows()
            }

            /// Runs the query and reads each row that PostHog returned, as [`HogQlAnswer::first_rows`] does, even if
            /// there are more.
            ///
            /// # Errors
            /// As [`run`](Self::run) and [`HogQlAnswer::first_rows`].
            pub async fn first_rows<T: DeserializeOwned>(self) -> Result<Vec<T>, PostHogError> {
                self.run().await?.first_rows()
            }

            /// Runs the query and reads its only row.
            ///
            /// # Errors
            /// As [`rows`](Self::rows). Also if there are no rows, or several.
            pub async fn one<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
                self.run().await?.one()
            }

            /// Lets PostHog run the query in the background, and asks until it is done: for queries that take longer
            /// than one request may.
            ///
            /// ```no_run
            /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
            /// use std::time::Duration;
            /// let rows: Vec<(String, u64)> = client
            ///     .project(12345)
            ///     .hogql("SELECT event, count() FROM events GROUP BY event LIMIT 1000")
            ///     .time_limit(Duration::from_secs(300))
            ///     .in_background()
            ///     .progress(|status| println!("{:?}", status.progress))
            ///     .rows()
            ///     .await?;
            /// # Ok(())
            /// # }
            /// ```
            pub fn in_background(self) -> HogQlBackground {
                HogQlBackground::new(self.draft)
            }
        }

        impl IntoFuture for $Query {
            type Output = Result<HogQlAnswer, PostHogError>;
            type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

            /// `query.await` is `query.run().await`.
            fn into_future(self) -> Self::IntoFuture {
                Box::pin(self.run())
            }
        }

        impl fmt::Debug for $Query {
            /// Shows neither the query nor its values: both may be personal.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.draft.show(stringify!($Query), f)
            }
        }
    };
}
pub(super) use common_methods;
