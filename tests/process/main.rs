//! What belongs to a whole process: its global subscriber, panic hook and metrics recorder, its environment
//! and working directory, the memory it uses. Each test here runs in a process of its own, which this binary
//! starts: see `own_process!`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "../shared/hostile.rs"]
mod hostile;
#[path = "../shared/layers/mod.rs"]
mod layers;
#[path = "../shared/own_process.rs"]
mod own_process;
#[path = "../shared/support/mod.rs"]
mod support;

mod captured_globally;
mod conservation;
mod dropping_the_oldest_is_bounded;
mod errors_within_errors;
mod foreign_span_locks;
mod from_env;
mod guards;
mod hidden_events;
mod identity_global;
mod log_bridge;
mod no_echo;
mod panic_abort;
mod panic_hook;
mod panic_hook_scenarios;
mod panicking_layers;
mod panics;
mod poisoned_spans;
mod protocol;
mod published_metrics;
mod reentrancy_global;
mod resources;
mod runtimes;
mod soak;
mod spool_directory;
mod start_line;
mod storage_addresses;
mod unconcerned_code_is_untouched;
mod wakers;
