//! Feature flags, evaluated locally.
#![cfg(feature = "flags")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cases;
