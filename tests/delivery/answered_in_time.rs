//! An event that PostHog acknowledged before the shutdown deadline counts as delivered, whatever blocks the actor.

use crate::support::*;
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};
use tracing_posthog::testing::PostHogServer;
use tracing_posthog::{CaptureBuilder, CaptureHandle, Event, Stats};

/// Blocks a hook of the actor until it is released.
struct Gate {
    entered: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

impl Gate {
    fn new() -> (Self, impl Fn() + Send + Sync + 'static) {
        let (enter, entered) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let inside = Mutex::new((enter, may_go_on));
        let pass = move || {
            let (enter, may_go_on) = &*inside.lock().unwrap();
            let _ = enter.send(());
            let _ = may_go_on.recv_timeout(LONG);
        };
        (Self { entered, go_on }, pass)
    }
}

/// A PostHog that holds back its answer to one event.
struct Slow {
    server: PostHogServer,
    arrived: mpsc::Receiver<()>,
    answer: mpsc::Sender<()>,
}

impl Slow {
    /// Holds back the answer to requests with an event of that name.
    fn with(event: &'static str) -> Self {
        let server = server();
        let (arrive, arrived) = mpsc::channel();
        let (answer, may_answer) = mpsc::channel::<()>();
        let inside = Mutex::new((arrive, may_answer));
        server.answer_with(move |request| {
            if batch(request).iter().any(|e| e["event"] == event) {
                let (arrive, may_answer) = &*inside.lock().unwrap();
                let _ = arrive.send(());
                let _ = may_answer.recv_timeout(LONG);
            }
            None
        });
        Self {
            server,
            arrived,
            answer,
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(3);

/// PostHog answers before the shutdown deadline, while a hook blocks the actor until after the deadline.
fn answered_in_time(
    busy: impl FnOnce(CaptureBuilder, Box<dyn Fn() + Send + Sync>) -> CaptureBuilder,
) -> Stats {
    let slow = Slow::with("answered");
    let (gate, pass) = Gate::new();
    // Only a flush or a shutdown sends anything.
    let builder = capture_with(client_of(&slow.server))
        .flush_interval(LONG)
        .shutdown_timeout(DEADLINE);
    let posthog = busy(builder, Box::new(pass)).start().unwrap();
    posthog.capture(Event::new("answered"));
    let flushing = spawn(&posthog, |posthog| posthog.flush_blocking(LONG));
    slow.arrived.recv_timeout(LONG).unwrap();
    posthog.capture(Event::new("slow"));
    let began = Instant::now();
    let ending = spawn(&posthog, |posthog| posthog.shutdown_blocking(DEADLINE));
    // The hook runs within the shutdown, so the actor knows its deadline.
    gate.entered.recv_timeout(LONG).unwrap();
    // By now the deadline is set; how long the threads took to get here is not a part of it.
    let entered = Instant::now();
    slow.answer.send(()).unwrap();
    assert!(slow.server.wait_for_events(1, LONG));
    assert!(
        began.elapsed() < DEADLINE - Duration::from_secs(1),
        "PostHog was too slow for this test"
    );
    wait_until("the end of the shutdown's time", || {
        entered.elapsed() > DEADLINE + ms(200)
    });
    drop(gate.go_on);
    ending.join().unwrap();
    flushing.join().unwrap();
    wait_for_end(&posthog)
}

fn spawn<T: Send + 'static>(
    posthog: &CaptureHandle,
    call: impl FnOnce(CaptureHandle) -> T + Send + 'static,
) -> std::thread::JoinHandle<T> {
    let posthog = posthog.clone();
    std::thread::spawn(move || call(posthog))
}

#[test]
fn what_is_answered_in_time_is_delivered_though_a_hook_takes_the_rest_of_the_time() {
    let stats = answered_in_time(|builder, pass| {
        builder.before_send(move |event| {
            if event.name == "slow" {
                pass();
            }
            Some(event)
        })
    });
    assert_eq!((stats.captured, stats.delivered), (2, 1), "{stats:?}");
}

#[test]
fn what_is_answered_in_time_is_delivered_though_a_hook_for_errors_takes_the_rest_of_the_time() {
    let stats = answered_in_time(|builder, pass| {
        builder
            .before_send(|event| (event.name != "slow").then_some(event))
            .on_error(move |_| pass())
    });
    assert_eq!((stats.captured, stats.delivered), (2, 1), "{stats:?}");
}
