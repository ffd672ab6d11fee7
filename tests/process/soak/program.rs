//! The program around the crate: a subscriber, resolver, redirect policy, hooks and a clock that panic at random.

use super::Dice;
use crate::support::ms;
use std::net::SocketAddr;
use std::panic::panic_any;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tracing::span::{Attributes, Id, Record};
use tracing_posthog::{CaptureBuilder, CaptureHandle, Clock, Event, TryCaptureError};

/// What these panics throw: any other is a fault of the crate.
struct OnPurpose;

#[derive(Default)]
pub struct Program {
    pub dice: Dice,
    troubled: AtomicBool,
    panics: AtomicU64,
    other_panics: AtomicU64,
    /// How many events of the actor `before_send` did not let through.
    refused: AtomicU64,
    handle: Mutex<Option<CaptureHandle>>,
}

impl Program {
    /// Becomes the global subscriber, and counts the panics of this process.
    pub fn install() -> Arc<Self> {
        let program = Arc::<Self>::default();
        let (counting, default) = (program.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.payload().is::<OnPurpose>() {
                counting.other_panics.fetch_add(1, Relaxed);
                default(panic);
            }
        }));
        tracing::subscriber::set_global_default(Subscriber(program.clone())).unwrap();
        program
    }

    /// Panics one time in a number, unless the thread does so already.
    fn may_panic(&self, one_in: u64) {
        if self.troubled.load(Relaxed) && !std::thread::panicking() && self.dice.one_in(one_in) {
            self.panics.fetch_add(1, Relaxed);
            panic_any(OnPurpose);
        }
    }

    /// A client of the program's own, whose resolver and redirect policy panic.
    pub fn http_client(self: &Arc<Self>) -> reqwest::Client {
        let policy = self.clone();
        reqwest::Client::builder()
            .dns_resolver(Arc::new(Names(self.clone())))
            .redirect(reqwest::redirect::Policy::custom(move |attempt| {
                policy.may_panic(4);
                attempt.follow()
            }))
            .build()
            .unwrap()
    }

    /// Gives a backend hooks that panic, block and capture, and a clock that jumps.
    pub fn disturb(self: &Arc<Self>, builder: CaptureBuilder) -> CaptureBuilder {
        self.troubled.store(true, Relaxed);
        let (before, after) = (self.clone(), self.clone());
        builder
            .clock(Jumping(self.clone()))
            .before_send(move |event| before.before_send(event))
            .on_error(move |failure| {
                after.capture_within();
                assert!(failure.events > 0);
                after.may_panic(4);
                if after.dice.one_in(8) {
                    // A hook that takes its time.
                    std::thread::sleep(ms(30));
                }
            })
    }

    fn before_send(&self, event: Event) -> Option<Event> {
        // The same hook sees the events of `capture_batch`, on the thread of who calls it.
        let by_actor = std::thread::current().name() == Some("posthog-capture");
        match self.dice.roll() % 4_000 {
            0 => self.capture_within(),
            1 => std::thread::sleep(ms(20)),
            2 | 3 => {
                self.refused.fetch_add(u64::from(by_actor), Relaxed);
                return None;
            }
            4 | 5 if self.troubled.load(Relaxed) => {
                self.refused.fetch_add(u64::from(by_actor), Relaxed);
                self.panics.fetch_add(1, Relaxed);
                panic_any(OnPurpose);
            }
            _ => {}
        }
        Some(event)
    }

    /// Hands the hooks what they capture by.
    pub fn meet(&self, handle: &CaptureHandle) {
        *self.handle.lock().unwrap() = Some(handle.clone());
    }

    /// A hook that captures and flushes itself: it would do so forever.
    fn capture_within(&self) {
        let handle = self.handle.lock().unwrap().clone();
        if let Some(handle) = handle {
            let refused = handle.try_capture(&Event::new("echo"));
            assert_eq!(refused, Err(TryCaptureError::WithinHook));
            handle.flush_blocking(ms(1));
        }
    }

    /// Nothing panics any more.
    pub fn rest(&self) {
        self.troubled.store(false, Relaxed);
        *self.handle.lock().unwrap() = None;
    }

    pub fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    pub fn take_refused(&self) -> u64 {
        self.refused.swap(0, Relaxed)
    }

    pub fn assert_no_other_panic(&self) {
        assert!(self.panics() > 0);
        assert_eq!(self.other_panics.load(Relaxed), 0, "said above");
    }
}

/// A clock that jumps by hours, or panics.
struct Jumping(Arc<Program>);

impl Clock for Jumping {
    fn now(&self) -> SystemTime {
        self.0.may_panic(1_000);
        let jump = Duration::from_secs(self.0.dice.roll() % 7_200);
        match self.0.dice.one_in(2) {
            true => SystemTime::now() + jump,
            false => SystemTime::now() - jump,
        }
    }
}

/// Resolves every name to this machine.
struct Names(Arc<Program>);

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        self.0.may_panic(12);
        let program = self.0.clone();
        Box::pin(async move {
            program.may_panic(12);
            let here = SocketAddr::from(([127, 0, 0, 1], 0));
            Ok(Box::new(std::iter::once(here)) as reqwest::dns::Addrs)
        })
    }
}

/// Wants everything that the crate emits, and panics at it.
struct Subscriber(Arc<Program>);

impl Subscriber {
    fn may_panic(&self) {
        self.0.may_panic(60);
    }
}

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("tracing_posthog")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.may_panic();
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.may_panic();
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &tracing::Event<'_>) {
        self.may_panic();
    }

    fn enter(&self, _: &Id) {
        self.may_panic();
    }

    fn exit(&self, _: &Id) {
        self.may_panic();
    }

    fn try_close(&self, _: Id) -> bool {
        self.may_panic();
        true
    }
}
