//! The actor in virtual time, over a network in memory.

mod thundering_herd;

use crate::backend::EventCaptureBackend;
use crate::capture::{CaptureHandle, CaptureProtocol};
use crate::client::PostHogClient;
use crate::event::Event;
use crate::http::fake::{FakeAnswer, FakeNetwork};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;

/// When each request was sent, by the first word of its first event's name.
type Sent = Arc<Mutex<Vec<(String, Duration)>>>;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An actor whose events are batches by themselves; `answer` is asked with the body of each request.
fn actor(
    answer: impl Fn(&str, u32) -> FakeAnswer + Send + Sync + 'static,
) -> (CaptureHandle, Sent) {
    actor_by(CaptureProtocol::V0, answer)
}

/// The same, by a protocol.
fn actor_by(
    protocol: CaptureProtocol,
    answer: impl Fn(&str, u32) -> FakeAnswer + Send + Sync + 'static,
) -> (CaptureHandle, Sent) {
    let sent = Sent::default();
    let (log, start) = (sent.clone(), Instant::now());
    let mut client = PostHogClient::builder()
        .project_api_key("phc_test")
        .host("http://127.0.0.1:9");
    client.fake = Some(FakeNetwork::new(move |_, request, attempt| {
        let crate::http::Body::Bytes(body) = &request.body else {
            panic!("events have a body");
        };
        let text = String::from_utf8_lossy(body);
        let name = text
            .split_once("\"event\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map_or_else(String::new, |(name, _)| name.to_owned());
        log.lock().unwrap().push((name, start.elapsed()));
        answer(&text, attempt)
    }));
    let posthog = EventCaptureBackend::builder(client.build().unwrap())
        .batch_events(1)
        .protocol(protocol)
        .compression(crate::Compression::Off)
        .spawn_on(&Handle::current())
        .start()
        .unwrap();
    (posthog, sent)
}

fn capture(posthog: &CaptureHandle, names: &[&str]) {
    for name in names {
        posthog.capture(Event::new(*name).distinct_id("user_1"));
    }
}

fn times_of(sent: &Sent, name: &str) -> Vec<Duration> {
    let sent = sent.lock().unwrap();
    let of_name = sent.iter().filter(|(n, _)| n == name);
    of_name.map(|(_, at)| *at).collect()
}

fn bad_fails(body: &str, _: u32) -> FakeAnswer {
    match body.contains("\"event\":\"bad") {
        true => FakeAnswer::status(503),
        false => FakeAnswer::ok(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_good_event_passes_any_number_of_failing_batches() {
    // Twenty have not all had their first attempt by then.
    for (failing, within) in [(1, 5), (4, 20), (8, 60), (20, 1_900)] {
        let (posthog, sent) = actor(bad_fails);
        let bad = vec!["bad"; failing];
        capture(&posthog, &bad);
        tokio::time::sleep(ms(500)).await;
        capture(&posthog, &["good"]);
        let captured = ms(500);
        tokio::time::sleep(ms(2_000)).await;
        let [at] = times_of(&sent, "good")[..] else {
            panic!("{failing}: {sent:?}");
        };
        assert!(at - captured <= ms(within), "{failing} failing: {at:?}");
        assert_eq!(posthog.stats().delivered, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn bad_batches_that_keep_coming_hold_no_good_ones_up() {
    let (posthog, sent) = actor(bad_fails);
    // No longer than the attempts of one batch take: exhausted ones in a row open the circuit.
    for _ in 0..100 {
        capture(&posthog, &["good", "bad", "good", "good", "good"]);
        tokio::time::sleep(ms(50)).await;
    }
    tokio::time::sleep(ms(100)).await;
    let times = times_of(&sent, "good");
    let late = |(n, at): (usize, &Duration)| *at - ms(n as u64 / 4 * 50);
    let latest = times.iter().enumerate().map(late).max();
    assert_eq!(times.len(), 400, "{latest:?}");
    assert!(latest < Some(ms(50)), "{latest:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_waits_as_posthog_asked_holds_no_slot() {
    let (posthog, sent) = actor(|body, _| match body.contains("bad") {
        true => FakeAnswer::RetryAfter(503, 5),
        false => FakeAnswer::ok(),
    });
    capture(&posthog, &["bad", "bad", "bad", "bad"]);
    tokio::time::sleep(ms(1_000)).await;
    capture(&posthog, &["good"]);
    tokio::time::sleep(ms(100)).await;
    assert_eq!(times_of(&sent, "good").len(), 1);
    assert_eq!(times_of(&sent, "bad").len(), 4, "none before its time");
    let stats = posthog.stats();
    assert_eq!((stats.queued, stats.in_flight), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_batch_follow_the_policy_and_its_number() {
    let (posthog, sent) = actor(|_, attempt| match attempt {
        6 => FakeAnswer::ok(),
        _ => FakeAnswer::status(503),
    });
    capture(&posthog, &["tick"]);
    let report = posthog.flush().await;
    assert!(report.is_complete(), "{report}");
    let times = times_of(&sent, "tick");
    assert_eq!(times.len(), 6);
    for (n, pair) in times.windows(2).enumerate() {
        let base = ms(100) * 2u32.pow(n as u32);
        let wait = pair[1] - pair[0];
        assert!(wait >= base && wait <= base * 2 + ms(2), "{n}: {wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_posthog_that_is_down_is_not_flooded() {
    let (posthog, sent) = actor(|_, _| FakeAnswer::NoConnection);
    for _ in 0..600 {
        capture(&posthog, &["tick"]);
        tokio::time::sleep(ms(10)).await;
    }
    // Without a limit these were 600 batches with up to six attempts each.
    let requests = times_of(&sent, "tick").len();
    assert!(requests <= 200, "{requests}");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_panics_is_tried_again() {
    let (posthog, sent) = actor(|_, attempt| match attempt {
        1 => FakeAnswer::Panic,
        _ => FakeAnswer::ok(),
    });
    capture(&posthog, &["tick"]);
    assert!(posthog.flush().await.is_complete());
    assert_eq!(times_of(&sent, "tick").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_an_actor_that_panics_over_and_over() {
    let (posthog, _) = actor(|_, _| panic!("on purpose"));
    capture(&posthog, &["tick"; 100]);
    let since = Instant::now();
    posthog.shutdown().await;
    assert!(since.elapsed() < ms(10_000), "{:?}", since.elapsed());
    let stats = posthog.stats();
    assert_eq!((stats.queued, stats.in_flight), (0, 0), "{stats}");
    let panicked = stats.dropped.by(crate::DropReason::ActorPanic);
    assert!((1..50).contains(&panicked), "{stats}");
    assert_eq!(stats.dropped.total(), 100, "{stats}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_tries_at_once_what_waits() {
    let (posthog, sent) = actor(|body, attempt| match (body.contains("bad"), attempt) {
        (true, 1) => FakeAnswer::RetryAfter(503, 20),
        _ => FakeAnswer::ok(),
    });
    capture(&posthog, &["bad"]);
    tokio::time::sleep(ms(100)).await;
    let since = Instant::now();
    assert!(posthog.shutdown().await.is_complete());
    assert!(since.elapsed() < ms(50), "{:?}", since.elapsed());
    assert_eq!(times_of(&sent, "bad").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_flush_that_nobody_waits_for_is_forgotten() {
    use crate::capture::delivery::flushes::Flushes;
    use crate::capture::delivery::{FlushReport, Reply};
    use tokio::sync::oneshot;
    let mut flushes = Flushes::default();
    let watermark = crate::capture::queue::Watermark {
        until: 1,
        open: 1,
        delivered: 0,
    };
    let mut begin = || {
        let (reply, answer) = oneshot::channel::<FlushReport>();
        flushes.begin(watermark, 0, ms(1_000), Reply::Future(reply.into()));
        answer
    };
    let (_waits, gone) = (begin(), begin());
    drop(gone);
    let nothing_left = |_| crate::capture::delivery::flushes::Left {
        pending: 1,
        spooled: 0,
    };
    flushes.answer(|_| true, nothing_left);
    assert_eq!(flushes.len(), 1, "the one that somebody waits for");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_v1_after_a_form_feed_is_an_answer() {
    let requests = std::sync::atomic::AtomicUsize::new(0);
    let (posthog, sent) = actor_by(CaptureProtocol::V1, move |_, _| {
        match requests.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0..10 => FakeAnswer::Status(200, "\u{c}{\"results\":{}}", Duration::ZERO),
            _ => FakeAnswer::status(400),
        }
    });
    capture(&posthog, &["tick"]);
    let report = posthog.flush().await;
    assert_eq!(sent.lock().unwrap().len(), 1, "sent again and again");
    assert!(report.is_complete(), "{report}");
}
