//! The events of all threads, for one test at a time.
//!
//! ```text
//! any thread ──► global subscriber ──► GlobalLayer ──► the layer of the test whose turn it is
//!                                          └── nobody's turn ──► strays, which `Debug` names
//! ```
//!
//! Invariants: one test has the turn; the lock of the current layer is not held while that layer runs; the turn ends
//! when its guard is dropped, also by a panic.

use super::CapturedEvents;
use super::builder::CapturedEventsBuilder;
use crate::error::PostHogError;
use crate::layer::PostHogLayer;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber, dispatcher};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// How long a test waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_secs(300);
/// How many events outside of every capture are remembered.
const STRAYS: usize = 1_000;

static TURN: Turn = Turn {
    holder: Mutex::new(None),
    freed: Condvar::new(),
};

/// Where the events of the global subscriber go now.
static CURRENT: RwLock<Option<Arc<PostHogLayer>>> = RwLock::new(None);

static STRAY: OnceLock<(CapturedEvents, Arc<PostHogLayer>)> = OnceLock::new();

struct Turn {
    holder: Mutex<Option<Holder>>,
    freed: Condvar,
}

/// Who has the turn.
struct Holder {
    thread: ThreadId,
    name: String,
    place: &'static Location<'static>,
}

impl Turn {
    fn lock(&self) -> MutexGuard<'_, Option<Holder>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, place: &'static Location<'static>, longest: Duration) -> Result<(), String> {
        let until = Instant::now() + longest;
        let me = thread::current();
        let mut holder = self.lock();
        while let Some(other) = &*holder {
            if other.thread == me.id() {
                return Err(format!(
                    "this thread captures globally already, since {}; drop that first, or clone it",
                    other.place
                ));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!(
                    "the test `{}` still captures globally, since {}",
                    other.name, other.place
                ));
            }
            let woken = self.freed.wait_timeout(holder, left);
            holder = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        *holder = Some(Holder {
            thread: me.id(),
            name: me.name().unwrap_or("unnamed thread").to_owned(),
            place,
        });
        Ok(())
    }
}

/// Gives the turn back when it is dropped.
struct MyTurn;

impl Drop for MyTurn {
    fn drop(&mut self) {
        set_current(None);
        *TURN.lock() = None;
        TURN.freed.notify_one();
    }
}

fn set_current(layer: Option<Arc<PostHogLayer>>) {
    let mut current = CURRENT.write().unwrap_or_else(PoisonError::into_inner);
    let before = std::mem::replace(&mut *current, layer);
    // The layer of the test before goes without the lock.
    drop(current);
    drop(before);
}

/// The events of all threads, until it is dropped; made by [`CapturedEvents::global`].
///
/// Everything of [`CapturedEvents`] can be called on it.
#[must_use = "it captures until it is dropped"]
pub struct GlobalEvents {
    captured: CapturedEvents,
    _turn: MyTurn,
}

impl Deref for GlobalEvents {
    type Target = CapturedEvents;

    fn deref(&self) -> &CapturedEvents {
        &self.captured
    }
}

impl fmt::Debug for GlobalEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.captured.fmt(f)
    }
}

impl CapturedEvents {
    /// The events of all threads of the process: also of tasks, threads and pools that the code under test starts.
    ///
    /// Tests that call it run one after another: the next one waits, for 5 minutes at most, until this one is dropped.
    /// Events of code in a [`scope`](Self::scope) of other captured events stay there. What other tests emit outside of
    /// every scope at the same time is captured too: give them a scope, assert on distinct ids of your own, or run one
    /// test per process, as cargo-nextest does. Events that come after the end are nobody's; the `Debug` of all captured
    /// events names them from then on.
    ///
    /// The first call sets the process's global subscriber, for good. Where your tests set their own, add
    /// [`global_layer`](Self::global_layer) to it.
    ///
    /// # Errors
    /// [`PostHogError::Config`] where another global subscriber is set, where this thread has such events already, or
    /// where another test keeps them for longer than 5 minutes.
    ///
    /// ```
    /// use tracing_posthog::testing::CapturedEvents;
    ///
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// // In your crate: #[test], or #[tokio::test(flavor = "multi_thread")]
    /// let captured = CapturedEvents::global()?;
    /// let thread = std::thread::spawn(|| tracing::info!(posthog.event = "far away"));
    /// thread.join().expect("no panic");
    ///
    /// assert!(captured.find("far away").is_some(), "{captured:?}");
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    pub fn global() -> Result<GlobalEvents, PostHogError> {
        Self::builder().build_global()
    }

    /// A layer for a global subscriber of your own, for tests that call [`global`](Self::global) and want other layers
    /// too, such as logs. It does nothing until one of them does.
    ///
    /// ```
    /// use tracing_posthog::testing::CapturedEvents;
    /// use tracing_subscriber::prelude::*;
    ///
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// // In a function that each test calls first. The error says that another test was first.
    /// let _ = tracing_subscriber::registry()
    ///     .with(tracing_subscriber::fmt::layer().with_test_writer())
    ///     .with(CapturedEvents::global_layer())
    ///     .try_init();
    /// let captured = CapturedEvents::global()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn global_layer() -> GlobalLayer {
        GlobalLayer(())
    }

    /// Names of events that came by the global subscriber while no test captured globally, and how many they are.
    pub(super) fn strays() -> Option<(&'static Self, u64)> {
        let (strays, _) = STRAY.get()?;
        let stats = strays.handle.stats();
        (stats.captured > 0).then_some((strays, stats.captured))
    }
}

impl CapturedEventsBuilder {
    /// The events of all threads, with these settings; see [`CapturedEvents::global`].
    ///
    /// # Errors
    /// As [`build`](Self::build) and [`CapturedEvents::global`].
    #[track_caller]
    pub fn build_global(self) -> Result<GlobalEvents, PostHogError> {
        let problem = |problem| PostHogError::config("global", problem);
        let captured = self.build()?;
        TURN.take(Location::caller(), LONGEST_WAIT)
            .map_err(problem)?;
        let turn = MyTurn;
        install().map_err(problem)?;
        set_current(Some(Arc::new(captured.layer())));
        Ok(GlobalEvents {
            captured,
            _turn: turn,
        })
    }
}

/// Makes sure that the global subscriber has a [`GlobalLayer`]. Whoever calls it has the turn.
fn install() -> Result<(), String> {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    if INSTALLED.get().is_some() {
        return Ok(());
    }
    let ours = tracing_subscriber::registry().with(GlobalLayer(()));
    let set = tracing::subscriber::set_global_default(ours).is_ok();
    // A new thread has no subscriber of its own, so it sees the global one.
    let has_ours = || dispatcher::get_default(|global| global.is::<GlobalLayer>());
    if !set && !thread::spawn(has_ours).join().unwrap_or(false) {
        return Err(
            "another global subscriber is set; add the layer `CapturedEvents::global_layer()` to it".to_owned(),
        );
    }
    let _ = INSTALLED.set(());
    Ok(())
}

/// Captures the events of the global subscriber for the test whose turn it is; made by
/// [`CapturedEvents::global_layer`].
pub struct GlobalLayer(());

impl fmt::Debug for GlobalLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalLayer").finish_non_exhaustive()
    }
}

impl GlobalLayer {
    /// The layer of whoever has the turn, else that of the strays.
    fn current() -> Arc<PostHogLayer> {
        let current = CURRENT.read().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some(layer) => layer.clone(),
            None => {
                let (_, layer) = STRAY.get_or_init(|| {
                    let strays = CapturedEvents::with_room_for(STRAYS);
                    let layer = Arc::new(strays.layer());
                    (strays, layer)
                });
                layer.clone()
            }
        }
    }
}

impl<S> Layer<S> for GlobalLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        Self::current().on_new_span(attributes, id, ctx);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        Self::current().on_record(id, values, ctx);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, ctx: Context<'_, S>) {
        Self::current().on_follows_from(id, follows, ctx);
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        Self::current().on_event(event, ctx);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        Self::current().on_enter(id, ctx);
    }

    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        Self::current().on_exit(id, ctx);
    }

    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        Self::current().on_close(id, ctx);
    }

    fn on_id_change(&self, old: &Id, new: &Id, ctx: Context<'_, S>) {
        Self::current().on_id_change(old, new, ctx);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn() -> &'static Turn {
        Box::leak(Box::new(Turn {
            holder: Mutex::new(None),
            freed: Condvar::new(),
        }))
    }

    #[test]
    fn who_waits_in_vain_is_told_for_whom() {
        let turn = turn();
        let place = Location::caller();
        let other = thread::Builder::new().name("slow_test".into());
        let taken = other
            .spawn(move || turn.take(place, Duration::ZERO))
            .unwrap();
        assert_eq!(taken.join().unwrap(), Ok(()));
        let said = turn.take(place, Duration::ZERO).unwrap_err();
        assert!(
            said.contains("slow_test") && said.contains("global.rs:"),
            "{said}"
        );
        *turn.lock() = None;
        assert_eq!(turn.take(place, Duration::ZERO), Ok(()));
        let said = turn.take(place, LONGEST_WAIT).unwrap_err();
        assert!(said.contains("already"), "{said}");
    }
}
