//! What all [`FeatureFlags`](super::FeatureFlags) of one client share.

use super::absent::Absent;
use super::called::Called;
use super::local::FlagDefinitions;
use super::poller::Poller;
use super::remarks::Remarks;
use super::remote::{Episodes, Slots};
use super::settings::{FlagMode, FlagSettings};
use super::stats::{Counts, FlagStats};
use crate::capture::{CaptureHandle, Shared};
use crate::http::Http;
use arc_swap::ArcSwapOption;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The definitions, the poller, and what was captured, of one client.
pub(crate) struct Core {
    pub(super) settings: FlagSettings,
    pub(super) source: Source,
    /// Whether definitions are loaded, and loaded again, once somebody uses flags.
    pub(super) polls: bool,
    pub(super) definitions: ArcSwapOption<FlagDefinitions>,
    pub(super) poller: Poller,
    pub(super) episodes: Episodes,
    pub(super) slots: Slots,
    pub(super) absent: Absent,
    pub(super) called: Called,
    pub(super) counts: Counts,
    pub(super) remarks: Remarks,
    /// The backend that was started over the client. It must not be kept alive by its client.
    backend: Mutex<Weak<Shared>>,
}

/// Where flags come from.
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
        let has_keys = http.project_key.is_some() && http.flags_key.is_some();
        let polls = has_keys && settings.mode != FlagMode::Remote;
        Self {
            polls,
            ..Self::new(settings, Source::Client(http), None)
        }
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
            polls: false,
            definitions: ArcSwapOption::new(definitions),
            poller: Poller::default(),
            episodes: Episodes::default(),
            slots: Slots::default(),
            absent: Absent::default(),
            called: Called::default(),
            counts: Counts::default(),
            remarks: Remarks::default(),
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

    /// Why definitions are never loaded; `None`: they are, or they never change.
    pub(super) fn never_loads(&self) -> Option<&'static str> {
        match &self.source {
            Source::Client(_) if self.polls => None,
            Source::Client(_) if self.settings.mode == FlagMode::Remote => {
                Some("the setting is `FlagMode::Remote`")
            }
            Source::Client(http) if http.project_key.is_none() => Some(
                "no project API key is given; give it with `project_api_key` or POSTHOG_API_KEY",
            ),
            Source::Client(_) => Some(
                "no key that may read definitions is given; give one with `feature_flags_secret_key` or \
                 POSTHOG_FEATURE_FLAGS_SECRET_KEY",
            ),
            Source::Disabled => {
                Some("there is no project API key, or PostHog is disabled; set POSTHOG_API_KEY")
            }
            Source::Fixed => None,
        }
    }

    pub(super) fn http(&self) -> Option<&Arc<Http>> {
        match &self.source {
            Source::Client(http) => Some(http),
            Source::Fixed | Source::Disabled => None,
        }
    }

    pub(super) fn stats(&self) -> FlagStats {
        let (definitions_age, load_error) = self.poller.health();
        FlagStats {
            flags: self.definitions.load().as_ref().map_or(0, |it| it.len()),
            definitions_age,
            load_error,
            ..FlagStats::of(&self.counts)
        }
    }
}

/// Neither definitions, which may be large, nor the client, which shows itself.
impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("settings", &self.settings)
            .field("poller", &self.poller)
            .finish_non_exhaustive()
    }
}
