//! [`PostHogSpanExt`]: identity, groups, session and properties on spans that declared no field for them.
//!
//! ```text
//! span.set_distinct_id(…) ─► encoded once ─► each layer of the span's subscriber (state) ─► its span_store
//! ```
//!
//! Invariant: values are turned into text outside of all locks, and a panic in that costs the value.

use super::span_store::{Fields, MAX_SPAN_BYTES};
use super::state::layers_of;
use crate::event::record::{Key, Record, Slot};
use crate::panic::catch;
use serde_json::Value;
use std::fmt::Display;
use tracing::Span;

mod sealed {
    pub trait Sealed {}
    impl Sealed for tracing::Span {}
}

/// Sets on any span, by hand, what events within it inherit.
///
/// A span takes values only for the fields that it was declared with:
/// `Span::current().record("posthog.distinct_id", id)` does nothing, without a word, in a span that did not declare
/// `posthog.distinct_id`, and no layer can see it. That is the normal case within a span of somebody else: the request span
/// of `tower-http`, `tracing-actix-web` or `tonic`. Use this trait there.
///
/// ```
/// use tracing::Span;
/// use tracing_posthog::PostHogSpanExt;
///
/// fn authenticated(user: u64, company: &str) {
///     Span::current()
///         .set_distinct_id(user)
///         .set_group("company", company);
/// }
/// ```
///
/// A value counts for all events that are captured within the span from then on, and for the span's own event, as if the
/// span had declared and recorded the field. It replaces the value before. It reaches every PostHog layer of the
/// subscriber; up to 64 KiB a span, what is more is left out, and reported by a warning. The level of the span does not
/// matter.
///
/// On a disabled span, without a PostHog layer, and for a layer whose filter hides the span, it does nothing. `tracing`
/// does not tell layers in an `Option` or `Vec` which subscriber they are part of: under a global default subscriber they
/// find out with the first span that concerns them, under any other only the outermost PostHog layer is found, if it is in
/// one of these.
///
/// This trait is sealed: only [`tracing::Span`] has it.
pub trait PostHogSpanExt: sealed::Sealed {
    /// Sets the distinct id: who the events within belong to. An empty one counts as none.
    fn set_distinct_id(&self, id: impl Display) -> &Self;

    /// Sets the session id, as posthog-js sends it in `X-PostHog-Session-Id`. An empty one counts as none.
    fn set_session_id(&self, id: impl Display) -> &Self;

    /// Sets the group of that type.
    fn set_group(&self, group_type: &str, key: impl Display) -> &Self;

    /// Sets a property of the events within, whether or not
    /// [`span_fields`](crate::PostHogLayerBuilder::span_fields) lets fields of that name through.
    fn set_property(&self, name: &str, value: impl Into<Value>) -> &Self;
}

impl PostHogSpanExt for Span {
    fn set_distinct_id(&self, id: impl Display) -> &Self {
        set(self, |record| text(record, Slot::DistinctId, "", &id));
        self
    }

    fn set_session_id(&self, id: impl Display) -> &Self {
        set(self, |record| text(record, Slot::SessionId, "", &id));
        self
    }

    fn set_group(&self, group_type: &str, key: impl Display) -> &Self {
        set(self, |record| text(record, Slot::Group, group_type, &key));
        self
    }

    fn set_property(&self, name: &str, value: impl Into<Value>) -> &Self {
        set(self, |record| {
            record.value(Key::Named(Slot::Property, name), &value.into())
        });
        self
    }
}

fn text(record: &mut Record, slot: Slot, key: &str, value: &dyn Display) {
    record.text(Key::Named(slot, key), |text| write!(text, "{value}"));
}

fn set(span: &Span, write: impl FnOnce(&mut Record)) {
    add(span, || {
        let mut record = Record::over(Vec::new(), MAX_SPAN_BYTES);
        write(&mut record);
        if record.overflowed() {
            record.mark_cut();
        }
        let bytes = record.into_bytes();
        Fields {
            context: bytes.as_slice().into(),
            event: bytes,
            ..Fields::default()
        }
    });
}

/// Adds fields to the span in every layer of its subscriber, or does nothing where there is none.
pub(super) fn add(span: &Span, fields: impl FnOnce() -> Fields) {
    let Some(metadata) = span.metadata() else {
        return;
    };
    span.with_subscriber(|(id, dispatch)| {
        catch(|| {
            let layers = layers_of(dispatch);
            if layers.is_empty() {
                return;
            }
            let newer = fields();
            for layer in layers {
                layer.set(dispatch, id, metadata, &newer);
            }
        });
    });
}
