//! Reads JSON as an object that nothing is missing from.
//!
//! A [`Value`] keeps the last of two fields of one name and drops the other. Here that is an error. Integers beyond 64 bits
//! are floats, as in every `Value`: `serde_json` reads them so.

use super::field::Object;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::fmt;

/// Reads a JSON object; anything else is an error that names the model, and not what was there.
pub(crate) fn read_object<'de, D: Deserializer<'de>>(
    from: D,
    model: &'static str,
) -> Result<Object, D::Error> {
    let what = match Whole::deserialize(from)?.0 {
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

/// Any JSON in which no object has a name twice: a [`Value`] would keep one of the two.
pub(crate) struct Whole(pub(crate) Value);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Wholly).map(Self)
    }
}

struct Wholly;

impl<'de> Visitor<'de> for Wholly {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Whole(item)) = from.next_element()? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut object = Object::new();
        while let Some(name) = from.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom("an object has a name twice"));
            }
            let Whole(value) = from.next_value()?;
            object.insert(name, value);
        }
        let value = Value::Object(object);
        Ok(number(&value).map_or(value, Value::Number))
    }
}

/// The number that an object stands for. With its feature `arbitrary_precision`, which any crate of a build can turn on,
/// `serde_json` hands floats and large integers out as objects of one text.
fn number(value: &Value) -> Option<Number> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let is_text = object.values().all(Value::is_string);
    is_text.then(|| Number::deserialize(value).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Sees something only by `cargo test --lib --features serde_json/arbitrary_precision`.
    #[test]
    fn numbers_of_any_size_stay_numbers() {
        let text = r#"{"a":[0.5,1.10,123456789012345678901234567890],"b":{"c":-2.5e3}}"#;
        let Whole(whole) = serde_json::from_str(text).unwrap();
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(whole, value);
        let Whole(again) = Whole::deserialize(&value).unwrap();
        assert_eq!(again, value);
    }

    #[test]
    fn objects_of_one_text_stay_objects() {
        for value in [
            json!({"a": "1"}),
            json!({"a": {"b": "1.5"}}),
            json!([{"": "1"}]),
        ] {
            let Whole(whole) = Whole::deserialize(&value).unwrap();
            assert_eq!(whole, value);
        }
    }
}
