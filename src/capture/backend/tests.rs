//! What nobody outside can see.

use crate::capture::{Event, EventCaptureBackend};
use crate::client::PostHogClient;
use std::pin::pin;
use std::task::{Context, Waker};

#[tokio::test]
async fn a_flush_that_nobody_waits_for_is_forgotten() {
    let client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host("http://127.0.0.1:9")
        .build()
        .unwrap();
    let builder = EventCaptureBackend::builder(client);
    let (posthog, mut actor) = builder.actor().unwrap().unwrap();
    posthog.capture(Event::new("e").distinct_id("user_1"));
    let asked = |wants: bool| {
        let mut flush = Box::pin(posthog.flush());
        let mut context = Context::from_waker(Waker::noop());
        assert!(flush.as_mut().poll(&mut context).is_pending());
        wants.then_some(flush)
    };
    let _waits = asked(true);
    assert!(asked(false).is_none());
    for _ in 0..2 {
        let order = pin!(actor.parts.orders.recv()).await;
        actor.obey(order);
    }
    assert_eq!(actor.flushes.len(), 2);
    actor.answer_flushes();
    assert_eq!(actor.flushes.len(), 1, "the one that somebody waits for");
}
