//! [`Cell`]: one value of a row, or within one, as serde reads it.
//!
//! PostHog writes some values in more than one way: numbers as text, booleans as numbers, objects and lists as text of
//! JSON, times as text. A cell reads all of them. Invariant: an integer is read exactly or not at all; a decimal is the nearest that
//! the float type has, or an error where that is infinite.

use crate::http::numbers;
use crate::redact;
use crate::rest::time::Time;
use crate::rest::whole::{Whole, twice};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde_json::{Error, Number, Value};
use std::time::SystemTime;

/// The struct that serde reads a [`SystemTime`] as.
pub(super) const SYSTEM_TIME: &str = "SystemTime";

/// The error of a value, with the name of its column.
pub(super) fn in_column(name: Option<&str>, error: Error) -> Error {
    match name {
        Some(name) => {
            let problem = redact::problem(&error);
            let name = redact::vouched_column(name);
            Error::custom(format_args!("column {name:?}: {problem}"))
        }
        None => error,
    }
}

/// One value, and the name of its column.
pub(super) struct Cell {
    pub(super) name: Option<String>,
    pub(super) value: Value,
}

impl Cell {
    pub(super) fn read<'de, S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        let name = self.name.clone();
        seed.deserialize(self)
            .map_err(|e| in_column(name.as_deref(), e))
    }

    fn of(value: Value) -> Self {
        Self { name: None, value }
    }

    fn nested<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match unpacked(self.value)? {
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter().map(Self::of));
                let read = visitor.visit_seq(&mut items)?;
                items.end().map(|()| read)
            }
            Value::Object(fields) => {
                let fields = fields
                    .into_iter()
                    .map(|(key, value)| (Self::of(key.into()), Self::of(value)));
                let mut fields = MapDeserializer::new(fields);
                let read = visitor.visit_map(&mut fields)?;
                fields.end().map(|()| read)
            }
            other => other.deserialize_any(visitor),
        }
    }

    /// A text of a time, as serde writes a [`SystemTime`].
    fn system_time<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Value::String(text) = &self.value else {
            return self.nested(visitor);
        };
        let time = Time::parse(text)
            .ok()
            .and_then(|time| time.to_system_time());
        let Some(time) = time else {
            return Err(Error::custom(
                "invalid value: string, expected a time such as 2031-04-05T06:07:08Z",
            ));
        };
        let Ok(since) = time.duration_since(SystemTime::UNIX_EPOCH) else {
            return Err(Error::custom(
                "invalid value: string, expected a time after 1970; read earlier ones as `rest::Time`",
            ));
        };
        let fields = [
            ("secs_since_epoch", since.as_secs()),
            ("nanos_since_epoch", u64::from(since.subsec_nanos())),
        ];
        visitor.visit_map(MapDeserializer::<_, Error>::new(fields.into_iter()))
    }

    /// A float of a type whose largest number is `max`.
    fn float<'de, V: Visitor<'de>>(self, max: f64, visitor: V) -> Result<V::Value, Error> {
        let text = self.value.as_str();
        let number = text.map_or_else(|| self.value.as_f64(), |text| text.parse().ok());
        let is_named = text.is_some_and(|text| text.contains(['f', 'F']));
        match number {
            Some(n) if n.abs() > max && !is_named => Err(Error::custom(
                "invalid value: floating point, expected one that the float type does not take for infinite; read it as \
                 `f64` or as text",
            )),
            Some(n) => visitor.visit_f64(n),
            None => self.value.deserialize_f64(visitor),
        }
    }

    /// An error for an integer that the float type does not hold exactly.
    fn check_float(&self, holds: impl Fn(i128) -> bool) -> Result<(), Error> {
        let integer = match &self.value {
            Value::Number(number) if number.is_f64() => None,
            Value::Number(number) => match of_number(number) {
                None => return Err(inexact()),
                integer => integer,
            },
            Value::String(text) => match text.parse::<i128>() {
                Ok(integer) => Some(integer),
                // Digits beyond 128 bits.
                Err(_) if is_integer(text) => return Err(inexact()),
                Err(_) => None,
            },
            _ => None,
        };
        match integer.is_none_or(holds) {
            true => Ok(()),
            false => Err(inexact()),
        }
    }

    fn integer(&self) -> Option<i128> {
        match &self.value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) if number.is_f64() => number
                .as_f64()
                .filter(|n| n.fract() == 0.0 && n.abs() < 9e15)
                .map(|n| n as i128),
            Value::Number(number) => of_number(number),
            _ => None,
        }
    }
}

/// An integer. With `serde_json`'s feature `arbitrary_precision`, which any crate of a build can turn on, some have more
/// than 64 bits; and its own reading calls those that do not fit a type no JSON.
fn of_number(number: &Number) -> Option<i128> {
    let small = number.as_i64().map(i128::from);
    small
        .or_else(|| number.as_u64().map(i128::from))
        .or_else(|| number.to_string().parse().ok())
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn inexact() -> Error {
    Error::custom(
        "invalid value: integer, expected one that the float type holds exactly; read it as an integer or as text",
    )
}

/// The list or object that a text is, such as that of a column `properties`. Half of a character is `U+FFFD`.
///
/// # Errors
/// If an object in the text has a name twice: one of the two would be lost.
fn unpacked(value: Value) -> Result<Value, Error> {
    match &value {
        Value::String(text) if text.starts_with(['[', '{']) => {
            let json = numbers::exact(text.as_bytes());
            let nested =
                serde_json::from_slice(&json).or_else(
                    |error| match numbers::without_lone_surrogates(&json) {
                        Some((json, _)) => serde_json::from_slice(&json),
                        None => Err(error),
                    },
                );
            match nested {
                Ok(Whole(nested)) => Ok(nested),
                Err(error) if error.is_data() => Err(twice()),
                // A text that only looks like one.
                Err(_) => Ok(value),
            }
        }
        _ => Ok(value),
    }
}

impl IntoDeserializer<'_, Error> for Cell {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.integer() {
                Some(n) => match (u64::try_from(n), i64::try_from(n)) {
                    (Ok(n), _) => visitor.visit_u64(n),
                    (_, Ok(n)) => visitor.visit_i64(n),
                    _ => visitor.visit_i128(n),
                },
                None => match &self.value {
                    Value::Number(number) if number.is_f64() => {
                        visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                    }
                    _ => self.value.$method(visitor),
                },
            }
        }
    )*};
}

/// What is asked for decides nothing: a list is read as one, an object as a map.
macro_rules! nested {
    ($($method:ident($($arg:ident: $kind:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $kind,)* visitor: V) -> Result<V::Value, Error> {
            self.nested(visitor)
        }
    )*};
}

macro_rules! forward {
    ($($method:ident($($arg:ident: $kind:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $kind,)* visitor: V) -> Result<V::Value, Error> {
            self.value.$method($($arg,)* visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Cell {
    type Error = Error;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match (self.integer(), self.value.as_str().map(str::parse)) {
            (Some(n), _) => match u64::try_from(n) {
                Ok(n) => visitor.visit_u64(n),
                Err(_) => visitor.visit_i128(n),
            },
            (None, Some(Ok(n))) => visitor.visit_u128(n),
            _ => self.value.deserialize_u128(visitor),
        }
    }

    forward! {
        deserialize_any() deserialize_char() deserialize_str()
        deserialize_bytes() deserialize_byte_buf() deserialize_unit()
        deserialize_identifier() deserialize_ignored_any()
        deserialize_unit_struct(name: &'static str)
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    nested! {
        deserialize_seq() deserialize_map()
        deserialize_tuple(_len: usize)
        deserialize_tuple_struct(_name: &'static str, _len: usize)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            SYSTEM_TIME => self.system_time(visitor),
            _ => self.nested(visitor),
        }
    }

    /// A number is text too, where that is asked for.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::Number(number) => visitor.visit_string(number.to_string()),
            _ => self.value.deserialize_string(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match (&self.value, self.value.as_u64()) {
            (_, Some(n @ (0 | 1))) => visitor.visit_bool(n == 1),
            (Value::String(text), _) => match text.as_str() {
                "true" | "1" => visitor.visit_bool(true),
                "false" | "0" => visitor.visit_bool(false),
                _ => self.value.deserialize_bool(visitor),
            },
            _ => self.value.deserialize_bool(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.check_float(|n| n as f32 as i128 == n)?;
        self.float(f64::from(f32::MAX), visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.check_float(|n| n as f64 as i128 == n)?;
        self.float(f64::MAX, visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }
}
