//! Operators, one row per rule that is easy to get wrong.

use crate::definitions::{body, condition, filter, flag, parse};
use serde_json::{Value, json};
use std::time::{Duration, UNIX_EPOCH};
use tracing_posthog::{EvaluationContext, UnresolvedReason};

const MISSING: Option<bool> = None;

/// 31 March 2031, 12:30.
const NOW: u64 = 1_932_726_600;

/// 29 February 2032, 6:00.
const LEAP_DAY: u64 = 1_961_647_200;

fn matches(operator: &str, asked: &Value, given: &Value) -> Option<bool> {
    matches_at(NOW, operator, asked, given)
}

/// Whether a filter matches. `None`: that cannot be decided, for want of context.
fn matches_at(now: u64, operator: &str, asked: &Value, given: &Value) -> Option<bool> {
    let flag = flag("f", &[condition(&[filter("p", operator, asked.clone())])]);
    let definitions = parse(&body(&[flag], json!({})));
    let context = EvaluationContext::new("user_42").person("p", given.clone());
    let now = UNIX_EPOCH + Duration::from_secs(now);
    match definitions.evaluate("f", &context, now).unwrap().value() {
        Ok(value) => Some(value.is_enabled()),
        Err(reason) => {
            assert_eq!(
                reason,
                UnresolvedReason::MissingContext,
                "{operator} {asked} of {given}"
            );
            None
        }
    }
}

fn check(rows: &[(&str, Value, Value, Option<bool>)]) {
    for (operator, asked, given, expected) in rows {
        assert_eq!(
            matches(operator, asked, given),
            *expected,
            "{operator} {asked} of {given}"
        );
    }
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);

#[test]
fn exact_ignores_case_in_all_languages() {
    check(&[
        ("exact", json!("éa"), json!("ÉA"), YES),
        ("exact", json!("ΟΔΟΣ"), json!("οδος"), YES),
        ("exact", json!("οδος"), json!("ΟΔΟΣ"), YES),
        ("exact", json!("οδοσ"), json!("ΟΔΟΣ"), NO),
        ("exact", json!("k"), json!("\u{212a}"), YES),
        ("exact", json!("i\u{307}"), json!("İ"), YES),
        ("exact", json!(["b", "É", "a", "c"]), json!("é"), YES),
        ("exact", json!(["b", "É", "a", "c"]), json!("d"), NO),
        ("is_not", json!(["b", "É", "a", "c"]), json!("C"), NO),
        ("exact", json!([1.5, null, {"a": 1}]), json!({"a": 1}), YES),
        ("exact", json!([1.5, null]), json!(null), YES),
        (
            "exact",
            json!(18446744073709551615_u64),
            json!("18446744073709551615"),
            YES,
        ),
        ("exact", json!(1e300), json!(1e300), YES),
        // Absent and null ask for nothing.
        ("exact", json!(null), json!("null"), NO),
        ("is_not", json!(null), json!("x"), NO),
    ]);
}

#[test]
fn exact_compares_booleans_by_truth() {
    check(&[
        ("exact", json!("TRUE"), json!([true, "true"]), YES),
        ("exact", json!(["true", [true]]), json!("True"), YES),
        ("exact", json!(false), json!("anything"), YES),
        ("exact", json!([]), json!(true), YES),
        ("exact", json!([]), json!("x"), NO),
        ("is_not", json!(true), json!(1), YES),
    ]);
}

#[test]
fn parts_of_texts_ignore_case_of_ascii_only() {
    check(&[
        ("icontains", json!("LOVE"), json!("Ada Lovelace"), YES),
        ("icontains", json!("É"), json!("é"), NO),
        ("icontains", json!(""), json!(""), YES),
        ("icontains", json!("longer"), json!("long"), NO),
        ("icontains", json!("aab"), json!("aAaB"), YES),
        ("icontains", json!(["x"]), json!("say [\"X\"]"), YES),
        ("not_icontains", json!("x"), json!(null), YES),
        ("icontains", json!("ULL"), json!(null), YES),
        (
            "icontains_multi",
            json!(["x", "LACE"]),
            json!("Lovelace"),
            YES,
        ),
        (
            "not_icontains_multi",
            json!(["x", "LACE"]),
            json!("Lovelace"),
            NO,
        ),
        ("icontains_multi", json!([]), json!("x"), NO),
        ("starts_with", json!("é"), json!("éa"), YES),
        ("starts_with", json!("ADA"), json!("ad"), NO),
        ("ends_with", json!("CE"), json!("Lovelace"), YES),
        ("not_ends_with", json!("1"), json!(21), NO),
        ("not_starts_with", json!("2"), json!(21), NO),
    ]);
}

#[test]
fn numbers_are_what_rust_reads_as_one() {
    check(&[
        ("gt", json!(5), json!("+6"), YES),
        ("gt", json!(5), json!("6 "), NO),
        ("gt", json!("5"), json!("inf"), YES),
        ("lt", json!("5"), json!("-Infinity"), YES),
        ("lte", json!(5), json!("NaN"), NO),
        ("gte", json!("NaN"), json!(5), NO),
        ("gt", json!("many"), json!(5), NO),
        ("lt", json!(5), json!(true), NO),
        ("lt", json!(5), json!([1]), NO),
        ("lt", json!(5), json!(null), NO),
        ("between", json!([1, "5.5"]), json!("5.5"), YES),
        ("between", json!([5, 5]), json!(5.0), YES),
        ("not_between", json!([1, 5]), json!(6), YES),
        ("not_between", json!([5, 1]), json!(6), NO),
        ("not_between", json!([1, 5]), json!("NaN"), NO),
        ("not_between", json!([1, "NaN"]), json!(9), NO),
        ("not_between", json!([1, 2, 3]), json!(9), NO),
        ("not_between", json!(1), json!(9), NO),
    ]);
}

#[test]
fn versions_are_read_leniently_and_ordered_strictly() {
    check(&[
        ("semver_eq", json!("1.2"), json!("v1.2.0"), YES),
        ("semver_eq", json!("1.2"), json!("v 1.02 "), YES),
        ("semver_eq", json!("1.2"), json!(" v1.2"), NO),
        ("semver_eq", json!("1.2"), json!("V1.2"), NO),
        ("semver_neq", json!("1.2"), json!("1.2.0.0"), NO),
        ("semver_neq", json!("1.2"), json!("1..2"), NO),
        ("semver_neq", json!("1.2"), json!(""), NO),
        ("semver_neq", json!("nothing"), json!("1"), NO),
        ("semver_lt", json!("1.0.0"), json!("1.0.0-rc.1"), YES),
        ("semver_gt", json!("1.0.0-rc.9"), json!("1.0-rc.10"), YES),
        ("semver_gt", json!("1.0.0"), json!("1.0.0+build.7"), YES),
        ("semver_eq", json!("1.0.0-a+b"), json!("1-a+b"), YES),
        ("semver_neq", json!("1.0.0"), json!("1.0.0-"), NO),
        ("semver_neq", json!("1.0.0"), json!("1.0.0+"), NO),
        ("semver_neq", json!("1.0.0"), json!("1.0.0-a..b"), NO),
        ("semver_neq", json!("1"), json!("99999999999999999999"), NO),
        ("semver_eq", json!(1.5), json!(1.5), YES),
        ("semver_tilde", json!("1.2"), json!("1.2.9"), YES),
        ("semver_tilde", json!("1.2"), json!("1.3"), NO),
        ("semver_caret", json!("0.2.3"), json!("0.2.9"), YES),
        ("semver_caret", json!("0.2.3"), json!("0.3.0"), NO),
        ("semver_wildcard", json!("*"), json!("0.0.1"), YES),
        ("semver_wildcard", json!("v1.02.*"), json!("1.2.9"), YES),
        ("semver_wildcard", json!("1.*.*"), json!("2"), NO),
        ("semver_wildcard", json!("1.*.3"), json!("1.0.3"), NO),
        ("semver_wildcard", json!("1.2.3"), json!("1.9.0"), YES),
    ]);
}

#[test]
fn dates_without_an_offset_are_utc() {
    let day = json!("2031-03-01");
    let check_at = |given: Value, expected| {
        assert_eq!(matches("is_date_exact", &day, &given), expected, "{given}");
    };
    for same in [
        "2031-03-01",
        "2031-3-1",
        "2031-03-01 00:00",
        "2031-03-01T00:00:00.000000000Z",
        "2031-03-01t00:00:00z",
        "2031-03-01T02:00:00+02:00",
        "2031-02-28 19:00:00-05:00",
        "1930089600",
        "1930089600.0",
    ] {
        check_at(json!(same), YES);
    }
    check_at(json!(1_930_089_600), YES);
    for other in [
        json!("2031-03-01T00:00:00.000000001Z"),
        json!(1_930_089_600.5),
        json!("0"),
        json!(-1),
    ] {
        check_at(other, NO);
    }
    // PostHog may know what it means.
    for unclear in [
        "1 March 2031",
        "2031-03-01T25:00",
        "2031-03-01T00:00+0200",
        "03/01/2031",
    ] {
        check_at(json!(unclear), MISSING);
    }
    for none in [
        json!("tomorrow"),
        json!(""),
        json!(null),
        json!(true),
        json!([1]),
        json!("inf"),
        json!(1e300),
    ] {
        check_at(none, NO);
    }
    check(&[
        (
            "is_date_before",
            json!("2031-02-28T23:59:59Z"),
            json!("2031-02-28"),
            YES,
        ),
        (
            "is_date_after",
            json!("1969-12-31T23:59:59.5Z"),
            json!(-0.25),
            YES,
        ),
        (
            "is_date_before",
            json!("0001-01-02"),
            json!("0001-01-01"),
            YES,
        ),
        (
            "is_date_before",
            json!("9999-12-31"),
            json!("9999-12-30"),
            YES,
        ),
        (
            "is_date_before",
            json!("2000-03-01"),
            json!("2000-02-29"),
            YES,
        ),
        (
            "is_date_before",
            json!("1900-03-01"),
            json!("1900-02-29"),
            NO,
        ),
        (
            "is_date_before",
            json!("2031-03-01"),
            json!("2031-13-01"),
            NO,
        ),
        (
            "is_date_after",
            json!("2031-02-30"),
            json!("2031-03-01"),
            NO,
        ),
        ("is_date_before", json!("soon"), json!("2031-01-01"), NO),
        ("is_date_before", json!(5), json!(3), NO),
    ]);
}

#[test]
fn relative_dates_are_cut_at_every_month() {
    for (now, ago, date) in [
        (NOW, "-90h", "2031-03-27T18:30"),
        (NOW, "31d", "2031-02-28T12:30"),
        (NOW, "-1w", "2031-03-24T12:30"),
        (NOW, "-0m", "2031-03-31T12:30"),
        (NOW, "-1m", "2031-02-28T12:30"),
        (NOW, "-2m", "2031-01-28T12:30"),
        (NOW, "-13m", "2030-02-28T12:30"),
        (NOW, "-1y", "2030-03-31T12:30"),
        (NOW, "-1000y", "1031-03-31T12:30"),
        (NOW, "9999m", "1197-12-28T12:30"),
        (NOW, "-9999w", "1839-08-12T12:30"),
        (NOW, "-9999h", "2030-02-07T21:30"),
        (LEAP_DAY, "-1m", "2032-01-29T06:00"),
        (LEAP_DAY, "-12m", "2031-02-28T06:00"),
        (LEAP_DAY, "-4y", "2028-02-28T06:00"),
        (LEAP_DAY, "-48m", "2028-02-28T06:00"),
    ] {
        let matches = matches_at(now, "is_date_exact", &json!(ago), &json!(date));
        assert_eq!(matches, YES, "{ago}");
    }
}
