//! Records into PostHog's JSON: identity resolved, every key once, nothing in it for which PostHog would refuse the
//! batch. Runs on the actor's thread, or on the thread that awaits `capture_batch`.
//!
//! ```text
//! record ─[resolve]─► Resolved ──────────────── no hooks, objects, profiles ──► write ──► JSON, or a DropReason
//!                        │                                                        ▲
//!                        └─► decode ─► Event ─[identity]─► before_send hooks ─► record again
//! ```
//!
//! - [`Encoder::event`] is the only entrance. It appends one event's JSON to a batch, or leaves the batch as it was.
//! - [`resolve`]: the nearest value of each name, and the last within one segment.
//! - [`identity`]: PostHog's own events (`$identify`, `$create_alias`, `$groupidentify`, …): what they need, and what
//!   can be filled in.
//! - Most events take the short way and are written straight from their record. An event becomes an [`Event`] only
//!   where a hook is to see it, where it brings an object of properties, or where it is about a profile.
//!
//! What is decided here, once and for all attempts: the uuid ([`Encoder::uuid`]), the timestamp, the distinct id (or a
//! random one for a personless event) and the name.
//!
//! Invariants:
//! - Every key stands in an object once. What the grammar says (`$groups`, `$session_id`, …) and `$lib` win over a plain
//!   field of that name, fields win over default properties, and these over what is known of the machine.
//! - An event that PostHog would refuse or ignore is dropped alone, with a reason; a bad value is replaced or left out.
//! - A hook that panics drops its event: what it was there to remove must not be sent.
//! - A default property that a hook removed stays removed.
//! - Mistakes in fields are logged here, once each, through [`Diagnostics`].

mod context;
mod identity;
mod json;
mod resolve;
mod text;

use super::diagnostics::Diagnostics;
use super::hooks::Hooks;
use super::ledger::DropReason;
use crate::event::Event;
use crate::event::json::string;
use crate::event::record::{Field, Record, Slot, Val};
use crate::event::timestamp::TimestampWriter;
use crate::event::uuid_v7::UuidV7;
use context::{Constant, host_context};
use identity::{PROCESS, complete, needs};
use json::{key_of, write_value};
use resolve::Resolved;
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use text::{Text, plain_text, to_value};
use uuid::Uuid;

/// What every event gets, and what is done to it, beside its own fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enrichment {
    /// Properties of every event that does not bring its own of that name.
    pub(crate) defaults: Map<String, Value>,
    pub(crate) hooks: Hooks,
    /// PostHog looks an event's place up from the address that sent it: here, the server's.
    pub(crate) geoip: GeoIp,
    pub(crate) max_event_bytes: usize,
    pub(crate) limit: IdLimit,
}

/// How long distinct ids and names may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum IdLimit {
    /// 200 characters of an id, as capture v0 takes them; a name of any length.
    #[default]
    Characters,
    /// 200 bytes of an id or a name, as capture v1 takes them.
    Bytes,
}

/// Whether PostHog looks up where an event came from by the address that sent it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum GeoIp {
    /// No look-up (`$geoip_disable: true`): the address is the server's, not the person's.
    #[default]
    Off,
    /// Look-up, where the events come from the person's own machine or carry `$ip`.
    On,
}

/// Turns records into JSON. One for each actor.
#[derive(Debug)]
pub(crate) struct Encoder {
    hooks: Hooks,
    defaults: Vec<Constant>,
    /// What this SDK says about itself and its host, on every event.
    constants: Vec<Constant>,
    /// The same, joined; for the usual event that says nothing of the kind itself.
    joined: Vec<u8>,
    max_event_bytes: usize,
    limit: IdLimit,
    ids: UuidV7,
    stamp: TimestampWriter,
    diagnostics: Arc<Diagnostics>,
    again: Vec<u8>,
}

/// Where the fields that are written come from.
#[derive(Clone, Copy)]
enum Source {
    /// Straight from a caller.
    Record,
    /// From a decoded event, which had the default properties already: what a hook took out stays out.
    Decoded,
}

/// Ids that PostHog takes, but makes no person of.
const ILLEGAL_IDS: [&str; 20] = [
    "0",
    "00000000-0000-0000-0000-000000000000",
    "[object object]",
    "anonymous",
    "anonymous-user",
    "backend",
    "distinct_id",
    "distinctid",
    "email",
    "false",
    "guest",
    "id",
    "nan",
    "none",
    "not_authenticated",
    "null",
    "system",
    "true",
    "undefined",
    "user",
];

/// 3 March 1973, in milliseconds. A smaller number is more likely one of seconds (of the years up to 5138).
const EARLIEST_LIKELY_MILLIS: i64 = 100_000_000_000;

/// Characters of an id by capture v0, where PostHog cuts longer ones, which would make two people one without a
/// word; by v1 bytes, of names too, and it drops the events.
const MAX_ID: usize = 200;

impl Encoder {
    pub(crate) fn new(enrichment: Enrichment, diagnostics: Arc<Diagnostics>) -> Self {
        let constants: Vec<_> = host_context(enrichment.geoip)
            .into_iter()
            .map(|(key, value)| Constant::new(key, &value))
            .collect();
        let joined = constants
            .iter()
            .map(|c| c.json.as_slice())
            .collect::<Vec<_>>()
            .join(&b","[..]);
        Self {
            hooks: enrichment.hooks,
            defaults: enrichment
                .defaults
                .iter()
                .map(|(key, value)| Constant::new(key, value))
                .collect(),
            constants,
            joined,
            max_event_bytes: enrichment.max_event_bytes,
            limit: enrichment.limit,
            ids: UuidV7::default(),
            stamp: TimestampWriter::default(),
            diagnostics,
            again: Vec::new(),
        }
    }

    /// Appends the event's JSON to `out`, or leaves it as it was and says why.
    pub(crate) fn event(
        &mut self,
        record: &[u8],
        at: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), DropReason> {
        let mut resolved = Resolved::of(record, &self.diagnostics);
        if self.hooks.is_empty() && resolved.objects.is_empty() && !resolved.is_about_profiles() {
            return self.write(&resolved, at, Source::Record, out);
        }
        if matches!(resolved.name, Some(Val::Str("$groupidentify"))) {
            // It says what one group is; the spans around it may belong to others.
            resolved.keep_near_groups();
        }
        let mut event = self.decode(&resolved, at);
        complete(&mut event).inspect_err(|_| self.incomplete(&event.name))?;
        let event = self.hooks.before_send(event)?;
        let mut again = Record::over(std::mem::take(&mut self.again), usize::MAX);
        again.event(&event);
        let resolved = Resolved::of(again.bytes(), &self.diagnostics);
        let written = self.write(&resolved, at, Source::Decoded, out);
        drop(resolved);
        self.again = again.into_bytes();
        written
    }

    /// Warns of an event that was too large to be queued.
    pub(crate) fn warn_too_large(&self) {
        self.diagnostics.too_large(self.max_event_bytes);
    }

    fn incomplete(&self, name: &str) {
        if let Some(needs) = needs(name) {
            self.diagnostics.incomplete_identity(name, needs);
        }
    }

    fn distinct_id<'a>(&self, r: &Resolved<'a>) -> Option<Text<'a>> {
        let mut id = Text::of(r.distinct_id.get()?);
        if let Some(end) = self.end_of_long(id.as_str()) {
            id.cut(end);
            self.diagnostics.id_cut();
        }
        let illegal = |i: &&&str| i.eq_ignore_ascii_case(id.as_str());
        if let Some(illegal) = ILLEGAL_IDS.iter().find(illegal) {
            self.diagnostics.illegal_id(illegal);
        }
        Some(id)
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

    fn uuid(&mut self, r: &Resolved<'_>, at: i64) -> Uuid {
        if let Some(given) = r.uuid {
            match Uuid::try_parse(plain_text(given).trim()) {
                Ok(uuid) => return uuid,
                Err(_) => self.diagnostics.bad_uuid(),
            }
        }
        self.ids.at(at)
    }

    fn timestamp(&self, r: &Resolved<'_>, at: i64) -> i64 {
        let Some(given) = r.timestamp else { return at };
        let millis = match given {
            Val::I64(millis) => Some(millis),
            // As `Duration::as_millis` gives them.
            Val::U64(millis) => i64::try_from(millis).ok(),
            Val::Str(text) => TimestampWriter::read(text),
            _ => None,
        };
        if let (Val::I64(_) | Val::U64(_), Some(early)) = (given, millis)
            && (1..EARLIEST_LIKELY_MILLIS).contains(&early)
        {
            self.diagnostics.early_timestamp(early);
        }
        millis
            .filter(|m| TimestampWriter::writes(*m))
            .unwrap_or_else(|| {
                self.diagnostics.bad_timestamp();
                at
            })
    }

    /// The event as a hook sees it.
    fn decode(&mut self, r: &Resolved<'_>, at: i64) -> Event {
        let mut event = Event::new(r.name.map(plain_text).unwrap_or_default());
        event.distinct_id = self.distinct_id(r).map(Text::into_string);
        event.uuid = Some(self.uuid(r, at));
        event.timestamp = Some(from_millis(self.timestamp(r, at)));
        let about_profiles = r.is_about_profiles();
        for default in &self.defaults {
            if about_profiles && &*default.key == PROCESS {
                continue;
            }
            if let Ok(Value::Object(one)) =
                serde_json::from_slice(&[b"{", &default.json[..], b"}"].concat())
            {
                event.properties.extend(one);
            }
        }
        // The nearest comes last and wins; in one segment, its fields.
        for (segment, objects, fields) in r.inwards() {
            for text in objects {
                match serde_json::from_str(text) {
                    Ok(Value::Object(mut fields)) => {
                        if about_profiles && segment > 0 {
                            fields.remove(PROCESS);
                        }
                        event.properties.extend(fields);
                    }
                    _ => self.diagnostics.not_an_object(),
                }
            }
            for field in fields {
                let map = match field.slot {
                    Slot::Property => &mut event.properties,
                    Slot::Group => &mut event.groups,
                    Slot::Set => &mut event.set,
                    Slot::SetOnce => &mut event.set_once,
                    _ => continue,
                };
                map.insert(field.key.to_owned(), to_value(field.value));
            }
        }
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                event.properties.insert(key.to_owned(), value);
            }
        };
        put(
            "$session_id",
            r.session_id.get().map(|id| plain_text(id).into()),
        );
        put(PROCESS, r.process_person_profile.get().map(Value::Bool));
        put("$geoip_disable", r.geoip_disable.get().map(Value::Bool));
        event
    }

    fn write(
        &mut self,
        r: &Resolved<'_>,
        at: i64,
        from: Source,
        out: &mut Vec<u8>,
    ) -> Result<(), DropReason> {
        let name = r.name.map(Text::of).unwrap_or(Text::Borrowed(""));
        if name.as_str().trim().is_empty() {
            self.diagnostics.empty_name();
            return Err(DropReason::Invalid);
        }
        if self.limit == IdLimit::Bytes && name.as_str().len() > MAX_ID {
            self.diagnostics.long_name();
        }
        let id = self.distinct_id(r);
        let personless = id.is_none();
        if personless {
            if needs(name.as_str()).is_some() {
                self.incomplete(name.as_str());
                return Err(DropReason::Invalid);
            }
            let sets = |f: &Field<'_>| matches!(f.slot, Slot::Set | Slot::SetOnce);
            if r.fields.iter().any(sets) {
                self.diagnostics.set_of_nobody();
            }
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
        let timestamp = self.timestamp(r, at);
        self.stamp.write(timestamp, out);
        out.extend_from_slice(b"\",\"properties\":{");
        self.properties(r, personless, from, out);
        out.extend_from_slice(b"}}");
        if out.len() - start > self.max_event_bytes {
            out.truncate(start);
            self.diagnostics.too_large(self.max_event_bytes);
            return Err(DropReason::TooLarge);
        }
        Ok(())
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
                    continue;
                }
            }
            key_of(out, field);
            write_value(out, field.value);
            out.push(b',');
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
                    Slot::Group => string(out, &plain_text(field.value)),
                    _ => write_value(out, field.value),
                }
            }
            if !first {
                out.extend_from_slice(b"},");
            }
        }
        if let Some(id) = session {
            out.extend_from_slice(b"\"$session_id\":");
            string(out, Text::of(id).as_str());
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

pub(crate) fn from_millis(ms: i64) -> SystemTime {
    let d = Duration::from_millis(ms.unsigned_abs());
    let at = if ms < 0 {
        UNIX_EPOCH.checked_sub(d)
    } else {
        UNIX_EPOCH.checked_add(d)
    };
    at.unwrap_or(UNIX_EPOCH)
}
