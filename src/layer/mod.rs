//! [`PostHogLayer`]: `tracing` events and spans into PostHog events.
//!
//! ```text
//!  every span and event of the program
//!        │
//!   [interest] ── Ignore ──► nothing more happens (one or two atomic loads)
//!        │ Context, Event
//!        ├─ span opened, recorded ─[visit]─► encoded fields ──► [span_store], until the span closes
//!        ├─ event ─[visit]─► record: its own fields, then its callsite, then each span outwards, then defaults
//!        └─ timed span closed ────► record: the span's fields and duration, then the same
//!                                        │
//!                                        ▼
//!                              `capture::handle::Shared::record` ──► queue
//! ```
//!
//! - [`builder`]: the options, such as the level and the span fields that are let through.
//! - [`interest`]: what a callsite is to the layer (`Ignore`, `Context`, `Event`), decided once and remembered.
//! - [`seen_spans`]: which callsites of spans were shown to the layer at all.
//! - [`fields`]: the `posthog.*` grammar: what the name of a field means.
//! - [`mapping`]: plain span fields that the options take for identity.
//! - [`visit`]: writes the values of fields into a record.
//! - [`span_store`]: what the layer keeps of open spans, apart from the registry.
//! - [`state`]: what is reached from outside the callbacks, and what a layer leaves to the one that replaces it.
//! - [`context`]: [`PostHogContext`], what holds at a place of the program, to be read back.
//! - [`span_ext`]: [`PostHogSpanExt`], which sets identity on spans that declared no field for it.
//! - [`shared_fields`]: fields that several spans hold at once, and that change for all of them, such as feature flags.
//! - `exceptions`: events that become exceptions, `capture_error`, the panic hook (feature `errors`).
//! - `steps`: log events that are kept for the exceptions after them (feature `errors`).
//! - [`lookup`]: finds the nearest span of ours around an event or a span.
//! - [`hidden`]: says where a filter hides analytics events from the whole subscriber.
//! - [`capture`]: what happens at the spans and events that are ours. The `Layer` implementation below only decides.
//!
//! The record is read on the actor's thread (`capture::encode`), which lets the nearest value of each name win.
//!
//! Invariants:
//! - What a callsite is to the layer follows from its field names, its level and the options alone. It is decided once
//!   and remembered, so spans and events that do not concern the layer cost next to nothing.
//! - Other layers see what they would see without this one: it filters nothing, and gives a level hint only where that
//!   cannot hide anything from them.
//! - Code of the program (`Debug`, `Display`, error sources) runs outside the locks of spans and of the queue. A panic
//!   in it costs that field.
//! - No lock of another layer, and nothing that another layer leaves poisoned, can block or hurt this one: it does not
//!   touch the extensions of spans.
//! - Nothing is logged from within a callback. The actor warns of mistakes in fields when it encodes the event.

mod builder;
mod capture;
mod context;
#[cfg(feature = "errors")]
mod exceptions;
mod fields;
mod hidden;
mod interest;
mod lookup;
mod mapping;
mod seen_spans;
mod shared_fields;
mod span_ext;
mod span_store;
mod state;
#[cfg(feature = "errors")]
mod steps;
mod visit;

pub use builder::{PostHogLayerBuilder, SpanFields};
pub use context::PostHogContext;
#[cfg(feature = "flags")]
pub(crate) use shared_fields::{SharedFields, attach};
pub use span_ext::PostHogSpanExt;

use crate::capture::CaptureHandle;
use crate::trace_ids::Provider;
use builder::Extras;
use hidden::Hidden;
use interest::{Interest, Interests, Rules};
use span_store::TimedSpan;
use state::LayerState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, Layered};
use tracing_subscriber::registry::LookupSpan;

/// A `tracing` layer that captures events and spans which carry the field `posthog.event`.
///
/// Everything else passes by: other spans and events cost next to nothing more, and other layers see
/// what they saw. Add it **last**, after filters and filtered layers, and as it is, in no `Option`,
/// `Box` or `and_then`: then it can tell `tracing` how little it wants. (Where there is nothing to capture,
/// it disables itself; see [`from_env`](Self::from_env) and [`CaptureHandle::disabled`].)
///
/// ```no_run
/// use tracing_posthog::PostHogLayer;
/// use tracing_subscriber::prelude::*;
///
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// let (layer, _posthog) = PostHogLayer::from_env()?; // POSTHOG_API_KEY, POSTHOG_HOST
/// tracing_subscriber::registry().with(layer).init();
///
/// tracing::info!(posthog.event = "signup", posthog.distinct_id = "user_42", plan = "pro");
/// # Ok(())
/// # }
/// ```
///
/// # Macros
///
/// All forms of `tracing`'s macros work, with one exception of `tracing`'s own: after `name:` or
/// `target:` alone, `info!` and its like take no dotted field first. Put another first, or use braces.
///
/// ```
/// # use tracing::{event, info, Level};
/// info!(target: "billing", plan = "pro", posthog.event = "signup");
/// info!(target: "billing", { posthog.event = "signup", plan = "pro" }, "a user signed up");
/// event!(target: "billing", Level::INFO, posthog.event = "signup", plan = "pro");
/// ```
/// ```compile_fail
/// tracing::info!(target: "billing", posthog.event = "signup", plan = "pro");
/// ```
/// ```compile_fail
/// tracing::info!(name: "billing", posthog.event = "signup", plan = "pro");
/// ```
///
/// # Levels
///
/// What is more verbose than [`max_level`](PostHogLayerBuilder::max_level) (default `INFO`) does not exist for this
/// layer: events and spans there are not captured, and spans say nothing about the events within, whether or not other
/// layers see them. A span with `posthog.*` fields at such a level is reported once, by a warning.
///
/// A span that a filter of the whole subscriber disables does not exist for any layer.
///
/// # Limits
///
/// A span keeps up to 64 KiB of fields; what is more is left out.
///
/// # One subscriber
///
/// A layer belongs to one subscriber: it keeps what it knows of open spans by their ids, which are unique within a
/// subscriber only. For several subscribers make several layers; they may share a handle.
///
/// A layer that is replaced within a [`reload`](tracing_subscriber::reload) hands the open spans over to the new one, if
/// that has the same handle: identity and spans that become events go on.
///
/// # Filters
///
/// The layer needs none: it looks at the names of the fields. A filter on it
/// (`posthog.with_filter(…)`) works, and identity of enclosing spans is found even where the filter
/// hides the spans between (but not in an `Option` or `Vec` under a subscriber that is no global default:
/// `tracing` does not tell such layers where they are); but it makes every span of the program dearer.
///
/// A filter of the whole subscriber hides analytics events too: `fmt().with_env_filter(…)` and
/// `registry().with(EnvFilter::from_default_env())` let none through that is below `ERROR` while `RUST_LOG` is unset.
/// Put such a filter on the log layer alone:
///
/// ```
/// # fn f(posthog: tracing_posthog::PostHogLayer) {
/// use tracing_subscriber::{EnvFilter, fmt, prelude::*};
///
/// tracing_subscriber::registry()
///     .with(fmt::layer().with_filter(EnvFilter::from_default_env()))
///     .with(posthog)
///     .init();
/// # }
/// ```
///
/// Where events are hidden all the same, the crate logs an error with the target `tracing_posthog`, once for each
/// callsite, some 300 ms after it was reached or at a flush or shutdown: which callsite, its level, and this remedy. If
/// the filter hides that target too, the line goes to the standard error. What cannot be known is not said: filters that
/// decide by spans or values, and callsites that a filter *above* this layer hides by their target. Of such a filter only
/// a limited level is said; so add this layer last.
#[derive(Debug)]
#[must_use = "a layer does nothing until it is part of a subscriber"]
pub struct PostHogLayer {
    handle: CaptureHandle,
    interests: Interests,
    extras: Extras,
    state: Arc<LayerState>,
    hidden: Arc<Hidden>,
    /// Asked for every event, if it is given.
    trace_ids: Provider,
    /// Whether there ever was a span that becomes an event, or may be one of a layer that this one replaces. Stands here
    /// because every span that is entered and left asks.
    has_timed: AtomicBool,
}

impl PostHogLayer {
    /// A layer with the default options.
    pub fn new(handle: CaptureHandle) -> Self {
        Self::builder(handle).build()
    }

    /// Options of a layer over that handle.
    pub fn builder(handle: CaptureHandle) -> PostHogLayerBuilder {
        PostHogLayerBuilder::new(handle)
    }

    /// Whether events are captured: not disabled, not opted out and not shut down.
    pub fn is_enabled(&self) -> bool {
        self.handle.is_enabled()
    }

    /// The handle this layer captures with.
    pub fn handle(&self) -> &CaptureHandle {
        &self.handle
    }

    fn from_builder(builder: PostHogLayerBuilder) -> Self {
        let hidden = Arc::new(Hidden::new(builder.max_level));
        builder.handle.watch(&hidden);
        #[cfg(feature = "errors")]
        let steps = {
            let errors = builder.errors.as_ref();
            let most = errors.map_or(0, |errors| errors.selection.steps);
            let enabled = !builder.handle.is_disabled();
            steps::Steps::new(if enabled { most } else { 0 }, builder.max_level)
        };
        let state = LayerState::new(
            &builder.handle,
            builder.fallback,
            #[cfg(feature = "errors")]
            steps,
        );
        let rules = Rules {
            enabled: !builder.handle.is_disabled(),
            max_level: builder.max_level,
            span_fields: builder.span_fields,
            mapping: builder.mapping,
            #[cfg(feature = "errors")]
            exceptions: builder.errors.map(|mut errors| {
                if !errors.config.trace_ids.is_given() {
                    errors.config.trace_ids = builder.trace_ids.clone();
                }
                let panics = errors.config.panics;
                builder.handle.configure_exceptions(errors.config);
                if panics {
                    builder.handle.install_panic_hook();
                }
                errors.selection
            }),
        };
        Self {
            interests: Interests::new(rules, Arc::clone(&state.seen)),
            has_timed: AtomicBool::new(state.may_replace_another()),
            state,
            handle: builder.handle,
            extras: builder.extras,
            trace_ids: builder.trace_ids,
            hidden,
        }
    }
}

// One call and nothing after it, so that what is not ours pays for no saved registers.
impl PostHogLayer {
    #[inline(never)]
    fn open_if_ours<S>(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let interest = self.interests.of(attributes.metadata());
        if let Interest::Context | Interest::Event = interest {
            self.open_span(attributes, id, ctx, interest);
        }
    }

    #[inline(never)]
    fn capture_if_ours<S>(&self, event: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let interest = self.interests.of(event.metadata());
        #[cfg(feature = "errors")]
        if self.state.steps.is_some() {
            return self.capture_and_keep(event, &ctx, interest);
        }
        self.capture_as(event, &ctx, interest);
    }

    #[inline]
    fn capture_as<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>, interest: Interest)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        match interest {
            Interest::Ignore | Interest::Context => {}
            Interest::Event => self.capture_event(event, ctx),
            #[cfg(feature = "errors")]
            Interest::Exception => self.capture_exception(event, ctx),
            #[cfg(feature = "errors")]
            Interest::EventAndException => {
                self.capture_event(event, ctx);
                self.capture_exception(event, ctx);
            }
            #[cfg(feature = "errors")]
            Interest::Step => {}
        }
    }

    /// The same, and keeps the event for the exceptions after it.
    #[cfg(feature = "errors")]
    #[inline(never)]
    fn capture_and_keep<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>, interest: Interest)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.capture_as(event, ctx, interest);
        if interest != Interest::Ignore {
            self.keep_step(event, ctx);
        }
    }
}

/// A `reload` may have put another layer in its place.
impl Drop for PostHogLayer {
    fn drop(&mut self) {
        self.state.hand_over();
    }
}

impl<S> Layer<S> for PostHogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.state.installed::<S>(dispatch);
        self.handle.on_subscriber(dispatch);
        let directly = dispatch.downcast_ref::<Layered<Self, S>>().is_some();
        if !self.handle.is_disabled() && self.hidden.joined(dispatch, directly) {
            self.handle.look_later();
        }
    }

    /// Wants everything, as a layer without this method does; but remembers where analytics events come from.
    fn register_callsite(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> tracing::subscriber::Interest {
        // By the rules alone: whether the callsite is ever reached is not known yet.
        let interest = self.interests.rules().interest_in(metadata);
        if interest == Interest::Event && self.hidden.registered(metadata) {
            self.handle.look_later();
        }
        tracing::subscriber::Interest::always()
    }

    /// The most verbose hint of all layers counts for all of them, and "no hint" means "no wish", not
    /// "everything": a hint of ours beside an unfiltered layer would hide from that layer what we do not
    /// want. So there is one only where we stand by ourselves (in no `and_then`, `Option`, `Vec`) over
    /// layers that give one now (they may be reloaded). `OFF` is what a layer that is `None` says.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        let Some(dispatch) = self.state.dispatch() else {
            // In an `Option`, which does not tell. Nor may callsites be registered, where the hint of others is low.
            if !self.handle.is_disabled() && self.hidden.wants_a_look() {
                self.handle.look_later();
            }
            return None;
        };
        let dispatch = dispatch.upgrade()?;
        dispatch.downcast_ref::<Layered<Self, S>>()?;
        let below = dispatch.downcast_ref::<S>()?.max_level_hint()?;
        let rules = self.interests.rules();
        (below != LevelFilter::OFF).then_some(match rules.enabled {
            true => rules.verbosest(),
            false => LevelFilter::OFF,
        })
    }

    // Every span and event of the program comes through here. What follows for one that is ours stands
    // in functions of its own, so that the others pay for no more than the look.

    #[inline]
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if !self.interests.is_ignored(attributes.metadata()) {
            self.open_if_ours(attributes, id, ctx);
        }
    }

    #[inline]
    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        if self.state.spans.may_contain(id) {
            self.record_span(id, values, ctx);
        }
    }

    #[inline]
    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if self.has_timed.load(Relaxed) && self.state.spans.may_be_timed(id) {
            self.with_timed(id, ctx, TimedSpan::enter);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        if self.has_timed.load(Relaxed) && self.state.spans.may_be_timed(id) {
            self.with_timed(id, ctx, TimedSpan::exit);
        }
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if !self.interests.is_ignored(event.metadata()) {
            self.capture_if_ours(event, ctx);
        }
    }

    #[inline]
    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        #[cfg(feature = "errors")]
        if let Some(steps) = &self.state.steps {
            steps.close(&id);
        }
        if self.state.spans.may_contain(&id) {
            self.close_span(id, ctx);
        }
    }
}
