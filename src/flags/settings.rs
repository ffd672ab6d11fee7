//! [`FlagSettings`]: how flags are evaluated, for one client.

use crate::capture::clock::ClockSource;
use crate::capture::{Clock, GeoIp};
use crate::error::PostHogError;
use crate::words::words;
use std::time::Duration;

/// Where flags are evaluated. As text: `auto`, `remote`, `local_only`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FlagMode {
    /// In this process, if the client has a key that may read definitions. An awaited evaluation then requests flags
    /// that are undecided here from PostHog: one request for all of them. Without such a key, by PostHog.
    #[default]
    Auto,
    /// By PostHog. Definitions are never loaded.
    Remote,
    /// In this process. No flags are requested from PostHog: those that are undecided here stay
    /// [unresolved](crate::FlagEvaluations::unresolved).
    ///
    /// Choose it for a service that evaluates [`locally`](crate::Evaluate::locally) only: a forgotten key is then an
    /// error when the client is built. Where [`start_from_env`](crate::PostHogBuilder::start_from_env) finds no
    /// `POSTHOG_API_KEY` it is none.
    LocalOnly,
}

words! { FlagMode, "flag mode": Auto = "auto", Remote = "remote", LocalOnly = "local_only", }

/// Which flags of an attached snapshot events carry. As text: `accessed`, `all`, `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum FlagsOnEvents {
    /// Those that the program has read.
    #[default]
    Accessed,
    /// All of the snapshot.
    All,
    /// None.
    None,
}

words! { FlagsOnEvents, "flags on events": Accessed = "accessed", All = "all", None = "none", }

/// How a client evaluates flags; set by [`PostHogClientBuilder::flags`](crate::PostHogClientBuilder::flags) or
/// [`PostHogBuilder::flags`](crate::PostHogBuilder::flags).
///
/// | setting | default |
/// |---|---|
/// | [`mode`](Self::mode) | [`FlagMode::Auto`] |
/// | [`poll_interval`](Self::poll_interval) | 30 s |
/// | [`request_timeout`](Self::request_timeout) | 3 s |
/// | [`request_retries`](Self::request_retries) | 1 |
/// | [`definitions_timeout`](Self::definitions_timeout) | 10 s |
/// | [`geoip`](Self::geoip) | off |
/// | [`called_events`](Self::called_events) | `true` |
/// | [`on_events`](Self::on_events) | [`FlagsOnEvents::Accessed`] |
#[derive(Debug, Clone)]
#[must_use]
pub struct FlagSettings {
    pub(crate) mode: FlagMode,
    pub(crate) poll_interval: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) request_retries: u32,
    pub(crate) definitions_timeout: Duration,
    pub(crate) geoip: GeoIp,
    pub(crate) called_events: bool,
    pub(crate) on_events: FlagsOnEvents,
    pub(crate) clock: ClockSource,
}

impl Default for FlagSettings {
    fn default() -> Self {
        Self {
            mode: FlagMode::default(),
            poll_interval: Duration::from_secs(30),
            request_timeout: Duration::from_secs(3),
            request_retries: 1,
            definitions_timeout: Duration::from_secs(10),
            geoip: GeoIp::default(),
            called_events: true,
            on_events: FlagsOnEvents::default(),
            clock: ClockSource::default(),
        }
    }
}

impl FlagSettings {
    /// Where flags are evaluated. Default [`FlagMode::Auto`].
    pub fn mode(mut self, mode: FlagMode) -> Self {
        self.mode = mode;
        self
    }

    /// How often definitions are loaded again, give or take a tenth. Default 30 s; at least 1 s.
    ///
    /// Each load that finds changed definitions counts as ten flag requests on PostHog's bill; one that finds none, as
    /// none.
    pub fn poll_interval(mut self, interval: Duration) -> Self {
        self.poll_interval = interval;
        self
    }

    /// How long one attempt of a request for flags may take, and how long an awaited evaluation waits for the first
    /// load of the definitions. Default 3 s. With one retry a request takes at most 6.3 s.
    /// At most 100 requests of a client are on the wire at once; further ones wait for as long as this, and then fail.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How often a request for flags is tried again after timeouts, broken connections, 502 and 504, as PostHog
    /// specifies it. The first wait is 300 ms, and doubles. Default 1; 0 for none.
    pub fn request_retries(mut self, retries: u32) -> Self {
        self.request_retries = retries;
        self
    }

    /// How long one load of definitions may take, and how long [`ready`](crate::FeatureFlags::ready) may wait. Default
    /// 10 s.
    pub fn definitions_timeout(mut self, timeout: Duration) -> Self {
        self.definitions_timeout = timeout;
        self
    }

    /// Whether PostHog looks up where somebody is by the address that a request for flags comes from, which is the
    /// server's. Default [`GeoIp::Off`].
    pub fn geoip(mut self, geoip: GeoIp) -> Self {
        self.geoip = geoip;
        self
    }

    /// Whether the first read of a flag is captured as `$feature_flag_called`. PostHog's experiments and the usage
    /// page of a flag count these. Default `true`.
    pub fn called_events(mut self, capture: bool) -> Self {
        self.called_events = capture;
        self
    }

    /// Which flags of an attached snapshot events carry. Default [`FlagsOnEvents::Accessed`].
    pub fn on_events(mut self, flags: FlagsOnEvents) -> Self {
        self.on_events = flags;
        self
    }

    /// The time for relative dates in conditions, such as "less than 30 days ago". Default: the system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = ClockSource::custom(clock);
        self
    }

    pub(crate) fn check(&self) -> Result<(), PostHogError> {
        for (setting, value, least) in [
            (
                "flags.poll_interval",
                self.poll_interval,
                Duration::from_secs(1),
            ),
            (
                "flags.request_timeout",
                self.request_timeout,
                Duration::from_millis(1),
            ),
            (
                "flags.definitions_timeout",
                self.definitions_timeout,
                Duration::from_millis(1),
            ),
        ] {
            if value < least {
                return Err(PostHogError::config(
                    setting,
                    format!("{value:?} is too short; give at least {least:?}"),
                ));
            }
        }
        Ok(())
    }
}
