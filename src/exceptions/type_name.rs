//! The type of an error whose type is lost, from the beginning of its `Debug` text.

use crate::panic::catch;
use std::fmt::{self, Debug, Write};

/// As much of a type's name as is read.
const MAX_NAME: usize = 100;

/// The beginning of a `Debug` text, up to the end of what may be a path of Rust.
#[derive(Default)]
pub(crate) struct Head {
    name: smallvec::SmallVec<[u8; MAX_NAME]>,
    /// Whether what ended the name shows that it is one.
    is_name: bool,
    is_over: bool,
}

impl Head {
    /// Reads the beginning of the text. The text is made only as far as that.
    pub(crate) fn of(value: &(impl Debug + ?Sized)) -> Self {
        let mut head = Self::default();
        let written = catch(|| write!(head, "{value:?}").is_ok());
        if written == Some(true) && !head.is_over {
            head.is_name = true;
        }
        head
    }

    /// The name. `None`: the text does not begin with one.
    pub(crate) fn name(&self) -> Option<&str> {
        let name = std::str::from_utf8(&self.name).ok()?;
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (self.is_name && starts_well).then_some(name)
    }
}

impl Write for Head {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.name.len() == MAX_NAME {
                self.is_over = true;
                return Err(fmt::Error);
            }
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b':' => self.name.push(byte),
                b' ' | b'(' | b'{' | b'<' => {
                    self.is_name = true;
                    self.is_over = true;
                    return Err(fmt::Error);
                }
                _ => {
                    self.is_over = true;
                    return Err(fmt::Error);
                }
            }
        }
        Ok(())
    }
}

/// A number that tells the type of an error from most others. Not zero.
pub(crate) fn type_key(error: &(dyn std::error::Error + 'static)) -> u64 {
    let head = Head::of(error);
    let of_name = head
        .name()
        .unwrap_or_default()
        .bytes()
        .fold(1, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    of_name | 1
}
