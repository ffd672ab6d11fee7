//! Capturing: events from callers to PostHog.
//!
//! ```text
//! CaptureHandle ──record──► queue ──segment──► encode ──batch──► delivery ──request──► http
//!   (callers)                 │                                     │  ▲
//!                             └────────────── ledger ◄──────────────┘  └── spool (disk)
//! ```
//!
//! - [`handle`]: what callers hold: capture, flush, shutdown, stats. Writes a record and returns.
//! - [`queue`]: bounded, one mutex; hands whole segments to the actor.
//! - [`ledger`]: where every event is and what became of it; the public account ([`Stats`], [`DropReason`]).
//! - [`encode`]: records into PostHog's JSON: identity resolved, hooks run, every key once.
//! - `exceptions`: what the actor makes of a captured error: frames, `$exception_list` (feature `errors`).
//! - [`delivery`]: the actor: batches, attempts, retries, flushes, the shutdown, capture protocols v0 and v1.
//! - [`spool`]: batches as files, for what cannot be delivered now (feature `spool`).
//! - [`hooks`], [`diagnostics`], `metrics`: what users are told. [`clock`]: the time of events and requests.
//! - [`watch`]: what layers want to find out on the actor's thread.
//!
//! Each module knows those it is built on and nothing above: `event`, `http` → `ledger` → `queue` → `encode` →
//! `spool` → `delivery` → `handle`. (One type goes the other way: the spool writes and reads `delivery::batch::Batch`,
//! which is plain data.) The settings and the start are above, in `backend`.
//!
//! Invariants: no event is lost without being counted; uuid, timestamp, distinct id and name of an event are the
//! same in every attempt; whatever this crate logs itself is never captured.

pub(crate) mod clock;
pub(crate) mod delivery;
pub(crate) mod diagnostics;
pub(crate) mod encode;
#[cfg(feature = "errors")]
pub(crate) mod exceptions;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod handle;
pub(crate) mod hooks;
pub(crate) mod ledger;
#[cfg(feature = "metrics")]
mod metrics;
pub(crate) mod queue;
pub(crate) mod spool;
pub(crate) mod watch;

pub use clock::Clock;
pub use delivery::FlushReport;
pub use delivery::direct::BatchSummary;
pub use delivery::protocol::{CaptureProtocol, Compression};
pub(crate) use encode::Inherited;
pub use encode::{GeoIp, LargeIntegers};
pub use handle::{CaptureHandle, TryCaptureError};
pub(crate) use handle::{Home, Shared, Sink, give_scratch, take_scratch};
pub use hooks::{DeliveryFailure, Disposition};
pub use ledger::{DropReason, Dropped, SpoolStats, Stats};
pub use queue::QueuePolicy;
#[cfg(feature = "spool")]
pub use spool::{Spool, SpoolMode, SpoolPolicy};
