//! [`TraceIds`]: the ids by which a tracing system knows where an event happened.
//!
//! ```text
//! layer callback, capture_error ─► Provider ─[closure, else the context of OpenTelemetry]─► $trace_id, $span_id
//! ```
//!
//! Invariants:
//! - The provider is asked on the thread that captures, within the span, and outside of all locks.
//! - A provider that panics costs the ids. One that captures events itself is not asked for these.

use crate::event::record::{Key, Record, Slot};
use crate::panic::catch;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

/// The ids of a trace and of a span within it, as OpenTelemetry has them.
///
/// ```
/// # use tracing_posthog::TraceIds;
/// let ids = TraceIds::new(0x0af7651916cd43dd8448eb211c80319c, 0xb7ad6b7169203331);
/// assert_eq!(ids.to_string(), "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceIds {
    trace: u128,
    span: u64,
}

impl TraceIds {
    /// The ids of a trace (16 bytes) and of a span (8 bytes). Zero means none: that property is left out.
    pub fn new(trace: u128, span: u64) -> Self {
        Self { trace, span }
    }

    /// The ids of the current context of OpenTelemetry, if it has a valid span.
    ///
    /// The layer of the crate `tracing-opentelemetry` makes the context of a span current when the span is entered
    /// (since 0.32, unless its option `with_context_activation` is off).
    ///
    /// Exceptions have these ids by default. For all events of a layer:
    ///
    /// ```
    /// # use tracing_posthog::{CaptureHandle, PostHogLayer, TraceIds};
    /// # fn f(handle: CaptureHandle) {
    /// let layer = PostHogLayer::builder(handle).trace_ids(TraceIds::of_opentelemetry).build();
    /// # }
    /// ```
    #[cfg(feature = "opentelemetry")]
    #[cfg_attr(docsrs, doc(cfg(feature = "opentelemetry")))]
    pub fn of_opentelemetry() -> Option<Self> {
        use opentelemetry::trace::TraceContextExt;
        opentelemetry::Context::map_current(|context| {
            let span = context.span();
            let span = span.span_context();
            span.is_valid().then(|| Self {
                trace: u128::from_be_bytes(span.trace_id().to_bytes()),
                span: u64::from_be_bytes(span.span_id().to_bytes()),
            })
        })
    }

    fn write(self, record: &mut Record) {
        let mut put = |name, digits: &[u8]| {
            // Hexadecimal digits always are text.
            if let Ok(text) = std::str::from_utf8(digits) {
                record.str(Key::Named(Slot::Property, name), text);
            }
        };
        if self.trace != 0 {
            put("$trace_id", &hex::<32>(self.trace));
        }
        if self.span != 0 {
            put("$span_id", &hex::<16>(self.span.into()));
        }
    }
}

/// `0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331`.
impl fmt::Display for TraceIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}-{:016x}", self.trace, self.span)
    }
}

fn hex<const DIGITS: usize>(number: u128) -> [u8; DIGITS] {
    std::array::from_fn(|n| {
        let digit = (number >> (4 * (DIGITS - 1 - n))) as u8 & 0xf;
        match digit {
            0..10 => b'0' + digit,
            _ => b'a' + digit - 10,
        }
    })
}

/// Where the ids come from.
#[derive(Clone, Default)]
pub(crate) struct Provider(Option<Arc<dyn Fn() -> Option<TraceIds> + Send + Sync>>);

thread_local! {
    /// Whether a provider is being asked, which may capture events itself.
    static ASKING: Cell<bool> = const { Cell::new(false) };
}

impl Provider {
    pub(crate) fn new(ids: impl Fn() -> Option<TraceIds> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ids)))
    }

    /// Whether the user gave one.
    #[inline]
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Writes the ids here and now, as a segment of its own: what the event itself says wins.
    #[inline(never)]
    pub(crate) fn write(&self, record: &mut Record) {
        if let Some(ids) = self.ids() {
            record.begin_segment();
            ids.write(record);
        }
    }

    fn ids(&self) -> Option<TraceIds> {
        let provider: &dyn Fn() -> Option<TraceIds> = match &self.0 {
            Some(ids) => &**ids,
            #[cfg(feature = "opentelemetry")]
            None => &TraceIds::of_opentelemetry,
            #[cfg(not(feature = "opentelemetry"))]
            None => return None,
        };
        // A thread that is going away is asked nothing.
        if ASKING
            .try_with(|asking| asking.replace(true))
            .unwrap_or(true)
        {
            return None;
        }
        let ids = catch(provider).flatten();
        let _ = ASKING.try_with(|asking| asking.set(false));
        ids
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.is_given()).finish()
    }
}
