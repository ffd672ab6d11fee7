//! `testing::Flags`: a test gets the flags that it asks for, and nobody else's.

use proptest::prelude::*;
use serde_json::json;
use tracing_posthog::testing::{CapturedEvents, Flags};
use tracing_posthog::{FeatureFlags, FlagValue, UnresolvedReason};

#[test]
fn each_flag_is_what_was_said_of_it() {
    let flags = Flags::new()
        .on("on")
        .off("off")
        .variant("variant", "b")
        .build();
    let user = flags.evaluate("user_42").locally();
    assert_eq!(user.flag("on"), Some(FlagValue::Bool(true)));
    assert_eq!(user.flag("off"), Some(FlagValue::Bool(false)));
    assert_eq!(user.flag("variant"), Some(FlagValue::Variant("b")));
    assert_eq!(user.flag("not mentioned"), None);
    assert!(user.is_enabled("on") && user.is_enabled("variant") && !user.is_enabled("off"));
    assert_eq!(
        (user.variant("on"), user.variant("variant")),
        (None, Some("b"))
    );
    assert_eq!(user.keys(), ["off", "on", "variant"]);
    assert_eq!(user.unresolved(), []);
}

#[tokio::test]
async fn it_makes_no_difference_how_the_snapshot_is_made() {
    let flags = FeatureFlags::from(Flags::new().on("a").unresolved("b"));
    flags.ready().await.unwrap();
    flags.refresh().await.unwrap();
    for user in [
        flags.evaluate("u").locally(),
        flags.evaluate("u").await.unwrap(),
        flags.evaluate("u").remotely().await.unwrap(),
    ] {
        assert!(user.is_enabled("a"), "{user:?}");
        assert_eq!(user.unresolved().len(), 1, "{user:?}");
        assert!(user.error().is_none());
    }
}

#[test]
fn a_payload_belongs_to_whoever_has_the_flag_on() {
    let flags = Flags::new()
        .payload("alone", json!({"items": 20}))
        .payload("of a variant", 2)
        .variant("of a variant", "b")
        .off("off")
        .payload("off", 3)
        .on_for("for one", "ada")
        .payload("for one", "x")
        .build();
    let payload = |user: &str, key: &str| -> Option<serde_json::Value> {
        flags.evaluate(user).locally().payload(key).unwrap()
    };
    assert!(flags.evaluate("u").locally().is_enabled("alone"));
    assert_eq!(payload("u", "alone"), Some(json!({"items": 20})));
    assert_eq!(payload("u", "of a variant"), Some(json!(2)));
    assert_eq!(payload("u", "off"), None);
    assert_eq!(payload("ada", "for one"), Some(json!("x")));
    assert_eq!(payload("grace", "for one"), None);
}

#[test]
fn what_is_said_of_a_person_counts_first() {
    let flags = Flags::new()
        .on("a")
        .off_for("a", "ada")
        .variant_for("a", "grace", "b")
        .on_for("beta", "ada")
        .variant("checkout", "control")
        .variant_for("checkout", "ada", "one-page")
        .on_for("checkout", "grace")
        .off_for("checkout", "alan")
        .build();
    let value = |user: &str, key: &str| {
        let user = flags.evaluate(user).locally();
        user.flag(key).map(|value| value.to_string())
    };
    for (user, a, beta, checkout) in [
        ("ada", "false", "true", "one-page"),
        ("grace", "b", "false", "true"),
        ("alan", "true", "false", "false"),
        ("user_42", "true", "false", "control"),
        // Ids are compared as they are.
        ("Ada", "true", "false", "control"),
        ("ada\n", "true", "false", "control"),
        ("", "none", "none", "none"),
    ] {
        let expected = [a, beta, checkout].map(|it| (it != "none").then(|| it.to_owned()));
        let seen = ["a", "beta", "checkout"].map(|key| value(user, key));
        assert_eq!(seen, expected, "{user:?}");
    }
}

#[test]
fn a_group_has_it_on_for_its_members() {
    let flags = Flags::new()
        .on_for_group("beta", "company", "acme")
        .on_for_group("beta", "team", "7")
        .off_for("beta", "ada")
        .build();
    let is_on = |user: &str, group: Option<(&str, &str)>| {
        let mut evaluate = flags.evaluate(user);
        if let Some((group_type, key)) = group {
            evaluate = evaluate.group(group_type, key);
        }
        let user = evaluate.locally();
        assert_eq!(user.unresolved(), [], "{user:?}");
        user.is_enabled("beta")
    };
    assert!(is_on("u", Some(("company", "acme"))));
    assert!(is_on("u", Some(("team", "7"))));
    assert!(!is_on("u", Some(("company", "7"))));
    assert!(!is_on("u", Some(("team", "acme"))));
    assert!(!is_on("u", None));
    assert!(!is_on("ada", Some(("company", "acme"))));
}

#[test]
fn an_unresolved_flag_has_the_default_of_the_code() {
    let flags = Flags::new().unresolved("a").on("b").unresolved("b").build();
    let user = flags.evaluate("u").locally();
    assert!(user.is_enabled_or("a", true) && !user.is_enabled_or("b", false));
    assert_eq!((user.flag("a"), user.variant("a")), (None, None));
    let why = UnresolvedReason::ExperienceContinuity;
    assert_eq!(user.unresolved(), [("a", why), ("b", why)]);
    assert_eq!(user.keys(), [""; 0]);
}

#[tokio::test]
async fn code_that_asks_for_the_current_person_gets_the_persons_flags() {
    #[tracing::instrument(skip_all, fields(posthog.distinct_id = user))]
    async fn is_beta(flags: &FeatureFlags, user: &str) -> bool {
        let here = flags.evaluate_current().await.unwrap();
        let is_beta = here.is_enabled("beta");
        tracing::info!(posthog.event = "looked");
        is_beta
    }
    let captured = CapturedEvents::new();
    let flags = Flags::new().on_for("beta", "ada").build();
    let flags = flags.capture_to(captured.handle());
    let seen = captured
        .scope(async { (is_beta(&flags, "ada").await, is_beta(&flags, "grace").await) })
        .await;
    assert_eq!(seen, (true, false), "{captured:?}");
    let looked = captured.find("looked").unwrap();
    assert_eq!(looked.properties["$feature/beta"], true);
    assert_eq!(looked.properties["$active_feature_flags"], json!(["beta"]));
    let nobody = captured.in_scope(|| flags.evaluate_current().locally());
    assert!(!nobody.is_enabled_or("beta", false));
    assert_eq!(nobody.keys(), [""; 0]);
}

#[test]
fn definitions_of_posthog_are_evaluated_as_they_are() {
    let body = json!({"flags": [
        {"key": "pro", "active": true, "filters": {"groups": [{"properties": [
            {"key": "plan", "type": "person", "operator": "exact", "value": ["pro"]},
        ]}]}},
        {"key": "replaced", "active": true, "filters": {"groups": [{}]}},
    ]});
    let flags = Flags::from_definitions(body)
        .unwrap()
        .off("replaced")
        .build();
    let pro = flags.evaluate("u").person("plan", "Pro").locally();
    assert!(pro.is_enabled("pro") && pro.flag("replaced") == Some(FlagValue::Bool(false)));
    let unknown = flags.evaluate("u").locally();
    assert_eq!(
        unknown.unresolved(),
        [("pro", UnresolvedReason::MissingContext)]
    );

    for wrong in [json!([]), json!({}), json!({"flags": 3}), json!("flags")] {
        let error = Flags::from_definitions(wrong.clone()).unwrap_err();
        assert!(!error.to_string().is_empty(), "{wrong}");
    }
}

proptest! {
    /// Whatever an id is made of, it is that id and no other.
    #[test]
    fn any_id_is_itself(key in ".{1,8}", id in ".{1,12}", other in ".{1,12}", variant in ".{1,6}") {
        let flags = Flags::new()
            .on(&*key)
            .off_for(&*key, &*id)
            .variant_for("v", &*id, &*variant)
            .build();
        let user = flags.evaluate(&id).locally();
        if key != "v" {
            prop_assert_eq!(user.flag(&key), Some(FlagValue::Bool(false)), "{:?}", user);
            prop_assert_eq!(user.variant("v"), Some(&*variant));
        }
        if other != id && key != "v" {
            let other = flags.evaluate(&other).locally();
            prop_assert_eq!(other.flag(&key), Some(FlagValue::Bool(true)));
            prop_assert_eq!(other.flag("v"), Some(FlagValue::Bool(false)));
        }
    }
}

#[test]
fn any_number_of_people_may_have_it() {
    let ids = || (0..4_000).map(|n| format!("a-person-with-a-long-id-{n}"));
    let flags = ids().fold(Flags::new(), |flags, id| flags.on_for("a", id));
    let flags = flags.off_for("a", "nobody").build();
    for id in ids().step_by(799) {
        let user = flags.evaluate(&id).locally();
        assert_eq!(user.flag("a"), Some(FlagValue::Bool(true)), "{user:?}");
        let other = flags.evaluate(format!("{id}x")).locally();
        assert_eq!(other.flag("a"), Some(FlagValue::Bool(false)), "{other:?}");
    }
}
