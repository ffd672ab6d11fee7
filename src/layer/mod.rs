//! [`PostHogLayer`]: `tracing` events and spans into PostHog events.

mod builder;
mod callsites;
mod fields;
mod span;
mod visit;

pub use builder::{PostHogLayerBuilder, SpanFields};

use crate::capture::record::{Key, Record, Slot, merge, millis};
use crate::capture::sites::{self, Site};
use crate::capture::{CaptureBuilder, CaptureHandle, EventCaptureBackend, PostHogGuard};
use crate::client::PostHogClientBuilder;
use crate::error::PostHogError;
use builder::Extras;
use callsites::{Known, Timed};
use span::{Encoded, SpanData, SpanSlots, TimedSpan, context_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use tracing::dispatcher::WeakDispatch;
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, Layered};
use tracing_subscriber::registry::{LookupSpan, SpanRef};
use visit::{Names, Numbers, SpanNumbers, Visitor};

/// A `tracing` layer that captures events and spans which carry the field `posthog.event`.
///
/// Everything else passes by: other spans and events cost what they cost without it, and other layers
/// see what they saw. Add it **last**, after filters and filtered layers, and as it is, in no `Option`,
/// `Box` or `and_then`: then it can tell `tracing` how little it wants. (Where there is nothing to capture,
/// it disables itself; see [`from_env`](Self::from_env) and [`disabled`](Self::disabled).)
///
/// ```no_run
/// use tracing_posthog::PostHogLayer;
/// use tracing_subscriber::prelude::*;
///
/// # fn main() -> Result<(), tracing_posthog::PostHogError> {
/// let (posthog, _guard) = PostHogLayer::from_env()?; // POSTHOG_API_KEY, POSTHOG_HOST
/// tracing_subscriber::registry().with(posthog).init();
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
/// Analytics events more verbose than [`max_level`](PostHogLayerBuilder::max_level) (default `INFO`) are
/// not captured. A span that no layer wants does not exist, and its identity neither: where all layers
/// are filtered to `INFO`, put `posthog.distinct_id` on no `debug` span.
///
/// # Limits
///
/// A span keeps up to 64 KiB of fields; what is more is left out.
///
/// # Filters
///
/// The layer needs none: it looks at the names of the fields. A filter on it
/// (`posthog.with_filter(…)`) works, and identity of enclosing spans is found even where the filter
/// hides the spans between (but not in an `Option` or `Vec` under a subscriber that is no global default:
/// `tracing` does not tell such layers where they are); but it makes every span of the program dearer.
#[derive(Debug)]
pub struct PostHogLayer {
    /// Tells this layer's data in a span from another's.
    id: u64,
    handle: CaptureHandle,
    max_level: LevelFilter,
    span_fields: SpanFields,
    extras: Extras,
    fallback: Vec<u8>,
    unwanted: Known,
    wanted: Known,
    timed: Timed,
    dispatch: OnceLock<WeakDispatch>,
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

    /// A layer that captures nothing, costs nothing and leaves other layers alone.
    pub fn disabled() -> Self {
        Self::new(CaptureHandle::disabled())
    }

    /// Everything from the environment: `POSTHOG_API_KEY` (the project API key) and `POSTHOG_HOST`
    /// (default PostHog Cloud US). Without a key the layer is disabled; see
    /// [`is_enabled`](Self::is_enabled).
    ///
    /// Keep the guard in `main`: dropping it delivers what is left, for at most 5 s.
    ///
    /// # Errors
    /// [`PostHogError::Config`], naming the variable or setting, where one is malformed;
    /// [`PostHogError::Start`] where the system gives no thread.
    pub fn from_env() -> Result<(Self, PostHogGuard), PostHogError> {
        Self::from_env_with(|capture| capture)
    }

    /// Like [`from_env`](Self::from_env), with settings of your own.
    ///
    /// # Errors
    /// As [`from_env`](Self::from_env).
    ///
    /// ```no_run
    /// # fn main() -> Result<(), tracing_posthog::PostHogError> {
    /// use tracing_posthog::PostHogLayer;
    /// let (posthog, guard) = PostHogLayer::from_env_with(|capture| {
    ///     capture.default_property("app_version", env!("CARGO_PKG_VERSION"))
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_env_with(
        settings: impl FnOnce(CaptureBuilder) -> CaptureBuilder,
    ) -> Result<(Self, PostHogGuard), PostHogError> {
        let client = PostHogClientBuilder::from_env()?;
        let handle = if client.has_project_key() {
            settings(EventCaptureBackend::builder(client.build()?)).start()?
        } else {
            CaptureHandle::disabled()
        };
        Ok((Self::new(handle.clone()), handle.into_guard()))
    }

    /// Whether events are captured: not disabled and not opted out.
    pub fn is_enabled(&self) -> bool {
        self.handle.is_enabled()
    }

    /// The handle this layer captures with.
    pub fn handle(&self) -> &CaptureHandle {
        &self.handle
    }

    fn from_builder(builder: PostHogLayerBuilder) -> Self {
        static LAYERS: AtomicU64 = AtomicU64::new(0);
        Self {
            id: LAYERS.fetch_add(1, Relaxed),
            handle: builder.handle,
            max_level: builder.max_level,
            span_fields: builder.span_fields,
            extras: builder.extras,
            fallback: builder.fallback,
            unwanted: Known::new(),
            wanted: Known::new(),
            timed: Timed::new(),
            dispatch: OnceLock::new(),
        }
    }

    /// Whether the callsite concerns us. Its field names and level never change, so the answer is
    /// remembered; in two places, so that ours do not push out the many others.
    #[inline]
    fn wants(&self, metadata: &'static Metadata<'static>) -> bool {
        !self.unwanted.contains(metadata)
            && (self.wanted.contains(metadata) || self.looks_wanted(metadata))
    }

    #[inline(never)]
    fn looks_wanted(&self, metadata: &'static Metadata<'static>) -> bool {
        let mut names = metadata.fields().iter().map(|f| f.name());
        let wanted = !self.handle.is_disabled()
            && if metadata.is_event() {
                *metadata.level() <= self.max_level && names.any(|name| name == fields::EVENT)
            } else {
                names.any(|name| fields::is_ours(name) || self.span_fields.allows(name))
            };
        match wanted {
            true => self.wanted.add(metadata),
            false => self.unwanted.add(metadata),
        }
        wanted
    }

    fn becomes_event(&self, metadata: &Metadata<'_>, site: Option<&Site>) -> bool {
        *metadata.level() <= self.max_level
            && match site {
                Some(site) => site.names_event(),
                None => metadata.fields().field(fields::EVENT).is_some(),
            }
    }

    /// Writes the event's own fields: by number, where their callsite has one.
    fn add_fields(&self, event: &Event<'_>, record: &mut Record) {
        let metadata = event.metadata();
        let message = self.extras.message;
        match sites::of(metadata, fields::meaning) {
            Some(site) => {
                record.site(site);
                let but = match message {
                    true => None,
                    false => site.message(),
                };
                event.record(&mut Visitor {
                    record,
                    naming: Numbers { but },
                });
            }
            None => event.record(&mut Visitor {
                record,
                naming: match message {
                    true => Names::All,
                    false => Names::AllButMessage,
                },
            }),
        }
    }

    fn write_extras(&self, metadata: &Metadata<'_>, record: &mut Record) {
        let Extras {
            level,
            target,
            module_path,
            file,
            line,
            ..
        } = self.extras;
        let mut put = |wanted: bool, key: &str, value: Option<&str>| {
            if let (true, Some(value)) = (wanted, value) {
                record.str(Key::Named(Slot::Property, key), value);
            }
        };
        put(level, "level", Some(metadata.level().as_str()));
        put(target, "target", Some(metadata.target()));
        put(module_path, "module_path", metadata.module_path());
        put(file, "file", metadata.file());
        if let (true, Some(line)) = (line, metadata.line()) {
            record.u64(Key::Named(Slot::Property, "line"), line.into());
        }
    }

    /// Adds what the spans from `span` outwards say.
    fn add_context<'a, R: LookupSpan<'a>>(&self, span: SpanRef<'a, R>, record: &mut Record) {
        // Not `scope`, which would look the first span up again.
        let mut next = Some(span);
        while let Some(span) = next {
            // Each by itself: a span that cannot be read costs what it says, not the event.
            contained(|| {
                if let Some(slots) = span.extensions().get::<SpanSlots>()
                    && let Some(data) = slots.get(self.id)
                    && !data.context.is_empty()
                {
                    record.outer_segment(&data.context, data.site);
                }
            });
            next = span.parent();
        }
    }

    /// Adds the context of the span `id` and those around it. Where a filter hides that span from this
    /// layer, the spans around it may still be ours: then they are looked up past the filter.
    fn add_context_of<S>(&self, id: &Id, ctx: &Context<'_, S>, record: &mut Record)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if let Some(span) = ctx.span(id) {
            return self.add_context(span, record);
        }
        let mut unfiltered = |dispatch: &Dispatch| {
            if let Some(span) = dispatch.downcast_ref::<S>().and_then(|s| s.span(id)) {
                self.add_context(span, record);
            }
        };
        match self.dispatch.get() {
            Some(weak) => {
                if let Some(dispatch) = weak.upgrade() {
                    unfiltered(&dispatch);
                }
            }
            // Wrappers like `Option` do not tell which dispatcher they became part of.
            None => tracing::dispatcher::get_default(unfiltered),
        }
    }

    fn add_fallback(&self, record: &mut Record) {
        if !self.fallback.is_empty() {
            record.outer_segment(&self.fallback, None);
        }
    }

    /// Encodes a span's fields, outside any lock: their `Debug` may log, lock, or panic.
    fn encode_span(
        &self,
        site: Option<&'static Site>,
        becomes_event: bool,
        visit: impl FnOnce(&mut dyn Visit),
    ) -> Encoded {
        let kept = match becomes_event {
            true => &SpanFields::ALL,
            false => &self.span_fields,
        };
        let buffer = crate::capture::take_scratch();
        let mut record = Record::over(buffer, MAX_SPAN_BYTES);
        match site {
            Some(_) if kept.is_all() => visit(&mut Visitor {
                record: &mut record,
                naming: Numbers { but: None },
            }),
            Some(site) => visit(&mut Visitor {
                record: &mut record,
                naming: SpanNumbers(site, kept),
            }),
            None => visit(&mut Visitor {
                record: &mut record,
                naming: Names::Span(kept),
            }),
        }
        if record.overflowed() {
            record.mark_cut();
        }
        let encoded = Encoded::from_slice(record.bytes());
        crate::capture::give_scratch(record.into_bytes());
        encoded
    }

    fn span_data(
        &self,
        site: Option<&'static Site>,
        becomes_event: bool,
        fields: Encoded,
    ) -> SpanData {
        if becomes_event {
            SpanData {
                site,
                context: context_of(&fields, site, |name| self.span_fields.allows(name)),
                timed: Some(Box::new(TimedSpan::new(fields.into_vec()))),
            }
        } else {
            SpanData {
                site,
                context: fields,
                timed: None,
            }
        }
    }

    /// Runs `change` on this layer's timing of the span, if it has one.
    #[inline(never)]
    fn with_timed<S>(&self, id: &Id, ctx: Context<'_, S>, change: fn(&mut TimedSpan))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        contained(|| {
            if let Some(span) = ctx.span(id)
                && let Some(slots) = span.extensions_mut().get_mut::<SpanSlots>()
                && let Some(data) = slots.get_mut(self.id)
                && let Some(timed) = &mut data.timed
            {
                change(timed);
            }
        });
    }

    #[inline(never)]
    fn open_span<S>(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        contained(|| {
            let metadata = attributes.metadata();
            let site = sites::of(metadata, fields::meaning);
            let becomes_event = self.becomes_event(metadata, site);
            let fields = self.encode_span(site, becomes_event, |v| attributes.record(v));
            let Some(span) = ctx.span(id) else { return };
            let data = self.span_data(site, becomes_event, fields);
            let mut extensions = span.extensions_mut();
            // Rarely was there one before, of another PostHog layer.
            if let Some(others) = extensions.replace(SpanSlots::new(self.id, data))
                && let Some(slots) = extensions.get_mut::<SpanSlots>()
            {
                slots.adopt(others);
            }
            if becomes_event {
                self.timed.add(id);
            }
        });
    }

    #[inline(never)]
    fn capture_event<S>(&self, event: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(shared) = self.handle.active() else {
            return;
        };
        contained(|| {
            shared.record(|record| {
                self.add_fields(event, record);
                if self.extras.any() {
                    self.write_extras(event.metadata(), record);
                }
                if let Some(parent) = event.parent() {
                    self.add_context_of(parent, &ctx, record);
                } else if !event.is_root()
                    && let Some(current) = ctx.current_span().id()
                {
                    self.add_context_of(current, &ctx, record);
                }
                self.add_fallback(record);
            });
        });
    }

    #[inline(never)]
    fn close_timed<S>(&self, id: Id, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        contained(|| {
            let Some(span) = ctx.span(&id) else { return };
            let ours = {
                let mut extensions = span.extensions_mut();
                extensions
                    .get_mut::<SpanSlots>()
                    .and_then(|slots| slots.get_mut(self.id))
                    .and_then(|data| Some((data.timed.take()?, data.site)))
            };
            let Some((timed, site)) = ours else { return };
            self.timed.remove(&id);
            let Some(shared) = self.handle.active() else {
                return;
            };
            let times = timed.times();
            let ended = shared.clock.now().checked_sub(times.since_end);
            shared.record(|record| {
                if let Some(site) = site {
                    record.site(site);
                }
                // Before the span's own fields, whose `posthog.timestamp` comes later and wins.
                if let Some(ended) = ended {
                    record.i64(Key::Named(Slot::Timestamp, ""), millis(ended));
                }
                record.append(&timed.fields);
                let ms = |d: std::time::Duration| d.as_micros() as f64 / 1e3;
                record.f64(
                    Key::Named(Slot::Property, "duration_ms"),
                    ms(times.duration),
                );
                if self.extras.busy_idle {
                    record.f64(Key::Named(Slot::Property, "busy_ms"), ms(times.busy));
                    record.f64(
                        Key::Named(Slot::Property, "idle_ms"),
                        ms(times.duration - times.busy),
                    );
                }
                if self.extras.any() {
                    self.write_extras(span.metadata(), record);
                }
                if let Some(parent) = span.parent() {
                    self.add_context(parent, record);
                }
                self.add_fallback(record);
            });
        });
    }
}

/// A span's fields are kept for its whole life; more than this is not kept.
const MAX_SPAN_BYTES: usize = 64 << 10;

/// A layer that panics takes the program with it; nothing here should, but other layers can poison what
/// all layers share.
fn contained(f: impl FnOnce()) {
    let _ = catch_unwind(AssertUnwindSafe(f));
}

impl<S> Layer<S> for PostHogLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
    }

    /// The most verbose hint of all layers counts for all of them, and "no hint" means "no wish", not
    /// "everything": a hint of ours beside an unfiltered layer would hide from that layer what we do not
    /// want. So there is one only where we stand by ourselves (in no `and_then`, `Option`, `Vec`) over
    /// layers that give one now (they may be reloaded). `OFF` is what a layer that is `None` says.
    fn max_level_hint(&self) -> Option<LevelFilter> {
        let dispatch = self.dispatch.get()?.upgrade()?;
        dispatch.downcast_ref::<Layered<Self, S>>()?;
        let below = dispatch.downcast_ref::<S>()?.max_level_hint()?;
        (below != LevelFilter::OFF).then_some(if self.handle.is_disabled() {
            LevelFilter::OFF
        } else {
            self.max_level
        })
    }

    // Every span and event of the program comes through here. What follows for one that is ours stands
    // in functions of its own, so that the others pay for no more than the look.

    #[inline]
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        if self.wants(attributes.metadata()) {
            self.open_span(attributes, id, ctx);
        }
    }

    fn on_record(&self, id: &Id, values: &tracing::span::Record<'_>, ctx: Context<'_, S>) {
        contained(|| {
            let Some(span) = ctx.span(id) else { return };
            let metadata = span.metadata();
            if !self.wants(metadata) {
                return;
            }
            let site = sites::of(metadata, fields::meaning);
            let becomes_event = self.becomes_event(metadata, site);
            let newer = self.encode_span(site, becomes_event, |v| values.record(v));
            let mut extensions = span.extensions_mut();
            let Some(data) = extensions
                .get_mut::<SpanSlots>()
                .and_then(|slots| slots.get_mut(self.id))
            else {
                return;
            };
            let fits = |older: &[u8]| older.len() + newer.len() <= 2 * MAX_SPAN_BYTES;
            let mut newer_context = None;
            if let Some(timed) = &mut data.timed {
                if fits(&timed.fields) {
                    timed.fields = merge(&timed.fields, &newer, site);
                }
                newer_context = Some(context_of(&newer, site, |name| {
                    self.span_fields.allows(name)
                }));
            }
            if fits(&data.context) {
                let newer = newer_context.as_ref().unwrap_or(&newer);
                data.context = merge(&data.context, newer, site).into();
            }
        });
    }

    #[inline]
    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        if self.timed.may_contain(id) {
            self.with_timed(id, ctx, TimedSpan::enter);
        }
    }

    #[inline]
    fn on_exit(&self, id: &Id, ctx: Context<'_, S>) {
        if self.timed.may_contain(id) {
            self.with_timed(id, ctx, TimedSpan::exit);
        }
    }

    #[inline]
    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        if self.wants(event.metadata()) {
            self.capture_event(event, ctx);
        }
    }

    #[inline]
    fn on_close(&self, id: Id, ctx: Context<'_, S>) {
        if self.timed.may_contain(&id) {
            self.close_timed(id, ctx);
        }
    }
}
