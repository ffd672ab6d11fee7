//! Checks the settings, puts the parts together, and starts the actor.

use super::{CaptureBuilder, EventCaptureBackend};
#[cfg(feature = "testing")]
use crate::capture::clock::ClockSource;
use crate::capture::delivery::direct::DirectSettings;
use crate::capture::delivery::pipeline::Pipeline;
#[cfg(feature = "testing")]
use crate::capture::delivery::protocol::Migration;
use crate::capture::delivery::protocol::Protocol;
use crate::capture::delivery::{Actor, Setup, Status, run};
use crate::capture::diagnostics::Diagnostics;
#[cfg(feature = "testing")]
use crate::capture::encode::Enrichment;
use crate::capture::encode::{Encoder, IdLimit};
use crate::capture::ledger::Counters;
use crate::capture::queue::Queue;
use crate::capture::watch::Watch;
use crate::capture::{CaptureHandle, CaptureProtocol, Home, Shared, Sink};
use crate::client::PostHogClient;
use crate::error::PostHogError;
use crate::http::io::Droppable;
use crate::http::{FOREVER, Visibility};
use crate::suppress::{SuppressGuard, Suppressed};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::mpsc;

/// PostHog takes 20 MiB; the rest is for what stands around the events.
const MAX_BATCH_BYTES: usize = 19 << 20;

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

/// What remains of a [`CaptureBuilder`] where nothing is sent.
#[cfg(feature = "testing")]
pub(crate) struct InMemory {
    pub(crate) enrichment: Enrichment,
    pub(crate) clock: ClockSource,
    pub(crate) historical: bool,
    pub(crate) disabled: bool,
}

impl CaptureBuilder {
    /// Starts the actor: on a thread of its own (`posthog-capture`) with a runtime of its own, so that it works without
    /// a runtime and outlives yours; or where [`spawn_on`](Self::spawn_on) says. Its requests run on the client's thread
    /// (`posthog-io`).
    ///
    /// # Errors
    /// [`PostHogError::Config`] where the client has no project API key, a limit or the flush interval is zero, the
    /// compression is none that capture v0 takes, the spool's directory is empty, or the runtime of `spawn_on` has no
    /// timers; [`PostHogError::Start`] where the system gives no thread or runtime.
    pub fn start(self) -> Result<CaptureHandle, PostHogError> {
        let home = self.home.clone();
        let (handle, actor) = self.build()?;
        let Some(actor) = actor else {
            return Ok(handle);
        };
        match home {
            Home::OwnThread => on_own_thread(actor)?,
            Home::Runtime(runtime) => drop(runtime.spawn(Suppressed(Box::pin(run(actor))))),
        }
        handle.announce();
        Ok(handle)
    }

    /// The settings that count where events stay in memory: those that change events or decide about them.
    ///
    /// # Errors
    /// As [`start`](Self::start), where a setting cannot be meant.
    #[cfg(feature = "testing")]
    pub(crate) fn in_memory(mut self) -> Result<InMemory, PostHogError> {
        self.check()?;
        self.enrichment.limit = self.id_limit();
        Ok(InMemory {
            enrichment: self.enrichment,
            clock: self.clock,
            historical: matches!(self.migration, Migration::Historical),
            disabled: self.disabled.is_some(),
        })
    }

    /// Checks that each setting can be meant.
    fn check(&self) -> Result<(), PostHogError> {
        if let Home::Runtime(runtime) = &self.home
            && !has_timers(runtime)
        {
            return Err(PostHogError::config(
                "spawn_on",
                "the runtime has no timers; build it with `enable_time` or `enable_all`",
            ));
        }
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
        Ok(())
    }

    fn id_limit(&self) -> IdLimit {
        match self.protocol {
            CaptureProtocol::V0 => IdLimit::Characters,
            // With `Auto` as by v1 from the start: who somebody is does not depend on the protocol in the end.
            CaptureProtocol::V1 | CaptureProtocol::Auto => IdLimit::Bytes,
        }
    }

    /// Checks the settings and makes both ends. No actor: disabled.
    fn build(mut self) -> Result<(CaptureHandle, Option<Actor>), PostHogError> {
        self.check()?;
        let Some(client) = self.client.take() else {
            return Err(PostHogError::config(
                "capture",
                "this builder has no client; return it from the closure, `PostHogBuilder` starts it",
            ));
        };
        let disabled = self.disabled.take().map(|why| {
            let announcement = client.inner.http.announcement.clone();
            announcement.info(why);
            CaptureHandle::disabled_and(announcement)
        });
        if let Some(disabled) = &disabled
            && !client.has_project_key()
        {
            return Ok((disabled.clone(), None));
        }
        let key = client.require_project_key()?;
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
        self.enrichment.limit = self.id_limit();
        // `capture_batch` of this client sends as the actor does, `before_send` included.
        let mut enrichment = self.enrichment.clone();
        // It reports failures itself. A hook that holds the client must not keep it alive.
        enrichment.hooks.on_error.clear();
        client.inner.set_direct(DirectSettings {
            enrichment,
            protocol: protocol.clone(),
            clock: self.clock.clone(),
            batch_events: self.limits.batch_events,
            batch_bytes,
        });
        if let Some(disabled) = disabled {
            return Ok((disabled, None));
        }
        let http = client.inner.http.clone();
        // What waits for the actor needs its timers: better no thread now than then.
        http.start()
            .map_err(|source| PostHogError::Start { source })?;
        http.announcement.info(format!(
            "capturing to {} with the project API key {}, by {}",
            http.hosts.capture,
            key.beginning(),
            self.protocol.described(),
        ));
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
                client.inner.http.hosts.capture,
                key.reveal(),
                self.migration,
            );
            crate::capture::spool::Store::new(spool, &identity, counters.clone())
        });
        let (commands, inbox) = mpsc::unbounded_channel();
        let status = Arc::new(Status::default());
        let watch = Arc::new(Watch::default());
        #[cfg(feature = "errors")]
        watch.add(self.enrichment.exceptions.lookout());
        let visibility = match self.home {
            // No subscriber is scoped to a thread of this crate.
            Home::OwnThread => Visibility::Global,
            Home::Runtime(_) => Visibility::Scoped,
        };
        let handle = CaptureHandle::new(Shared {
            late_seen_to: AtomicBool::new(false),
            queue: queue.clone(),
            sink: Sink::Actor(commands),
            counters: counters.clone(),
            status: status.clone(),
            home: self.home,
            opted_out: AtomicBool::new(false),
            http: Some(http.clone()),
            clock: self.clock.clone(),
            watch: watch.clone(),
            // A larger one would never fit, however long it waits.
            max_event_bytes: self.enrichment.max_event_bytes.min(self.limits.bytes),
            flush_timeout: self.flush_timeout,
            shutdown_timeout: self.shutdown_timeout,
            #[cfg(feature = "errors")]
            exceptions: self.enrichment.exceptions.clone(),
        });
        #[cfg(feature = "flags")]
        client.inner.flags.set_backend(handle.downgrade());
        let hooks = self.enrichment.hooks.clone();
        let actor = Actor::new(Setup {
            queue,
            counters,
            status,
            watch,
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
        Ok((handle, Some(actor)))
    }
}

fn on_own_thread(actor: Actor) -> Result<(), PostHogError> {
    let start = |source| PostHogError::Start { source };
    let runtime = Droppable::with_timers().map_err(start)?;
    std::thread::Builder::new()
        .name("posthog-capture".into())
        .spawn(move || {
            let _suppressed = SuppressGuard::enter();
            if let Some(runtime) = &runtime.0 {
                runtime.block_on(run(actor));
            }
        })
        .map_err(start)?;
    Ok(())
}

/// Whether futures on that runtime can sleep. It only says so by a panic.
fn has_timers(runtime: &tokio::runtime::Handle) -> bool {
    let _context = runtime.enter();
    crate::panic::catch(|| drop(tokio::time::sleep(Duration::ZERO))).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::DropReason;
    use crate::event::Event;
    use crate::http::fake::{FakeAnswer, FakeNetwork};
    use std::time::{Duration, Instant};

    #[test]
    fn an_on_error_hook_that_holds_its_client_does_not_keep_it_alive() {
        let client = PostHogClient::builder().project_api_key("phc_test");
        let client = client.host("http://127.0.0.1:9").build().unwrap();
        let inner = Arc::downgrade(&client.inner);
        let held = client.clone();
        let handle = EventCaptureBackend::builder(client)
            .on_error(move |_| drop(held.clone()))
            .start()
            .unwrap();
        handle.shutdown_blocking(Duration::from_secs(5));
        drop(handle);
        let since = Instant::now();
        while inner.strong_count() > 0 {
            assert!(since.elapsed() < Duration::from_secs(20), "still alive");
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn what_a_hook_drops_is_not_sent_at_once_where_the_backend_is_disabled() {
        let client = PostHogClient::builder().project_api_key("phc_test");
        let mut client = client.host("http://127.0.0.1:9");
        client.fake = Some(FakeNetwork::new(|_, _, _| FakeAnswer::ok()));
        let client = client.build().unwrap();
        EventCaptureBackend::builder(client.clone())
            .before_send(|_| None)
            .disabled(true)
            .start()
            .unwrap();
        let event = Event::new("signup").distinct_id("user_1");
        let summary = client.capture_batch([event]).await.unwrap();
        assert_eq!(summary.dropped.by(DropReason::BeforeSend), 1, "{summary:?}");
    }
}
