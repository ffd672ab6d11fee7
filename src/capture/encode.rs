//! Records into PostHog's JSON, on the actor's thread: identity resolved, every key once, nothing in it
//! for which PostHog would refuse the batch.

use super::event::Event;
use super::hooks::Hooks;
use super::notices::Notices;
use super::record::{self, Field, Key, Record, Slot, Val};
use super::stamp::{Ids, Stamp};
use super::stats::DropReason;
use serde_json::{Map, Value};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
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
    ids: Ids,
    stamp: Stamp,
    notices: Arc<Notices>,
    again: Vec<u8>,
}

/// A property whose JSON is ready: `"key":value`.
#[derive(Debug)]
struct Constant {
    key: Box<str>,
    json: Vec<u8>,
}

impl Constant {
    fn new(key: &str, value: &Value) -> Self {
        let mut json = Vec::new();
        string(&mut json, key);
        json.push(b':');
        let mut record = Record::over(Vec::new(), usize::MAX);
        record.value(Key::Named(Slot::Property, ""), value);
        for field in record::fields(record.bytes()) {
            write_value(&mut json, field.value);
        }
        Self {
            key: key.into(),
            json,
        }
    }
}

/// What a record says, once the nearest value of each name has won.
#[derive(Default)]
struct Resolved<'a> {
    name: Option<Val<'a>>,
    distinct_id: Nearest<Val<'a>>,
    session_id: Nearest<Val<'a>>,
    timestamp: Option<Val<'a>>,
    uuid: Option<Val<'a>>,
    process_person_profile: Nearest<bool>,
    geoip_disable: Nearest<bool>,
    objects: SmallVec<[&'a str; 1]>,
    fields: SmallVec<[Field<'a>; 24]>,
    /// How many groups come from the nearest segment that has any; they stand before the others.
    near_groups: Nearest<usize>,
}

impl Resolved<'_> {
    /// Forgets the groups that only spans further out say.
    fn keep_near_groups(&mut self) {
        let mut near = self.near_groups.get().unwrap_or(0);
        self.fields.retain(|field| {
            let keep = field.slot != Slot::Group || near > 0;
            near -= usize::from(keep && field.slot == Slot::Group);
            keep
        });
    }
}

/// The value of the nearest segment that has one; of that segment, the last.
#[derive(Clone, Copy)]
struct Nearest<T>(Option<(usize, T)>);

impl<T> Default for Nearest<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: Copy> Nearest<T> {
    fn offer(&mut self, segment: usize, value: T) {
        if self.0.is_none_or(|(nearest, _)| nearest == segment) {
            self.0 = Some((segment, value));
        }
    }

    fn get(&self) -> Option<T> {
        self.0.map(|(_, value)| value)
    }
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

/// PostHog cuts longer ids, which would make two people one without a word.
const MAX_ID_CHARS: usize = 200;

impl Encoder {
    pub(crate) fn new(enrichment: Enrichment, notices: Arc<Notices>) -> Self {
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
            ids: Ids::default(),
            stamp: Stamp::default(),
            notices,
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
        let mut resolved = self.resolve(record);
        let special = matches!(
            resolved.name,
            Some(Val::Str("$create_alias" | "$groupidentify"))
        );
        if self.hooks.is_empty() && resolved.objects.is_empty() && !special {
            return self.write(&resolved, at, Source::Record, out);
        }
        if matches!(resolved.name, Some(Val::Str("$groupidentify"))) {
            // It says what one group is; the spans around it may belong to others.
            resolved.keep_near_groups();
        }
        let mut event = self.decode(&resolved, at);
        complete(&mut event)?;
        let event = self.hooks.before_send(event)?;
        let mut again = Record::over(std::mem::take(&mut self.again), usize::MAX);
        again.event(&event);
        let resolved = self.resolve(again.bytes());
        let written = self.write(&resolved, at, Source::Decoded, out);
        drop(resolved);
        self.again = again.into_bytes();
        written
    }

    fn resolve<'a>(&self, record: &'a [u8]) -> Resolved<'a> {
        let mut r = Resolved::default();
        let (mut segment, mut first_of_segment) = (0, 0);
        for field in record::fields(record) {
            match field.slot {
                Slot::Break => {
                    segment += 1;
                    first_of_segment = r.fields.len();
                }
                // What only an event itself can say, a span further out does not say for it.
                Slot::Name if segment > 0 => {}
                Slot::Timestamp | Slot::Uuid | Slot::Set | Slot::SetOnce if segment > 0 => {
                    self.notices.not_inherited(field.slot);
                }
                Slot::Property | Slot::Group | Slot::Set | Slot::SetOnce => {
                    let same = |f: &Field<'_>| f.slot == field.slot && f.key == field.key;
                    // Those of the event that go by number come first: nothing can be before them.
                    let earlier = match field.name {
                        Some(name) if name.unique && segment == 0 => None,
                        _ => r.fields.iter().position(same),
                    };
                    match earlier {
                        Some(nearer) if nearer < first_of_segment => {}
                        Some(earlier) => r.fields[earlier] = field,
                        None => {
                            if field.slot == Slot::Group {
                                let so_far = r.near_groups.get().unwrap_or(0);
                                r.near_groups.offer(segment, so_far + 1);
                            }
                            r.fields.push(field);
                        }
                    }
                }
                Slot::Name => r.name = Some(field.value),
                Slot::Timestamp => r.timestamp = Some(field.value),
                Slot::Uuid => r.uuid = Some(field.value),
                // An empty id says nothing: the next one outwards counts.
                Slot::DistinctId if !is_empty(field.value) => {
                    r.distinct_id.offer(segment, field.value);
                }
                Slot::SessionId if !is_empty(field.value) => {
                    r.session_id.offer(segment, field.value);
                }
                Slot::DistinctId | Slot::SessionId => {}
                Slot::ProcessPersonProfile | Slot::GeoipDisable => match as_bool(field.value) {
                    None => self.notices.not_a_bool(field.slot),
                    Some(value) if field.slot == Slot::GeoipDisable => {
                        r.geoip_disable.offer(segment, value);
                    }
                    Some(value) => r.process_person_profile.offer(segment, value),
                },
                Slot::Properties => match field.value {
                    Val::Str(text) | Val::Json(text) => r.objects.push(text),
                    _ => self.notices.not_an_object(),
                },
                Slot::Unknown => self.notices.unknown_field(field.key),
                Slot::Cut => self.notices.span_too_large(),
                // These are for the reader of the record, which has seen to them.
                Slot::Site | Slot::Numbered => {}
            }
        }
        r
    }

    fn distinct_id<'a>(&self, r: &Resolved<'a>) -> Option<Text<'a>> {
        let mut id = Text::of(r.distinct_id.get()?);
        if id.cut(MAX_ID_CHARS) {
            self.notices.id_cut();
        }
        let illegal = |i: &&&str| i.eq_ignore_ascii_case(id.as_str());
        if let Some(illegal) = ILLEGAL_IDS.iter().find(illegal) {
            self.notices.illegal_id(illegal);
        }
        Some(id)
    }

    fn uuid(&mut self, r: &Resolved<'_>, at: i64) -> Uuid {
        if let Some(given) = r.uuid {
            match Uuid::try_parse(plain_text(given).trim()) {
                Ok(uuid) => return uuid,
                Err(_) => self.notices.bad_uuid(),
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
            Val::Str(text) => Stamp::read(text),
            _ => None,
        };
        millis.filter(|m| Stamp::writes(*m)).unwrap_or_else(|| {
            self.notices.bad_timestamp();
            at
        })
    }

    /// The event as a hook sees it.
    fn decode(&mut self, r: &Resolved<'_>, at: i64) -> Event {
        let mut event = Event::new(r.name.map(plain_text).unwrap_or_default());
        event.distinct_id = self.distinct_id(r).map(Text::into_string);
        event.uuid = Some(self.uuid(r, at));
        event.timestamp = Some(from_millis(self.timestamp(r, at)));
        for default in &self.defaults {
            if let Ok(Value::Object(one)) =
                serde_json::from_slice(&[b"{", &default.json[..], b"}"].concat())
            {
                event.properties.extend(one);
            }
        }
        // The nearest object comes last, and fields of their own beat any object's.
        for text in r.objects.iter().rev() {
            match serde_json::from_str(text) {
                Ok(Value::Object(fields)) => event.properties.extend(fields),
                _ => self.notices.not_an_object(),
            }
        }
        for field in &r.fields {
            let map = match field.slot {
                Slot::Group => &mut event.groups,
                Slot::Set => &mut event.set,
                Slot::SetOnce => &mut event.set_once,
                _ => &mut event.properties,
            };
            map.insert(field.key.to_owned(), to_value(field.value));
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
        put(
            "$process_person_profile",
            r.process_person_profile.get().map(Value::Bool),
        );
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
            self.notices.empty_name();
            return Err(DropReason::Invalid);
        }
        let start = out.len();
        let uuid = self.uuid(r, at);
        out.extend_from_slice(b"{\"uuid\":\"");
        let mut text = Uuid::encode_buffer();
        out.extend_from_slice(uuid.hyphenated().encode_lower(&mut text).as_bytes());
        out.extend_from_slice(b"\",\"event\":");
        string(out, name.as_str());
        out.extend_from_slice(b",\"distinct_id\":");
        let id = self.distinct_id(r);
        let personless = id.is_none();
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
            self.notices.too_large(self.max_event_bytes);
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
            "$process_person_profile" => process.is_some(),
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
            let said = (own(&constant.key) && !constant.key.starts_with("$lib"))
                || defaults.iter().any(|d| d.key == constant.key)
                || (&*constant.key == "$geoip_disable" && geoip.is_some());
            if !said {
                out.extend_from_slice(&constant.json);
                out.push(b',');
            }
        }
        out.pop();
    }
}

fn is_empty(value: Val<'_>) -> bool {
    match value {
        Val::Null => true,
        Val::Str(s) => s.trim().is_empty(),
        _ => false,
    }
}

fn as_bool(value: Val<'_>) -> Option<bool> {
    match value {
        Val::Bool(b) => Some(b),
        Val::I64(n) => Some(n != 0),
        Val::U64(n) => Some(n != 0),
        Val::Str(s) => match s.trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Fills in what PostHog's identity events need, from what the layer's grammar can say.
fn complete(event: &mut Event) -> Result<(), DropReason> {
    let text = |v: Option<&Value>| match v {
        Some(Value::String(s)) if !s.trim().is_empty() => Some(s.clone()),
        Some(Value::Number(n)) => Some(n.to_string()),
        _ => None,
    };
    match event.name.as_str() {
        "$create_alias" => {
            let id = event
                .distinct_id
                .clone()
                .or_else(|| text(event.properties.get("distinct_id")))
                .ok_or(DropReason::Invalid)?;
            text(event.properties.get("alias")).ok_or(DropReason::Invalid)?;
            event
                .properties
                .insert("distinct_id".into(), id.clone().into());
            event.distinct_id = Some(id);
        }
        "$groupidentify" => {
            if !event.properties.contains_key("$group_type") && event.groups.len() == 1 {
                for (kind, key) in std::mem::take(&mut event.groups) {
                    event.properties.insert("$group_type".into(), kind.into());
                    event.properties.insert("$group_key".into(), key);
                }
            }
            let kind = text(event.properties.get("$group_type")).ok_or(DropReason::Invalid)?;
            let key = text(event.properties.get("$group_key")).ok_or(DropReason::Invalid)?;
            let id = format!("${kind}_{key}");
            event.properties.insert("$group_key".into(), key.into());
            let mut group = std::mem::take(&mut event.set_once);
            group.extend(std::mem::take(&mut event.set));
            if let Value::Object(given) = event
                .properties
                .entry("$group_set")
                .or_insert_with(|| Map::new().into())
            {
                given.extend(group);
            }
            event.distinct_id.get_or_insert(id);
        }
        _ => {}
    }
    Ok(())
}

fn host_context(geoip: GeoIp) -> Vec<(&'static str, Value)> {
    let mut context = vec![
        ("$lib", env!("CARGO_PKG_NAME").into()),
        ("$lib_version", env!("CARGO_PKG_VERSION").into()),
        ("$is_server", true.into()),
        ("$os", super::host::os().into()),
    ];
    if let Some(version) = super::host::os_version() {
        context.push(("$os_version", version.into()));
    }
    if geoip == GeoIp::Off {
        context.push(("$geoip_disable", true.into()));
    }
    context
}

/// A value as text, borrowed where it is text already.
enum Text<'a> {
    Borrowed(&'a str),
    Owned(String),
}

impl<'a> Text<'a> {
    fn of(value: Val<'a>) -> Self {
        match value {
            Val::Str(s) | Val::Json(s) => Self::Borrowed(s),
            other => Self::Owned(plain_text(other)),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(s) => s,
            Self::Owned(s) => s,
        }
    }

    /// Shortens it to `max` characters; says whether it was longer.
    fn cut(&mut self, max: usize) -> bool {
        // No text has more characters than bytes.
        if self.as_str().len() <= max {
            return false;
        }
        let Some((end, _)) = self.as_str().char_indices().nth(max) else {
            return false;
        };
        match self {
            Self::Borrowed(s) => *s = &s[..end],
            Self::Owned(s) => s.truncate(end),
        }
        true
    }

    fn into_string(self) -> String {
        match self {
            Self::Borrowed(s) => s.to_owned(),
            Self::Owned(s) => s,
        }
    }
}

fn plain_text(value: Val<'_>) -> String {
    match value {
        Val::Null => String::new(),
        Val::Bool(b) => b.to_string(),
        Val::I64(n) => n.to_string(),
        Val::U64(n) => n.to_string(),
        Val::F64(n) => n.to_string(),
        Val::Str(s) | Val::Json(s) => s.to_owned(),
    }
}

fn to_value(value: Val<'_>) -> Value {
    match value {
        Val::Null => Value::Null,
        Val::Bool(b) => b.into(),
        Val::I64(n) => n.into(),
        Val::U64(n) => n.into(),
        Val::F64(n) => n.into(),
        Val::Str(s) => s.into(),
        Val::Json(s) => serde_json::from_str(s).unwrap_or(Value::Null),
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

/// A key and its colon.
pub(crate) fn key(out: &mut Vec<u8>, key: &str) {
    string(out, key);
    out.push(b':');
}

fn key_of(out: &mut Vec<u8>, field: &Field<'_>) {
    match field.name {
        Some(name) => out.extend_from_slice(&name.json),
        None => key(out, field.key),
    }
}

fn write_value(out: &mut Vec<u8>, value: Val<'_>) {
    // Writing to a `Vec` does not fail, and these types have no way to.
    let _ = match value {
        Val::Null => serde_json::to_writer(out, &()),
        Val::Bool(b) => serde_json::to_writer(out, &b),
        Val::I64(n) => serde_json::to_writer(out, &n),
        Val::U64(n) => serde_json::to_writer(out, &n),
        // JSON knows no NaN and no infinity: serde_json writes them as null.
        Val::F64(n) => serde_json::to_writer(out, &n),
        Val::Str(s) => {
            string(out, s);
            Ok(())
        }
        Val::Json(text) if text.contains("\\u0000") => {
            let value = serde_json::from_str(text).unwrap_or(Value::Null);
            serde_json::to_writer(out, &without_nul(value))
        }
        Val::Json(text) => {
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
    };
}

/// The value with U+FFFD for null characters, in names too.
fn without_nul(value: Value) -> Value {
    match value {
        Value::String(s) => s.replace('\0', "\u{fffd}").into(),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(key, value)| (key.replace('\0', "\u{fffd}"), without_nul(value)))
            .collect(),
        other => other,
    }
}

/// A JSON string. Null characters, which PostHog's database does not take, become U+FFFD.
fn string(out: &mut Vec<u8>, s: &str) {
    let odd = |b: u8| b < 0x20 || b == b'"' || b == b'\\';
    // Without an early end, so that the compiler looks at many bytes at once.
    if !s.bytes().fold(false, |any, b| any | odd(b)) {
        out.push(b'"');
        out.extend_from_slice(s.as_bytes());
        out.push(b'"');
    } else if s.contains('\0') {
        let _ = serde_json::to_writer(out, &s.replace('\0', "\u{fffd}"));
    } else {
        let _ = serde_json::to_writer(out, s);
    }
}
