//! Those who call meanwhile: REST calls on a runtime that starves, and flushes that are given up.

use super::Dice;
use super::posthog::UNCOUNTED;
use super::program::Program;
use crate::support::ms;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Runtime};
use tracing_posthog::{CaptureHandle, Event, Method, PostHogClient};

/// A thread that works until it is told to stop, and says how often it did.
struct Worker {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Worker {
    fn start(mut work: impl FnMut() -> u64 + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut done = 0;
            while !stopped.load(Relaxed) {
                done += work();
            }
            done
        });
        Self { stop, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap()
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// REST calls, streams and `capture_batch` on a runtime that is driven for a moment now and then.
pub struct Rest(Worker);

impl Rest {
    pub fn start(client: &PostHogClient, program: &Arc<Program>) -> Self {
        let (client, program) = (client.clone(), program.clone());
        let runtime = current_thread();
        let mut open: Vec<tokio::task::JoinHandle<()>> = Vec::new();
        let mut n = 0;
        Self(Worker::start(move || {
            let begun = n;
            while open.len() < 12 {
                n += 1;
                open.push(runtime.spawn(call(client.clone(), n)));
                // Polled once and dropped, without any runtime.
                let mut once = pin!(call(client.clone(), n + 1));
                let _ = once.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            }
            runtime.block_on(async { tokio::time::sleep(ms(2)).await });
            // Some are dropped half-way.
            let given_up = program.dice.roll() as usize % open.len();
            open.swap_remove(given_up).abort();
            open.retain(|call| !call.is_finished());
            // It starves, with the others open.
            std::thread::sleep(ms(40));
            n - begun
        }))
    }

    /// Ends with calls under way, and drops their runtime. Says how many calls there were.
    pub fn stop(self) -> u64 {
        self.0.stop()
    }
}

async fn call(client: PostHogClient, n: u64) {
    match n % 4 {
        0 => {
            let all: Result<serde_json::Value, _> = client
                .request(Method::GET, "/api/users/@me/")
                .send_as()
                .await;
            drop(all);
        }
        1 => {
            let get = client.request(Method::GET, "/api/projects/1/exports/7/content/");
            if let Ok(mut chunks) = get.send_for_stream().await {
                let _ = chunks.next().await;
                // The rest of it is left where it is.
                std::future::pending::<()>().await;
            }
        }
        2 => {
            let body = vec![b'x'; 64 << 10];
            let post = client.request(Method::POST, "/api/projects/1/query/");
            let _ = post.raw_body("text/plain", body).send_for_bytes().await;
        }
        _ => {
            let event = |m| {
                Event::new("direct")
                    .distinct_id("user_2")
                    .property("n", UNCOUNTED + m)
            };
            let sent = client.capture_batch((0..300).map(event)).await.unwrap();
            assert_eq!(sent.delivered + sent.dropped.total(), 300, "{sent:?}");
        }
    }
}

/// Flushes: some are waited for, some given up, some by a thread.
pub struct Flushes(Worker);

impl Flushes {
    pub fn start(handle: &CaptureHandle) -> Self {
        let handle = handle.clone();
        let (runtime, dice) = (current_thread(), Dice::default());
        Self(Worker::start(move || {
            let before = handle.stats().captured;
            let report = match dice.roll() % 8 {
                0 => handle.flush_blocking(ms(20)),
                1 => runtime.block_on(handle.flush()),
                2 => {
                    let mut once = pin!(handle.flush());
                    let _ = once.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                    return 1;
                }
                _ => {
                    let time = ms(dice.roll() % 30);
                    let flush = async { tokio::time::timeout(time, handle.flush()).await };
                    match runtime.block_on(flush) {
                        Ok(report) => report,
                        Err(_) => return 1,
                    }
                }
            };
            if report.is_complete() {
                let stats = handle.stats();
                let settled = stats.delivered + stats.dropped.total();
                assert!(settled >= before, "{report}, of {before}: {stats:?}");
            }
            1
        }))
    }

    /// Says how many there were.
    pub fn stop(self) -> u64 {
        self.0.stop()
    }
}
