//! A PostHog that is away until a moment of virtual time, for tests of how many clients come back to it.

use std::cell::{Cell, RefCell};
use tokio::time::Instant;

thread_local! {
    static BACK_AT: Cell<Option<Instant>> = const { Cell::new(None) };
    static JITTER: Cell<bool> = const { Cell::new(true) };
    static ARRIVALS: RefCell<Vec<(String, Instant)>> = const { RefCell::new(Vec::new()) };
}

/// Away from now until then, for the clients of this thread.
pub(crate) fn begin(back_at: Instant, jitter: bool) {
    BACK_AT.set(Some(back_at));
    JITTER.set(jitter);
    ARRIVALS.take();
}

/// Who came when since it is back, by the address that they call.
pub(crate) fn end() -> Vec<(String, Instant)> {
    BACK_AT.set(None);
    JITTER.set(true);
    ARRIVALS.take()
}

/// Whether an attempt of now finds it back; `None` outside of such a test.
pub(super) fn finds_it_back(address: String) -> Option<bool> {
    let now = Instant::now();
    let back = BACK_AT.get()? <= now;
    if back {
        ARRIVALS.with_borrow_mut(|arrivals| arrivals.push((address, now)));
    }
    Some(back)
}

pub(super) fn jitters() -> bool {
    JITTER.get()
}
