//! Keeps the actor alive: a panic within it costs what it held at that moment at most, and is counted and logged.

use super::actor::Actor;
use crate::diagnostics::log;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Where panics follow each other, the actor rests longer each time, up to this.
const LONGEST_REST: Duration = Duration::from_secs(1);
/// A shutdown that panics this often after its time is given up.
const LAST_TRIES: u32 = 3;

/// Runs the actor to its end.
pub(crate) async fn run(mut actor: Actor) {
    let mut rest = Duration::from_millis(10);
    let mut tries = 0;
    crate::panic::catch(|| actor.open());
    loop {
        match AssertUnwindSafe(actor.work()).catch_unwind().await {
            Ok(()) => return,
            Err(panic) => crate::panic::discard(panic),
        }
        let lost = actor.reconcile();
        if lost > 0 {
            actor.report_lost(lost);
        }
        if actor.warnings().panicked.again() {
            log!(
                error,
                events = lost,
                "the delivery of events panicked and goes on; the events that it lost are counted as `actor_panic`; \
                 this is a bug of tracing-posthog",
            );
        }
        crate::panic::catch(|| actor.accept_commands());
        tries += u32::from(actor.is_overdue());
        if tries >= LAST_TRIES {
            return;
        }
        tokio::time::sleep(rest).await;
        rest = (rest * 2).min(LONGEST_REST);
    }
}
