//! What all [`FeatureFlags`](super::FeatureFlags) of one client share.

use super::called::Called;
use super::local::FlagDefinitions;
use super::poller::Poller;
use super::settings::{FlagMode, FlagSettings};
use super::stats::{Counts, FlagStats};
use crate::capture::{CaptureHandle, Shared};
use crate::error::PostHogError;
use crate::http::Http;
use arc_swap::ArcSwapOption;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The definitions, the poller, and what was captured, of one client.
#[derive(Debug)]
pub(crate) struct Core {
    pub(super) settings: FlagSettings,
    pub(super) source: Source,
    pub(super) definitions: ArcSwapOption<FlagDefinitions>,
    pub(super) poller: Poller,
    pub(super) called: Called,
    pub(super) counts: Counts,
    /// The backend that was started over the client. It must not be kept alive by its client.
    backend: Mutex<Weak<Shared>>,
}

/// Where flags come from.
#[derive(Debug)]
pub(super) enum Source {
    /// From definitions that never change.
    Fixed,
    /// From nowhere.
    Disabled,
    /// From PostHog.
    Client(Arc<Http>),
}

impl Core {
    pub(crate) fn of_client(settings: FlagSettings, http: Arc<Http>) -> Self {
        Self::new(settings, Source::Client(http), None)
    }

    pub(super) fn fixed(definitions: FlagDefinitions) -> Self {
        let settings = FlagSettings::default().mode(FlagMode::LocalOnly);
        Self::new(settings, Source::Fixed, Some(Arc::new(definitions)))
    }

    pub(super) fn disabled() -> Self {
        Self::new(FlagSettings::default(), Source::Disabled, None)
    }

    fn new(
        settings: FlagSettings,
        source: Source,
        definitions: Option<Arc<FlagDefinitions>>,
    ) -> Self {
        Self {
            settings,
            source,
            definitions: ArcSwapOption::new(definitions),
            poller: Poller::default(),
            called: Called::default(),
            counts: Counts::default(),
            backend: Mutex::default(),
        }
    }

    /// Lets `$feature_flag_called` go to that backend.
    pub(crate) fn set_backend(&self, backend: Weak<Shared>) {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = backend;
    }

    pub(super) fn backend(&self) -> Option<CaptureHandle> {
        let backend = self.backend.lock().unwrap_or_else(PoisonError::into_inner);
        CaptureHandle::upgrade(&backend)
    }

    pub(super) fn definitions(&self) -> Option<Arc<FlagDefinitions>> {
        self.definitions.load_full()
    }

    pub(super) fn http(&self) -> Option<&Arc<Http>> {
        match &self.source {
            Source::Client(http) => Some(http),
            Source::Fixed | Source::Disabled => None,
        }
    }

    /// Loads definitions from now on, where this client evaluates here.
    pub(super) fn start_polling(self: &Arc<Self>) {}

    /// The definitions; the first time this waits for them, for a time.
    pub(super) async fn loaded_definitions(self: &Arc<Self>) -> Option<Arc<FlagDefinitions>> {
        self.definitions()
    }

    pub(super) async fn ready(self: &Arc<Self>) -> Result<(), PostHogError> {
        Ok(())
    }

    pub(super) async fn refresh(self: &Arc<Self>) -> Result<(), PostHogError> {
        Ok(())
    }

    pub(super) fn stats(&self) -> FlagStats {
        FlagStats::of(&self.counts)
    }
}
