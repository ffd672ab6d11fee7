//! The fields of a body with one more: what the methods of the types call.
//!
//! By value, and each kind in one function, so that the methods are one call: there are more than a thousand of them.

use super::{Fields, IntoNumber, Part, number as checked, time as written, to_json};
use crate::rest::IntoTime;
use serde::Serialize;
use serde_json::{Number, Value};

pub(crate) fn any(mut fields: Fields, field: impl AsRef<str>, value: impl Into<Value>) -> Fields {
    fields.set(field.as_ref(), value.into());
    fields
}

#[inline]
pub(crate) fn null(mut fields: Fields, field: &'static str) -> Fields {
    fields.null(field);
    fields
}

pub(crate) fn text(mut fields: Fields, field: &'static str, value: impl Into<String>) -> Fields {
    fields.text(field, value.into());
    fields
}

pub(crate) fn integer(mut fields: Fields, field: &'static str, value: impl Into<Number>) -> Fields {
    fields.number(field, Some(value.into()));
    fields
}

pub(crate) fn number(mut fields: Fields, field: &'static str, value: impl IntoNumber) -> Fields {
    fields.number(field, value.into_number());
    fields
}

pub(crate) fn percentage(
    mut fields: Fields,
    field: &'static str,
    value: impl IntoNumber,
) -> Fields {
    fields.percentage(field, value.into_number());
    fields
}

#[inline]
pub(crate) fn boolean(mut fields: Fields, field: &'static str, value: bool) -> Fields {
    fields.set(field, Value::Bool(value));
    fields
}

pub(crate) fn time(mut fields: Fields, field: &'static str, value: impl IntoTime) -> Fields {
    fields.time(field, value.into_time());
    fields
}

pub(crate) fn json(mut fields: Fields, field: &'static str, value: impl Serialize) -> Fields {
    fields.json(field, &value);
    fields
}

pub(crate) fn part<P: Part>(
    mut fields: Fields,
    field: &'static str,
    value: impl Into<P>,
) -> Fields {
    fields.part::<P>(field, value.into());
    fields
}

pub(crate) fn texts(
    mut fields: Fields,
    field: &'static str,
    values: impl IntoIterator<Item = impl Into<String>>,
) -> Fields {
    let values = values.into_iter().map(|v| Ok(Value::String(v.into())));
    fields.list(field, values);
    fields
}

pub(crate) fn integers(
    mut fields: Fields,
    field: &'static str,
    values: impl IntoIterator<Item = impl Into<Number>>,
) -> Fields {
    let values = values.into_iter().map(|v| Ok(Value::Number(v.into())));
    fields.list(field, values);
    fields
}

pub(crate) fn numbers(
    mut fields: Fields,
    field: &'static str,
    values: impl IntoIterator<Item = impl IntoNumber>,
) -> Fields {
    fields.list(field, values.into_iter().map(|v| checked(field, v)));
    fields
}

pub(crate) fn times(
    mut fields: Fields,
    field: &'static str,
    values: impl IntoIterator<Item = impl IntoTime>,
) -> Fields {
    fields.list(
        field,
        values.into_iter().map(|v| written(field, v.into_time())),
    );
    fields
}

pub(crate) fn jsons(
    mut fields: Fields,
    field: &'static str,
    values: impl IntoIterator<Item = impl Serialize>,
) -> Fields {
    fields.list(field, values.into_iter().map(|v| to_json(field, &v)));
    fields
}

pub(crate) fn parts<P: Part>(
    mut fields: Fields,
    field: &'static str,
    values: impl IntoIterator<Item = P>,
) -> Fields {
    fields.list(field, values.into_iter().map(P::into_json));
    fields
}

pub(crate) fn parts_by_name<P: Part>(
    mut fields: Fields,
    field: &'static str,
    values: impl IntoIterator<Item = (impl Into<String>, P)>,
) -> Fields {
    let values = values
        .into_iter()
        .map(|(name, v)| (name.into(), v.into_json()));
    fields.entries(field, values);
    fields
}
