//! What is tried again, how often, after which wait, and what is said about it.

use crate::support::*;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CaptureHandle, CaptureProtocol, DropReason, Event, PostHogClient, PostHogError,
    RequestErrorKind, RetryMethods, RetryPolicy,
};

async fn ask(client: &PostHogClient) -> Result<Value, PostHogError> {
    client
        .request(reqwest::Method::GET, "/api/users/@me/")
        .send_as()
        .await
}

/// Lets REST calls through to an answer of their own.
fn answer_rest(server: &PostHogServer) {
    server.answer_with(|r| {
        let answer = || Answer::status(200).json(json!({"id": 7}));
        r.path.starts_with("/api/").then(answer)
    });
}

fn one_event(server: &PostHogServer) -> CaptureHandle {
    let posthog = capture_to(server).flush_at(1).start().unwrap();
    posthog.capture(Event::new("paid").distinct_id("user_1"));
    posthog
}

#[test]
fn an_event_arrives_whatever_fault_meets_it_first() {
    let faults = [
        ("reset before the body", Answer::reset_before_body()),
        ("reset after the body", Answer::reset()),
        ("closed without an answer", Answer::close()),
        ("half an answer", Answer::half()),
        ("an answer of the wrong length", Answer::wrong_length(500)),
        ("no HTTP at all", Answer::raw("SSH-2.0-OpenSSH\r\n")),
        ("408", Answer::status(408)),
        ("429", Answer::status(429)),
        ("500", Answer::status(500)),
        ("502 from a proxy", Answer::status(502).body("<html>")),
        ("503", Answer::status(503)),
        ("504", Answer::status(504)),
        ("503 after accepting", Answer::status(503).after_accepting()),
        ("reset after accepting", Answer::reset().after_accepting()),
    ];
    for (fault, answer) in faults {
        let server = server();
        let kept = usize::from(fault.contains("accepting"));
        server.answer_next_times(2, answer);
        let posthog = one_event(&server);
        assert!(server.wait_for_events(1 + 2 * kept, LONG), "{fault}");
        let report = posthog.flush_blocking(LONG);
        assert_eq!(report.pending, 0, "{fault}: {report}");
        assert_eq!(posthog.stats().delivered, 1, "{fault}");
        // A request that was reset before its body is not recorded.
        let requests = if fault.contains("before") { 1 } else { 3 };
        assert_eq!(server.request_count(), requests, "{fault}");
    }
}

#[test]
fn an_answer_that_does_not_come_is_given_up_after_the_attempts_time() {
    let server = server();
    server.answer_next(Answer::stall());
    let client = client_of(&server).attempt_timeout(ms(1_000));
    let posthog = capture_with(client).flush_at(1).start().unwrap();
    let captured = Instant::now();
    posthog.capture(Event::new("paid"));
    assert!(server.wait_for_events(1, LONG));
    let at: Vec<_> = server.requests().iter().map(|r| r.received_at).collect();
    let at: Vec<_> = at.into_iter().map(|at| at - captured).collect();
    assert!(at.len() >= 2 && at[1] < SLOW, "{at:?}");
    // A second for each attempt before it: on a busy machine a healthy answer may be late too.
    let in_time = |(n, at): (usize, &Duration)| *at >= ms(1_000) * n as u32;
    assert!(at.iter().enumerate().all(in_time), "{at:?}");
}

#[test]
fn a_large_body_that_is_cut_off_is_sent_again_whole() {
    let server = server();
    server.answer_next(Answer::reset_before_body());
    let posthog = capture_to(&server)
        .compression(tracing_posthog::Compression::Off)
        .start()
        .unwrap();
    for n in 0..20 {
        posthog.capture(Event::new(format!("e{n}")).property("text", "x".repeat(200_000)));
    }
    assert!(posthog.shutdown_blocking(LONG).is_complete());
    assert_eq!(server.event_count(), 20);
}

#[test]
fn events_captured_before_posthog_is_up_arrive_when_it_is() {
    let addr = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = client_at(format!("http://{addr}")).retry(quick().attempts(1_000));
    let posthog = capture_with(client).flush_at(1).start().unwrap();
    posthog.capture(Event::new("paid"));
    wait_until("it is being tried", || posthog.stats().batches == 1);
    assert_eq!(posthog.stats().delivered, 0);
    let server = PostHogServer::start_on(addr).unwrap();
    assert!(server.wait_for_events(1, LONG));
    assert!(posthog.flush_blocking(LONG).pending == 0);
    assert_eq!(posthog.stats().batches_kept, 0);
}

#[tokio::test]
async fn six_attempts_are_made_by_default_and_the_error_tells_so() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(503)));
    let client = client_of(&server).build().unwrap();
    let error = ask(&client).await.unwrap_err();
    assert_eq!(server.request_count(), 6);
    assert!(error.is_retryable() && error.status() == Some(503));
    let text = error.to_string();
    assert!(text.contains("(after 6 attempts)"), "{text}");
}

#[tokio::test]
async fn answers_that_will_not_change_are_not_asked_for_twice() {
    for status in [400, 401, 402, 403, 404, 409, 413, 415, 422] {
        let server = server();
        server.answer_with(move |_| Some(Answer::status(status)));
        let client = client_of(&server).build().unwrap();
        let error = ask(&client).await.unwrap_err();
        assert_eq!(server.request_count(), 1, "{status}");
        assert_eq!(
            (error.status(), error.is_retryable()),
            (Some(status), false)
        );
        let posthog = one_event(&server);
        wait_until("a verdict", || posthog.stats().dropped.total() == 1);
        let reason = match status {
            402 => DropReason::Quota,
            413 => DropReason::TooLarge,
            _ => DropReason::Rejected,
        };
        assert_eq!(posthog.stats().dropped.by(reason), 1, "{status}");
        assert_eq!(server.request_count(), 2, "{status}");
    }
}

/// How long the client waited between its two requests.
fn waited(server: &PostHogServer) -> Duration {
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    requests[1].received_at - requests[0].received_at
}

#[tokio::test]
async fn retry_after_in_seconds_is_waited_for() {
    let server = server();
    answer_rest(&server);
    server.answer_next(Answer::status(429).header("retry-after", "1"));
    let patient = RetryPolicy::default().first_delay(ms(1));
    let client = client_of(&server).retry(patient).build().unwrap();
    ask(&client).await.unwrap();
    assert!(waited(&server) >= ms(1_000), "{:?}", waited(&server));
}

#[tokio::test]
async fn retry_after_as_a_date_is_waited_for() {
    let server = server();
    answer_rest(&server);
    // A date has whole seconds: this one is between one and two seconds ahead.
    let date = SystemTime::now() + ms(2_000);
    let text = httpdate::fmt_http_date(date);
    server.answer_next(Answer::status(503).header("retry-after", text));
    let patient = RetryPolicy::default().first_delay(ms(1));
    let client = client_of(&server).retry(patient).build().unwrap();
    ask(&client).await.unwrap();
    let whole = date.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(SystemTime::now() >= UNIX_EPOCH + Duration::from_secs(whole));
    assert!(waited(&server) >= ms(900), "{:?}", waited(&server));
}

#[tokio::test]
async fn retry_after_is_clamped_to_the_longest_delay() {
    for told in ["86400", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        let server = server();
        answer_rest(&server);
        server.answer_next(Answer::status(429).header("retry-after", told));
        let policy = RetryPolicy::default().first_delay(ms(1)).max_delay(ms(120));
        let client = client_of(&server).retry(policy).build().unwrap();
        ask(&client).await.unwrap();
        let waited = waited(&server);
        assert!(waited >= ms(115) && waited < SLOW, "{told}: {waited:?}");
    }
}

#[tokio::test]
async fn a_retry_after_that_says_nothing_leaves_the_backoff_alone() {
    for told in ["0", "-5", "soon", "Sun, 06 Nov 1994 08:49:37 GMT"] {
        let server = server();
        answer_rest(&server);
        server.answer_next(Answer::status(503).header("retry-after", told));
        let patient = quick().max_delay(Duration::from_secs(3600));
        let client = client_of(&server).retry(patient).build().unwrap();
        ask(&client).await.unwrap();
        assert!(waited(&server) < SLOW, "{told}: {:?}", waited(&server));
    }
}

#[test]
fn the_retry_after_of_the_last_attempt_is_waited_for_too() {
    let server = server();
    // Kept events are tried again after one to two seconds.
    server.answer_next(Answer::status(429).header("retry-after", "3"));
    let client = client_of(&server).retry(RetryPolicy::none());
    let posthog = capture_with(client).flush_at(1).start().unwrap();
    posthog.capture(Event::new("paid"));
    wait_until("it is delivered", || posthog.stats().delivered == 1);
    assert!(waited(&server) >= ms(3_000), "{:?}", waited(&server));
}

#[test]
fn a_flush_does_not_wait_for_a_retry_after() {
    let server = server();
    server.answer_next(Answer::status(429).header("retry-after", "30"));
    let client = client_of(&server).retry(RetryPolicy::none());
    let posthog = capture_with(client).flush_at(1).start().unwrap();
    posthog.capture(Event::new("paid"));
    wait_until("it is kept", || posthog.stats().batches_kept == 1);
    assert!(posthog.flush_blocking(LONG).is_complete());
    assert!(waited(&server) < SLOW, "{:?}", waited(&server));
}

#[tokio::test]
async fn waits_double() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(503)));
    let policy = RetryPolicy::default().first_delay(ms(20)).attempts(5);
    let client = client_of(&server).retry(policy).build().unwrap();
    ask(&client).await.unwrap_err();
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    for (n, pair) in requests.windows(2).enumerate() {
        let wait = pair[1].received_at - pair[0].received_at;
        assert!(wait >= ms(19) * 2_u32.pow(n as u32), "wait {n}: {wait:?}");
    }
}

#[tokio::test]
async fn a_policy_can_leave_requests_alone_that_may_have_been_acted_on() {
    let server = server();
    let policy = quick().methods(RetryMethods::Idempotent);
    let client = client_of(&server).retry(policy).build().unwrap();
    let post = || async {
        let request = client.request(reqwest::Method::POST, "/api/projects/1/");
        request.body(&json!({"a": 1})).send().await
    };
    answer_rest(&server);
    server.answer_next(Answer::status(503));
    post().await.unwrap_err();
    server.answer_next(Answer::reset());
    post().await.unwrap_err();
    assert_eq!(server.request_count(), 2);
    server.answer_next(Answer::status(429));
    post().await.unwrap();
    server.answer_next(Answer::status(503));
    ask(&client).await.unwrap();
    // Events can be recognised by their uuid: they are sent again all the same.
    server.answer_next(Answer::status(503));
    let summary = client.capture_batch([Event::new("paid")]).await.unwrap();
    assert!(summary.is_complete());
}

#[tokio::test]
async fn a_body_of_bytes_is_the_same_on_each_attempt() {
    let server = server();
    answer_rest(&server);
    server.answer_next_times(2, Answer::status(503));
    let client = client_of(&server).build().unwrap();
    let request = client.request(reqwest::Method::POST, "/api/upload/");
    request
        .raw_body("text/csv", "a,b\n1,2\n")
        .send()
        .await
        .unwrap();
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert_eq!(request.body, b"a,b\n1,2\n");
        assert_eq!(request.header("content-type"), Some("text/csv"));
    }
}

/// A body that can be read only once: what another request answers.
async fn stream(server: &PostHogServer) -> reqwest::Body {
    server.answer_next(Answer::status(200).body("streamed"));
    reqwest::get(format!("{}/api/file/", server.url()))
        .await
        .unwrap()
        .into()
}

#[tokio::test]
async fn a_stream_is_sent_once_and_that_is_said() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let source = server();
    let server = server();
    answer_rest(&server);
    let client = client_of(&server).build().unwrap();
    let upload = |body| {
        let request = client.request(reqwest::Method::POST, "/api/upload/");
        request.raw_body("text/plain", body).send()
    };

    upload(stream(&source).await).await.unwrap();
    assert_eq!(server.requests()[0].body, b"streamed");
    assert!(diagnostics.with(&["not retried"]).is_empty());

    server.clear();
    server.answer_next(Answer::status(503));
    let error = upload(stream(&source).await).await.unwrap_err();
    assert_eq!((server.request_count(), error.status()), (1, Some(503)));
    let said = diagnostics.with(&["tracing_posthog::http", "not retried", "stream"]);
    assert_eq!(said.len(), 1, "{:#?}", diagnostics.lines());
}

#[tokio::test]
async fn a_redirect_to_another_place_is_not_followed_and_takes_no_key_there() {
    let elsewhere = server();
    for status in [301, 302, 307, 308] {
        let server = server();
        let to = format!("{}/batch/", elsewhere.url());
        server.answer_with(move |_| Some(Answer::status(status).header("location", to.clone())));
        let client = client_of(&server).build().unwrap();
        let error = ask(&client).await.unwrap_err();
        assert_eq!(error.status(), Some(status));
        let summary = client.capture_batch([Event::new("paid")]).await.unwrap();
        assert_eq!(summary.dropped.by(DropReason::Rejected), 1);
        assert_eq!(server.request_count(), 2);
    }
    assert_eq!(elsewhere.request_count(), 0);
}

#[tokio::test]
async fn a_redirect_in_place_is_followed_with_its_body_where_it_keeps_the_method() {
    for status in [307, 308] {
        let server = server();
        server.answer_next(Answer::status(status).header("location", "/new/batch/"));
        let client = client_of(&server).build().unwrap();
        let summary = client.capture_batch([Event::new("paid")]).await.unwrap();
        assert!(summary.is_complete(), "{status}: {:?}", summary.errors);
        assert_eq!(server.requests()[1].path, "/new/batch/");
        assert_eq!(server.event_count(), 1);
    }
    // These would become a GET without a body.
    for status in [301, 302, 303] {
        let server = server();
        server.answer_next(Answer::status(status).header("location", "/new/batch/"));
        let client = client_of(&server).build().unwrap();
        client.capture_batch([Event::new("paid")]).await.unwrap();
        assert_eq!(server.request_count(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_that_the_callers_client_follows_delivers_only_where_posthog_says_so() {
    for (status, answer, delivers) in [
        (301, Answer::status(200).body("welcome"), false),
        (
            302,
            Answer::status(200).body("<title>Log in</title>"),
            false,
        ),
        (303, Answer::status(204), false),
        (307, Answer::status(401).body("no such token"), false),
        (307, Answer::status(200).json(json!({"id": 7})), false),
        (307, Answer::accept(), true),
        (308, Answer::status(200).json(json!({"status": 1})), true),
    ] {
        let server = server();
        let to = format!("{}/new/batch/?to=here", server.url());
        server.answer_next(Answer::status(status).header("location", to));
        server.answer_next(answer);
        let client = client_of(&server)
            .reqwest_client(reqwest::Client::new())
            .build()
            .unwrap();
        let summary = client.capture_batch([Event::new("paid")]).await.unwrap();
        assert_eq!(summary.is_complete(), delivers, "{status}: {summary:?}");
        assert_eq!(server.request_count(), 2, "final: {status}");
        if !delivers {
            assert_eq!(summary.dropped.by(DropReason::Rejected), 1);
            let said = summary.errors[0].to_string();
            let place = format!("followed a redirect to {}/new,", server.url());
            assert!(said.contains(&place), "{said}");
            assert!(!said.contains("to=here"), "{said}");
            assert_eq!(
                said.contains("no such token"),
                said.contains("answered 401"),
                "{said}"
            );
        }
    }
}

#[test]
fn a_redirect_that_the_callers_client_follows_delivers_by_v1_only_with_a_verdict() {
    let server = server();
    server.answer_next(Answer::status(301).header("location", "/welcome"));
    server.answer_next(Answer::status(200).body("welcome"));
    server.answer_next(Answer::status(307).header("location", "/new/i/v1/analytics/events"));
    let client = client_of(&server).reqwest_client(reqwest::Client::new());
    let posthog = capture_with(client)
        .protocol(CaptureProtocol::V1)
        .start()
        .unwrap();
    for dropped in [1, 0] {
        posthog.capture(Event::new("paid"));
        let report = posthog.flush_blocking(LONG);
        assert_eq!((report.dropped, report.pending), (dropped, 0), "{report}");
    }
    assert_eq!(posthog.stats().delivered, 1);
}

#[tokio::test]
async fn what_answers_behind_a_redirect_that_keeps_the_method_needs_no_words() {
    let server = server();
    server.answer_next(Answer::status(307).header("location", "/new/batch/"));
    server.answer_next(Answer::status(204));
    let client = client_of(&server).build().unwrap();
    let summary = client.capture_batch([Event::new("paid")]).await.unwrap();
    assert!(summary.is_complete(), "{:?}", summary.errors);
}

#[tokio::test]
async fn a_redirect_that_never_ends_is_left() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(307).header("location", "/batch/")));
    let client = client_of(&server).build().unwrap();
    let summary = client.capture_batch([Event::new("paid")]).await.unwrap();
    assert!(!summary.is_complete());
    assert!(server.request_count() < 10, "{}", server.request_count());
}

/// Neither a key nor a body stands in it.
#[track_caller]
fn assert_keeps_secrets(text: &str) {
    for secret in [PROJECT_KEY, PERSONAL_KEY, "hunter2", "Bearer"] {
        assert!(!text.contains(secret), "{secret} in: {text}");
    }
}

#[tokio::test]
async fn every_call_and_attempt_has_its_span_and_none_shows_a_secret() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    answer_rest(&server);
    server.answer_next_times(2, Answer::status(503));
    let client = client_of(&server).build().unwrap();
    let request = client.request(reqwest::Method::POST, "/api/projects/12/things/");
    request
        .query("token", "hunter2")
        .body(&json!({"password": "hunter2"}))
        .send()
        .await
        .unwrap();
    let calls = diagnostics.with(&["span DEBUG tracing_posthog::http posthog_call"]);
    assert_eq!(calls.len(), 1);
    for field in [
        "operation=\"api request\"",
        "method=POST",
        "path=\"/api/projects/12/things/\"",
    ] {
        assert!(calls[0].contains(field), "{}", calls[0]);
    }
    let attempts = diagnostics.with(&["span DEBUG tracing_posthog::http posthog_attempt"]);
    assert_eq!(attempts.len(), 3);
    for (n, attempt) in attempts.iter().enumerate() {
        assert!(
            attempt.ends_with(&format!("attempt={}", n + 1)),
            "{attempt}"
        );
    }
    let statuses = diagnostics.with(&["record DEBUG tracing_posthog::http posthog_attempt"]);
    let told = |n: usize| statuses[n].rsplit(' ').next().unwrap().to_owned();
    assert_eq!(
        [told(0), told(1), told(2)],
        ["status=503", "status=503", "status=200"]
    );
    client
        .capture_batch([Event::new("paid").property("password", "hunter2")])
        .await
        .unwrap();
    let capture = diagnostics.with(&["posthog_call", "capture batch", "/batch/"]);
    assert_eq!(capture.len(), 1);
    for line in diagnostics.with(&["tracing_posthog"]) {
        assert_keeps_secrets(&line);
    }
}

#[tokio::test]
async fn errors_name_operation_path_and_attempts_and_show_no_secret() {
    let server = server();
    let builder = || client_of(&server).retry(quick().attempts(2));
    let client = builder().build().unwrap();
    let impatient = builder().attempt_timeout(ms(1_000)).build().unwrap();
    let no_connection = client_at("http://127.0.0.1:9")
        .retry(quick().attempts(2))
        .build()
        .unwrap();
    let mut errors = Vec::new();
    for answer in [Answer::status(503), Answer::reset()] {
        server.answer_with(move |_| Some(answer.clone()));
        errors.push(secret_call(&client).await);
    }
    server.answer_with(|_| Some(Answer::stall()));
    errors.push(secret_call(&impatient).await);
    errors.push(secret_call(&no_connection).await);
    let kinds: Vec<_> = errors
        .iter()
        .map(|error| match error {
            PostHogError::RequestError(e) => Some(e.kind),
            _ => None,
        })
        .collect();
    use RequestErrorKind::{Connect, Interrupted, Timeout};
    assert_eq!(
        kinds,
        [None, Some(Interrupted), Some(Timeout), Some(Connect)]
    );
    for error in errors {
        let text = error.to_string();
        for part in ["api request", "PATCH", "/api/projects/12/", "2 attempts"] {
            assert!(text.contains(part), "{part} is missing in: {text}");
        }
        assert_keeps_secrets(&text);
        assert_keeps_secrets(&format!("{error:?}"));
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            assert_keeps_secrets(&cause.to_string());
            assert!(!cause.to_string().contains("token="), "{cause}");
            source = cause.source();
        }
    }
}

async fn secret_call(client: &PostHogClient) -> PostHogError {
    let request = client.request(reqwest::Method::PATCH, "/api/projects/12/");
    request
        .query("token", "hunter2")
        .body(&json!({"password": "hunter2"}))
        .send()
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_call_that_is_cancelled_leaves_the_client_usable() {
    let server = server();
    answer_rest(&server);
    server.answer_next(Answer::stall());
    let client = client_of(&server).build().unwrap();
    let call = tokio::spawn({
        let client = client.clone();
        async move { ask(&client).await }
    });
    until("the request", || server.request_count() == 1).await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    assert_eq!(ask(&client).await.unwrap(), json!({"id": 7}));
}

#[tokio::test]
async fn a_final_status_is_final_although_its_body_breaks_off() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let n = Arc::new(AtomicUsize::new(0));
    let count = n.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            count.fetch_add(1, SeqCst);
            let mut buf = [0; 65536];
            let _ = stream.read(&mut buf);
            let _ = stream.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 100\r\n\r\nno");
        }
    });
    let client = client_at(url).build().unwrap();
    let event = Event::new("a").distinct_id("u");
    let summary = client.capture_batch([event]).await.unwrap();
    assert_eq!(summary.errors.len(), 1);
    assert_eq!(n.load(SeqCst), 1);
}

#[tokio::test]
async fn a_connection_that_was_not_made_in_time_was_not_made() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let client = client_at(url)
        .connect_timeout(ms(100))
        .retry(RetryPolicy::none())
        .build()
        .unwrap();
    let event = Event::new("a").distinct_id("u");
    let summary = client.capture_batch([event]).await.unwrap();
    let text = format!("{:?}", summary.errors);
    assert!(text.contains("kind: Connect,"), "{text}");
}
