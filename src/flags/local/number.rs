//! Numeric operators. A number is a JSON number, or a text that Rust reads as one.

use super::given::Given;
use serde_json::Value;

#[derive(Debug, Clone, Copy)]
pub(super) enum Comparison {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

pub(super) fn number(given: Given<'_>) -> Option<f64> {
    match given {
        Given::Text(text) => text.parse().ok(),
        Given::Json(value) => value.as_f64(),
    }
}

impl Comparison {
    /// Nothing compares with "NaN".
    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }
}

/// The two ends of `between`. `None`: the filter asks for something else.
pub(super) fn range(value: &Value) -> Option<(f64, f64)> {
    let [low, high] = value.as_array()?.as_slice() else {
        return None;
    };
    let (low, high) = (number(low.into())?, number(high.into())?);
    // "NaN" is neither.
    (low <= high).then_some((low, high))
}
