//! [`PostHogContext`]: what holds at a place of the program, read back from the spans around it.
//!
//! ```text
//! current span ─► the layer of the handle (state) ─► each span outwards (span_store) ─► record ─► capture::encode::Inherited
//! ```
//!
//! [`write_current`] writes the same into the record of an exception that no layer was shown: one that is captured by hand,
//! or a panic.
//!
//! Invariant: the same code decides which value is nearest as for events, so both always agree.

#[cfg(feature = "errors")]
use super::exceptions::{Spans, write_scope};
#[cfg(feature = "errors")]
use super::state::layer_of;
use super::state::{LayerState, layers_of};
use crate::capture::{CaptureHandle, Inherited, give_scratch, take_scratch};
use crate::event::record::Record;
use crate::panic::catch;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use tracing::Dispatch;
#[cfg(feature = "errors")]
use tracing::Subscriber;
use tracing::span::Id;
#[cfg(feature = "errors")]
use tracing_subscriber::Registry;

/// What events that are captured at a place of the program inherit: the identity, groups, session and properties of the
/// spans around it. [`CaptureHandle::current_context`] reads it.
///
/// Use it for what has to agree with the events: a feature flag that is evaluated, a job that is queued, a request to
/// another service.
///
/// Its `Debug` output shows names, but no ids and values, which may be personal.
#[derive(Clone, Default, PartialEq)]
pub struct PostHogContext(Inherited);

impl PostHogContext {
    /// Who an event would belong to. `None`: it would be personless.
    pub fn distinct_id(&self) -> Option<&str> {
        self.0.distinct_id.as_deref()
    }

    /// The session.
    pub fn session_id(&self) -> Option<&str> {
        self.0.session_id.as_deref()
    }

    /// Group type → group key.
    pub fn groups(&self) -> &BTreeMap<String, String> {
        &self.0.groups
    }

    /// The key of the group of that type.
    pub fn group(&self, group_type: &str) -> Option<&str> {
        self.0.groups.get(group_type).map(String::as_str)
    }

    /// Properties: the plain fields of spans that [`span_fields`](crate::PostHogLayerBuilder::span_fields) lets through, and
    /// `posthog.properties`. Default properties of the backend are not among them.
    pub fn properties(&self) -> &Map<String, Value> {
        &self.0.properties
    }

    /// Whether nothing holds.
    pub fn is_empty(&self) -> bool {
        self.0 == Inherited::default()
    }

    fn of(layer: &LayerState, dispatch: &Dispatch, span: Option<&Id>) -> Self {
        let mut record = Record::over(take_scratch(), usize::MAX);
        if let Some(span) = span {
            layer.outwards(dispatch, span, &mut |id, metadata| {
                layer.spans.write(id, metadata, &mut record);
            });
        }
        if !layer.fallback.is_empty() {
            record.outer_segment(&layer.fallback, None);
        }
        let inherited = Inherited::of(record.bytes());
        give_scratch(record.into_bytes());
        Self(inherited)
    }
}

/// Who captures.
#[cfg(feature = "errors")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    ByTheProgram,
    ByThePanicHook,
}

/// Adds to an exception that is captured by hand, or is a panic, what an event that is captured here would get: the names of
/// the spans around, what was logged before, and in segments of their own what the spans say. So this comes last.
///
/// The panic hook may call it wherever a thread panics. Then it runs no code of the program.
#[cfg(feature = "errors")]
pub(crate) fn write_current(handle: &CaptureHandle, asked: Asked, record: &mut Record) {
    let is_written = tracing::dispatcher::get_default(|dispatch| {
        let Some(layer) = layer_of(dispatch, handle) else {
            return false;
        };
        let mut spans = Spans::new();
        let registry = dispatch.downcast_ref::<Registry>();
        let current = match (registry, asked) {
            (Some(registry), _) => Some(registry.current_span()),
            (None, Asked::ByTheProgram) => Some(dispatch.current_span()),
            // A subscriber of the program's own may hold the lock that it would wait for.
            (None, Asked::ByThePanicHook) => None,
        };
        if let Some(span) = current.as_ref().and_then(|current| current.id()) {
            layer.outwards(dispatch, span, &mut |id, metadata| {
                spans.push((id.clone(), metadata));
            });
        }
        write_scope(&spans, layer.steps.as_ref(), record);
        for (id, metadata) in &spans {
            layer.spans.write(id, metadata, record);
        }
        if !layer.fallback.is_empty() {
            record.outer_segment(&layer.fallback, None);
        }
        true
    });
    if !is_written {
        write_scope(&Spans::new(), None, record);
    }
}

impl fmt::Debug for PostHogContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = |id: &Option<String>| id.as_ref().map(|_| format_args!("[hidden]").to_string());
        f.debug_struct("PostHogContext")
            .field("distinct_id", &set(&self.0.distinct_id))
            .field("session_id", &set(&self.0.session_id))
            .field("groups", &self.0.groups.keys())
            .field("properties", &self.0.properties.keys())
            .finish()
    }
}

impl CaptureHandle {
    /// What an event that is captured here inherits from the spans around it, by the layer of this handle in the current
    /// subscriber. Works on any thread and in any task that is in the span.
    ///
    /// Empty outside of spans (but for the layer's own [`distinct_id`](crate::PostHogLayerBuilder::distinct_id)), where no
    /// layer of this handle is installed, and within a callback of a layer. An event that is captured by
    /// [`capture`](Self::capture) inherits nothing, so this is also how to give it what the spans say.
    ///
    /// `tracing` does not tell layers in an `Option` or `Vec` which subscriber they are part of. Under a global default
    /// subscriber they find out. Under any other only the outermost PostHog layer is found, if it is in one of these.
    ///
    /// ```
    /// # use tracing_posthog::{CaptureHandle, Event};
    /// # fn shipped(posthog: &CaptureHandle) {
    /// let context = posthog.current_context();
    /// if let Some(user) = context.distinct_id() {
    ///     posthog.capture(Event::new("order shipped").distinct_id(user));
    /// }
    /// # }
    /// ```
    pub fn current_context(&self) -> PostHogContext {
        if self.is_disabled() {
            return PostHogContext::default();
        }
        let read = || {
            tracing::dispatcher::get_default(|dispatch| {
                let layers = layers_of(dispatch);
                let layer = layers.iter().find(|layer| layer.is_of(self))?;
                let current = dispatch.current_span();
                Some(PostHogContext::of(layer, dispatch, current.id()))
            })
        };
        catch(read).flatten().unwrap_or_default()
    }
}
