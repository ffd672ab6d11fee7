//! What happens at the spans and events that are ours.

use super::builder::Extras;
use super::interest::Interest;
use super::span_store::{Encoded, Fields, MAX_SPAN_BYTES, SpanData, TimedSpan, context_of};
use super::visit::{Names, Numbers, SpanNumbers, Visitor};
use super::{PostHogLayer, SpanFields, fields};
use crate::capture::{DropReason, Shared};
use crate::event::callsite::{self, CallsiteSchema};
use crate::event::record::{self, Key, Record, Slot, millis};
use crate::panic::catch;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use tracing::field::Visit;
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

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
    pub(super) fn write_extras(&self, metadata: &Metadata<'_>, record: &mut Record) {
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

    pub(super) fn add_fallback(&self, record: &mut Record) {
        if !self.state.fallback.is_empty() {
            record.outer_segment(&self.state.fallback, None);
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
            false => &self.interests.rules().span_fields,
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

    /// Runs `change` on this layer's timing of the span, if it has one.
    #[inline(never)]
    pub(super) fn with_timed<S>(&self, id: &Id, ctx: Context<'_, S>, change: fn(&TimedSpan))
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if let Some(metadata) = ctx.metadata(id) {
            self.state.spans.look(id, metadata, &mut |span| {
                if let Some(timed) = &span.timed {
                    change(timed);
                }
            });
        }
    }

    #[inline(never)]
    pub(super) fn open_span<S>(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        ctx: Context<'_, S>,
        interest: Interest,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        catch(|| {
            self.state.find_place::<S>();
            let metadata = attributes.metadata();
            let site = callsite::of(metadata, fields::meaning);
            let becomes_event = interest == Interest::Event;
            let fields = self.encode_span(site, becomes_event, |v| attributes.record(v));
            let (context, timed) = match becomes_event {
                false => (fields, None),
                true => {
                    self.has_timed.store(true, Relaxed);
                    let fields = self.without_mapped(fields, site);
                    let context = self.context_of(&fields, site);
                    (context, Some(Box::new(TimedSpan::new(fields.into_vec()))))
                }
            };
            let span = SpanData {
                metadata,
                site,
                outer: self.outer_of(attributes, id, &ctx),
                context,
                mapped: self.encode_mapped(|v| attributes.record(v)),
                timed,
                late: false,
                later: OnceLock::new(),
            };
            self.state.spans.insert(id, Arc::new(span));
        });
    }

    fn encode_mapped(&self, visit: impl FnOnce(&mut dyn Visit)) -> Vec<u8> {
        let mapping = &self.interests.rules().mapping;
        match mapping.is_empty() {
            true => Vec::new(),
            false => mapping.encode(visit),
        }
    }

    fn without_mapped(&self, fields: Encoded, site: Option<&'static CallsiteSchema>) -> Encoded {
        let rules = self.interests.rules();
        if rules.mapping.is_empty() {
            return fields;
        }
        let allows = |name: &str| rules.span_fields.allows(name);
        rules.mapping.without_mapped(&fields, site, allows).into()
    }

    fn context_of(&self, fields: &[u8], site: Option<&'static CallsiteSchema>) -> Encoded {
        context_of(fields, site, |name| {
            self.interests.rules().span_fields.allows(name)
        })
    }

    #[inline(never)]
    pub(super) fn record_span<S>(
        &self,
        id: &Id,
        values: &tracing::span::Record<'_>,
        ctx: Context<'_, S>,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        catch(|| {
            let metadata = ctx.metadata(id)?;
            let span = self.state.spans.get(id, metadata)?;
            let becomes_event = span.timed.is_some();
            let newer = self.encode_span(span.site, becomes_event, |v| values.record(v));
            let mapped = self.encode_mapped(|v| values.record(v));
            if newer.is_empty() && mapped.is_empty() {
                return None;
            }
            let newer = match becomes_event {
                false => Fields {
                    context: newer,
                    mapped,
                    ..Fields::default()
                },
                true => {
                    let newer = self.without_mapped(newer, span.site);
                    Fields {
                        context: self.context_of(&newer, span.site),
                        mapped,
                        event: newer.into_vec(),
                        ..Fields::default()
                    }
                }
            };
            span.record(&newer);
            Some(())
        });
    }

    /// An event was not worth being written. Has it said once that it came after the end.
    #[inline]
    pub(super) fn refused(&self, shared: &Shared, reason: DropReason) {
        if shared.lacks_late_warning(reason) {
            shared.warn_late_elsewhere(self.subscriber());
        }
    }

    /// The subscriber that the layer is part of, where it is known.
    fn subscriber(&self) -> Option<tracing::Dispatch> {
        self.state.dispatch()?.upgrade()
    }

    #[inline(never)]
    pub(super) fn capture_event<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(shared) = self.handle.active() else {
            return;
        };
        shared.record_or(
            |record| {
                self.add_fields(event, record);
                if self.extras.any() {
                    record.begin_segment();
                    self.write_extras(event.metadata(), record);
                }
                if self.trace_ids.is_given() {
                    self.trace_ids.write(record);
                }
                self.add_context(event, ctx, record);
                self.add_fallback(record);
                self.interests.remarks(record);
            },
            |shared, reason| self.refused(shared, reason),
        );
    }

    /// Forgets the span. A timed one becomes an event.
    #[inline(never)]
    pub(super) fn close_span<S>(&self, id: Id, ctx: Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        catch(|| {
            let span = self.state.spans.remove(&id)?;
            let timed = span.timed.as_ref()?;
            let shared = self.handle.active()?;
            // Else it is left from a span whose end we were not told of.
            let metadata = ctx.metadata(&id)?;
            if std::ptr::eq(span.metadata, metadata) {
                self.capture_span(&span, timed, shared, |record| {
                    self.add_outer_context(&span, &id, &ctx, record);
                });
            }
            Some(())
        });
    }

    fn capture_span(
        &self,
        span: &SpanData,
        timed: &TimedSpan,
        shared: &Shared,
        add_outer_context: impl FnOnce(&mut Record),
    ) {
        let recorded = span.recorded();
        let (fields, mapped) = match &recorded {
            Some(recorded) => (&recorded.event, &recorded.mapped),
            None => (&timed.fields, &span.mapped),
        };
        // Declared `Empty` and never recorded: it was not to be an event.
        if !record::each(fields, span.site).any(|(field, _)| field.slot == Slot::Name) {
            return;
        }
        let times = timed.times();
        let ended = shared.clock.now().checked_sub(times.since_end);
        shared.record_or(
            |record| {
                if let Some(site) = span.site {
                    record.site(site);
                }
                // Before the span's own fields, whose `posthog.timestamp` comes later and wins.
                if let Some(ended) = ended {
                    record.i64(Key::Named(Slot::Timestamp, ""), millis(ended));
                }
                record.append(fields);
                record.begin_segment();
                let ms = |d: std::time::Duration| d.as_micros() as f64 / 1e3;
                let mut put = |name, value| record.f64(Key::Named(Slot::Property, name), ms(value));
                put("duration_ms", times.duration);
                if self.extras.busy_idle {
                    put("busy_ms", times.busy);
                    put("idle_ms", times.duration - times.busy);
                }
                if self.extras.any() {
                    self.write_extras(span.metadata, record);
                }
                if self.trace_ids.is_given() {
                    self.trace_ids.write(record);
                }
                if !mapped.is_empty() {
                    record.outer_segment(mapped, None);
                }
                if let Some(recorded) = &recorded {
                    recorded.held.write_and_grow(record);
                }
                add_outer_context(record);
                self.add_fallback(record);
            },
            |shared, reason| self.refused(shared, reason),
        );
    }
}
