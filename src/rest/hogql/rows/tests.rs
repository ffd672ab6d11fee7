//! Rows as types: what reads, and what the errors say.

use super::super::HogQlAnswer;
use super::*;
use crate::http::numbers;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;

fn rows<T: DeserializeOwned>(columns: &[&str], rows: Value) -> Result<Vec<T>, String> {
    let answer = json!({"columns": columns, "results": rows});
    let answer: HogQlAnswer = serde_json::from_value(answer).unwrap();
    answer.rows().map_err(|e| e.to_string())
}

#[derive(Deserialize, Debug, PartialEq)]
struct Named {
    total: u64,
    event: String,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Tuple(String, Option<i64>);

#[derive(Deserialize, Debug, PartialEq)]
struct Address(IpAddr);

#[derive(Deserialize, Debug, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Plan {
    Pro,
    Free,
}

#[derive(Deserialize, Debug, PartialEq)]
struct Flat {
    event: String,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[test]
fn structs_by_name_tuples_by_position_one_column_by_itself() {
    let named = |event: &str, total| Named {
        total,
        event: event.into(),
        note: None,
    };
    assert_eq!(
        rows(&["event", "total"], json!([["a", 1], ["b", "2"]])),
        Ok(vec![named("a", 1), named("b", 2)])
    );
    assert_eq!(
        rows(
            &["total", "more", "event", "note"],
            json!([[3.0, {}, "c", null]])
        ),
        Ok(vec![named("c", 3)])
    );
    assert_eq!(
        rows(&[], json!([{"event": "d", "total": 4}])),
        Ok(vec![named("d", 4)])
    );
    assert_eq!(
        rows(&["a", "b"], json!([["x", null], ["y", -7]])),
        Ok(vec![Tuple("x".into(), None), Tuple("y".into(), Some(-7))])
    );
    assert_eq!(rows(&["n"], json!([[1], ["2"], 3])), Ok(vec![1u8, 2, 3]));
    assert_eq!(rows(&["n"], json!([[1]])), Ok(vec![(1u8,)]));
    assert_eq!(
        rows(&["n"], json!([[null], ["x"]])),
        Ok(vec![None, Some("x".to_owned())])
    );
    let ip = IpAddr::from([10, 0, 0, 7]);
    assert_eq!(rows(&["ip"], json!([["10.0.0.7"]])), Ok(vec![Address(ip)]));
    assert_eq!(
        rows(&["plan"], json!([["pro"], ["free"]])),
        Ok(vec![Plan::Pro, Plan::Free])
    );
    assert_eq!(
        rows(&["event", "x"], json!([["a", [1]]])),
        Ok(vec![Flat {
            event: "a".into(),
            rest: BTreeMap::from([("x".into(), json!([1]))])
        }])
    );
    assert_eq!(
        rows(&["a", "b"], json!([[1, 2]])),
        Ok(vec![BTreeMap::from([
            ("a".to_owned(), 1),
            ("b".to_owned(), 2)
        ])])
    );
    assert_eq!(rows(&["a", "b"], json!([[1, 2]])), Ok(vec![vec![1, 2]]));
    assert_eq!(
        rows(&["a", "b"], json!([[1, 2]])),
        Ok(vec![json!({"a": 1, "b": 2})])
    );
    assert_eq!(rows(&["a"], json!([])), Ok(Vec::<u8>::new()));
}

#[test]
fn values_with_names_are_read_in_the_order_of_the_columns_or_by_name() {
    let named = json!([{"total": 1, "event": 2}]);
    for columns in [["total", "event"], ["event", "total"]] {
        let [first, second] = columns.map(|name| named[0][name].as_u64().unwrap());
        assert_eq!(
            rows(&columns, named.clone()),
            Ok(vec![(first, second)]),
            "{columns:?}"
        );
    }
    for columns in [&[][..], &["total"], &["total", "total"], &["total", "x"]] {
        let error = rows::<(u8, u8)>(columns, named.clone()).unwrap_err();
        assert!(error.contains("no order"), "{error}");
        let error = rows::<Vec<u8>>(columns, named.clone()).unwrap_err();
        assert!(error.contains("no order"), "{error}");
        let read = rows::<BTreeMap<String, u8>>(columns, named.clone()).unwrap();
        assert_eq!(json!(read), named);
    }
    assert_eq!(rows(&[], json!([{"n": 1}])), Ok(vec![1u8]));
    assert_eq!(rows(&[], json!([{"n": 1}])), Ok(vec![(1u8,)]));
}

#[test]
fn values_that_are_written_in_several_ways() {
    assert_eq!(
        rows(&["b"], json!([[0], [1], [true], ["false"]])),
        Ok(vec![false, true, true, false])
    );
    assert_eq!(
        rows(&["f"], json!([["1.5"], [2], ["-inf"]])),
        Ok(vec![1.5, 2.0, f64::NEG_INFINITY])
    );
    assert_eq!(
        rows(&["n"], json!([["18446744073709551616"], [-5], [u64::MAX]])),
        Ok(vec![
            18_446_744_073_709_551_616i128,
            -5,
            i128::from(u64::MAX)
        ])
    );
    assert_eq!(
        rows(&["n", "o"], json!([["3", "4"]])),
        Ok(vec![(3i8, Some(4u64))])
    );
}

#[test]
fn numbers_are_text_where_text_is_asked_for() {
    let cells = json!([[9_007_199_254_740_993_u64], [-3], [1.5], ["7"]]);
    let text = |s: &str| s.to_owned();
    let want = ["9007199254740993", "-3", "1.5", "7"].map(text);
    assert_eq!(rows(&["n"], cells), Ok(want.to_vec()));
    assert_eq!(
        rows(&["n"], json!([[[1, 2]]])),
        Ok(vec![(vec![text("1"), text("2")],)])
    );
    assert!(rows::<String>(&["n"], json!([[true]])).is_err());
}

#[test]
fn decimals_are_rounded_but_never_become_infinite() {
    assert_eq!(
        rows(&["f"], json!([[0.1], ["1e38"]])),
        Ok(vec![0.1f32, 1e38])
    );
    assert_eq!(rows(&["f"], json!([[1e300]])), Ok(vec![1e300f64]));
    for cell in [json!(1e300), json!(-1e39), json!("1e39")] {
        let e = rows::<f32>(&["f"], json!([[cell]])).unwrap_err();
        assert!(
            e.contains("column \"f\": ") && e.contains("infinite"),
            "{e}"
        );
    }
    let e = rows::<f64>(&["f"], json!([["1e999"]])).unwrap_err();
    assert!(e.contains("infinite"), "{e}");
    for cell in ["inf", "-Infinity", "Inf"] {
        let read = rows::<f32>(&["f"], json!([[cell]])).unwrap();
        assert!(read[0].is_infinite());
    }
}

#[test]
fn what_stands_inside_of_cells_is_read_as_cells_are() {
    #[derive(Deserialize, Debug, PartialEq)]
    struct Props {
        plan: Plan,
        seats: u8,
    }
    let pro = || Props {
        plan: Plan::Pro,
        seats: 3,
    };
    assert_eq!(
        rows(&["a", "b"], json!([[[0, "true"], [null, ["1"]]]])),
        Ok(vec![(vec![false, true], [None, Some(vec![1u64])])])
    );
    assert_eq!(
        rows(&["t"], json!([[["a", "7"]]])),
        Ok(vec![(("a".to_owned(), 7u64),)])
    );
    assert_eq!(
        rows(&["m"], json!([[{"1": "2.5"}]])),
        Ok(vec![(BTreeMap::from([(1u8, 2.5)]),)])
    );
    // An object as it is, as text, or as a tuple.
    for cell in [
        json!({"plan": "pro", "seats": "3", "more": [1]}),
        json!("{\"plan\": \"pro\", \"seats\": 3}"),
        json!(["pro", 3]),
    ] {
        assert_eq!(rows(&["p"], json!([[cell]])), Ok(vec![(pro(),)]));
    }
    assert_eq!(
        rows(&["p"], json!([["[\"a\", \"b\"]"]])),
        Ok(vec![(vec!["a".to_owned(), "b".to_owned()],)])
    );
    // Text stays text where text is asked for.
    assert_eq!(rows(&["p"], json!([["[1]"]])), Ok(vec!["[1]".to_owned()]));
    assert_eq!(rows(&["p"], json!([["[1]"]])), Ok(vec![(json!("[1]"),)]));
    for (cell, says) in [
        (json!(["a", 7, 8]), "invalid length"),
        (json!("[\"a\""), "invalid type: string"),
        (json!("7"), "invalid type: string"),
        (json!(r#"[{"a": 1, "a": 2}]"#), "an object has a name twice"),
        (json!(7), "invalid type: integer"),
    ] {
        let e = rows::<((String, u8),)>(&["t"], json!([[cell]])).unwrap_err();
        assert!(
            e.contains("row 1, column \"t\": ") && e.contains(says),
            "{e}"
        );
    }
}

#[test]
fn misfits_name_row_and_column() {
    let error = |got: Result<Vec<Named>, String>| got.unwrap_err();
    let e = error(rows(&["event", "total"], json!([["a", 1], ["b", null]])));
    assert!(
        e.contains("row 2, column \"total\": invalid type: null, expected u64"),
        "{e}"
    );
    let e = error(rows(&["event", "count()"], json!([["a", 1]])));
    assert!(
        e.contains("row 1, missing field `total`; the columns are event, count()"),
        "{e}"
    );
    let e = error(rows(&["event"], json!([["a", 1]])));
    assert!(e.contains("2 values and 1 names"), "{e}");
    let e = rows::<(u8, u8)>(&["a", "b", "c"], json!([[1, 2, 3]])).unwrap_err();
    assert!(
        e.contains("row 1, it has 3 values, where 2 are expected; the columns are a, b, c"),
        "{e}"
    );
    let e = rows::<u8>(&["a", "b"], json!([[1, 2]])).unwrap_err();
    assert!(e.contains("where one is expected"), "{e}");
    let e = rows::<u8>(&["a"], json!([[300]])).unwrap_err();
    assert!(
        e.contains("column \"a\": invalid value: integer, expected u8"),
        "{e}"
    );
    let e = rows::<u8>(&["a"], json!([[]])).unwrap_err();
    assert!(e.contains("it has 0 values"), "{e}");
    let e = rows::<Plan>(&["plan"], json!([["gold"]])).unwrap_err();
    assert!(
        e.contains("column \"plan\": unknown variant, expected"),
        "{e}"
    );
    assert!(!e.contains("gold"), "{e}");
    let e = rows::<u8>(&["a"], json!({"a": 1})).unwrap_err();
    assert!(e.contains("the results are not rows"), "{e}");
    let long = rows::<u8>(&["a"], json!([["x".repeat(10_000)]])).unwrap_err();
    assert!(long.len() < 500, "{}", long.len());
}

/// Sees more by `cargo test --lib --features serde_json/arbitrary_precision`.
#[test]
fn numbers_are_read_whatever_feature_serde_json_has() {
    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(untagged)]
    enum Amount {
        Number(f64),
        Text(String),
    }
    let answer =
        r#"{"columns": ["n", "p"], "results": [[1.5, "{\"a\": [2.5, 3]}"], [4, {"b": [1e3]}]]}"#;
    let answer = || serde_json::from_str::<HogQlAnswer>(answer).unwrap();
    let read = answer()
        .rows::<(f64, BTreeMap<String, Vec<f64>>)>()
        .unwrap();
    assert_eq!((read[0].0, &read[0].1["a"]), (1.5, &vec![2.5, 3.0]));
    assert_eq!((read[1].0, &read[1].1["b"]), (4.0, &vec![1e3]));
    let read = answer().rows::<(Amount, Value)>().unwrap();
    assert_eq!(read[0].0, Amount::Number(1.5));
    assert_eq!(read[1].1["b"][0].as_f64(), Some(1e3));
    let inexact = r#"{"columns": ["n"], "results": [[36893488147419103233]]}"#;
    let exactly = numbers::exact(inexact.as_bytes());
    let answer: HogQlAnswer = serde_json::from_slice(&exactly).unwrap();
    assert!(answer.rows::<f64>().is_err());
    let e = rows::<u8>(&["n"], json!([[1.5]])).unwrap_err();
    assert!(e.contains("invalid type: floating"), "{e}");
}
