//! Names of error types, also where the type itself is lost.
//!
//! ```text
//! E ───────────► [typed] std::any::type_name, without wrappers and lifetimes ──┐
//! &dyn Error ──► [known] types that this crate can ask for ────────────────────┼──► "shop::PayError", "std::io::Error"
//!            └─► [Head] the beginning of the `Debug` text, where it is a path ─┘
//! ```
//!
//! Invariants:
//! - A `Debug` of the program is asked for no more than its first words. One that panics, writes without end, or captures
//!   the same error again costs the name.
//! - Names hold no versions, hashes, lifetimes or addresses: they decide how PostHog groups exceptions.
//! - [`type_key`] and [`TypeName::of`] allocate nothing. [`type_key`] runs no code of the program.

use super::Exception;
use crate::panic::catch;
use std::borrow::Cow;
use std::cell::Cell;
use std::error::Error;
use std::fmt::{self, Debug, Write};
use std::hash::Hasher;
use std::sync::Arc;

/// As much of a `Debug` text as is read. A longer name is none.
const MAX_HEAD: usize = 128;
/// A longer name of a known type loses its generic parameters.
const MAX_TYPED: usize = 200;

/// The name of an error's type, as far as it can be known.
pub(crate) enum TypeName {
    Known(&'static str),
    Read(Head),
}

impl TypeName {
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        match known(error) {
            Some(name) => Self::Known(name),
            None => Self::Read(Head::of(error)),
        }
    }

    /// Empty: not known.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Known(name) => name,
            Self::Read(head) => head.name().unwrap_or_default(),
        }
    }
}

macro_rules! known {
    ($($path:literal $type:ty,)*) => {
        /// The name of a type whose `Debug` text says something else, or less than its path.
        fn known(error: &(dyn Error + 'static)) -> Option<&'static str> {
            $(if error.is::<$type>() {
                return Some($path);
            })*
            None
        }

        /// The public path of such a type, by the path of its definition.
        fn public_path(defined: &str) -> Option<&'static str> {
            $(if defined == std::any::type_name::<$type>() {
                return Some($path);
            })*
            None
        }
    };
}

known! {
    "std::io::Error" std::io::Error,
    "std::io::Error" Arc<std::io::Error>,
    "serde_json::Error" serde_json::Error,
    "reqwest::Error" reqwest::Error,
    "tracing_posthog::PostHogError" crate::PostHogError,
    "std::fmt::Error" fmt::Error,
    "std::num::ParseIntError" std::num::ParseIntError,
    "std::num::ParseFloatError" std::num::ParseFloatError,
    "std::num::TryFromIntError" std::num::TryFromIntError,
    "std::str::Utf8Error" std::str::Utf8Error,
    "std::str::ParseBoolError" std::str::ParseBoolError,
    "std::string::FromUtf8Error" std::string::FromUtf8Error,
    "std::char::ParseCharError" std::char::ParseCharError,
    "std::env::VarError" std::env::VarError,
    "std::net::AddrParseError" std::net::AddrParseError,
    "std::time::SystemTimeError" std::time::SystemTimeError,
    "std::array::TryFromSliceError" std::array::TryFromSliceError,
    "std::sync::mpsc::RecvError" std::sync::mpsc::RecvError,
    "std::sync::mpsc::RecvTimeoutError" std::sync::mpsc::RecvTimeoutError,
    "std::sync::mpsc::TryRecvError" std::sync::mpsc::TryRecvError,
    "tokio::time::error::Elapsed" tokio::time::error::Elapsed,
    "tokio::task::JoinError" tokio::task::JoinError,
}

/// The name of a type that is not lost.
pub(super) fn typed<E: Error + 'static>() -> Cow<'static, str> {
    readable(std::any::type_name::<E>())
}

/// Without what only passes an error on, without lifetimes, and of a length that one can read.
fn readable(name: &'static str) -> Cow<'static, str> {
    let mut inner = name;
    while let Some(next) = unwrapped(inner) {
        inner = next;
    }
    if let Some(path) = public_path(inner) {
        return path.into();
    }
    let whole = match inner.contains('\'') {
        true => Cow::Owned(without_lifetimes(inner)),
        false => Cow::Borrowed(inner),
    };
    match whole.split_once('<') {
        Some((head, _)) if whole.len() > MAX_TYPED => head.to_owned().into(),
        _ => whole,
    }
}

fn unwrapped(name: &str) -> Option<&str> {
    const WRAPPERS: [&str; 3] = [
        "alloc::boxed::Box<",
        "alloc::sync::Arc<",
        "tracing_error::error::TracedError<",
    ];
    let of = |wrapper: &&str| name.strip_prefix(*wrapper)?.strip_suffix('>');
    name.strip_prefix('&')
        .or_else(|| WRAPPERS.iter().find_map(of))
}

fn without_lifetimes(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('\'') {
        out.push_str(before);
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        rest = after.trim_start_matches(is_name);
        rest = rest.strip_prefix(", ").unwrap_or(rest);
    }
    out.push_str(rest);
    out.replace(", >", ">").replace("<>", "")
}

thread_local! {
    /// Whether a `Debug` text is being read on this thread: its `Debug` may log the same error.
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// The beginning of a `Debug` text, as far as it takes to see whether that is the path of a type or a variant.
pub(crate) struct Head {
    text: [u8; MAX_HEAD],
    len: usize,
    /// Whether the text ends here.
    is_whole: bool,
}

impl Head {
    /// Reads the beginning of the text. The text is made only as far as that.
    pub(crate) fn of(value: &(impl Debug + ?Sized)) -> Self {
        let mut head = Self {
            text: [0; MAX_HEAD],
            len: 0,
            is_whole: false,
        };
        if READING.try_with(|reading| reading.replace(true)) == Ok(false) {
            let written = catch(|| write!(head, "{value:?}").is_ok());
            match written {
                Some(written) => head.is_whole = written && head.len < MAX_HEAD,
                None => head.len = 0,
            }
            let _ = READING.try_with(|reading| reading.set(false));
        }
        head
    }

    /// The name. `None`: the text does not begin with one.
    pub(crate) fn name(&self) -> Option<&str> {
        let (name, rest) = self.split();
        let ends_well = match rest {
            [] => self.is_whole,
            [b'(' | b'{' | b'<', ..] | [b' ', b'{', ..] => true,
            _ => false,
        };
        let name = std::str::from_utf8(name).ok()?;
        (ends_well && is_path(name) && !is_context(name, rest)).then_some(name)
    }

    /// What may be a path, and what follows it.
    fn split(&self) -> (&[u8], &[u8]) {
        let text = self.text.get(..self.len).unwrap_or_default();
        let is_of_path = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
        let end = text.iter().position(|byte| !is_of_path(byte));
        text.split_at(end.unwrap_or(text.len()))
    }

    fn is_decided(&self) -> bool {
        match self.split() {
            (_, []) | (_, [b' ']) => false,
            (b"Error", rest) if rest.starts_with(b" {") => rest.len() >= CONTEXTS[0].len(),
            _ => true,
        }
    }
}

impl Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let free = self.text.get_mut(self.len..).unwrap_or_default();
        let fits = text.len().min(free.len());
        for (to, from) in free.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        self.len += fits;
        match fits < text.len() || self.is_decided() {
            true => Err(fmt::Error),
            false => Ok(()),
        }
    }
}

/// A type, or a variant: so that a lower-case word is none.
fn is_path(name: &str) -> bool {
    let mut last = "";
    for segment in name.split("::") {
        if !segment.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            || segment.contains(':')
        {
            return false;
        }
        last = segment;
    }
    last.starts_with(|c: char| c.is_ascii_uppercase())
}

/// How `anyhow` and `eyre` show what was added to an error: not a type that says anything. The longest first.
const CONTEXTS: [&[u8]; 2] = [b" { context: \"", b" { msg: \""];

fn is_context(name: &str, rest: &[u8]) -> bool {
    name == "Error" && CONTEXTS.iter().any(|context| rest.starts_with(context))
}

/// A number that tells the type of an error from most others. Not zero. The cheapest look that there is: it asks the
/// error nothing.
pub(crate) fn type_key(error: &(dyn Error + 'static)) -> u64 {
    let mut hasher = Fnv(FNV);
    match error.downcast_ref::<Exception>() {
        Some(exception) => hasher.write(exception.type_name().as_bytes()),
        // A wide pointer is hashed as two numbers: where the error is, then its table of methods.
        None => std::ptr::hash(error, &mut hasher),
    }
    hasher.finish() | 1
}

const FNV: u64 = 0xcbf2_9ce4_8422_2325;

/// Hashes text; of numbers it keeps the last.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_usize(&mut self, number: usize) {
        self.0 = number as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shows(&'static str);

    impl Debug for Shows {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    fn name(text: &'static str) -> Option<String> {
        // In one piece, and character by character.
        let whole = Head::of(&Shows(text)).name().map(str::to_owned);
        struct Pieces(&'static str);
        impl Debug for Pieces {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.chars().try_for_each(|c| f.write_char(c))
            }
        }
        let pieces = Head::of(&Pieces(text)).name().map(str::to_owned);
        assert_eq!(whole, pieces, "{text}");
        whole
    }

    #[test]
    fn a_name_is_a_path_of_rust_that_ends_as_one() {
        for (text, want) in [
            ("PayError", Some("PayError")),
            ("PayError { code: 3 }", Some("PayError")),
            ("PayError{code:3}", Some("PayError")),
            ("Declined(\"no money\")", Some("Declined")),
            (
                "shop::PayError::Declined(3)",
                Some("shop::PayError::Declined"),
            ),
            ("Failed<u8> { }", Some("Failed")),
            ("Error", Some("Error")),
            ("Error { code: 3 }", Some("Error")),
            ("Error { message: \"x\" }", Some("Error")),
            ("Error { context: \"reading\", source: X }", None),
            ("Error { msg: \"reading\", source: X }", None),
            ("\"a text\"", None),
            ("connection refused", None),
            ("error", None),
            ("error { }", None),
            ("Connection refused", None),
            ("Timeout (5 s)", None),
            ("Timeout: 5 s", None),
            ("Timeout, 5 s", None),
            ("A:B", None),
            ("::A", None),
            ("A::", None),
            ("A::3", None),
            ("3A", None),
            ("", None),
            ("Überlauf", None),
            ("[1, 2]", None),
        ] {
            assert_eq!(name(text).as_deref(), want, "{text}");
        }
        assert_eq!(name("A".repeat(2000).leak()), None);
    }

    #[test]
    fn debug_is_asked_no_further_than_it_must_be() {
        struct Inner;
        impl Debug for Inner {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                unreachable!("asked too far")
            }
        }
        #[derive(Debug)]
        #[allow(dead_code)]
        struct Outer {
            inner: Inner,
        }
        #[derive(Debug)]
        #[allow(dead_code)]
        struct Tuple(Inner);
        let name = |value: &dyn Debug| Head::of(value).name().map(str::to_owned);
        assert_eq!(name(&Outer { inner: Inner }).as_deref(), Some("Outer"));
        assert_eq!(name(&Tuple(Inner)).as_deref(), Some("Tuple"));
    }

    #[test]
    fn hostile_debug_costs_the_name() {
        struct Endless;
        impl Debug for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("A")?;
                }
            }
        }
        struct Panics;
        impl Debug for Panics {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let _ = f.write_str("Panics");
                std::panic::panic_any(3)
            }
        }
        struct Within;
        impl Debug for Within {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                assert_eq!(Head::of(self).name(), None);
                f.write_str("Within")
            }
        }
        struct GivesUp;
        impl Debug for GivesUp {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let _ = f.write_str("GivesUp");
                Err(fmt::Error)
            }
        }
        assert_eq!(Head::of(&Endless).name(), None);
        assert_eq!(Head::of(&Panics).name(), None);
        assert_eq!(Head::of(&GivesUp).name(), None);
        assert_eq!(Head::of(&Within).name(), Some("Within"));
        assert_eq!(Head::of(&Within).name(), Some("Within"));
    }

    #[test]
    fn what_passes_an_error_on_is_not_its_type() {
        for (name, want) in [
            ("shop::PayError", "shop::PayError"),
            ("alloc::boxed::Box<shop::PayError>", "shop::PayError"),
            ("&alloc::sync::Arc<alloc::boxed::Box<a::B>>", "a::B"),
            ("tracing_error::error::TracedError<a::B>", "a::B"),
            ("a::Of<a::B>", "a::Of<a::B>"),
            ("alloc::sync::Arc<std::io::error::Error>", "std::io::Error"),
            ("a::Of<'_>", "a::Of"),
            ("a::Of<'a, 'b, a::B>", "a::Of<a::B>"),
            ("a::Of<a::B<'_>, &'static str>", "a::Of<a::B, & str>"),
        ] {
            assert_eq!(readable(name), want);
        }
        let long = format!("a::Of<{}>", "b::C, ".repeat(99)).leak();
        assert_eq!(readable(long), "a::Of");
    }

    #[test]
    fn the_key_is_of_the_type_and_not_of_the_value() {
        let ints = ["x", "999999999999"].map(|text| text.parse::<i32>().unwrap_err());
        let float = "x".parse::<f64>().unwrap_err();
        let key = |error: &(dyn Error + 'static)| type_key(error);
        assert_eq!(key(&ints[0]), key(&ints[1]));
        assert_ne!(key(&ints[0]), key(&float));
        let exception = |name: &str| type_key(&Exception::new(name, "x"));
        assert_eq!(exception("A"), exception("A"));
        assert_ne!(exception("A"), exception("B"));
    }
}
