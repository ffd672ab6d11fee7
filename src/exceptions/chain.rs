//! Types and texts of an error and its sources.

use super::type_name::Head;
use crate::event::record::{Key, Record, Slot, Text, exception};
use crate::panic::catch;
use std::error::Error;

/// How many errors of a chain are kept; a chain may be a ring.
pub(super) const MAX_LINKS: usize = 50;

/// Writes an error and its sources, the outermost first. Returns whether the error brought a stack of its own.
pub(crate) fn write_chain(record: &mut Record, error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    for _ in 0..MAX_LINKS {
        let Some(error) = next else { break };
        write_link(record, error);
        next = catch(|| error.source()).flatten();
    }
    false
}

/// Writes a text that stands for an error, whose type is not known.
pub(crate) fn write_text_link(record: &mut Record, value: &dyn std::fmt::Display) {
    record.str(Key::Named(Slot::Exception, exception::TYPE), "");
    write_value(record, value);
}

fn write_link(record: &mut Record, error: &(dyn Error + 'static)) {
    let head = Head::of(error);
    let type_name = head.name().unwrap_or_default();
    record.str(Key::Named(Slot::Exception, exception::TYPE), type_name);
    write_value(record, &error);
}

/// Writes the text of the link.
pub(super) fn write_value(record: &mut Record, value: &dyn std::fmt::Display) {
    let Some(open) = record.open(Key::Named(Slot::Exception, exception::VALUE)) else {
        return;
    };
    let mut text = Text(record);
    match catch(|| text.write_fmt(format_args!("{value}"))) {
        Some(_) => record.close(open),
        None => record.rewind(open),
    }
}
