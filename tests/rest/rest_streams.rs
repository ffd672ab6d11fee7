//! Answers that are read as they come: of any size, for as long as something comes.

use futures_util::TryStreamExt;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tracing_posthog::rest::Request;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CircuitBreaker, Method, PostHogClient, PostHogClientBuilder, PostHogError, RequestErrorKind,
    RetryPolicy,
};

fn builder(host: String) -> PostHogClientBuilder {
    let retry = RetryPolicy::default().first_delay(Duration::from_millis(1));
    PostHogClient::builder()
        .personal_api_key("phx_secret")
        .host(host)
        .retry(retry)
        .circuit_breaker(CircuitBreaker::off())
}

fn get(client: &PostHogClient) -> Request {
    client.request(Method::GET, "/api/projects/1/exports/7/content/")
}

fn kind(error: &PostHogError) -> Option<RequestErrorKind> {
    match error {
        PostHogError::RequestError(e) => Some(e.kind),
        _ => None,
    }
}

/// Answers one connection with a head, and then as `serve` does.
fn raw_server(serve: impl FnOnce(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
        serve(stream);
    });
    url
}

#[tokio::test]
async fn a_body_of_any_size_comes_in_chunks() {
    let megabytes = 80; // more than is read into memory
    let url = raw_server(move |mut stream| {
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..megabytes {
            stream.write_all(&chunk).unwrap();
        }
    });
    let client = builder(url).build().unwrap();
    let chunks = get(&client).send_for_stream().await.unwrap();
    let add = |sum, chunk: bytes::Bytes| async move { Ok(sum + chunk.len()) };
    let size: usize = chunks.try_fold(0, add).await.unwrap();
    assert_eq!(size, megabytes << 20);
}

#[tokio::test]
async fn events_are_seen_when_they_are_sent() {
    let (next, told) = mpsc::channel::<&[u8]>();
    let url = raw_server(move |mut stream| {
        while let Ok(event) = told.recv() {
            stream.write_all(event).unwrap();
        }
    });
    // The whole takes longer than an attempt may; no chunk does.
    let client = builder(url).attempt_timeout(Duration::from_secs(2));
    let client = client.build().unwrap();
    let mut events = get(&client).send_for_stream().await.unwrap();
    for event in [&b"data: 1\n\n"[..], b"data: 2\n\n", b"data: 3\n\n"] {
        let wait = Duration::from_millis(700);
        assert!(tokio::time::timeout(wait, events.next()).await.is_err());
        next.send(event).unwrap();
        assert_eq!(events.next().await.unwrap().unwrap(), event);
    }
    drop(next);
    assert!(events.next().await.is_none());
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn what_ends_early_or_stalls_is_an_error() {
    let server = PostHogServer::start().unwrap();
    let client = builder(server.url()).build().unwrap();
    server.answer_next(Answer::wrong_length(1_000).body("a,b\n"));
    let mut body = get(&client).send_for_stream().await.unwrap();
    assert!(!format!("{body:?}").contains("a,b"));
    assert_eq!(body.next().await.unwrap().unwrap(), "a,b\n");
    let error = body.next().await.unwrap().unwrap_err();
    assert_eq!(kind(&error), Some(RequestErrorKind::Interrupted), "{error}");
    assert!(error.to_string().contains("/exports/7/content/"), "{error}");
    assert!(!error.to_string().contains("attempts"), "{error}");
    assert!(body.next().await.is_none());

    // It says how often the request was sent.
    server.answer_next_times(2, Answer::status(503));
    server.answer_next(Answer::wrong_length(1_000).body("a,b\n"));
    let mut body = get(&client).send_for_stream().await.unwrap();
    body.next().await.unwrap().unwrap();
    let error = body.next().await.unwrap().unwrap_err();
    assert!(error.to_string().contains("(after 3 attempts)"), "{error}");

    let (hold, held) = mpsc::channel::<()>();
    let stalling = raw_server(move |mut stream| {
        stream.write_all(b"data: 1\n\n").unwrap();
        let _ = held.recv();
    });
    // The head has to come within it, and the next chunk never does.
    let client = builder(stalling).attempt_timeout(Duration::from_secs(1));
    let mut body = get(&client.build().unwrap())
        .send_for_stream()
        .await
        .unwrap();
    body.next().await.unwrap().unwrap();
    let error = body.next().await.unwrap().unwrap_err();
    assert_eq!(kind(&error), Some(RequestErrorKind::Timeout), "{error}");
    drop(hold);
}

#[tokio::test]
async fn up_to_the_head_it_is_a_request_like_any_other() {
    let server = PostHogServer::start().unwrap();
    let client = builder(server.url()).build().unwrap();
    server.answer_next(Answer::status(503));
    server.answer_next(Answer::close());
    server.answer_next(Answer::status(200).body("id\n1\n"));
    let body = get(&client).send_for_stream().await.unwrap();
    let text: Vec<bytes::Bytes> = body.try_collect().await.unwrap();
    assert_eq!(text.concat(), b"id\n1\n");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    let key = Some("Bearer phx_secret");
    assert!(requests.iter().all(|r| r.header("authorization") == key));

    server.answer_next(Answer::status(404).json(serde_json::json!({"detail": "No such export."})));
    let error = get(&client).send_for_stream().await.unwrap_err();
    assert!(
        error.is_not_found() && error.to_string().contains("No such export."),
        "{error}"
    );
    server.answer_next(Answer::status(204));
    let mut empty = get(&client).send_for_stream().await.unwrap();
    assert!(empty.next().await.is_none());

    // A head that does not come, and a refusal whose body does not.
    let late = builder(server.url())
        .retry(RetryPolicy::none())
        .attempt_timeout(Duration::from_secs(1));
    let late = late.build().unwrap();
    for (stalled, status) in [
        (Answer::stall(), None),
        (
            Answer::raw("HTTP/1.1 400 Bad\r\ncontent-length: 9\r\n\r\n"),
            Some(400),
        ),
    ] {
        server.answer_next(stalled);
        let error = get(&late).send_for_stream().await.unwrap_err();
        assert_eq!(error.status(), status, "{error}");
    }
}

#[tokio::test]
async fn a_body_in_chunks_that_ends_early_is_never_taken_for_whole() {
    let server = PostHogServer::start().unwrap();
    let client = builder(server.url()).retry(RetryPolicy::none());
    let client = client.build().unwrap();
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    // Valid JSON so far, and no last chunk.
    let cut = || Answer::raw(format!("{head}5\r\n[1,2]\r\n"));
    for n in 0..3 {
        server.answer_next(cut());
        let error = match n {
            0 => get(&client).send().await.map(drop),
            1 => get(&client).send_for_bytes().await.map(drop),
            _ => get(&client).send_for_text().await.map(drop),
        };
        let error = error.unwrap_err();
        assert_eq!(kind(&error), Some(RequestErrorKind::Interrupted), "{error}");
    }
    server.answer_next(cut());
    let mut body = get(&client).send_for_stream().await.unwrap();
    assert_eq!(body.next().await.unwrap().unwrap(), "[1,2]");
    let error = body.next().await.unwrap().unwrap_err();
    assert_eq!(kind(&error), Some(RequestErrorKind::Interrupted), "{error}");

    let whole = Answer::raw(format!("{head}5\r\n[1,2]\r\n0\r\n\r\n"));
    server.answer_next(whole);
    assert_eq!(get(&client).send_for_text().await.unwrap(), "[1,2]");
}
