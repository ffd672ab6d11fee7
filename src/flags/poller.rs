//! Loads definitions, and loads them again.

/// The state of the one task that loads the definitions of a client.
#[derive(Debug, Default)]
pub(super) struct Poller {}
