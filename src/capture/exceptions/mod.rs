//! What the actor makes of a captured exception: `$exception_list` with resolved frames, level, fingerprint.
//!
//! ```text
//! record ─[parts]─► Parts ─[dedupe]─► duplicate: dropped
//!                     │
//!                     ├─ texts ──[scrub]──┐
//!                     └─ addresses ──[symbols]─► frames ──[list]─► properties of the event ─► before_send hooks
//! ```
//!
//! - [`config`]: the settings that the actor needs. Whoever sets them up first decides for the backend.
//! - [`limiter`]: a token bucket for each type and callsite, asked by callers before they write a record. Warns of what
//!   it held back.
//! - [`parts`]: reads the parts that the caller wrote ([`crate::event::record::exception`]).
//! - [`dedupe`]: the same error, logged once more on its way out.
//! - [`symbols`]: addresses into frames: function, file, line, whether it is the program's own code.
//! - [`list`]: `$exception_list` and what stands beside it.
//! - [`steps`]: what was logged before.
//! - [`scrub`]: takes what looks like credentials out of the texts of errors.
//! - [`paths`]: which source files are the program's own, and how they are shown.
//!
//! Invariants:
//! - Everything is bounded: links, frames, lengths of texts, caches.
//! - A stack that cannot be resolved costs its names, not the exception.
//! - Names and files are the same for every build of the same source: no hashes, no disambiguators, no directories.

pub(crate) mod config;
mod dedupe;
mod limiter;
mod list;
mod parts;
pub(crate) mod paths;
mod scrub;
mod steps;
mod symbols;

pub(crate) use config::{Config, Configured};
pub use config::{PanicFlush, Stacks, Symbols};
pub(crate) use limiter::{Admission, At};
pub(crate) use parts::{Kind, Parts};

use super::ledger::DropReason;
use crate::event::Event;
use dedupe::Recent;

/// Completes exceptions. One for each encoder.
#[derive(Debug, Default)]
pub(crate) struct Finisher {
    configured: Configured,
    recent: Recent,
}

impl Finisher {
    pub(crate) fn new(configured: Configured) -> Self {
        Self {
            configured,
            ..Self::default()
        }
    }

    /// Whether somebody turned exceptions on.
    pub(crate) fn is_configured(&self) -> bool {
        self.configured.is_set()
    }

    /// Adds what makes the event an exception to its properties.
    pub(crate) fn complete(
        &mut self,
        parts: &Parts<'_>,
        event: &mut Event,
        at: i64,
    ) -> Result<(), DropReason> {
        let config = self.configured.get();
        if self.recent.is_duplicate(parts, at, config.dedupe_window) {
            return Err(DropReason::Duplicate);
        }
        let stack = symbols::resolve(parts, config);
        list::write(parts, &stack, config, event);
        steps::write(parts, config, event);
        Ok(())
    }
}
