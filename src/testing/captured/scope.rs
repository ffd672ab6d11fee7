//! Code whose events are captured: a closure, a future, or a whole thread.

use super::CapturedEvents;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tracing::dispatcher::{self, Dispatch};
use tracing_subscriber::layer::SubscriberExt;

impl CapturedEvents {
    /// The dispatcher of all scopes of these events: made by the first, as it changes which callsites the process
    /// looks at.
    fn dispatch(&self) -> &Dispatch {
        self.dispatch
            .get_or_init(|| Dispatch::new(tracing_subscriber::registry().with(self.layer())))
    }

    /// Runs `f`; the events that it emits on this thread land here.
    ///
    /// Events that `f` lets other threads emit do not: for these see [`scope`](Self::scope),
    /// [`attach_thread`](Self::attach_thread) and [`global`](Self::global).
    ///
    /// ```
    /// use tracing_posthog::testing::CapturedEvents;
    ///
    /// let captured = CapturedEvents::new();
    /// let answer = captured.in_scope(|| {
    ///     tracing::info!(posthog.event = "asked", posthog.distinct_id = "user_42");
    ///     42
    /// });
    /// assert_eq!(answer, 42);
    /// assert!(captured.find("asked").is_some());
    /// ```
    pub fn in_scope<T>(&self, f: impl FnOnce() -> T) -> T {
        dispatcher::with_default(self.dispatch(), f)
    }

    /// A future whose events land here, on whichever threads it is polled and dropped.
    ///
    /// It works in every runtime, also in `#[tokio::test(flavor = "multi_thread")]`, and many such tests run at the
    /// same time. A task that the future spawns is a future of its own: wrap it too, run it in a runtime of
    /// [attached threads](Self::attach_thread), or capture the events of [all threads](Self::global).
    ///
    /// Within it, this subscriber takes the place of any other: what other layers would log is not logged.
    ///
    /// ```
    /// use tracing_posthog::testing::CapturedEvents;
    ///
    /// async fn sign_up(user: &str) {
    ///     tokio::task::yield_now().await; // goes on on another thread, perhaps
    ///     tracing::info!(posthog.event = "signup", posthog.distinct_id = user);
    /// }
    ///
    /// // In your crate: #[tokio::test(flavor = "multi_thread")]
    /// # #[tokio::main(flavor = "multi_thread", worker_threads = 2)]
    /// # async fn main() -> Result<(), tokio::task::JoinError> {
    /// let captured = CapturedEvents::new();
    /// captured.scope(sign_up("user_1")).await;
    /// tokio::spawn(captured.scope(sign_up("user_2"))).await?;
    ///
    /// assert_eq!(captured.events().len(), 2, "{captured:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope<F: Future>(&self, future: F) -> Scoped<F> {
        Scoped {
            future: Some(Box::pin(future)),
            dispatch: self.dispatch().clone(),
        }
    }

    /// From now on, the events of this thread land here, until the thread ends. For the threads of a runtime or pool
    /// that belongs to one test: then code under test may spawn on it as it likes, and other tests run at the same
    /// time.
    ///
    /// ```
    /// use tracing_posthog::testing::CapturedEvents;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let captured = CapturedEvents::new();
    /// let attach = captured.clone();
    /// let runtime = tokio::runtime::Builder::new_multi_thread()
    ///     .enable_all()
    ///     .on_thread_start(move || attach.attach_thread())
    ///     .build()?;
    ///
    /// runtime.block_on(captured.scope(async {
    ///     let spawned = tokio::spawn(async { tracing::info!(posthog.event = "spawned") });
    ///     spawned.await.expect("no panic");
    ///     tracing::info!(posthog.event = "awaited");
    /// }));
    /// assert!(captured.find("spawned").is_some() && captured.find("awaited").is_some());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A pool of rayon: `ThreadPoolBuilder::new().start_handler(move |_| captured.attach_thread())`.
    pub fn attach_thread(&self) {
        std::mem::forget(dispatcher::set_default(self.dispatch()));
    }
}

/// A future whose events are captured, made by [`CapturedEvents::scope`].
#[must_use = "futures do nothing unless they are awaited or polled"]
pub struct Scoped<F> {
    /// `None` only while it is dropped.
    future: Option<Pin<Box<F>>>,
    dispatch: Dispatch,
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { future, dispatch } = self.get_mut();
        dispatcher::with_default(dispatch, || match future {
            Some(future) => future.as_mut().poll(cx),
            None => Poll::Pending,
        })
    }
}

impl<F> Drop for Scoped<F> {
    /// What it holds may emit events when it is dropped.
    fn drop(&mut self) {
        dispatcher::with_default(&self.dispatch, || drop(self.future.take()));
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}
