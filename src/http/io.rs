//! The runtime that drives every socket of a client.
//!
//! A pooled connection's task lives on the runtime that opened the connection. If calls of several runtimes shared
//! one pool, a runtime that nobody drives could hold a connection that another one waits for. So every request runs
//! here: on one thread (`posthog-io`) with a current-thread runtime, started by the first request or backend and ended
//! with the client. Callers await a [`Task`], which works on any executor and needs no runtime at all.
//!
//! Invariants:
//! - One thread per client, whatever is pending; looking up host names, and reading large answers, takes at most
//!   [`RESOLVERS`] more.
//! - No code of the program runs here, but for what it gave to its own `reqwest::Client` (a resolver, a redirect
//!   policy), the bodies that it streams, and its tracing layers at this crate's debug spans.
//! - A panic within a task ends that task alone and is reported to whoever awaits it.

use crate::suppress::SuppressGuard;
use futures_util::future::Either;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How many host names are looked up at once, each by a thread of its own that ends when it is idle.
const RESOLVERS: usize = 4;

/// The runtime of one client. Nothing runs before the first task.
#[derive(Default)]
pub(crate) struct Io(Mutex<Option<Running>>);

struct Running {
    handle: Handle,
    /// Dropped with the client: then the thread ends.
    _stop: oneshot::Sender<()>,
}

/// Why a task has no result.
#[derive(Debug)]
pub(crate) enum TaskError {
    /// The system has no thread, or no file descriptors, for the runtime.
    NotStarted(io::Error),
    /// The task panicked. What the panic said may be anybody's text, and is not kept.
    Panicked,
    /// The runtime ended first.
    Cancelled,
}

impl Io {
    /// Starts the thread, where it does not run yet.
    pub(crate) fn start(&self) -> io::Result<Handle> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = &*running {
            return Ok(running.handle.clone());
        }
        let runtime = Droppable::with_sockets()?;
        let Some(handle) = runtime.0.as_ref().map(|r| r.handle().clone()) else {
            return Err(io::ErrorKind::Other.into());
        };
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::Builder::new()
            .name("posthog-io".into())
            .spawn(move || {
                let _suppressed = SuppressGuard::enter();
                if let Some(runtime) = &runtime.0 {
                    // An error says that the client is gone.
                    let _ = runtime.block_on(stopped);
                }
            })?;
        *running = Some(Running {
            handle: handle.clone(),
            _stop: stop,
        });
        Ok(handle)
    }

    /// Runs a future on the runtime. Dropping the task cancels it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Task<T> {
        Task(match self.start() {
            Ok(runtime) => State::Running(runtime.spawn(future)),
            Err(error) => State::NotStarted(Some(error)),
        })
    }

    /// Works on a future for a time at most, on any executor. `None`: the time is over.
    pub(crate) async fn timeout<T>(
        &self,
        duration: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let work = std::pin::pin!(work);
        match futures_util::future::select(work, self.sleep(duration)).await {
            Either::Left((done, _)) => Some(done),
            Either::Right((Ok(()), _)) => None,
            // No timer is to be had: the work goes on without one.
            Either::Right((Err(_), work)) => Some(work.await),
        }
    }

    /// Waits, on any executor. Where no thread is to be had it does not wait.
    pub(crate) fn sleep(&self, duration: Duration) -> Task<()> {
        let duration = duration.min(super::FOREVER);
        self.spawn(async move { tokio::time::sleep(duration).await })
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").finish_non_exhaustive()
    }
}

/// A runtime that can be dropped anywhere, also within async code, where an ordinary drop panics, and that does not
/// wait for a host name that is being looked up.
pub(crate) struct Droppable(pub(crate) Option<Runtime>);

impl Droppable {
    /// A current-thread runtime with sockets and timers.
    pub(crate) fn with_sockets() -> io::Result<Self> {
        Self::build(Builder::new_current_thread().enable_io())
    }

    /// A current-thread runtime with timers only: it needs no file descriptors, and wakes up for less.
    pub(crate) fn with_timers() -> io::Result<Self> {
        Self::build(&mut Builder::new_current_thread())
    }

    fn build(builder: &mut Builder) -> io::Result<Self> {
        let build = || {
            builder
                .enable_time()
                .max_blocking_threads(RESOLVERS)
                .thread_name("posthog-resolver")
                .build()
        };
        // Where the program has tokio's signal handling, sockets bring it along, and without file descriptors it
        // panics.
        let runtime = crate::panic::catch(build).unwrap_or_else(|| {
            Err(io::Error::other(
                "the async runtime panicked; file descriptors may be used up",
            ))
        })?;
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Droppable {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A future on the client's runtime. Dropping it cancels the future.
#[must_use = "a task is cancelled when it is dropped"]
pub(crate) struct Task<T>(State<T>);

enum State<T> {
    Running(JoinHandle<T>),
    /// Runs where it is awaited.
    #[cfg(test)]
    Local(futures_util::future::BoxFuture<'static, T>),
    NotStarted(Option<io::Error>),
}

impl<T> Task<T> {
    /// A task that needs no thread, for tests that drive time.
    #[cfg(test)]
    pub(crate) fn local(future: futures_util::future::BoxFuture<'static, T>) -> Self {
        Self(State::Local(future))
    }

    /// Lets the future go on without anybody who waits for it.
    #[cfg(feature = "rest")]
    pub(crate) fn detach(mut self) {
        self.0 = State::NotStarted(None);
    }

    /// Asks the future to end at its next pause. Await the task to know that it has.
    pub(crate) fn cancel(&self) {
        if let State::Running(task) = &self.0 {
            task.abort();
        }
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Running(task) => {
                Pin::new(task)
                    .poll(cx)
                    .map_err(|error| match error.try_into_panic() {
                        Ok(panic) => {
                            crate::panic::discard(panic);
                            TaskError::Panicked
                        }
                        Err(_) => TaskError::Cancelled,
                    })
            }
            #[cfg(test)]
            State::Local(future) => future.as_mut().poll(cx).map(Ok),
            State::NotStarted(error) => Poll::Ready(Err(TaskError::NotStarted(
                error.take().unwrap_or_else(|| io::ErrorKind::Other.into()),
            ))),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "no thread for requests could be started: {error}"),
            Self::Panicked => f.write_str(
                "code that runs within requests panicked (a resolver or redirect policy of your HTTP client, or a \
                 tracing layer)",
            ),
            Self::Cancelled => f.write_str("the client was shut down"),
        }
    }
}

impl std::error::Error for TaskError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotStarted(error) => Some(error),
            Self::Panicked | Self::Cancelled => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    /// An executor without timers or sockets.
    fn block_on<F: Future>(future: F) -> F::Output {
        struct Unpark(thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Arc::new(Unpark(thread::current())).into();
        let mut future = Box::pin(future);
        loop {
            match future.as_mut().poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(value) => return value,
                Poll::Pending => thread::park(),
            }
        }
    }

    #[test]
    fn tasks_run_on_one_thread_without_a_runtime_of_the_caller() {
        let io = Io::default();
        let name = || async { thread::current().name().map(str::to_owned) };
        let names = block_on(async { (io.spawn(name()).await, io.spawn(name()).await) });
        assert_eq!(names.0.unwrap().as_deref(), Some("posthog-io"));
        assert_eq!(names.1.unwrap().as_deref(), Some("posthog-io"));
        block_on(io.sleep(Duration::from_millis(5))).unwrap();
    }

    #[test]
    fn a_panic_ends_its_task_alone() {
        let io = Io::default();
        let waits = io.spawn(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            7
        });
        let panics = io.spawn(async { panic!("on purpose") });
        let error = block_on(panics).map(|(): ()| ()).unwrap_err();
        assert!(matches!(error, TaskError::Panicked));
        assert_eq!(block_on(waits).unwrap(), 7);
    }

    #[test]
    fn a_dropped_task_is_cancelled_and_a_dropped_client_cancels_all() {
        struct OnDrop(Arc<AtomicBool>, thread::Thread);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
                self.1.unpark();
            }
        }
        let wait_for = |gone: &AtomicBool| {
            while !gone.load(Ordering::SeqCst) {
                thread::park();
            }
        };
        for drop_task in [true, false] {
            let io = Io::default();
            let gone = Arc::<AtomicBool>::default();
            let held = OnDrop(gone.clone(), thread::current());
            let mut task = io.spawn(async move {
                let _held = held;
                std::future::pending::<()>().await;
            });
            assert!((&mut task).now_or_never().is_none());
            if drop_task {
                drop(task);
                wait_for(&gone);
            } else {
                drop(io);
                wait_for(&gone);
                assert!(matches!(block_on(task), Err(TaskError::Cancelled)));
            }
        }
    }
}
