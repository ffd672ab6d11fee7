//! The panic hook.
//!
//! ```text
//! panic ─► hook ─► suppressed, busy, gone, shut down? ─► nothing
//!            │
//!            ├─► token bucket ─► record: message, place, addresses, the spans around ─► queue
//!            ├─► flush, as the setting says, bounded
//!            └─► the hook that was there before
//! ```
//!
//! A panic within a panic hook ends the process at once, and `catch_unwind` does not help. So the hook runs no code of the
//! program: no `Display` or `Debug` (a payload that is no text is named, not shown), no [`Clock`](crate::Clock) (the
//! system's time counts), no trace ids, no log line, no `before_send` (the actor runs it), and it never waits for room in
//! the queue.
//!
//! One case is left: in the destructor of a thread-local, on a thread whose numbers of `tracing-subscriber` are gone already,
//! the question for the current span panics. Such a panic ends the process in any case, but then without its message.
//!
//! Whether a panic ends the process cannot be known in general: see [`is_fatal`].
//!
//! Invariants:
//! - Nothing here panics: no index, no `expect`, thread-locals by `try_with`.
//! - No lock is waited for that the panicking thread may hold: code of the program never runs under ours.
//! - The hook keeps no backend alive, and after the shutdown it only calls the hook before it.
//! - The hook before runs always, once, and last: it may end the process.
//! - Threads of this crate, and hooks of the program that they run, are never waited for by themselves.

use super::by_hand::{limited_at, place, rate_key};
use super::write_suppressed;
use crate::capture::exceptions::{Admission, Config, Kind, PanicFlush, Stacks};
use crate::capture::{CaptureHandle, Shared, give_scratch, take_scratch};
use crate::diagnostics::log;
use crate::event::record::{Key, Record, Slot, exception as part};
use crate::exceptions::{write_kind, write_place, write_stack_of_panic};
use crate::layer::context::{Asked, write_current};
use crate::panic::is_caught;
use crate::suppress::is_suppressed;
use std::cell::Cell;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

/// The type of all panics.
const TYPE: &str = "panic";

/// The text of a panic whose payload is none.
const NO_TEXT: &str = "a payload that is not a string";

/// PostHog keeps 10,000 characters of a text.
const MAX_MESSAGE: usize = 40_000;

/// The backends that the hook was installed for.
static INSTALLED: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

thread_local! {
    /// Whether the hook captures on this thread.
    static BUSY: Cell<bool> = const { Cell::new(false) };
}

impl CaptureHandle {
    /// Captures panics of all threads from here on, as [`Errors::panics`](crate::Errors::panics) does: the message, the
    /// place, the stack, the name of the thread, and the identity, groups, session and properties of the span that the
    /// thread is in. A spawned task is in a span where it was
    /// [instrumented](https://docs.rs/tracing/latest/tracing/trait.Instrument.html) with one.
    ///
    /// A panic that ends the process is captured as fatal, and the hook waits until the events are delivered: see
    /// [`Errors::panic_flush`](crate::Errors::panic_flush). The panic hook that was there before runs afterwards. A second
    /// call does nothing. After the shutdown panics are no longer captured.
    ///
    /// Within a panic hook code of the program must not run, since another panic would end the process. So panics have the
    /// system's time whatever the [`Clock`](crate::Clock) says, they have no trace ids, and a payload that is not a string
    /// is not shown. Panics in `before_send` and `on_error` hooks and in a `Clock` are not captured: the crate catches them.
    pub fn install_panic_hook(&self) {
        install(self);
    }
}

/// Installs the hook, once for each backend. The hook that was there before runs afterwards.
pub(crate) fn install(handle: &CaptureHandle) {
    if handle.is_disabled() {
        return;
    }
    if std::thread::panicking() {
        // The standard library would panic.
        log!(
            warn,
            "the panic hook is not installed, because this thread panics; install it earlier"
        );
        return;
    }
    let shared = handle.downgrade();
    {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        installed.retain(|backend| backend.strong_count() > 0);
        if installed.iter().any(|backend| backend.ptr_eq(&shared)) {
            return;
        }
        installed.push(Weak::clone(&shared));
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        on_panic(&shared, info);
        before(info);
    }));
}

/// Captures a panic.
#[inline(never)]
fn on_panic(shared: &Weak<Shared>, info: &PanicHookInfo<'_>) {
    if is_suppressed() || BUSY.try_with(|busy| busy.replace(true)).unwrap_or(false) {
        return;
    }
    if let Some(handle) = CaptureHandle::upgrade(shared) {
        capture_and_flush(&handle, info);
    }
    let _ = BUSY.try_with(|busy| busy.set(false));
}

fn capture_and_flush(handle: &CaptureHandle, info: &PanicHookInfo<'_>) {
    let Some(shared) = handle.active() else {
        return;
    };
    if shared.queue.is_closed() {
        return;
    }
    let config = shared.exceptions.get();
    let is_fatal = is_fatal(info);
    let is_captured = capture(handle, shared, config, info, is_fatal);
    if let Some(timeout) = flush_within(config.panic_flush, is_fatal)
        && (is_captured || is_fatal)
    {
        handle.flush_silently(timeout);
    }
}

/// How long the hook waits for the delivery. Several panics that end the process wait no longer than one.
fn flush_within(flush: PanicFlush, is_fatal: bool) -> Option<Duration> {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    match flush {
        PanicFlush::WhenFatal(_) if !is_fatal => None,
        PanicFlush::WhenFatal(timeout) => {
            Some(timeout.saturating_sub(FIRST.get_or_init(Instant::now).elapsed()))
        }
        PanicFlush::Always(timeout) => Some(timeout),
        PanicFlush::Never => None,
    }
}

/// Returns whether the panic is in the queue.
fn capture(
    handle: &CaptureHandle,
    shared: &Shared,
    config: &Config,
    info: &PanicHookInfo<'_>,
    is_fatal: bool,
) -> bool {
    let mut suppressed = 0;
    if !is_fatal && let Some(at) = info.location() {
        match shared.exceptions.admit(rate_key(0, at), limited_at(at)) {
            Admission::Admitted { suppressed: n } => suppressed = n,
            Admission::Suppressed => {
                shared.refuse_rate_limited();
                return false;
            }
        }
    }
    if shared.queue.admits().is_err() {
        return false;
    }
    let mut record = Record::over(take_scratch(), shared.max_event_bytes);
    write_panic(&mut record, config, info, is_fatal);
    write_suppressed(&mut record, suppressed);
    write_current(handle, Asked::ByThePanicHook, &mut record);
    let is_captured = if record.overflowed() {
        shared.queue.refuse_too_large();
        false
    } else {
        let at = SystemTime::now();
        let pushed = shared.queue.push_without_waiting(record.bytes(), at);
        pushed.is_ok()
    };
    give_scratch(record.into_bytes());
    is_captured
}

fn write_panic(record: &mut Record, config: &Config, info: &PanicHookInfo<'_>, is_fatal: bool) {
    let key = |name| Key::Named(Slot::Exception, name);
    match is_fatal {
        true => write_kind(record, Kind::FatalPanic, "fatal"),
        false => write_kind(record, Kind::Panic, "error"),
    }
    if let Some(at) = info.location() {
        write_place(record, &place(at));
    }
    record.str(key(part::TYPE), TYPE);
    record.str(key(part::VALUE), message(info));
    if let Some(thread) = std::thread::current().name() {
        record.str(Key::Named(Slot::Property, "thread"), thread);
    }
    if config.stacks != Stacks::None {
        write_stack_of_panic(record, config.max_frames);
    }
}

/// The text of the panic, up to its limit.
fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    let payload = info.payload();
    let text = match payload.downcast_ref::<&'static str>() {
        Some(text) => text,
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.as_str(),
            None => NO_TEXT,
        },
    };
    let mut ends = (0..=MAX_MESSAGE.min(text.len())).rev();
    let end = ends.find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

/// Whether the panic ends the process, as far as that can be known: a panic does with `panic = "abort"`, where it cannot
/// unwind, and on the main thread, unless somebody catches it: `tokio` that of a task, this crate those of values and hooks.
/// A program may catch panics of its main thread itself. After the first that did not end the process, no other is presumed to.
///
/// That another panic unwinds is not known either: within a hook `std::thread::panicking` is always true. If the second panic
/// leaves a destructor, a third follows that cannot unwind, and that is known.
fn is_fatal(info: &PanicHookInfo<'_>) -> bool {
    /// Whether a panic of the main thread was presumed to end the process.
    static PRESUMED: AtomicBool = AtomicBool::new(false);
    if cfg!(panic = "abort") || cannot_unwind(message(info)) {
        return true;
    }
    let is_on_main = std::thread::current().name() == Some("main");
    is_on_main && tokio::task::try_id().is_none() && !is_caught() && !PRESUMED.swap(true, Relaxed)
}

/// Whether it is one of the panics of the standard library that end the process.
fn cannot_unwind(message: &str) -> bool {
    // The checks of debug builds, with details behind.
    let of_checks = [
        "unsafe precondition(s) violated: ",
        "misaligned pointer dereference: ",
        "null pointer dereference occurred",
    ];
    matches!(
        message,
        "panic in a function that cannot unwind" | "panic in a destructor during cleanup"
    ) || of_checks.iter().any(|check| message.starts_with(check))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_that_cannot_unwind_are_told_by_their_text() {
        for (text, expected) in [
            ("panic in a function that cannot unwind", true),
            ("panic in a destructor during cleanup", true),
            (
                "unsafe precondition(s) violated: slice::get_unchecked requires that the index is within the slice",
                true,
            ),
            (
                "misaligned pointer dereference: address must be a multiple of 0x4 but is 0x1",
                true,
            ),
            ("null pointer dereference occurred", true),
            (
                "index out of bounds: the len is 1 but the index is 2",
                false,
            ),
            ("", false),
        ] {
            assert_eq!(cannot_unwind(text), expected, "{text}");
        }
    }
}
