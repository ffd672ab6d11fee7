//! Text operators: `exact` by Unicode's lower case, the others by ASCII's, as PostHog has it.

use super::given::Given;
use serde_json::Value;
use std::cmp::Ordering;

/// What `exact` and `is_not` ask for.
#[derive(Debug)]
pub(super) enum Equal {
    /// Whether it is truthy.
    Truthy(bool),
    /// One of these, in lower case and in order.
    OneOf(Box<[Box<str>]>),
}

impl Equal {
    /// `by_truth`: a filter that asks for booleans only compares what is truthy, as PostHog did before version 2 of its
    /// matching.
    pub(super) fn new(value: &Value, by_truth: bool) -> Self {
        if let Value::Array(all) = value
            && all.is_empty()
        {
            return Self::Truthy(true);
        }
        if by_truth && asks_for_booleans(value) {
            return Self::Truthy(Given::from(value).is_truthy());
        }
        let folded =
            |one: &Value| Given::from(one).with_text(|text| text.to_lowercase().into_boxed_str());
        let mut all: Vec<Box<str>> = match value {
            Value::Array(all) => all.iter().map(folded).collect(),
            one => vec![folded(one)],
        };
        all.sort_unstable();
        all.dedup();
        Self::OneOf(all.into_boxed_slice())
    }

    pub(super) fn holds(&self, given: Given<'_>) -> bool {
        match self {
            Self::Truthy(expected) => given.is_truthy() == *expected,
            Self::OneOf(all) => given.with_text(|text| match &**all {
                [one] => compare_folded(one, text) == Ordering::Equal,
                all => all
                    .binary_search_by(|one| compare_folded(one, text))
                    .is_ok(),
            }),
        }
    }
}

fn asks_for_booleans(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::String(text) => {
            text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
        }
        Value::Array(all) => all.iter().all(asks_for_booleans),
        _ => false,
    }
}

/// Compares a text in lower case with the lower case of another one. Allocates only for a capital sigma, whose lower case
/// depends on what surrounds it.
fn compare_folded(folded: &str, text: &str) -> Ordering {
    if text.is_ascii() {
        let lower = text.bytes().map(|byte| byte.to_ascii_lowercase());
        folded.bytes().cmp(lower)
    } else if text.contains('Σ') {
        folded.cmp(&text.to_lowercase())
    } else {
        folded
            .chars()
            .cmp(text.chars().flat_map(char::to_lowercase))
    }
}

/// Where a text operator looks.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Anywhere,
    Start,
    End,
}

/// What a text operator asks for: one of these texts, in ASCII's lower case.
#[derive(Debug)]
pub(super) struct Part {
    place: Place,
    any_of: Box<[Box<str>]>,
}

impl Part {
    /// The text of the whole value; a list is its JSON.
    pub(super) fn new(place: Place, value: &Value) -> Self {
        Self {
            place,
            any_of: Box::new([ascii_folded(value)]),
        }
    }

    /// Each element of a list by itself.
    pub(super) fn any(value: &Value) -> Self {
        Self {
            place: Place::Anywhere,
            any_of: match value {
                Value::Array(all) => all.iter().map(ascii_folded).collect(),
                one => Box::new([ascii_folded(one)]),
            },
        }
    }

    pub(super) fn holds(&self, given: Given<'_>) -> bool {
        given.with_text(|text| {
            let text = text.as_bytes();
            self.any_of.iter().any(|part| {
                let part = part.as_bytes();
                match self.place {
                    Place::Anywhere => contains(text, part),
                    Place::Start => text
                        .get(..part.len())
                        .is_some_and(|start| start.eq_ignore_ascii_case(part)),
                    Place::End => text
                        .len()
                        .checked_sub(part.len())
                        .is_some_and(|at| text[at..].eq_ignore_ascii_case(part)),
                }
            })
        })
    }
}

fn ascii_folded(value: &Value) -> Box<str> {
    Given::from(value).with_text(|text| text.to_ascii_lowercase().into_boxed_str())
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some((first, rest)) = part.split_first() else {
        return true;
    };
    let Some(last) = text.len().checked_sub(part.len()) else {
        return false;
    };
    (0..=last).any(|at| {
        text[at].to_ascii_lowercase() == *first
            && text[at + 1..at + part.len()].eq_ignore_ascii_case(rest)
    })
}
