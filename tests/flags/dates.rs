//! Dates that properties have and filters ask for, at their limits.

use crate::definitions::{body, condition, filter, flag, parse, value};
use serde_json::{Value, json};
use tracing_posthog::{EvaluationContext, FlagValue, UnresolvedReason};

/// What a flag for those whose `seen` is `operator` than `asked` is for somebody with these properties.
fn seen(operator: &str, asked: &str, person: &[(&str, Value)]) -> Result<bool, UnresolvedReason> {
    let filter = filter("seen", operator, json!(asked));
    let definitions = parse(&body(&[flag("seen", &[condition(&[filter])])], json!({})));
    let context = EvaluationContext::new("user_42").person_properties(person.iter().cloned());
    value(&definitions, "seen", &context).map(FlagValue::is_enabled)
}

/// A number is seconds since 1970 for PostHog, also where a program meant milliseconds: a date, far in the future.
#[test]
fn milliseconds_are_dates_in_a_far_future() {
    for milliseconds in [json!(1_932_726_600_000_i64), json!("1932726600000")] {
        let person = [("seen", milliseconds)];
        assert_eq!(seen("is_date_after", "2031-03-31", &person), Ok(true));
        assert_eq!(seen("is_date_after", "-7d", &person), Ok(true));
        assert_eq!(seen("is_date_before", "2031-03-31", &person), Ok(false));
    }
}

#[test]
fn what_is_no_time_is_never_a_date() {
    for (number, is_time) in [
        (8_210_266_876_799.0, true),
        (8_210_266_876_800.0, false),
        (-8_334_601_228_800.0, true),
        (-8_334_601_228_801.0, false),
        (1e300, false),
    ] {
        let person = [("seen", json!(number))];
        let is_date = ["is_date_after", "is_date_before"]
            .map(|operator| seen(operator, "2031-03-31", &person).unwrap())
            .contains(&true);
        assert_eq!(is_date, is_time, "{number}");
    }
}

/// No property decides it, so that the property that is missing is not what keeps it undecided.
#[test]
fn a_date_before_the_year_1_is_not_to_be_decided_whatever_is_known() {
    let unsupported = Err(UnresolvedReason::UnsupportedDefinition);
    assert_eq!(seen("is_date_after", "9999y", &[]), unsupported);
    let known = [("seen", json!("2031-03-31"))];
    assert_eq!(seen("is_date_after", "9999y", &known), unsupported);
    let missing = Err(UnresolvedReason::MissingContext);
    assert_eq!(seen("is_date_after", "999y", &[]), missing);
}
