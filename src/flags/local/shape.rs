//! Reads JSON of which every part may be missing, null, or of another type than expected, without giving up the rest.
//!
//! A [`Field`] is one such part. What it may be is a [`Shape`]: a text, a boolean, a number, a list of fields, or an
//! object that [`object!`] declares. A part of another shape is [`Field::Odd`]; only text that is no JSON is an error.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// One part of an object, or one element of a list.
#[derive(Debug, Default)]
pub(super) enum Field<T> {
    #[default]
    Absent,
    Null,
    /// Of another type.
    Odd,
    Is(T),
}

impl<T> Field<T> {
    /// `Err` where the type is another, `None` where it is missing or null.
    pub(super) fn known(self) -> Result<Option<T>, Odd> {
        match self {
            Self::Absent | Self::Null => Ok(None),
            Self::Is(value) => Ok(Some(value)),
            Self::Odd => Err(Odd),
        }
    }

    /// What it is, where it has the type.
    pub(super) fn get(self) -> Option<T> {
        self.known().ok().flatten()
    }
}

/// Something has an unexpected type.
#[derive(Debug)]
pub(super) struct Odd;

/// A type that a field may have. Each method says what it is as one of JSON's types; `None`: it is not that type.
pub(super) trait Shape<'de>: Sized {
    fn from_bool(_: bool) -> Option<Self> {
        None
    }

    fn from_text(_: Cow<'de, str>) -> Option<Self> {
        None
    }

    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }

    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, T: Shape<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

fn or_odd<T>(value: Option<T>) -> Field<T> {
    value.map_or(Field::Odd, Field::Is)
}

impl<'de, T: Shape<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Field<T>, E> {
        Ok(Field::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Field<T>, E> {
        Ok(or_odd(T::from_bool(value)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Field<T>, E> {
        Ok(Field::Odd)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Field<T>, E> {
        Ok(Field::Odd)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Field<T>, E> {
        Ok(Field::Odd)
    }

    fn visit_str<E>(self, value: &str) -> Result<Field<T>, E> {
        Ok(or_odd(T::from_text(Cow::Owned(value.to_owned()))))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Field<T>, E> {
        Ok(or_odd(T::from_text(Cow::Borrowed(value))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Field<T>, A::Error> {
        T::from_list(list).map(or_odd)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Field<T>, A::Error> {
        T::from_object(object).map(or_odd)
    }
}

impl Shape<'_> for bool {
    fn from_bool(value: bool) -> Option<Self> {
        Some(value)
    }
}

impl<'de> Shape<'de> for Cow<'de, str> {
    fn from_text(value: Cow<'de, str>) -> Option<Self> {
        Some(value)
    }
}

impl<'de, T: Deserialize<'de>> Shape<'de> for Vec<T> {
    fn from_list<A: SeqAccess<'de>>(mut list: A) -> Result<Option<Self>, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = list.next_element()? {
            all.push(element);
        }
        Ok(Some(all))
    }
}

/// The keys and values of an object, in their order. A key may come more than once; the last counts.
#[derive(Debug)]
pub(super) struct Entries<'de, T>(pub(super) Vec<(Cow<'de, str>, T)>);

impl<'de, T: Deserialize<'de>> Shape<'de> for Entries<'de, T> {
    fn from_object<A: MapAccess<'de>>(mut object: A) -> Result<Option<Self>, A::Error> {
        let mut all = Vec::new();
        while let Some(Key(key)) = object.next_key()? {
            all.push((key, object.next_value()?));
        }
        Ok(Some(Self(all)))
    }
}

/// A number. Not a [`Shape`]: depending on features of `serde_json` that other crates may switch on, a number looks like
/// an object, which only `Value` knows.
#[derive(Debug, Default)]
pub(super) struct Numeric(pub(super) Field<Number>);

impl<'de> Deserialize<'de> for Numeric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::Null => Field::Null,
            Value::Number(number) => Field::Is(number),
            _ => Field::Odd,
        }))
    }
}

impl Numeric {
    pub(super) fn known_f64(&self) -> Result<Option<f64>, Odd> {
        match &self.0 {
            Field::Absent | Field::Null => Ok(None),
            Field::Is(number) => number.as_f64().map(Some).ok_or(Odd),
            Field::Odd => Err(Odd),
        }
    }

    pub(super) fn known_i64(&self) -> Result<Option<i64>, Odd> {
        match &self.0 {
            Field::Absent | Field::Null => Ok(None),
            Field::Is(number) => number.as_i64().map(Some).ok_or(Odd),
            Field::Odd => Err(Odd),
        }
    }
}

/// The key of an object.
pub(super) struct Key<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Declares an object of which some keys are of use, and how to read it.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident<$life:lifetime> { $($field:ident: $kind:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(super) struct $name<$life> {
            $(pub(super) $field: $kind,)*
            pub(super) keys: std::marker::PhantomData<&$life str>,
        }

        impl<$life> $crate::flags::local::shape::Shape<$life> for $name<$life> {
            fn from_object<A: serde::de::MapAccess<$life>>(mut object: A) -> Result<Option<Self>, A::Error> {
                let mut this = Self::default();
                while let Some($crate::flags::local::shape::Key(key)) = object.next_key()? {
                    match &*key {
                        $($key => this.$field = object.next_value()?,)*
                        _ => {
                            object.next_value::<serde::de::IgnoredAny>()?;
                        }
                    }
                }
                Ok(Some(this))
            }
        }
    };
}
pub(super) use object;
