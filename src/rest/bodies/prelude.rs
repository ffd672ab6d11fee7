//! What the modules beside this one use.

pub(super) use crate::rest::IntoNumber;
pub(super) use crate::rest::body::macros::{
    body, body_clear, body_default, body_set, body_type, body_wire, object, one_of, text_part,
};
#[cfg(test)]
pub(super) use crate::rest::body::sample::{body_samples, more_samples, sample, sample_count};
pub(super) use crate::rest::body::{Fields, Part, to_json};
