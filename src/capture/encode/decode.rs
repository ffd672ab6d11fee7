//! Records into [`Event`]s, as hooks see them.

use super::envelope::from_millis;
use super::identity::PROCESS;
use super::resolve::Resolved;
use super::text::{Text, to_value};
use super::{Encoder, LargeIntegers};
use crate::event::Event;
use crate::event::record::{Slot, Val};
use serde_json::Value;

impl Encoder {
    /// The event as a hook sees it.
    pub(super) fn decode(&mut self, r: &Resolved<'_>, at: i64) -> Event {
        let mut event = Event::new(r.name.map(Val::to_text).unwrap_or_default());
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
                let readable = LargeIntegers::readable(text);
                match serde_json::from_str(readable.as_deref().unwrap_or(text)) {
                    Ok(Value::Object(mut fields)) => {
                        if about_profiles && segment > 0 {
                            fields.remove(PROCESS);
                        }
                        event.properties.extend(fields);
                    }
                    _ => self.diagnostics.not_an_object(r.about),
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
            r.session_id.get().map(|id| id.to_text().into()),
        );
        put(PROCESS, r.process_person_profile.get().map(Value::Bool));
        put("$geoip_disable", r.geoip_disable.get().map(Value::Bool));
        event
    }
}
