//! Texts that stop at a length.

use crate::panic::catch;
use std::fmt::{self, Display, Write};

/// Writes up to a number of characters, then fails: so that a `Display` stops.
pub(super) struct Limited<W> {
    out: W,
    left: usize,
}

impl<W: Write> Limited<W> {
    pub(super) fn new(out: W, max: usize) -> Self {
        Self { out, left: max }
    }

    /// How many characters may follow.
    pub(super) fn left(&self) -> usize {
        self.left
    }
}

impl<W: Write> Write for Limited<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let characters = text.chars().count();
        if characters <= self.left {
            self.left -= characters;
            return self.out.write_str(text);
        }
        let end = text.char_indices().nth(self.left).map(|(at, _)| at);
        self.left = 0;
        self.out
            .write_str(end.and_then(|end| text.get(..end)).unwrap_or_default())?;
        Err(fmt::Error)
    }
}

/// The text up to that many characters, and how many they are. A panic costs the text.
pub(super) fn limited(value: &dyn Display, max: usize) -> (String, usize) {
    let mut text = Limited::new(String::new(), max);
    match catch(|| write!(text, "{value}").is_ok()) {
        Some(_) => (text.out, max - text.left),
        None => (String::new(), max - text.left),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_end_at_a_character() {
        assert_eq!(limited(&"für", 3), ("für".into(), 3));
        assert_eq!(limited(&"für alle", 2), ("fü".into(), 2));
        assert_eq!(limited(&format_args!("{}{}", "fü", "r"), 2).0, "fü");
        assert_eq!(limited(&"x", 0).0, "");
    }

    #[test]
    fn an_endless_text_ends() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    f.write_str("ü")?;
                }
            }
        }
        assert_eq!(limited(&Endless, 1000).1, 1000);
    }
}
