//! After repeated failures a destination is left alone for a while, by everything that shares the client.

use crate::support::*;
use futures_util::FutureExt;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CircuitBreaker, CircuitState, Destination, Event, PostHogClient, PostHogError, RetryPolicy,
};

const LONG_PAUSE: Duration = Duration::from_secs(3600);

fn client(server: &PostHogServer, breaker: CircuitBreaker) -> PostHogClient {
    client_of(server)
        .retry(quick().attempts(2))
        .circuit_breaker(breaker)
        .build()
        .unwrap()
}

fn capture(client: &PostHogClient) -> tracing_posthog::CaptureHandle {
    tracing_posthog::EventCaptureBackend::builder(client.clone())
        .flush_at(1)
        .shutdown_timeout(LONG)
        .start()
        .unwrap()
}

async fn ask(client: &PostHogClient) -> Result<Value, PostHogError> {
    client
        .request(reqwest::Method::GET, "/api/users/@me/")
        .send_as()
        .await
}

fn fail(server: &PostHogServer) {
    server.answer_with(|_| Some(Answer::status(503)));
}

fn recover(server: &PostHogServer) {
    server.answer_with(|r| {
        let answer = || Answer::status(200).json(json!({"id": 7}));
        r.path.starts_with("/api/").then(answer)
    });
}

#[tokio::test]
async fn it_opens_after_so_many_failed_calls_and_refuses_the_next_at_once() {
    let server = server();
    fail(&server);
    let client = client(
        &server,
        CircuitBreaker::after_failures(3).cool_down(LONG_PAUSE),
    );
    for _ in 0..3 {
        assert_eq!(client.circuit_state(Destination::Api), CircuitState::Closed);
        assert_eq!(ask(&client).await.unwrap_err().status(), Some(503));
    }
    assert_eq!(client.circuit_state(Destination::Api), CircuitState::Open);
    assert_eq!(server.request_count(), 6, "calls are counted, not attempts");
    let start = Instant::now();
    let error = ask(&client).await.unwrap_err();
    assert!(start.elapsed() < SLOW);
    assert!(error.is_retryable());
    let PostHogError::CircuitOpen { retry_in, .. } = error else {
        panic!("{error:?}")
    };
    assert!(retry_in <= LONG_PAUSE * 5 / 4 && retry_in > LONG_PAUSE - LONG);
    assert_eq!(server.request_count(), 6);
}

/// A slow query API is no reason to stop events, nor the other way round.
#[tokio::test]
async fn rest_and_capture_have_a_breaker_each() {
    let server = server();
    fail(&server);
    let client = client(
        &server,
        CircuitBreaker::after_failures(2).cool_down(LONG_PAUSE),
    );
    ask(&client).await.unwrap_err();
    ask(&client).await.unwrap_err();
    assert_eq!(client.circuit_state(Destination::Api), CircuitState::Open);
    assert_eq!(
        client.circuit_state(Destination::Capture),
        CircuitState::Closed
    );
    let posthog = capture(&client);
    assert_eq!(posthog.stats().circuit, Some(CircuitState::Closed));
    for name in ["one", "two"] {
        posthog.capture(Event::new(name));
        posthog.flush().await;
    }
    until("an open breaker", || {
        posthog.stats().circuit == Some(CircuitState::Open)
    })
    .await;
    let asked = server.request_count();
    assert!(matches!(
        ask(&client).await,
        Err(PostHogError::CircuitOpen { .. })
    ));
    // All events share theirs.
    let summary = client.capture_batch([Event::new("three")]).await.unwrap();
    assert!(matches!(
        summary.errors[..],
        [PostHogError::CircuitOpen { .. }]
    ));
    assert_eq!(server.request_count(), asked);
    posthog.shutdown_blocking(ms(1));
}

#[test]
fn the_actor_tries_nothing_while_it_is_open() {
    let server = server();
    fail(&server);
    let client = client(
        &server,
        CircuitBreaker::after_failures(1).cool_down(LONG_PAUSE),
    );
    let posthog = capture(&client);
    posthog.capture(Event::new("first"));
    wait_until("an open breaker", || {
        client.circuit_state(Destination::Capture) == CircuitState::Open
    });
    let opened = Instant::now();
    for n in 0..500 {
        posthog.capture(Event::new(format!("e{n}")));
    }
    let batches = posthog.stats().batches;
    wait_until("a part of the cool-down", || opened.elapsed() > ms(200));
    assert_eq!(posthog.stats().batches, batches, "nothing is even tried");
    assert_eq!(server.request_count(), 2);
    posthog.shutdown_blocking(ms(1));
}

#[test]
fn the_actor_waits_while_it_is_open_and_drops_nothing() {
    let server = server();
    fail(&server);
    let client = client(
        &server,
        CircuitBreaker::after_failures(1).cool_down(ms(2_000)),
    );
    let posthog = capture(&client);
    posthog.capture(Event::new("first"));
    wait_until("an open breaker", || {
        client.circuit_state(Destination::Capture) == CircuitState::Open
    });
    recover(&server);
    for n in 0..500 {
        posthog.capture(Event::new(format!("e{n}")));
    }
    // Two attempts of the call that opened it, and the first after the cool-down.
    assert!(server.wait_for_requests(3, LONG));
    let at: Vec<_> = server.requests().iter().map(|r| r.received_at).collect();
    assert!(at[2] - at[1] >= ms(1_000), "{:?}", at[2] - at[1]);
    let report = posthog.flush_blocking(LONG);
    assert_eq!((report.dropped, report.pending), (0, 0), "{report}");
    assert_eq!(posthog.stats().delivered, 501);
    assert_eq!(server.event_count(), 501);
    assert_eq!(
        client.circuit_state(Destination::Capture),
        CircuitState::Closed
    );
}

#[test]
fn a_batch_that_meets_a_breaker_just_opened_is_kept() {
    let server = server();
    fail(&server);
    let client = client(
        &server,
        CircuitBreaker::after_failures(1).cool_down(ms(1_000)),
    );
    let (encoding, is_encoding) = std::sync::mpsc::channel();
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    // Holds the batch between the decision to send it and the sending.
    let posthog = tracing_posthog::EventCaptureBackend::builder(client.clone())
        .flush_at(1)
        .before_send(move |event| {
            if event.name == "one" {
                encoding.send(()).ok()?;
                may_go_on.lock().ok()?.recv().ok()?;
            }
            Some(event)
        })
        .start()
        .unwrap();
    posthog.capture(Event::new("one"));
    is_encoding.recv().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let failed = runtime.block_on(client.capture_batch([Event::new("other")]));
    assert_eq!(failed.unwrap().delivered, 0);
    assert_eq!(
        client.circuit_state(Destination::Capture),
        CircuitState::Open
    );
    recover(&server);
    go_on.send(()).unwrap();
    wait_until("delivery", || posthog.stats().delivered == 1);
    assert_eq!(posthog.stats().dropped.total(), 0);
}

#[test]
fn one_probe_goes_at_a_time_and_a_failed_one_opens_it_again() {
    let server = server();
    fail(&server);
    let client = client_of(&server)
        .retry(quick().attempts(1))
        .circuit_breaker(CircuitBreaker::after_failures(1).cool_down(ms(150)))
        .build()
        .unwrap();
    let posthog = tracing_posthog::EventCaptureBackend::builder(client.clone())
        .batch_events(10)
        .shutdown_timeout(ms(1))
        .start()
        .unwrap();
    posthog.capture(Event::new("first"));
    posthog.flush_blocking(LONG);
    for n in 0..200 {
        posthog.capture(Event::new(format!("e{n}")));
    }
    assert!(server.wait_for_requests(4, LONG));
    let requests = server.requests();
    for pair in requests.windows(2) {
        let between = pair[1].received_at - pair[0].received_at;
        assert!(between >= ms(140), "{between:?} after a failed probe");
    }
    assert_eq!(posthog.stats().dropped.total(), 0);
}

#[tokio::test]
async fn it_is_half_open_after_the_cool_down_and_a_good_probe_closes_it() {
    let server = server();
    fail(&server);
    let client = client(
        &server,
        CircuitBreaker::after_failures(1).cool_down(ms(100)),
    );
    ask(&client).await.unwrap_err();
    until("half open", || {
        client.circuit_state(Destination::Api) == CircuitState::HalfOpen
    })
    .await;
    let held = Held::answering(&server, || Some(Answer::status(200).json(json!(1))));
    let probe = tokio::spawn({
        let client = client.clone();
        async move { ask(&client).await }
    });
    until("the probe", || held.has_come()).await;
    let refused = ask(&client).await;
    assert!(matches!(refused, Err(PostHogError::CircuitOpen { .. })));
    drop(held);
    recover(&server);
    probe.await.unwrap().unwrap();
    assert_eq!(client.circuit_state(Destination::Api), CircuitState::Closed);
    ask(&client).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_opens_nothing() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(401)));
    let client = client(&server, CircuitBreaker::after_failures(1));
    for _ in 0..5 {
        ask(&client).await.unwrap_err();
    }
    assert_eq!(client.circuit_state(Destination::Api), CircuitState::Closed);
    assert_eq!(server.request_count(), 5);
}

#[tokio::test]
async fn switched_off_it_never_opens() {
    let server = server();
    fail(&server);
    let client = client(&server, CircuitBreaker::off());
    for _ in 0..10 {
        assert_eq!(ask(&client).await.unwrap_err().status(), Some(503));
    }
    assert_eq!(client.circuit_state(Destination::Api), CircuitState::Closed);
    assert_eq!(server.request_count(), 20);
}

#[test]
fn a_shutdown_tries_once_more_although_it_is_open() {
    let server = server();
    fail(&server);
    let client = client(
        &server,
        CircuitBreaker::after_failures(1).cool_down(LONG_PAUSE),
    );
    let posthog = capture(&client);
    posthog.capture(Event::new("first"));
    wait_until("an open breaker", || {
        client.circuit_state(Destination::Capture) == CircuitState::Open
    });
    recover(&server);
    posthog.capture(Event::new("second"));
    assert_eq!(posthog.shutdown_blocking(LONG).delivered, 2);
}

/// Whenever the cool-down ends, the actor sees it: also while it is busy with writing to disk.
#[test]
fn the_end_of_a_cool_down_is_never_missed() {
    let (server, directory) = (server(), spooling::Directory::new());
    // Every other one.
    let asked = AtomicUsize::new(0);
    server.answer_with(move |_| {
        let fails = asked.fetch_add(1, SeqCst).is_multiple_of(2);
        fails.then(|| Answer::status(503))
    });
    let breaker = CircuitBreaker::after_failures(1).cool_down(ms(1));
    let client = client_of(&server).retry(RetryPolicy::none());
    let posthog = capture_with(client.circuit_breaker(breaker))
        .batch_events(1)
        .requests_in_flight(1)
        .spool(directory.spool())
        .start()
        .unwrap();
    for round in 1..=100 {
        for _ in 0..5 {
            posthog.capture(Event::new("e").distinct_id("user_1"));
        }
        let start = Instant::now();
        while posthog.stats().delivered < 5 * round {
            posthog.flush_blocking(LONG);
            assert!(start.elapsed() < LONG / 2, "it sleeps, round {round}");
        }
    }
    assert_settled(&posthog.stats());
}

#[test]
fn while_its_own_probe_is_under_way_it_sleeps() {
    let server = server();
    let n = AtomicUsize::new(0);
    server.answer_with(move |_| match n.fetch_add(1, SeqCst) {
        0 => Some(Answer::status(503)),
        _ => Some(Answer::accept().delay(ms(2000))),
    });
    let client = client_of(&server)
        .retry(RetryPolicy::none())
        .circuit_breaker(CircuitBreaker::after_failures(1).cool_down(ms(50)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let posthog = capture_with(client)
        .flush_interval(ms(20))
        .spawn_on(runtime.handle())
        .start()
        .unwrap();
    posthog.capture(Event::new("e").distinct_id("user_1"));
    runtime.block_on(until("the probe", || server.requests().len() == 2));
    let m = runtime.handle().metrics();
    let before = m.worker_park_count(0);
    // Watched for a second, of the two that PostHog takes.
    runtime.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
    let parks = m.worker_park_count(0) - before;
    assert!(parks < 10, "it woke {parks} times");
}

/// A batch that is sent at once may be the probe, and its runtime may never be driven again.
#[test]
fn a_probe_of_a_runtime_that_starves_does_not_keep_events_from_going() {
    let server = server();
    fail(&server);
    let client = client_of(&server)
        .retry(RetryPolicy::none())
        .attempt_timeout(ms(200))
        .circuit_breaker(CircuitBreaker::after_failures(1).cool_down(ms(100)))
        .build()
        .unwrap();
    let posthog = capture(&client);
    posthog.capture(Event::new("waits").distinct_id("ada"));
    let mut starving = Vec::new();
    wait_until("a batch is the probe, and is left there", || {
        let half_open = client.circuit_state(Destination::Capture) == CircuitState::HalfOpen;
        let mut batch = Box::pin(client.capture_batch([Event::new("held")]));
        let admitted = batch.as_mut().now_or_never().is_none();
        starving.push(batch);
        half_open && admitted
    });
    recover(&server);
    wait_until("the event is delivered", || posthog.stats().delivered == 1);
}
