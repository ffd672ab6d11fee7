//! [`Errors`]: the settings of error tracking.

use super::Selection;
use crate::capture::exceptions::{Config, PanicFlush, Stacks, Symbols};
use crate::trace_ids::{Provider, TraceIds};
use std::sync::Arc;
use std::time::Duration;
use tracing::Metadata;
use tracing::level_filters::LevelFilter;

/// Settings of error tracking. Off until they are given to [`PostHogBuilder::errors`](crate::PostHogBuilder::errors) or
/// [`PostHogLayerBuilder::errors`](crate::PostHogLayerBuilder::errors).
///
/// ```no_run
/// use tracing_posthog::{Errors, PostHog};
/// use tracing_subscriber::prelude::*;
///
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// let (layer, posthog) = PostHog::builder().errors(Errors::new().panics(true)).start_from_env()?;
/// tracing_subscriber::registry().with(layer).init();
///
/// let failed = std::fs::read("missing").unwrap_err();
/// tracing::error!(error = &failed as &dyn std::error::Error, "cannot read the menu");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "settings do nothing until they are given to a builder"]
pub struct Errors {
    pub(crate) selection: Selection,
    pub(crate) config: Config,
}

impl Default for Errors {
    fn default() -> Self {
        Self::new()
    }
}

impl Errors {
    /// The default settings: `error!` events of the program's own code become exceptions with a stack; panics do not.
    pub fn new() -> Self {
        Self {
            selection: Selection::default(),
            config: Config::default(),
        }
    }

    /// The least severe level of events that become exceptions. Default `ERROR`.
    pub fn level(mut self, level: impl Into<LevelFilter>) -> Self {
        self.selection.level = level.into();
        self
    }

    /// Lets events of a dependency become exceptions, by their target: a module path, those of its submodules included.
    ///
    /// ```
    /// # use tracing_posthog::Errors;
    /// let errors = Errors::new().allow_target("sqlx").deny_target("shop::legacy");
    /// ```
    pub fn allow_target(mut self, target: impl AsRef<str>) -> Self {
        self.selection.allowed.push(target.as_ref().into());
        self
    }

    /// Keeps events of that target, and of targets below it, from becoming exceptions. Wins over
    /// [`allow_target`](Self::allow_target).
    pub fn deny_target(mut self, target: impl AsRef<str>) -> Self {
        self.selection.denied.push(target.as_ref().into());
        self
    }

    /// Asks `wanted` for each callsite that would become an exception, and remembers the answer. False: it does not.
    pub fn filter(
        mut self,
        wanted: impl Fn(&Metadata<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.selection.filter = Some(Arc::new(wanted));
        self
    }

    /// Which exceptions get a stack. Default [`Stacks::All`].
    pub fn stacks(mut self, stacks: Stacks) -> Self {
        self.config.stacks = stacks;
        self
    }

    /// How many frames of a stack are kept, the innermost ones. Default 64, at most 256.
    pub fn max_frames(mut self, frames: usize) -> Self {
        self.config.max_frames = frames.min(super::stack::MAX_FRAMES);
        self
    }

    /// Who finds the names of frames. Default [`Symbols::Here`].
    pub fn symbols(mut self, symbols: Symbols) -> Self {
        self.config.symbols = symbols;
        self
    }

    /// A crate whose frames are the program's own, beside those that the crate finds out: crates outside of cargo's
    /// registry and checkouts whose source file is known, and crates that emit events of their own.
    pub fn own_crate(mut self, name: impl AsRef<str>) -> Self {
        self.config
            .own_crates
            .push(name.as_ref().replace('-', "_").into());
        self
    }

    /// Whether panics become exceptions. Default `false`. The panic hook that was there before still runs. See
    /// [`PostHog::install_panic_hook`](crate::PostHog::install_panic_hook).
    pub fn panics(mut self, panics: bool) -> Self {
        self.config.panics = panics;
        self
    }

    /// When the panic hook waits until events are delivered. Default: where the panic ends the process, for at most 2 s.
    pub fn panic_flush(mut self, flush: PanicFlush) -> Self {
        self.config.panic_flush = flush;
        self
    }

    /// How many exceptions of one type and callsite are captured: `burst` at once, then one more each `period`. Default
    /// 50, then one each second. A `burst` of 0 counts as 1; a `period` of zero is no limit. Further ones are counted as dropped
    /// ([`DropReason::RateLimited`](crate::DropReason::RateLimited)).
    pub fn rate_limit(mut self, burst: u32, period: Duration) -> Self {
        self.config.burst = burst.max(1);
        self.config.period = period;
        self
    }

    /// Within this time, an error that was captured already and is logged again further out is dropped
    /// ([`DropReason::Duplicate`](crate::DropReason::Duplicate)): within the same outermost span. Outside of spans the thread
    /// takes its place, and a tenth of the time counts. Default 1 s. Zero: all are captured.
    ///
    /// It is the same error if the text is the same, also of a source, or stands at the end of a message, and if the callsite
    /// is another one.
    pub fn duplicate_window(mut self, window: Duration) -> Self {
        self.config.dedupe_window = window;
        self
    }

    /// Whether texts of errors are sent without what looks like credentials: passwords in URLs, values of names such as
    /// `password` and `token`. Default `true`.
    pub fn scrub(mut self, scrub: bool) -> Self {
        self.config.scrub = scrub;
        self
    }

    /// The release that PostHog shows the exceptions in (`$release_id`). Default: the environment variable
    /// `POSTHOG_RELEASE_ID` at the start of the program.
    pub fn release_id(mut self, id: impl AsRef<str>) -> Self {
        self.config.release_id = Some(id.as_ref().into());
        self
    }

    /// How many log events before an exception are sent with it (`$exception_steps`): those of the same outermost span,
    /// at `INFO` or more severe. Default 0, at most 100.
    ///
    /// Each log event then costs the caller the text of its message, kept in memory while the span is open.
    pub fn steps(mut self, steps: usize) -> Self {
        self.selection.steps = steps.min(100);
        self
    }

    /// Where trace and span ids of exceptions come from (`$trace_id`, `$span_id`). `ids` is called on the thread that
    /// captures, within the span. If it panics, the exception has no ids.
    ///
    /// Default: those of [`PostHogLayerBuilder::trace_ids`](crate::PostHogLayerBuilder::trace_ids); where these are not set
    /// and the feature `opentelemetry` is on, the current context of OpenTelemetry.
    pub fn trace_ids(mut self, ids: impl Fn() -> Option<TraceIds> + Send + Sync + 'static) -> Self {
        self.config.trace_ids = Provider::new(ids);
        self
    }
}
