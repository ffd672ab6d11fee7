//! Hostile answers, hosts and inputs: errors in time and in few words, and the key stays where it belongs.

use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};
use tracing_posthog::rest::Request;
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    CircuitBreaker, Method, PostHogClient, PostHogClientBuilder, PostHogError, RequestErrorKind,
    RetryPolicy,
};

fn builder(host: String) -> PostHogClientBuilder {
    PostHogClient::builder()
        .personal_api_key("phx_secret")
        .host(host)
        .retry(RetryPolicy::none())
        .circuit_breaker(CircuitBreaker::off())
}

fn start() -> (PostHogServer, PostHogClient) {
    let server = PostHogServer::start().unwrap();
    let client = builder(server.url()).build().unwrap();
    (server, client)
}

fn get(client: &PostHogClient) -> Request {
    client.request(Method::GET, "/api/projects/1/persons/")
}

fn kind(error: &PostHogError) -> Option<RequestErrorKind> {
    match error {
        PostHogError::RequestError(e) => Some(e.kind),
        _ => None,
    }
}

/// Answers each connection on a port of its own with `serve`.
fn raw_server(serve: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            serve(&mut stream);
        }
    });
    url
}

#[tokio::test]
async fn paths_of_raw_requests_stay_paths() {
    let (server, client) = start();
    for path in [
        "",
        "api/users/",
        "/api/../x/",
        "/api/./x/",
        "/api/%2e%2E/x/",
        "/api/.%2e/x/",
        "/api/x/?a=b",
        "/api/x/#f",
        "/api\\x/",
        "@evil.example/",
        ".evil.example/",
        "http://evil.example/",
        "/api/x\r\nhost: evil",
        "/api/.\t./x/",
        "/api/.\n/x/",
    ] {
        let error = client.request(Method::GET, path).send().await.unwrap_err();
        assert!(
            matches!(
                error,
                PostHogError::Config {
                    setting: "path",
                    ..
                }
            ),
            "{path:?}: {error}"
        );
    }
    assert_eq!(server.request_count(), 0);

    // Odd, but a path: it reaches the configured host, and no other.
    for path in [
        "//evil.example/api/",
        "/@evil.example/",
        "/:80/",
        "/api//x/",
    ] {
        let error = client.request(Method::GET, path).send().await.unwrap_err();
        assert!(error.is_not_found(), "{path:?}: {error}");
        assert_eq!(server.requests().pop().unwrap().path, path);
    }
}

#[tokio::test]
async fn ids_stay_in_their_place() {
    let (server, client) = start();
    server.answer_with(|_| Some(Answer::status(200).json(json!({"results": []}))));
    for (id, path) in [
        ("a/../b", "/api/projects/a%2F..%2Fb/query/"),
        ("a?b=c#d", "/api/projects/a%3Fb%3Dc%23d/query/"),
        ("%2e%2e/", "/api/projects/%252e%252e%2F/query/"),
        ("a\r\nb", "/api/projects/a%0D%0Ab/query/"),
        ("ä\u{0}", "/api/projects/%C3%A4%00/query/"),
    ] {
        client.project(id).hogql("SELECT 1").run().await.unwrap();
        assert_eq!(server.requests().pop().unwrap().path, path);
    }
    server.clear();
    for id in ["", ".", "..", "%2e%2e", ".%2E"] {
        let error = client
            .project(id)
            .hogql("SELECT 1")
            .run()
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                PostHogError::Config {
                    setting: "project_id",
                    ..
                }
            ),
            "{error}"
        );
    }
    assert_eq!(server.request_count(), 0);
}

#[tokio::test]
async fn redirects_do_not_take_the_key_along() {
    let (server, client) = start();
    let elsewhere = PostHogServer::start().unwrap();
    elsewhere.answer_with(|_| Some(Answer::status(200)));
    for status in [301, 302, 303, 307, 308] {
        for to in [
            elsewhere.url(),
            "//evil.example".into(),
            "http://user:pw@127.0.0.1".into(),
        ] {
            let moved = Answer::status(status).header("location", format!("{to}/api/x/"));
            server.answer_next(moved);
            let error = get(&client).send().await.unwrap_err();
            assert_eq!(error.status(), Some(status), "{error}");
            assert!(!error.is_retryable());
        }
    }
    assert_eq!(elsewhere.connection_count(), 0);

    // At the same place it may.
    server.clear();
    server.answer_next(Answer::status(308).header("location", "/api/moved/"));
    server.answer_next(Answer::status(200).json(json!(1)));
    assert_eq!(*get(&client).send().await.unwrap(), 1);
    assert_eq!(server.requests()[1].path, "/api/moved/");
    assert_eq!(
        server.requests()[1].header("authorization"),
        Some("Bearer phx_secret")
    );

    // And not without end.
    server.answer_with(|_| Some(Answer::status(307).header("location", "/api/again/")));
    assert_eq!(get(&client).send().await.unwrap_err().status(), Some(307));
}

#[tokio::test]
async fn a_client_of_the_callers_own_may_follow_but_the_key_stays() {
    let (server, _) = start();
    let elsewhere = PostHogServer::start().unwrap();
    elsewhere.answer_with(|_| Some(Answer::status(200).json(json!(1))));
    let to = format!("{}/api/x/", elsewhere.url());
    server.answer_with(move |_| Some(Answer::status(307).header("location", to.as_str())));
    let own = builder(server.url()).reqwest_client(reqwest::Client::new());
    let client = own.build().unwrap();
    assert_eq!(*get(&client).send().await.unwrap(), 1);
    let request = elsewhere.requests().pop().unwrap();
    assert_eq!(request.header("authorization"), None, "{request:?}");
}

#[tokio::test]
async fn large_answers_are_read_and_larger_ones_are_not() {
    let (server, client) = start();
    let items: Vec<String> = (0..10_000).map(|n| format!("{n:01000}")).collect();
    server.answer_next(Answer::status(200).json(json!({"results": items})));
    let page: tracing_posthog::rest::Page<String> = get(&client).send_as().await.unwrap();
    assert_eq!(page.results.len(), 10_000);

    // Without end, and without a length.
    let url = raw_server(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        let chunk = vec![b'['; 1 << 20];
        while stream.write_all(&chunk).is_ok() {}
    });
    let client = builder(url).build().unwrap();
    let error = get(&client).send().await.unwrap_err();
    assert_eq!(
        kind(&error),
        Some(RequestErrorKind::AnswerTooLarge),
        "{error}"
    );
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn deep_json_is_an_error() {
    let (server, client) = start();
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        for status in [200, 400] {
            server.answer_next(Answer::status(status).body(open.repeat(1_000_000)));
            let error = get(&client).send().await.unwrap_err();
            assert!(error.to_string().len() < 1_000, "{error}");
        }
        server.answer_next(
            Answer::status(200).body(format!("{{\"results\": [{}", open.repeat(1_000_000))),
        );
        let error = get(&client)
            .send_as::<tracing_posthog::rest::Page<Value>>()
            .await;
        assert!(matches!(
            error,
            Err(PostHogError::SerializationError { .. })
        ));
        server.answer_next(
            Answer::status(200).body(format!("{{\"results\": {}", open.repeat(1_000_000))),
        );
        let error = client.project(1).hogql("SELECT 1").run().await;
        assert!(matches!(
            error,
            Err(PostHogError::SerializationError { .. })
        ));
    }
}

#[tokio::test]
async fn lengths_that_lie() {
    let (server, client) = start();
    server.answer_next(Answer::wrong_length(1_000_000_000_000).json(json!({"a": 1})));
    let error = get(&client).send().await.unwrap_err();
    assert_eq!(kind(&error), Some(RequestErrorKind::Interrupted), "{error}");
    assert!(error.is_retryable());

    server.answer_next(Answer::wrong_length(3).json(json!({"a": 1})));
    let error = get(&client).send().await.unwrap_err();
    assert!(
        matches!(error, PostHogError::SerializationError { .. }),
        "{error}"
    );

    for broken in [
        Answer::half(),
        Answer::close(),
        Answer::reset(),
        Answer::raw("HTTP/1.1 200"),
    ] {
        server.answer_next(broken);
        let error = get(&client).send().await.unwrap_err();
        assert_eq!(kind(&error), Some(RequestErrorKind::Interrupted), "{error}");
    }
    server.answer_next(Answer::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-length: 2\r\n\r\n{}",
    ));
    assert!(get(&client).send().await.is_err());
    server.answer_next(Answer::raw("SSH-2.0-OpenSSH_9.6\r\n"));
    assert!(get(&client).send().await.is_err());
}

#[tokio::test]
async fn slow_answers_end_with_the_attempts_time() {
    let drip = raw_server(|stream| {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
        if stream.write_all(head).is_ok() {
            while stream.write_all(b" ").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        }
    });
    let (server, _) = start();
    server.answer_with(|_| Some(Answer::stall()));
    for host in [drip, server.url()] {
        let client = builder(host).attempt_timeout(Duration::from_millis(400));
        let client = client.build().unwrap();
        let before = Instant::now();
        let error = get(&client).send().await.unwrap_err();
        assert_eq!(kind(&error), Some(RequestErrorKind::Timeout), "{error}");
        assert!(before.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test]
async fn text_that_is_none() {
    let (server, client) = start();
    let bad: &[u8] = b"{\"detail\": \"\xff\xfe\"}";
    server.answer_next(Answer::status(200).body(bad));
    let error = get(&client).send().await.unwrap_err();
    assert!(
        matches!(error, PostHogError::SerializationError { .. }),
        "{error}"
    );
    server.answer_next(Answer::status(200).body(bad));
    let error = get(&client).send_for_text().await.unwrap_err();
    assert!(
        matches!(error, PostHogError::SerializationError { .. }),
        "{error}"
    );
    let said = error.to_string();
    assert!(
        said.contains("not UTF-8 from byte 12 on") && said.contains("send_for_bytes"),
        "{said}"
    );
    server.answer_next(Answer::status(200).body(bad));
    assert_eq!(get(&client).send_for_bytes().await.unwrap(), bad);
    server.answer_next(Answer::status(400).body(bad));
    let error = get(&client).send().await.unwrap_err();
    assert_eq!(error.api_error().unwrap().detail, "\u{fffd}\u{fffd}");
    // Not even the ends of excerpts fall into a character.
    for n in 0..4 {
        let text = format!("{{\"a\": {}{}", "x".repeat(n), "😀".repeat(3_000));
        for status in [200, 400] {
            server.answer_next(Answer::status(status).body(text.clone()));
            get(&client).send().await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn pages_of_a_proxy_are_told_in_one_line() {
    let (server, client) = start();
    let page = format!(
        "<!DOCTYPE html>\n<html><head>\n<title>502\n Bad Gateway</title></head><body>{}</body></html>",
        "<p>nginx</p>".repeat(1_000)
    );
    for status in [502, 403, 200] {
        server.answer_next(
            Answer::status(status)
                .header("content-type", "text/html")
                .body(page.clone()),
        );
        let error = get(&client).send().await.unwrap_err().to_string();
        assert!(
            error.contains("HTML instead of PostHog's JSON, titled \"502 Bad Gateway\""),
            "{error}"
        );
        assert!(error.len() < 250 && !error.contains('\n'), "{error}");
    }
}

#[tokio::test]
async fn the_key_goes_only_where_it_belongs_and_shows_nowhere() {
    let (server, client) = start();
    server.answer_with(|_| Some(Answer::status(200).json(json!({"results": [1]}))));
    let request = get(&client).query("search", "ada").body(&json!({"a": "b"}));
    let list = get(&client).answer_as::<tracing_posthog::rest::Page<u8>>();
    let again = get(&client).answer_as::<tracing_posthog::rest::Page<u8>>();
    let shown = format!(
        "{request:?} {:?} {:?} {client:?} {:?}",
        list.stream(),
        again.pages(),
        builder(server.url())
    );
    for secret in ["phx_secret", "ada"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    request.send().await.unwrap();
    let request = server.requests().pop().unwrap();
    let with_key =
        |(name, value): &&(String, String)| value.contains("phx_secret") && name != "authorization";
    assert_eq!(request.headers.iter().find(with_key), None);
    assert!(!request.path.contains("phx_") && !request.query.unwrap().contains("phx_"));
}

#[tokio::test]
async fn a_header_of_ones_own_stands_beside_none_of_the_same_name() {
    let server = PostHogServer::start().unwrap();
    let client = builder(server.url())
        .header("authorization", "Basic abc")
        .header("content-type", "text/odd")
        .build()
        .unwrap();
    server.answer_next(Answer::status(200).json(json!({})));
    let request = client.request(Method::POST, "/api/projects/1/actions/");
    request.body(&json!({"a": 1})).await.unwrap();
    let sent = &server.requests()[0];
    let all = |name: &str| {
        let named = sent
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(all("authorization"), ["Bearer phx_secret"]);
    assert_eq!(all("content-type"), ["application/json"]);
}

#[tokio::test]
async fn events_and_rest_calls_go_to_their_own_host() {
    let start = || PostHogServer::start().unwrap();
    let (proxy, posthog) = (start(), start());
    let client = builder(proxy.url())
        .project_api_key("phc_test")
        .rest_host(posthog.url())
        .build()
        .unwrap();
    // Nobody is known there, but it is asked.
    let _ = client.request(Method::GET, "/api/users/@me/").send().await;
    let event = tracing_posthog::Event::new("signup").distinct_id("user_1");
    client.capture_batch([event]).await.unwrap();
    let paths = |server: &PostHogServer| -> Vec<String> {
        let requests = server.requests();
        requests.iter().map(|r| r.path.clone()).collect()
    };
    assert_eq!(paths(&proxy), ["/batch/"]);
    assert_eq!(paths(&posthog), ["/api/users/@me/"]);
}
