//! Options of the layer.

use super::PostHogLayer;
use super::mapping::FieldMapping;
use crate::capture::CaptureHandle;
use crate::error::PostHogError;
use crate::event::record::{Key, Record, Slot};
use crate::trace_ids::{Provider, TraceIds};
use tracing::level_filters::LevelFilter;

/// Which plain fields of enclosing spans become properties of the events within.
///
/// Fields of the
/// `posthog.*` grammar always count; others stay in the span unless they are let through, as they may
/// be personal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpanFields(Which);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Which {
    #[default]
    None,
    All,
    Named(Vec<Box<str>>),
}

impl SpanFields {
    pub(crate) const ALL: Self = Self(Which::All);

    /// None, the default.
    pub fn none() -> Self {
        Self(Which::None)
    }

    /// All of them.
    pub fn all() -> Self {
        Self::ALL
    }

    /// Those of these names.
    ///
    /// ```
    /// # use tracing_posthog::SpanFields;
    /// let fields = SpanFields::named(["route", "tenant"]);
    /// ```
    pub fn named<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Self {
        Self(Which::Named(
            names.into_iter().map(|name| name.as_ref().into()).collect(),
        ))
    }

    #[inline]
    pub(crate) fn is_all(&self) -> bool {
        matches!(self.0, Which::All)
    }

    #[inline]
    pub(crate) fn allows(&self, name: &str) -> bool {
        match &self.0 {
            Which::None => false,
            Which::All => true,
            Which::Named(names) => names.iter().any(|n| &**n == name),
        }
    }
}

/// What an event tells about where it was emitted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extras {
    pub(crate) message: bool,
    pub(crate) level: bool,
    pub(crate) target: bool,
    pub(crate) module_path: bool,
    pub(crate) file: bool,
    pub(crate) line: bool,
    pub(crate) busy_idle: bool,
}

impl Extras {
    /// Whether there is something to write from the callsite.
    #[inline]
    pub(crate) fn any(&self) -> bool {
        self.level || self.target || self.module_path || self.file || self.line
    }
}

/// Options of a [`PostHogLayer`], made by [`PostHogLayer::builder`].
///
/// ```
/// # use tracing_posthog::{CaptureHandle, PostHogLayer, SpanFields};
/// # fn f(handle: CaptureHandle) {
/// let layer = PostHogLayer::builder(handle)
///     .span_fields(SpanFields::named(["route"]))
///     .with_message(true)
///     .build();
/// # }
/// ```
#[derive(Debug)]
#[must_use = "an unbuilt layer does nothing"]
pub struct PostHogLayerBuilder {
    pub(super) handle: CaptureHandle,
    pub(super) max_level: LevelFilter,
    pub(super) span_fields: SpanFields,
    pub(super) mapping: FieldMapping,
    pub(super) extras: Extras,
    /// Encoded fields that stand furthest out.
    pub(super) fallback: Vec<u8>,
    pub(super) trace_ids: Provider,
    #[cfg(feature = "errors")]
    pub(super) errors: Option<crate::exceptions::Errors>,
}

impl PostHogLayerBuilder {
    pub(crate) fn new(handle: CaptureHandle) -> Self {
        Self {
            handle,
            max_level: LevelFilter::INFO,
            span_fields: SpanFields::default(),
            mapping: FieldMapping::default(),
            extras: Extras::default(),
            fallback: Vec::new(),
            trace_ids: Provider::default(),
            #[cfg(feature = "errors")]
            errors: None,
        }
    }

    /// The most verbose level that the layer sees. Default `INFO`. Events and spans below it (`debug!` and
    /// `debug_span!` by default) are not captured, spans below it say nothing about the events within, and both cost next
    /// to nothing.
    pub fn max_level(mut self, level: impl Into<LevelFilter>) -> Self {
        self.max_level = level.into();
        self
    }

    /// Which plain fields of enclosing spans become properties. Default none.
    pub fn span_fields(mut self, fields: SpanFields) -> Self {
        self.span_fields = fields;
        self
    }

    /// Takes a plain field of spans for the distinct id, where your spans have one already: `user.id`, `enduser.id`. Then
    /// they need no `posthog.*` field.
    ///
    /// Counts for fields that are recorded later, too. A number becomes text; an empty value counts as none. An explicit
    /// `posthog.distinct_id` on the same span wins. Of several such fields on one span, the last one counts. The field is
    /// not also a property, unless [`span_fields`](Self::span_fields) lets it through. Fields of events stay properties.
    ///
    /// ```
    /// # use tracing_posthog::{CaptureHandle, PostHogLayer};
    /// # fn f(handle: CaptureHandle) {
    /// let layer = PostHogLayer::builder(handle)
    ///     .distinct_id_field("user.id")
    ///     .session_id_field("session.id")
    ///     .group_field("company", "tenant.id")
    ///     .build();
    /// # }
    /// ```
    pub fn distinct_id_field(mut self, field: impl AsRef<str>) -> Self {
        self.mapping.add(field.as_ref(), Slot::DistinctId, "");
        self
    }

    /// Takes a plain field of spans for the session id, such as `session.id`; see
    /// [`distinct_id_field`](Self::distinct_id_field).
    pub fn session_id_field(mut self, field: impl AsRef<str>) -> Self {
        self.mapping.add(field.as_ref(), Slot::SessionId, "");
        self
    }

    /// Takes a plain field of spans for the key of the group of that type, such as `tenant.id`; see
    /// [`distinct_id_field`](Self::distinct_id_field).
    pub fn group_field(mut self, group_type: impl AsRef<str>, field: impl AsRef<str>) -> Self {
        self.mapping
            .add(field.as_ref(), Slot::Group, group_type.as_ref());
        self
    }

    /// The distinct id of events that have none of their own and stand in no span that has one, for
    /// programs with one user. An empty one counts as none. Default: such events are personless.
    pub fn distinct_id(mut self, id: impl AsRef<str>) -> Self {
        let mut record = Record::over(Vec::new(), usize::MAX);
        record.str(Key::Named(Slot::DistinctId, ""), id.as_ref());
        self.fallback = record.into_bytes();
        self
    }

    /// Gives all events of the layer the ids of the trace and span that they happen in: `$trace_id` and `$span_id`, as 32
    /// and 16 hexadecimal digits. Default: none, except for exceptions where the feature `opentelemetry` is on.
    ///
    /// `ids` is called for each event, on its thread, within its span; for a span that becomes an event when the span
    /// closes. A field `$trace_id` of the event's own wins. If `ids` panics, the event has no ids.
    ///
    /// With the feature `opentelemetry` give it `TraceIds::of_opentelemetry`. Without, ask your tracing system:
    ///
    /// ```
    /// # use tracing_posthog::{CaptureHandle, PostHogLayer, TraceIds};
    /// # mod tracer { pub fn current() -> Option<(u128, u64)> { None } }
    /// # fn f(handle: CaptureHandle) {
    /// let layer = PostHogLayer::builder(handle)
    ///     .trace_ids(|| tracer::current().map(|(trace, span)| TraceIds::new(trace, span)))
    ///     .build();
    /// # }
    /// ```
    pub fn trace_ids(mut self, ids: impl Fn() -> Option<TraceIds> + Send + Sync + 'static) -> Self {
        self.trace_ids = Provider::new(ids);
        self
    }

    /// Makes exceptions of errors: of `error!` events, and of panics if the settings say so. Default: no event is an
    /// exception.
    ///
    /// Settings that concern more than this layer (panics, limits, symbols) are those of the first layer over the handle
    /// that brings any.
    #[cfg(feature = "errors")]
    #[cfg_attr(docsrs, doc(cfg(feature = "errors")))]
    pub fn errors(mut self, errors: crate::Errors) -> Self {
        self.errors = Some(errors);
        self
    }

    /// Whether the event's message becomes the property `message`. Default `false`.
    pub fn with_message(mut self, message: bool) -> Self {
        self.extras.message = message;
        self
    }

    /// Whether the level becomes the property `level`. Default `false`.
    pub fn with_level(mut self, level: bool) -> Self {
        self.extras.level = level;
        self
    }

    /// Whether the target becomes the property `target`. Default `false`.
    pub fn with_target(mut self, target: bool) -> Self {
        self.extras.target = target;
        self
    }

    /// Whether the module path becomes the property `module_path`. Default `false`.
    pub fn with_module_path(mut self, module_path: bool) -> Self {
        self.extras.module_path = module_path;
        self
    }

    /// Whether the source file becomes the property `file`. Default `false`.
    pub fn with_file(mut self, file: bool) -> Self {
        self.extras.file = file;
        self
    }

    /// Whether the source line becomes the property `line`. Default `false`.
    pub fn with_line(mut self, line: bool) -> Self {
        self.extras.line = line;
        self
    }

    /// Whether spans that become events have `busy_ms` and `idle_ms`: how long they were entered, and how long not.
    /// Default `false`.
    pub fn with_busy_idle(mut self, busy_idle: bool) -> Self {
        self.extras.busy_idle = busy_idle;
        self
    }

    /// Checks that it has no handle yet, as within a [`PostHogBuilder`](crate::PostHogBuilder).
    pub(crate) fn require_no_handle(&self) -> Result<(), PostHogError> {
        if self.handle.is_disabled() {
            return Ok(());
        }
        Err(PostHogError::config(
            "layer",
            "the closure returned the builder of another layer; return the one that it was given",
        ))
    }

    pub(crate) fn over(mut self, handle: CaptureHandle) -> Self {
        self.handle = handle;
        self
    }

    /// Makes the layer.
    pub fn build(self) -> PostHogLayer {
        PostHogLayer::from_builder(self)
    }
}
