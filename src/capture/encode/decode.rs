//! Records into [`Event`]s, as hooks see them.

use super::Encoder;
use super::envelope::from_millis;
use super::identity::PROCESS;
use super::objects::{self, slot_of};
use super::resolve::Resolved;
use super::text::{Text, to_value};
use super::write::Source;
use crate::event::Event;
use crate::event::record::{Slot, Val};
use serde_json::Value;

impl Encoder {
    /// The event as a hook sees it.
    pub(super) fn decode(&mut self, r: &Resolved<'_>, at: i64) -> Event {
        let mut event = Event::new(r.name.map(Val::to_text).unwrap_or_default());
        event.distinct_id = self.distinct_id(r).map(Text::into_string);
        event.uuid = Some(self.uuid(r, at));
        event.timestamp = Some(from_millis(self.timestamp(r, at, Source::Record)));
        let about_profiles = r.is_about_profiles();
        // What one group is. Groups of the spans around it may be others; person properties there are of a person.
        let describes_group = event.name == "$groupidentify";
        for default in &self.defaults {
            let of_persons = matches!(slot_of(&default.key), Some(Slot::Set | Slot::SetOnce));
            if about_profiles && &*default.key == PROCESS || describes_group && of_persons {
                continue;
            }
            let one = [b"{", &default.json[..], b"}"].concat();
            if let Ok(Value::Object(one)) = serde_json::from_slice(&one) {
                objects::add(&mut event, one);
            }
        }
        // The nearest comes last and wins; in one segment, its fields.
        for (segment, near_objects, fields) in r.inwards() {
            let outer_groups = describes_group.then(|| std::mem::take(&mut event.groups));
            for object in near_objects {
                match object.entries() {
                    Some(entries) if object.slot != Slot::Property => {
                        objects::add_entries(&mut event, object.slot, entries);
                    }
                    Some(mut entries) => {
                        if about_profiles && segment > 0 {
                            entries.remove(PROCESS);
                        }
                        if describes_group && segment > 0 {
                            entries.remove("$set");
                            entries.remove("$set_once");
                        }
                        objects::add(&mut event, entries);
                    }
                    None => self.diagnostics.not_an_object(r.about),
                }
            }
            for field in fields {
                let map = objects::map_of(&mut event, field.slot);
                map.insert(field.key.to_owned(), to_value(field.value));
            }
            if let Some(outer) = outer_groups
                && event.groups.is_empty()
            {
                event.groups = outer;
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
