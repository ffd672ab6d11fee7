//! What the generated files are made with: sets of query parameters, and enums of the values that they take.

/// Makes a marker type for the query parameters of an operation, and the methods of a request that has it. The type's
/// documentation lists them all: rustdoc shows the methods among the hundreds of `Request`.
///
/// A line is `/// What it is.`, then `method "name in the URL": kind,`. Kinds: `text`, `integer`, `number`, `boolean`,
/// `time`, `json`, `one(values::T)`, and lists of them: sent as one JSON text (`texts`, `integers`, `some(values::T)`), or
/// as repeated keys (`each_text`, `each(values::T)`).
macro_rules! params {
    ($( $(#[$doc:meta])* pub enum $name:ident { $( $(#[$param_doc:meta])* $method:ident $wire:literal : $kind:ident $(($of:ty))?, )* } )*) => {$(
        $(#[$doc])*
        ///
        /// Methods of a request that has these parameters:
        $(
            #[doc = concat!("- `", stringify!($method), "`:")]
            $(#[$param_doc])*
        )*
        #[derive(Debug)]
        pub enum $name {}

        impl<A> Request<A, $name> {
            $(
                $(#[$param_doc])*
                #[inline]
                pub fn $method(self, value: param_type!($kind $(($of))?)) -> Self {
                    param_set!(self, $wire, value, $kind)
                }
            )*
        }
    )*};
}

/// What a kind of parameter takes.
macro_rules! param_type {
    (text) => { impl Display };
    (integer) => { impl Into<Number> };
    (number) => { impl IntoNumber };
    (boolean) => { bool };
    (time) => { impl IntoTime };
    (json) => { impl Serialize };
    (one($of:ty)) => { $of };
    (texts) => { impl IntoIterator<Item = impl Display> };
    (integers) => { impl IntoIterator<Item = impl Into<Number>> };
    (some($of:ty)) => { impl IntoIterator<Item = $of> };
    (each_text) => { impl IntoIterator<Item = impl Display> };
    (each($of:ty)) => { impl IntoIterator<Item = $of> };
}

/// How it is sent.
macro_rules! param_set {
    ($request:expr, $wire:literal, $value:ident, text) => {
        $request.query($wire, $value)
    };
    ($request:expr, $wire:literal, $value:ident, integer) => {
        $request.query($wire, $value.into())
    };
    ($request:expr, $wire:literal, $value:ident, number) => {
        $request.query_number($wire, $value.into_number())
    };
    ($request:expr, $wire:literal, $value:ident, boolean) => {
        $request.query($wire, $value)
    };
    ($request:expr, $wire:literal, $value:ident, time) => {
        $request.query_time($wire, $value.into_time())
    };
    ($request:expr, $wire:literal, $value:ident, json) => {
        $request.query_json($wire, &$value)
    };
    ($request:expr, $wire:literal, $value:ident, one) => {
        $request.query($wire, $value)
    };
    ($request:expr, $wire:literal, $value:ident, texts) => {
        $request.query_list($wire, $value)
    };
    ($request:expr, $wire:literal, $value:ident, integers) => {
        $request.query_integers($wire, $value)
    };
    ($request:expr, $wire:literal, $value:ident, some) => {
        $request.query_list($wire, $value)
    };
    ($request:expr, $wire:literal, $value:ident, each_text) => {
        $request.query_repeated($wire, $value)
    };
    ($request:expr, $wire:literal, $value:ident, each) => {
        $request.query_repeated($wire, $value)
    };
}

/// Makes enums of the values that a query parameter takes.
macro_rules! choices {
    ($( $(#[$doc:meta])* pub enum $name:ident { $( $variant:ident = $text:literal, )* } )*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name {
            $( #[doc = concat!("`", $text, "`")] $variant, )*
            /// Any other value.
            Other(String),
        }

        impl Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $( Self::$variant => $text, )*
                    Self::Other(value) => value,
                })
            }
        }
    )*};
}

pub(super) use {choices, param_set, param_type, params};
