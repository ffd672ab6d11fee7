//! What the layer keeps in a span.

use crate::event::callsite::CallsiteSchema;
use crate::event::record::{self, Slot};
use smallvec::SmallVec;
use std::time::{Duration, Instant};

/// A span's encoded fields. Usually few and short: then they need no memory of their own.
pub(crate) type Encoded = SmallVec<[u8; 48]>;

/// One layer's data in one span.
#[derive(Debug)]
pub(crate) struct SpanData {
    /// What the numbers of its fields refer to.
    pub(crate) site: Option<&'static CallsiteSchema>,
    /// Encoded fields for the events within, and the spans.
    pub(crate) context: Encoded,
    /// For a span that becomes an event itself.
    pub(crate) timed: Option<Box<TimedSpan>>,
}

/// A span that becomes an event when it closes.
#[derive(Debug)]
pub(crate) struct TimedSpan {
    /// All its fields, encoded.
    pub(crate) fields: Vec<u8>,
    started: Instant,
    /// When it was last left.
    ended: Option<Instant>,
    entered: Option<Instant>,
    depth: u32,
    busy: Duration,
}

impl TimedSpan {
    pub(crate) fn new(fields: Vec<u8>) -> Self {
        Self {
            fields,
            started: Instant::now(),
            ended: None,
            entered: None,
            depth: 0,
            busy: Duration::ZERO,
        }
    }

    pub(crate) fn enter(&mut self) {
        self.depth += 1;
        if self.depth == 1 {
            self.entered = Some(Instant::now());
        }
    }

    pub(crate) fn exit(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            let now = Instant::now();
            self.ended = Some(now);
            if let Some(entered) = self.entered.take() {
                self.busy += now.saturating_duration_since(entered);
            }
        }
    }

    /// Its end is its last exit: closing can come much later, when some holder lets go.
    pub(crate) fn times(&self) -> Times {
        let end = self.ended.unwrap_or_else(Instant::now);
        let duration = end.saturating_duration_since(self.started);
        Times {
            duration,
            busy: self.busy.min(duration),
            since_end: end.elapsed(),
        }
    }
}

pub(crate) struct Times {
    pub(crate) duration: Duration,
    /// Time during which it was entered, on whichever thread.
    pub(crate) busy: Duration,
    pub(crate) since_end: Duration,
}

/// A span's data of all PostHog layers. Nearly always there is one; a second project adds another.
#[derive(Debug)]
pub(crate) struct SpanSlots {
    layer: u64,
    data: SpanData,
    others: Option<Box<SpanSlots>>,
}

impl SpanSlots {
    pub(crate) fn new(layer: u64, data: SpanData) -> Self {
        Self {
            layer,
            data,
            others: None,
        }
    }

    /// Takes over what other layers had put there before.
    pub(crate) fn adopt(&mut self, others: Self) {
        self.others = Some(Box::new(others));
    }

    #[inline]
    pub(crate) fn get(&self, layer: u64) -> Option<&SpanData> {
        match self.layer == layer {
            true => Some(&self.data),
            false => self.others.as_ref()?.get(layer),
        }
    }

    pub(crate) fn get_mut(&mut self, layer: u64) -> Option<&mut SpanData> {
        match self.layer == layer {
            true => Some(&mut self.data),
            false => self.others.as_mut()?.get_mut(layer),
        }
    }
}

/// The part of a span's fields that reaches the events within: identity, and what `allows` lets through.
pub(crate) fn context_of(
    fields: &[u8],
    site: Option<&'static CallsiteSchema>,
    allows: impl Fn(&str) -> bool,
) -> Encoded {
    let mut context = Encoded::new();
    for (field, bytes) in record::each(fields, site) {
        let reaches = match field.slot {
            Slot::Property => allows(field.key),
            Slot::Name | Slot::Timestamp | Slot::Uuid | Slot::Set | Slot::SetOnce => false,
            _ => true,
        };
        if reaches {
            context.extend_from_slice(bytes);
        }
    }
    context
}
