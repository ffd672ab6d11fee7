//! Reads the text of a `std::backtrace::Backtrace` that an error brought: all that there is of it.
//!
//! ```text
//!    0: shop::pay::charge
//!              at /home/ada/shop/src/pay.rs:12:5
//! ```
//!
//! Lines that are neither are passed over.

use super::look_up::Layer;
use super::names::name_of_text;

/// How many frames are read.
const MAX_FRAMES: usize = 256;
/// How many lines are looked at.
const MAX_LINES: usize = 4_096;

/// The frames, the innermost first.
pub(super) fn frames(text: &str) -> Vec<Layer> {
    let mut frames: Vec<Layer> = Vec::new();
    for line in text.lines().take(MAX_LINES) {
        let content = line.trim();
        if let Some(place) = content.strip_prefix("at ") {
            if let Some(frame) = frames.last_mut().filter(|frame| frame.path.is_none()) {
                set_place(frame, place);
            }
            continue;
        }
        let numbered = number_and_name(content);
        // A function that is inlined has no number of its own.
        let inlined = || (line.starts_with("      ") && !frames.is_empty()).then_some(content);
        let Some(name) = numbered.or_else(inlined).filter(|name| !name.is_empty()) else {
            continue;
        };
        if frames.len() == MAX_FRAMES {
            break;
        }
        let name = match name {
            "<unknown>" => String::new(),
            name => name_of_text(name),
        };
        frames.push(Layer {
            function: name.into(),
            ..Layer::default()
        });
    }
    frames.retain(|frame| !frame.function.is_empty());
    frames
}

/// `0: shop::pay`, and the full form `0: 0x55d0c0de2000 - shop::pay`.
fn number_and_name(line: &str) -> Option<&str> {
    let (number, name) = line.split_once(": ")?;
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let name = name.trim();
    match name.strip_prefix("0x").and_then(|n| n.split_once(" - ")) {
        Some((_, name)) => Some(name.trim()),
        None => Some(name),
    }
}

/// `/src/pay.rs:12:5`, `/src/pay.rs:12`. A path may hold colons of its own.
fn set_place(frame: &mut Layer, place: &str) {
    let number = |text: &str| text.parse::<u32>().ok().filter(|n| *n > 0);
    let Some((rest, last)) = place.rsplit_once(':') else {
        return;
    };
    let Some(last) = number(last) else { return };
    let (path, line, column) = match rest.rsplit_once(':').map(|(path, n)| (path, number(n))) {
        Some((path, Some(line))) => (path, line, Some(last)),
        _ => (rest, last, None),
    };
    if path.is_empty() {
        return;
    }
    frame.path = Some(path.into());
    frame.line = Some(line);
    frame.column = column;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_are_read() {
        let text = "   0: anyhow::error::<impl core::convert::From<E> for anyhow::Error>::from\n\
                    \x20            at /home/ada/.cargo/registry/src/index.crates.io-1/anyhow-1.0.100/src/backtrace.rs:27:14\n\
                    \x20  1: shop::pay::charge::{{closure}}\n\
                    \x20            at ./src/pay.rs:12:5\n\
                    \x20     shop::pay::inlined\n\
                    \x20            at C:\\shop\\src\\pay.rs:13\n\
                    \x20  2:     0x55d0c0de2000 - shop[1a2b]::main::h0123456789abcdef\n\
                    \x20                              at /home/ada/shop/src/main.rs:3:1\n\
                    \x20  3: <unknown>\n\
                    note: Some details are omitted.\n";
        let frames: Vec<_> = frames(text)
            .into_iter()
            .map(|f| {
                (
                    f.function.into_string(),
                    f.path.unwrap().into_string(),
                    f.line.unwrap(),
                    f.column,
                )
            })
            .collect();
        let frame = |function: &str, path: &str, line, column| {
            (function.to_owned(), path.to_owned(), line, column)
        };
        assert_eq!(
            frames,
            [
                frame(
                    "<anyhow::Error as core::convert::From>::from",
                    "/home/ada/.cargo/registry/src/index.crates.io-1/anyhow-1.0.100/src/backtrace.rs",
                    27,
                    Some(14)
                ),
                frame("shop::pay::charge::{closure}", "./src/pay.rs", 12, Some(5)),
                frame("shop::pay::inlined", r"C:\shop\src\pay.rs", 13, None),
                frame("shop::main", "/home/ada/shop/src/main.rs", 3, Some(1)),
            ]
        );
    }

    #[test]
    fn a_backtrace_of_this_program_is_read() {
        let text = std::backtrace::Backtrace::force_capture().to_string();
        let frames = frames(&text);
        let here = frames
            .iter()
            .find(|f| f.function.contains("a_backtrace_of_this_program_is_read"))
            .unwrap();
        assert!(here.path.as_ref().unwrap().ends_with("symbols/text.rs"));
    }

    proptest! {
        #[test]
        fn any_text_gives_bounded_frames(text in "(([ ]{0,8}([0-9]{1,3}: )?(at )?[a-z:/.0-9é<>{}-]{0,20})\n){0,20}") {
            prop_assert!(frames(&text).len() <= MAX_FRAMES);
        }

        #[test]
        fn frames_are_read_back(places in prop::collection::vec(("[a-z]{1,8}", "[a-zA-Z:/ .]{1,20}", 1..u32::MAX, 1..u32::MAX), 0..20)) {
            let mut text = String::new();
            for (n, (name, path, line, column)) in places.iter().enumerate() {
                text += &format!("{n:4}: shop::f{name}\n             at /{path}.rs:{line}:{column}\n");
            }
            let read = frames(&text);
            prop_assert_eq!(read.len(), places.len());
            for (frame, (name, path, line, column)) in read.iter().zip(&places) {
                prop_assert_eq!(frame.function.as_ref(), format!("shop::f{name}"));
                let path = format!("/{path}.rs");
                prop_assert_eq!(frame.path.as_deref(), Some(path.as_str()));
                prop_assert_eq!((frame.line, frame.column), (Some(*line), Some(*column)));
            }
        }
    }
}
