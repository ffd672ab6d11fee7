//! The two macros that make models and sets of values, and the code under them.
//!
//! ```text
//! model! {
//!     /// What it is.
//!     pub struct Thing {
//!         /// What the field is.
//!         name: Option<String>,
//!         /// A field under another name in JSON.
//!         kind as "type": Option<String>,
//!         /// Lists and maps of anything are empty where PostHog sends none.
//!         tags: Vec<String>,
//!     }
//! }
//!
//! values! {
//!     /// What they are.
//!     pub enum Stage {
//!         /// Optional: what the value means; the text itself is added.
//!         Beta = "beta",
//!     }
//! }
//! ```
//!
//! `levels!` is `values!` for numbers. All three make plain items: fields are read and written by one
//! trait, [`Field`], whose instances are shared by all models, so that a field costs one call.

use crate::rest::Time;
use serde::de::{Deserialize, Deserializer, Error};
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

/// An integer, a float without a fraction, or text that is an integer.
fn integer(value: &Value) -> Option<i64> {
    /// Up to here every integer is a float, so that none is changed.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            let float = number.as_f64()?;
            let exact = float.fract() == 0.0 && float.abs() <= EXACT;
            #[expect(clippy::cast_possible_truncation, reason = "checked to be exact")]
            exact.then_some(float as i64)
        }),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// A number, or text that is one. Never infinite nor NaN: JSON cannot write those.
fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        // By the parser that is there already; std's is 15 KB more in the user's program.
        Value::String(text) => text.parse().ok().and_then(|n: Number| n.as_f64()),
        _ => None,
    }
    .filter(|float: &f64| float.is_finite())
}

/// Reads a JSON object; anything else is an error that names the model, and not what was there.
pub(crate) fn read_object<'de, D: Deserializer<'de>>(
    from: D,
    model: &'static str,
) -> Result<Object, D::Error> {
    let what = match Value::deserialize(from)? {
        Value::Object(object) => return Ok(object),
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
    };
    Err(D::Error::custom(format_args!(
        "{model} is a JSON object, but here is {what}"
    )))
}

macro_rules! wire {
    ($field:ident) => {
        stringify!($field)
    };
    ($field:ident $wire:literal) => {
        $wire
    };
}

macro_rules! model {
    ($(
        $(#[$doc:meta])*
        pub struct $name:ident {
            $( $(#[$field_doc:meta])* $field:ident $(as $wire:literal)? : $kind:ty, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default)]
        #[allow(missing_docs)] // of fields whose name says all
        #[non_exhaustive]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $kind, )*
            /// What PostHog sent beyond these fields, or in a type that none of them takes: untouched.
            pub extra: $crate::rest::models::macros::Object,
        }

        impl $crate::rest::models::macros::Model for $name {
            // Inline, as all else here: code is made for the models that a program uses, and no others.
            #[inline]
            fn set(&mut self, name: &str, value: serde_json::Value) -> Option<serde_json::Value> {
                match name {
                    $( wire!($field $($wire)?) =>
                        $crate::rest::models::macros::Field::set(&mut self.$field, value), )*
                    _ => Some(value),
                }
            }

            #[inline]
            fn extra(&mut self) -> &mut $crate::rest::models::macros::Object {
                &mut self.extra
            }
        }

        impl $crate::rest::models::macros::ToObject for $name {
            #[inline]
            fn to_object(&self) -> $crate::rest::models::macros::Object {
                let mut object = self.extra.clone();
                $( $crate::rest::models::macros::Field::put(
                    &self.$field, &mut object, wire!($field $($wire)?)); )*
                object
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let object = $crate::rest::models::macros::read_object(from, stringify!($name))?;
                let mut model = Self::default();
                $crate::rest::models::macros::fill(&mut model, object);
                Ok(model)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
                $crate::rest::models::macros::ToObject::to_object(self).serialize(into)
            }
        }

        impl From<$name> for serde_json::Value {
            #[inline]
            fn from(model: $name) -> Self {
                Self::Object($crate::rest::models::macros::ToObject::to_object(&model))
            }
        }
    )*};
}

macro_rules! values {
    ($(
        $(#[$doc:meta])*
        pub enum $name:ident {
            $( $(#[$value_doc:meta])* $value:ident = $wire:literal, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$value_doc])*
                #[doc = concat!("`", $wire, "`.")]
                $value,
            )*
            /// A value that this version does not know, as PostHog sent it.
            Other(String),
        }

        impl $name {
            /// The value as PostHog writes it.
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$value => $wire, )*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                match text.as_str() {
                    $( $wire => Self::$value, )*
                    _ => Self::Other(text),
                }
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::from(text.to_owned())
            }
        }

        impl $crate::rest::models::macros::Item for $name {
            fn fits(value: &serde_json::Value) -> bool {
                value.is_string()
            }

            fn read(value: serde_json::Value) -> Option<Self> {
                match value {
                    serde_json::Value::String(text) => Some(text.into()),
                    _ => None,
                }
            }

            fn write(&self) -> serde_json::Value {
                serde_json::Value::from(self.as_str())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from).map(Self::from)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
                into.serialize_str(self.as_str())
            }
        }
    )*};
}

macro_rules! levels {
    ($(
        $(#[$doc:meta])*
        pub enum $name:ident {
            $( $(#[$value_doc:meta])* $value:ident = $wire:literal, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $(
                $(#[$value_doc])*
                #[doc = concat!("`", $wire, "`.")]
                $value,
            )*
            /// A number that this version does not know, as PostHog sent it.
            Other(i64),
        }

        impl $name {
            /// The number as PostHog writes it.
            pub fn as_i64(self) -> i64 {
                match self {
                    $( Self::$value => $wire, )*
                    Self::Other(number) => number,
                }
            }
        }

        impl From<i64> for $name {
            fn from(number: i64) -> Self {
                match number {
                    $( $wire => Self::$value, )*
                    _ => Self::Other(number),
                }
            }
        }

        impl $crate::rest::models::macros::Item for $name {
            fn fits(value: &serde_json::Value) -> bool {
                <i64 as $crate::rest::models::macros::Item>::fits(value)
            }

            fn read(value: serde_json::Value) -> Option<Self> {
                <i64 as $crate::rest::models::macros::Item>::read(value).map(Self::from)
            }

            fn write(&self) -> serde_json::Value {
                serde_json::Value::from(self.as_i64())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                i64::deserialize(from).map(Self::from)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
                into.serialize_i64(self.as_i64())
            }
        }
    )*};
}

pub(super) use {levels, model, values, wire};

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
