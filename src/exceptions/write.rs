//! The parts of an exception that all ways of capturing one have in common.

use crate::capture::exceptions::Kind;
use crate::event::record::{Key, Record, Slot, exception};
use tracing::Level;

/// Where an exception was captured, or a panic happened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    pub(crate) file: Option<&'a str>,
    pub(crate) line: Option<u32>,
    pub(crate) module: Option<&'a str>,
    pub(crate) target: Option<&'a str>,
}

fn key(name: &str) -> Key<'_> {
    Key::Named(Slot::Exception, name)
}

/// Writes the event's name, where the exception comes from, and how severe it is.
pub(crate) fn write_kind(record: &mut Record, kind: Kind, level: &str) {
    record.str(Key::Named(Slot::Name, ""), "$exception");
    record.str(key(exception::KIND), kind.as_str());
    record.str(key(exception::LEVEL), level);
}

pub(crate) fn write_place(record: &mut Record, place: &Place<'_>) {
    for (name, text) in [
        (exception::FILE, place.file),
        (exception::MODULE, place.module),
        (exception::TARGET, place.target),
    ] {
        if let Some(text) = text {
            record.str(key(name), text);
        }
    }
    if let Some(line) = place.line {
        record.u64(key(exception::LINE), line.into());
    }
}

/// How PostHog calls a level.
pub(crate) fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        _ => "debug",
    }
}
