//! A PostHog that does not answer, refuses, or comes late: what is tried again, and what that costs others.

use crate::remote::{asking, flags_of};
use crate::support::*;
use serde_json::json;
use std::net::TcpListener;
use std::time::Instant;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CircuitBreaker, CircuitState, Destination, Event, FeatureFlags, PostHogError, RequestErrorKind,
    RetryPolicy,
};

fn good() -> Answer {
    Answer::status(200).json(json!({"flags": {"a": {"enabled": true}}}))
}

/// How many requests an evaluation makes that is answered like this, and like a healthy PostHog then; and its error.
async fn tries(first: Answer) -> (usize, Option<String>) {
    let server = server();
    server.answer_with(|_| Some(good()));
    server.answer_next(first);
    // The policy of other requests makes no difference.
    let client = asking(&server).retry(RetryPolicy::default().attempts(9));
    let flags = flags_of(client.flags(|flags| flags.request_timeout(LONG)));
    let user = flags.evaluate("user_42").await.unwrap();
    let error = user.error().map(ToString::to_string);
    assert_eq!(error.is_none(), user.is_enabled("a"), "{error:?}");
    (server.request_count(), error)
}

#[tokio::test]
async fn gateways_and_broken_connections_are_tried_again_once() {
    for first in [
        Answer::status(502),
        Answer::status(504),
        Answer::reset(),
        Answer::close(),
        Answer::half().json(json!({"flags": {}})),
    ] {
        let (requests, error) = tries(first.clone()).await;
        assert_eq!((requests, error), (2, None), "{first:?}");
    }
}

#[tokio::test]
async fn refusals_are_not_tried_again() {
    for status in [400, 401, 402, 403, 404, 408, 429, 500, 503] {
        let first = Answer::status(status).header("retry-after", "0");
        let (requests, error) = tries(first).await;
        assert_eq!(requests, 1, "{status}");
        let error = error.unwrap();
        assert!(error.contains(&status.to_string()), "{error}");
        assert!(error.starts_with("evaluate flags: "), "{error}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_not_tried_again() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let client = client_at(address).flags(|flags| flags.request_retries(5));
    let error = failure(&flags_of(client)).await;
    assert_eq!(error, (RequestErrorKind::Connect, 1));
}

/// The kind of failure of an evaluation, and how often it was tried.
async fn failure(flags: &FeatureFlags) -> (RequestErrorKind, u32) {
    let user = flags.evaluate("user_42").await.unwrap();
    match user.error().unwrap() {
        PostHogError::RequestError(error) => (error.kind, error.attempts),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_wait_doubles_whatever_retry_after_says() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(502).header("retry-after", "3600")));
    let client = asking(&server).retry(RetryPolicy::none());
    let flags = flags_of(client.flags(|flags| flags.request_retries(2)));
    let user = flags.evaluate("user_42").await.unwrap();
    assert!(user.error().is_some());
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    let waits = requests.windows(2);
    let waits: Vec<_> = waits
        .map(|two| two[1].received_at - two[0].received_at)
        .collect();
    // A request's arrival may be seen late, but not by as much as the waits differ.
    assert!(waits[0] >= ms(200) && waits[1] >= ms(500), "{waits:?}");
}

#[tokio::test]
async fn the_number_of_retries_is_a_setting() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(502)));
    let flags = flags_of(asking(&server).flags(|flags| flags.request_retries(0)));
    flags.evaluate("user_42").await.unwrap();
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn an_attempt_has_a_time_of_its_own() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let client = asking(&server).attempt_timeout(LONG);
    let flags = flags_of(client.flags(|flags| flags.request_timeout(ms(30))));
    let start = Instant::now();
    assert_eq!(failure(&flags).await, (RequestErrorKind::Timeout, 2));
    assert!(start.elapsed() < SLOW, "{:?}", start.elapsed());
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let server = server();
    let huge = format!(
        r#"{{"flags": {{}}, "padding": "{}"}}"#,
        "x".repeat(17 << 20)
    );
    server.answer_next(Answer::status(200).body(huge));
    let flags = flags_of(asking(&server).flags(|flags| flags.request_timeout(LONG)));
    assert_eq!(failure(&flags).await, (RequestErrorKind::AnswerTooLarge, 1));
}

#[tokio::test]
async fn failing_flags_stop_no_events_and_failing_events_no_flags() {
    let is_flags = |path: &str| path.starts_with("/flags");
    for failing_flags in [true, false] {
        let server = server();
        server.answer_with(move |request| {
            let fails = is_flags(&request.path) == failing_flags;
            fails.then(|| Answer::status(503))
        });
        let client = asking(&server)
            .retry(RetryPolicy::none())
            .circuit_breaker(CircuitBreaker::after_failures(2).cool_down(LONG))
            .build()
            .unwrap();
        for _ in 0..3 {
            client.flags().evaluate("user_42").await.unwrap();
            client.capture_batch([Event::new("e")]).await.unwrap();
        }
        let (failing, healthy) = match failing_flags {
            true => (Destination::Flags, Destination::Capture),
            false => (Destination::Capture, Destination::Flags),
        };
        assert_eq!(client.circuit_state(failing), CircuitState::Open);
        assert_eq!(client.circuit_state(healthy), CircuitState::Closed);
        let requests = server.requests();
        let of_flags = requests.iter().filter(|r| is_flags(&r.path)).count();
        let expected = if failing_flags { (2, 3) } else { (3, 2) };
        assert_eq!((of_flags, requests.len() - of_flags), expected);
        let user = client.flags().evaluate("user_42").await.unwrap();
        let is_open = matches!(user.error(), Some(PostHogError::CircuitOpen { .. }));
        assert_eq!(is_open, failing_flags, "{:?}", user.error());
    }
}

#[tokio::test]
async fn refusals_are_told_in_posthogs_words_and_without_what_was_sent() {
    let server = PostHogServer::start().unwrap();
    let flags = flags_of(asking(&server));
    for (answer, says) in [
        (
            Answer::status(429).body(
                "Rate limit exceeded. Please reduce your request frequency and try again later.",
            ),
            "Rate limit exceeded.",
        ),
        (
            Answer::status(401).body(
                "The provided API key is invalid or has expired. Please check your API key and try again.",
            ),
            "invalid or has expired",
        ),
        (
            Answer::status(401).json(json!({"type": "authentication_error", "code": "invalid_api_key",
                "detail": "Project API key invalid. You can find your project API key in PostHog project settings."})),
            "can find your project API key",
        ),
        (Answer::status(400).body("no such plan: secret-plan"), "text instead of"),
    ] {
        server.answer_next(answer);
        let user = flags.evaluate("user_42").person("plan", "secret-plan");
        let user = user.await.unwrap();
        let error = user.error().unwrap();
        let said = format!("{error} {error:?}");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains("secret-plan"), "{said}");
    }
}

#[tokio::test]
async fn a_posthog_that_hangs_takes_no_more_than_some_sockets() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let client = asking(&server).flags(|flags| flags.request_timeout(ms(500)).request_retries(0));
    let flags = client.build().unwrap().flags();
    let all = (0..1_000).map(|n| flags.evaluate(format!("user_{n}")).into_future());
    for user in futures_util::future::join_all(all).await {
        assert!(user.unwrap().error().is_some());
    }
    // Those that got the place of another in time come on top.
    let sockets = server.connection_count();
    assert!((50..=300).contains(&sockets), "{sockets}");
    assert_eq!(flags.stats().request_failures, 1_000);
}
