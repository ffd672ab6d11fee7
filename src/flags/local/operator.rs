//! [`Test`]: an operator with what it asks for, prepared from a filter.
//!
//! `date`, `number`, `pattern`, `text` and `version` know one family of operators each; which operator is which is decided here.

use super::date::{self, Asked, Moment, Read, When};
use super::given::Given;
use super::number::{self, Comparison};
use super::pattern::{Pattern, Patterns};
use super::text::{Equal, Part, Place};
use super::verdict::{MISSING, UNSUPPORTED, Verdict};
use super::version::{self, Order};
use semver::{Version, VersionReq};
use serde_json::Value;
use std::sync::Arc;

#[derive(Debug)]
pub(super) struct Test {
    kind: Kind,
    /// The operator's name begins with `not`.
    inverse: bool,
}

#[derive(Debug)]
enum Kind {
    /// `is_set`; inverse: `is_not_set`.
    Set,
    Equal(Equal),
    Part(Part),
    Pattern(Arc<Pattern>),
    Number(Comparison, f64),
    Range(f64, f64),
    Order(Order, Box<Version>),
    Requirement(Box<VersionReq>),
    Date(When, Asked),
    /// What the filter asks for may be a date for PostHog.
    BadDate,
    /// The filter asks for nothing, or for something that its operator cannot read: no match, inverse or not.
    Never,
    /// Not an operator of properties.
    Unknown,
}

impl Test {
    /// `by_truth`: see [`Equal::new`].
    pub(super) fn new(
        operator: &str,
        value: Option<&Value>,
        by_truth: bool,
        patterns: &Patterns,
    ) -> Self {
        let kind = match (operator, value) {
            ("is_set" | "is_not_set", _) => Kind::Set,
            (_, Some(value)) => Kind::new(operator, value, by_truth, patterns),
            (_, None) => match Kind::new(operator, &Value::Null, by_truth, patterns) {
                Kind::Unknown => Kind::Unknown,
                _ => Kind::Never,
            },
        };
        Self {
            kind,
            inverse: operator.starts_with("not_") || matches!(operator, "is_not" | "is_not_set"),
        }
    }

    /// What it says where the property is absent.
    pub(super) fn of_nothing(&self, now: Moment) -> Verdict {
        match &self.kind {
            Kind::BadDate | Kind::Never | Kind::Unknown => UNSUPPORTED,
            // Before the year 1, which no property helps.
            Kind::Date(_, asked) if asked.at(now).is_none() => UNSUPPORTED,
            _ => MISSING,
        }
    }

    /// It is never decided, whatever the property is.
    pub(super) fn is_unknown(&self) -> bool {
        matches!(self.kind, Kind::Unknown)
    }

    /// It asks for something that its operator cannot read.
    pub(super) fn is_unusable(&self) -> bool {
        matches!(self.kind, Kind::BadDate | Kind::Never | Kind::Unknown)
    }

    pub(super) fn of(&self, given: Given<'_>, now: Moment) -> Verdict {
        let holds = match &self.kind {
            Kind::Set => true,
            Kind::Equal(equal) => equal.holds(given),
            Kind::Part(part) => part.holds(given),
            Kind::Pattern(pattern) => match pattern.holds(given) {
                Ok(holds) => holds,
                Err(verdict) => return verdict,
            },
            Kind::Number(comparison, asked) => match number::number(given) {
                Some(number) => comparison.holds(number, *asked),
                None => return Verdict::No,
            },
            Kind::Range(low, high) => match number::number(given) {
                Some(number) if !number.is_nan() => (*low..=*high).contains(&number),
                _ => return Verdict::No,
            },
            Kind::Order(order, asked) => match version::version(given) {
                Some(version) => order.holds(&version, asked),
                None => return Verdict::No,
            },
            Kind::Requirement(asked) => match version::version(given) {
                Some(version) => asked.matches(&version),
                None => return Verdict::No,
            },
            Kind::Date(when, asked) => match (date::moment(given), asked.at(now)) {
                (Read::Never, _) => return Verdict::No,
                (_, None) => return UNSUPPORTED,
                (Read::At(moment), Some(asked)) => when.holds(moment, asked),
                (Read::Unclear, Some(_)) => return MISSING,
            },
            Kind::BadDate => match date::moment(given) {
                Read::Never => return Verdict::No,
                Read::At(_) | Read::Unclear => return UNSUPPORTED,
            },
            Kind::Never => return Verdict::No,
            Kind::Unknown => return UNSUPPORTED,
        };
        Verdict::from(holds != self.inverse)
    }
}

impl Kind {
    fn new(operator: &str, value: &Value, by_truth: bool, patterns: &Patterns) -> Self {
        match operator {
            "exact" | "is_not" => Self::Equal(Equal::new(value, by_truth)),
            "icontains" | "not_icontains" => Self::Part(Part::new(Place::Anywhere, value)),
            "icontains_multi" | "not_icontains_multi" => Self::Part(Part::any(value)),
            "starts_with" | "not_starts_with" => Self::Part(Part::new(Place::Start, value)),
            "ends_with" | "not_ends_with" => Self::Part(Part::new(Place::End, value)),
            "regex" | "not_regex" => Self::Pattern(patterns.get(value)),
            "gt" => Self::number(Comparison::Greater, value),
            "gte" => Self::number(Comparison::GreaterOrEqual, value),
            "lt" => Self::number(Comparison::Less, value),
            "lte" => Self::number(Comparison::LessOrEqual, value),
            "between" | "not_between" => {
                number::range(value).map_or(Self::Never, |(low, high)| Self::Range(low, high))
            }
            "semver_eq" => Self::order(Order::Equal, value),
            "semver_neq" => Self::order(Order::NotEqual, value),
            "semver_gt" => Self::order(Order::Greater, value),
            "semver_gte" => Self::order(Order::GreaterOrEqual, value),
            "semver_lt" => Self::order(Order::Less, value),
            "semver_lte" => Self::order(Order::LessOrEqual, value),
            "semver_tilde" => Self::requirement(version::requirement('~', value)),
            "semver_caret" => Self::requirement(version::requirement('^', value)),
            "semver_wildcard" => Self::requirement(version::wildcard(value)),
            "is_date_before" => Self::date(When::Before, value),
            "is_date_after" => Self::date(When::After, value),
            "is_date_exact" => Self::date(When::Exactly, value),
            _ => Self::Unknown,
        }
    }

    fn number(comparison: Comparison, value: &Value) -> Self {
        number::number(value.into()).map_or(Self::Never, |asked| Self::Number(comparison, asked))
    }

    fn order(order: Order, value: &Value) -> Self {
        version::version(value.into())
            .map_or(Self::Never, |asked| Self::Order(order, Box::new(asked)))
    }

    fn requirement(asked: Option<VersionReq>) -> Self {
        asked.map_or(Self::Never, |asked| Self::Requirement(Box::new(asked)))
    }

    fn date(when: When, value: &Value) -> Self {
        match Asked::new(value) {
            Read::At(asked) => Self::Date(when, asked),
            Read::Unclear => Self::BadDate,
            Read::Never => Self::Never,
        }
    }
}
