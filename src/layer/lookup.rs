//! Finds the nearest span of ours around an event or a span.
//!
//! ```text
//! current span ──► in the store? ── yes ──► it and its `outer` chain are all there is to know
//!                       │ no
//!                       ▼
//!            its parents in the registry, outwards, until one is in the store
//!                       │ a filter hides the span from this layer
//!                       ▼
//!            the same past the filter, by the dispatcher
//! ```
//!
//! Invariant: the store is looked at under its lock, and only copied from. Where the record's buffer has no room, it grows
//! outside the lock, and the look is repeated.

use super::PostHogLayer;
use super::span_store::SpanData;
use crate::event::record::Record;
use std::sync::Arc;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

impl PostHogLayer {
    /// Adds what the spans around an event say.
    #[inline]
    pub(super) fn add_context<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        record: &mut Record,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if !self.state.spans.is_used() || event.is_root() {
            return;
        }
        let end = record.end();
        loop {
            let mut written = true;
            let mut write = |span: &Arc<SpanData>| written = span.write_chain(record);
            match event.parent() {
                Some(parent) => self.look_from(parent, ctx, &mut write),
                None => self.look_from_current(ctx, &mut write),
            }
            if written {
                return;
            }
            record.cut_back_and_grow(end);
        }
    }

    /// Looks at the nearest span of ours from the current one outwards. Usually that is the current one; then this
    /// is the only question to the registry.
    #[inline]
    fn look_from_current<S>(&self, ctx: &Context<'_, S>, look: &mut impl FnMut(&Arc<SpanData>))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let current = ctx.current_span();
        if let (Some(id), Some(metadata)) = (current.id(), current.metadata())
            && !self.state.spans.look(id, metadata, look)
        {
            match ctx.span(id) {
                Some(span) => self.look_outwards(span.parent(), look),
                None => self.look_past_filter::<S>(id, look),
            }
        }
    }

    /// The same from the span `id` outwards.
    fn look_from<S>(&self, id: &Id, ctx: &Context<'_, S>, look: &mut impl FnMut(&Arc<SpanData>))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        match ctx.span(id) {
            Some(span) => self.look_outwards(Some(span), look),
            None => self.look_past_filter::<S>(id, look),
        }
    }

    fn look_outwards<'a, R: LookupSpan<'a>>(
        &self,
        mut next: Option<SpanRef<'a, R>>,
        look: &mut impl FnMut(&Arc<SpanData>),
    ) {
        while let Some(span) = next {
            if self.state.spans.look(&span.id(), span.metadata(), look) {
                return;
            }
            next = span.parent();
        }
    }

    /// Where a filter hides a span from this layer, those around it may still be ours.
    #[cold]
    fn look_past_filter<S>(&self, id: &Id, look: &mut impl FnMut(&Arc<SpanData>))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut unfiltered = |dispatch: &Dispatch| {
            let span = dispatch.downcast_ref::<S>().and_then(|s| s.span(id));
            self.look_outwards(span, look);
        };
        match self.state.dispatch() {
            Some(weak) => {
                if let Some(dispatch) = weak.upgrade() {
                    unfiltered(&dispatch);
                }
            }
            // Wrappers like `Option` do not tell which dispatcher they became part of.
            None => tracing::dispatcher::get_default(unfiltered),
        }
    }

    /// The nearest span of ours around one that opens.
    pub(super) fn outer_of<S>(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        ctx: &Context<'_, S>,
    ) -> Option<Arc<SpanData>>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if !self.state.spans.is_used() || attributes.is_root() {
            return None;
        }
        let mut outer = None;
        let mut keep = |span: &Arc<SpanData>| outer = Some(Arc::clone(span));
        if attributes.parent().is_none() {
            let current = ctx.current_span();
            let (id, metadata) = (current.id()?, current.metadata()?);
            if self.state.spans.look(id, metadata, &mut keep) {
                return outer;
            }
        }
        let parent = ctx.span(id).and_then(|span| span.parent());
        self.look_outwards(parent, &mut keep);
        outer
    }
}
