//! [`HogQlRefresh`]: whether PostHog may answer from its cache, and whether the answer waits for the query.

/// Whether PostHog may answer a query from its cache, and whether the answer waits for the query.
///
/// Without a mode, PostHog runs the query unless a fresh result is cached, and answers when the query is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HogQlRefresh {
    /// Runs unless a fresh result is cached; waits. The default.
    Blocking,
    /// Starts unless a fresh result is cached; does not wait.
    Async,
    /// Like [`Async`](Self::Async), but also accepts results that are somewhat stale.
    LazyAsync,
    /// Like [`Async`](Self::Async) if a stale result is cached, and like [`Blocking`](Self::Blocking) if nothing is.
    AsyncExceptOnCacheMiss,
    /// Runs whatever is cached; waits.
    ForceBlocking,
    /// Starts whatever is cached; does not wait.
    ForceAsync,
    /// Asks for the cached result, however old. If nothing is cached, PostHog's query endpoint runs the query.
    ForceCache,
}

impl HogQlRefresh {
    /// The name that PostHog knows, such as `force_blocking`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocking => "blocking",
            Self::Async => "async",
            Self::LazyAsync => "lazy_async",
            Self::AsyncExceptOnCacheMiss => "async_except_on_cache_miss",
            Self::ForceBlocking => "force_blocking",
            Self::ForceAsync => "force_async",
            Self::ForceCache => "force_cache",
        }
    }

    /// The mode that does not wait.
    pub(super) fn without_waiting(self) -> Self {
        match self {
            Self::Blocking => Self::Async,
            Self::ForceBlocking => Self::ForceAsync,
            other => other,
        }
    }
}
