//! REST calls and `capture_batch` work on any executor, without a tokio runtime, and dropping their future cancels
//! them.
#![cfg(feature = "rest")]

use crate::hostile::{Peer, answer, block_on, poll_until, read_request, sees_the_end};
use crate::support::*;
use futures_util::TryStreamExt;
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use tracing_posthog::rest::{Form, Page, Request};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Event, Method, PostHogClient, PostHogError, RequestErrorKind};

const ME: &str = "/api/users/@me/";

fn client(server: &PostHogServer) -> PostHogClient {
    client_of(server).build().unwrap()
}

fn me(client: &PostHogClient) -> Request {
    client.request(Method::GET, ME)
}

fn ok() -> Answer {
    Answer::status(200).json(json!({"id": 7}))
}

fn answer_rest(server: &PostHogServer) {
    server.answer_with(|r| r.path.starts_with("/api/").then(ok));
}

#[test]
fn a_rest_call() {
    let server = server();
    answer_rest(&server);
    let answer = block_on(me(&client(&server)).send()).unwrap();
    assert_eq!(answer["id"], 7);
    let answer = block_on(async { me(&client(&server)).await }).unwrap();
    assert_eq!(answer["id"], 7);
}

#[test]
fn a_rest_call_that_is_tried_again_after_a_wait() {
    let server = server();
    server.answer_next_times(2, Answer::status(503));
    answer_rest(&server);
    let answer = block_on(me(&client(&server)).send()).unwrap();
    assert_eq!(
        (answer["id"].as_u64(), server.request_count()),
        (Some(7), 3)
    );
}

#[test]
fn a_rest_call_that_is_not_answered_in_time() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let client = client_of(&server)
        .attempt_timeout(ms(100))
        .retry(quick().attempts(2));
    let error = block_on(me(&client.build().unwrap()).send()).unwrap_err();
    let PostHogError::RequestError(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!((error.kind, error.attempts), (RequestErrorKind::Timeout, 2));
}

#[test]
fn a_rest_call_to_a_host_that_must_be_resolved() {
    let server = server();
    answer_rest(&server);
    let url = format!("http://localhost:{}", server.addr().port());
    let client = client_at(url).build().unwrap();
    assert_eq!(block_on(me(&client).send()).unwrap()["id"], 7);
}

#[test]
fn a_batch_of_events() {
    let server = server();
    server.answer_next(Answer::status(503));
    let events = (0..250).map(|n| Event::new(format!("e{n}")).distinct_id("ada"));
    let summary = block_on(client(&server).capture_batch(events)).unwrap();
    assert!(summary.is_complete(), "{:?}", summary.errors);
    assert_eq!((summary.delivered, server.event_count()), (250, 250));
}

#[test]
fn an_answer_that_is_read_as_it_comes() {
    let (next, told) = mpsc::channel::<&[u8]>();
    let told = Mutex::new(told);
    let peer = Peer::start(move |mut stream, _| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/csv\r\n\r\n");
        while let Ok(chunk) = told.lock().unwrap().recv_timeout(LONG) {
            let _ = stream.write_all(chunk);
        }
    });
    let client = client_at(peer.url()).build().unwrap();
    let export = client.request(Method::GET, "/api/projects/1/exports/7/content/");
    let mut chunks = block_on(export.send_for_stream()).unwrap();
    for chunk in [&b"a,b\n"[..], b"1,2\n"] {
        next.send(chunk).unwrap();
        assert_eq!(block_on(chunks.next()).unwrap().unwrap(), chunk);
    }
    drop(next);
    assert!(block_on(chunks.next()).is_none());
}

#[test]
fn an_answer_that_is_read_as_it_comes_and_stalls() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let peer = Peer::start(move |mut stream, _| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegins");
        let _ = released.lock().unwrap().recv_timeout(LONG);
    });
    let client = client_at(peer.url()).attempt_timeout(ms(200));
    let client = client.build().unwrap();
    let mut chunks = block_on(me(&client).send_for_stream()).unwrap();
    assert_eq!(block_on(chunks.next()).unwrap().unwrap(), &b"begins"[..]);
    let error = block_on(chunks.next()).unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error}");
    drop(release);
}

#[test]
fn a_body_and_a_form() {
    let server = server();
    answer_rest(&server);
    let client = client(&server);
    let post = || client.request(Method::POST, "/api/projects/1/things/");
    block_on(post().body(&json!({"a": 1})).send()).unwrap();
    block_on(post().raw_body("text/plain", "a body").send()).unwrap();
    block_on(post().form(Form::new().text("name", "value")).send()).unwrap();
    let bodies: Vec<_> = server.requests().iter().map(|r| r.body.len()).collect();
    assert!(bodies.iter().all(|length| *length > 0), "{bodies:?}");
}

#[test]
fn a_list_of_several_pages() {
    let server = server();
    for page in 0..3 {
        let next = (page < 2).then(|| format!("{}/api/things/?page={}", server.url(), page + 1));
        let page = json!({"results": [2 * page, 2 * page + 1], "next": next});
        server.answer_next(Answer::status(200).json(page));
    }
    let list: Request<Page<u32>> = client(&server)
        .request(Method::GET, "/api/things/")
        .answer_as();
    let all: Vec<u32> = block_on(list.stream().try_collect()).unwrap();
    assert_eq!(all, [0, 1, 2, 3, 4, 5]);
}

fn status(complete: bool) -> Answer {
    Answer::status(200).json(json!({"query_status": {
        "id": "q", "team_id": 1, "query_async": true, "complete": complete, "error": false,
        "results": complete.then(|| json!({"columns": ["n"], "results": [[17]]})),
    }}))
}

#[test]
fn a_query_that_runs_in_the_background() {
    let server = server();
    for complete in [false, false, true] {
        server.answer_next(status(complete));
    }
    let query = client(&server)
        .project(1)
        .hogql("SELECT 17")
        .in_background();
    let rows: Vec<u32> = block_on(query.poll(ms(1), ms(2)).rows()).unwrap();
    assert_eq!(rows, [17]);
}

#[test]
fn a_query_with_a_time_limit() {
    let server = server();
    server.answer_with(|_| Some(status(false)));
    let query = client(&server)
        .project(1)
        .hogql("SELECT 17")
        .in_background();
    let query = query.poll(ms(1), ms(2)).time_limit(ms(100));
    let error = block_on(query.run()).unwrap_err();
    assert!(error.to_string().contains("cancelled"), "{error}");
}

#[test]
fn a_query_dropped_before_its_end_is_cancelled_where_that_was_asked_for() {
    let server = server();
    server.answer_with(|_| Some(status(false)));
    let query = client(&server)
        .project(1)
        .hogql("SELECT 17")
        .in_background();
    let running = block_on(query.cancel_on_drop().start()).unwrap();
    drop(running);
    let cancelled = || server.requests().iter().any(|r| r.method == "DELETE");
    wait_until("it is cancelled", cancelled);
}

#[cfg(feature = "rate-limit")]
#[test]
fn a_rest_call_that_waits_for_its_rate_limit() {
    use tracing_posthog::rest::{EndpointClass, RateLimit, RateLimits};
    let server = server();
    answer_rest(&server);
    // The burst is a quarter (30); after it one request per two thirds of a second.
    let limits = RateLimits::none().set(EndpointClass::Other, RateLimit::none().per_minute(120));
    let client = client_of(&server).rate_limits(limits).build().unwrap();
    let start = Instant::now();
    for _ in 0..31 {
        block_on(me(&client).send()).unwrap();
    }
    assert_eq!(server.request_count(), 31);
    assert!(start.elapsed() > ms(400), "{:?}", start.elapsed());
}

/// A peer that never answers.
struct Silent {
    peer: Peer,
    arrived: mpsc::Receiver<()>,
    /// Whether the client closed the connection.
    ended: mpsc::Receiver<bool>,
}

fn silent() -> Silent {
    let (arrive, arrived) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let told = Mutex::new((arrive, end));
    let peer = Peer::start(move |mut stream, _| {
        if read_request(&mut stream).is_none() {
            return;
        }
        let (arrive, end) = told.lock().unwrap().clone();
        let _ = arrive.send(());
        let _ = end.send(sees_the_end(&mut stream));
    });
    Silent {
        peer,
        arrived,
        ended,
    }
}

/// Drops a future once its request has arrived, and expects the request to be cancelled.
#[track_caller]
fn assert_cancelled<F: Future>(future: F, silent: &Silent) {
    let mut future = Box::pin(future);
    poll_until(&mut future, || silent.arrived.try_recv().is_ok());
    drop(future);
    let ended = silent.ended.recv_timeout(SLOW);
    assert_eq!(ended, Ok(true), "the connection goes on");
    // A second attempt would follow within milliseconds.
    let start = Instant::now();
    wait_until("some time without another attempt", || {
        start.elapsed() > ms(300)
    });
    assert_eq!(silent.peer.connections(), 1);
}

#[test]
fn dropping_a_rest_call_cancels_it() {
    let silent = silent();
    let client = client_at(silent.peer.url()).build().unwrap();
    assert_cancelled(me(&client).send(), &silent);
}

#[test]
fn dropping_a_batch_cancels_it() {
    let silent = silent();
    let client = client_at(silent.peer.url()).build().unwrap();
    let sending = client.capture_batch([Event::new("now")]);
    assert_cancelled(sending, &silent);
}

#[test]
fn dropping_a_stream_of_an_answer_closes_its_connection() {
    let (end, ended) = mpsc::channel();
    let end = Mutex::new(end);
    let peer = Peer::start(move |mut stream, _| {
        read_request(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegins");
        let _ = end.lock().unwrap().send(sees_the_end(&mut stream));
    });
    let client = client_at(peer.url()).build().unwrap();
    let mut chunks = block_on(me(&client).send_for_stream()).unwrap();
    assert_eq!(block_on(chunks.next()).unwrap().unwrap(), &b"begins"[..]);
    drop(chunks);
    assert_eq!(ended.recv_timeout(SLOW), Ok(true), "the connection goes on");
}

#[test]
fn a_rest_call_dropped_between_its_attempts_makes_no_other() {
    let refused = Arc::new(Mutex::new(0));
    let counted = refused.clone();
    let peer = Peer::start(move |mut stream, _| {
        while read_request(&mut stream).is_some() {
            answer(&mut stream, "503 Service Unavailable\r\nretry-after: 1", "");
            *counted.lock().unwrap() += 1;
        }
    });
    let client = client_at(peer.url())
        .retry(tracing_posthog::RetryPolicy::default())
        .build()
        .unwrap();
    let mut call = Box::pin(me(&client).send());
    poll_until(&mut call, || *refused.lock().unwrap() == 1);
    drop(call);
    let start = Instant::now();
    wait_until("more than it was asked to wait for", || {
        start.elapsed() > Duration::from_millis(2_000)
    });
    assert_eq!(*refused.lock().unwrap(), 1);
}
