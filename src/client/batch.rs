//! [`PostHogClient::capture_batch`]: events that are sent now.

use super::{Inner, PostHogClient};
use crate::capture::delivery::direct::{self, BatchSummary, DirectSettings};
use crate::capture::delivery::protocol::{Migration, Protocol};
use crate::capture::encode::Enrichment;
use crate::capture::{CaptureProtocol, Compression};
use crate::error::PostHogError;
use crate::event::Event;
use std::sync::{Arc, PoisonError};

const BATCH_EVENTS: usize = 100;
const BATCH_BYTES: usize = 5 << 20;
const EVENT_BYTES: usize = 900 << 10;

impl PostHogClient {
    /// Sends events now, and waits for the answer: no queue, no actor. For imports and jobs that must
    /// know. Many events travel in several requests, one after the other; an event that PostHog would
    /// refuse is left out and counted, and costs no other.
    ///
    /// Where an [`EventCaptureBackend`](crate::EventCaptureBackend) was started with this client or a clone of it,
    /// its settings count here too: hooks, default properties, protocol, limits, clock. So what a `before_send` hook
    /// removes is never sent, also where that backend is [`disabled`](crate::CaptureBuilder::disabled). Of several
    /// backends the one that was started last counts. Otherwise requests are sent
    /// by capture v0 with gzip, hold up to 100 events and 5 MiB of JSON, and PostHog looks up no locations. Hooks run
    /// on the thread that awaits this.
    ///
    /// All events are in memory before the first is sent: hand over the history of years in parts.
    ///
    /// # Errors
    /// [`PostHogError::Config`] without a project API key. What happens to the events is in the summary.
    ///
    /// ```no_run
    /// # use tracing_posthog::{Event, PostHogClient};
    /// # async fn f(client: PostHogClient) -> Result<(), tracing_posthog::PostHogError> {
    /// let events = (0..1000).map(|n| Event::new("imported").distinct_id(format!("user_{n}")));
    /// let summary = client.capture_batch(events).await?;
    /// assert!(summary.is_complete(), "{:?}", summary.errors);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn capture_batch(
        &self,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<BatchSummary, PostHogError> {
        let key = self.require_project_key()?;
        let settings = self.inner.direct().unwrap_or_else(|| DirectSettings {
            enrichment: Enrichment {
                max_event_bytes: EVENT_BYTES,
                ..Enrichment::default()
            },
            protocol: Arc::new(Protocol::new(
                key,
                Migration::Live,
                CaptureProtocol::V0,
                Compression::Gzip,
            )),
            clock: Default::default(),
            batch_events: BATCH_EVENTS,
            batch_bytes: BATCH_BYTES,
        });
        Ok(direct::send(&self.inner.http, &settings, events).await)
    }
}

impl Inner {
    /// How the backend that was started last sends its events.
    fn direct(&self) -> Option<DirectSettings> {
        let direct = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        direct.clone()
    }

    pub(crate) fn set_direct(&self, settings: DirectSettings) {
        let mut direct = self.direct.lock().unwrap_or_else(PoisonError::into_inner);
        *direct = Some(settings);
    }
}
