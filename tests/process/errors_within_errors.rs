//! Under a global subscriber an error that logs itself, whenever it is shown, would never end.

use crate::own_process::own_process;
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tracing::error;
use tracing_posthog::testing::CapturedEvents;
use tracing_posthog::{DropReason, Errors};
use tracing_subscriber::prelude::*;

struct LogsItself;

impl fmt::Debug for LogsItself {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        error!(error = self as &dyn Error, "in Debug");
        f.write_str("LogsItself")
    }
}

impl fmt::Display for LogsItself {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        error!(error = self as &dyn Error, "in Display");
        f.write_str("logs itself")
    }
}

impl Error for LogsItself {}

#[test]
fn an_error_that_logs_itself_ends() {
    own_process!();
    // No rate limit, which would end it too.
    let captured = CapturedEvents::builder()
        .layer(|layer| layer.errors(Errors::new().rate_limit(1, Duration::ZERO)))
        .build()
        .unwrap();
    tracing_subscriber::registry().with(captured.layer()).init();
    error!(error = &LogsItself as &dyn Error, "failed");

    let events = captured.events();
    let list = &events.last().unwrap().properties["$exception_list"];
    assert_eq!(list[0]["value"], "logs itself");
    assert_eq!(list[0]["type"], "LogsItself");
    let stats = captured.handle().stats();
    assert!(stats.dropped.by(DropReason::RateLimited) > 0, "{stats:?}");
}
