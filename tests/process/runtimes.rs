//! No runtime of the program can stall delivery, and the actor can stall no REST call. One test runs in its own
//! process, because it looks at the threads of the process.

use crate::hostile::best_of;
use crate::own_process::own_process;
use crate::support::*;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CaptureHandle, Event, EventCaptureBackend, Method, PostHogClient, PostHogError,
};

/// Three events reach a healthy PostHog within this time.
const SOON: Duration = Duration::from_millis(500);
/// The best of these tries counts, because other processes share the machine.
const TRIES: usize = 5;

/// A PostHog that also answers REST calls.
fn posthog() -> PostHogServer {
    let server = server();
    server.answer_with(|r| {
        let answer = || Answer::status(200).json(json!({"id": 7}));
        r.path.starts_with("/api/").then(answer)
    });
    server
}

async fn ask(client: &PostHogClient) -> Result<Value, PostHogError> {
    client
        .request(Method::GET, "/api/users/@me/")
        .send_as()
        .await
}

async fn send_now(client: &PostHogClient) {
    let summary = client.capture_batch([Event::new("now")]).await.unwrap();
    assert!(summary.is_complete(), "{:?}", summary.errors);
}

/// A runtime whose tasks only run inside `block_on`.
fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn one_worker() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// An actor with default settings.
fn start(client: &PostHogClient) -> CaptureHandle {
    EventCaptureBackend::builder(client.clone())
        .start()
        .unwrap()
}

fn capture_three(posthog: &CaptureHandle) {
    for n in 0..3 {
        posthog.capture(Event::new(format!("e{n}")).distinct_id("ada"));
    }
}

/// Captures three events and measures how long dropping the guard takes.
fn time_to_drop(posthog: CaptureHandle) -> Duration {
    capture_three(&posthog);
    let guard = kept(posthog);
    let start = Instant::now();
    drop(guard);
    start.elapsed()
}

/// All three events of the program arrive, and soon.
#[track_caller]
fn assert_three_arrive_soon(mut program: impl FnMut(&PostHogServer) -> Duration) {
    let mut times = Vec::new();
    let best = best_of(TRIES, SOON, || {
        let server = posthog();
        let time = program(&server);
        let events = server.events();
        let arrived = names(&events);
        let arrived = arrived.iter().filter(|name| **name != "now").count();
        assert_eq!(arrived, 3, "of three, after {time:?}");
        times.push(time);
        time
    });
    assert!(best < SOON, "it took {times:?}");
}

#[test]
fn after_a_rest_call_of_a_current_thread_runtime() {
    assert_three_arrive_soon(|server| {
        let client = client_of(server).build().unwrap();
        current_thread().block_on(async {
            ask(&client).await.unwrap();
            time_to_drop(start(&client))
        })
    });
}

#[test]
fn after_a_batch_sent_by_a_current_thread_runtime() {
    assert_three_arrive_soon(|server| {
        let client = client_of(server).build().unwrap();
        current_thread().block_on(async {
            send_now(&client).await;
            time_to_drop(start(&client))
        })
    });
}

#[test]
fn after_a_rest_call_while_the_actor_was_there_already() {
    assert_three_arrive_soon(|server| {
        let client = client_of(server).build().unwrap();
        let posthog = start(&client);
        current_thread().block_on(async {
            ask(&client).await.unwrap();
            time_to_drop(posthog)
        })
    });
}

#[test]
fn where_the_only_worker_of_a_runtime_drops_the_guard_in_a_task() {
    assert_three_arrive_soon(|server| {
        let client = client_of(server).build().unwrap();
        let runtime = one_worker();
        let task = runtime.spawn(async move {
            ask(&client).await.unwrap();
            time_to_drop(start(&client))
        });
        runtime.block_on(task).unwrap()
    });
}

#[test]
fn in_a_program_without_async_that_keeps_the_runtime_of_its_rest_calls() {
    assert_three_arrive_soon(|server| {
        let client = client_of(server).build().unwrap();
        let runtime = current_thread();
        runtime.block_on(ask(&client)).unwrap();
        let posthog = start(&client);
        capture_three(&posthog);
        let start = Instant::now();
        let report = posthog.flush_blocking(Duration::from_secs(5));
        let time = start.elapsed();
        assert!(report.is_complete(), "{report}, after {time:?}");
        drop(runtime);
        time
    });
}

#[test]
fn over_a_reqwest_client_of_the_callers_own() {
    assert_three_arrive_soon(|server| {
        let http = reqwest::Client::new();
        let client = client_of(server).reqwest_client(http).build().unwrap();
        current_thread().block_on(async {
            ask(&client).await.unwrap();
            time_to_drop(start(&client))
        })
    });
}

#[test]
fn where_the_actor_is_a_task_of_another_runtime_than_the_rest_calls() {
    assert_three_arrive_soon(|server| {
        let client = client_of(server).build().unwrap();
        let rest = current_thread();
        rest.block_on(ask(&client)).unwrap();
        let actors = one_worker();
        let posthog = EventCaptureBackend::builder(client)
            .spawn_on(actors.handle())
            .start()
            .unwrap();
        let time = time_to_drop(posthog);
        drop(rest);
        time
    });
}

/// An actor whose hook blocks on the event "slow" until it is released.
struct Busy {
    entered: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
    handle: CaptureHandle,
}

impl Busy {
    /// Delivers one event first, so that the pool holds a connection.
    fn start(
        client: &PostHogClient,
        server: &PostHogServer,
        start: impl FnOnce(tracing_posthog::CaptureBuilder) -> CaptureHandle,
    ) -> Self {
        let (enter, entered) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let gate = Mutex::new((enter, may_go_on));
        let builder = EventCaptureBackend::builder(client.clone())
            .flush_at(1)
            .before_send(move |event| {
                if event.name == "slow" {
                    let (enter, may_go_on) = &*gate.lock().unwrap();
                    let _ = enter.send(());
                    let _ = may_go_on.recv_timeout(LONG);
                }
                Some(event)
            });
        let handle = start(builder);
        handle.capture(Event::new("first"));
        assert!(server.wait_for_events(1, LONG));
        wait_until("its answer", || handle.stats().delivered == 1);
        handle.capture(Event::new("slow"));
        entered.recv_timeout(LONG).unwrap();
        Self {
            entered,
            go_on,
            handle,
        }
    }

    fn end(self) {
        let _ = self.go_on.send(());
        let report = self.handle.shutdown_blocking(LONG);
        assert!(report.is_complete(), "{report}");
        drop(self.entered);
    }
}

/// Shorter than every timeout involved, and far longer than a working call takes.
const HELD_UP: Duration = Duration::from_secs(5);

#[track_caller]
fn assert_answered(client: &PostHogClient) {
    let runtime = current_thread();
    let answer = runtime.block_on(async { tokio::time::timeout(HELD_UP, ask(client)).await });
    let answer = answer.expect("the REST call is held up").unwrap();
    assert_eq!(answer["id"], 7);
}

#[test]
fn a_hook_that_is_busy_holds_no_rest_call_up() {
    let server = posthog();
    let client = client_of(&server).build().unwrap();
    let busy = Busy::start(&client, &server, |builder| builder.start().unwrap());
    assert_answered(&client);
    busy.end();
}

#[test]
fn a_hook_that_is_busy_on_a_runtime_of_the_callers_holds_no_rest_call_up() {
    let server = posthog();
    let client = client_of(&server).build().unwrap();
    let actors = one_worker();
    let spawn =
        |builder: tracing_posthog::CaptureBuilder| builder.spawn_on(actors.handle()).start();
    let busy = Busy::start(&client, &server, |builder| spawn(builder).unwrap());
    assert_answered(&client);
    busy.end();
}

#[test]
fn a_runtime_that_is_busy_holds_no_rest_call_of_another_up() {
    let server = posthog();
    let client = client_of(&server).build().unwrap();
    let busy = one_worker();
    busy.block_on(ask(&client)).unwrap();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel();
    let blocked = busy.spawn(async move {
        let _ = enter.send(());
        let _ = may_go_on.recv_timeout(LONG);
    });
    entered.recv_timeout(LONG).unwrap();
    assert_answered(&client);
    drop(go_on);
    busy.block_on(blocked).unwrap();
}

/// A PostHog that holds back the answer to a POST.
struct SlowPost {
    server: PostHogServer,
    arrived: mpsc::Receiver<()>,
    answer: Arc<Mutex<Option<mpsc::Sender<()>>>>,
}

impl SlowPost {
    fn new() -> Self {
        let server = server();
        let (arrive, arrived) = mpsc::channel();
        let (answer, may_answer) = mpsc::channel::<()>();
        let (arrive, may_answer) = (Mutex::new(arrive), Mutex::new(may_answer));
        server.answer_with(move |request| {
            if !request.path.starts_with("/api/") {
                return None;
            }
            let _ = arrive.lock().unwrap().send(());
            let _ = may_answer.lock().unwrap().recv_timeout(LONG);
            Some(Answer::status(200).json(json!({"id": 7})))
        });
        Self {
            server,
            arrived,
            answer: Arc::new(Mutex::new(Some(answer))),
        }
    }

    /// Posts over a connection that the actor opened, and calls `end` while the request is in flight.
    fn post_while(&self, client: &PostHogClient, posthog: &CaptureHandle, end: impl FnOnce()) {
        posthog.capture(Event::new("first"));
        assert!(self.server.wait_for_events(1, LONG));
        wait_until("its answer", || posthog.stats().delivered == 1);
        let create = client
            .request(Method::POST, "/api/projects/1/annotations/")
            .body(&json!({"content": "once"}));
        let posting = std::thread::spawn(move || current_thread().block_on(create.send()));
        self.arrived.recv_timeout(LONG).unwrap();
        end();
        // Dropping the sender also releases a repeated POST.
        *self.answer.lock().unwrap() = None;
        let answer = posting.join().unwrap();
        let posts = self.server.requests();
        let posts = posts.iter().filter(|r| r.path.starts_with("/api/")).count();
        assert_eq!(posts, 1, "it is created once; the answer was {answer:?}");
        assert_eq!(answer.unwrap()["id"], 7);
    }
}

#[test]
fn a_post_that_is_under_way_when_the_actor_ends_arrives_once() {
    own_process!();
    let slow = SlowPost::new();
    let client = client_of(&slow.server).build().unwrap();
    let posthog = capture_one_by_one(&client).start().unwrap();
    slow.post_while(&client, &posthog, || {
        assert!(posthog.shutdown_blocking(LONG).is_complete());
        // Waits until the actor's thread is gone, with everything that lives on it.
        wait_until("the end of the actor", || !has_thread("posthog-capture"));
    });
}

#[test]
fn a_post_that_is_under_way_when_the_actors_runtime_ends_arrives_once() {
    let slow = SlowPost::new();
    let client = client_of(&slow.server).build().unwrap();
    let actors = one_worker();
    let posthog = capture_one_by_one(&client)
        .spawn_on(actors.handle())
        .start()
        .unwrap();
    slow.post_while(&client, &posthog, || drop(actors));
}

fn capture_one_by_one(client: &PostHogClient) -> tracing_posthog::CaptureBuilder {
    EventCaptureBackend::builder(client.clone()).flush_at(1)
}

/// Whether a thread of this process has that name. Only useful in a test's own process: other tests start actors too.
fn has_thread(name: &str) -> bool {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let mut names =
        threads.filter_map(|t| std::fs::read_to_string(t.ok()?.path().join("comm")).ok());
    names.any(|n| name.starts_with(n.trim()) && !n.trim().is_empty())
}
