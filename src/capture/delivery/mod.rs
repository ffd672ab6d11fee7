//! Delivery: the actor that turns queued records into requests, and settles what becomes of them.
//!
//! ```text
//!  queue ──[pipeline]──► batch ──► backlog ──[scheduler]──► [protocol] ──► http ──► response
//!                          ▲                                                            │
//!                          └────── disk ◄── retry, spill ◄──[settle]◄──[outcome]◄───────┘
//! ```
//!
//! - [`actor`], [`sends`], [`end`]: the loop, how it sends, and its end. It asks [`scheduler`] what to do next and does it, then lets one input in: a response, a
//!   command, or a caller's wake-up.
//! - [`scheduler`]: the pure decision: fresh events, retries and spooled batches take turns at the request slots.
//! - [`batch`], [`backlog`], [`retry_queue`], [`in_flight`], [`disk`]: what the actor holds, each where it waits.
//! - [`pipeline`], [`protocol`], [`outcome`]: records → requests → what a response means. The same for the actor and for
//!   [`direct`] (`capture_batch`); the test kit uses the pipeline.
//! - [`settle`]: applies an outcome; [`account`] tells ledger and hooks.
//! - [`flushes`], [`interval`], [`command`]: who waits, until when, and what they asked for.
//! - [`supervisor`]: a panic ends one step of the actor, not the actor. [`warnings`]: once per episode. [`status`]: why
//!   events cannot be sent now, for whoever waits.
//!
//! Invariants:
//! - A request slot is held only while bytes are on the wire. A batch that waits for its next attempt waits in memory
//!   or on disk.
//! - Each batch is in one place: backlog, in flight, or a file. Whoever takes it out settles it, or puts it back.
//! - What a response says is settled when it arrives, so a shutdown knows of everything that was answered.
//! - No code of the program (hooks, layers, clocks, recorders) can end the actor by a panic.

mod account;
mod actor;
mod backlog;
pub(crate) mod batch;
mod command;
pub(crate) mod direct;
mod disk;
mod end;
mod flushes;
mod in_flight;
mod interval;
mod outcome;
pub(crate) mod pipeline;
pub(crate) mod protocol;
mod retry_queue;
mod scheduler;
mod sends;
mod settle;
mod status;
mod supervisor;
#[cfg(test)]
mod tests;
pub(crate) mod warnings;

pub(crate) use actor::{Actor, Setup};
pub use command::FlushReport;
pub(crate) use command::{Command, Progress, Reply};
pub(crate) use status::Status;
pub(crate) use supervisor::run;
