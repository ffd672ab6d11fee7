//! `anyhow::Error`: the backtrace that it captured when it was made.

use crate::Exception;
use std::any::Any;

/// Adds the backtrace, if the report is an error of `anyhow`. Asked by type: an implementation for `anyhow::Error` beside
/// the one for all reports would leave the compiler without a choice.
pub(super) fn with_backtrace(exception: Exception, report: &dyn Any) -> Exception {
    match report.downcast_ref::<anyhow::Error>() {
        Some(error) => exception.backtrace(error.backtrace()),
        None => exception,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::backtrace::BacktraceStatus;

    /// Whether there is one depends on `RUST_BACKTRACE`.
    #[test]
    fn a_backtrace_that_was_captured_is_kept() {
        let error = anyhow::anyhow!("failed").context("ordering");
        let is_captured = error.backtrace().status() == BacktraceStatus::Captured;
        let exception = Exception::of(&error);
        let backtrace = exception.backtrace.as_deref();
        assert_eq!(backtrace.is_some(), is_captured);
        assert!(
            backtrace.is_none_or(|text| text.contains("a_backtrace_that_was_captured_is_kept"))
        );
    }
}
