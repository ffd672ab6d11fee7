//! Keys and personal data show nowhere: in no error, no `Debug`, no log line.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/layers/mod.rs"]
mod layers;
#[path = "../shared/own_process.rs"]
mod own_process;
#[path = "../shared/support/mod.rs"]
mod support;

mod privacy;
#[cfg(feature = "rest")]
mod rest_keys;
mod secrets;
