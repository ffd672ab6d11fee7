//! What layers want to find out on another thread than their callbacks': whether a filter hides their events.
//!
//! ```text
//! layer: a callsite is registered ──Command::Look──► actor: some time later, or at a flush or shutdown ──► Lookout::look
//! ```
//!
//! The actor knows no layers, only who wants to look. It asks at most once per [`AFTER`], however many callsites are
//! registered.

use crate::panic::catch;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// How long the actor waits before it looks: a program that starts registers many callsites, and may reload its filter.
pub(crate) const AFTER: Duration = Duration::from_millis(300);

/// Somebody who looks at something later.
pub(crate) trait Lookout: Send + Sync {
    /// Looks, and logs what was not logged before. Not called from within a callback of `tracing`.
    fn look(&self);

    /// What is hidden now, in words. `None`: nothing.
    #[cfg_attr(not(feature = "testing"), allow(dead_code))]
    fn hidden(&self) -> Option<String>;
}

/// Who looks. What is gone is forgotten.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Vec<Weak<dyn Lookout>>>);

impl Watch {
    pub(crate) fn add(&self, lookout: Weak<dyn Lookout>) {
        let mut lookouts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lookouts.retain(|lookout| lookout.strong_count() > 0);
        lookouts.push(lookout);
    }

    fn lookouts(&self) -> Vec<Arc<dyn Lookout>> {
        let lookouts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lookouts.iter().filter_map(Weak::upgrade).collect()
    }

    /// Lets everybody look. Layers of the program may run, and panic.
    pub(crate) fn look(&self) {
        for lookout in self.lookouts() {
            catch(|| lookout.look());
        }
    }

    #[cfg_attr(not(feature = "testing"), allow(dead_code))]
    pub(crate) fn hidden(&self) -> Vec<String> {
        let lookouts = self.lookouts();
        lookouts
            .iter()
            .filter_map(|lookout| catch(|| lookout.hidden()).flatten())
            .collect()
    }
}
