//! One SDK under test: a client and a capture actor, on a runtime of their own.

mod flags;

use crate::contract::{Init, State, TestId};
use crate::lock;
use crate::options::Options;
use crate::refusal::Refusal;
use crate::requests::{RequestLog, WatchedRuntime};
use axum::http::StatusCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing_posthog::{
    CaptureHandle, CaptureProtocol, CircuitBreaker, Compression, DeliveryFailure, Event,
    EventCaptureBackend, GeoIp, PostHogClient, PostHogError, RetryPolicy,
};

/// Longer than all attempts of a test take, with what it puts into `Retry-After`; shorter than the harness
/// waits for an answer, which is five minutes.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) struct Instance {
    sdk: Sdk,
    actor: Mutex<CaptureHandle>,
    /// What became of the events of the actors before this one.
    before: Mutex<Totals>,
    /// One flush at a time, or the second would end the actor that the first one has just started.
    flushing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Totals {
    captured: u64,
    delivered: u64,
}

/// What `/init` asks for, and what its actors stand on.
struct Sdk {
    client: PostHogClient,
    log: Arc<RequestLog>,
    runtime: WatchedRuntime,
    protocol: CaptureProtocol,
    compression: Compression,
    geoip: GeoIp,
    /// Of requests for flags that say nothing else.
    flags_geoip: GeoIp,
    events: Events,
    flush_at: usize,
    flush_interval: Duration,
}

enum Events {
    Live,
    Historical,
}

impl Sdk {
    fn new(options: Options, id: &TestId, init: Init) -> Result<Self, Refusal> {
        let attempts = init.max_retries.unwrap_or(3).saturating_add(1);
        let mut client = PostHogClient::builder()
            .project_api_key(init.api_key)
            .host(init.host)
            .retry(RetryPolicy::default().attempts(attempts))
            // A test lets PostHog fail as often as it likes, and counts what is sent meanwhile.
            .circuit_breaker(CircuitBreaker::off());
        if let Some(id) = &id.test_id {
            client = client.header("X-Test-Id", id);
        }
        if let Some(key) = init.personal_api_key {
            client = client.personal_api_key(key);
        }
        let log = Arc::new(RequestLog::default());
        Ok(Self {
            client: client.build().map_err(misconfigured)?,
            runtime: log
                .watched_runtime()
                .map_err(|e| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()))?,
            log,
            protocol: options.protocol.into(),
            compression: match init.enable_compression {
                Some(true) => options.codec.into(),
                None | Some(false) => Compression::Off,
            },
            geoip: init.disable_geoip.map_or(GeoIp::default(), geoip),
            // The suite expects a look-up where nobody says anything.
            flags_geoip: init.disable_geoip.map_or(GeoIp::On, geoip),
            events: match init.historical_migration {
                Some(true) => Events::Historical,
                None | Some(false) => Events::Live,
            },
            flush_at: init.flush_at.unwrap_or(100),
            flush_interval: Duration::from_millis(init.flush_interval_ms.unwrap_or(500)),
        })
    }

    fn start_actor(&self) -> Result<CaptureHandle, Refusal> {
        let log = self.log.clone();
        let builder = EventCaptureBackend::builder(self.client.clone())
            .protocol(self.protocol)
            .compression(self.compression)
            .geoip(self.geoip)
            .flush_at(self.flush_at)
            // A threshold above the size of a batch would not be reached.
            .batch_events(self.flush_at.max(100))
            .flush_interval(self.flush_interval)
            .flush_timeout(FLUSH_TIMEOUT)
            // An actor is ended only to be rid of what it has left.
            .shutdown_timeout(Duration::ZERO)
            .on_error(move |failure| log.failed(told(failure)));
        match self.events {
            Events::Live => builder,
            Events::Historical => builder.historical_migration(true),
        }
        .spawn_on(self.runtime.handle())
        .start()
        .map_err(misconfigured)
    }
}

impl Instance {
    pub(crate) fn start(options: Options, id: &TestId, init: Init) -> Result<Self, Refusal> {
        let sdk = Sdk::new(options, id, init)?;
        Ok(Self {
            actor: Mutex::new(sdk.start_actor()?),
            sdk,
            before: Mutex::default(),
            flushing: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn capture(&self, event: &Event) -> Result<(), Refusal> {
        self.actor()
            .try_capture(event)
            .map_err(|e| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, e.to_string()))
    }

    /// Returns when everything is sent, or failed for good; says how many events were sent meanwhile.
    ///
    /// For the crate nothing fails for good because PostHog is away: what failed in all its attempts is kept,
    /// and tried again after a pause. The harness counts requests after the flush, and allows `max_retries + 1`
    /// for a batch. So this is where the adapter gives up: with that actor, and what it has left.
    pub(crate) async fn flush(&self) -> Result<u64, Refusal> {
        let _one_at_a_time = self.flushing.lock().await;
        let report = self.actor().flush().await;
        if report.pending > 0 {
            self.give_up().await?;
        }
        Ok(report.delivered)
    }

    async fn give_up(&self) -> Result<(), Refusal> {
        let next = self.sdk.start_actor()?;
        let last = std::mem::replace(&mut *lock(&self.actor), next);
        last.shutdown().await;
        let stats = last.stats();
        let mut before = lock(&self.before);
        before.captured += stats.captured;
        before.delivered += stats.delivered;
        Ok(())
    }

    /// Ends it, at once: nothing is sent any more, and what it had is lost.
    pub(crate) async fn end(&self) {
        self.actor().shutdown().await;
    }

    pub(crate) fn state(&self) -> State {
        let stats = self.actor().stats();
        let before = lock(&self.before);
        let requests_made = self.sdk.log.attempts();
        State {
            pending_events: stats.queued + stats.in_flight,
            total_events_captured: before.captured + stats.captured,
            total_events_sent: before.delivered + stats.delivered,
            total_retries: requests_made.iter().filter(|a| a.is_retry()).count(),
            last_error: self.sdk.log.last_error(),
            requests_made,
        }
    }

    fn actor(&self) -> CaptureHandle {
        lock(&self.actor).clone()
    }
}

fn geoip(is_disabled: bool) -> GeoIp {
    match is_disabled {
        true => GeoIp::Off,
        false => GeoIp::On,
    }
}

fn told(failure: &DeliveryFailure<'_>) -> String {
    let DeliveryFailure {
        events,
        disposition,
        ..
    } = failure;
    match (failure.detail, failure.error) {
        (Some(detail), _) => format!("{events} events: {detail} ({disposition:?})"),
        (None, Some(error)) => format!("{events} events: {error} ({disposition:?})"),
        (None, None) => format!("{events} events: {disposition:?}"),
    }
}

/// The crate names the setting, and what it may be.
fn misconfigured(error: PostHogError) -> Refusal {
    Refusal::bad_request(error.to_string())
}
