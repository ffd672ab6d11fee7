//! What a record says, as JSON.

use super::envelope::MAX_ID;
use super::identity::{Ignored, PROCESS, needs};
use super::json::{key_of, write_value};
use super::objects::slot_of;
use super::resolve::{Resolved, is_empty};
use super::text::Text;
use super::{Encoder, IdLimit};
use crate::capture::ledger::DropReason;
use crate::event::json::string;
use crate::event::record::{Field, Slot, Val};
use uuid::Uuid;

/// Where the fields that are written come from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// Straight from a caller.
    Record,
    /// From a decoded event, which had the default properties already: what a hook took out stays out.
    Decoded,
}

impl Encoder {
    pub(super) fn write(
        &mut self,
        r: &Resolved<'_>,
        at: i64,
        from: Source,
        out: &mut Vec<u8>,
    ) -> Result<(), DropReason> {
        let name = r.name.map(Text::of).unwrap_or(Text::Borrowed(""));
        if name.as_str().trim().is_empty() {
            self.diagnostics.empty_name(r.about);
            return Err(DropReason::Invalid);
        }
        if self.limit == IdLimit::Bytes && name.as_str().len() > MAX_ID {
            self.diagnostics.long_name(r.about);
        }
        self.check_text(r, Slot::Name, "", name.as_str());
        let id = self.distinct_id(r);
        let personless = id.is_none();
        if personless {
            if needs(name.as_str()).is_some() {
                return Err(self.ignored(r.about, name.as_str(), Ignored::Incomplete));
            }
            self.warn_of_plain_id(r);
        }
        // An event about profiles has come by here.
        if let Source::Decoded = from
            && needs(name.as_str()).is_some()
            && !self.processes_profile(r, from)
        {
            return Err(self.ignored(r.about, name.as_str(), Ignored::Personless));
        }
        let start = out.len();
        let uuid = self.uuid(r, at);
        out.extend_from_slice(b"{\"uuid\":\"");
        let mut text = Uuid::encode_buffer();
        out.extend_from_slice(uuid.hyphenated().encode_lower(&mut text).as_bytes());
        out.extend_from_slice(b"\",\"event\":");
        string(out, name.as_str());
        out.extend_from_slice(b",\"distinct_id\":");
        match id {
            Some(id) => string(out, id.as_str()),
            None => {
                let random = self.ids.at(at);
                string(out, random.hyphenated().encode_lower(&mut text));
            }
        }
        out.extend_from_slice(b",\"timestamp\":\"");
        let timestamp = self.timestamp(r, at, from);
        self.stamp.write(timestamp, out);
        out.extend_from_slice(b"\",\"properties\":{");
        self.properties(r, personless, from, out);
        out.extend_from_slice(b"}}");
        if out.len() - start > self.max_event_bytes {
            out.truncate(start);
            self.diagnostics.too_large(r.about, self.max_event_bytes);
            return Err(DropReason::TooLarge);
        }
        Ok(())
    }

    /// Whether PostHog is to process a profile for an event with a distinct id.
    fn processes_profile(&self, r: &Resolved<'_>, from: Source) -> bool {
        let mut fields = r.fields.iter();
        let own = fields.find(|field| field.slot == Slot::Property && field.key == PROCESS);
        let default = match from {
            Source::Record => self.personless_by_default,
            Source::Decoded => false,
        };
        match (r.process_person_profile.get(), own) {
            (Some(process), _) => process,
            // PostHog takes anything else for true.
            (None, Some(own)) => own.value != Val::Bool(false),
            (None, None) => !default,
        }
    }

    /// Warns of groups and person properties, `any_of` which there are, that PostHog ignores.
    fn warn_of_ignored(&self, r: &Resolved<'_>, any_of: impl Fn(Slot) -> bool) {
        if any_of(Slot::Group) {
            self.diagnostics.groups_of_nobody(r.about);
        }
        if any_of(Slot::Set) || any_of(Slot::SetOnce) {
            self.diagnostics.set_of_nobody(r.about);
        }
    }

    /// Warns of a property that was probably meant to be the distinct id.
    fn warn_of_plain_id(&self, r: &Resolved<'_>) {
        let is_id = |field: &&Field<'_>| {
            field.slot == Slot::Property
                && matches!(field.key, "distinct_id" | "$distinct_id")
                && !is_empty(field.value)
        };
        if let Some(field) = r.fields.iter().find(is_id) {
            self.diagnostics.plain_distinct_id(r.about, field);
        }
    }

    fn properties(&self, r: &Resolved<'_>, personless: bool, from: Source, out: &mut Vec<u8>) {
        let defaults = match from {
            Source::Record => &self.defaults[..],
            Source::Decoded => &[],
        };
        let session = r.session_id.get();
        let process = match personless {
            true => Some(false),
            false => r.process_person_profile.get(),
        };
        let geoip = r.geoip_disable.get();
        let own = |key: &str| {
            r.fields
                .iter()
                .any(|f| f.slot == Slot::Property && f.key == key)
        };
        let any_of = |slot| r.fields.iter().any(|f| f.slot == slot);
        // Written below from what is known; a property of that name would stand there twice.
        let taken = |key: &str| match key {
            "$lib" | "$lib_version" => true,
            "$groups" => any_of(Slot::Group),
            "$set" => any_of(Slot::Set),
            "$set_once" => any_of(Slot::SetOnce),
            "$session_id" => session.is_some(),
            PROCESS => process.is_some(),
            "$geoip_disable" => geoip.is_some(),
            _ => false,
        };
        let (mut special, mut nested) = (false, false);
        for field in &r.fields {
            if field.slot != Slot::Property {
                nested = true;
                continue;
            }
            if field.key.starts_with('$') {
                special = true;
                if taken(field.key) {
                    if slot_of(field.key).is_some() {
                        self.diagnostics.no_object(r.about, field);
                    }
                    continue;
                }
            }
            key_of(out, field);
            write_value(out, field.value, self.large_integers);
            out.push(b',');
        }
        let by_default =
            |slot| matches!(from, Source::Record) && self.default_objects.contains(&slot);
        if (nested || !self.default_objects.is_empty())
            && (personless || !self.processes_profile(r, from))
        {
            self.warn_of_ignored(r, |slot| any_of(slot) || by_default(slot));
        }
        for (slot, name) in [
            (Slot::Group, "\"$groups\":{"),
            (Slot::Set, "\"$set\":{"),
            (Slot::SetOnce, "\"$set_once\":{"),
        ] {
            if !nested {
                break;
            }
            let mut first = true;
            for field in r.fields.iter().filter(|f| f.slot == slot) {
                out.extend_from_slice(if first { name.as_bytes() } else { b"," });
                first = false;
                key_of(out, field);
                match slot {
                    // PostHog looks groups up by text.
                    Slot::Group => {
                        let text = Text::of(field.value);
                        self.check_text(r, slot, field.key, text.as_str());
                        string(out, text.as_str());
                    }
                    _ => write_value(out, field.value, self.large_integers),
                }
            }
            if !first {
                out.extend_from_slice(b"},");
            }
        }
        if let Some(id) = session {
            out.extend_from_slice(b"\"$session_id\":");
            let text = Text::of(id);
            self.check_text(r, Slot::SessionId, "", text.as_str());
            string(out, text.as_str());
            out.push(b',');
        }
        for (name, value) in [
            ("\"$process_person_profile\":", process),
            ("\"$geoip_disable\":", geoip),
        ] {
            if let Some(value) = value {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(if value { b"true," } else { b"false," });
            }
        }
        for default in defaults {
            if !own(&default.key) && !taken(&default.key) {
                out.extend_from_slice(&default.json);
                out.push(b',');
                special |= default.key.starts_with('$');
            }
        }
        if !special && geoip.is_none() {
            out.extend_from_slice(&self.joined);
            return;
        }
        for constant in &self.constants {
            let by_others = own(&constant.key) || defaults.iter().any(|d| d.key == constant.key);
            let said = (by_others && !constant.key.starts_with("$lib"))
                || (&*constant.key == "$geoip_disable" && geoip.is_some());
            if !said {
                out.extend_from_slice(&constant.json);
                out.push(b',');
            }
        }
        out.pop();
    }
}
