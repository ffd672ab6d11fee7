//! Reads JSON as an object that nothing is missing from.
//!
//! A [`Value`] keeps the last of two fields of one name and drops the other. Here that is an error. All answers are read
//! by this module: models, and what keeps the rest of an answer in an `extra` or is JSON of any shape. Integers beyond 64
//! bits are floats, as in every `Value`: `serde_json` reads them so.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Reads a JSON object; anything else is an error that names the model, and not what was there.
#[cfg(feature = "rest")]
pub(crate) fn read_object<'de, D: Deserializer<'de>>(
    from: D,
    model: &'static str,
) -> Result<Map<String, Value>, D::Error> {
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

/// The error of an object that has a name twice.
pub(crate) fn twice<E: Error>() -> E {
    E::custom("an object has a name twice")
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Wholly).map(Self)
    }
}

/// The name by which `serde_json` hands a number on where some crate of a build turns its feature `arbitrary_precision` on.
const NUMBER: &str = "$serde_json::private::Number";

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

    /// With `arbitrary_precision`, a [`Value`] hands out integers beyond 64 bits.
    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        serde_json::from_str(&value.to_string()).map_err(E::custom)
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        serde_json::from_str(&value.to_string()).map_err(E::custom)
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
        let mut object = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            if object.contains_key(&name) {
                return Err(twice());
            }
            let Whole(value) = from.next_value()?;
            if name == NUMBER
                && object.is_empty()
                && let Some(Ok(number)) = value.as_str().map(str::parse)
            {
                return Ok(Value::Number(number));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(all(test, feature = "rest"))]
mod tests {
    use super::*;
    #[cfg(feature = "rest")]
    use crate::rest::models::FlagVariant;
    use serde::de::IntoDeserializer;
    use serde::de::value::{Error, MapDeserializer};
    use serde_json::json;

    /// A number as `serde_json` hands it out with that feature.
    struct AsText(&'static str);

    impl<'de> Deserializer<'de> for AsText {
        type Error = Error;

        fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            visitor.visit_map(MapDeserializer::new([(NUMBER, self.0)].into_iter()))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
            unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    impl IntoDeserializer<'_, Error> for AsText {
        type Deserializer = Self;

        fn into_deserializer(self) -> Self {
            self
        }
    }

    #[test]
    fn numbers_that_come_as_text_are_numbers() {
        let fields = [("x", AsText("1.5")), ("y", AsText("-7"))];
        let object = read_object(MapDeserializer::new(fields.into_iter()), "Thing").unwrap();
        assert_eq!(Value::Object(object), json!({"x": 1.5, "y": -7}));
    }

    /// Sees something only by `cargo test --lib --features serde_json/arbitrary_precision`.
    #[test]
    fn models_read_numbers_whatever_feature_serde_json_has() {
        let text = r#"{"rollout_percentage": 12.5, "more": [1.5, 7, 1e3]}"#;
        for variant in [
            serde_json::from_str::<FlagVariant>(text),
            serde_json::from_str(text).and_then(serde_json::from_value),
        ] {
            let variant = variant.unwrap();
            assert_eq!(variant.rollout_percentage, Some(12.5));
            let more = variant.extra["more"].as_array().unwrap().iter();
            assert!(
                more.map(Value::as_f64)
                    .eq([Some(1.5), Some(7.0), Some(1e3)])
            );
        }
        let text = r#"{"rollout_percentage": "1.50", "order": "-0"}"#;
        let variant: FlagVariant = serde_json::from_str(text).unwrap();
        assert_eq!(variant.rollout_percentage, None, "{variant:?}");
    }

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
