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
//! Once something was set by hand on a span that had come without any field of ours, the chains may lack that span. From
//! then on every span outwards is looked for in the store. That costs programs that do so, and no others.
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
    // Always: it is most of an event, and used in more than one place.
    #[inline(always)]
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
        if self.state.spans.has_late() {
            match event.parent() {
                Some(parent) => self.add_each_from(parent, ctx, record),
                None => {
                    if let Some(current) = ctx.current_span().id() {
                        self.add_each_from(current, ctx, record);
                    }
                }
            }
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

    /// Adds what the spans around a span say that closes.
    pub(super) fn add_outer_context<S>(
        &self,
        span: &SpanData,
        id: &Id,
        ctx: &Context<'_, S>,
        record: &mut Record,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if self.state.spans.has_late() {
            self.add_each(ctx.span(id).and_then(|span| span.parent()), record, |_| {
                true
            });
        } else if let Some(outer) = &span.outer {
            let end = record.end();
            while !outer.write_chain(record) {
                record.cut_back_and_grow(end);
            }
        }
    }

    /// Adds what the span `id` and each span around it say, without their chains.
    #[inline(never)]
    fn add_each_from<S>(&self, id: &Id, ctx: &Context<'_, S>, record: &mut Record)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        match ctx.span(id) {
            Some(span) => self.add_each(Some(span), record, |_| true),
            None => self.past_filter::<S>(id, |span| {
                // What was set on a span while the filter let it through says nothing while it does not.
                self.add_each(span, record, |id| ctx.span(id).is_some());
            }),
        }
    }

    fn add_each<'a, R: LookupSpan<'a>>(
        &self,
        mut next: Option<SpanRef<'a, R>>,
        record: &mut Record,
        counts: impl Fn(&Id) -> bool,
    ) {
        while let Some(span) = next {
            let id = span.id();
            if counts(&id) {
                self.state.spans.write(&id, span.metadata(), record);
            }
            next = span.parent();
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

    #[cold]
    fn look_past_filter<S>(&self, id: &Id, look: &mut impl FnMut(&Arc<SpanData>))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        self.past_filter::<S>(id, |span| self.look_outwards(span, look));
    }

    /// Where a filter hides a span from this layer, those around it may still be ours.
    fn past_filter<S>(&self, id: &Id, look: impl FnOnce(Option<SpanRef<'_, S>>))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut look = Some(look);
        let mut unfiltered = |dispatch: &Dispatch| {
            if let Some(look) = look.take() {
                look(dispatch.downcast_ref::<S>().and_then(|s| s.span(id)));
            }
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
