//! Where the actor runs, and whether it can run while a thread waits for it.

use tokio::runtime::{Handle, RuntimeFlavor};

/// Where the actor runs.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// On a thread of its own, or nowhere.
    OwnThread,
    /// As a task of the program's runtime.
    Runtime(Handle),
}

impl Home {
    /// Whether the actor cannot run while this thread waits: it is the only thread of the actor's runtime.
    pub(super) fn is_blocked_by_this_thread(&self) -> bool {
        match self {
            Self::OwnThread => false,
            Self::Runtime(home) => {
                home.runtime_flavor() == RuntimeFlavor::CurrentThread
                    && Handle::try_current().is_ok_and(|here| here.id() == home.id())
            }
        }
    }

    /// Whether a single thread drives the actor's runtime, which may be this one, or none at all.
    pub(super) fn needs_driving(&self) -> bool {
        match self {
            Self::OwnThread => false,
            Self::Runtime(home) => home.metrics().num_workers() == 1,
        }
    }
}
