//! What stands on the wire: the envelope, what every event gets, identity events, and hooks.

use crate::support::*;
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tracing_posthog::testing::{Answer, PostHogServer, RecordedEvent, RecordedRequest};
use tracing_posthog::{
    CaptureBuilder, CaptureHandle, Clock, Compression, Disposition, DropReason, Event, GeoIp,
    PostHogError, Stats,
};

/// What becomes of these events, with these settings.
fn sent(
    events: impl IntoIterator<Item = Event>,
    settings: impl FnOnce(CaptureBuilder) -> CaptureBuilder,
) -> (PostHogServer, Stats) {
    let server = server();
    let posthog = settings(capture_to(&server)).start().unwrap();
    for event in events {
        posthog.capture(event);
    }
    posthog.shutdown_blocking(LONG);
    assert_eq!(server.duplicate_keys_seen(), 0);
    (server, posthog.stats())
}

fn sent_one(event: Event) -> RecordedEvent {
    let (server, _) = sent([event], |b| b);
    server.events().pop().unwrap()
}

fn request_of(settings: impl FnOnce(CaptureBuilder) -> CaptureBuilder) -> RecordedRequest {
    let (server, _) = sent([paid()], settings);
    server.requests().pop().unwrap()
}

fn paid() -> Event {
    Event::new("invoice paid").distinct_id("cust-77")
}

fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

// The envelope.

/// Panics again when what it threw is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("in Drop")
    }
}

#[test]
fn hooks_that_throw_what_panics_when_dropped_end_nothing() {
    let server = server();
    let posthog = capture_to(&server)
        .before_send(|event| match event.name.as_str() {
            "drop" => std::panic::panic_any(Bomb),
            _ => Some(event),
        })
        .on_error(|_| std::panic::panic_any(Bomb))
        .start()
        .unwrap();
    for name in ["drop", "keep"] {
        posthog.capture(Event::new(name));
        assert_eq!(posthog.flush_blocking(LONG).pending, 0);
    }
    assert_eq!(names(&server.events()), ["keep"]);
    let stats = posthog.stats();
    assert_eq!(stats.dropped.by(DropReason::BeforeSend), 1);
    assert_settled(&stats);
}

#[test]
fn the_body_has_the_shape_that_posthog_reads() {
    let request = request_of(|b| b);
    assert_eq!((&*request.method, &*request.path), ("POST", "/batch/"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let body = request.json().unwrap();
    assert_eq!(keys(&body), ["api_key", "batch", "sent_at"]);
    assert_eq!(body["api_key"], PROJECT_KEY);
    let [event] = &batch(&request)[..] else {
        panic!("one event")
    };
    let fields = ["distinct_id", "event", "properties", "timestamp", "uuid"];
    assert_eq!(keys(event), fields);
    assert_eq!(event["event"], "invoice paid");
    assert_eq!(event["distinct_id"], "cust-77");
}

#[test]
fn bodies_are_gzip_unless_told_otherwise() {
    let packed = request_of(|b| b.default_property("text", "x".repeat(5_000)));
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.raw_body_len < 1_000 && packed.body.len() > 5_000);
    let plain = request_of(|b| b.compression(Compression::Off));
    assert_eq!(plain.header("content-encoding"), None);
    assert_eq!(plain.raw_body_len, plain.body.len());
}

#[test]
fn a_historical_migration_says_so() {
    let body = request_of(|b| b.historical_migration(true)).json().unwrap();
    assert_eq!(body["historical_migration"], true);
    let live = request_of(|b| b).json().unwrap();
    assert!(live.get("historical_migration").is_none());
}

fn looks_like_a_stamp(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    shape == "0000-00-00T00:00:00.000Z"
}

#[test]
fn times_are_utc_with_milliseconds() {
    let event = sent_one(paid());
    assert!(looks_like_a_stamp(&event.timestamp.unwrap()));
    assert!(looks_like_a_stamp(&event.sent_at.unwrap()));
}

#[test]
fn time_and_uuid_can_be_given() {
    let uuid: uuid::Uuid = "0195f0aa-1111-7222-8333-444455556666".parse().unwrap();
    let at = UNIX_EPOCH + Duration::from_millis(1_735_787_045_678);
    let event = sent_one(paid().timestamp(at).uuid(uuid));
    assert_eq!(event.timestamp.unwrap(), "2025-01-02T03:04:05.678Z");
    assert_eq!(event.uuid.unwrap(), uuid.to_string());
}

#[test]
fn the_time_comes_from_the_given_clock_and_may_go_backwards() {
    struct Backwards(Mutex<u64>);
    impl Clock for Backwards {
        fn now(&self) -> SystemTime {
            let mut seconds = self.0.lock().unwrap();
            *seconds -= 1;
            UNIX_EPOCH + Duration::from_secs(*seconds)
        }
    }
    let clock = Backwards(Mutex::new(1_735_787_048));
    let (server, _) = sent([paid(), paid()], |b| b.clock(clock));
    let stamps: Vec<_> = server
        .events()
        .into_iter()
        .map(|e| e.timestamp.unwrap())
        .collect();
    assert_eq!(
        stamps,
        ["2025-01-02T03:04:07.000Z", "2025-01-02T03:04:06.000Z"]
    );
}

/// As of hooks: it would ask itself for the time of what it captures.
#[test]
fn what_a_clock_captures_is_ignored() {
    struct Captures(Arc<OnceLock<CaptureHandle>>, AtomicU64);
    impl Clock for Captures {
        fn now(&self) -> SystemTime {
            let asked = self.1.fetch_add(1, SeqCst);
            // Not without end here.
            if let Some(posthog) = self.0.get().filter(|_| asked < 10) {
                posthog.capture(Event::new("clock"));
                assert!(posthog.try_capture(&Event::new("clock")).is_err());
            }
            UNIX_EPOCH + Duration::from_secs(1_735_787_047)
        }
    }
    let own = Arc::<OnceLock<CaptureHandle>>::default();
    let server = server();
    let clock = Captures(own.clone(), AtomicU64::new(0));
    let posthog = capture_to(&server).clock(clock).start().unwrap();
    own.set(posthog.clone()).unwrap();
    posthog.capture(paid());
    assert!(posthog.flush_blocking(LONG).is_complete());
    let events = server.events();
    assert_eq!(names(&events), ["invoice paid"]);
    let stamp = events[0].timestamp.as_deref();
    assert_eq!(stamp, Some("2025-01-02T03:04:07.000Z"), "its own time");
}

#[test]
fn each_event_has_a_uuid_of_its_own_of_version_7() {
    let (server, _) = sent((0..300).map(|_| paid()), |b| b);
    let mut uuids: Vec<uuid::Uuid> = server
        .events()
        .iter()
        .map(|e| e.uuid.as_ref().unwrap().parse().unwrap())
        .collect();
    assert!(uuids.iter().all(|u| u.get_version_num() == 7));
    uuids.sort_unstable();
    uuids.dedup();
    assert_eq!(uuids.len(), 300);
}

// What every event gets.

#[test]
fn every_event_says_which_library_and_machine_it_comes_from() {
    let p = sent_one(paid()).properties;
    assert_eq!(p["$lib"], "tracing-posthog");
    assert_eq!(p["$lib_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(p["$is_server"], true);
    assert_eq!(p["$geoip_disable"], true);
    assert!(p["$os"].is_string());
}

#[test]
fn the_place_look_up_is_off_unless_asked_for() {
    let (server, _) = sent([paid()], |b| b.geoip(GeoIp::On));
    assert!(!server.events()[0].properties.contains_key("$geoip_disable"));
    let own = sent_one(paid().property("$geoip_disable", false));
    assert_eq!(own.properties["$geoip_disable"], false);
}

#[test]
fn default_properties_come_with_every_event_that_has_none_of_its_own() {
    let events = [paid(), paid().property("plan", "free")];
    let (server, _) = sent(events, |b| {
        b.default_property("plan", "pro")
            .default_property("build", json!({"n": [1, 2]}))
            .default_property("$os", "Plan 9")
    });
    let events = server.events();
    assert_eq!(events[0].properties["plan"], "pro");
    assert_eq!(events[1].properties["plan"], "free");
    for event in events {
        assert_eq!(event.properties["build"], json!({"n": [1, 2]}));
        assert_eq!(event.properties["$os"], "Plan 9");
    }
}

#[test]
fn nobody_speaks_for_the_library() {
    let p = sent_one(paid().property("$lib", "other").property("$os", "own")).properties;
    assert_eq!(
        (&p["$lib"], &p["$os"]),
        (&json!("tracing-posthog"), &json!("own"))
    );
}

#[test]
fn values_arrive_as_they_are() {
    let values = json!({
        "int": -7, "big": 1_u64 << 53, "float": 12.5, "text": "ä\"\\\n\u{1}😀", "yes": true,
        "nothing": null, "list": [1, "two", [3.5]], "nested": {"a": {"b": "c"}}, "": "empty name",
        "2025-01-02T08:34:05+05:30": "2025-01-02T08:34:05+05:30",
    });
    let event = sent_one(paid().properties(&values).unwrap());
    for (key, value) in values.as_object().unwrap() {
        assert_eq!(&event.properties[key], value, "{key}");
    }
}

// People and groups.

#[test]
fn groups_and_person_properties_stand_where_posthog_looks_for_them() {
    let event = paid()
        .group("company", "acme")
        .group("project", "p1")
        .set("plan", "pro")
        .set_once("first_plan", "free")
        .session_id("s-1");
    let p = sent_one(event).properties;
    assert_eq!(p["$groups"], json!({"company": "acme", "project": "p1"}));
    assert_eq!(p["$set"], json!({"plan": "pro"}));
    assert_eq!(p["$set_once"], json!({"first_plan": "free"}));
    assert_eq!(p["$session_id"], "s-1");
    assert!(!p.contains_key("$process_person_profile"));
}

#[test]
fn an_event_of_nobody_is_personless_and_its_id_random() {
    let events = [
        Event::new("a"),
        Event::new("b"),
        Event::new("c").distinct_id(" "),
    ];
    let (server, _) = sent(events, |b| b);
    let events = server.events();
    for event in &events {
        assert_eq!(event.properties["$process_person_profile"], false);
        let id: uuid::Uuid = event.distinct_id.parse().unwrap();
        assert_ne!(Some(id.to_string()), event.uuid);
    }
    assert_ne!(events[0].distinct_id, events[1].distinct_id);
}

#[test]
fn identify_says_who_somebody_is() {
    let event = sent_one(
        Event::identify("user_1")
            .set("plan", "pro")
            .set_once("a", 1),
    );
    assert_eq!(
        (&*event.event, &*event.distinct_id),
        ("$identify", "user_1")
    );
    assert_eq!(event.properties["$set"], json!({"plan": "pro"}));
    assert_eq!(event.properties["$set_once"], json!({"a": 1}));
    assert!(!event.properties.contains_key("$anon_distinct_id"));
}

#[test]
fn alias_names_both_ids() {
    let event = sent_one(Event::alias("user_1", "old_1"));
    assert_eq!(
        (&*event.event, &*event.distinct_id),
        ("$create_alias", "user_1")
    );
    assert_eq!(event.properties["alias"], "old_1");
    assert_eq!(event.properties["distinct_id"], "user_1");
}

#[test]
fn group_identify_says_what_a_group_is() {
    let event = sent_one(Event::group_identify("company", "acme").set("seats", 40));
    assert_eq!(
        (&*event.event, &*event.distinct_id),
        ("$groupidentify", "$company_acme")
    );
    assert_eq!(event.properties["$group_type"], "company");
    assert_eq!(event.properties["$group_key"], "acme");
    assert_eq!(event.properties["$group_set"], json!({"seats": 40}));
    assert!(!event.properties.contains_key("$set"));
    let bare = sent_one(Event::group_identify("company", "acme").distinct_id("user_1"));
    assert_eq!(bare.distinct_id, "user_1");
    assert_eq!(bare.properties["$group_set"], json!({}));
}

#[test]
fn person_properties_change_nothing_else() {
    let event = sent_one(Event::person_properties("user_1").set("plan", "pro"));
    assert_eq!((&*event.event, &*event.distinct_id), ("$set", "user_1"));
    assert_eq!(event.properties["$set"], json!({"plan": "pro"}));
}

#[test]
fn identity_events_that_say_nothing_are_dropped_and_counted() {
    let events = [
        Event::alias("", "old"),
        Event::alias("user", " "),
        Event::group_identify("", "acme"),
        Event::group_identify("company", ""),
        Event::identify(" ").set("a", 1),
        Event::person_properties("").set("a", 1),
        Event::new("$merge_dangerously").property("alias", "old"),
    ];
    let (server, stats) = sent(events, |b| b);
    assert_eq!(server.request_count(), 0);
    assert_eq!(stats.dropped.by(DropReason::Invalid), 7);
}

#[test]
fn a_hook_that_takes_the_id_of_an_identity_event_costs_that_event() {
    let events = [Event::identify("ada"), Event::alias("ada", "old"), paid()];
    let (server, stats) = sent(events, |b| {
        b.before_send(|mut event| {
            event.distinct_id = None;
            Some(event)
        })
    });
    assert_eq!(names(&server.events()), ["invoice paid"]);
    assert_eq!(stats.dropped.by(DropReason::Invalid), 2);
}

#[test]
fn a_default_of_no_profiles_does_not_stop_events_about_profiles() {
    let events = [paid(), Event::identify("ada"), Event::alias("ada", "old")];
    let (server, _) = sent(events, |b| {
        b.default_property("$process_person_profile", false)
    });
    let said: Vec<_> = server
        .events()
        .iter()
        .map(|e| e.properties.get("$process_person_profile").cloned())
        .collect();
    let no = Some(json!(false));
    assert_eq!(said, [no, None, None]);
}

// Hooks.

#[test]
fn before_send_hooks_change_events_one_after_the_other() {
    let (server, _) = sent([paid().property("email", "ada@example.com")], |b| {
        b.before_send(|mut event| {
            event.properties.remove("email");
            event.properties.insert("first".into(), 1.into());
            Some(event)
        })
        .before_send(|mut event| {
            assert!(event.properties.contains_key("first"));
            event.name.push_str(" twice");
            event.distinct_id = Some("somebody".into());
            Some(event)
        })
    });
    let event = &server.events()[0];
    assert_eq!(
        (&*event.event, &*event.distinct_id),
        ("invoice paid twice", "somebody")
    );
    assert!(!event.properties.contains_key("email"));
    assert_eq!(event.properties["first"], 1);
    assert_eq!(event.properties["$lib"], "tracing-posthog");
}

#[test]
fn a_hook_sees_the_event_as_it_will_be_sent() {
    let seen: Arc<Mutex<Option<Event>>> = Arc::default();
    let keep = seen.clone();
    let event = paid().group("company", "acme").set("a", 1).property("n", 3);
    let (server, _) = sent([event], move |b| {
        b.default_property("plan", "pro").before_send(move |event| {
            *keep.lock().unwrap() = Some(event.clone());
            Some(event)
        })
    });
    let seen = seen.lock().unwrap().take().unwrap();
    let sent = &server.events()[0];
    assert_eq!(seen.uuid.unwrap().to_string(), *sent.uuid.as_ref().unwrap());
    assert_eq!(seen.distinct_id.as_deref(), Some("cust-77"));
    assert_eq!(
        (&seen.properties["plan"], &seen.properties["n"]),
        (&json!("pro"), &json!(3))
    );
    assert_eq!(
        seen.groups,
        Map::from_iter([("company".into(), json!("acme"))])
    );
    let stamp = jiff::Timestamp::try_from(seen.timestamp.unwrap()).unwrap();
    let sent: jiff::Timestamp = sent.timestamp.as_ref().unwrap().parse().unwrap();
    assert_eq!(stamp.as_millisecond(), sent.as_millisecond());
}

#[test]
fn a_hook_drops_events_and_a_panic_in_it_drops_them_too() {
    let events = ["keep", "drop", "panic", "keep"].map(Event::new);
    let second: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = second.clone();
    let (server, stats) = sent(events, |b| {
        b.before_send(|event| match event.name.as_str() {
            "drop" => None,
            "panic" => panic!("on purpose"),
            _ => Some(event),
        })
        .before_send(move |event| {
            seen.lock().unwrap().push(event.name.clone());
            Some(event)
        })
    });
    assert_eq!(*second.lock().unwrap(), ["keep", "keep"], "dropped for all");
    assert_eq!(names(&server.events()), ["keep", "keep"]);
    assert_eq!(stats.dropped.by(DropReason::BeforeSend), 2);
    assert_settled(&stats);
}

#[test]
fn a_default_property_that_a_hook_removed_stays_removed() {
    let (server, _) = sent([paid()], |b| {
        b.default_property("secret", "hunter2")
            .before_send(|mut event| {
                event.properties.remove("secret").unwrap();
                Some(event)
            })
    });
    assert!(!server.events()[0].properties.contains_key("secret"));
}

#[test]
fn a_hook_that_empties_the_name_costs_only_that_event() {
    let (server, stats) = sent(["good", "bad", "good"].map(Event::new), |b| {
        b.before_send(|mut event| {
            if event.name == "bad" {
                event.name.clear();
            }
            Some(event)
        })
    });
    assert_eq!(server.event_count(), 2);
    assert_eq!(stats.dropped.by(DropReason::Invalid), 1);
}

/// What an `on_error` hook heard: how many events, what became of them, the error's status and text.
type Heard = Arc<Mutex<Vec<(u64, Disposition, Option<u16>, String)>>>;

fn hearing(builder: CaptureBuilder) -> (CaptureBuilder, Heard) {
    let heard = Heard::default();
    let into = heard.clone();
    let builder = builder.on_error(move |e| {
        let status = e.error.and_then(PostHogError::status);
        let text = e.error.map(ToString::to_string).unwrap_or_default();
        into.lock()
            .unwrap()
            .push((e.events, e.disposition, status, text));
    });
    (builder, heard)
}

#[test]
fn on_error_hears_of_batches_that_are_kept_and_of_those_that_are_dropped() {
    let server = server();
    let client = client_of(&server).retry(quick().attempts(2));
    let (builder, heard) = hearing(capture_with(client).flush_interval(LONG));
    let posthog = builder.start().unwrap();
    server.answer_next_times(2, Answer::status(503));
    server.answer_next(Answer::status(401));
    for _ in 0..3 {
        posthog.capture(paid());
    }
    let kept = posthog.flush_blocking(LONG);
    assert_eq!((kept.dropped, kept.pending), (0, 3), "{kept}");
    let dropped = posthog.flush_blocking(LONG);
    assert_eq!((dropped.dropped, dropped.pending), (3, 0), "{dropped}");
    let heard = heard.lock().unwrap();
    let [kept, dropped] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert_eq!((kept.0, kept.1, kept.2), (3, Disposition::Kept, Some(503)));
    assert!(kept.3.contains("after 2 attempts"), "{}", kept.3);
    let rejected = Disposition::Dropped(DropReason::Rejected);
    assert_eq!((dropped.0, dropped.1, dropped.2), (3, rejected, Some(401)));
}

#[test]
fn on_error_hears_of_invalid_events_and_of_what_a_shutdown_left() {
    let server = server();
    server.answer_with(|_| Some(Answer::stall()));
    let (builder, heard) = hearing(capture_to(&server));
    let posthog = builder.start().unwrap();
    posthog.capture(Event::new(""));
    posthog.capture(paid());
    assert!(server.wait_for_requests(1, LONG));
    posthog.shutdown_blocking(ms(10));
    wait_for_end(&posthog);
    let heard = heard.lock().unwrap();
    let fates: Vec<_> = heard.iter().map(|h| (h.0, h.1)).collect();
    let dropped = |reason| (1, Disposition::Dropped(reason));
    assert_eq!(
        fates,
        [dropped(DropReason::Invalid), dropped(DropReason::Shutdown)]
    );
}

#[test]
fn a_panic_in_on_error_is_its_own_affair() {
    let (server, stats) = sent([Event::new(""), paid()], |b| {
        b.on_error(|_| panic!("on purpose"))
    });
    assert_eq!(server.event_count(), 1);
    assert_settled(&stats);
}

#[test]
fn what_a_hook_captures_is_ignored() {
    let own: Arc<std::sync::OnceLock<tracing_posthog::CaptureHandle>> = Arc::default();
    let inside = own.clone();
    let server = server();
    let posthog = capture_to(&server)
        .before_send(move |event| {
            inside.get()?.capture(Event::new("echo"));
            Some(event)
        })
        .start()
        .unwrap();
    own.set(posthog.clone()).unwrap();
    posthog.capture(paid());
    posthog.shutdown_blocking(LONG);
    assert_eq!(names(&server.events()), ["invoice paid"]);
    assert_eq!(posthog.stats().captured, 1);
}

#[test]
fn every_event_names_this_library_whatever_else_is_said() {
    for event in [paid(), paid().property("$current_url", "/pricing")] {
        let (server, _) = sent([event], |b| b.default_property("$lib", "another"));
        let events = server.events();
        assert_eq!(events[0].properties["$lib"], "tracing-posthog");
    }
}
