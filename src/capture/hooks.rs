//! User hooks: `before_send` and `on_error`.

use super::ledger::DropReason;
use crate::error::PostHogError;
use crate::event::Event;
use crate::panic::catch;
use std::fmt;
use std::sync::Arc;

type BeforeSend = dyn Fn(Event) -> Option<Event> + Send + Sync;
type OnError = dyn Fn(&DeliveryFailure) + Send + Sync;

/// Events that could not be delivered, as an `on_error` hook sees them.
#[derive(Debug)]
#[non_exhaustive]
pub struct DeliveryFailure<'a> {
    /// How many events it is about.
    pub events: u64,
    /// What became of them.
    pub disposition: Disposition,
    /// What PostHog answered, or the transport said. `None` where nothing was sent (a hook, the end, the disk
    /// dropped them), and where `detail` tells.
    pub error: Option<&'a PostHogError>,
    /// PostHog's word for refusing these events and not others of their request, such as
    /// `event_name_too_long`; by capture v1 only. A word that this crate does not know is given by its length alone,
    /// for it may repeat what was sent.
    pub detail: Option<&'a str>,
}

/// What became of events that could not be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disposition {
    /// They stay in memory and are tried again later.
    Kept,
    /// They are on disk, and are delivered later, by this process or the next.
    Spooled,
    /// They are lost, for that reason.
    Dropped(DropReason),
}

/// The hooks of one actor.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) before_send: Vec<Arc<BeforeSend>>,
    pub(crate) on_error: Vec<Arc<OnError>>,
}

impl Hooks {
    /// Whether events pass as they are.
    pub(crate) fn is_empty(&self) -> bool {
        self.before_send.is_empty()
    }

    /// Runs the event through all hooks in order. A hook that panics drops it: what it was there to
    /// remove must not be sent because it failed.
    pub(crate) fn before_send(&self, event: Event) -> Result<Event, DropReason> {
        self.before_send.iter().try_fold(event, |event, hook| {
            catch(|| hook(event))
                .flatten()
                .ok_or(DropReason::BeforeSend)
        })
    }

    pub(crate) fn on_error(&self, error: &DeliveryFailure<'_>) {
        for hook in &self.on_error {
            // Its panic is its own affair; the actor goes on.
            catch(|| hook(error));
        }
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("before_send", &self.before_send.len())
            .field("on_error", &self.on_error.len())
            .finish()
    }
}
