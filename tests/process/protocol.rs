//! The fallback from capture v1, the clock of requests, answers that are not PostHog's, and `capture_batch` with the
//! actor's settings. Tests of log lines run in their own process, because they record its whole log.

use crate::hostile::{ProcessLog, holds};
use crate::own_process::own_process;
use crate::support::*;
use jiff::Timestamp;
use serde_json::json;
use std::time::{Duration, SystemTime};
use tracing_posthog::testing::{Answer, PostHogServer};
use tracing_posthog::{
    BatchSummary, CaptureHandle, CaptureProtocol, Clock, DropReason, Event, EventCaptureBackend,
    PostHogClient, Stats,
};

const V1: &str = "/i/v1/analytics/events";
/// Content of an answer, which must not appear in the log.
const MARK: &str = "marked-text-of-the-answer";

fn html() -> String {
    format!("<!DOCTYPE html><html><head><title>{MARK}</title></head></html>")
}

/// A PostHog that gives this answer to capture v1.
fn without_v1(answer: Answer) -> PostHogServer {
    let server = server();
    server.answer_with(move |r| (r.path == V1).then(|| answer.clone()));
    server
}

/// Captures 50 events with `CaptureProtocol::Auto` and returns the final stats.
fn captured_by_auto(server: &PostHogServer) -> Stats {
    let posthog = capture_to(server)
        .protocol(CaptureProtocol::Auto)
        .flush_at(10)
        .start()
        .unwrap();
    for n in 0..50 {
        posthog.capture(Event::new(format!("e{n}")).distinct_id("ada"));
    }
    posthog.shutdown_blocking(LONG);
    let stats = posthog.stats();
    assert_settled(&stats);
    stats
}

#[track_caller]
fn assert_falls_back(answer: Answer) {
    let server = without_v1(answer);
    let stats = captured_by_auto(&server);
    assert_eq!(
        (stats.delivered, server.event_count()),
        (50, 50),
        "{stats:?}"
    );
    let requests = server.requests();
    let by_v1 = requests.iter().filter(|r| r.path == V1).count();
    // Up to four requests were in flight when the first answer came.
    assert!((1..=4).contains(&by_v1), "{by_v1} of {}", requests.len());
}

fn page(status: u16) -> Answer {
    let answer = Answer::status(status).header("content-type", "text/html; charset=utf-8");
    answer.body(html())
}

#[test]
fn a_csrf_page_shows_that_there_is_no_capture_v1() {
    assert_falls_back(page(403));
}

#[test]
fn a_method_that_is_not_allowed_shows_that_there_is_no_capture_v1() {
    assert_falls_back(Answer::status(405).header("allow", "GET, HEAD").body(""));
}

#[test]
fn a_web_page_shows_that_there_is_no_capture_v1() {
    assert_falls_back(page(200));
}

#[test]
fn json_that_is_not_posthogs_shows_that_there_is_no_capture_v1() {
    let error = json!({"detail": "Method \"POST\" not allowed."});
    assert_falls_back(Answer::status(405).json(error));
}

#[test]
fn a_redirect_to_a_login_page_shows_that_there_is_no_capture_v1() {
    let answer = Answer::status(302).header("location", "/login?next=/i/v1/analytics/events");
    assert_falls_back(answer.body(""));
}

#[test]
fn a_refusal_by_posthogs_capture_v1_stays_one() {
    for (status, error) in [
        (401, "invalid_api_token"),
        (400, "invalid_batch"),
        (402, "billing_limit_exceeded"),
    ] {
        let refusal = json!({
            "error": error, "error_description": "refused", "error_uri": "https://posthog.com/docs",
        });
        let server = without_v1(Answer::status(status).json(refusal));
        let stats = captured_by_auto(&server);
        assert_eq!(
            (stats.delivered, stats.dropped.total()),
            (0, 50),
            "{stats:?}"
        );
        assert!(server.requests().iter().all(|r| r.path == V1), "{error}");
    }
}

/// A clock that is one year behind.
struct AYearBehind;

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

impl Clock for AYearBehind {
    fn now(&self) -> SystemTime {
        SystemTime::now() - YEAR
    }
}

fn captured_a_year_behind(server: &PostHogServer, protocol: CaptureProtocol) {
    let posthog = capture_to(server)
        .protocol(protocol)
        .clock(AYearBehind)
        .start()
        .unwrap();
    posthog.capture(Event::new("e").distinct_id("ada"));
    assert!(posthog.shutdown_blocking(LONG).is_complete());
}

fn time(text: impl AsRef<str>) -> Timestamp {
    text.as_ref().parse().unwrap()
}

/// Both times come from the same clock.
#[track_caller]
fn assert_of_one_clock(what: &str, one: Timestamp, other: Timestamp) {
    let between = one.duration_since(other).unsigned_abs();
    assert!(between < LONG, "{what}: {one} is {between:?} from {other}");
}

#[test]
fn by_capture_v0_one_clock_stamps_events_and_requests() {
    let server = server();
    captured_a_year_behind(&server, CaptureProtocol::V0);
    let event = server.find("e").unwrap();
    let (at, sent_at) = (time(event.timestamp.unwrap()), event.sent_at.unwrap());
    assert_of_one_clock("sent_at", time(sent_at), at);
}

#[test]
fn by_capture_v1_one_clock_stamps_events_and_requests() {
    let server = server();
    captured_a_year_behind(&server, CaptureProtocol::V1);
    let request = &server.requests()[0];
    let body = request.json().unwrap();
    let at = time(body["batch"][0]["timestamp"].as_str().unwrap());
    let stamp = request.header("posthog-request-timestamp").unwrap();
    assert_of_one_clock("the request's timestamp", time(stamp), at);
    let created_at = body["created_at"].as_str().unwrap();
    assert_of_one_clock("created_at", time(created_at), at);
}

/// Captures 30 events in several batches that all get this answer, and returns the warnings.
fn warnings_about(answer: Answer) -> Vec<String> {
    let log = ProcessLog::start();
    let server = server();
    server.answer_with(move |_| Some(answer.clone()));
    let posthog = capture_to(&server).flush_at(5).start().unwrap();
    for n in 0..30 {
        posthog.capture(Event::new(format!("e{n}")).distinct_id("ada"));
    }
    let report = posthog.shutdown_blocking(LONG);
    assert!(report.is_complete(), "as ever a delivery: {report}");
    assert_eq!(posthog.stats().delivered, 30);
    log.warnings()
}

#[track_caller]
fn assert_one_warning_names(warnings: &[String], what: &[&str]) {
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let named = what.iter().any(|what| holds(&warnings[0], &[what]));
    assert!(named, "{warnings:?}");
    assert!(!holds(&warnings[0], &[MARK]), "{warnings:?}");
}

#[test]
fn a_web_page_that_says_200_is_a_delivery_with_one_warning() {
    own_process!();
    assert_one_warning_names(&warnings_about(page(200)), &["html"]);
}

#[test]
fn an_empty_202_is_a_delivery_with_one_warning() {
    own_process!();
    let empty = Answer::status(202).header("content-length", "0").body("");
    assert_one_warning_names(&warnings_about(empty), &["empty", "202"]);
}

#[test]
fn what_posthog_says_of_a_delivery_is_worth_no_warning() {
    own_process!();
    let log = ProcessLog::start();
    for says in [json!({"status": "Ok"}), json!({"status": 1})] {
        let server = server();
        server.answer_with(move |_| Some(Answer::status(200).json(says.clone())));
        let posthog = capture_to(&server).start().unwrap();
        posthog.capture(Event::new("e"));
        assert!(posthog.shutdown_blocking(LONG).is_complete());
        assert_eq!(log.warnings(), Vec::<String>::new());
    }
}

/// A client whose actor has a hook, a default property and a protocol.
fn configured(server: &PostHogServer, protocol: CaptureProtocol) -> (PostHogClient, CaptureHandle) {
    let client = client_of(server).build().unwrap();
    let posthog = EventCaptureBackend::builder(client.clone())
        .protocol(protocol)
        .default_property("app_version", "1.2.3")
        .before_send(|mut event| {
            event.properties.remove("email");
            (event.name != "secret").then_some(event)
        })
        .start()
        .unwrap();
    (client, posthog)
}

fn send_now(client: &PostHogClient) -> BatchSummary {
    let events = ["signup", "secret"].map(|name| {
        Event::new(name)
            .distinct_id("ada")
            .property("email", "ada@example.com")
    });
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(client.capture_batch(events)).unwrap()
}

#[test]
fn a_batch_sent_at_once_passes_the_hooks() {
    let server = server();
    let (client, _posthog) = configured(&server, CaptureProtocol::V0);
    let summary = send_now(&client);
    let events = server.events();
    assert_eq!(names(&events), ["signup"]);
    assert_eq!(events[0].property("email"), None);
    assert_eq!(
        (
            summary.delivered,
            summary.dropped.by(DropReason::BeforeSend)
        ),
        (1, 1)
    );
}

#[test]
fn a_batch_sent_at_once_has_the_default_properties() {
    let server = server();
    let (client, _posthog) = configured(&server, CaptureProtocol::V0);
    send_now(&client);
    let event = server.find("signup").unwrap();
    assert_eq!(event.property("app_version"), Some(&json!("1.2.3")));
}

#[test]
fn a_batch_sent_at_once_goes_by_the_protocol_that_was_chosen() {
    let server = server();
    let (client, _posthog) = configured(&server, CaptureProtocol::V1);
    let summary = send_now(&client);
    assert_eq!(summary.delivered, 1, "{summary:?}");
    let requests = server.requests();
    let paths: Vec<_> = requests.iter().map(|r| r.path.as_str()).collect();
    assert_eq!(paths, [V1]);
    let event = server.find("signup").unwrap();
    assert_eq!(event.property("email"), None);
    assert_eq!(event.property("app_version"), Some(&json!("1.2.3")));
}

#[test]
fn a_batch_sent_at_once_has_the_clock_that_was_chosen() {
    let server = server();
    let client = client_of(&server).build().unwrap();
    let _posthog = EventCaptureBackend::builder(client.clone())
        .clock(AYearBehind)
        .start()
        .unwrap();
    send_now(&client);
    let event = server.find("signup").unwrap();
    let now: Timestamp = AYearBehind.now().try_into().unwrap();
    assert_of_one_clock("the event's time", time(event.timestamp.unwrap()), now);
    assert_of_one_clock("sent_at", time(event.sent_at.unwrap()), now);
}
