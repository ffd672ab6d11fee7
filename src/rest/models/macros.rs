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
//! trait, [`Field`](super::field::Field), whose instances are shared by all models, so that a field costs one call.

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
            pub extra: $crate::rest::models::field::Object,
        }

        impl $crate::rest::models::field::Model for $name {
            // Inline, as all else here: code is made for the models that a program uses, and no others.
            #[inline]
            fn set(&mut self, name: &str, value: serde_json::Value) -> Option<serde_json::Value> {
                match name {
                    $( wire!($field $($wire)?) =>
                        $crate::rest::models::field::Field::set(&mut self.$field, value), )*
                    _ => Some(value),
                }
            }

            #[inline]
            fn extra(&mut self) -> &mut $crate::rest::models::field::Object {
                &mut self.extra
            }
        }

        impl $crate::rest::models::field::ToObject for $name {
            #[inline]
            fn to_object(&self) -> $crate::rest::models::field::Object {
                let mut object = self.extra.clone();
                $( $crate::rest::models::field::Field::put(
                    &self.$field, &mut object, wire!($field $($wire)?)); )*
                object
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let object = $crate::rest::whole::read_object(from, stringify!($name))?;
                let mut model = Self::default();
                $crate::rest::models::field::fill(&mut model, object);
                Ok(model)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
                $crate::rest::models::field::ToObject::to_object(self).serialize(into)
            }
        }

        impl From<$name> for serde_json::Value {
            #[inline]
            fn from(model: $name) -> Self {
                Self::Object($crate::rest::models::field::ToObject::to_object(&model))
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
            /// A value that this version does not know.
            Other(String),
        }

        impl $name {
            /// The value as PostHog writes it.
            #[inline]
            pub fn as_str(&self) -> &str {
                match self {
                    $( Self::$value => $wire, )*
                    Self::Other(text) => text,
                }
            }
        }

        impl From<String> for $name {
            #[inline]
            fn from(text: String) -> Self {
                match text.as_str() {
                    $( $wire => Self::$value, )*
                    _ => Self::Other(text),
                }
            }
        }

        impl From<&str> for $name {
            #[inline]
            fn from(text: &str) -> Self {
                Self::from(text.to_owned())
            }
        }

        impl $crate::rest::models::field::Item for $name {
            #[inline]
            fn fits(value: &serde_json::Value) -> bool {
                value.is_string()
            }

            #[inline]
            fn read(value: serde_json::Value) -> Option<Self> {
                match value {
                    serde_json::Value::String(text) => Some(text.into()),
                    _ => None,
                }
            }

            #[inline]
            fn write(&self) -> serde_json::Value {
                serde_json::Value::from(self.as_str())
            }
        }

        impl std::fmt::Display for $name {
            #[inline]
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            #[inline]
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                String::deserialize(from).map(Self::from)
            }
        }

        impl serde::Serialize for $name {
            #[inline]
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
            #[inline]
            pub fn as_i64(self) -> i64 {
                match self {
                    $( Self::$value => $wire, )*
                    Self::Other(number) => number,
                }
            }
        }

        impl From<i64> for $name {
            #[inline]
            fn from(number: i64) -> Self {
                match number {
                    $( $wire => Self::$value, )*
                    _ => Self::Other(number),
                }
            }
        }

        impl $crate::rest::models::field::Item for $name {
            #[inline]
            fn fits(value: &serde_json::Value) -> bool {
                <i64 as $crate::rest::models::field::Item>::fits(value)
            }

            #[inline]
            fn read(value: serde_json::Value) -> Option<Self> {
                <i64 as $crate::rest::models::field::Item>::read(value).map(Self::from)
            }

            #[inline]
            fn write(&self) -> serde_json::Value {
                serde_json::Value::from(self.as_i64())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            #[inline]
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                i64::deserialize(from).map(Self::from)
            }
        }

        impl serde::Serialize for $name {
            #[inline]
            fn serialize<S: serde::Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
                into.serialize_i64(self.as_i64())
            }
        }
    )*};
}

pub(super) use {levels, model};
pub(crate) use {values, wire};
