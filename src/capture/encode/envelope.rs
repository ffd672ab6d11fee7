//! What an event is known by, decided once and for all its attempts: distinct id, uuid, timestamp.

use super::resolve::Resolved;
use super::text::{Text, looks_like_debug};
use super::write::Source;
use super::{Encoder, IdLimit};
use crate::event::record::{Slot, Val};
use crate::event::timestamp;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Ids of that length in bytes that PostHog takes, but makes no person of, in letters of either case.
fn illegal_ids(length: usize) -> &'static [&'static str] {
    match length {
        1 => &["0"],
        2 => &["id"],
        3 => &["nan"],
        4 => &["none", "null", "true", "user"],
        5 => &["email", "false", "guest"],
        6 => &["system"],
        7 => &["backend"],
        9 => &["anonymous", "undefined"],
        10 => &["distinctid"],
        11 => &["distinct_id"],
        14 => &["anonymous-user"],
        15 => &["[object object]"],
        17 => &["not_authenticated"],
        36 => &["00000000-0000-0000-0000-000000000000"],
        _ => &[],
    }
}

/// 3 March 1973, in milliseconds. A smaller number is more likely one of seconds (of the years up to 5138).
const EARLIEST_LIKELY_MILLIS: i64 = 100_000_000_000;

/// 23 hours. PostHog takes a time that is further ahead for a wrong clock.
const LATEST_MILLIS_AHEAD: i64 = 23 * 3_600_000;

/// Characters of an id by capture v0, where PostHog cuts longer ones, which would make two people one without a
/// word; by v1 bytes, of names too, and it drops the events.
pub(super) const MAX_ID: usize = 200;

/// Which of the ids that PostHog makes no person of it is.
pub(super) fn illegal_id(id: &str) -> Option<&'static str> {
    let mut of_its_length = illegal_ids(id.len()).iter();
    of_its_length
        .find(|it| it.eq_ignore_ascii_case(id))
        .copied()
}

impl Encoder {
    #[inline]
    pub(super) fn distinct_id<'a>(&self, r: &Resolved<'a>) -> Option<Text<'a>> {
        let mut id = Text::of(r.distinct_id.get()?);
        self.check_text(r, Slot::DistinctId, "", id.as_str());
        if let Some(end) = self.end_of_long(id.as_str()) {
            id.cut(end);
            self.diagnostics.id_cut(r.about);
        }
        if let Some(illegal) = illegal_id(id.as_str()) {
            self.diagnostics.illegal_id(r.about, illegal);
        }
        Some(id)
    }

    /// Warns of what `Debug` wrote in the place of an id, a group or a name.
    #[inline]
    pub(super) fn check_text(&self, r: &Resolved<'_>, slot: Slot, key: &str, text: &str) {
        if looks_like_debug(text) {
            self.diagnostics.debug_text(r.about, slot, key);
        }
    }

    /// Where an id that is too long is cut.
    fn end_of_long(&self, id: &str) -> Option<usize> {
        // No text has more characters than bytes.
        if id.len() <= MAX_ID {
            return None;
        }
        match self.limit {
            IdLimit::Characters => id.char_indices().nth(MAX_ID).map(|(end, _)| end),
            IdLimit::Bytes => (0..=MAX_ID).rev().find(|end| id.is_char_boundary(*end)),
        }
    }

    #[inline]
    pub(super) fn uuid(&mut self, r: &Resolved<'_>, at: i64) -> Uuid {
        if let Some(given) = r.uuid {
            match Uuid::try_parse(given.to_text().trim()) {
                Ok(uuid) => return uuid,
                Err(_) => self.diagnostics.bad_uuid(r.about),
            }
        }
        self.ids.at(at)
    }

    /// The time that was given, if PostHog takes it; else `at`, that of capture.
    #[inline]
    pub(super) fn timestamp(&self, r: &Resolved<'_>, at: i64, from: Source) -> i64 {
        match r.timestamp {
            Some(given) => self.given_timestamp(r, given, at, from),
            None => at,
        }
    }

    fn given_timestamp(&self, r: &Resolved<'_>, given: Val<'_>, at: i64, from: Source) -> i64 {
        let millis = match given {
            Val::I64(millis) => Some(millis),
            // As `Duration::as_millis` gives them.
            Val::U64(millis) => Some(i64::try_from(millis).unwrap_or(i64::MAX)),
            Val::Str(text) => timestamp::read(text),
            _ => None,
        };
        let Some(millis) = millis else {
            self.diagnostics.bad_timestamp(r.about);
            return at;
        };
        if !timestamp::is_taken(millis) {
            self.diagnostics.timestamp_out_of_range(r.about);
            return at;
        }
        // Of a decoded event it is a number, whatever it was.
        let number = !matches!((given, from), (Val::Str(_), _) | (_, Source::Decoded));
        if number && (1..EARLIEST_LIKELY_MILLIS).contains(&millis) {
            self.diagnostics.early_timestamp(r.about);
        }
        if millis.saturating_sub(at) > LATEST_MILLIS_AHEAD {
            self.diagnostics.late_timestamp(r.about);
        }
        millis
    }
}

pub(super) fn from_millis(ms: i64) -> SystemTime {
    let d = Duration::from_millis(ms.unsigned_abs());
    let at = if ms < 0 {
        UNIX_EPOCH.checked_sub(d)
    } else {
        UNIX_EPOCH.checked_add(d)
    };
    at.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn illegal_ids_stand_at_their_length_and_are_found_in_any_letters() {
        let all: Vec<_> = (0..100)
            .flat_map(|length| illegal_ids(length).iter().map(move |id| (length, *id)))
            .collect();
        assert_eq!(all.len(), 20);
        for (length, id) in all {
            assert_eq!(id.len(), length, "{id}");
            assert_eq!(illegal_id(&id.to_uppercase()), Some(id));
        }
        for id in ["", "user_42", "nulls", "üser"] {
            assert_eq!(illegal_id(id), None, "{id}");
        }
    }
}
