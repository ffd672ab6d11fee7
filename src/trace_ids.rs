//! [`TraceIds`]: the ids by which a tracing system knows where an event happened.

use crate::panic::catch;
use std::fmt;
use std::sync::Arc;

/// The ids of a trace and of a span within it, as OpenTelemetry has them.
///
/// ```
/// # use tracing_posthog::TraceIds;
/// let ids = TraceIds::new(0x0af7651916cd43dd8448eb211c80319c, 0xb7ad6b7169203331);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceIds {
    trace: u128,
    span: u64,
}

impl TraceIds {
    /// The ids of a trace (16 bytes) and of a span (8 bytes). Zero is none.
    pub fn new(trace: u128, span: u64) -> Self {
        Self { trace, span }
    }
}

/// Where the ids come from.
#[derive(Clone, Default)]
pub(crate) struct Provider(Option<Arc<dyn Fn() -> Option<TraceIds> + Send + Sync>>);

impl Provider {
    pub(super) fn new(ids: impl Fn() -> Option<TraceIds> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(ids)))
    }

    /// The ids here and now.
    pub(crate) fn ids(&self) -> Option<TraceIds> {
        let ids = self.0.as_ref()?;
        catch(|| ids()).flatten()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.0.is_some()).finish()
    }
}
