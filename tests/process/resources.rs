//! Threads and file descriptors: pending futures add no thread, and delivery survives a shortage of either. Each test
//! runs in its own process or starts one, because it counts or exhausts resources of the process.
#![cfg(target_os = "linux")]

use crate::hostile::{block_on, block_on_for, poll_once};
use crate::own_process::own_process;
use crate::support::*;
#[cfg(feature = "flags")]
use serde_json::json;
use std::fs::File;
use std::pin::Pin;
use std::process::Command;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::Dispatch;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, CircuitBreaker, Event, FlushReport, PostHogLayer,
};
use tracing_subscriber::layer::SubscriberExt;

/// More threads than most systems allow in one process.
const PENDING: usize = 20_000;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// An actor with one event in flight, which PostHog never answers.
fn unanswered(
    settings: impl FnOnce(CaptureBuilder) -> CaptureBuilder,
) -> (PostHogServer, CaptureHandle) {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let client = client_of(&server).attempt_timeout(LONG);
    let posthog = settings(capture_with(client).flush_at(1)).start().unwrap();
    posthog.capture(Event::new("unanswered"));
    assert!(server.wait_for_requests(1, LONG));
    (server, posthog)
}

type Pending = Pin<Box<dyn Future<Output = FlushReport>>>;

/// Polls [`PENDING`] of these futures once each, and expects no more threads than with one.
#[track_caller]
fn assert_no_thread_more(start: impl Fn() -> Pending) -> Vec<Pending> {
    let mut all = vec![start()];
    poll_once(&mut all[0]);
    let before = threads();
    while all.len() < PENDING {
        let mut one = start();
        poll_once(&mut one);
        all.push(one);
        if all.len().is_multiple_of(100) {
            let now = threads();
            let pending = all.len();
            assert!(
                now <= before,
                "{now} threads with {pending} futures, {before} with one"
            );
        }
    }
    all
}

#[test]
fn pending_flushes_add_no_thread() {
    own_process!();
    let (_server, posthog) = unanswered(|builder| builder);
    let pending = assert_no_thread_more(|| {
        let posthog = posthog.clone();
        Box::pin(async move { posthog.flush().await })
    });
    assert_eq!(pending.len(), PENDING);
}

/// The line of the start waits for somebody who reads it: each new subscriber may be the one.
#[test]
fn subscribers_that_read_nothing_cost_a_few_threads_at_most() {
    own_process!();
    let (_server, posthog) = unanswered(|builder| builder);
    let before = threads();
    let subscribers: Vec<Dispatch> = (0..300)
        .map(|_| {
            let layer = PostHogLayer::new(posthog.clone());
            let subscriber = Dispatch::new(tracing_subscriber::registry().with(layer));
            let now = threads();
            // Four, and some that are about to end.
            assert!(now <= before + 20, "{now} threads, {before} before");
            subscriber
        })
        .collect();
    drop(subscribers);
}

#[test]
fn pending_shutdowns_add_no_thread() {
    own_process!();
    let (_server, posthog) = unanswered(|builder| builder);
    let pending = assert_no_thread_more(|| {
        let posthog = posthog.clone();
        Box::pin(async move { posthog.shutdown().await })
    });
    assert_eq!(pending.len(), PENDING);
}

#[test]
fn pending_flushes_end_when_their_time_is_over() {
    own_process!();
    let time = Duration::from_secs(1);
    let (_server, posthog) = unanswered(|builder| builder.flush_timeout(time));
    let mut all: Vec<_> = (0..PENDING).map(|_| Box::pin(posthog.flush())).collect();
    for flush in &mut all {
        poll_once(flush);
    }
    let start = Instant::now();
    let last = all.pop().unwrap();
    let report = block_on(last);
    let took = start.elapsed();
    assert_eq!((report.pending, report.dropped), (1, 0), "{report}");
    assert!(took < time * 5, "a flush of {time:?} took {took:?}");
    for flush in all {
        assert_eq!(block_on(flush).pending, 1);
    }
    assert!(start.elapsed() < time * 10, "{:?}", start.elapsed());
}

#[test]
fn a_flush_ends_in_time_while_a_hook_is_busy() {
    own_process!();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = Mutex::new(may_go_on);
    let (enter, entered) = mpsc::channel();
    let server = server();
    let posthog = capture_to(&server)
        .flush_timeout(ms(300))
        .before_send(move |event| {
            let _ = enter.send(());
            let _ = may_go_on.lock().unwrap().recv_timeout(LONG);
            Some(event)
        })
        .start()
        .unwrap();
    posthog.capture(Event::new("slow"));
    entered.recv_timeout(LONG).unwrap();
    let mut all: Vec<_> = (0..1_000).map(|_| Box::pin(posthog.flush())).collect();
    poll_once(&mut all[0]);
    let before = threads();
    for flush in &mut all[1..] {
        poll_once(flush);
    }
    let now = threads();
    assert!(now <= before, "{now} threads, {before} with one flush");
    let start = Instant::now();
    for flush in all {
        assert_eq!(block_on(flush).pending, 1);
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(go_on);
    assert!(posthog.flush_blocking(LONG).is_complete());
}

/// Runs a test of this binary in a child process, started through another program that sets limits.
fn run_through<F: Fn()>(
    through: &[&str],
    _: F,
    server: &PostHogServer,
    more: &str,
) -> Result<(), String> {
    // `binary::module::test`
    let (_, child) = std::any::type_name::<F>().split_once("::").unwrap();
    let output = Command::new(through[0])
        .args(&through[1..])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", child, "--nocapture", "--test-threads=1"])
        .env("CORE_TEST_PORT", server.addr().port().to_string())
        .env("CORE_TEST_MORE", more)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.contains("1 passed") {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\n{said}\n{errors}", output.status))
}

#[track_caller]
fn assert_passed(result: Result<(), String>) {
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

/// The arguments of a child process: the port of PostHog, and one more.
fn told() -> Option<(u16, String)> {
    let port = std::env::var("CORE_TEST_PORT").ok()?;
    Some((
        port.parse().unwrap(),
        std::env::var("CORE_TEST_MORE").unwrap(),
    ))
}

/// Opens files until the limit of file descriptors is reached.
fn all_files() -> Vec<File> {
    let mut all = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        all.push(file);
    }
    all
}

fn patient(port: u16) -> CaptureBuilder {
    let client = client_at(format!("http://127.0.0.1:{port}"));
    capture_with(client.circuit_breaker(CircuitBreaker::off())).flush_at(1)
}

/// Flushes until so many events are delivered, within [`SLOW`].
#[track_caller]
fn assert_delivered(posthog: &CaptureHandle, events: u64) {
    let start = Instant::now();
    while posthog.stats().delivered < events && start.elapsed() < SLOW {
        posthog.flush_blocking(ms(1_000));
    }
    let stats = posthog.stats();
    assert_eq!(stats.delivered, events, "{stats:?}");
    assert_settled(&stats);
}

/// Starts with a few free file descriptors, and captures once there are more.
#[test]
fn child_that_starts_with_few_files() {
    let Some((port, free)) = told() else { return };
    let mut files = all_files();
    files.truncate(files.len() - free.parse::<usize>().unwrap());
    let started = patient(port).start();
    drop(files);
    match started {
        Ok(posthog) => {
            posthog.capture(Event::new("with many"));
            assert_delivered(&posthog, 1);
            println!("{free} free: it works");
        }
        Err(error) => println!("{free} free: {error}"),
    }
}

const FEW_FILES: [&str; 3] = ["sh", "-c", "ulimit -n 64 && exec \"$0\" \"$@\""];

#[test]
fn a_start_with_few_file_descriptors_is_an_error_or_works() {
    let server = server();
    let mut failures = Vec::new();
    for free in 0..=8 {
        let child = child_that_starts_with_few_files;
        let result = run_through(&FEW_FILES, child, &server, &free.to_string());
        failures.extend(result.err().map(|e| format!("with {free} free: {e}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Captures its first event while no file descriptor is free, and the second once there are.
#[test]
fn child_without_files() {
    let Some((port, _)) = told() else { return };
    let posthog = patient(port).start().unwrap();
    let files = all_files();
    posthog.capture(Event::new("without"));
    wait_until("it is looked at", || posthog.stats().queued == 0);
    let start = Instant::now();
    wait_until("half a second without files", || start.elapsed() > ms(500));
    drop(files);
    posthog.capture(Event::new("with"));
    assert_delivered(&posthog, 2);
}

#[test]
fn no_file_descriptor_to_be_had_for_the_first_request_costs_no_event() {
    let server = server();
    assert_passed(run_through(&FEW_FILES, child_without_files, &server, ""));
}

/// Idle threads, as many as the limit allows.
struct AllThreads {
    end: mpsc::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl AllThreads {
    fn take() -> Self {
        let (end, ended) = mpsc::channel();
        let ended = Arc::new(Mutex::new(ended));
        let mut threads = Vec::new();
        loop {
            let ended = ended.clone();
            let thread = std::thread::Builder::new().spawn(move || {
                // One thread waits for the channel, the others for the lock.
                let _ = ended.lock().map(|ended| ended.recv_timeout(LONG));
            });
            match thread {
                Ok(thread) => threads.push(thread),
                Err(_) => return Self { end, threads },
            }
        }
    }

    fn give_back(self) {
        drop(self.end);
        for thread in self.threads {
            thread.join().unwrap();
        }
    }
}

/// Captures while no thread can be created (resolving the name needs one), and goes on once threads are available.
#[test]
fn child_without_threads() {
    let Some((port, _)) = told() else { return };
    let client = client_at(format!("http://localhost:{port}"));
    let client = client.circuit_breaker(CircuitBreaker::off());
    let posthog = capture_with(client).flush_at(1).start().unwrap();
    let all = AllThreads::take();
    assert!(all.threads.len() > 1, "there is a limit, and it is met");
    posthog.capture(Event::new("without"));
    let start = Instant::now();
    wait_until("half a second without threads", || {
        start.elapsed() > ms(500) && posthog.stats().queued == 0
    });
    all.give_back();
    for n in 0..1_000 {
        posthog.capture(Event::new(format!("later{n}")));
    }
    assert_delivered(&posthog, 1_001);
}

/// Flushes while a hook is busy and no thread can be created.
#[test]
fn child_that_flushes_without_threads() {
    let Some((port, _)) = told() else { return };
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (enter, entered) = mpsc::channel();
    let gate = Mutex::new((enter, may_go_on));
    let posthog = patient(port)
        .flush_timeout(Duration::from_secs(1))
        .before_send(move |event| {
            if event.name == "slow" {
                let (enter, may_go_on) = &*gate.lock().unwrap();
                let _ = enter.send(());
                let _ = may_go_on.recv_timeout(LONG);
            }
            Some(event)
        })
        .start()
        .unwrap();
    // From here on the crate has all the threads it needs.
    posthog.capture(Event::new("first"));
    assert_delivered(&posthog, 1);
    posthog.capture(Event::new("slow"));
    entered.recv_timeout(LONG).unwrap();
    let all = AllThreads::take();
    let report = block_on_for(posthog.flush(), Duration::from_secs(6));
    all.give_back();
    drop(go_on);
    let report = report.expect("a flush of 1 s goes on after 6 s");
    assert_eq!(report.pending, 1, "{report}");
}

/// Loads definitions while no thread can be created to read them, and goes on once threads are available.
#[test]
#[cfg(feature = "flags")]
fn child_that_loads_flags_without_threads() {
    let Some((port, _)) = told() else { return };
    let client = client_at(format!("http://127.0.0.1:{port}"));
    let flags = client.build().unwrap().flags();
    // Starts the thread of requests, and waits for nothing.
    let _ = block_on_for(flags.evaluate("ada").remotely(), LONG).unwrap();
    let all = AllThreads::take();
    assert!(all.threads.len() > 1, "there is a limit, and it is met");
    let error = block_on_for(flags.ready(), LONG).unwrap().unwrap_err();
    assert!(error.to_string().contains("thread"), "{error}");
    all.give_back();
    block_on_for(flags.ready(), LONG).unwrap().unwrap();
    assert!(flags.evaluate("ada").locally().is_enabled("a"));
}

/// Runs a test as a user with a limit of threads, which root does not have. Each caller passes another user id, so
/// that tests do not use up each other's threads. Returns false where changing the user is not possible.
fn run_with_few_threads(user: &str, child: impl Fn(), server: &PostHogServer) -> bool {
    let user = format!("--reuid={user}");
    let user = ["setpriv", &user, "--clear-groups"];
    let may = Command::new(user[0]).args(&user[1..]).arg("true").output();
    if !may.is_ok_and(|output| output.status.success()) {
        println!("skipped: only root may become another user");
        return false;
    }
    let mut through = vec!["prlimit", "--nproc=40"];
    through.extend(user);
    assert_passed(run_through(&through, child, server, ""));
    true
}

#[test]
fn no_thread_to_be_had_while_a_name_is_resolved_costs_no_event() {
    let server = server();
    if run_with_few_threads("54321", child_without_threads, &server) {
        assert_eq!(server.event_count(), 1_001);
    }
}

#[test]
fn a_flush_ends_in_time_where_there_is_no_thread_to_be_had() {
    let server = server();
    run_with_few_threads("54322", child_that_flushes_without_threads, &server);
}

#[test]
#[cfg(feature = "flags")]
fn no_thread_to_be_had_to_read_definitions_costs_one_load() {
    let server = server();
    server.answer_with(|request| {
        let definitions =
            json!({"flags": [{"key": "a", "active": true, "filters": {"groups": [{}]}}]});
        let is_load = request.path == "/flags/definitions";
        is_load.then(|| Answer::status(200).json(definitions))
    });
    run_with_few_threads("54323", child_that_loads_flags_without_threads, &server);
}
