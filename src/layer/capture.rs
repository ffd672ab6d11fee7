//! What happens at the spans and events that are ours.

use super::builder::Extras;
use super::span::{Encoded, SpanData, SpanSlots, TimedSpan, context_of};
use super::visit::{Names, Numbers, SpanNumbers, Visitor};
use super::{MAX_SPAN_BYTES, PostHogLayer, SpanFields, fields};
use crate::event::callsite::{self, CallsiteSchema};
use crate::event::record::{Key, Record, Slot, merge, millis};
use crate::panic::catch;
use std::cell::Cell;
use tracing::field::Visit;
use tracing::span::{Attributes, Id};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

thread_local! {
    static IN_SPANS: Cell<bool> = const { Cell::new(false) };
}

/// Held while the data of spans is looked at. Another layer may have poisoned it; the panic hook that our look
/// then calls may capture an event within the same span, and a panic there would end the process. Such an
/// event does without what spans say.
struct InSpans;

impl InSpans {
    #[inline]
    fn enter() -> Option<Self> {
        // Made only where it is given: its drop is the end of it.
        match IN_SPANS.try_with(|it| it.replace(true)) {
            Ok(true) => None,
            Ok(false) | Err(_) => Some(Self),
        }
    }
}

impl Drop for InSpans {
    #[inline]
    fn drop(&mut self) {
        let _ = IN_SPANS.try_with(|it| it.set(false));
    }
}

impl PostHogLayer {
    /// Writes the event's own fields: by number, where their callsite has one.
    fn add_fields(&self, event: &Event<'_>, record: &mut Record) {
        let metadata = event.metadata();
        let message = self.extras.message;
        match callsite::of(metadata, fields::meaning) {
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

    /// What is known of the callsite. Its own fields of those names come before.
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
        let Some(_in_spans) = InSpans::enter() else {
            return;
        };
        // Not `scope`, which would look the first span up again.
        let mut next = Some(span);
        while let Some(span) = next {
            // Each by itself: a span that cannot be read costs what it says, not the event.
            catch(|| {
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
        site: Option<&'static CallsiteSchema>,
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
        site: Option<&'static CallsiteSchema>,
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
    pub(super) fn with_timed<S>(&self, id: &Id, ctx: Context<'_, S>, change: fn(&mut TimedSpan))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        catch(|| {
            if let Some(_in_spans) = InSpans::enter()
                && let Some(span) = ctx.span(id)
                && let Some(slots) = span.extensions_mut().get_mut::<SpanSlots>()
                && let Some(data) = slots.get_mut(self.id)
                && let Some(timed) = &mut data.timed
            {
                change(timed);
            }
        });
    }

    #[inline(never)]
    pub(super) fn open_span<S>(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        catch(|| {
            let metadata = attributes.metadata();
            let site = callsite::of(metadata, fields::meaning);
            let becomes_event = self.becomes_event(metadata, site);
            let fields = self.encode_span(site, becomes_event, |v| attributes.record(v));
            let Some(span) = ctx.span(id) else { return };
            let data = self.span_data(site, becomes_event, fields);
            let Some(_in_spans) = InSpans::enter() else {
                return;
            };
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

    pub(super) fn record_span<S>(
        &self,
        id: &Id,
        values: &tracing::span::Record<'_>,
        ctx: Context<'_, S>,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        catch(|| {
            let Some(span) = ctx.span(id) else { return };
            let metadata = span.metadata();
            if !self.wants(metadata) {
                return;
            }
            let site = callsite::of(metadata, fields::meaning);
            let becomes_event = self.becomes_event(metadata, site);
            let newer = self.encode_span(site, becomes_event, |v| values.record(v));
            if newer.is_empty() {
                return;
            }
            let Some(_in_spans) = InSpans::enter() else {
                return;
            };
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

    #[inline(never)]
    pub(super) fn capture_event<S>(&self, event: &Event<'_>, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(shared) = self.handle.active() else {
            return;
        };
        shared.record(|record| {
            self.add_fields(event, record);
            if self.extras.any() {
                record.begin_segment();
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
    }

    #[inline(never)]
    pub(super) fn close_timed<S>(&self, id: Id, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        catch(|| {
            let Some(span) = ctx.span(&id) else { return };
            let ours = {
                let Some(_in_spans) = InSpans::enter() else {
                    return;
                };
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
                record.begin_segment();
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
