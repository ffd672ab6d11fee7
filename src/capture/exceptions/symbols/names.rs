//! Names of functions: the same text for every build, and for both of Rust's manglings.
//!
//! Hashes, disambiguators and generic arguments are removed. A method of a type stands as `shop::Pay::charge`, that of a
//! trait as `<shop::Pay as shop::Charge>::charge`, all that a closure or an async block is called as `{closure}`.

use smallvec::SmallVec;

/// How long a name is at most, in bytes. A mangled name can stand for a much longer one.
const MAX_NAME: usize = 1_000;

/// What a closure or an async block is called, which is also the body of an async function.
pub(super) const CLOSURE: &str = "{closure}";

/// The name that a symbol stands for.
pub(super) fn name_of_symbol(symbol: &str) -> String {
    match rustc_demangle::try_demangle(symbol) {
        Ok(name) => name_of_text(&bounded(format_args!("{name:#}"))),
        // C's, or what line tables alone have: the last segment with its generic arguments.
        Err(_) => {
            let symbol = if cfg!(target_vendor = "apple") {
                symbol.strip_prefix('_').unwrap_or(symbol)
            } else {
                symbol
            };
            let end = symbol.find(['.', '@']).filter(|at| *at > 0);
            path(cut(&symbol[..end.unwrap_or(symbol.len())]), 0)
        }
    }
}

/// The name that a demangled one stands for, as a backtrace's text has it.
pub(super) fn name_of_text(text: &str) -> String {
    path(cut(text.trim()), 0)
}

/// The path of a function without the last segment that has a name, where all of it is plain.
pub(super) fn module_of(function: &str) -> Option<&str> {
    let mut module = function;
    let mut named = false;
    while let Some((rest, last)) = module.rsplit_once("::") {
        module = rest;
        if !last.starts_with('{') {
            named = true;
            break;
        }
    }
    let plain = module.split("::").all(is_identifier);
    (named && plain).then_some(module)
}

/// The last segment.
///
/// All that is known of an inlined function where there are line tables only. Which functions are inlined changes from
/// build to build.
pub(super) fn last_segment(function: &str) -> &str {
    function.rsplit("::").next().unwrap_or(function)
}

/// The crate that a function's code is of: that of its path, or of the type whose method it is, or of the trait where the
/// type is of no crate.
pub(super) fn crate_of(function: &str) -> Option<&str> {
    let Some(inner) = function.strip_prefix('<') else {
        let (name, rest) = function.split_once("::")?;
        return (is_identifier(name) && !rest.is_empty()).then_some(name);
    };
    let inner = &inner[..closing(inner)?];
    let (of, of_trait) = inner.split_once(" as ").unwrap_or((inner, ""));
    [of, of_trait].into_iter().find_map(crate_of_type)
}

fn crate_of_type(name: &str) -> Option<&str> {
    let mut name = name.trim_start_matches(['&', '[', '(', '*', '<']);
    while let Some(rest) = ["mut ", "const ", "dyn ", "&"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix))
    {
        name = rest.trim_start_matches(['&', '[', '(', '*', '<']);
    }
    let (first, rest) = name.split_once("::")?;
    (is_identifier(first) && !rest.is_empty()).then_some(first)
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_alphabetic())
        && text.chars().all(|c| c == '_' || c.is_alphanumeric())
}

/// Renders at most as much as is kept.
fn bounded(text: std::fmt::Arguments<'_>) -> String {
    struct Bounded(String);
    impl std::fmt::Write for Bounded {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            // Generic arguments go later: more is needed than what is left.
            if self.0.len() + text.len() > 8 * MAX_NAME {
                return Err(std::fmt::Error);
            }
            self.0.push_str(text);
            Ok(())
        }
    }
    let mut bounded = Bounded(String::new());
    let _ = std::fmt::write(&mut bounded, text);
    bounded.0
}

fn cut(text: &str) -> &str {
    &text[..boundary(text, 8 * MAX_NAME)]
}

/// Where a text can be cut so that at most `max` bytes are left.
fn boundary(text: &str, max: usize) -> usize {
    let mut at = text.len().min(max);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// A path without what changes from build to build.
fn path(text: &str, depth: usize) -> String {
    let mut out: SmallVec<[String; 8]> = SmallVec::new();
    for segment in split(text) {
        let first = out.is_empty();
        if let Some(of) = segment.strip_prefix("<impl ") {
            let of = of.strip_suffix('>').unwrap_or(of);
            out.clear();
            out.push(match split_at_word(of, " for ") {
                Some((of_trait, of)) => qualified(of, Some(of_trait), depth),
                None => qualified(of, None, depth),
            });
        } else if let Some(inner) = segment.strip_prefix('<') {
            // Not first: generic arguments.
            if first {
                let inner = inner.strip_suffix('>').unwrap_or(inner);
                out.push(match split_at_word(inner, " as ") {
                    Some((of, of_trait)) => qualified(of, Some(of_trait), depth),
                    None => qualified(inner, None, depth),
                });
            }
        } else if segment.starts_with('{') {
            out.push(unnamed(segment).into());
        } else if first || !is_hash(segment) {
            let plain = without_arguments(segment);
            if !plain.is_empty() {
                out.push(plain);
            }
        }
    }
    let mut text = out.join("::");
    text.truncate(boundary(&text, MAX_NAME));
    text
}

/// The type a method is of, and the trait.
fn qualified(of: &str, of_trait: Option<&str>, depth: usize) -> String {
    // Deeper is no name of a program that a person wrote.
    if depth > 16 {
        return "_".into();
    }
    let of = path(of, depth + 1);
    match of_trait {
        Some(of_trait) => format!("<{of} as {}>", path(of_trait, depth + 1)),
        None if of.split("::").all(is_identifier) => of,
        None => format!("<{of}>"),
    }
}

/// `{closure}` for all that closures and async blocks are called.
fn unnamed(segment: &str) -> &str {
    let name = segment.trim_start_matches('{');
    let name = &name[..name.find(['}', '#', ':', '<']).unwrap_or(name.len())];
    match name {
        name if name.starts_with("closure") || name.starts_with("async_") => CLOSURE,
        "shim" | "vtable.shim" => "{shim}",
        "constant" | "const" | "constructor" | "impl" => "{impl}",
        _ => "{unnamed}",
    }
}

fn is_hash(segment: &str) -> bool {
    segment.len() == 17
        && segment.starts_with('h')
        && segment[1..].bytes().all(|b| b.is_ascii_hexdigit())
}

/// Without `<…>`, crate disambiguators (`shop[1a2b]`) and what a linker adds after a dot.
fn without_arguments(segment: &str) -> String {
    let mut out = String::new();
    let mut open = 0_usize;
    let mut before = ' ';
    let mut chars = segment.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '<' => open += 1,
            '>' if before != '-' => open = open.saturating_sub(1),
            _ if open > 0 => {}
            '[' if before.is_alphanumeric() || before == '_' => {
                for c in chars.by_ref() {
                    if c == ']' {
                        break;
                    }
                }
            }
            // A linker's suffix, and `call_once{{vtable.shim}}`.
            '.' | '{' if is_identifier(&out) => break,
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// Splits at `::` outside of brackets.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match outside(text, "::") {
            Some(at) => {
                rest = Some(&text[at + 2..]);
                Some(&text[..at])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
    .filter(|segment| !segment.is_empty())
}

fn split_at_word<'a>(text: &'a str, word: &str) -> Option<(&'a str, &'a str)> {
    let at = outside(text, word)?;
    Some((&text[..at], &text[at + word.len()..]))
}

/// Where `wanted` stands outside of brackets.
fn outside(text: &str, wanted: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 0_usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' | b'(' | b'[' | b'{' => open += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' | b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ if open == 0 && bytes[at..].starts_with(wanted.as_bytes()) => return Some(at),
            _ => {}
        }
    }
    None
}

/// Where the bracket that stands before `text` closes.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut open = 1_usize;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => open += 1,
            b'>' if at > 0 && bytes[at - 1] == b'-' => {}
            b'>' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_manglings_give_the_same_name() {
        for (legacy, v0, expected) in [
            (
                "_ZN4shop3pay6charge17h0123456789abcdefE",
                "_RNvNtCs1234_4shop3pay6charge",
                "shop::pay::charge",
            ),
            (
                "_ZN4shop3pay6charge28_$u7b$$u7b$closure$u7d$$u7d$17h0123456789abcdefE",
                "_RNCNvNtCs1234_4shop3pay6charge0B5_",
                "shop::pay::charge::{closure}",
            ),
            (
                "_ZN4shop3Pay6charge17h0123456789abcdefE",
                "_RNvMCs1234_4shopNtB2_3Pay6charge",
                "shop::Pay::charge",
            ),
            (
                "_ZN47_$LT$shop..Pay$u20$as$u20$shop..api..Charge$GT$6charge17h0123456789abcdefE",
                "_RNvXCs1234_4shopNtB2_3PayNtNtB2_3api6Charge6charge",
                "<shop::Pay as shop::api::Charge>::charge",
            ),
            (
                "_ZN4shop3run17h0123456789abcdefE.llvm.8127418",
                "_RINvCs1234_4shop3runlE",
                "shop::run",
            ),
        ] {
            assert_eq!(name_of_symbol(legacy), expected, "{legacy}");
            assert_eq!(name_of_symbol(v0), expected, "{v0}");
        }
    }

    #[test]
    fn what_changes_from_build_to_build_is_removed() {
        for (text, expected) in [
            ("shop[1a2b3c]::pay::charge", "shop::pay::charge"),
            ("shop::pay::charge::h0123456789abcdef", "shop::pay::charge"),
            (
                "shop::main::{closure#0}::{closure_env#1}",
                "shop::main::{closure}::{closure}",
            ),
            (
                "shop::main::{async_block_env#0}<i32>",
                "shop::main::{closure}",
            ),
            ("shop::Card<T>::pay", "shop::Card::pay"),
            (
                "<shop::Card<i32>>::pay::<u8, fn(&str) -> bool>",
                "shop::Card::pay",
            ),
            ("shop::ext::<impl shop::Card<T>>::pay", "shop::Card::pay"),
            (
                "shop::ext::<impl core::convert::From<shop::E> for std::io::Error>::from",
                "<std::io::Error as core::convert::From>::from",
            ),
            (
                "<&mut shop::Card<A> as core::iter::Iterator>::next",
                "<&mut shop::Card as core::iter::Iterator>::next",
            ),
            (
                "<<shop::A as shop::B>::C as shop::D>::e",
                "<<shop::A as shop::B>::C as shop::D>::e",
            ),
            (
                "<alloc::boxed::Box<dyn Fn() -> u8> as Fn<()>>::call",
                "<alloc::boxed::Box as Fn>::call",
            ),
            (
                "<fn(&str) -> bool as shop::Run>::run",
                "<fn(&str) -> bool as shop::Run>::run",
            ),
            ("main", "main"),
            (
                "core::ops::FnOnce::call_once{{vtable.shim}}",
                "core::ops::FnOnce::call_once",
            ),
        ] {
            assert_eq!(name_of_text(text), expected, "{text}");
        }
        assert_eq!(name_of_symbol("memcpy@@GLIBC_2.14"), "memcpy");
        assert_eq!(name_of_symbol("pay.part.0"), "pay");
        assert_eq!(
            name_of_symbol("run<u8, shop::main::{closure_env#1}>"),
            "run"
        );
        assert_eq!(name_of_symbol("{async_fn#0}"), "{closure}");
    }

    #[test]
    fn modules_are_plain_paths() {
        for (function, module) in [
            ("shop::pay::charge", Some("shop::pay")),
            ("shop::pay::charge::{closure}::{closure}", Some("shop::pay")),
            ("shop::Pay::charge", Some("shop::Pay")),
            ("<shop::Pay as shop::Charge>::charge", None),
            ("shop::pay::{closure}::inner", None),
            ("main", None),
            ("{closure}", None),
        ] {
            assert_eq!(module_of(function), module, "{function}");
        }
    }

    #[test]
    fn the_crate_is_that_of_the_path_or_the_type() {
        for (function, name) in [
            ("shop::pay::charge", Some("shop")),
            ("<shop::Pay as core::fmt::Debug>::fmt", Some("shop")),
            ("<&shop::Pay as core::fmt::Debug>::fmt", Some("shop")),
            ("<[shop::Pay] as core::fmt::Debug>::fmt", Some("shop")),
            ("<dyn shop::Pay as core::fmt::Debug>::fmt", Some("shop")),
            ("<T as shop::Charge>::charge", Some("shop")),
            ("<u8 as shop::Charge>::charge", Some("shop")),
            ("<<shop::A as tokio::B>::C as hyper::D>::e", Some("shop")),
            (
                "<tokio::task::Task as core::fmt::Debug>::fmt",
                Some("tokio"),
            ),
            ("main", None),
            ("{closure}", None),
            ("", None),
        ] {
            assert_eq!(crate_of(function), name, "{function}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_a_bounded_name(text in "[<>():{}#a-z ,&.\\[\\]é-]{0,80}") {
            let name = name_of_text(&text);
            proptest::prop_assert!(name.len() <= MAX_NAME);
            let _ = (module_of(&name), crate_of(&name), name_of_symbol(&text));
        }
    }
}
