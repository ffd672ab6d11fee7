//! REST calls, captured events and batches sent at once all take the same road to PostHog.

use crate::support::*;
use serde_json::json;
use tracing_posthog::testing::{Answer, PostHogServer, RecordedRequest};
use tracing_posthog::{
    CircuitBreaker, CircuitState, Destination, Event, EventCaptureBackend, PostHogClient,
};

fn answer_rest(server: &PostHogServer) {
    server.answer_with(|r| {
        let answer = || Answer::status(200).json(json!({"id": 7}));
        r.path.starts_with("/api/").then(answer)
    });
}

/// Sends on each of the three ways, one after the other.
async fn send(client: &PostHogClient, way: Way) {
    match way {
        Way::Rest => {
            let request = client.request(reqwest::Method::GET, "/api/users/@me/");
            let _ = request.send().await;
        }
        Way::Batch => {
            let _ = client.capture_batch([Event::new("one")]).await;
        }
        Way::Actor => {
            let posthog = EventCaptureBackend::builder(client.clone())
                .start()
                .unwrap();
            posthog.capture(Event::new("two"));
            posthog.flush().await;
            posthog.shutdown_blocking(ms(1));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Rest,
    Batch,
    Actor,
}

const WAYS: [Way; 3] = [Way::Rest, Way::Batch, Way::Actor];

async fn requests(client: &PostHogClient, server: &PostHogServer) -> Vec<RecordedRequest> {
    for way in WAYS {
        send(client, way).await;
    }
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    requests
}

#[tokio::test]
async fn all_say_who_they_are_and_carry_the_users_headers() {
    let server = server();
    answer_rest(&server);
    let client = client_of(&server)
        .header("x-tenant", "acme")
        .header("x-tag", "a")
        .header("x-tag", "b")
        .build()
        .unwrap();
    for request in requests(&client, &server).await {
        let agent = concat!("tracing-posthog/", env!("CARGO_PKG_VERSION"));
        assert_eq!(request.header("user-agent"), Some(agent));
        assert_eq!(request.header("x-tenant"), Some("acme"));
        let tags: Vec<_> = request.headers.iter().filter(|h| h.0 == "x-tag").collect();
        assert_eq!(tags.len(), 2);
    }
}

#[tokio::test]
async fn keys_stand_where_they_belong_and_nowhere_else() {
    let server = server();
    answer_rest(&server);
    let client = client_of(&server).build().unwrap();
    let requests = requests(&client, &server).await;
    let bearer = format!("Bearer {PERSONAL_KEY}");
    assert_eq!(requests[0].header("authorization"), Some(&*bearer));
    for capture in &requests[1..] {
        assert_eq!(capture.header("authorization"), None);
        assert_eq!(capture.json().unwrap()["api_key"], PROJECT_KEY);
        let head = format!("{}{:?}{:?}", capture.path, capture.query, capture.headers);
        assert!(
            !head.contains(PROJECT_KEY) && !head.contains(PERSONAL_KEY),
            "{head}"
        );
        let body = String::from_utf8_lossy(&capture.body);
        assert!(!body.contains(PERSONAL_KEY), "{body}");
    }
    let rest = format!("{:?}", requests[0]);
    assert!(!rest.contains(PROJECT_KEY), "{rest}");
}

#[tokio::test]
async fn all_are_tried_as_often_as_the_policy_says() {
    for way in WAYS {
        let server = server();
        server.answer_with(|_| Some(Answer::status(503)));
        let client = client_of(&server)
            .retry(quick().attempts(3))
            .build()
            .unwrap();
        send(&client, way).await;
        // At its end the actor tries what it kept once more.
        let attempts = server.request_count();
        match way {
            Way::Actor => assert!((3..=6).contains(&attempts), "{attempts}"),
            _ => assert_eq!(attempts, 3, "{way:?}"),
        }
    }
}

#[tokio::test]
async fn a_failure_on_any_way_opens_the_breaker_of_its_destination() {
    for way in WAYS {
        let server = server();
        server.answer_with(|_| Some(Answer::status(503)));
        let client = client_of(&server)
            .retry(quick().attempts(1))
            .circuit_breaker(CircuitBreaker::after_failures(1))
            .build()
            .unwrap();
        send(&client, way).await;
        let (destination, other, same) = match way {
            Way::Rest => (Destination::Api, Destination::Capture, Way::Rest),
            _ => (Destination::Capture, Destination::Api, Way::Batch),
        };
        assert_eq!(client.circuit_state(destination), CircuitState::Open);
        assert_eq!(client.circuit_state(other), CircuitState::Closed);
        let before = server.request_count();
        send(&client, same).await;
        assert_eq!(server.request_count(), before, "{way:?}");
    }
}

#[tokio::test]
async fn a_path_prefix_of_a_proxy_stands_before_all_paths() {
    let server = server();
    server.answer_with(|_| Some(Answer::status(200).json(json!(1))));
    let client = client_at(format!("{}/ingest/", server.url()))
        .build()
        .unwrap();
    let paths: Vec<_> = requests(&client, &server)
        .await
        .into_iter()
        .map(|r| r.path)
        .collect();
    let expected = ["/ingest/api/users/@me/", "/ingest/batch/", "/ingest/batch/"];
    assert_eq!(paths, expected);
}

#[tokio::test]
async fn all_use_the_callers_own_http_client_and_its_connections() {
    let server = server();
    answer_rest(&server);
    let own = reqwest::Client::builder()
        .default_headers(
            [(reqwest::header::VIA, "own".parse().unwrap())]
                .into_iter()
                .collect(),
        )
        .build()
        .unwrap();
    let client = client_of(&server).reqwest_client(own).build().unwrap();
    for request in requests(&client, &server).await {
        assert_eq!(request.header("via"), Some("own"));
    }
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let server = server();
    let client = client_of(&server).build().unwrap();
    for _ in 0..10 {
        client.capture_batch([Event::new("one")]).await.unwrap();
    }
    assert_eq!(server.connection_count(), 1);
}
