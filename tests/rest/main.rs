//! The REST API.
#![cfg(feature = "rest")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rest_answers;
mod rest_errors;
mod rest_files;
#[cfg(feature = "rate-limit")]
mod rest_limits;
mod rest_models;
mod rest_operations;
mod rest_pages;
mod rest_query;
mod rest_safety;
mod rest_streams;
mod rest_uploads;
