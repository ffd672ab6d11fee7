//! Queries that PostHog runs in the background: [`HogQlBackground`] starts one, [`HogQlRunning`] waits for it.
//!
//! PostHog is asked for the status again and again, with growing pauses, until the query has ended. Invariants: dropping a
//! future loses nothing, waiting can begin again; a query that has ended is never cancelled; a time limit always tries to
//! cancel.

use super::answer::HogQlAnswer;
use super::draft::Draft;
use super::handle::Handle;
use super::refresh::HogQlRefresh;
use super::status::HogQlStatus;
use crate::error::PostHogError;
use crate::http::FOREVER;
use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::Method;
use serde::de::DeserializeOwned;
use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::time::Instant;

/// The shortest pause between two requests for the status, whatever is asked for: a team has one budget for all queries.
const SHORTEST: Duration = Duration::from_millis(20);

type Progress = Box<dyn FnMut(&HogQlStatus) + Send>;

/// A query to be run in the background: [`HogQlQuery::in_background`](super::HogQlQuery::in_background).
///
/// PostHog is asked for the status first after 250 ms, then less and less often, down to every 5 s.
///
/// # Cancelling
///
/// The query runs at PostHog, so dropping a future here leaves it running there, unless
/// [`cancel_on_drop`](Self::cancel_on_drop) is set. [`time_limit`](Self::time_limit) cancels it when the time is over,
/// [`HogQlRunning::cancel`] at any time.
#[must_use = "a query does nothing until it is run"]
pub struct HogQlBackground {
    draft: Draft,
    first: Duration,
    longest: Duration,
    progress: Option<Progress>,
    on_drop: OnDrop,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OnDrop {
    Leave,
    Cancel,
}

impl HogQlBackground {
    pub(super) fn new(draft: Draft) -> Self {
        Self {
            draft,
            first: Duration::from_millis(250),
            longest: Duration::from_secs(5),
            progress: None,
            on_drop: OnDrop::Leave,
        }
    }

    /// Calls `progress` with each status that PostHog answers while waiting.
    pub fn progress(mut self, progress: impl FnMut(&HogQlStatus) + Send + 'static) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }

    /// See [`HogQlQuery::time_limit`](super::HogQlQuery::time_limit).
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.draft.limit = Some(limit);
        self
    }

    /// Sets how long to wait before asking for the status the first time, and the longest pause between later times.
    /// Defaults: 250 ms and 5 s; at least 20 ms.
    pub fn poll(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// Tells PostHog to cancel the query when this future or the [`HogQlRunning`] is dropped before the query has
    /// ended. The client's own thread sends that request, so the drop needs no async runtime and does not wait. A
    /// process that ends right after the drop may leave the query running.
    pub fn cancel_on_drop(mut self) -> Self {
        self.on_drop = OnDrop::Cancel;
        self
    }

    /// Runs the query to its end and returns PostHog's answer. The same as awaiting it.
    ///
    /// # Errors
    /// As [`HogQlQuery::run`](super::HogQlQuery::run); [`PostHogError::QueryTimeLimit`] when the time is over.
    pub async fn run(self) -> Result<HogQlAnswer, PostHogError> {
        self.start().await?.wait().await
    }

    /// Runs the query to its end and reads each row, as [`HogQlAnswer::rows`] does: all rows, or an error.
    ///
    /// # Errors
    /// As [`run`](Self::run) and [`HogQlAnswer::rows`].
    pub async fn rows<T: DeserializeOwned>(self) -> Result<Vec<T>, PostHogError> {
        self.run().await?.rows()
    }

    /// Runs the query to its end and reads each row that PostHog returned, even if there are more; see
    /// [`HogQlAnswer::first_rows`].
    ///
    /// # Errors
    /// As [`run`](Self::run) and [`HogQlAnswer::first_rows`].
    pub async fn first_rows<T: DeserializeOwned>(self) -> Result<Vec<T>, PostHogError> {
        self.run().await?.first_rows()
    }

    /// Runs the query to its end and reads its only row; see [`HogQlAnswer::one`].
    ///
    /// # Errors
    /// As [`run`](Self::run) and [`HogQlAnswer::one`].
    pub async fn one<T: DeserializeOwned>(self) -> Result<T, PostHogError> {
        self.run().await?.one()
    }

    /// Starts the query and returns a handle to it.
    ///
    /// ```no_run
    /// # async fn f(client: tracing_posthog::PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// # async fn stop_asked() {}
    /// let mut running = client.project(12345).hogql("SELECT 1").in_background().start().await?;
    /// tokio::select! {
    ///     answer = running.wait() => println!("{}", answer?.results),
    ///     () = stop_asked() => running.cancel().await?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn start(self) -> Result<HogQlRunning, PostHogError> {
        let limit = self.draft.limit;
        let refresh = self
            .draft
            .refresh
            .unwrap_or(HogQlRefresh::Async)
            .without_waiting();
        let (handle, body) = self.draft.into_body(Some(refresh))?;
        // From here on it may be running, whether or not the answer comes.
        let mut running = HogQlRunning {
            armed: self.on_drop == OnDrop::Cancel,
            handle: handle.clone(),
            done: None,
            deadline: limit.map(|limit| (limit, Instant::now() + limit.min(FOREVER))),
            first: self.first,
            longest: self.longest,
            progress: self.progress.map(Mutex::new),
        };
        let started: Result<HogQlAnswer, _> =
            handle.within(limit, handle.post_exactly(&body)).await;
        let mut answer = match started {
            Ok(answer) => answer,
            Err(error) => {
                // It never started, or cancelling was tried.
                running.armed &= may_run(&error);
                return Err(error);
            }
        };
        match answer.query_status.take() {
            Some(status) if !status.complete && !status.error => {
                // PostHog may know the same query under an older id.
                if let Some(id) = status.id {
                    running.handle.id = id;
                }
            }
            Some(status) if answer.results.is_null() => running.done = Some(status.into_answer()),
            status => {
                answer.query_status = status;
                running.done = Some(answer);
            }
        }
        Ok(running)
    }
}

impl IntoFuture for HogQlBackground {
    type Output = Result<HogQlAnswer, PostHogError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for HogQlBackground {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HogQlBackground")
            .field("id", &self.draft.handle.shown_id())
            .field("poll", &(self.first, self.longest))
            .field("on_drop", &self.on_drop)
            .finish_non_exhaustive()
    }
}

/// A query that PostHog is running: [`HogQlBackground::start`].
pub struct HogQlRunning {
    handle: Handle,
    done: Option<HogQlAnswer>,
    deadline: Option<(Duration, Instant)>,
    first: Duration,
    longest: Duration,
    /// Never contended: the mutex only makes the type `Sync`.
    progress: Option<Mutex<Progress>>,
    /// Whether it is to be cancelled when dropped.
    armed: bool,
}

impl HogQlRunning {
    /// The id under which PostHog knows it.
    pub fn id(&self) -> &str {
        &self.handle.id
    }

    /// Asks once how the query is doing.
    ///
    /// # Errors
    /// Any of [`PostHogError`]; a failed query is an error, with PostHog's words.
    pub async fn status(&self) -> Result<HogQlStatus, PostHogError> {
        #[derive(serde::Deserialize)]
        struct Wrapped {
            query_status: HogQlStatus,
        }
        let at = self.handle.at.id("query_id", &self.handle.id);
        let mut call = at.call("query status", Method::GET, "/");
        if self.progress.is_some() {
            call.set("show_progress".into(), "true".into());
        }
        Ok(call.send_exactly::<Wrapped>().await?.query_status)
    }

    /// Waits until the query has ended. Dropping the future loses nothing: waiting can begin again, also after an
    /// error of the connection.
    ///
    /// # Errors
    /// As [`HogQlBackground::run`].
    pub async fn wait(&mut self) -> Result<HogQlAnswer, PostHogError> {
        let Some((limit, deadline)) = self.deadline else {
            return self.poll().await;
        };
        let handle = self.handle.clone();
        let left = deadline.saturating_duration_since(Instant::now());
        match handle.io().timeout(left, self.poll()).await {
            Some(done) => done,
            None => {
                let given_up = self.handle.give_up(limit).await;
                // Only now: dropped before, it has not been cancelled yet.
                self.armed = false;
                Err(given_up)
            }
        }
    }

    async fn poll(&mut self) -> Result<HogQlAnswer, PostHogError> {
        let longest = self.longest.max(SHORTEST);
        let mut delays = ExponentialBuilder::new()
            .with_factor(1.5)
            .with_min_delay(self.first.clamp(SHORTEST, longest))
            .with_max_delay(longest)
            .with_jitter()
            .without_max_times()
            .build();
        while self.done.is_none() {
            let delay = delays.next().unwrap_or(longest).min(longest);
            // Without a thread to wait on, the request below fails and says so.
            let _ = self.handle.io().sleep(delay).await;
            let status = match self.status().await {
                Ok(status) => status,
                Err(error) => {
                    self.armed &= may_run(&error);
                    return Err(error);
                }
            };
            if let Some(progress) = &mut self.progress {
                progress.get_mut().unwrap_or_else(PoisonError::into_inner)(&status);
            }
            if status.complete || status.error {
                self.done = Some(status.into_answer());
            }
        }
        self.armed = false;
        let answer = self.done.take().unwrap_or_default();
        answer.checked(&self.handle)
    }

    /// Tells PostHog to cancel the query.
    ///
    /// # Errors
    /// Any of [`PostHogError`].
    pub async fn cancel(&mut self) -> Result<(), PostHogError> {
        self.handle.cancel().await?;
        self.armed = false;
        Ok(())
    }
}

/// Whether a query may be running after that error. Refusals, such as of a query that failed or that
/// PostHog does not know, show that it is not.
fn may_run(error: &PostHogError) -> bool {
    let over = matches!(
        error,
        PostHogError::QueryTimeLimit { .. } | PostHogError::QueryFailed { .. }
    );
    error.is_retryable() || (error.status().is_none() && !over)
}

impl Drop for HogQlRunning {
    fn drop(&mut self) {
        if self.armed {
            let handle = self.handle.clone();
            let cancel = async move { handle.cancel().await };
            self.handle.io().spawn(cancel).detach();
        }
    }
}

impl fmt::Debug for HogQlRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HogQlRunning")
            .field("id", &self.handle.shown_id())
            .finish_non_exhaustive()
    }
}
