//! Events that become exceptions.
//!
//! ```text
//! event ─[look]─► wanted? type? ─[token bucket]─► record: chain, message, other fields, kind, place, addresses, span names,
//!                                                        context
//! ```
//!
//! One field becomes the chain of the exception: the first that is recorded as `dyn Error`, whatever its name; else a text
//! (`%e`, `?e`, a string) named `error`, `err`, `e`, `error.message` or `error.*`, in this order. The others are
//! properties. Numbers and booleans always are: `error = true` says nothing that the message does not.
//!
//! - [`look`]: finds the error of an event, before anything is formatted.
//! - [`by_hand`]: `capture_error`. [`panics`]: the panic hook.
//!
//! Invariants:
//! - Nothing of the event is formatted, and nothing allocated, before the token bucket lets it through.
//! - An exception within a value of an exception is captured, up to a few levels.

mod by_hand;
mod look;
mod panics;

use super::steps::Steps;
use super::visit::{Names, Naming, Numbers, Visitor};
use super::{PostHogLayer, fields};
use crate::capture::Shared;
use crate::capture::exceptions::{Admission, At, Kind, Stacks};
use crate::event::callsite;
use crate::event::record::{Key, Record, Slot, Texts, exception};
use crate::exceptions::{
    Place, level_name, write_chain, write_kind, write_place, write_stack, write_text,
    write_text_link,
};
use look::Look;
use smallvec::SmallVec;
use std::cell::Cell;
use std::error::Error;
use std::fmt::Debug;
use tracing::field::{Field, Visit};
use tracing::span::Id;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

impl PostHogLayer {
    #[inline(never)]
    pub(super) fn capture_exception<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(shared) = self.handle.active() else {
            return;
        };
        if crate::suppress::is_suppressed() {
            return;
        }
        let metadata = event.metadata();
        let look = Look::at(event);
        if !look.wanted.unwrap_or_else(|| self.selects(metadata)) {
            return;
        }
        let Some(_nested) = Nested::enter() else {
            return shared.refuse_rate_limited();
        };
        let key = pair_key(std::ptr::from_ref(metadata).addr(), look.type_key);
        let at = At {
            file: metadata.file(),
            line: metadata.line(),
        };
        let suppressed = match shared.exceptions.admit(key, at) {
            Admission::Admitted { suppressed } => suppressed,
            Admission::Suppressed => return shared.refuse_rate_limited(),
        };
        shared.record_or(
            |record| self.write_exception(shared, event, &look, ctx, suppressed, record),
            |shared, reason| self.refused(shared, reason),
        );
    }

    /// Keeps the event for the exceptions after it, where steps are kept.
    #[inline]
    pub(super) fn keep_step<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        if let Some(steps) = &self.state.steps {
            self.keep_step_in(steps, event, ctx);
        }
    }

    #[inline(never)]
    fn keep_step_in<S>(&self, steps: &Steps, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(shared) = self.handle.active() else {
            return;
        };
        if crate::suppress::is_suppressed() || !steps.wants(event.metadata()) {
            return;
        }
        if let Some(root) = ctx.event_scope(event).and_then(Iterator::last) {
            steps.keep(&root.id(), root.metadata(), event, shared.clock.now());
        }
    }

    /// Whether events of the callsite become exceptions, if they do not say themselves.
    fn selects(&self, metadata: &Metadata<'_>) -> bool {
        // One that cannot say so is here because it is selected: nobody is asked again, which costs more than all else.
        if metadata.fields().field(fields::EXCEPTION).is_none() {
            return true;
        }
        let selection = self.interests.rules().exceptions.as_ref();
        selection.is_some_and(|selection| selection.selects(metadata))
    }

    fn write_exception<S>(
        &self,
        shared: &Shared,
        event: &Event<'_>,
        look: &Look,
        ctx: &Context<'_, S>,
        suppressed: u64,
        record: &mut Record,
    ) where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let config = shared.exceptions.get();
        let metadata = event.metadata();
        let has_own_stack = match callsite::of(metadata, fields::meaning) {
            Some(site) => {
                record.site(site);
                write_fields(event, look, record, Numbers { but: None })
            }
            None => write_fields(event, look, record, Names::All),
        };
        // After the fields: this is the name that counts, also where the event has one of its own.
        let level = look.level.unwrap_or(*metadata.level());
        write_kind(record, Kind::Log, level_name(level));
        write_place(
            record,
            &Place {
                file: metadata.file(),
                line: metadata.line(),
                module: metadata.module_path(),
                target: Some(metadata.target()),
            },
        );
        write_suppressed(record, suppressed);
        if config.stacks == Stacks::All && !has_own_stack {
            write_stack(record, config.max_frames);
        }
        let spans = ctx.event_scope(event).into_iter().flatten();
        let spans: Spans = spans.map(|span| (span.id(), span.metadata())).collect();
        write_scope(&spans, self.state.steps.as_ref(), record);
        if self.extras.any() {
            record.begin_segment();
            self.write_extras(metadata, record);
        }
        match config.trace_ids.is_given() || !self.trace_ids.is_given() {
            true => config.trace_ids.write(record),
            false => self.trace_ids.write(record),
        }
        self.add_context(event, ctx, record);
        self.add_fallback(record);
        self.interests.remarks(record);
    }
}

/// The spans around an exception, the innermost first.
pub(super) type Spans = SmallVec<[(Id, &'static Metadata<'static>); 16]>;

/// Writes within what the exception may be a duplicate, what was logged there before, and the names of the spans, the
/// outermost first.
pub(super) fn write_scope(spans: &Spans, steps: Option<&Steps>, record: &mut Record) {
    let scope = Key::Named(Slot::Exception, exception::SCOPE);
    let Some((root, metadata)) = spans.last() else {
        return record.u64(scope, thread_number());
    };
    record.u64(scope, root.into_u64());
    if let Some(steps) = steps {
        steps.write(root, metadata, record);
    }
    let names = Key::Named(Slot::Exception, exception::SPANS);
    if let Some(mut texts) = Texts::begin(record, names) {
        let mut outermost_first = spans.iter().rev();
        let _ = outermost_first.all(|(_, metadata)| texts.push(&metadata.name()));
        texts.end();
    }
}

/// Says how many like it the rate limit held back.
fn write_suppressed(record: &mut Record, suppressed: u64) {
    if suppressed > 0 {
        record.u64(
            Key::Named(Slot::Exception, exception::SUPPRESSED),
            suppressed,
        );
    }
}

/// A number of this thread.
fn thread_number() -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    hasher.hash_one(std::thread::current().id())
}

thread_local! {
    /// How many exceptions are being written on this thread, one within a value of the other.
    static DEPTH: Cell<u8> = const { Cell::new(0) };
}

/// A value that logs an error each time it is shown ends here.
const MAX_DEPTH: u8 = 4;

/// Counts an exception that is being written.
struct Nested;

/// A number for a callsite and a type: both are addresses, often of one image, whose differences would cancel out.
fn pair_key(callsite: usize, type_key: u64) -> u64 {
    (callsite as u64)
        .wrapping_mul(0xf135_7aea_2e62_a9c5)
        .rotate_left(26)
        ^ type_key
}

impl Nested {
    /// `None`: too many already, or the thread is going away.
    fn enter() -> Option<Self> {
        let enter = |depth: &Cell<u8>| {
            if depth.get() == MAX_DEPTH {
                return None;
            }
            depth.set(depth.get() + 1);
            Some(Self)
        };
        DEPTH.try_with(enter).ok().flatten()
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get().saturating_sub(1)));
    }
}

/// Writes the fields of the event. Returns whether its error brought a stack.
fn write_fields<N: Naming>(event: &Event<'_>, look: &Look, record: &mut Record, naming: N) -> bool {
    let mut visitor = ExceptionVisitor {
        others: Visitor { record, naming },
        value: look.value(),
        has_own_stack: false,
    };
    event.record(&mut visitor);
    visitor.has_own_stack
}

struct ExceptionVisitor<'a, N> {
    others: Visitor<'a, N>,
    /// The number of the field that is the value of the exception.
    value: Option<usize>,
    has_own_stack: bool,
}

impl<N: Naming> Visit for ExceptionVisitor<'_, N> {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.record_bool(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.record_i64(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.record_u64(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.others.record_i128(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.others.record_u128(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.others.record_f64(field, value);
    }

    fn record_bytes(&mut self, field: &Field, value: &[u8]) {
        self.others.record_bytes(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.value == Some(field.index()) {
            write_text_link(self.others.record, &value);
        } else if field.name() == "message" {
            write_text(self.others.record, exception::MESSAGE, &value);
        } else {
            self.others.record_str(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.value == Some(field.index()) {
            write_text_link(self.others.record, &format_args!("{value:?}"));
        } else if field.name() == "message" {
            let text = format_args!("{value:?}");
            write_text(self.others.record, exception::MESSAGE, &text);
        } else {
            self.others.record_debug(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        match self.value == Some(field.index()) {
            true => self.has_own_stack = write_chain(self.others.record, value),
            false => self.others.record_error(field, value),
        }
    }
}
