//! [`CapturedEvents`]: events in memory, for tests.
//!
//! ```text
//! layer, handle ──► queue ──[memory: pipeline, hooks]──► RecordedEvent ──► events, find, take
//! ```
//!
//! - [`memory`]: stands in for the actor. [`builder`]: the settings.
//! - [`scope`]: the code whose events are captured. [`global`]: those of all threads. [`shown`]: `Debug`.

mod builder;
mod global;
mod memory;
mod scope;
mod shown;
#[cfg(test)]
mod tests;

pub use builder::CapturedEventsBuilder;
pub use global::{GlobalEvents, GlobalLayer};
pub use scope::Scoped;

use super::RecordedEvent;
use crate::backend::InMemory;
use crate::capture::CaptureHandle;
use crate::capture::encode::Enrichment;
use crate::layer::{PostHogLayer, PostHogLayerBuilder};
use memory::{Kept, Memory, WAITING};
use std::sync::{Arc, MutexGuard, OnceLock};
use tracing::Dispatch;

type Options = Arc<dyn Fn(PostHogLayerBuilder) -> PostHogLayerBuilder + Send + Sync>;

/// Events that were captured, in memory: no actor, no thread, no network.
///
/// They go through the same encoding as those that are sent, so a test sees what PostHog would get. Hooks, default
/// properties and options of the layer are set by the [`builder`](Self::builder). Up to 100,000 events wait to be
/// looked at or flushed; further ones are dropped, and `Debug` says so.
///
/// # Whose events
///
/// | the code under test | captured by |
/// |---|---|
/// | runs on the thread of the test | [`in_scope`](Self::in_scope) |
/// | is a future, polled on any thread | [`scope`](Self::scope) |
/// | spawns on a runtime or pool of the test | [`attach_thread`](Self::attach_thread) on its threads |
/// | spawns on threads that the test does not make | [`global`](Self::global), one test at a time |
/// | captures by hand | [`handle`](Self::handle) |
/// | has a subscriber with other layers | [`layer`](Self::layer), added to that subscriber |
///
/// `tracing` sends an event to the subscriber of the thread that emits it. So a task or thread that the code under test
/// spawns is outside of the scope, also where it enters a span of the test, and its events are lost.
///
/// # Flush and shutdown
///
/// Whoever flushes, shuts down or looks delivers what was captured, at once: code under test that asks whether its
/// events were delivered is told so. After a shutdown, a dropped
/// [`PostHog`](crate::PostHog) included, nothing more is captured, as with PostHog; what was captured before can still be read.
///
/// # Where an event is missing
///
/// Put `{captured:?}` into the message of an assertion: it lists the names and distinct ids of the events that are
/// there, those that were dropped with the reasons, the callsites that a filter hides, and whether capturing was shut down. Once a test of the process has
/// used [`global`](Self::global), also the events that were emitted outside of every capture.
///
/// ```
/// use tracing_posthog::Event;
/// use tracing_posthog::testing::CapturedEvents;
///
/// fn pay(posthog: &tracing_posthog::CaptureHandle) {
///     posthog.capture(Event::new("invoice paid").distinct_id("user_42").property("amount", 12.5));
/// }
///
/// let captured = CapturedEvents::new();
/// pay(&captured.handle());
/// assert_eq!(captured.find("invoice paid").unwrap().properties["amount"], 12.5);
/// ```
///
/// ```
/// # use tracing_posthog::{CaptureHandle, Event};
/// # use tracing_posthog::testing::CapturedEvents;
/// async fn job(posthog: &CaptureHandle) -> Result<(), String> {
///     posthog.capture(Event::new("job done").distinct_id("worker"));
///     let report = posthog.shutdown().await;
///     if !report.is_complete() {
///         return Err(report.to_string());
///     }
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let captured = CapturedEvents::new();
/// assert_eq!(job(&captured.handle()).await, Ok(()));
/// assert!(captured.find("job done").is_some());
/// # }
/// ```
#[derive(Clone)]
pub struct CapturedEvents {
    handle: CaptureHandle,
    store: Arc<Memory>,
    options: Options,
    /// The dispatcher of all scopes. Not in `store`, which the dispatcher's layer holds.
    dispatch: Arc<OnceLock<Dispatch>>,
}

const EVENT_BYTES: usize = 900 << 10;

impl Default for CapturedEvents {
    fn default() -> Self {
        Self::new()
    }
}

impl CapturedEvents {
    /// Nothing captured yet.
    pub fn new() -> Self {
        Self::with_room_for(WAITING)
    }

    /// The default settings, with room for so many events that wait.
    fn with_room_for(waiting: usize) -> Self {
        let settings = InMemory {
            enrichment: Enrichment {
                max_event_bytes: EVENT_BYTES,
                ..Enrichment::default()
            },
            clock: Default::default(),
            historical: false,
            disabled: false,
        };
        let (memory, handle) = Memory::start(settings, waiting);
        Self::over(memory, handle, Arc::new(|layer| layer))
    }

    /// With hooks, default properties and other settings of the program under test.
    pub fn builder() -> CapturedEventsBuilder {
        CapturedEventsBuilder::new()
    }

    fn over(store: Arc<Memory>, handle: CaptureHandle, options: Options) -> Self {
        Self {
            handle,
            store,
            options,
            dispatch: Arc::default(),
        }
    }

    /// A handle whose events land here.
    pub fn handle(&self) -> CaptureHandle {
        self.handle.clone()
    }

    /// A layer whose events land here, with the options of the [`builder`](CapturedEventsBuilder::layer). For a
    /// subscriber of your own; [`in_scope`](Self::in_scope) and [`scope`](Self::scope) need none.
    pub fn layer(&self) -> PostHogLayer {
        (self.options)(PostHogLayer::builder(self.handle())).build()
    }

    /// Flags of a test, whose accesses are captured here, and whose
    /// [`evaluate_current`](crate::FeatureFlags::evaluate_current) reads the spans of the [scope](Self::scope).
    ///
    /// ```
    /// use tracing_posthog::testing::{CapturedEvents, Flags};
    ///
    /// let captured = CapturedEvents::new();
    /// let flags = captured.flags(Flags::new().on_for("beta-ui", "ada"));
    ///
    /// let is_on = captured.in_scope(|| {
    ///     let span = tracing::info_span!("request", posthog.distinct_id = "ada");
    ///     span.in_scope(|| flags.evaluate_current().locally().is_enabled("beta-ui"))
    /// });
    /// assert!(is_on);
    /// assert!(captured.find("$feature_flag_called").is_some());
    /// ```
    #[cfg(feature = "flags")]
    #[cfg_attr(docsrs, doc(cfg(feature = "flags")))]
    pub fn flags(&self, flags: impl Into<crate::FeatureFlags>) -> crate::FeatureFlags {
        flags.into().capture_to(self.handle())
    }

    /// All events so far, in order of capture.
    ///
    /// # Panics
    /// When an event cannot be read back: an error of this crate, and no event that PostHog would take.
    pub fn events(&self) -> Vec<RecordedEvent> {
        self.read().events.clone()
    }

    /// The first event of that name.
    ///
    /// # Panics
    /// As [`events`](Self::events).
    pub fn find(&self, name: &str) -> Option<RecordedEvent> {
        let kept = self.read();
        kept.events.iter().find(|e| e.event == name).cloned()
    }

    /// All events so far; they are forgotten here.
    ///
    /// # Panics
    /// As [`events`](Self::events).
    pub fn take(&self) -> Vec<RecordedEvent> {
        std::mem::take(&mut self.read().events)
    }

    #[allow(clippy::panic)] // A test that goes on would pass or fail for the wrong reason.
    fn read(&self) -> MutexGuard<'_, Kept> {
        self.store.keep(u64::MAX);
        let kept = self.store.kept();
        if let Some(unreadable) = &kept.unreadable {
            panic!("tracing-posthog cannot read back an event that it wrote: {unreadable}");
        }
        kept
    }

    /// For this crate's benchmarks: the JSON of the events so far, joined by commas; they are forgotten.
    #[doc(hidden)]
    pub fn encode(&self) -> Vec<u8> {
        let Memory { queue, .. } = &*self.store;
        let mut pipeline = self.store.pipeline();
        let mut json = Vec::new();
        while let Some(encoded) = pipeline.next(queue, u64::MAX) {
            for batch in encoded.batches {
                queue.settle(batch.len(), batch.json.len(), Ok(()));
                json = match json.len() {
                    0 => batch.json,
                    _ => [&json[..], b",", &batch.json].concat(),
                };
            }
        }
        json
    }

    /// For this crate's benchmarks: takes the events out of the queue and forgets them.
    #[doc(hidden)]
    pub fn forget(&self) {
        let Memory { queue, .. } = &*self.store;
        while let Some(mut segment) = queue.take(u64::MAX) {
            let (events, bytes) = (segment.len(), segment.byte_len());
            while segment.len() > 0 {
                segment.drop_first();
            }
            queue.encoded(segment, bytes, 0);
            queue.settle(events, 0, Ok(()));
        }
    }
}
