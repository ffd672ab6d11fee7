//! The parts of an exception in a record: keys of [`Slot::Exception`](super::Slot::Exception).
//!
//! The caller's thread writes them (`exceptions`), the actor reads them (`capture::exceptions`). A record is of an
//! exception if it has a [`KIND`]. Links of the chain of errors stand in order, the outermost first: a [`TYPE`] begins a
//! link, a [`VALUE`] belongs to the link before it.

/// Where the exception comes from, as text: see `capture::exceptions::Kind`.
pub(crate) const KIND: &str = "kind";
/// `$exception_level`, as text.
pub(crate) const LEVEL: &str = "level";
/// The type of the next link. Empty: not known.
pub(crate) const TYPE: &str = "type";
/// The text of the link.
pub(crate) const VALUE: &str = "value";
/// The message of the event, which becomes the title of a new issue.
pub(crate) const MESSAGE: &str = "message";
/// The callsite: source file, as the compiler wrote it.
pub(crate) const FILE: &str = "file";
pub(crate) const LINE: &str = "line";
pub(crate) const MODULE: &str = "module";
pub(crate) const TARGET: &str = "target";
/// Return addresses, the innermost first, 8 bytes each in little endian.
pub(crate) const STACK: &str = "stack";
/// The text of a `std::backtrace::Backtrace` that the error brought.
pub(crate) const BACKTRACE: &str = "backtrace";
/// The names of the enclosing spans, the outermost first, as a list in JSON.
pub(crate) const SPANS: &str = "spans";
/// What was logged before, as a list in JSON.
pub(crate) const STEPS: &str = "steps";
/// Within which the same error again is a duplicate: a number of the root span or of the thread.
pub(crate) const SCOPE: &str = "scope";
/// How many exceptions of the same type and callsite the rate limit held back before this one.
pub(crate) const SUPPRESSED: &str = "suppressed";
/// The field `posthog.exception`.
pub(crate) const WANTED: &str = "exception";
/// The field `posthog.fingerprint`.
pub(crate) const FINGERPRINT: &str = "fingerprint";
/// The field `posthog.issue_name`.
pub(crate) const ISSUE_NAME: &str = "issue_name";
