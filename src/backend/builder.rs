//! Settings of the capture actor, and its start.

use super::EventCaptureBackend;
use crate::capture::clock::{Clock, ClockSource};
use crate::capture::delivery::direct::DirectSettings;
use crate::capture::delivery::pipeline::Pipeline;
use crate::capture::delivery::protocol::{Migration, Protocol};
use crate::capture::delivery::{Actor, Setup, Status, run};
use crate::capture::diagnostics::Diagnostics;
use crate::capture::encode::{Encoder, Enrichment, GeoIp, IdLimit};
use crate::capture::hooks::DeliveryFailure;
use crate::capture::ledger::Counters;
use crate::capture::queue::{Limits, Queue, QueuePolicy};
use crate::capture::{CaptureHandle, CaptureProtocol, Compression, Home, Shared, Sink};
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::event::Event;
use crate::http::io::Droppable;
use crate::http::{FOREVER, Visibility};
use crate::suppress::{SuppressGuard, Suppressed};
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::mpsc;

/// Settings of an [`EventCaptureBackend`], made by [`EventCaptureBackend::builder`].
///
/// | setting | default |
/// |---|---|
/// | [`queue_events`](Self::queue_events) | 10,000 events |
/// | [`queue_bytes`](Self::queue_bytes) | 32 MiB |
/// | [`queue_policy`](Self::queue_policy) | drop the newest |
/// | [`flush_at`](Self::flush_at), [`batch_events`](Self::batch_events) | 100, 250 events |
/// | [`batch_bytes`](Self::batch_bytes) | 5 MiB of JSON |
/// | [`event_bytes`](Self::event_bytes) | 900 KiB of JSON |
/// | [`flush_interval`](Self::flush_interval) | 5 s |
/// | [`flush_timeout`](Self::flush_timeout) | 10 s |
/// | [`shutdown_timeout`](Self::shutdown_timeout) | 5 s |
/// | [`requests_in_flight`](Self::requests_in_flight) | 4 |
/// | [`protocol`](Self::protocol) | v0 |
/// | [`compression`](Self::compression) | gzip |
/// | [`geoip`](Self::geoip) | off |
/// | `spool` (feature `spool`) | none |
#[must_use = "nothing is captured until it is started"]
pub struct CaptureBuilder {
    client: PostHogClient,
    limits: Limits,
    enrichment: Enrichment,
    flush_interval: Duration,
    flush_timeout: Duration,
    shutdown_timeout: Duration,
    in_flight: usize,
    protocol: CaptureProtocol,
    compression: Compression,
    migration: Migration,
    disabled: bool,
    clock: ClockSource,
    #[cfg(feature = "spool")]
    spool: Option<crate::capture::Spool>,
}

impl fmt::Debug for CaptureBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CaptureBuilder")
            .field("client", &self.client)
            .field("limits", &self.limits)
            .field("flush_interval", &self.flush_interval)
            .finish_non_exhaustive()
    }
}

/// Starts capturing with the default settings, on a thread of its own.
///
/// # Errors
/// As [`CaptureBuilder::start`].
///
/// ```no_run
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// use tracing_posthog::{Event, PostHogClient, start_event_capture_backend};
/// let posthog = start_event_capture_backend(PostHogClient::from_env()?)?;
/// posthog.capture(Event::new("signup").distinct_id("user_42"));
/// posthog.shutdown_blocking(std::time::Duration::from_secs(5));
/// # Ok(())
/// # }
/// ```
pub fn start_event_capture_backend(client: PostHogClient) -> Result<CaptureHandle, PostHogError> {
    EventCaptureBackend::builder(client).start()
}

/// PostHog takes 20 MiB; the rest is for what stands around the events.
const MAX_BATCH_BYTES: usize = 19 << 20;

impl CaptureBuilder {
    pub(crate) fn new(client: PostHogClient) -> Self {
        Self {
            client,
            limits: Limits {
                events: 10_000,
                bytes: 32 << 20,
                batch_events: 250,
                batch_bytes: 5 << 20,
                flush_at: 100,
                policy: QueuePolicy::default(),
            },
            enrichment: Enrichment {
                max_event_bytes: 900 << 10,
                ..Enrichment::default()
            },
            flush_interval: Duration::from_secs(5),
            flush_timeout: Duration::from_secs(10),
            shutdown_timeout: Duration::from_secs(5),
            in_flight: 4,
            protocol: CaptureProtocol::default(),
            compression: Compression::default(),
            migration: Migration::default(),
            disabled: false,
            clock: ClockSource::default(),
            #[cfg(feature = "spool")]
            spool: None,
        }
    }

    /// How many events are kept in memory at most: those that wait for a batch, for another attempt, and those in
    /// requests. Default 10,000.
    pub fn queue_events(mut self, events: usize) -> Self {
        self.limits.events = events;
        self
    }

    /// How many bytes of events are kept in memory at most, counted as they are kept: compact in the queue, as JSON in
    /// batches. The bodies of requests and buffers that are used again come on top. Default 32 MiB.
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// What happens when the queue is full. Default [`QueuePolicy::DropNewest`].
    pub fn queue_policy(mut self, policy: QueuePolicy) -> Self {
        self.limits.policy = policy;
        self
    }

    /// How many events travel in one request at most, where more than [`flush_at`](Self::flush_at) wait by
    /// the time a request is free. Default 250: larger ones spread the cost of a request over more events, but
    /// hardly any further.
    pub fn batch_events(mut self, events: usize) -> Self {
        self.limits.batch_events = events;
        self
    }

    /// How many bytes of JSON travel in one request at most, before compression; a single larger event
    /// travels alone. Default 5 MiB, at most 19 MiB: PostHog takes 20 MiB, unpacked, and refuses the whole
    /// request above that. Never more than half of [`queue_bytes`](Self::queue_bytes).
    pub fn batch_bytes(mut self, bytes: usize) -> Self {
        self.limits.batch_bytes = bytes;
        self
    }

    /// How many waiting events make a batch go before the interval is over. Default 100, as in PostHog's own
    /// SDKs; never more than [`batch_events`](Self::batch_events).
    pub fn flush_at(mut self, events: usize) -> Self {
        self.limits.flush_at = events;
        self
    }

    /// How large one event may be, as JSON; a larger one is dropped, and counted. Default 900 KiB:
    /// PostHog's limit is about 1 MB.
    pub fn event_bytes(mut self, bytes: usize) -> Self {
        self.enrichment.max_event_bytes = bytes;
        self
    }

    /// How long an event waits for its batch to fill, before that goes as it is; longer while all requests are
    /// busy. Default 5 s.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// How long [`CaptureHandle::flush`] waits at most. Default 10 s.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }

    /// How long a shutdown, and a guard's drop, may take. Default 5 s; with an unreachable PostHog they
    /// may take all of it, so a command-line tool may want less.
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Self {
        self.shutdown_timeout = timeout;
        self
    }

    /// How many requests are on the wire at once, at most. Default 4: one slow response does not hold up the rest. A
    /// batch that waits for its next attempt takes no place here.
    pub fn requests_in_flight(mut self, requests: usize) -> Self {
        self.in_flight = requests;
        self
    }

    /// Which of PostHog's capture protocols events are sent by. Default [`CaptureProtocol::V0`].
    ///
    /// ```
    /// # use tracing_posthog::{EventCaptureBackend, PostHogClient};
    /// # fn f(client: PostHogClient) {
    /// use tracing_posthog::CaptureProtocol;
    /// let builder = EventCaptureBackend::builder(client).protocol(CaptureProtocol::Auto);
    /// # }
    /// ```
    pub fn protocol(mut self, protocol: CaptureProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// How request bodies are compressed. Default [`Compression::Gzip`]. By capture v0 only gzip or none.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Whether PostHog looks up where events come from by the sender's address. Default
    /// [`GeoIp::Off`]: the address is the server's. `posthog.geoip_disable` decides for one event.
    pub fn geoip(mut self, geoip: GeoIp) -> Self {
        self.enrichment.geoip = geoip;
        self
    }

    /// Marks all events as history that is moved here (`historical_migration`): PostHog then treats
    /// them apart from live traffic.
    pub fn historical_migration(mut self) -> Self {
        self.migration = Migration::Historical;
        self
    }

    /// A property of every event that does not bring its own of that name, such as `app_version`.
    /// An empty name, or one that begins with `posthog.`, is an error of [`start`](Self::start).
    pub fn default_property(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.enrichment.defaults.insert(name.into(), value.into());
        self
    }

    /// Looks at each event before it is sent, and may change or, with `None`, drop it. Several hooks run
    /// in the order they were added. A hook that panics drops the event: what it was there to remove is
    /// not sent because it failed. Hooks run on the actor's thread, and for
    /// [`capture_batch`](PostHogClient::capture_batch) on the thread that awaits it; what they capture themselves is
    /// ignored.
    ///
    /// ```
    /// # use tracing_posthog::{EventCaptureBackend, PostHogClient};
    /// # fn f(client: PostHogClient) {
    /// let builder = EventCaptureBackend::builder(client).before_send(|mut event| {
    ///     event.properties.remove("email");
    ///     Some(event)
    /// });
    /// # }
    /// ```
    pub fn before_send(
        mut self,
        hook: impl Fn(Event) -> Option<Event> + Send + Sync + 'static,
    ) -> Self {
        self.enrichment.hooks.before_send.push(Arc::new(hook));
        self
    }

    /// Called for events that could not be delivered: for batches that failed in all their attempts (kept in memory, or
    /// moved to disk), for events left on disk at the end, and for all events dropped after they were queued, also by
    /// [`before_send`](Self::before_send). Not called for events that were not queued, such as at a full queue, nor for
    /// batches that go to disk while the circuit breaker is open: these are in [`stats`](CaptureHandle::stats) only.
    /// Runs on the actor's thread; what it captures itself is ignored.
    pub fn on_error(mut self, hook: impl Fn(&DeliveryFailure<'_>) + Send + Sync + 'static) -> Self {
        self.enrichment.hooks.on_error.push(Arc::new(hook));
        self
    }

    /// Captures nothing: no thread is started, and events cost nothing. The settings are checked all the same,
    /// the project API key included; [`CaptureHandle::disabled`] needs none.
    pub fn disabled(mut self) -> Self {
        self.disabled = true;
        self
    }

    /// Where events get their time from, and requests the time that they say they are sent at. Default: the system's
    /// clock.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = ClockSource::custom(clock);
        self
    }

    /// Keeps on disk what cannot be delivered now: see [`Spool`](crate::Spool). Default: nothing is
    /// written to disk.
    #[cfg(feature = "spool")]
    #[cfg_attr(docsrs, doc(cfg(feature = "spool")))]
    pub fn spool(mut self, spool: crate::capture::Spool) -> Self {
        self.spool = Some(spool);
        self
    }

    /// Starts the actor on a thread of its own (`posthog-capture`) with a runtime of its own: it works without a
    /// runtime, and outlives yours. Its requests run on the client's thread (`posthog-io`).
    ///
    /// # Errors
    /// [`PostHogError::Config`] where the client has no project API key, a limit or the flush interval is
    /// zero, the compression is none that capture v0 takes, or the spool's directory is empty;
    /// [`PostHogError::Start`] where the system gives no thread or runtime.
    pub fn start(self) -> Result<CaptureHandle, PostHogError> {
        let Some((handle, actor)) = self.build(Home::OwnThread)? else {
            return Ok(CaptureHandle::disabled());
        };
        let start = |source| PostHogError::Start { source };
        let runtime = Droppable::new().map_err(start)?;
        std::thread::Builder::new()
            .name("posthog-capture".into())
            .spawn(move || {
                let _suppressed = SuppressGuard::enter();
                if let Some(runtime) = &runtime.0 {
                    runtime.block_on(run(actor));
                }
            })
            .map_err(start)?;
        Ok(handle)
    }

    /// Starts the actor as a task of your runtime, which needs timers (`enable_time`). Sockets stay on the client's
    /// own thread. When that runtime goes away first, what is not delivered is dropped (left on disk, with a disk
    /// spool) and counted.
    ///
    /// End it with `shutdown().await`. On a current-thread runtime a blocking call, or the drop of a guard, keeps the
    /// actor from running: such a call returns soon, and a warning says so. A disk spool reads and writes its files
    /// within that task: prefer [`start`](Self::start) with one.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn spawn_on(self, runtime: &tokio::runtime::Handle) -> Result<CaptureHandle, PostHogError> {
        let home = Home::Runtime(runtime.clone());
        let Some((handle, actor)) = self.build(home)? else {
            return Ok(CaptureHandle::disabled());
        };
        runtime.spawn(Suppressed(Box::pin(run(actor))));
        Ok(handle)
    }

    /// Checks the settings and makes both ends. `None`: disabled.
    fn build(mut self, home: Home) -> Result<Option<(CaptureHandle, Actor)>, PostHogError> {
        let key = self.client.require_project_key()?;
        for (setting, value) in [
            ("queue_events", self.limits.events),
            ("queue_bytes", self.limits.bytes),
            ("batch_events", self.limits.batch_events),
            ("batch_bytes", self.limits.batch_bytes),
            ("flush_at", self.limits.flush_at),
            ("event_bytes", self.enrichment.max_event_bytes),
            ("requests_in_flight", self.in_flight),
        ] {
            if value == 0 {
                return Err(PostHogError::config(setting, "must be at least 1"));
            }
        }
        if let Some(name) = self
            .enrichment
            .defaults
            .keys()
            .find(|name| name.is_empty() || name.starts_with("posthog."))
        {
            return Err(PostHogError::config(
                "default_property",
                format!(
                    "{name:?} is no name of a property; identity and the like of all events are set by the layer's \
                     builder"
                ),
            ));
        }
        if self.flush_interval.is_zero() {
            return Err(PostHogError::config(
                "flush_interval",
                "must be longer than zero; to send each event at once use `flush_at(1)`",
            ));
        }
        if self.protocol == CaptureProtocol::V0 && !self.compression.is_v0() {
            return Err(PostHogError::config(
                "compression",
                "capture v0 takes gzip or none; choose `Compression::Gzip`, or `.protocol(CaptureProtocol::Auto)`",
            ));
        }
        #[cfg(feature = "spool")]
        if let Some(spool) = &self.spool {
            if spool.directory.as_os_str().is_empty() {
                return Err(PostHogError::config(
                    "spool",
                    "the directory is empty; name one",
                ));
            }
            if spool.max_bytes == 0 || spool.max_age.is_zero() {
                return Err(PostHogError::config(
                    "spool",
                    "`max_bytes` and `max_age` must be more than zero; without a spool leave it out",
                ));
            }
        }
        if self.disabled {
            return Ok(None);
        }
        // More than fits in the queue would never be reached.
        self.limits.flush_at = self
            .limits
            .flush_at
            .min(self.limits.batch_events)
            .min(self.limits.events);
        let batch_bytes = self.limits.batch_bytes.min(MAX_BATCH_BYTES);
        self.limits.batch_bytes = batch_bytes.min(self.limits.bytes / 2);
        let protocol = Arc::new(Protocol::new(
            key,
            self.migration,
            self.protocol,
            self.compression,
        ));
        self.enrichment.limit = match self.protocol {
            CaptureProtocol::V0 => IdLimit::Characters,
            // With `Auto` as by v1 from the start: who somebody is does not depend on the protocol in the end.
            CaptureProtocol::V1 | CaptureProtocol::Auto => IdLimit::Bytes,
        };
        let http = self.client.inner.http.clone();
        // What waits for the actor needs its timers: better no thread now than then.
        http.start()
            .map_err(|source| PostHogError::Start { source })?;
        let queue = Arc::new(Queue::new(self.limits));
        let counters = Arc::new(Counters::default());
        #[cfg(not(feature = "spool"))]
        let store = None;
        #[cfg(feature = "spool")]
        let store = self.spool.map(|spool| {
            // What the envelope says is part of where files belong: another host, project or kind of
            // traffic never gets them.
            let identity = format!(
                "{}\n{}\n{:?}",
                self.client.inner.http.hosts.capture,
                key.reveal(),
                self.migration,
            );
            crate::capture::spool::Store::new(spool, &identity, counters.clone())
        });
        let (commands, inbox) = mpsc::unbounded_channel();
        let status = Arc::new(Status::default());
        let visibility = match home {
            // No subscriber is scoped to a thread of this crate.
            Home::OwnThread => Visibility::Global,
            Home::Runtime(_) => Visibility::Scoped,
        };
        let handle = CaptureHandle::new(Shared {
            queue: queue.clone(),
            sink: Sink::Actor(commands),
            counters: counters.clone(),
            status: status.clone(),
            home,
            opted_out: AtomicBool::new(false),
            http: Some(http.clone()),
            clock: self.clock.clone(),
            max_event_bytes: self.enrichment.max_event_bytes,
            flush_timeout: self.flush_timeout,
            shutdown_timeout: self.shutdown_timeout,
        });
        // `capture_batch` of this client sends as the actor does, hooks included.
        self.client.inner.set_direct(DirectSettings {
            enrichment: self.enrichment.clone(),
            protocol: protocol.clone(),
            clock: self.clock.clone(),
            batch_events: self.limits.batch_events,
            batch_bytes,
        });
        let hooks = self.enrichment.hooks.clone();
        let actor = Actor::new(Setup {
            queue,
            counters,
            status,
            commands: inbox,
            http,
            protocol,
            pipeline: Pipeline {
                encoder: Encoder::new(self.enrichment, Arc::new(Diagnostics::default())),
                batch_bytes,
            },
            hooks,
            clock: self.clock,
            store,
            interval: self.flush_interval.min(FOREVER),
            max_in_flight: self.in_flight,
            shutdown_timeout: self.shutdown_timeout,
            visibility,
        });
        Ok(Some((handle, actor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_docs() {
        let client = PostHogClient::builder().project_api_key("phc_test");
        let b = CaptureBuilder::new(client.build().unwrap());
        assert_eq!((b.limits.events, b.limits.bytes), (10_000, 32 << 20));
        assert_eq!((b.limits.flush_at, b.limits.batch_events), (100, 250));
        assert_eq!(b.limits.batch_bytes, 5 << 20);
        assert_eq!(b.limits.policy, QueuePolicy::DropNewest);
        assert_eq!(b.enrichment.max_event_bytes, 900 << 10);
        assert_eq!(b.in_flight, 4);
        let seconds = [b.flush_interval, b.flush_timeout, b.shutdown_timeout];
        assert_eq!(seconds.map(|time| time.as_secs()), [5, 10, 5]);
        assert_eq!(b.protocol, CaptureProtocol::V0);
        assert_eq!(b.compression, Compression::Gzip);
        #[cfg(feature = "spool")]
        {
            let spool = crate::capture::Spool::directory("x");
            assert_eq!(spool.max_bytes, 256 << 20);
            assert_eq!(spool.max_age.as_secs(), 7 * 24 * 3600);
        }
    }

    #[test]
    fn a_setting_that_cannot_be_meant_is_an_error_that_names_it() {
        type Set = fn(CaptureBuilder) -> CaptureBuilder;
        let zero: [(&str, Set); 8] = [
            ("queue_events", |b| b.queue_events(0)),
            ("queue_bytes", |b| b.queue_bytes(0)),
            ("batch_events", |b| b.batch_events(0)),
            ("batch_bytes", |b| b.batch_bytes(0)),
            ("flush_at", |b| b.flush_at(0)),
            ("event_bytes", |b| b.event_bytes(0)),
            ("requests_in_flight", |b| b.requests_in_flight(0)),
            ("flush_interval", |b| b.flush_interval(Duration::ZERO)),
        ];
        let named: Vec<(&str, Set)> = vec![
            ("default_property", |b| b.default_property("", 1)),
            ("default_property", |b| {
                b.default_property("posthog.distinct_id", "x")
            }),
        ];
        for (setting, set) in zero.into_iter().chain(named) {
            let client = PostHogClient::builder().project_api_key("phc_test");
            let started = set(CaptureBuilder::new(client.build().unwrap())).start();
            let error = started.map(drop).unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
    }
}
