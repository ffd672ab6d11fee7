//! Whatever names and values an event has, PostHog takes it, and they arrive.

use crate::callsites::Held;
use crate::support::*;
use proptest::prelude::*;
use serde_json::{Map, Number, Value};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use tracing_posthog::testing::{CapturedEvents, PostHogServer, RecordedEvent};
use tracing_posthog::{
    CaptureHandle, CaptureProtocol, Event, LargeIntegers, PostHogLayer, SpanFields,
};
use tracing_subscriber::prelude::*;

/// Text with everything in it that has ever broken a JSON writer.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,30}",
        proptest::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter),
        proptest::sample::select(vec![
            "",
            " ",
            "\0",
            "\"",
            "\\",
            "\\u0000",
            "\\\"",
            "\u{7f}",
            "\u{2028}",
            "\u{feff}",
            "\r\n\t",
            "\u{1}\u{1f}",
            "</script>",
            "{{",
            "😀",
            "\u{10ffff}",
            "$set",
            "$lib",
            "$lib_version",
            "$os",
            "$is_server",
            "$groups",
            "$set_once",
            "$session_id",
            "$window_id",
            "$cookieless_mode",
            "$ignore_sent_at",
            "$product_tour_id",
            "$geoip_disable",
            "$process_person_profile",
            "distinct_id",
            "token",
            "uuid",
            "__proto__",
        ])
        .prop_map(str::to_owned),
    ]
}

/// Names: as text, without null characters, which are replaced and tested elsewhere.
fn name() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.replace('\0', "0"))
}

/// Doubles hold all integers up to it.
const EXACT: i64 = 1 << 53;

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (any::<i64>(), 0..64_u32).prop_map(|(n, shift)| Value::from(n >> shift)),
        (-2_i64..3, any::<bool>()).prop_map(|(n, below)| {
            let edge = if below { -EXACT } else { EXACT };
            Value::from(edge + n)
        }),
        // What JSON does not know is null.
        any::<f64>().prop_map(|n| Number::from_f64(n).map_or(Value::Null, Value::from)),
        proptest::sample::select(vec![f64::MIN_POSITIVE, f64::MAX, -0.0, 5e-324])
            .prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map(name(), inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn fields() -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::hash_map(name(), value(), 0..8)
        .prop_map(|fields| fields.into_iter().collect())
}

/// Whether PostHog would do anything with it. Of its own events about people and groups only this name comes.
fn is_taken(event: &Event) -> bool {
    let nobody = |id: &String| id.trim().is_empty();
    match event.name.as_str() {
        "$set" => {
            let personless = event.properties.get("$process_person_profile") == Some(&false.into());
            !personless && !event.distinct_id.as_ref().is_none_or(nobody)
        }
        name => !name.trim().is_empty(),
    }
}

/// Objects that are merged with what else an event says of the kind.
const OBJECTS: [&str; 3] = ["$groups", "$set", "$set_once"];

fn event() -> impl Strategy<Value = Event> {
    (
        text(),
        proptest::option::of(text()),
        fields(),
        proptest::collection::vec((proptest::sample::select(&OBJECTS[..]), fields()), 0..3),
        fields(),
        fields(),
        fields(),
    )
        .prop_map(|(name, id, properties, objects, groups, set, set_once)| {
            let mut event = Event::new(name);
            event.distinct_id = id;
            event.properties = properties;
            for (name, object) in objects {
                event.properties.insert(name.to_owned(), object.into());
            }
            event.groups = groups;
            event.set = set;
            event.set_once = set_once;
            event
        })
}

/// Whether a value arrived: null characters are replaced, and large integers may be text.
fn same(sent: &Value, arrived: &Value, large: LargeIntegers) -> bool {
    match (sent, arrived) {
        (Value::String(sent), Value::String(arrived)) => clean(sent) == *arrived,
        (Value::Array(sent), Value::Array(arrived)) => {
            sent.len() == arrived.len() && sent.iter().zip(arrived).all(|(s, a)| same(s, a, large))
        }
        (Value::Object(sent), Value::Object(arrived)) => {
            let arrives = |(key, value)| arrived.get(key).is_some_and(|a| same(value, a, large));
            sent.len() == arrived.len() && sent.iter().all(arrives)
        }
        (Value::Number(n), arrived) if large == LargeIntegers::Text && is_large(n) => {
            *arrived == n.to_string()
        }
        (sent, arrived) => sent == arrived,
    }
}

fn is_large(n: &Number) -> bool {
    let size = n.as_i64().map(i64::unsigned_abs).or(n.as_u64());
    size.is_some_and(|size| size > EXACT as u64)
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[track_caller]
fn assert_same(
    sent: &Value,
    arrived: Option<&Value>,
    large: LargeIntegers,
) -> Result<(), TestCaseError> {
    prop_assert!(
        arrived.is_some_and(|arrived| same(sent, arrived, large)),
        "{} became {:?}",
        sent,
        arrived
    );
    Ok(())
}

/// Properties that the library speaks for itself, or that stand elsewhere in an event.
fn is_reserved(name: &str) -> bool {
    matches!(
        name,
        "$lib" | "$lib_version" | "$set" | "$set_once" | "$groups" | "$process_person_profile"
    )
}

/// The field of the grammar that sets this property; where both are given, it wins.
fn field_of_grammar(name: &str) -> Option<&'static str> {
    match name {
        "$session_id" => Some("posthog.session_id"),
        "$geoip_disable" => Some("posthog.geoip_disable"),
        _ => None,
    }
}

/// Names of fields that become no property of that name, or not always.
fn is_special(name: &str) -> bool {
    is_reserved(name) || name.contains('\0') || name == "message" || name.starts_with("log.")
}

/// What v1 has a place of its own for, and whether a value is of the type it has there.
fn lifted_by_v1(name: &str) -> Option<fn(&Value) -> bool> {
    match name {
        "$session_id" | "$window_id" | "$product_tour_id" => {
            Some(|value| value.as_str().is_some_and(|text| !text.trim().is_empty()))
        }
        "$cookieless_mode" | "$ignore_sent_at" | "$process_person_profile" => {
            Some(Value::is_boolean)
        }
        _ => None,
    }
}

/// A group's key is text, whatever it was made of.
fn group_key(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => clean(text),
        Value::Number(n) if n.is_f64() => n.as_f64().unwrap().to_string(),
        other => other.to_string(),
    }
}

/// One server and actor for all cases: starting them is dearer than a case.
struct Road {
    protocol: CaptureProtocol,
    large: LargeIntegers,
    server: PostHogServer,
    posthog: CaptureHandle,
}

static ROADS: LazyLock<Mutex<[Road; 3]>> = LazyLock::new(|| {
    Mutex::new([
        Road::by(CaptureProtocol::V0, LargeIntegers::Text),
        Road::by(CaptureProtocol::V1, LargeIntegers::Text),
        Road::by(CaptureProtocol::V0, LargeIntegers::Number),
    ])
});

impl Road {
    fn by(protocol: CaptureProtocol, large: LargeIntegers) -> Self {
        let server = server();
        let posthog = capture_to(&server).flush_interval(LONG).protocol(protocol);
        let posthog = posthog.large_integers(large);
        Self {
            protocol,
            large,
            posthog: posthog.start().unwrap(),
            server,
        }
    }

    fn assert_property(
        &self,
        name: &str,
        sent: &Value,
        arrived: &RecordedEvent,
    ) -> Result<(), TestCaseError> {
        let arrived = arrived.property(name);
        let lifted = lifted_by_v1(name).filter(|_| self.protocol == CaptureProtocol::V1);
        match lifted {
            // As the right type, or not at all.
            Some(fits) if !fits(sent) => prop_assert!(arrived.is_none_or(fits), "{arrived:?}"),
            _ => assert_same(sent, arrived, self.large)?,
        }
        Ok(())
    }

    fn assert_arrived(&self, sent: &Event, arrived: &RecordedEvent) -> Result<(), TestCaseError> {
        prop_assert_eq!(&arrived.event, &clean(&sent.name));
        if let Some(id) = &sent.distinct_id
            && !id.trim().is_empty()
        {
            // PostHog trims it by v1.
            let id = clean(id);
            let id = match self.protocol {
                CaptureProtocol::V1 => id.trim(),
                _ => &id,
            };
            prop_assert_eq!(&arrived.distinct_id, id);
        }
        for (name, value) in &sent.properties {
            if !is_reserved(name) {
                self.assert_property(name, value, arrived)?;
            }
        }
        for (name, own) in OBJECTS
            .iter()
            .zip([&sent.groups, &sent.set, &sent.set_once])
        {
            let given = sent.properties.get(*name);
            let of_groups = *name == "$groups";
            let says = |value: &Value| !of_groups || !group_key(value).trim().is_empty();
            let object = given.and_then(Value::as_object).into_iter().flatten();
            let mut wanted = Map::new();
            for (key, value) in object.chain(own).filter(|(_, value)| says(value)) {
                let value = match of_groups {
                    true => group_key(value).into(),
                    false => value.clone(),
                };
                wanted.insert(key.clone(), value);
            }
            match (arrived.properties.get(*name), given) {
                (None, None | Some(Value::Object(_))) => prop_assert_eq!(wanted.len(), 0),
                (arrived, Some(other)) if wanted.is_empty() && !other.is_object() => {
                    assert_same(other, arrived, self.large)?;
                }
                (arrived, _) => assert_same(&wanted.into(), arrived, self.large)?,
            }
        }
        Ok(())
    }

    fn take(&self, events: &[Event]) -> Result<(), TestCaseError> {
        self.server.clear();
        for event in events {
            self.posthog.capture(event.clone());
        }
        let report = self.posthog.flush_blocking(LONG);
        let taken: Vec<_> = events.iter().filter(|e| is_taken(e)).collect();
        prop_assert_eq!(
            report.delivered,
            taken.len() as u64,
            "{} {:?}",
            report,
            self.server
        );
        prop_assert_eq!(self.server.duplicate_keys_seen(), 0);
        let arrived = self.server.events();
        prop_assert_eq!(arrived.len(), taken.len());
        for (sent, arrived) in taken.into_iter().zip(&arrived) {
            self.assert_arrived(sent, arrived)?;
        }
        Ok(())
    }

    fn take_fields(&self, made: &[(String, Held)]) -> Result<(), TestCaseError> {
        self.server.clear();
        let dropped = self.posthog.stats().dropped.total();
        let layer = PostHogLayer::new(self.posthog.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || crate::callsites::emit(made));
        let report = self.posthog.flush_blocking(LONG);
        prop_assert_eq!(self.server.duplicate_keys_seen(), 0);
        // A second name may be an empty one.
        let renamed = made.iter().any(|(name, _)| name == "posthog.event");
        let dropped = self.posthog.stats().dropped.total() - dropped;
        prop_assert_eq!(report.delivered + dropped, 1);
        prop_assert!(
            renamed || dropped == 0,
            "{} {:?}",
            self.posthog.stats(),
            self.server
        );
        let arrived = self.server.events();
        prop_assert_eq!(arrived.len() as u64, 1 - dropped);
        let Some(arrived) = arrived.first() else {
            return Ok(());
        };
        // Fields of one name, and what `posthog.properties` brings, are told apart elsewhere.
        let mut names: HashMap<&str, u32> = HashMap::new();
        for (name, _) in made {
            *names.entry(name).or_default() += 1;
        }
        for (name, held) in made {
            if name.starts_with("posthog.") {
                prop_assert!(arrived.property(name).is_none(), "{name} is no property");
            } else if let Some(wanted) = becomes(held)
                && names[name.as_str()] == 1
                && !names.contains_key("posthog.properties")
                && field_of_grammar(name).is_none_or(|field| !names.contains_key(field))
                && !is_special(name)
            {
                self.assert_property(&clean(name), &wanted, arrived)?;
            }
        }
        Ok(())
    }
}

/// Names of fields: of the grammar, almost of it, and any.
fn field_name() -> impl Strategy<Value = String> {
    let known = proptest::sample::select(vec![
        "distinct_id",
        "session_id",
        "timestamp",
        "uuid",
        "process_person_profile",
        "geoip_disable",
        "properties",
        "group.company",
        "group.",
        "set.plan",
        "set_once.plan",
        "set_once.",
        "event",
    ]);
    prop_oneof![
        3 => text(),
        3 => known.prop_map(|name| format!("posthog.{name}")),
        1 => text().prop_map(|name| format!("posthog.{name}")),
        1 => text().prop_map(|name| format!("posthog.set.{name}")),
        1 => text().prop_map(|name| format!("posthog.group.{name}")),
        1 => Just("message".to_owned()),
    ]
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        any::<bool>().prop_map(Held::Bool),
        any::<i64>().prop_map(Held::I64),
        any::<u64>().prop_map(Held::U64),
        any::<i128>().prop_map(Held::I128),
        any::<f64>().prop_map(Held::F64),
        text().prop_map(Held::Text),
        text().prop_map(Held::Debug),
        text().prop_map(Held::Display),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(Held::Bytes),
        fields().prop_map(|fields| Held::Text(Value::Object(fields).to_string())),
        Just(Held::Nothing),
    ]
}

/// What a plain field becomes, where that is as simple as it sounds.
fn becomes(held: &Held) -> Option<Value> {
    Some(match held {
        Held::Bool(v) => Value::from(*v),
        Held::I64(v) => Value::from(*v),
        Held::U64(v) => Value::from(*v),
        Held::F64(v) => Number::from_f64(*v).map_or(Value::Null, Value::from),
        Held::Text(v) | Held::Display(v) => Value::from(v.as_str()),
        Held::Debug(v) => Value::from(format!("{v:?}")),
        Held::I128(_) | Held::Bytes(_) | Held::Nothing => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_events_are_taken_by_posthog_with_every_key_once(events in proptest::collection::vec(event(), 1..6)) {
        for road in &*ROADS.lock().unwrap_or_else(PoisonError::into_inner) {
            road.take(&events)?;
        }
    }

    #[test]
    fn any_values_of_fields_arrive_typed(
        s in text(), i: i64, u: u64, wide: i128, f: f64, b: bool, id in text(), outer in text(),
    ) {
        let captured = CapturedEvents::new();
        let layer = PostHogLayer::builder(captured.handle()).span_fields(SpanFields::all()).build();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(
                "span", posthog.distinct_id = id, posthog.group.company = outer, outer, s = "hidden", late = tracing::field::Empty,
            );
            span.record("late", &*s);
            let _entered = span.enter();
            tracing::info!(posthog.event = "e", posthog.set.s = s, s, i, u, wide, f, b, shown = %s, debug = ?s);
        });
        let events = captured.take();
        prop_assert_eq!(events.len(), 1, "it is valid JSON");
        let p = &events[0].properties;
        let clean = |s: &str| Value::from(clean(s));
        prop_assert_eq!(&p["s"], &clean(&s));
        prop_assert_eq!(&p["late"], &clean(&s));
        prop_assert_eq!(&p["shown"], &clean(&s));
        prop_assert_eq!(&p["debug"], &clean(&format!("{s:?}")));
        prop_assert_eq!(&p["$set"]["s"], &clean(&s));
        prop_assert_eq!(&p["outer"], &clean(&outer));
        let text = LargeIntegers::Text;
        assert_same(&Value::from(i), p.get("i"), text)?;
        assert_same(&Value::from(u), p.get("u"), text)?;
        assert_same(&Number::from_f64(f).map_or(Value::Null, Value::from), p.get("f"), text)?;
        prop_assert_eq!(&p["b"], &Value::from(b));
        let wide_text = p["wide"].as_str().map_or_else(|| p["wide"].to_string(), str::to_owned);
        prop_assert_eq!(wide_text, wide.to_string());
        if id.trim().is_empty() {
            prop_assert_eq!(&p["$process_person_profile"], &Value::from(false));
        } else {
            prop_assert_eq!(clean(&id), Value::from(events[0].distinct_id.clone()));
        }
    }

    #[test]
    fn any_names_of_fields_are_taken_by_posthog_with_every_key_once(
        made in proptest::collection::vec((field_name(), held()), 0..crate::callsites::FIELDS),
    ) {
        for road in &*ROADS.lock().unwrap_or_else(PoisonError::into_inner) {
            road.take_fields(&made)?;
        }
    }

    #[test]
    fn any_object_in_one_field_becomes_properties(object in fields()) {
        let captured = CapturedEvents::new();
        let subscriber = tracing_subscriber::registry().with(captured.layer());
        let text = Value::Object(object.clone()).to_string();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(posthog.event = "e", posthog.distinct_id = "u", posthog.properties = text);
        });
        let events = captured.take();
        prop_assert_eq!(events.len(), 1, "it is valid JSON");
        for (name, value) in &object {
            if !is_reserved(name) {
                assert_same(value, events[0].property(name), LargeIntegers::Text)?;
            }
        }
    }
}
