//! Events from callers to PostHog: queue, actor, batches, encoding, accounting.

mod backend;
pub(crate) mod batch;
mod builder;
pub(crate) mod encode;
mod event;
#[cfg(fuzzing)]
pub(crate) mod fuzz;
mod handle;
mod hooks;
mod host;
#[cfg(feature = "metrics")]
mod metrics;
pub(crate) mod notices;
pub(crate) mod queue;
pub(crate) mod quiet;
pub(crate) mod record;
pub(crate) mod sites;
pub(crate) mod spool;
pub(crate) mod stamp;
mod stats;
pub(crate) mod wire;

pub use backend::EventCaptureBackend;
pub use builder::{CaptureBuilder, start_event_capture_backend};
pub use encode::GeoIp;
pub use event::Event;
pub use handle::{CaptureHandle, Clock, FlushReport, PostHogGuard, TryCaptureError};
#[cfg(feature = "testing")]
pub(crate) use handle::{Settler, Shared, SystemClock};
pub(crate) use handle::{give_scratch, take_scratch};
pub use hooks::{CaptureError, Fate};
pub use queue::QueuePolicy;
#[cfg(feature = "spool")]
pub use spool::{Spool, SpoolMode, SpoolPolicy};
pub use stats::{DropReason, Dropped, SpoolStats, Stats};
pub use wire::{CaptureProtocol, Compression};
