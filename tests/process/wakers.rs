//! Wakers are code of the program too. One that panics costs whoever waits with it, and nobody else: the crate's
//! threads call it, and drop it.

use crate::own_process::own_process;
use crate::support::*;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use tracing_posthog::{CaptureHandle, Event};

/// Panics where it is woken, and where it is dropped if it was never woken.
struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        std::mem::forget(self);
        panic!("woken");
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("dropped");
        }
    }
}

/// Polls a future once with such a waker, which is left in it.
fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) {
    let waker: Waker = Arc::new(Panics).into();
    let polled = future.poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    // Only what is left in the future counts.
    std::mem::forget(waker);
}

fn capture(posthog: &CaptureHandle, events: u64) {
    for n in 0..events {
        posthog.capture(Event::new("e").distinct_id("ada").property("n", n));
    }
}

#[test]
fn a_flush_whose_waker_panics_costs_no_other() {
    own_process!();
    let server = server();
    let held = Held::by(&server);
    let posthog = capture_to(&server).start().unwrap();
    capture(&posthog, 10);
    held.wait();
    let (flush, shutdown) = (posthog.clone(), posthog.clone());
    let (mut flush, mut shutdown) = (pin!(flush.flush()), pin!(shutdown.shutdown()));
    poll_once(flush.as_mut());
    std::thread::scope(|scope| {
        let other = scope.spawn(|| posthog.flush_blocking(LONG));
        poll_once(shutdown.as_mut());
        drop(held);
        let report = other.join().unwrap();
        assert_eq!((report.dropped, report.pending), (0, 0), "{report}");
    });
    posthog.shutdown_blocking(LONG);
    let stats = posthog.stats();
    assert_settled(&stats);
    assert_eq!(stats.delivered, 10, "{stats}");
}
