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
