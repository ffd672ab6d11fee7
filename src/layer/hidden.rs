//! Says where a filter of the whole subscriber hides analytics events: nothing else would show that they are lost.
//!
//! ```text
//! register_callsite ─► an analytics event or span event: remembered ─► the actor is asked to look (capture::watch)
//!                                     actor, later ─► does the subscriber want that callsite? ─► never: an ERROR, once
//! ```
//!
//! Invariants:
//! - Callbacks only remember and notify: they log nothing and run no code of others.
//! - A callsite is named once. It is hidden where the subscriber as a whole answers `never`, which does not depend on
//!   spans or values; `sometimes` is no answer, and says nothing. A filter on this layer alone is the user's choice:
//!   what it hides is not registered with this layer.
//! - Bounded: [`MOST`] callsites are remembered.

use crate::capture::watch::Lookout;
use crate::diagnostics::{Noting, log};
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Release},
};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use tracing::dispatcher::{self, WeakDispatch};
use tracing::level_filters::LevelFilter;
use tracing::{Dispatch, Metadata};

/// How many callsites are remembered.
const MOST: usize = 256;
/// How many are named in one line.
const NAMED: usize = 5;

const REMEDY: &str = "put the filter on the log layer alone, as in `fmt::layer().with_filter(EnvFilter::from_default_env())`";

thread_local! {
    /// Asking a subscriber for its interest calls `register_callsite` of this layer too.
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

/// The analytics callsites of one layer.
#[derive(Debug)]
pub(super) struct Hidden {
    max_level: LevelFilter,
    callsites: Mutex<Vec<Callsite>>,
    /// Whether the actor was asked to look and did not yet.
    pending: AtomicBool,
    subscriber: OnceLock<Above>,
    level_said: AtomicBool,
}

/// The subscriber that this layer is part of.
#[derive(Debug)]
struct Above {
    dispatch: WeakDispatch,
    /// Whether the layer stands there as it is: in no `Filtered` or `Box`.
    directly: bool,
}

#[derive(Debug, Clone, Copy)]
struct Callsite {
    metadata: &'static Metadata<'static>,
    said: bool,
}

impl Hidden {
    pub(super) fn new(max_level: LevelFilter) -> Self {
        Self {
            max_level,
            callsites: Mutex::default(),
            pending: AtomicBool::new(false),
            subscriber: OnceLock::new(),
            level_said: AtomicBool::new(false),
        }
    }

    /// The layer became part of a subscriber. Whether somebody is to be asked to look.
    pub(super) fn joined(&self, dispatch: &Dispatch, directly: bool) -> bool {
        let above = Above {
            dispatch: dispatch.downgrade(),
            directly,
        };
        self.subscriber.set(above).is_ok() && self.wants_a_look()
    }

    /// Whether somebody is to be asked to look: nobody was asked yet.
    pub(super) fn wants_a_look(&self) -> bool {
        !self.pending.swap(true, AcqRel)
    }

    /// An analytics callsite was registered: when it was first reached, or again because filters changed. Whether
    /// somebody is to be asked to look.
    pub(super) fn registered(&self, metadata: &'static Metadata<'static>) -> bool {
        if ASKING.try_with(Cell::get).unwrap_or(true) {
            return false;
        }
        let mut callsites = self.callsites();
        let known = callsites
            .iter()
            .any(|known| std::ptr::eq(known.metadata, metadata));
        if !known && callsites.len() < MOST {
            callsites.push(Callsite {
                metadata,
                said: false,
            });
        }
        drop(callsites);
        self.wants_a_look()
    }

    fn callsites(&self) -> MutexGuard<'_, Vec<Callsite>> {
        self.callsites
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The subscriber that this layer is part of, if it still exists. Wrappers like `Option` do not tell: then it may
    /// be the default one.
    fn dispatch(&self) -> Option<Dispatch> {
        match self.subscriber.get() {
            Some(above) => above.dispatch.upgrade(),
            None => Some(dispatcher::get_default(Dispatch::clone))
                .filter(|default| default.is::<super::PostHogLayer>()),
        }
    }

    /// The callsites that the subscriber never lets through.
    fn find(&self, dispatch: &Dispatch) -> Vec<Callsite> {
        let mut callsites = self.callsites().clone();
        let before = ASKING.try_with(|asking| asking.replace(true));
        // A layer that panics here costs the answer. The flag is set back in any case.
        let asked = crate::panic::catch(|| {
            callsites.retain(|c| dispatch.register_callsite(c.metadata).is_never());
        });
        let _ = ASKING.try_with(|asking| asking.set(before.unwrap_or(false)));
        match asked {
            Some(()) => callsites,
            None => Vec::new(),
        }
    }

    /// The level that all events of the process are limited to, where that is less than this layer takes. Such events
    /// are not even registered.
    fn limited_to(&self, dispatch: &Dispatch) -> Option<LevelFilter> {
        let current = LevelFilter::current();
        let directly = match self.subscriber.get() {
            Some(above) => above.directly,
            None => dispatch.is::<Option<super::PostHogLayer>>(),
        };
        (directly && current < self.max_level).then_some(current)
    }

    fn limit(&self, limit: LevelFilter) -> String {
        let max_level = self.max_level;
        format!(
            "the subscriber's filter limits all of the program to the level {limit}, and the PostHog layer takes \
             analytics events up to {max_level}: those between are lost; {REMEDY}, or limit the layer too, by \
             `PostHogLayerBuilder::max_level`"
        )
    }
}

/// `src/main.rs:23 (INFO shop::billing), …`.
fn describe(callsites: &[Callsite]) -> String {
    let mut text = String::from("the subscriber's filter hides analytics events, which are lost: ");
    for (n, Callsite { metadata, .. }) in callsites.iter().take(NAMED).enumerate() {
        let (level, target) = (metadata.level(), metadata.target());
        let file = metadata.file().unwrap_or("a file without a name");
        let line = metadata.line().unwrap_or(0);
        let comma = if n > 0 { ", " } else { "" };
        let _ = write!(text, "{comma}{file}:{line} ({level} {target})");
    }
    if let Some(more @ 1..) = callsites.len().checked_sub(NAMED) {
        let _ = write!(text, " and {more} more");
    }
    let _ = write!(text, "; {REMEDY}");
    text
}

/// Logs within the subscriber that hides events. Where nobody there reads the line, because it is hidden too or no layer
/// writes lines, it goes to the standard error: nothing else would say it.
fn say(dispatch: &Dispatch, text: &str) {
    dispatcher::with_default(dispatch, || {
        let text = Noting::new(text);
        log!(target: "tracing_posthog", error, "{text}");
        if !text.was_read() {
            // Where there is no standard error, there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "ERROR tracing_posthog: {text}");
        }
    });
}

impl Lookout for Hidden {
    fn look(&self) {
        // Before the look: what is registered meanwhile asks for another.
        if !self.pending.swap(false, AcqRel) {
            return;
        }
        let Some(dispatch) = self.dispatch() else {
            return;
        };
        let mut hidden = self.find(&dispatch);
        hidden.retain(|callsite| !callsite.said);
        if !hidden.is_empty() {
            for callsite in &mut *self.callsites() {
                callsite.said |= hidden
                    .iter()
                    .any(|hidden| std::ptr::eq(hidden.metadata, callsite.metadata));
            }
            // The same cause, and the same remedy.
            self.level_said.store(true, Release);
            say(&dispatch, &describe(&hidden));
        } else if let Some(limit) = self.limited_to(&dispatch)
            && !self.level_said.swap(true, AcqRel)
        {
            say(&dispatch, &self.limit(limit));
        }
    }

    fn hidden(&self) -> Option<String> {
        let dispatch = self.dispatch()?;
        let hidden = self.find(&dispatch);
        match hidden.is_empty() {
            false => Some(describe(&hidden)),
            true => self.limited_to(&dispatch).map(|limit| self.limit(limit)),
        }
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::*;
    use crate::own_process::own_process;
    use crate::testing::CapturedEvents;
    use tracing_subscriber::layer::SubscriberExt;

    /// It registers the callsites with this layer again, which would ask for the next look, and so on. In a process of its
    /// own: the callsites and subscribers of other tests reach this layer too.
    #[test]
    fn a_look_does_not_ask_for_another() {
        own_process!();
        let layer = CapturedEvents::new().layer();
        let hidden = layer.hidden.clone();
        let subscriber = Dispatch::new(tracing_subscriber::registry().with(layer));
        dispatcher::with_default(&subscriber, || {
            tracing::info!(posthog.event = "signup");
            assert_eq!(hidden.callsites().len(), 1);
            assert!(!hidden.wants_a_look());
            hidden.pending.store(false, Release);
            drop(hidden.find(&subscriber));
            assert!(hidden.wants_a_look());
        });
    }

    #[test]
    fn as_many_callsites_are_remembered_as_there_is_room_for() {
        let hidden = Hidden::new(LevelFilter::INFO);
        let spans = || [tracing::info_span!("one"), tracing::info_span!("two")];
        let [one, two] = CapturedEvents::new().in_scope(spans);
        let (metadata, other) = (one.metadata().unwrap(), two.metadata().unwrap());
        for _ in 0..2 * MOST {
            hidden.registered(metadata);
        }
        assert_eq!(hidden.callsites().len(), 1);
        let full = Callsite {
            metadata: other,
            said: false,
        };
        *hidden.callsites() = vec![full; MOST];
        hidden.registered(metadata);
        assert_eq!(hidden.callsites().len(), MOST);
        let text = describe(&hidden.callsites());
        assert!(
            text.contains(&format!("and {} more", MOST - NAMED)) && text.len() < 2_000,
            "{text}"
        );
    }
}
