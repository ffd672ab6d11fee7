//! The client-side rate limit, and PostHog's own.

use std::time::{Duration, Instant};
use tracing_posthog::rest::{EndpointClass, RateLimit, RateLimits};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{Method, PostHogClient, PostHogClientBuilder};

fn builder(server: &PostHogServer) -> PostHogClientBuilder {
    PostHogClient::builder()
        .personal_api_key("phx_test")
        .host(server.url())
}

#[tokio::test]
async fn a_limited_class_waits_and_others_do_not() {
    let server = PostHogServer::start().unwrap();
    server.answer_with(|_| Some(Answer::status(200)));
    let limit = RateLimit::none().per_day(2); // one at once, the other half a day later or more
    let limits = RateLimits::none().set(EndpointClass::HogQl, limit);
    let client = builder(&server).rate_limits(limits).build().unwrap();
    let clone = client.clone();

    client.project(1).hogql("SELECT 1").run().await.unwrap();
    let second = clone
        .project(1)
        .hogql("SELECT 1")
        .time_limit(Duration::from_millis(300));
    let error = second.run().await.unwrap_err();
    assert!(error.to_string().contains("was cancelled"), "{error}");
    let queries = server
        .requests()
        .iter()
        .filter(|r| r.method == "POST")
        .count();
    assert_eq!(queries, 1, "what waits is not sent");

    let before = Instant::now();
    assert_eq!(server.requests().pop().unwrap().method, "DELETE");
    for _ in 0..20 {
        client
            .request(Method::GET, "/api/users/@me/")
            .send()
            .await
            .unwrap();
    }
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_refusal_is_waited_for_as_told_within_the_attempts() {
    let server = PostHogServer::start().unwrap();
    let client = builder(&server)
        .rate_limits(RateLimits::posthog_cloud())
        .build()
        .unwrap();
    server.answer_next(Answer::status(429).header("retry-after", "1"));
    server.answer_next(Answer::status(200));
    let before = Instant::now();
    client
        .request(Method::GET, "/api/users/@me/")
        .send()
        .await
        .unwrap();
    assert!(before.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.request_count(), 2);
}
