//! Failing batches hold no request slot between attempts, and each destination has its own circuit breaker.

use crate::hostile::best_of;
use crate::support::*;
use std::time::{Duration, Instant};
use tracing_posthog::testing::{Answer, EventVerdict, PostHogServer, RecordedRequest};
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, CaptureProtocol, CircuitBreaker, CircuitState, Event, Method,
    PostHogClient, RetryPolicy,
};

/// A good event arrives within this time, whatever fails beside it.
const AT_ONCE: Duration = Duration::from_millis(100);
/// The best of these tries counts, because other processes share the machine.
const TRIES: usize = 5;
/// Longer than an event takes that nothing holds up; a try ends here.
const HELD_UP: Duration = Duration::from_secs(2);

fn has(request: &RecordedRequest, event: &str) -> bool {
    let events = request.json().map(|body| body["batch"].clone());
    let events = events.as_ref().and_then(|events| events.as_array());
    events.is_some_and(|events| events.iter().any(|e| e["event"] == event))
}

/// Gives this answer to batches with an event "bad"; others are accepted.
fn fail_bad_ones(server: &PostHogServer, answer: Answer) {
    server.answer_with(move |request| has(request, "bad").then(|| answer.clone()));
}

/// Sends each event in its own batch, with the default retry policy.
fn one_by_one(server: &PostHogServer) -> CaptureBuilder {
    capture_with(client_of(server).retry(RetryPolicy::default()))
        .flush_at(1)
        .batch_events(1)
}

struct Beside {
    failing: usize,
    answer: Answer,
    /// How long the others have been failing when the good event is captured.
    after: Duration,
    settings: fn(CaptureBuilder) -> CaptureBuilder,
}

impl Beside {
    fn failing(failing: usize, answer: Answer) -> Self {
        Self {
            failing,
            answer,
            after: Duration::ZERO,
            settings: |builder| builder,
        }
    }

    /// Measures the time from capturing a good event until PostHog has read it.
    fn time(&self) -> Duration {
        let server = server();
        fail_bad_ones(&server, self.answer.clone());
        let posthog = (self.settings)(one_by_one(&server)).start().unwrap();
        for _ in 0..self.failing {
            posthog.capture(Event::new("bad").distinct_id("ada"));
        }
        // Every slot that the failing batches can take has been used.
        assert!(server.wait_for_requests(self.failing.min(4), LONG));
        let failing_since = Instant::now();
        wait_until("that they have failed for a while", || {
            failing_since.elapsed() >= self.after
        });
        let time = time_of_a_good_one(&server, &posthog);
        posthog.shutdown_blocking(ms(1));
        time
    }

    #[track_caller]
    fn assert_at_once(self) {
        let mut times = Vec::new();
        let best = best_of(TRIES, AT_ONCE, || {
            let time = self.time();
            times.push(time);
            time
        });
        assert!(best < AT_ONCE, "a good event took {times:?}");
    }
}

fn time_of_a_good_one(server: &PostHogServer, posthog: &CaptureHandle) -> Duration {
    let captured = Instant::now();
    posthog.capture(Event::new("good").distinct_id("ada"));
    while captured.elapsed() < HELD_UP {
        let requests = server.requests();
        if let Some(request) = requests.iter().find(|request| has(request, "good")) {
            return request.received_at - captured;
        }
        std::thread::sleep(ms(1));
    }
    captured.elapsed()
}

#[test]
fn a_good_event_beside_four_failing_batches_arrives_at_once() {
    Beside::failing(4, Answer::status(503)).assert_at_once();
}

#[test]
fn a_good_event_beside_four_failing_batches_with_retry_after_arrives_at_once() {
    let answer = Answer::status(503).header("retry-after", "5");
    Beside::failing(4, answer).assert_at_once();
}

#[test]
fn a_good_event_beside_eight_failing_batches_arrives_at_once() {
    Beside::failing(8, Answer::status(503)).assert_at_once();
}

#[test]
fn a_good_event_captured_a_second_after_the_failures_began_arrives_at_once() {
    let after = Duration::from_secs(1);
    for failing in [4, 8] {
        Beside {
            after,
            ..Beside::failing(failing, Answer::status(503))
        }
        .assert_at_once();
    }
}

#[test]
fn the_only_request_slot_is_free_while_a_batch_waits_for_its_next_attempt() {
    Beside {
        settings: |builder| builder.requests_in_flight(1),
        ..Beside::failing(1, Answer::status(503))
    }
    .assert_at_once();
}

#[test]
fn a_good_event_beside_rate_limited_batches_arrives_at_once() {
    let answer = Answer::status(429).header("retry-after", "5");
    Beside::failing(4, answer).assert_at_once();
}

#[test]
fn by_capture_v1_events_that_are_to_be_sent_again_hold_no_slot() {
    let again = EventVerdict::Retry("not_persisted".into());
    Beside {
        settings: |builder| builder.protocol(CaptureProtocol::V1),
        ..Beside::failing(4, Answer::accept().verdict("bad", again))
    }
    .assert_at_once();
}

/// Counts the attempts until the breaker opens, where PostHog accepts requests and never answers.
fn attempts_until_open(batches: usize) -> usize {
    const FAILURES: u32 = 5;
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let breaker = CircuitBreaker::after_failures(FAILURES).cool_down(Duration::from_secs(3600));
    let client = client_of(&server)
        .retry(quick().attempts(6))
        .circuit_breaker(breaker)
        .attempt_timeout(ms(200));
    let posthog = capture_with(client)
        .flush_at(1)
        .batch_events(1)
        .start()
        .unwrap();
    for n in 0..batches {
        posthog.capture(Event::new(format!("e{n}")));
    }
    wait_until("an open breaker", || {
        posthog.stats().circuit == Some(CircuitState::Open)
    });
    let attempts = server.request_count();
    posthog.shutdown_blocking(ms(1));
    attempts
}

#[test]
fn where_posthog_hangs_the_breaker_opens_after_as_many_attempts_as_it_counts_failures() {
    // Up to four more requests are in flight when the fifth attempt fails.
    let attempts = attempts_until_open(20);
    assert!(attempts <= 5 + 4, "{attempts} attempts");
}

#[test]
fn one_batch_that_hangs_again_and_again_opens_the_breaker_too() {
    let attempts = attempts_until_open(1);
    assert!(attempts <= 6, "{attempts} attempts");
}

/// Lets five queries fail, enough to open a breaker by default.
fn fail_rest(client: &PostHogClient) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for _ in 0..5 {
        let query = client.project(1).hogql("SELECT 1").run();
        let error = runtime.block_on(query).unwrap_err();
        assert_eq!(error.status(), Some(504), "{error}");
    }
}

fn with_failing_queries() -> (PostHogServer, PostHogClient) {
    let server = server();
    server.answer_with(|r| r.path.starts_with("/api/").then(|| Answer::status(504)));
    let client = client_of(&server).build().unwrap();
    (server, client)
}

#[test]
fn queries_that_time_out_leave_the_circuit_of_capture_closed() {
    let (_server, client) = with_failing_queries();
    let posthog = tracing_posthog::start_event_capture_backend(client.clone()).unwrap();
    fail_rest(&client);
    assert_eq!(posthog.stats().circuit, Some(CircuitState::Closed));
}

#[test]
fn queries_that_time_out_cost_no_event() {
    let (server, client) = with_failing_queries();
    let posthog = tracing_posthog::start_event_capture_backend(client.clone()).unwrap();
    fail_rest(&client);
    let start = Instant::now();
    for n in 0..15_000 {
        // Captures as fast as the queue drains.
        let in_memory = || posthog.stats().queued + posthog.stats().in_flight;
        while in_memory() > 9_000 && start.elapsed() < SLOW {
            std::thread::sleep(ms(1));
        }
        posthog.capture(Event::new("e").property("n", n));
    }
    let report = posthog.flush_blocking(SLOW);
    let stats = posthog.stats();
    assert_eq!((stats.delivered, server.event_count()), (15_000, 15_000));
    assert!(report.is_complete(), "{report}");
}

#[test]
fn a_capture_endpoint_that_fails_refuses_no_rest_call() {
    let server = server();
    server.answer_with(|r| {
        let rest = r.path.starts_with("/api/");
        Some(match rest {
            true => Answer::status(200).json(serde_json::json!({"id": 7})),
            false => Answer::status(503),
        })
    });
    let client = client_of(&server).build().unwrap();
    let posthog = tracing_posthog::EventCaptureBackend::builder(client.clone())
        .flush_at(1)
        .batch_events(1)
        .start()
        .unwrap();
    for _ in 0..50 {
        posthog.capture(Event::new("e"));
    }
    wait_until("an open breaker", || {
        posthog.stats().circuit == Some(CircuitState::Open)
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let call = client.request(Method::GET, "/api/users/@me/").send();
    let answer = runtime.block_on(call);
    assert_eq!(answer.unwrap()["id"], 7);
    posthog.shutdown_blocking(ms(1));
}
