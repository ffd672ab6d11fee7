//! Fields become properties with their types, and nothing in them spoils the event.

use crate::layers::{Seen, captured, captured_with, one};
use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use tracing::field::Empty;
use tracing::{error, info, info_span, instrument};
use tracing_posthog::DropReason;
use tracing_posthog::testing::CapturedEvents;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;

#[test]
fn integers_of_every_width_are_numbers_as_far_as_posthog_reads_them_exactly() {
    let event = one(|| {
        info!(
            posthog.event = "numbers",
            u8 = u8::MAX,
            u16 = u16::MAX,
            u32 = u32::MAX,
            u64 = 1_u64 << 53,
            usize = usize::MAX >> 11,
            i8 = i8::MIN,
            i16 = i16::MIN,
            i32 = i32::MIN,
            i64 = -1_i64 << 53,
            isize = isize::MIN >> 11,
            small_i128 = -5_i128,
            small_u128 = 5_u128,
            wide_u128 = 1_u128 << 53,
            wide_i128 = -1_i128 << 53,
        );
    });
    let p = &event.properties;
    assert_eq!(p["u8"], u8::MAX);
    assert_eq!(p["u16"], u16::MAX);
    assert_eq!(p["u32"], u32::MAX);
    assert_eq!(p["u64"], 1_u64 << 53);
    assert_eq!(p["usize"], usize::MAX >> 11);
    assert_eq!(p["i8"], i8::MIN);
    assert_eq!(p["i16"], i16::MIN);
    assert_eq!(p["i32"], i32::MIN);
    assert_eq!(p["i64"], -1_i64 << 53);
    assert_eq!(p["isize"], isize::MIN >> 11);
    assert_eq!(p["small_i128"], -5);
    assert_eq!(p["small_u128"], 5);
    assert_eq!(p["wide_u128"], 1_u64 << 53);
    assert_eq!(p["wide_i128"], -1_i64 << 53);
}

#[test]
fn integers_that_fit_in_no_64_bits_are_text() {
    let event = one(|| info!(posthog.event = "huge", u = u128::MAX, i = i128::MIN));
    assert_eq!(event.properties["u"], u128::MAX.to_string());
    assert_eq!(event.properties["i"], i128::MIN.to_string());
}

#[test]
fn floats_bools_and_text_keep_their_types() {
    let event = one(|| {
        let owned = String::from("owned");
        info!(
            posthog.event = "types",
            f64 = 12.5, f32 = 0.5_f32, yes = true, no = false, text = "text", owned,
            letter = %'x', option = Some(3), boxed = Box::new(4_u8), bytes = &[0xde_u8, 0xad][..],
            wrapped = std::num::Wrapping(7), nonzero = std::num::NonZeroU32::MIN,
        );
    });
    let p = &event.properties;
    assert_eq!(p["f64"], 12.5);
    assert_eq!(p["f32"], 0.5);
    assert_eq!((&p["yes"], &p["no"]), (&json!(true), &json!(false)));
    assert_eq!((&p["text"], &p["owned"]), (&json!("text"), &json!("owned")));
    assert_eq!(p["letter"], "x");
    assert_eq!((&p["option"], &p["boxed"]), (&json!(3), &json!(4)));
    assert_eq!(p["bytes"], "dead");
    assert_eq!((&p["wrapped"], &p["nonzero"]), (&json!(7), &json!(1)));
}

#[test]
fn what_is_no_number_is_null() {
    let event = one(|| {
        info!(
            posthog.event = "none",
            nan = f64::NAN,
            inf = f64::INFINITY,
            neg = f64::NEG_INFINITY,
            n = 1,
        );
    });
    for name in ["nan", "inf", "neg"] {
        assert_eq!(event.properties[name], Value::Null, "{name}");
    }
    assert_eq!(event.properties["n"], 1);
}

#[test]
fn what_is_not_there_is_left_out() {
    let event = one(|| {
        info!(
            posthog.event = "x",
            none = None::<u32>,
            empty = Empty,
            some = 1
        )
    });
    assert!(!event.properties.contains_key("none"));
    assert!(!event.properties.contains_key("empty"));
    assert_eq!(event.properties["some"], 1);
}

#[test]
fn of_a_field_given_twice_the_last_counts() {
    let event = one(|| {
        info!(
            posthog.event = "first",
            posthog.event = "last",
            a = 1,
            a = 2
        )
    });
    assert_eq!(event.event, "last");
    assert_eq!(event.properties["a"], 2);
}

#[test]
fn properties_named_like_parts_of_the_envelope_stay_properties() {
    let event = one(|| {
        info!(
            posthog.event = "name",
            posthog.distinct_id = "ada",
            name = 1,
            event = 2,
            distinct_id = 3,
            token = 4,
            api_key = 5,
            uuid = 6,
            timestamp = 7,
            properties = 8,
            "$lib" = "mine",
            "$lib_version" = "mine",
        );
    });
    assert_eq!(
        (event.event.as_str(), event.distinct_id.as_str()),
        ("name", "ada")
    );
    for (n, name) in [
        "name",
        "event",
        "distinct_id",
        "token",
        "api_key",
        "uuid",
        "timestamp",
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(event.properties[*name], n + 1, "{name}");
    }
    assert_eq!(event.properties["properties"], 8);
    assert_ne!(event.uuid.unwrap(), "6");
    assert_ne!(event.timestamp.unwrap(), "7");
    assert_eq!(event.properties["$lib"], "tracing-posthog");
    assert_ne!(event.properties["$lib_version"], "mine");
}

#[test]
fn hostile_text_is_valid_json() {
    let text = "\"quotes\" \\ \n\t\u{1} \u{1f600} \u{2028} </script>";
    let event = one(|| {
        info!(
            posthog.event = text,
            posthog.distinct_id = text,
            text,
            nul = "a\0b"
        )
    });
    assert_eq!(event.event, text);
    assert_eq!(event.distinct_id, text);
    assert_eq!(event.properties["text"], text);
    assert_eq!(
        event.properties["nul"], "a\u{fffd}b",
        "PostHog's database takes no null"
    );
}

#[derive(Debug)]
struct Link(&'static str, Option<Box<Link>>);

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for Link {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_deref().map(|link| link as _)
    }
}

fn chain() -> Link {
    let link = |text, source| Link(text, Some(Box::new(source)));
    link("top", link("first", link("second", Link("third", None))))
}

#[test]
fn errors_come_with_their_sources() {
    let event = one(|| {
        let error = chain();
        info!(posthog.event = "failed", error = &error as &dyn Error, text = %error);
    });
    assert_eq!(event.properties["error"], "top");
    assert_eq!(
        event.properties["error.chain"],
        json!(["first", "second", "third"])
    );
    assert_eq!(event.properties["text"], "top");
    assert!(!event.properties.contains_key("text.chain"));
}

#[derive(Debug)]
struct Ring;

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ring")
    }
}

impl Error for Ring {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&Ring)
    }
}

#[test]
fn an_error_that_is_its_own_source_ends() {
    let event = one(|| info!(posthog.event = "failed", error = &Ring as &dyn Error));
    assert_eq!(event.properties["error"], "ring");
    assert_eq!(
        event.properties["error.chain"].as_array().unwrap().len(),
        32
    );
}

#[instrument(err, fields(posthog.event = "tried"))]
fn fails() -> Result<(), Link> {
    Err(chain())
}

#[test]
fn an_instrumented_functions_error_is_a_log_line_and_its_span_an_event() {
    let events = captured(|| drop(fails()));
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].event, "tried");
}

#[test]
fn names_may_be_any_text_and_numbers() {
    let long = "x".repeat(300);
    let events = captured(|| {
        info!(posthog.event = "text");
        info!(posthog.event = %"displayed");
        info!(posthog.event = ?"debugged");
        info!(posthog.event = 42);
        info!(posthog.event = true);
        info!(posthog.event = long);
    });
    let names: Vec<_> = events.into_iter().map(|e| e.event).collect();
    assert_eq!(
        names,
        ["text", "displayed", "\"debugged\"", "42", "true", &long]
    );
}

#[test]
fn events_with_an_empty_name_are_dropped_and_counted() {
    let captured = CapturedEvents::new();
    tracing::subscriber::with_default(registry().with(captured.layer()), || {
        info!(posthog.event = "good");
        info!(posthog.event = "");
        info!(posthog.event = " \t\n");
        info!(posthog.event = %"");
        info!(posthog.event = Empty);
        info!(posthog.event = None::<&str>);
        info!(posthog.event = "good");
    });
    assert_eq!(captured.events().len(), 2);
    let stats = captured.handle().stats();
    assert_eq!(stats.dropped.by(DropReason::Invalid), 5);
    assert_eq!(stats.captured, 7);
}

#[test]
fn tracings_own_name_of_an_event_never_leaks() {
    let events = captured_with(
        |o| o.with_message(true).with_level(true),
        || {
            info!(posthog.event = "signup");
            error!(posthog.event = Empty);
        },
    );
    assert_eq!(events.len(), 1);
    let text = format!("{:?}", events[0]);
    assert!(!text.contains("fields.rs"), "{text}");
}

#[test]
fn dotted_names_stay_flat_and_do_not_conflict() {
    let event = one(|| info!(posthog.event = "x", a = 1, a.b = 2, a.b.c = 3));
    let p = &event.properties;
    assert_eq!(
        (&p["a"], &p["a.b"], &p["a.b.c"]),
        (&json!(1), &json!(2), &json!(3))
    );
}

#[test]
fn an_object_of_properties_is_merged_and_fields_of_their_own_beat_it() {
    let event = one(|| {
        let cart =
            json!({"items": [1, {"id": 2}], "total": 9.5, "plan": "object", "": 1}).to_string();
        info!(
            posthog.event = "paid",
            posthog.properties = cart,
            plan = "field"
        );
    });
    let p = &event.properties;
    assert_eq!(p["items"], json!([1, {"id": 2}]));
    assert_eq!((&p["total"], &p["plan"]), (&json!(9.5), &json!("field")));
}

#[test]
fn what_is_no_object_of_properties_is_ignored_and_said_once() {
    let (captured, seen) = (CapturedEvents::new(), Seen::default());
    let subscriber = registry().with(captured.layer()).with(seen.layer());
    tracing::subscriber::with_default(subscriber, || {
        for bad in ["{", "[1]", "3", "null", ""] {
            info!(posthog.event = "x", posthog.properties = bad, n = 1);
        }
        info!(posthog.event = "x", posthog.properties = 3, n = 1);
        let events = captured.events();
        assert_eq!(events.len(), 6);
        for event in events {
            assert_eq!(event.properties["n"], 1);
            assert!(!event.properties.contains_key("posthog.properties"));
        }
    });
    assert_eq!(
        seen.with("posthog.properties is not a JSON object").len(),
        1
    );
}

#[test]
fn deep_objects_are_cut_where_posthog_would_refuse_the_batch() {
    let deep = format!("{{\"deep\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    let event = one(|| info!(posthog.event = "x", posthog.properties = deep, n = 1));
    assert_eq!(event.properties["deep"], "[nested deeper than 64 levels]");
    assert_eq!(event.properties["n"], 1);
}

#[test]
fn an_event_that_is_too_large_is_dropped_and_counted_and_its_neighbours_are_not() {
    let captured = CapturedEvents::new();
    let huge = "x".repeat(1 << 20);
    tracing::subscriber::with_default(registry().with(captured.layer()), || {
        info!(posthog.event = "before");
        info!(posthog.event = "huge", huge);
        info!(posthog.event = "huge", debug = ?huge);
        info!(posthog.event = "escaped", text = "\u{1}".repeat(800 << 10));
        info!(posthog.event = "after");
    });
    let names: Vec<_> = captured.events().into_iter().map(|e| e.event).collect();
    assert_eq!(names, ["before", "after"]);
    assert_eq!(
        captured.handle().stats().dropped.by(DropReason::TooLarge),
        3
    );
}

#[test]
fn a_span_that_is_too_large_keeps_what_fits_and_spoils_nothing() {
    let limit = 64 << 10;
    for spare in 0..32 {
        let filler = "x".repeat(limit - spare);
        let event = captured_with(
            |o| o.span_fields(tracing_posthog::SpanFields::all()),
            || {
                let outer = info_span!("outer", posthog.distinct_id = "ada", outer = 1);
                let _outer = outer.enter();
                let text = format_args!("{}{}", 'x', 'y');
                let inner = info_span!("inner", posthog.session_id = "s", filler, text, n = 7);
                let _inner = inner.enter();
                info!(posthog.event = "x", own = 2);
            },
        )
        .remove(0);
        let p = &event.properties;
        assert_eq!(event.distinct_id, "ada", "{spare} bytes spare");
        assert_eq!((&p["own"], &p["outer"]), (&json!(2), &json!(1)), "{spare}");
        assert_eq!(p["$session_id"], "s", "{spare}");
        let known = ["own", "outer", "filler", "text", "n"];
        for (key, value) in p.iter().filter(|(key, _)| !key.starts_with('$')) {
            assert!(known.contains(&key.as_str()), "{spare}: {key}={value}");
            assert!(key != "text" || value == "xy", "{spare}: half a value");
        }
    }
}

#[test]
fn a_name_may_be_a_long_constant() {
    // Names of fields can be constants of any length.
    const LONG: &str = concat!(
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    );
    let event = one(|| info!(posthog.event = "x", { LONG } = 1));
    assert_eq!(event.properties[LONG], 1);
}

#[test]
fn a_field_beside_an_error_may_have_the_name_of_its_sources() {
    #[derive(Debug)]
    struct Outer(fmt::Error);
    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let outer = Outer(fmt::Error);
    let server = tracing_posthog::testing::PostHogServer::start().unwrap();
    let client = tracing_posthog::PostHogClient::builder()
        .project_api_key("phc_test")
        .host(server.url())
        .build()
        .unwrap();
    let handle = tracing_posthog::EventCaptureBackend::builder(client)
        .start()
        .unwrap();
    let layer = tracing_posthog::PostHogLayer::new(handle.clone());
    tracing::subscriber::with_default(registry().with(layer), || {
        info!(
            posthog.event = "e",
            err = &outer as &dyn Error,
            err.chain = 1
        );
    });
    handle.shutdown_blocking(std::time::Duration::from_secs(30));
    assert_eq!(server.duplicate_keys_seen(), 0);
    let p = &server.events()[0].properties;
    assert_eq!((&p["err"], &p["err.chain"]), (&json!("outer"), &json!(1)));
}
