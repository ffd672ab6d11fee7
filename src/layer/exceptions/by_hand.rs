//! `capture_error`: exceptions from code.
//!
//! ```text
//! capture_error(&e) ─[token bucket]─► [into] ─► Exception ─► record: kind, place, chain, properties, addresses ─► queue
//!                                                            and the spans around (`context`)
//! ```
//!
//! Invariants:
//! - The code of the error (`Display`, `Debug`, `source`) runs outside of locks, and a panic in it reaches no caller.
//! - What the exception says itself wins over what the spans around say.

use super::{Nested, pair_key, write_suppressed};
use crate::capture::exceptions::{Admission, At, Kind, Stacks};
use crate::capture::{CaptureHandle, DropReason, Shared};
use crate::exceptions::{
    Exception, IntoException, Place, level_name, write_chain, write_kind, write_place, write_stack,
};
use crate::layer::context::{Asked, write_current};
use crate::panic::catch;
use crate::suppress::is_suppressed;
use std::panic::Location;
use tracing::Level;

impl CaptureHandle {
    /// Captures an error as an exception: its types and texts, the stack of the caller, and the identity, groups, session
    /// and properties of the current span. Returns at once.
    ///
    /// Works whether or not [`Errors`](crate::Errors) were set up; without, their defaults count, the rate limit too.
    /// Build an [`Exception`] to add properties, a fingerprint, a level or a distinct id. Within a `before_send` or
    /// `on_error` hook it does nothing.
    ///
    /// ```
    /// # use tracing_posthog::{CaptureHandle, Exception};
    /// # fn f(posthog: &CaptureHandle) {
    /// if let Err(error) = std::fs::read("menu.json") {
    ///     posthog.capture_error(&error);
    ///     posthog.capture_error(Exception::of(&error).property("file", "menu.json").fingerprint("no menu"));
    /// }
    /// # }
    /// ```
    #[track_caller]
    pub fn capture_error<M>(&self, error: impl IntoException<M>) {
        let at = Location::caller();
        let Some(shared) = self.active() else { return };
        if is_suppressed() {
            return;
        }
        let key = rate_key(catch(|| error.type_key()).unwrap_or(0), at);
        let suppressed = match shared.exceptions.admit(key, limited_at(at)) {
            Admission::Admitted { suppressed } => suppressed,
            Admission::Suppressed => return shared.refuse_rate_limited(),
        };
        // A text of the error may capture the error.
        let Some(_nested) = Nested::enter() else {
            return shared.refuse_rate_limited();
        };
        match catch(|| error.into_exception()) {
            Some(exception) => capture(self, shared, &exception, suppressed, at),
            None => shared.queue.refuse(DropReason::Invalid),
        }
    }
}

#[inline(never)]
fn capture(
    handle: &CaptureHandle,
    shared: &Shared,
    exception: &Exception,
    suppressed: u64,
    at: &'static Location<'static>,
) {
    shared.record_or(
        |record| {
            let level = exception.level.unwrap_or(Level::ERROR);
            write_kind(record, Kind::Manual, level_name(level));
            write_place(record, &place(at));
            let has_own_stack = write_chain(record, exception);
            write_suppressed(record, suppressed);
            let config = shared.exceptions.get();
            if config.stacks == Stacks::All && !has_own_stack {
                write_stack(record, config.max_frames);
            }
            config.trace_ids.write(record);
            write_current(handle, Asked::ByTheProgram, record);
        },
        Shared::warn_late,
    );
}

pub(super) fn place<'a>(at: &'a Location<'_>) -> Place<'a> {
    Place {
        file: Some(at.file()),
        line: Some(at.line()),
        ..Place::default()
    }
}

/// The place, for the rate limit.
pub(super) fn limited_at<'a>(at: &'a Location<'_>) -> At<'a> {
    At {
        file: Some(at.file()),
        line: Some(at.line()),
    }
}

/// Tells the type and the callsite from most others.
pub(super) fn rate_key(type_key: u64, at: &Location<'_>) -> u64 {
    pair_key(std::ptr::from_ref(at).addr(), type_key)
}
