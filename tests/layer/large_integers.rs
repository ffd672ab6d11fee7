//! Integers that PostHog would round are text, wherever they stand.

use crate::layers::one;
use serde_json::{Value, json};
use tracing::info;
use tracing_posthog::Event;
use tracing_posthog::testing::{CapturedEvents, RecordedEvent};

const EXACT: i64 = 1 << 53;

fn by_hand(event: Event) -> RecordedEvent {
    let captured = CapturedEvents::new();
    captured.handle().capture(event);
    captured.events().remove(0)
}

#[test]
fn integers_up_to_two_to_the_53_are_numbers_and_those_beyond_are_text() {
    let event = one(|| {
        info!(
            posthog.event = "x",
            posthog.distinct_id = "ada",
            last = EXACT,
            first = -EXACT,
            above = EXACT + 1,
            below = -EXACT - 1,
            unsigned = u64::MAX,
            least = i64::MIN,
            id = 987_654_321_012_345_678_u64,
            wide = u128::MAX,
            half = 0.5,
            float = 9_007_199_254_740_994.0,
            posthog.set.id = EXACT + 1,
            posthog.set_once.id = EXACT,
        );
    });
    let p = &event.properties;
    assert_eq!((&p["last"], &p["first"]), (&json!(EXACT), &json!(-EXACT)));
    assert_eq!(p["above"], "9007199254740993");
    assert_eq!(p["below"], "-9007199254740993");
    assert_eq!(p["unsigned"], u64::MAX.to_string());
    assert_eq!(p["least"], i64::MIN.to_string());
    assert_eq!(p["id"], "987654321012345678");
    assert_eq!(p["wide"], u128::MAX.to_string());
    assert_eq!(
        (&p["half"], &p["float"]),
        (&json!(0.5), &json!(9_007_199_254_740_994.0))
    );
    assert_eq!(p["$set"]["id"], "9007199254740993");
    assert_eq!(p["$set_once"]["id"], EXACT);
}

fn nested() -> Value {
    json!({
        "id": 9_007_199_254_740_993_i64, "ids": [EXACT, -9_007_199_254_740_993_i64, u64::MAX],
        "text": "9007199254740993", "quoted": "a \"9007199254740993\" \\", "float": 1e300,
        "9007199254740993": {"deep": [[i64::MIN]]}, "none": null,
    })
}

fn exact() -> Value {
    json!({
        "id": "9007199254740993", "ids": [EXACT, "-9007199254740993", u64::MAX.to_string()],
        "text": "9007199254740993", "quoted": "a \"9007199254740993\" \\", "float": 1e300,
        "9007199254740993": {"deep": [[i64::MIN.to_string()]]}, "none": null,
    })
}

#[test]
fn so_they_are_within_lists_and_objects() {
    let event = by_hand(
        Event::new("x")
            .distinct_id("ada")
            .property("p", nested())
            .set("s", nested()),
    );
    assert_eq!(event.properties["p"], exact());
    assert_eq!(event.properties["$set"]["s"], exact());
    let event = by_hand(Event::group_identify("company", "acme").set("p", nested()));
    assert_eq!(event.properties["$group_set"]["p"], exact());
}

#[test]
fn and_in_an_object_of_properties_however_many_digits_they_have() {
    let text = r#"{"a":9007199254740993,"b":[123456789012345678901234567890,-1e2],"c":{"d":-99999999999999999999}}"#;
    let event = one(|| info!(posthog.event = "x", posthog.properties = text));
    let p = &event.properties;
    assert_eq!(p["a"], "9007199254740993");
    assert_eq!(p["b"], json!(["123456789012345678901234567890", -100.0]));
    assert_eq!(p["c"], json!({"d": "-99999999999999999999"}));
}

#[test]
fn ids_and_groups_are_text_as_ever() {
    let event = one(|| {
        info!(
            posthog.event = "x",
            posthog.distinct_id = u64::MAX,
            posthog.session_id = u64::MAX,
            posthog.group.company = i64::MIN
        );
    });
    let text = u64::MAX.to_string();
    assert_eq!(event.distinct_id, text);
    assert_eq!(event.properties["$session_id"], text);
    assert_eq!(event.properties["$groups"]["company"], i64::MIN.to_string());
}
