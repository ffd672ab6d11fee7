//! One event in the shape of capture v1.

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// An event as this crate writes it, for v0 and to disk.
#[derive(Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow)]
    pub(super) uuid: Cow<'a, str>,
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(borrow)]
    distinct_id: &'a RawValue,
    #[serde(borrow)]
    timestamp: &'a RawValue,
    #[serde(borrow, default)]
    properties: Pairs<'a>,
}

/// The fields of an object, unread.
#[derive(Default)]
struct Pairs<'a>(Vec<(&'a str, &'a str)>);

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(&'de str, &'de str)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("properties")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut pairs = Vec::with_capacity(24);
                while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    pairs.push((key.get(), value.get()));
                }
                Ok(pairs)
            }
        }
        from.deserialize_map(Reader).map(Self)
    }
}

impl Event<'_> {
    /// Appends the event in the shape of v1: what v0 says by special properties has fields of its own.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let mut put = |parts: &[&str]| {
            parts
                .iter()
                .for_each(|p| out.extend_from_slice(p.as_bytes()))
        };
        put(&[
            "{\"event\":",
            self.event.get(),
            ",\"uuid\":\"",
            &self.uuid,
            "\",\"distinct_id\":",
        ]);
        put(&[
            self.distinct_id.get(),
            ",\"timestamp\":",
            self.timestamp.get(),
        ]);
        for (key, value) in &self.properties.0 {
            if let Lifted::Field(name) = lifted(key)
                && let Some(text) = as_text(value)
            {
                put(&[",\"", name, "\":", &text]);
            }
        }
        put(&[",\"options\":{"]);
        let mut comma = "";
        for (key, value) in &self.properties.0 {
            let (name, value) = match lifted(key) {
                Lifted::Flag(name) => (name, as_flag(value).map(str::to_owned)),
                Lifted::Text(name) => (name, as_text(value)),
                _ => continue,
            };
            if let Some(value) = value {
                put(&[comma, "\"", name, "\":", &value]);
                comma = ",";
            }
        }
        put(&["},\"properties\":{"]);
        let mut comma = "";
        for (key, value) in &self.properties.0 {
            if let Lifted::Not = lifted(key) {
                put(&[comma, key, ":", value]);
                comma = ",";
            }
        }
        put(&["}}"]);
    }
}

/// Where v1 has the place of a property of v0, by its key in quotes.
enum Lifted {
    Flag(&'static str),
    Text(&'static str),
    Field(&'static str),
    Not,
}

fn lifted(key: &str) -> Lifted {
    match key {
        "\"$cookieless_mode\"" => Lifted::Flag("cookieless_mode"),
        "\"$ignore_sent_at\"" => Lifted::Flag("disable_skew_correction"),
        "\"$process_person_profile\"" => Lifted::Flag("process_person_profile"),
        "\"$product_tour_id\"" => Lifted::Text("product_tour_id"),
        "\"$session_id\"" => Lifted::Field("session_id"),
        "\"$window_id\"" => Lifted::Field("window_id"),
        _ => Lifted::Not,
    }
}

/// A text that is not blank, or a number as text; in quotes.
fn as_text(json: &str) -> Option<String> {
    match serde_json::from_str(json).ok()? {
        Value::String(text) if !text.trim().is_empty() => Some(json.to_owned()),
        Value::Number(number) => Some(format!("\"{number}\"")),
        _ => None,
    }
}

/// Older PostHogs refuse the whole request where a flag is none.
fn as_flag(json: &str) -> Option<&'static str> {
    let flag = match serde_json::from_str(json).ok()? {
        Value::Bool(flag) => flag,
        Value::Number(number) => number.as_f64()? != 0.0,
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return None,
        },
        _ => return None,
    };
    Some(if flag { "true" } else { "false" })
}
