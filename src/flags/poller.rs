//! Loads definitions, and loads them again.
//!
//! ```text
//!  start, ready, refresh ──tickets──► the task of the client: load ──► publish ──► sleep, or a ticket ─┐
//!          ▲                                          ▲  [load]      │ [verdict]     [pace]            │
//!          └───────────progress───────────────────────┼──────────────┤                                 │
//!                                                     └──────────────┼─────────────────────────────────┘
//!                     definitions, stats, lines ([episodes]) ◄───────┘
//! ```
//!
//! - [`load`]: one load: the request, and what the answer means. [`pace`]: how long to wait then.
//! - [`episodes`]: what is logged of loads. [`undecidable`]: flags that PostHog has to be asked for, each named once.
//!
//! Invariants:
//! - One task per client, on the client's runtime, and none before the first use. Between loads it holds nothing of the
//!   client but a weak reference and a timer; while one is under way, the client's HTTP core. The client ends the task.
//! - Loads follow each other. So an older answer never replaces a newer one, and an ETag belongs to the definitions that
//!   are in force: the task alone has both.
//! - Definitions are parsed off the threads of callers and of requests, and swapped as a whole.
//! - What cannot be read never replaces what could. Definitions stay in force until PostHog says that they are not to be
//!   had any more (401, 402).
//! - A refresh is answered by a load that began after it was asked for.

mod copy;
mod episodes;
mod load;
mod pace;
mod undecidable;

use super::core::Core;
use crate::error::{PostHogError, RequestErrorKind};
use crate::http::Http;
use crate::http::io::Task;
use load::Loader;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The one task that loads the definitions of a client, once there is one.
#[derive(Default)]
pub(super) struct Poller {
    running: OnceLock<Running>,
    health: Mutex<Health>,
}

struct Running {
    since: Instant,
    /// How many loads were asked for.
    tickets: watch::Sender<u64>,
    progress: watch::Receiver<Progress>,
    /// Cancelled when it is dropped. Never locked: a task alone is not `Sync`.
    _task: Mutex<Task<()>>,
}

/// How far the task is.
#[derive(Debug, Clone, Default)]
struct Progress {
    /// Loads that ended.
    loads: u64,
    /// The last ticket that was there when the last load began.
    answered: u64,
    /// What the last load failed with.
    error: Option<Arc<PostHogError>>,
    /// Until when PostHog asked to be left alone, by `Retry-After` of the last load.
    left_alone_until: Option<Instant>,
}

/// What statistics say of loads.
#[derive(Debug, Default)]
struct Health {
    /// When PostHog last confirmed the definitions that are in force.
    confirmed: Option<Instant>,
    error: Option<String>,
}

impl Health {
    /// PostHog has just said that the definitions in force are right.
    fn confirmed() -> Self {
        Self {
            confirmed: Some(Instant::now()),
            error: None,
        }
    }
}

impl Poller {
    /// Starts the task, where it does not run yet.
    fn running(&self, core: &Arc<Core>, http: &Http) -> std::io::Result<&Running> {
        if let Some(running) = self.running.get() {
            return Ok(running);
        }
        http.start()?;
        Ok(self.running.get_or_init(|| Running::start(core, http)))
    }

    /// When the definitions were confirmed, and what the last load failed with.
    pub(super) fn health(&self) -> (Option<Duration>, Option<String>) {
        let health = self.lock();
        let confirmed = health.confirmed.map(|at| at.elapsed());
        (confirmed, health.error.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn start(core: &Arc<Core>, http: &Http) -> Self {
        let (tickets, asked) = watch::channel(0);
        let (progress, watched) = watch::channel(Progress::default());
        Self {
            since: Instant::now(),
            tickets,
            progress: watched,
            _task: Mutex::new(http.io.spawn(run(Arc::downgrade(core), asked, progress))),
        }
    }

    /// Waits until that much is done. `None`: the task has ended.
    async fn reached(&self, is_done: impl FnMut(&Progress) -> bool) -> Option<Progress> {
        let mut progress = self.progress.clone();
        progress.wait_for(is_done).await.ok().map(|now| now.clone())
    }

    /// Lets a load begin, and waits for its end.
    async fn load(&self) -> Option<Progress> {
        let mut ticket = 0;
        self.tickets.send_modify(|tickets| {
            *tickets += 1;
            ticket = *tickets;
        });
        self.reached(|now| now.answered >= ticket && now.loads > 0)
            .await
    }
}

/// The task. It ends with the client.
async fn run(core: Weak<Core>, mut asked: watch::Receiver<u64>, progress: watch::Sender<Progress>) {
    let mut loader = Loader::default();
    loop {
        let answered = *asked.borrow_and_update();
        let Some(loaded) = loader.load(&core).await else {
            return;
        };
        progress.send_modify(|progress| {
            progress.loads += 1;
            progress.answered = answered;
            progress.error = loaded.error;
            progress.left_alone_until = loaded.retry_after.map(|wait| Instant::now() + wait);
        });
        tokio::select! {
            () = tokio::time::sleep(loaded.wait) => {}
            more = asked.changed() => if more.is_err() {
                return;
            },
        }
    }
}

impl Core {
    /// What loads definitions for this client. `None`: it has none, or they never change.
    fn polled(&self) -> Option<&Arc<Http>> {
        self.http().filter(|_| self.polls)
    }

    /// Loads definitions from now on, where this client evaluates here.
    #[inline]
    pub(super) fn start_polling(self: &Arc<Self>) {
        if self.polls && self.poller.running.get().is_none() {
            // Without a thread the next use tries again.
            let _ = self.running();
        }
    }

    fn running(self: &Arc<Self>) -> Option<Result<&Running, PostHogError>> {
        let http = self.polled()?;
        let running = self.poller.running(self, http);
        Some(running.map_err(|error| {
            load::ENDPOINT.failed(
                http,
                RequestErrorKind::ClientSetup,
                Some(Box::new(error)),
                0,
            )
        }))
    }

    /// The definitions. Until the first load has ended, this waits for it, but no longer than a request for flags may
    /// take.
    pub(super) async fn loaded_definitions(
        self: &Arc<Self>,
    ) -> Option<Arc<super::FlagDefinitions>> {
        if let Some(definitions) = self.definitions() {
            self.start_polling();
            return Some(definitions);
        }
        let http = self.polled()?;
        let running = self.running()?.ok()?;
        let most = self.settings.request_timeout;
        let left = most.saturating_sub(running.since.elapsed());
        if !left.is_zero() && running.progress.borrow().loads == 0 {
            let first = running.reached(|now| now.loads > 0);
            http.io.timeout(left, first).await;
        }
        self.definitions()
    }

    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), PostHogError> {
        let Some(running) = self.running().transpose()? else {
            return Ok(());
        };
        if self.definitions.load().is_some() {
            return Ok(());
        }
        let last = running.progress.borrow().clone();
        let is_left_alone = last.left_alone_until.is_some_and(|at| Instant::now() < at);
        self.end(match last.loads {
            0 => running.reached(|now| now.loads > 0).await,
            _ if is_left_alone => Some(last),
            _ => running.load().await,
        })
    }

    pub(super) async fn refresh(self: &Arc<Self>) -> Result<(), PostHogError> {
        match self.running().transpose()? {
            Some(running) => self.end(running.load().await),
            None => Ok(()),
        }
    }

    fn end(&self, progress: Option<Progress>) -> Result<(), PostHogError> {
        match (progress, self.polled()) {
            (Some(Progress { error: None, .. }), _) | (None, None) => Ok(()),
            (Some(Progress { error: Some(e), .. }), _) => Err(copy::copy(&e)),
            (None, Some(http)) => {
                Err(load::ENDPOINT.failed(http, RequestErrorKind::Interrupted, None, 0))
            }
        }
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("is_running", &self.running.get().is_some())
            .finish_non_exhaustive()
    }
}
