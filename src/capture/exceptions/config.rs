//! The settings that the actor needs.

use super::limiter::{Admission, At, Limiter};
use crate::capture::watch::Lookout;
use crate::config::environment;
use crate::trace_ids::Provider;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

/// Settings of one backend's exceptions, as the actor needs them.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Within this time the same error in the same scope is a duplicate. Zero: never.
    pub(crate) dedupe_window: Duration,
    /// Whether the texts of errors are scrubbed.
    pub(crate) scrub: bool,
    pub(crate) symbols: Symbols,
    /// Crates whose frames are the program's own, beside those that are found out.
    pub(crate) own_crates: Vec<Box<str>>,
    pub(crate) release_id: Option<Box<str>>,
    pub(crate) stacks: Stacks,
    pub(crate) max_frames: usize,
    pub(crate) panics: bool,
    pub(crate) panic_flush: PanicFlush,
    /// How many exceptions of one type and callsite come through at once, and after what time one more.
    pub(crate) burst: u32,
    pub(crate) period: Duration,
    pub(crate) trace_ids: Provider,
}

/// Which exceptions get a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Stacks {
    /// All, except those whose error brings its own.
    #[default]
    All,
    /// Panics, and errors that bring their own.
    OnlyPanics,
    /// None. An exception stands at its callsite.
    None,
}

/// Who finds the names, files and lines of a stack's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Symbols {
    /// This process, where its program file has debug information; PostHog for the other frames, if symbols were
    /// uploaded.
    #[default]
    Here,
    /// PostHog, with symbols that were uploaded. The process sends addresses only.
    PostHog,
}

/// When the panic hook waits until events are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PanicFlush {
    /// Where the panic ends the process, as far as the hook can know: on the main thread but in no task of tokio, with
    /// `panic = "abort"`, and where it cannot unwind, as in a destructor that runs because of another panic. Waits at most
    /// for this time.
    WhenFatal(Duration),
    /// At every panic, at most for this time. For programs whose own panic hook ends the process.
    Always(Duration),
    /// Never.
    Never,
}

impl Default for PanicFlush {
    /// Where the panic ends the process, at most for 2 s.
    fn default() -> Self {
        Self::WhenFatal(Duration::from_secs(2))
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            dedupe_window: Duration::from_secs(1),
            scrub: true,
            symbols: Symbols::Here,
            own_crates: Vec::new(),
            release_id: environment::release_id().map(Into::into),
            stacks: Stacks::default(),
            max_frames: 64,
            panics: false,
            panic_flush: PanicFlush::default(),
            burst: 50,
            period: Duration::from_secs(1),
            trace_ids: Provider::default(),
        }
    }
}

/// What the handles, layers and encoders of a backend share: the settings, once somebody made them, and the token buckets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Configured(Arc<State>);

#[derive(Debug, Default)]
struct State {
    config: OnceLock<Config>,
    defaults: OnceLock<Config>,
    limiter: Arc<Limiter>,
}

impl Configured {
    /// The settings; the defaults, as long as nobody made any.
    pub(crate) fn get(&self) -> &Config {
        let made = self.0.config.get();
        made.unwrap_or_else(|| self.0.defaults.get_or_init(Config::default))
    }

    /// Whether somebody made settings.
    pub(crate) fn is_set(&self) -> bool {
        self.0.config.get().is_some()
    }

    /// Makes the settings. False: they were made before, and stay.
    pub(crate) fn set(&self, config: Config) -> bool {
        self.0.config.set(config).is_ok()
    }

    /// Asks the token bucket of that type and callsite.
    pub(crate) fn admit(&self, key: u64, at: At<'_>) -> Admission {
        self.0.limiter.admit(key, at, self.get())
    }

    /// Whether the actor should look at what was held back. True once for each piece of news.
    pub(crate) fn take_news(&self) -> bool {
        self.0.limiter.take_news()
    }

    /// Who says what was held back.
    pub(crate) fn lookout(&self) -> Weak<dyn Lookout> {
        let limiter: Weak<Limiter> = Arc::downgrade(&self.0.limiter);
        limiter
    }
}
