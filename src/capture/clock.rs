//! Where captured events get their time from.

use crate::panic::catch;
use crate::suppress::SuppressGuard;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// Where captured events get their time from, and requests the time they are sent at.
///
/// PostHog corrects the timestamps of a request by the difference between its own clock and the time the request
/// says it was sent at, so both come from the same clock.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// struct Noon;
/// impl tracing_posthog::Clock for Noon {
///     fn now(&self) -> SystemTime {
///         SystemTime::UNIX_EPOCH + Duration::from_secs(12 * 3600)
///     }
/// }
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time now. Where this panics, the system's time is used. Events that it captures are ignored, as those of
    /// hooks are.
    fn now(&self) -> SystemTime;
}

/// The clock of one actor: the system's, or the program's own.
#[derive(Clone, Default)]
pub(crate) struct ClockSource(Option<Arc<dyn Clock>>);

impl ClockSource {
    pub(crate) fn custom(clock: impl Clock) -> Self {
        Self(Some(Arc::new(clock)))
    }

    #[inline]
    pub(crate) fn now(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(clock) => {
                // A clock that captures events would ask itself when, without end.
                let _suppressed = SuppressGuard::enter();
                catch(|| clock.now()).unwrap_or_else(SystemTime::now)
            }
        }
    }
}

impl fmt::Debug for ClockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "SystemClock",
            Some(_) => "CustomClock",
        })
    }
}
