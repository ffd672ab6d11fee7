//! A list of texts, written piece by piece: it stops at the record's limit, and no text stands anywhere else first.

use super::write::{Open, Record};
use super::{Key, Tag};
use crate::event::json::escape;
use std::fmt::{self, Write};

/// A list of texts being written, as JSON. [`end`](Self::end) it, or [`take_back`](Self::take_back) what is written.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    record: &'a mut Record,
    open: Open,
    /// What goes before the next text.
    before: &'static str,
}

impl<'a> Texts<'a> {
    /// `None`: not even its key fits.
    pub(crate) fn begin(record: &'a mut Record, key: Key<'_>) -> Option<Self> {
        let open = record.open_as(key, Tag::Json)?;
        Some(Self {
            record,
            open,
            before: "[\"",
        })
    }

    /// Adds a text; of one whose `Display` gives up, what it had written. False: it does not fit, and neither will
    /// another.
    pub(crate) fn push(&mut self, text: &dyn fmt::Display) -> bool {
        let _ = self.record.push_str(self.before);
        self.before = ",\"";
        let _ = write!(Escaped(self.record), "{text}");
        self.record.push_str("\"").is_ok()
    }

    /// Ends the list. One that is empty, or did not fit, is taken back.
    pub(crate) fn end(self) {
        if self.before == "[\"" {
            return self.take_back();
        }
        let _ = self.record.push_str("]");
        self.record.close(self.open);
    }

    pub(crate) fn take_back(self) {
        self.record.rewind(self.open);
    }
}

/// Where the text within a JSON string goes.
struct Escaped<'a>(&'a mut Record);

impl Write for Escaped<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        escape(s, |piece| self.0.push_str(piece))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Slot, Val, fields};
    use super::*;
    use proptest::prelude::*;

    const KEY: Key<'static> = Key::Named(Slot::Property, "e.chain");

    struct GivesUp;

    impl fmt::Display for GivesUp {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("half")?;
            Err(fmt::Error)
        }
    }

    #[test]
    fn a_text_that_gives_up_keeps_what_it_wrote() {
        let mut record = Record::over(Vec::new(), 999);
        let mut texts = Texts::begin(&mut record, KEY).unwrap();
        assert!(texts.push(&GivesUp) && texts.push(&"whole"));
        texts.end();
        let field = fields(record.bytes()).next().unwrap();
        assert_eq!(field.value, Val::Json(r#"["half","whole"]"#));
        assert!(!record.overflowed());
    }

    #[test]
    fn an_empty_list_is_none() {
        let mut record = Record::over(Vec::new(), 999);
        Texts::begin(&mut record, KEY).unwrap().end();
        assert!(record.bytes().is_empty() && !record.overflowed());
    }

    proptest! {
        #[test]
        fn a_list_fits_whole_or_not_at_all(texts in proptest::collection::vec("[\\PC\0\n\"\\\\\u{1}\t]{0,9}", 1..5), limit in 0..120_usize) {
            let clean: Vec<_> = texts.iter().map(|text| text.replace('\0', "\u{fffd}")).collect();
            let json = serde_json::to_string(&clean).unwrap();
            let mut record = Record::over(Vec::new(), limit);
            if let Some(mut list) = Texts::begin(&mut record, KEY) {
                let _ = texts.iter().all(|text| list.push(text));
                list.end();
            }
            prop_assert!(record.bytes().len() <= limit);
            let fits = 8 + "e.chain".len() + json.len() <= limit;
            prop_assert_eq!(record.overflowed(), !fits);
            let values: Vec<_> = fields(record.bytes()).map(|field| field.value).collect();
            match fits {
                true => prop_assert_eq!(values, [Val::Json(&json)]),
                false => prop_assert_eq!(values, []),
            }
        }
    }
}
