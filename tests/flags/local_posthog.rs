//! The local PostHog answers with the flags of a test, to any client.

use crate::support::server;
use serde_json::{Value, json};
use tracing_posthog::testing::{Flags, PostHogServer};

async fn post(server: &PostHogServer, query: &str, mut body: Value) -> Value {
    body["token"] = "phc_x".into();
    let url = format!("{}/flags/{query}", server.url());
    let answer = reqwest::Client::new()
        .post(url)
        .body(body.to_string())
        .send();
    let text = answer.await.unwrap().text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

pub(crate) fn some_flags() -> Flags {
    Flags::new()
        .on("on")
        .off("off")
        .variant("variant", "b")
        .payload("variant", json!({"items": 20}))
        .on_for("for ada", "ada")
        .on_for_group("for acme", "company", "acme")
        .unresolved("fails")
        .unresolved("kept")
        .on("kept")
}

#[tokio::test]
async fn it_answers_in_the_form_that_is_asked_for() {
    let server = server();
    server.flags(some_flags());
    let ada = json!({"distinct_id": "ada", "groups": {"company": "acme"}});

    let answer = post(&server, "?v=2", ada.clone()).await;
    assert_eq!(answer["errorsWhileComputingFlags"], true);
    let flag = &answer["flags"]["variant"];
    assert_eq!(
        (&flag["enabled"], &flag["variant"]),
        (&json!(true), &json!("b"))
    );
    assert_eq!(flag["metadata"]["payload"], r#"{"items":20}"#);
    assert_eq!(flag["metadata"]["has_experiment"], false);
    assert_eq!(flag["reason"]["code"], "condition_match");
    assert_eq!(flag["reason"]["description"], "Matched condition set 1");
    let off = &answer["flags"]["off"];
    assert_eq!(
        (&off["enabled"], &off["variant"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(off["reason"]["code"], "no_condition_match");
    assert_eq!(answer["flags"]["kept"]["enabled"], true);
    let fails = &answer["flags"]["fails"];
    assert_eq!(
        (&fails["failed"], &fails["enabled"]),
        (&json!(true), &json!(false))
    );
    for key in ["for ada", "for acme"] {
        assert_eq!(answer["flags"][key]["enabled"], true, "{key}");
    }
    assert_eq!(answer["flags"].as_object().unwrap().len(), 7);

    for query in ["?v=3", "?v=4"] {
        let answer = post(&server, query, ada.clone()).await;
        assert_eq!(answer["flags"]["variant"]["value"], "b");
        assert_eq!(answer["flags"]["on"]["value"], true);
        assert_eq!(answer["flags"]["on"].get("enabled"), None);
        assert_eq!(answer["flags"]["fails"]["failed"], true);
    }

    let answer = post(&server, "", json!({"distinct_id": 7})).await;
    let values = json!({
        "on": true, "off": false, "variant": "b", "for ada": false, "for acme": false, "kept": true,
    });
    assert_eq!(answer["featureFlags"], values);
    assert_eq!(
        answer["featureFlagPayloads"],
        json!({"variant": r#"{"items":20}"#})
    );
}

#[tokio::test]
async fn it_evaluates_what_is_asked_for_only() {
    let server = server();
    server.flags(some_flags());
    let some = json!({"distinct_id": "u", "flag_keys_to_evaluate": ["on", "no such flag"]});
    let answer = post(&server, "?v=2", some).await;
    let keys: Vec<_> = answer["flags"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["on"]);
    assert_eq!(answer["errorsWhileComputingFlags"], false);
    let older = json!({"distinct_id": "u", "flag_keys": ["off"]});
    let answer = post(&server, "?v=2", older).await;
    assert_eq!(answer["flags"].as_object().map(|all| all.len()), Some(1));
    let none = json!({"distinct_id": "u", "disable_flags": true});
    assert_eq!(post(&server, "?v=2", none).await["flags"], json!({}));
}

#[tokio::test]
async fn conditions_count_what_the_request_says() {
    let server = server();
    let definitions = json!({"flags": [
        {"key": "pro", "id": 3, "version": 5, "active": true, "filters": {"groups": [{"properties": [
            {"key": "plan", "type": "person", "operator": "exact", "value": ["pro"]},
        ]}]}},
        {"key": "large", "active": true, "filters": {"aggregation_group_type_index": 0, "groups": [{"properties": [
            {"key": "seats", "type": "group", "group_type_index": 0, "operator": "gt", "value": 10},
        ]}]}},
        {"key": "unreadable", "active": true, "filters": {"groups": [{"properties": [
            {"key": "plan", "type": "person", "operator": "sounds_like", "value": "pro"},
        ]}]}},
    ], "group_type_mapping": {"0": "company"}, "minimal_flag_called_events": true});
    server.flags(Flags::from_definitions(definitions).unwrap());
    let known = json!({
        "distinct_id": "u", "person_properties": {"plan": "pro"}, "groups": {"company": "acme"},
        "group_properties": {"company": {"seats": 40}},
    });
    let answer = post(&server, "?v=2", known).await;
    let flags = &answer["flags"];
    assert_eq!(
        (&flags["pro"]["enabled"], &flags["large"]["enabled"]),
        (&json!(true), &json!(true))
    );
    let metadata = &flags["pro"]["metadata"];
    assert_eq!(
        (&metadata["id"], &metadata["version"]),
        (&json!(3), &json!(5))
    );
    assert_eq!(flags["unreadable"]["failed"], true);
    assert_eq!(answer["minimalFlagCalledEvents"], true);

    let answer = post(&server, "?v=2", json!({"distinct_id": "u"})).await;
    let flags = &answer["flags"];
    for key in ["pro", "large"] {
        assert_eq!(flags[key]["enabled"], false, "{key}");
        assert_eq!(flags[key].get("failed"), None, "{key}");
    }
}
