//! How fields of models are read from JSON and written to it, without losing any of it.
//!
//! ```text
//!  JSON ──[whole]──► Object ──[fill]──► Model::set(name, value) ──► Field ──► Item
//!    a name twice: error                  │ no such field, or a misfit
//!                                         └────────────► extra, untouched
//! ```
//!
//! - [`Field`]: what a field may be: one value, a list, a map, any object. Its instances are shared by all models.
//! - [`Item`]: one value, alone, in a list or in a map.
//!
//! Invariants:
//! - What [`Item::fits`] says to fit is read and written as the same value: numbers from text only if they are written
//!   as that text, floats only if they are exact.
//! - A list or a map with one item that does not fit is in `extra` whole, in its order.
//! - Only `null`, an empty list and an empty map are nothing: they are not written again.

use crate::rest::Time;
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// Any JSON object, its fields by name.
pub type Object = Map<String, Value>;

/// What a model's field may be: read from JSON, written to it.
pub(crate) trait Field {
    /// Reads the value; `null` is none. What does not fit comes back.
    fn set(&mut self, value: Value) -> Option<Value>;
    /// Writes the field, unless it is missing or empty.
    fn put(&self, into: &mut Object, name: &str);
}

/// One value: alone, in a list or in a map.
pub(crate) trait Item: Sized {
    fn fits(value: &Value) -> bool;
    /// `None` only for what does not fit.
    fn read(value: Value) -> Option<Self>;
    fn write(&self) -> Value;
}

/// A JSON object with named fields: how it is read.
pub(crate) trait Model {
    /// Reads the field of that name. What no field takes comes back.
    fn set(&mut self, name: &str, value: Value) -> Option<Value>;
    /// Where what no field took is kept.
    fn extra(&mut self) -> &mut Object;
}

/// The same, how it is written: apart, so that who only reads a model has no code for writing it.
pub(crate) trait ToObject {
    fn to_object(&self) -> Object;
}

/// Reads an object into a model that is empty.
pub(crate) fn fill(model: &mut dyn Model, object: Object) {
    for (name, value) in object {
        if let Some(value) = model.set(&name, value) {
            model.extra().insert(name, value);
        }
    }
}

impl<T: Item> Field for Option<T> {
    fn set(&mut self, value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            value if T::fits(&value) => {
                *self = T::read(value);
                None
            }
            misfit => Some(misfit),
        }
    }

    fn put(&self, into: &mut Object, name: &str) {
        if let Some(item) = self {
            into.insert(name.to_owned(), item.write());
        }
    }
}

impl<T: Item> Field for Vec<T> {
    fn set(&mut self, value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Array(items) if items.iter().all(T::fits) => {
                self.extend(items.into_iter().filter_map(T::read));
                None
            }
            misfit => Some(misfit),
        }
    }

    fn put(&self, into: &mut Object, name: &str) {
        if !self.is_empty() {
            let items = self.iter().map(T::write).collect();
            into.insert(name.to_owned(), Value::Array(items));
        }
    }
}

impl<T: Item> Field for BTreeMap<String, T> {
    fn set(&mut self, value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(items) if items.values().all(T::fits) => {
                for (key, item) in items {
                    if let Some(item) = T::read(item) {
                        self.insert(key, item);
                    }
                }
                None
            }
            misfit => Some(misfit),
        }
    }

    fn put(&self, into: &mut Object, name: &str) {
        if !self.is_empty() {
            let mut items = Object::new();
            for (key, item) in self {
                items.insert(key.clone(), item.write());
            }
            into.insert(name.to_owned(), Value::Object(items));
        }
    }
}

impl Field for Object {
    fn set(&mut self, value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(object) => {
                *self = object;
                None
            }
            misfit => Some(misfit),
        }
    }

    fn put(&self, into: &mut Object, name: &str) {
        if !self.is_empty() {
            into.insert(name.to_owned(), Value::Object(self.clone()));
        }
    }
}

impl<M: Model + ToObject + Default> Item for M {
    fn fits(value: &Value) -> bool {
        value.is_object()
    }

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Object(object) => {
                let mut model = Self::default();
                fill(&mut model, object);
                Some(model)
            }
            _ => None,
        }
    }

    fn write(&self) -> Value {
        Value::Object(self.to_object())
    }
}

impl Item for Object {
    fn fits(value: &Value) -> bool {
        value.is_object()
    }

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Object(object) => Some(object),
            _ => None,
        }
    }

    fn write(&self) -> Value {
        Value::Object(self.clone())
    }
}

impl Item for Value {
    fn fits(_: &Value) -> bool {
        true
    }

    fn read(value: Value) -> Option<Self> {
        Some(value)
    }

    fn write(&self) -> Value {
        self.clone()
    }
}

/// Numbers are taken as text too: PostHog sends some ids as either.
impl Item for String {
    fn fits(value: &Value) -> bool {
        matches!(value, Value::String(_) | Value::Number(_))
    }

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn write(&self) -> Value {
        Value::String(self.clone())
    }
}

/// In lists whose places may be empty.
impl<T: Item> Item for Option<T> {
    fn fits(value: &Value) -> bool {
        value.is_null() || T::fits(value)
    }

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            value => T::read(value).map(Some),
        }
    }

    fn write(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::write)
    }
}

/// Any text, whether it says a time or not: what is no text stays in `extra`.
impl Item for Time {
    fn fits(value: &Value) -> bool {
        value.is_string()
    }

    fn read(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(Self::received(text)),
            _ => None,
        }
    }

    fn write(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl Item for bool {
    fn fits(value: &Value) -> bool {
        value.is_boolean()
    }

    fn read(value: Value) -> Option<Self> {
        value.as_bool()
    }

    fn write(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Item for i64 {
    fn fits(value: &Value) -> bool {
        integer(value).is_some()
    }

    fn read(value: Value) -> Option<Self> {
        integer(&value)
    }

    fn write(&self) -> Value {
        Value::from(*self)
    }
}

impl Item for f64 {
    fn fits(value: &Value) -> bool {
        float(value).is_some()
    }

    fn read(value: Value) -> Option<Self> {
        float(&value)
    }

    fn write(&self) -> Value {
        Value::from(*self)
    }
}

/// Below it every integer is a float of its own, so that none is changed.
pub(crate) const EXACT: f64 = 9_007_199_254_740_992.0;

/// An integer, a float without a fraction, or text that is an integer and nothing else: `007` stays text.
fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64().filter(|_| number.is_f64())?;
            let exact = float.fract() == 0.0 && float.abs() < EXACT;
            #[expect(clippy::cast_possible_truncation, reason = "checked to be exact")]
            exact.then_some(float as i64)
        }),
        Value::String(text) => plain(text).and_then(|number| number.as_i64()),
        _ => None,
    }
}

/// A number that a float holds without a change, or text that is one. Never infinite nor NaN: JSON cannot write those.
fn float(value: &Value) -> Option<f64> {
    let of_text;
    let number = match value {
        Value::Number(number) => number,
        Value::String(text) => {
            of_text = plain(text)?;
            &of_text
        }
        _ => return None,
    };
    let float = number.as_f64().filter(|float| float.is_finite())?;
    (number.is_f64() || float.abs() < EXACT).then_some(float)
}

/// A text that is a number, written as the number is written: nothing of it is lost.
fn plain(text: &str) -> Option<Number> {
    // By the parser that is there already; std's is 15 KB more in the user's program.
    let number: Number = text.parse().ok()?;
    // Made anew: with its feature `arbitrary_precision`, `serde_json` keeps the text of numbers.
    let number = match (number.as_i64(), number.as_u64()) {
        (Some(n), _) => n.into(),
        (_, Some(n)) => n.into(),
        _ => Number::from_f64(number.as_f64()?)?,
    };
    (number.to_string() == text).then_some(number)
}

/// A text that does not show itself when the model that holds it is printed with `{:?}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// The text.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Hidden {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Item for Hidden {
    fn fits(value: &Value) -> bool {
        value.is_string()
    }

    fn read(value: Value) -> Option<Self> {
        String::read(value).map(Self)
    }

    fn write(&self) -> Value {
        self.0.write()
    }
}
