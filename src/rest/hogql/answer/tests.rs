//! Tests of `answer`.

use super::*;
use serde_json::json;

#[test]
fn an_answer_reads_whatever_is_in_it() {
    let answer: HogQlAnswer = serde_json::from_value(json!({
        "columns": ["event", 7], "types": [["event", "String"], "UInt64"], "results": [["a", 1]],
        "hasMore": true, "limit": 100, "offset": "3", "hogql": 5, "is_cached": null,
        "last_refresh": "2031-04-05T06:07:08Z", "query_status": null, "timings": [{"k": "x", "t": 1.5}], "error": null,
    }))
    .unwrap();
    assert_eq!(answer.columns, ["event", "7"]);
    assert_eq!(answer.types, ["String", "UInt64"]);
    assert!(answer.has_more && !answer.is_cached);
    assert_eq!((answer.limit, answer.offset), (Some(100), Some(3)));
    let refreshed = Time::parse("2031-04-05T06:07:08Z").unwrap();
    assert_eq!(answer.last_refresh, Some(refreshed));
    assert_eq!(answer.extra["hogql"], 5);
    assert_eq!(answer.extra["timings"][0]["t"], 1.5);
    let error = answer.clone().one::<(String, u8)>().unwrap_err();
    assert!(
        matches!(error, PostHogError::MoreRows { rows: 1, .. }),
        "{error}"
    );
    let rows: Vec<(String, u8)> = answer.first_rows().unwrap();
    assert_eq!(rows, [("a".into(), 1)]);

    let bare: HogQlAnswer = serde_json::from_value(json!({})).unwrap();
    assert_eq!(bare, HogQlAnswer::default());
    assert!(bare.rows::<u8>().is_err());
    assert!(serde_json::from_value::<HogQlAnswer>(json!([])).is_err());
}

#[test]
fn a_name_that_is_there_twice_is_an_error() {
    for twice in [
        r#"{"results": [[1]], "results": [[2]]}"#,
        r#"{"results": [{"a": 1, "a": 2}]}"#,
    ] {
        let error = serde_json::from_str::<HogQlAnswer>(twice).unwrap_err();
        assert!(error.to_string().contains("a name twice"), "{error}");
    }
    // In a text of JSON too.
    let answer: HogQlAnswer = serde_json::from_value(json!({
        "columns": ["properties"], "results": [[r#"{"a": 1, "a": 2}"#]],
    }))
    .unwrap();
    let maps = answer
        .clone()
        .rows::<(std::collections::BTreeMap<String, u8>,)>();
    assert!(maps.is_err(), "{maps:?}");
    assert!(answer.rows::<String>().is_ok());
}

#[test]
fn half_a_character_costs_no_row() {
    let answer: HogQlAnswer = serde_json::from_value(json!({
        "columns": ["properties"], "results": [["{\"a\": \"cut \\ud83d\"}"]],
    }))
    .unwrap();
    let rows: Vec<(std::collections::BTreeMap<String, String>,)> = answer.rows().unwrap();
    assert_eq!(rows[0].0["a"], "cut \u{fffd}");
}

#[test]
fn what_does_not_say_that_these_are_all_rows_counts_as_more() {
    for (has_more, want) in [
        (json!(null), false),
        (json!(false), false),
        (json!(true), true),
        (json!("true"), true),
        (json!(1), true),
        (json!({}), true),
    ] {
        let answer = json!({"results": [[1]], "hasMore": has_more});
        let answer: HogQlAnswer = serde_json::from_value(answer).unwrap();
        assert_eq!(answer.rows::<u8>().is_err(), want, "{has_more}");
    }
}

#[test]
fn one_row_is_one_row() {
    let answer = |rows: Value| HogQlAnswer {
        results: rows,
        ..HogQlAnswer::default()
    };
    assert_eq!(answer(json!([[4]])).one::<u8>().unwrap(), 4);
    let none = answer(json!([])).one::<u8>().unwrap_err().to_string();
    assert!(none.contains("no rows"), "{none}");
    let two = answer(json!([[4], [5]])).one::<u8>().unwrap_err();
    assert!(two.to_string().contains("2 rows"), "{two}");
}
