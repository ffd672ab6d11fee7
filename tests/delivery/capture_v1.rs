//! Capture v1: what it sends, and what becomes of each event by PostHog's verdict.

use crate::support::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use tracing_posthog::testing::{Answer, EventVerdict, PostHogServer, RecordedRequest};
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, CaptureProtocol, Compression, Disposition, DropReason, Event,
    PostHogError, RetryPolicy, SpoolMode,
};

const PATH: &str = "/i/v1/analytics/events";

fn v1_to(server: &PostHogServer) -> CaptureBuilder {
    capture_to(server).protocol(CaptureProtocol::V1)
}

fn event(name: &str) -> Event {
    Event::new(name).distinct_id("user_42")
}

/// Captures these in one batch and delivers them.
fn deliver(handle: &CaptureHandle, names: &[&str]) {
    for name in names {
        handle.capture(event(name));
    }
    handle.flush_blocking(LONG);
}

fn header<'a>(request: &'a RecordedRequest, name: &str) -> &'a str {
    request
        .header(name)
        .unwrap_or_else(|| panic!("no header {name}"))
}

fn sent_names(request: &RecordedRequest) -> Vec<String> {
    let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
    batch(request).iter().map(name).collect()
}

/// What `on_error` heard: how many, what became of them, PostHog's word.
type Heard = Arc<Mutex<Vec<(u64, Disposition, Option<String>)>>>;

fn listen(builder: CaptureBuilder) -> (CaptureBuilder, Heard) {
    let heard = Heard::default();
    let to = heard.clone();
    let builder = builder.on_error(move |e| {
        to.lock()
            .unwrap()
            .push((e.events, e.disposition, e.detail.map(str::to_owned)));
    });
    (builder, heard)
}

/// One batch holds all, however slow the machine.
fn patient(builder: CaptureBuilder) -> CaptureBuilder {
    builder.flush_interval(LONG)
}

#[test]
fn the_request_is_as_v1_wants_it() {
    let server = server();
    let handle = patient(v1_to(&server))
        .historical_migration(true)
        .start()
        .unwrap();
    handle.capture(
        event("invoice paid")
            .property("amount", 12.5)
            .property("$session_id", "0195f0aa-9999-7000-8000-000000000001")
            .property("$window_id", 7)
            .property("$process_person_profile", "FALSE")
            .property("$cookieless_mode", 1)
            .property("$ignore_sent_at", json!({"no": "flag"}))
            .property("$product_tour_id", " ")
            .property("quoted \"$session_id\"", "stays")
            .group("company", "acme")
            .set("plan", "pro"),
    );
    handle.capture(Event::new("nobody's"));
    handle.flush_blocking(LONG);
    let request = &server.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", PATH)
    );
    assert_eq!(
        header(request, "authorization"),
        format!("Bearer {PROJECT_KEY}")
    );
    let sdk = concat!("tracing-posthog/", env!("CARGO_PKG_VERSION"));
    assert_eq!(header(request, "posthog-sdk-info"), sdk);
    assert_eq!(header(request, "user-agent"), sdk);
    assert_eq!(header(request, "posthog-attempt"), "1");
    assert_eq!(header(request, "content-encoding"), "gzip");
    let body = request.json().unwrap();
    assert_eq!(body["historical_migration"], true);
    for absent in ["api_key", "token", "sent_at"] {
        assert!(body.get(absent).is_none(), "{absent}");
    }
    let events = batch(request);
    let paid = &events[0];
    assert_eq!(paid["session_id"], "0195f0aa-9999-7000-8000-000000000001");
    assert_eq!(paid["window_id"], "7");
    assert_eq!(
        paid["options"],
        json!({"process_person_profile": false, "cookieless_mode": true})
    );
    assert_eq!(paid["properties"]["amount"], 12.5);
    assert_eq!(paid["properties"]["$groups"], json!({"company": "acme"}));
    assert_eq!(paid["properties"]["$set"], json!({"plan": "pro"}));
    assert_eq!(paid["properties"]["quoted \"$session_id\""], "stays");
    let lifted: Vec<_> = paid["properties"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|key| key.contains("_id") && !key.starts_with("quoted"))
        .collect();
    assert!(lifted.is_empty(), "{lifted:?}");
    assert_eq!(
        events[1]["options"],
        json!({"process_person_profile": false})
    );
    assert_eq!(server.duplicate_keys_seen(), 0);
    let stats = handle.stats();
    assert_eq!(stats.delivered, 2);
    assert_settled(&stats);
}

/// Apart from its road, an event is the same by both.
#[test]
fn both_protocols_deliver_the_same_events() {
    let server = server();
    let mut seen = Vec::new();
    for protocol in [
        CaptureProtocol::V0,
        CaptureProtocol::V1,
        CaptureProtocol::Auto,
    ] {
        server.clear();
        let handle = capture_to(&server).protocol(protocol).start().unwrap();
        let uuid = "0195f0aa-1111-7222-8333-444455556666";
        handle.capture(
            event("signup")
                .uuid(uuid.parse().unwrap())
                .property("näme", "w\u{1F600}\\\"\n"),
        );
        handle.flush_blocking(LONG);
        let event = server.find("signup").unwrap();
        seen.push((event.distinct_id, event.uuid, event.properties));
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);
}

#[test]
fn every_compression_arrives() {
    let all = [
        (Compression::Off, None),
        (Compression::Gzip, Some("gzip")),
        (Compression::Deflate, Some("deflate")),
        #[cfg(feature = "brotli")]
        (Compression::Brotli, Some("br")),
        #[cfg(feature = "zstd")]
        (Compression::Zstd, Some("zstd")),
    ];
    for (compression, name) in all {
        let server = server();
        let handle = v1_to(&server).compression(compression).start().unwrap();
        deliver(&handle, &["a", "b"]);
        assert_eq!(names(&server.events()), ["a", "b"], "{compression:?}");
        assert_eq!(server.requests()[0].header("content-encoding"), name);
    }
}

#[test]
fn v0_takes_only_what_it_unpacks() {
    let server = server();
    let error = capture_to(&server)
        .compression(Compression::Deflate)
        .start()
        .unwrap_err();
    assert!(matches!(error, PostHogError::Config { .. }));
    let says = error.to_string();
    assert!(
        says.contains("compression") && says.contains("Gzip"),
        "{says}"
    );
}

#[test]
fn only_what_is_asked_for_is_sent_again() {
    let server = server();
    let (builder, heard) = listen(patient(v1_to(&server)));
    let handle = builder.start().unwrap();
    server.answer_next(
        Answer::accept()
            .verdict("b", EventVerdict::Retry("not_persisted".into()))
            .verdict("c", EventVerdict::Drop("event_name_too_long".into()))
            .verdict(
                "d",
                EventVerdict::Warning("person_processing_disabled".into()),
            )
            .verdict("e", EventVerdict::Silence)
            .verdict("f", EventVerdict::Other("limited".into()))
            .verdict("g", EventVerdict::Retry("not_persisted".into())),
    );
    server.answer_next(Answer::status(503));
    server.answer_next(
        Answer::accept()
            .verdict("b", EventVerdict::Drop("llm_events_over_quota".into()))
            .verdict("g", EventVerdict::Retry("not_persisted".into())),
    );
    deliver(&handle, &["a", "b", "c", "d", "e", "f", "g"]);

    let requests = server.requests();
    let sent: Vec<_> = requests.iter().map(sent_names).collect();
    assert_eq!(sent[0], ["a", "b", "c", "d", "e", "f", "g"]);
    assert_eq!(sent[1..], [vec!["b", "g"], vec!["b", "g"], vec!["g"]]);
    let attempts: Vec<_> = requests
        .iter()
        .map(|r| header(r, "posthog-attempt"))
        .collect();
    assert_eq!(attempts, ["1", "2", "3", "4"]);
    let ids: BTreeSet<_> = requests
        .iter()
        .map(|r| header(r, "posthog-request-id"))
        .collect();
    assert_eq!(ids.len(), 1);
    let times: BTreeSet<_> = requests
        .iter()
        .map(|r| header(r, "posthog-request-timestamp"))
        .collect();
    assert_eq!(times.len(), requests.len());
    let made: BTreeSet<_> = requests
        .iter()
        .map(|r| r.json().unwrap()["created_at"].to_string())
        .collect();
    assert_eq!(made.len(), 1);

    let mut arrived = names(&server.events()).join("");
    assert_eq!(arrived, "adefg");
    arrived.clear();
    let stats = handle.stats();
    assert_eq!(stats.delivered, 5);
    assert_eq!(stats.dropped.by(DropReason::Rejected), 1);
    assert_eq!(stats.dropped.by(DropReason::Quota), 1);
    assert_settled(&stats);
    let heard = heard.lock().unwrap();
    let word = |w: &str| Some(w.to_owned());
    assert_eq!(
        *heard,
        [
            (
                1,
                Disposition::Dropped(DropReason::Rejected),
                word("event_name_too_long")
            ),
            (
                1,
                Disposition::Dropped(DropReason::Quota),
                word("llm_events_over_quota")
            ),
        ]
    );
}

/// PostHog says how long to leave it alone, also where it took the rest.
#[test]
fn what_is_asked_for_again_waits_as_long_as_posthog_says() {
    let server = server();
    let client = client_of(&server).retry(quick().max_delay(LONG));
    let handle = patient(capture_with(client).protocol(CaptureProtocol::V1))
        .start()
        .unwrap();
    // The answer says `Retry-After: 1`.
    server.answer_next(Answer::accept().verdict("b", EventVerdict::Retry("not_persisted".into())));
    deliver(&handle, &["a", "b"]);
    let requests = server.requests();
    let waited = requests[1].received_at - requests[0].received_at;
    assert!(waited >= ms(1_000) && waited < LONG / 2, "{waited:?}");
    assert_eq!(handle.stats().delivered, 2);
}

#[tokio::test]
async fn the_span_of_an_attempt_tells_how_many_events_it_carries() {
    let (diagnostics, _listening) = Diagnostics::listen();
    let server = server();
    let handle = patient(v1_to(&server))
        .spawn_on(&tokio::runtime::Handle::current())
        .start()
        .unwrap();
    server.answer_next(Answer::accept().verdict("b", EventVerdict::Retry("not_persisted".into())));
    for name in ["a", "b", "c"] {
        handle.capture(event(name));
    }
    assert!(handle.flush().await.is_complete());
    let told = diagnostics.with(&[
        "span DEBUG tracing_posthog::http posthog_attempt",
        "events=",
    ]);
    let events: Vec<_> = told
        .iter()
        .filter_map(|l| l.split("events=").nth(1))
        .collect();
    assert_eq!(events, ["3", "1"]);
}

#[test]
fn what_is_left_of_a_batch_waits_as_long_as_posthog_says() {
    let server = server();
    let client = client_of(&server).retry(RetryPolicy::none());
    let handle = patient(capture_with(client).protocol(CaptureProtocol::V1))
        .flush_at(1)
        .start()
        .unwrap();
    let uuid = uuid::Uuid::from_u128(7);
    // Kept events are tried again after one to two seconds.
    let retry = json!({"results": {uuid.to_string(): {"result": "retry"}}});
    server.answer_next(Answer::status(200).json(retry).header("retry-after", "3"));
    handle.capture(event("a").uuid(uuid));
    wait_until("it is delivered", || handle.stats().delivered == 1);
    let requests = server.requests();
    let waited = requests[1].received_at - requests[0].received_at;
    assert!(waited >= ms(3_000), "{waited:?}");
}

#[test]
fn what_is_left_of_a_batch_is_kept_and_delivered_later() {
    let server = server();
    let client = client_of(&server).retry(RetryPolicy::none());
    let (builder, heard) = listen(patient(capture_with(client).protocol(CaptureProtocol::V1)));
    let handle = builder.start().unwrap();
    server.answer_next(Answer::accept().verdict("b", EventVerdict::Retry("not_persisted".into())));
    deliver(&handle, &["a", "b", "c"]);
    wait_until("the rest is delivered", || handle.stats().delivered == 3);
    let sent: Vec<_> = server.requests().iter().map(sent_names).collect();
    assert_eq!(sent, [vec!["a", "b", "c"], vec!["b"]]);
    assert_eq!(names(&server.events()), ["a", "c", "b"]);
    assert_settled(&handle.stats());
    assert_eq!(*heard.lock().unwrap(), [(1, Disposition::Kept, None)]);
}

#[test]
fn a_uuid_that_comes_twice_costs_no_batch() {
    let server = server();
    let handle = patient(v1_to(&server)).start().unwrap();
    let uuid = "0195f0aa-1111-7222-8333-444455556666".parse().unwrap();
    for name in ["a", "b", "c"] {
        handle.capture(event(name).uuid(uuid));
    }
    handle.capture(event("d"));
    handle.flush_blocking(LONG);
    let sent: Vec<_> = server.requests().iter().map(sent_names).collect();
    assert_eq!(sent, [vec!["a", "d"], vec!["b"], vec!["c"]]);
    assert_eq!(handle.stats().delivered, 4);
    assert_settled(&handle.stats());
}

/// Those that wait for a request of their own have the fate of the rest when the first request fails.
#[test]
fn a_uuid_that_comes_twice_is_not_lost_with_a_failure() {
    let server = server();
    let client = client_of(&server).retry(RetryPolicy::none());
    let handle = patient(capture_with(client).protocol(CaptureProtocol::V1))
        .start()
        .unwrap();
    server.answer_next(Answer::accept().verdict("d", EventVerdict::Retry("x".into())));
    let uuid = "0195f0aa-1111-7222-8333-444455556666".parse().unwrap();
    for name in ["a", "b"] {
        handle.capture(event(name).uuid(uuid));
    }
    deliver(&handle, &["c", "d"]);
    wait_until("the rest is delivered", || handle.stats().delivered == 4);
    let sent: Vec<_> = server.requests().iter().map(sent_names).collect();
    assert_eq!(sent, [vec!["a", "c", "d"], vec!["b", "d"]]);
    assert_settled(&handle.stats());
}

/// What PostHog took of a batch leaves its room to others, while the rest waits.
#[test]
fn settled_events_take_no_room() {
    let server = server();
    let client = client_of(&server).retry(RetryPolicy::none());
    let handle = patient(capture_with(client).protocol(CaptureProtocol::V1))
        .queue_bytes(64 << 10)
        .start()
        .unwrap();
    let large = "x".repeat(10 << 10);
    for round in 1..=4 {
        server.answer_next(Answer::accept().verdict("small", EventVerdict::Retry("x".into())));
        handle.capture(event("large").property("text", large.clone()));
        handle.capture(event("large").property("text", large.clone()));
        deliver(&handle, &["small"]);
        wait_until("all is delivered", || handle.stats().delivered == 3 * round);
    }
    let stats = handle.stats();
    assert_eq!((stats.dropped.total(), stats.batches_kept), (0, 4));
    assert_settled(&stats);
}

#[test]
fn ids_are_cut_to_what_v1_takes_also_where_v0_delivers_in_the_end() {
    for (protocol, chars) in [
        (CaptureProtocol::V0, 150),
        (CaptureProtocol::V1, 100),
        (CaptureProtocol::Auto, 100),
    ] {
        let server = server();
        if protocol == CaptureProtocol::Auto {
            let old = |r: &RecordedRequest| (r.path == PATH).then(|| Answer::status(404));
            server.answer_with(old);
        }
        let handle = capture_to(&server).protocol(protocol).start().unwrap();
        handle.capture(Event::new("a").distinct_id("\u{e9}".repeat(150)));
        // The end falls into a letter, which goes.
        handle.capture(Event::new("b").distinct_id(format!("x{}", "\u{e9}".repeat(100))));
        handle.flush_blocking(LONG);
        assert_eq!(handle.stats().delivered, 2, "{protocol:?}");
        let ids = server
            .events()
            .into_iter()
            .map(|e| e.distinct_id.chars().count());
        let second = chars.min(101);
        assert_eq!(ids.collect::<Vec<_>>(), [chars, second], "{protocol:?}");
    }
}

#[tokio::test]
async fn a_name_that_v1_drops_is_said_once() {
    for (protocol, said) in [(CaptureProtocol::V0, 0), (CaptureProtocol::V1, 1)] {
        let (diagnostics, _listening) = Diagnostics::listen();
        let server = server();
        let handle = capture_to(&server)
            .protocol(protocol)
            .spawn_on(&tokio::runtime::Handle::current())
            .start()
            .unwrap();
        for _ in 0..3 {
            handle.capture(event(&"n".repeat(201)));
        }
        handle.flush().await;
        let lines = diagnostics.with(&["200 bytes"]);
        assert_eq!(lines.len(), said, "{lines:?}");
    }
}

#[test]
fn a_quota_is_told_as_one() {
    let server = server();
    let (builder, heard) = listen(patient(v1_to(&server)));
    let handle = builder.start().unwrap();
    let body = json!({"error": "billing_limit_exceeded", "error_description": "over the limit"});
    server.answer_next(Answer::status(402).json(body));
    deliver(&handle, &["a", "b"]);
    assert_eq!(server.request_count(), 1);
    assert_eq!(handle.stats().dropped.by(DropReason::Quota), 2);
    assert_settled(&handle.stats());
    assert_eq!(
        *heard.lock().unwrap(),
        [(2, Disposition::Dropped(DropReason::Quota), None)]
    );
}

/// Texts and codes of errors.
type Refusals = Arc<Mutex<Vec<(String, Option<String>)>>>;

#[test]
fn a_refusal_is_told_in_words_that_hold_nothing_that_was_sent() {
    let uri = "https://us.posthog.com/organization/billing";
    let uri_with_more = "https://us.posthog.com/organization/billing?of=someone";
    for (status, tag, words, uri, says) in [
        (
            400,
            "invalid_batch",
            "created_at is missing",
            uri,
            "created_at is missing",
        ),
        (
            402,
            "billing_limit_exceeded",
            "over quota",
            uri,
            "over quota; see https://us.posthog.com/organization/billing",
        ),
        // Sentences of other words may repeat what was sent; the code says what it was.
        (
            400,
            "invalid_batch",
            "someone: created_at is missing",
            uri_with_more,
            "invalid_batch",
        ),
        (
            402,
            "billing_limit_exceeded",
            "someone is over quota",
            uri_with_more,
            "billing_limit_exceeded",
        ),
    ] {
        let server = server();
        let body = json!({"error": tag, "error_description": words, "error_uri": uri});
        server.answer_next(Answer::status(status).json(body));
        let heard = Refusals::default();
        let to = heard.clone();
        let handle = v1_to(&server)
            .on_error(move |e| {
                let error = e.error.unwrap();
                let code = error.api_error().unwrap().code.clone();
                to.lock().unwrap().push((error.to_string(), code));
            })
            .start()
            .unwrap();
        deliver(&handle, &["a"]);
        let heard = heard.lock().unwrap();
        let [(said, code)] = &heard[..] else {
            panic!("{heard:?}")
        };
        assert!(said.ends_with(says), "{said}");
        assert!(!said.contains("someone"), "{said}");
        assert_eq!(code.as_deref(), Some(tag));
    }
}

#[test]
fn a_host_without_v1_is_explained() {
    let server = server();
    let said = Arc::new(Mutex::new(String::new()));
    let to = said.clone();
    let handle = v1_to(&server)
        .on_error(move |e| {
            *to.lock().unwrap() = e.error.map(ToString::to_string).unwrap_or_default()
        })
        .start()
        .unwrap();
    server.answer_next(Answer::status(404));
    deliver(&handle, &["a"]);
    assert_eq!(handle.stats().dropped.by(DropReason::Rejected), 1);
    let said = said.lock().unwrap();
    assert!(
        said.contains("no capture v1") && said.contains("Auto"),
        "{said}"
    );
}

#[test]
fn auto_finds_out_once_and_loses_nothing() {
    let server = server();
    server.answer_with(|request| (request.path == PATH).then(|| Answer::status(404)));
    let handle = capture_to(&server)
        .protocol(CaptureProtocol::Auto)
        .compression(Compression::Deflate)
        .start()
        .unwrap();
    deliver(&handle, &["a"]);
    deliver(&handle, &["b"]);
    deliver(&handle, &["c"]);
    let paths: Vec<_> = server.requests().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, [PATH, "/batch/", "/batch/", "/batch/"]);
    assert_eq!(names(&server.events()), ["a", "b", "c"]);
    // v0 does not unpack what was asked for.
    assert_eq!(
        server.requests()[1].header("content-encoding"),
        Some("gzip")
    );
    assert_eq!(handle.stats().delivered, 3);
    assert_settled(&handle.stats());
}

/// Several requests are under way when the first of them hears that there is no v1.
#[test]
fn auto_takes_what_is_under_way_with_it() {
    let server = server();
    let (all_ask, in_time) = (Arc::new(std::sync::Barrier::new(4)), Arc::default());
    let noted: Arc<AtomicUsize> = Arc::clone(&in_time);
    server.answer_with(move |request| {
        (request.path == PATH).then(|| {
            // None is answered before all have asked.
            all_ask.wait();
            noted.fetch_add(1, SeqCst);
            Answer::status(404)
        })
    });
    let handle = patient(capture_to(&server))
        .protocol(CaptureProtocol::Auto)
        .batch_events(5)
        .requests_in_flight(4)
        .start()
        .unwrap();
    for n in 0..40 {
        handle.capture(event(&format!("e{n}")));
    }
    assert!(handle.flush_blocking(LONG).is_complete());
    assert_eq!(in_time.load(SeqCst), 4, "asked by v1, and not again");
    let uuids: BTreeSet<_> = server.events().into_iter().map(|e| e.uuid).collect();
    assert_eq!((uuids.len(), server.event_count()), (40, 40));
    assert_eq!((handle.stats().delivered, handle.stats().batches), (40, 8));
    assert_settled(&handle.stats());
}

/// Behind one address hosts of several ages may stand.
#[test]
fn auto_falls_back_with_the_rest_of_a_batch_too() {
    for keeps in [
        None,
        Some(SpoolMode::OnFailure),
        Some(SpoolMode::WriteAhead),
    ] {
        let server = server();
        let directory = spooling::Directory::new();
        let (builder, heard) = listen(patient(capture_to(&server)));
        let builder = builder.protocol(CaptureProtocol::Auto);
        let handle = match keeps {
            None => builder,
            Some(mode) => builder.spool(directory.spool().mode(mode)),
        };
        let handle = handle.start().unwrap();
        server.answer_next(
            Answer::accept()
                .verdict("b", EventVerdict::Retry("not_persisted".into()))
                .verdict("c", EventVerdict::Drop("rejected".into())),
        );
        server.answer_next(Answer::status(404));
        deliver(&handle, &["a", "b", "c"]);
        deliver(&handle, &["d"]);
        let paths: Vec<_> = server.requests().into_iter().map(|r| r.path).collect();
        assert_eq!(paths, [PATH, PATH, "/batch/", "/batch/"]);
        assert_eq!(names(&server.events()), ["a", "b", "d"]);
        let stats = handle.stats();
        assert_eq!((stats.delivered, stats.dropped.total()), (3, 1));
        assert_settled(&stats);
        assert_eq!(heard.lock().unwrap().len(), 1, "of the one that is dropped");
        assert_eq!(directory.files().len(), 0);
    }
}

/// v0 has to take the rest then; where it does not, the rest is kept, and nothing else.
#[test]
fn what_v0_does_not_take_of_a_rest_is_kept() {
    let server = server();
    let client = client_of(&server).retry(quick().attempts(2));
    let handle = patient(capture_with(client).protocol(CaptureProtocol::Auto))
        .start()
        .unwrap();
    server.answer_next(Answer::accept().verdict("b", EventVerdict::Retry("x".into())));
    server.answer_next(Answer::status(404));
    server.answer_next_times(2, Answer::status(503));
    deliver(&handle, &["a", "b", "c"]);
    wait_until("the rest is delivered", || handle.stats().delivered == 3);
    assert_eq!(names(&server.events()), ["a", "c", "b"]);
    assert_eq!(handle.stats().batches_kept, 1);
    assert_settled(&handle.stats());
}

#[test]
fn an_answer_that_says_nothing_is_not_asked_again() {
    for body in ["", "<html>welcome</html>", "{}", "[]", r#"{"results": 5}"#] {
        let server = server();
        let handle = v1_to(&server).start().unwrap();
        server.answer_next(Answer::status(200).body(body));
        deliver(&handle, &["a"]);
        assert_eq!(server.request_count(), 1, "{body}");
        assert_eq!(handle.stats().dropped.by(DropReason::Rejected), 1, "{body}");
        assert_settled(&handle.stats());
    }
}

#[test]
fn a_batch_that_is_too_large_is_halved_down_to_its_offender() {
    let server = server();
    server.answer_with(|request| {
        sent_names(request)
            .contains(&"huge".to_owned())
            .then(|| Answer::status(413))
    });
    let handle = patient(v1_to(&server)).start().unwrap();
    deliver(&handle, &["a", "b", "huge", "c", "d"]);
    let mut arrived = names(&server.events()).join(" ");
    assert_eq!(arrived.len(), 7, "{arrived}");
    arrived.clear();
    assert_eq!(handle.stats().dropped.by(DropReason::TooLarge), 1);
    assert_settled(&handle.stats());
}

#[test]
fn statuses_that_pass_are_tried_again_and_others_not() {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = server();
        let handle = v1_to(&server).start().unwrap();
        server.answer_next(Answer::status(status));
        deliver(&handle, &["a"]);
        assert_eq!(
            (server.request_count(), server.event_count()),
            (2, 1),
            "{status}"
        );
    }
    for status in [400, 401, 403, 415] {
        let server = server();
        let handle = v1_to(&server).start().unwrap();
        server.answer_next(Answer::status(status));
        deliver(&handle, &["a"]);
        assert_eq!(server.request_count(), 1, "{status}");
        assert_eq!(
            handle.stats().dropped.by(DropReason::Rejected),
            1,
            "{status}"
        );
        assert_settled(&handle.stats());
    }
}

/// What is left of a batch takes the place of the whole on disk.
#[test]
fn only_the_rest_stays_on_disk() {
    let server = server();
    let directory = spooling::Directory::new();
    let builder = |mode| {
        let client = client_of(&server).retry(RetryPolicy::none());
        patient(capture_with(client).protocol(CaptureProtocol::V1))
            .spool(directory.spool().mode(mode))
    };
    for mode in [SpoolMode::OnFailure, SpoolMode::WriteAhead] {
        server.clear();
        let handle = builder(mode).start().unwrap();
        let on_disk = Arc::new(Mutex::new(Vec::new()));
        let (noted, at) = (on_disk.clone(), directory.path.clone());
        server.answer_with(move |_| {
            let files = spooling::events_in(&at);
            let names = files
                .iter()
                .map(|e| e["event"].as_str().unwrap().to_owned());
            let mut noted = noted.lock().unwrap();
            noted.push(names.collect::<Vec<_>>());
            let again = Answer::accept().verdict("b", EventVerdict::Retry("x".into()));
            (noted.len() < 3).then_some(again)
        });
        for name in ["a", "b", "c"] {
            handle.capture(event(name));
        }
        handle.flush_blocking(ms(1));
        wait_until("all is delivered", || handle.stats().delivered == 3);
        assert_eq!(names(&server.events()), ["a", "c", "b"]);
        let sent: Vec<_> = server.requests().iter().map(sent_names).collect();
        assert_eq!(
            sent,
            [vec!["a", "b", "c"], vec!["b"], vec!["b"]],
            "{mode:?}"
        );
        assert_eq!(on_disk.lock().unwrap()[1..], [["b"], ["b"]], "{mode:?}");
        assert_settled(&handle.stats());
        handle.shutdown_blocking(LONG);
        assert_eq!(handle.stats().spool.files, 0);
    }
}

/// An end that PostHog tells is one for events from disk too, also where it tells it of the rest of a batch.
#[test]
fn what_is_refused_of_a_rest_from_disk_is_not_sent_again() {
    let server = server();
    let directory = spooling::Directory::new();
    let client = client_of(&server).retry(quick().attempts(2));
    let handle = patient(capture_with(client).protocol(CaptureProtocol::V1))
        .spool(directory.spool())
        .start()
        .unwrap();
    server.answer_next_times(2, Answer::status(503));
    server.answer_next(Answer::accept().verdict("b", EventVerdict::Retry("x".into())));
    server.answer_next(Answer::status(400));
    deliver(&handle, &["a", "b", "c"]);
    wait_until("all are settled", || handle.stats().spooled == 0);
    let stats = handle.stats();
    assert_settled(&stats);
    assert_eq!(stats.dropped.by(DropReason::Rejected), 1, "{stats:?}");
    assert_eq!(names(&server.events()), ["a", "c"]);
    assert_eq!(server.request_count(), 4);
    assert_eq!(directory.files().len(), 0);
}

/// What PostHog took of a batch is delivered, also where the rest of it finds no end.
#[test]
fn what_was_taken_of_a_batch_that_is_under_way_at_the_end_is_delivered() {
    for mode in [
        None,
        Some(SpoolMode::OnFailure),
        Some(SpoolMode::WriteAhead),
    ] {
        for shuts_down in [true, false] {
            let (diagnostics, _listening) = Diagnostics::listen();
            let (server, directory) = (server(), spooling::Directory::new());
            server.answer_with(|_| {
                let again = Answer::accept().verdict("b", EventVerdict::Retry("x".into()));
                Some(again.header("retry-after", "30"))
            });
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let client = client_of(&server).retry(RetryPolicy::default());
            let builder = patient(capture_with(client).protocol(CaptureProtocol::V1))
                .flush_at(3)
                .shutdown_timeout(ms(300));
            let builder = match mode {
                None => builder,
                Some(mode) => builder.spool(directory.spool().mode(mode)),
            };
            let handle = builder.spawn_on(runtime.handle()).start().unwrap();
            for name in ["a", "b", "c"] {
                handle.capture(event(name));
            }
            runtime.block_on(until("a part is to be sent again", || {
                !diagnostics.with(&["will retry"]).is_empty()
            }));
            let case = format!("{mode:?}, by a shutdown: {shuts_down}");
            let left = u64::from(mode.is_some());
            if shuts_down {
                let report = runtime.block_on(handle.shutdown());
                let report = (report.delivered, report.dropped, report.spooled);
                // The others were settled when the answer came, before the shutdown was asked for.
                assert_eq!(report, (0, 1 - left, left), "{case}");
            }
            drop(runtime);
            let stats = handle.stats();
            assert_settled(&stats);
            let dropped = stats.dropped.by(DropReason::Shutdown);
            assert_eq!((stats.delivered, dropped), (2, 1 - left), "{case}");
            assert_eq!(stats.spooled, left, "{case}");
            let on_disk = directory.events();
            let on_disk: Vec<_> = on_disk.iter().map(|e| &e["event"]).collect();
            assert_eq!(on_disk, vec!["b"; left as usize], "{case}");
        }
    }
}
