//! A clock that tests own.

use super::LONG;
use futures_util::FutureExt;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime whose time stands still until a test moves it, for an actor that is spawned on it. Sockets work as
/// ever, however slow the machine is: no interval ends meanwhile.
pub struct Clock {
    runtime: Runtime,
}

impl Clock {
    pub fn stopped() -> Self {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build().unwrap();
        Self { runtime }
    }

    pub fn handle(&self) -> &Handle {
        self.runtime.handle()
    }

    /// Waits for a condition while time stands still, and says which one never came true.
    #[track_caller]
    pub fn wait_until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let start = Instant::now();
        self.runtime.block_on(async {
            while !condition() {
                assert!(start.elapsed() < LONG, "never happened: {what}");
                // A runtime that has nothing to do moves a stopped clock to its next timer. This one always has.
                tokio::task::yield_now().await;
                std::thread::sleep(Duration::from_micros(100));
            }
        });
    }

    /// Moves the time, once everything that can run now has run.
    pub fn advance(&self, by: Duration) {
        self.runtime.block_on(async {
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            tokio::time::advance(by).await;
        });
    }

    /// Moves the time of the runtime on whose thread this is: for hooks that take long.
    pub fn advance_now(by: Duration) {
        // It moves at once, and would then wait for others to run.
        let _ = tokio::time::advance(by).now_or_never();
    }
}
