//! The macros that make the types of [`bodies`](crate::rest::bodies): `body!` for objects, `one_of!` for texts of a list.
//!
//! Everything that they make is inline, so that code is made for the bodies that a program uses, and no others. In tests
//! each type also makes samples of itself (`sample`), which are compared with the schemas.

/// Makes the types of bodies, and of the objects in them.
///
/// ```text
/// body! {
///     /// What it is.
///     pub struct NewThing {
///         -> /// What the constructor makes.
///         new(name: text; "kind" = "Thing")   // what PostHog requires, as arguments; and what is always the same
///         /// What the field is.
///         description: text,
///         /// What the field is.
///         limit / clear_limit: integer,       // with a method that sends `null`
///         kind as "type": part(Kind),         // under another name in JSON
///     }
/// }
/// ```
///
/// Kinds: `text`, `integer`, `number`, `percentage` (0 to 100), `boolean`, `time`, `json` (anything that is `Serialize`), `part(T)` (another
/// body, or an enum), and lists of these: `texts`, `integers`, `numbers`, `times`, `jsons`, `parts(T)`;
/// `parts_by_name(T)`: an object of parts.
///
/// A type without `new` has a constructor by hand, and for the tests a function `minimal_samples`.
macro_rules! body {
    ($($all:tt)*) => {
        object! { $($all)* }
        #[cfg(test)]
        body_samples! { $($all)* }
    };
}

/// The same without samples, for types whose fields do not all go together.
macro_rules! object {
    ($(
        $(#[$doc:meta])*
        pub struct $name:ident {
            $(
                -> $(#[$new_doc:meta])*
                new(
                    $( $required:ident $(as $required_wire:literal)? : $required_kind:ident $(($required_of:ty))? ),*
                    $(; $( $preset:literal = $preset_value:expr ),+ )?
                )
            )?
            $( $(#[$field_doc:meta])* $field:ident $(as $wire:literal)? $(/ $clear:ident)? : $kind:ident $(($of:ty))?, )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        #[must_use = "a body does nothing until it is sent"]
        pub struct $name {
            pub(in crate::rest) fields: $crate::rest::body::Fields,
        }

        $(
            impl $name {
                $(#[$new_doc])*
                #[inline]
                pub fn new($( $required: body_type!($required_kind $(($required_of))?) ),*) -> Self {
                    let fields = $crate::rest::body::Fields::default();
                    $($( let fields = $crate::rest::body::with::any(fields, $preset, $preset_value); )+)?
                    $( let fields = body_set!(fields, body_wire!($required $($required_wire)?), $required, $required_kind $(($required_of))?); )*
                    Self { fields }
                }
            }

            body_default!($name, $($required)*);
        )?

        impl $name {
            $(
                $(#[$field_doc])*
                #[inline]
                pub fn $field(self, $field: body_type!($kind $(($of))?)) -> Self {
                    Self { fields: body_set!(self.fields, body_wire!($field $($wire)?), $field, $kind $(($of))?) }
                }

                body_clear!([body_wire!($field $($wire)?)] $($clear)?);
            )*

            /// Sets any field, also to `null`: for fields that this type does not name.
            #[inline]
            pub fn set(self, field: impl AsRef<str>, value: impl Into<serde_json::Value>) -> Self {
                Self { fields: $crate::rest::body::with::any(self.fields, field, value) }
            }
        }

        impl std::fmt::Debug for $name {
            /// Shows which fields are set, not their values.
            #[inline]
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.fields).finish()
            }
        }

        impl serde::Serialize for $name {
            #[inline]
            fn serialize<S: serde::Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
                self.fields.serialize(into)
            }
        }

        impl $crate::rest::body::Part for $name {
            #[inline]
            fn into_json(self) -> Result<serde_json::Value, $crate::rest::request::Problem> {
                self.fields.into_json()
            }
        }

        impl $crate::rest::body::Sealed for $name {}

        impl $crate::rest::body::IntoBody<$name> for $name {
            #[inline]
            fn into_body(self) -> $crate::rest::body::BodyContent {
                $crate::rest::body::BodyContent(self.fields.content())
            }
        }

        impl $crate::rest::body::IntoBody<$name> for &$name {
            #[inline]
            fn into_body(self) -> $crate::rest::body::BodyContent {
                $crate::rest::body::BodyContent(self.fields.content())
            }
        }
    )*};
}

/// The method that clears a field.
macro_rules! body_clear {
    ([$wire:expr]) => {};
    ([$wire:expr] $clear:ident) => {
        #[doc = concat!("Sends `null` as `", $wire, "`, which clears the field.")]
        #[inline]
        pub fn $clear(self) -> Self {
            Self {
                fields: $crate::rest::body::with::null(self.fields, $wire),
            }
        }
    };
}

/// A type whose constructor takes nothing has a default.
macro_rules! body_default {
    ($name:ident,) => {
        impl Default for $name {
            #[inline]
            fn default() -> Self {
                Self::new()
            }
        }
    };
    ($name:ident, $($required:ident)+) => {};
}

/// What a kind of field takes.
macro_rules! body_type {
    (text) => { impl Into<String> };
    (integer) => { impl Into<serde_json::Number> };
    (number) => { impl $crate::rest::body::IntoNumber };
    (percentage) => { impl $crate::rest::body::IntoNumber };
    (boolean) => { bool };
    (time) => { impl $crate::rest::IntoTime };
    (json) => { impl serde::Serialize };
    (part($of:ty)) => { impl Into<$of> };
    (texts) => { impl IntoIterator<Item = impl Into<String>> };
    (integers) => { impl IntoIterator<Item = impl Into<serde_json::Number>> };
    (numbers) => { impl IntoIterator<Item = impl $crate::rest::body::IntoNumber> };
    (times) => { impl IntoIterator<Item = impl $crate::rest::IntoTime> };
    (jsons) => { impl IntoIterator<Item = impl serde::Serialize> };
    (parts($of:ty)) => { impl IntoIterator<Item = $of> };
    (parts_by_name($of:ty)) => { impl IntoIterator<Item = (impl Into<String>, $of)> };
}

/// The fields with one more.
macro_rules! body_set {
    ($fields:expr, $wire:expr, $value:ident, text) => {
        $crate::rest::body::with::text($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, integer) => {
        $crate::rest::body::with::integer($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, number) => {
        $crate::rest::body::with::number($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, percentage) => {
        $crate::rest::body::with::percentage($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, boolean) => {
        $crate::rest::body::with::boolean($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, time) => {
        $crate::rest::body::with::time($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, json) => {
        $crate::rest::body::with::json($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, part($of:ty)) => {
        $crate::rest::body::with::part::<$of>($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, texts) => {
        $crate::rest::body::with::texts($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, integers) => {
        $crate::rest::body::with::integers($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, numbers) => {
        $crate::rest::body::with::numbers($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, times) => {
        $crate::rest::body::with::times($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, jsons) => {
        $crate::rest::body::with::jsons($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, parts($of:ty)) => {
        $crate::rest::body::with::parts::<$of>($fields, $wire, $value)
    };
    ($fields:expr, $wire:expr, $value:ident, parts_by_name($of:ty)) => {
        $crate::rest::body::with::parts_by_name::<$of>($fields, $wire, $value)
    };
}

/// Makes a type for the texts that a field takes: as models have them, and a part of bodies.
macro_rules! one_of {
    ($(
        $(#[$doc:meta])*
        pub enum $name:ident {
            $( $(#[$value_doc:meta])* $value:ident = $wire:literal, )*
        }
    )*) => {
        $crate::rest::models::macros::values! {$(
            $(#[$doc])*
            pub enum $name {
                $( $(#[$value_doc])* $value = $wire, )*
            }
        )*}

        $(
            text_part!($name);

            #[cfg(test)]
            impl $crate::rest::body::sample::Sample for $name {
                fn samples() -> Vec<Self> {
                    vec![$( Self::$value, )*]
                }
            }
        )*
    };
}

/// Makes a set of values a part of bodies.
macro_rules! text_part {
    ($name:ty) => {
        impl $crate::rest::body::Part for $name {
            #[inline]
            fn into_json(self) -> Result<serde_json::Value, $crate::rest::request::Problem> {
                Ok(serde_json::Value::from(self.as_str()))
            }
        }
    };
}

/// The name of a field in JSON.
pub(crate) use crate::rest::models::macros::wire as body_wire;
pub(crate) use {body, body_clear, body_default, body_set, body_type, object, one_of, text_part};
