//! Delivery: what becomes of a captured event between the queue and PostHog, on real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../shared/callsites/mod.rs"]
mod callsites;
#[path = "../shared/faults/mod.rs"]
mod faults;
#[path = "../shared/hostile.rs"]
mod hostile;
#[path = "../shared/support/mod.rs"]
mod support;

mod answered_in_time;
mod answers_without_end;
mod any_answers;
mod bounded;
mod capture_batch;
mod capture_v1;
mod circuit;
mod encoding_properties;
mod endless_settings;
mod envelope;
mod executors;
mod fault_matrix;
mod flush_and_shutdown;
mod front_door;
mod frozen_identity;
mod large_integers;
mod merged_objects;
mod nul_characters;
mod one_bad_event;
mod one_road;
mod overdue_events;
mod retries;
mod scheduling;
mod the_callers_span;
mod tls;
