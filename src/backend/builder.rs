//! Settings of the capture actor.

#[cfg(doc)]
use super::EventCaptureBackend;
#[cfg(doc)]
use crate::capture::CaptureHandle;
use crate::capture::clock::{Clock, ClockSource};
use crate::capture::delivery::protocol::Migration;
use crate::capture::encode::{Enrichment, GeoIp, LargeIntegers};
use crate::capture::hooks::DeliveryFailure;
use crate::capture::queue::{Limits, QueuePolicy};
use crate::capture::{CaptureProtocol, Compression, Home};
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::event::Event;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
/// | [`large_integers`](Self::large_integers) | text |
/// | `spool` (feature `spool`) | none |
#[must_use = "nothing is captured until it is started"]
pub struct CaptureBuilder {
    /// `None`: within a [`PostHogBuilder`](crate::PostHogBuilder), which gives it at the start.
    pub(super) client: Option<PostHogClient>,
    pub(super) limits: Limits,
    pub(super) enrichment: Enrichment,
    pub(super) flush_interval: Duration,
    pub(super) flush_timeout: Duration,
    pub(super) shutdown_timeout: Duration,
    pub(super) in_flight: usize,
    pub(super) protocol: CaptureProtocol,
    pub(super) compression: Compression,
    pub(super) migration: Migration,
    /// Why nothing is captured, as the log says it.
    pub(super) disabled: Option<String>,
    pub(super) home: Home,
    pub(super) clock: ClockSource,
    #[cfg(feature = "spool")]
    pub(super) spool: Option<crate::capture::Spool>,
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

impl CaptureBuilder {
    pub(crate) fn new(client: Option<PostHogClient>) -> Self {
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
            disabled: None,
            home: Home::OwnThread,
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
    /// batches. Default 32 MiB.
    ///
    /// All of delivery takes at most this, two more copies of each batch on the wire
    /// ([`requests_in_flight`](Self::requests_in_flight) times twice [`batch_bytes`](Self::batch_bytes)), and about
    /// 6 MiB for buffers and connections: 78 MiB by default, whatever the events are and PostHog answers. Usual events
    /// take a fraction of that.
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

    /// How long [`CaptureHandle::flush`] waits at most; below 2 s up to half a second longer. Default 10 s.
    pub fn flush_timeout(mut self, timeout: Duration) -> Self {
        self.flush_timeout = timeout;
        self
    }

    /// How long a shutdown, and the drop of a [`PostHog`](crate::PostHog), may take; below 2 s up to half a second
    /// longer. Default 5 s. If PostHog is unreachable, they may take all of it, so a command-line tool may want less.
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

    /// How integers beyond 2^53 are sent, in properties and everything within them. Default [`LargeIntegers::Text`]:
    /// exact, as PostHog would round such numbers.
    ///
    /// ```
    /// # use tracing_posthog::{EventCaptureBackend, PostHogClient};
    /// # fn f(client: PostHogClient) {
    /// use tracing_posthog::LargeIntegers;
    /// let builder = EventCaptureBackend::builder(client).large_integers(LargeIntegers::Number);
    /// # }
    /// ```
    pub fn large_integers(mut self, large_integers: LargeIntegers) -> Self {
        self.enrichment.large_integers = large_integers;
        self
    }

    /// Whether all events are history that is moved here (`historical_migration`): PostHog then treats them apart from
    /// live traffic. Default `false`.
    pub fn historical_migration(mut self, historical: bool) -> Self {
        self.migration = match historical {
            true => Migration::Historical,
            false => Migration::default(),
        };
        self
    }

    /// A property of every event that does not bring its own of that name, such as `app_version`. An object named
    /// `$groups`, `$set` or `$set_once` is merged with an event's own entries, which win.
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
    /// The client keeps these hooks for `capture_batch`. A hook that holds this same client therefore keeps the client
    /// and its thread alive for ever.
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

    /// Runs the actor as a task of your runtime, which needs timers (`enable_time`), instead of on a thread of its own.
    /// Sockets stay on the client's own thread. When that runtime goes away first, what is not delivered is dropped
    /// (left on disk, with a disk spool) and counted, and the log says so.
    ///
    /// End it with `shutdown().await`. On a current-thread runtime a blocking call, or the drop of a
    /// [`PostHog`](crate::PostHog), keeps the actor from running: such a call returns soon, and a warning says so. A disk
    /// spool reads and writes its files within that task: prefer a thread of its own with one.
    pub fn spawn_on(mut self, runtime: &tokio::runtime::Handle) -> Self {
        self.home = Home::Runtime(runtime.clone());
        self
    }

    /// Whether to capture nothing: no thread is started, and events cost nothing. The settings are checked all the
    /// same, but no project API key is needed. Default `false`.
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.disabled =
            disabled.then(|| "disabled by the program, no event is captured".to_owned());
        self
    }

    /// Captures nothing, for that reason.
    pub(crate) fn disabled_as(mut self, why: String) -> Self {
        self.disabled.get_or_insert(why);
        self
    }

    /// Gives the client, once.
    pub(crate) fn over(mut self, client: PostHogClient) -> Result<Self, PostHogError> {
        if self.client.is_some() {
            return Err(PostHogError::config(
                "capture",
                "the closure returned the builder of another client; return the one that it was given",
            ));
        }
        self.client = Some(client);
        Ok(self)
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_docs() {
        let client = PostHogClient::builder().project_api_key("phc_test");
        let b = CaptureBuilder::new(Some(client.build().unwrap()));
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
        assert_eq!(b.enrichment.large_integers, LargeIntegers::Text);
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
            let started = set(CaptureBuilder::new(Some(client.build().unwrap()))).start();
            let error = started.map(drop).unwrap_err().to_string();
            assert!(error.contains(setting), "{error}");
        }
    }
}
