//! The format of a spool file and of its name. Pure functions: nothing here touches the disk.

use crate::capture::delivery::batch::Batch;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// `01735787045678-000042-100.jsonl`: creation time in milliseconds since 1970, sequence number within the
/// directory, number of events. Names sort by age, and counting events needs no reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) created: u64,
    pub(crate) seq: u64,
    pub(crate) events: u64,
}

/// No file of ours holds this many events: a name with a larger number is not ours.
const MOST_EVENTS: u64 = 1 << 32;

impl Name {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".jsonl")?.split('-');
        let mut number = |width: usize| {
            let digits = parts.next()?;
            let ours = digits.len() >= width && digits.bytes().all(|b| b.is_ascii_digit());
            ours.then(|| digits.parse().ok()).flatten()
        };
        let this = Self {
            created: number(14)?,
            seq: number(6)?,
            events: number(1)?,
        };
        (parts.next().is_none() && (1..MOST_EVENTS).contains(&this.events)).then_some(this)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            created,
            seq,
            events,
        } = self;
        write!(f, "{created:014}-{seq:06}-{events}.jsonl")
    }
}

/// Formats a batch as a file: one event per line.
pub(crate) fn write(batch: &Batch) -> Vec<u8> {
    let mut lines = Vec::with_capacity(batch.json.len() + 1);
    for event in batch.events() {
        // A line break can only stand between JSON values: inside strings it is escaped.
        lines.extend(event.iter().map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            byte => *byte,
        }));
        lines.push(b'\n');
    }
    lines
}

/// The lines of a file, split into events and everything else.
#[derive(Debug, Default)]
pub(crate) struct Lines<'a> {
    pub(crate) events: Vec<&'a [u8]>,
    pub(crate) damaged: Vec<&'a [u8]>,
}

/// Parses the content of a file. Any bytes are accepted.
pub(crate) fn read(bytes: &[u8]) -> Lines<'_> {
    let mut lines = Lines::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        match line.trim_ascii() {
            [] => {}
            line if is_event(line) => lines.events.push(line),
            line => lines.damaged.push(line),
        }
    }
    lines
}

/// The fields PostHog requires of each event: it would refuse the whole batch without them.
#[derive(Deserialize)]
struct Spooled<'a> {
    #[serde(borrow)]
    uuid: Cow<'a, str>,
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    distinct_id: Cow<'a, str>,
    #[serde(rename = "timestamp", borrow)]
    _timestamp: Cow<'a, str>,
    #[serde(rename = "properties", default)]
    _properties: AnObject,
}

/// Any JSON object.
#[derive(Default)]
struct AnObject;

impl<'de> Deserialize<'de> for AnObject {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = AnObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<AnObject, M::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(AnObject)
            }
        }
        from.deserialize_map(Reader)
    }
}

fn is_event(line: &[u8]) -> bool {
    line.starts_with(b"{")
        && std::str::from_utf8(line).is_ok()
        && serde_json::from_slice::<Spooled<'_>>(line).is_ok_and(|event| {
            !event.event.trim().is_empty()
                && !event.distinct_id.is_empty()
                && uuid::Uuid::try_parse(&event.uuid).is_ok()
        })
}

#[cfg(fuzzing)]
pub(crate) fn fuzz(bytes: &[u8]) -> (usize, usize) {
    let lines = read(bytes);
    let batch = Batch::of_events(0, lines.events.iter().copied());
    // Writing and reading again gives the same events.
    assert_eq!(read(&write(&batch)).events.len(), lines.events.len());
    (lines.events.len(), lines.damaged.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn event(name: &str, value: &Value) -> Vec<u8> {
        let id = uuid::Uuid::from_u128(7).to_string();
        let event = json!({
            "uuid": id, "event": name, "distinct_id": "user_1",
            "timestamp": "2025-01-02T03:04:05.678Z", "properties": {"v": value},
        });
        serde_json::to_vec(&event).unwrap()
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<String>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            Just(Value::Null),
        ];
        leaf.prop_recursive(4, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(made in prop::collection::vec(("\\PC{0,20}[a-z]", values()), 1..20)) {
            let events: Vec<_> = made.iter().map(|(name, value)| event(name, value)).collect();
            let batch = Batch::of_events(7, events.iter().map(Vec::as_slice));
            let bytes = write(&batch);
            let lines = read(&bytes);
            prop_assert!(lines.damaged.is_empty());
            prop_assert_eq!(&lines.events, &events);
            let again = Batch::of_events(7, lines.events.iter().copied());
            prop_assert_eq!(&again.json, &batch.json);
            // A cut file keeps all lines before the cut.
            let cut = bytes.len() / 2;
            let whole = bytes[..cut].iter().filter(|b| **b == b'\n').count();
            prop_assert!(read(&bytes[..cut]).events.len() >= whole);
        }

        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let lines = read(&bytes);
            prop_assert!(lines.events.is_empty());
        }

        #[test]
        fn names_read_back_and_sort_by_age(a in (0..1u64 << 45, 0..1_000_000u64), b in (0..1u64 << 45, 0..1_000_000u64)) {
            let name = |(created, seq)| Name { created, seq, events: 100 };
            prop_assert_eq!(Name::parse(&name(a).to_string()), Some(name(a)));
            prop_assert_eq!(name(a).to_string().cmp(&name(b).to_string()), a.cmp(&b));
        }
    }

    #[test]
    fn line_breaks_between_values_do_not_break_the_line() {
        let pretty = String::from_utf8(event("a", &json!(1))).unwrap();
        let pretty = pretty.replace(",\"properties\"", ",\r\n \"properties\"");
        let bytes = write(&Batch::of_events(0, [pretty.as_bytes()]));
        assert_eq!(read(&bytes).events.len(), 1);
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in [
            "",
            "lock",
            ".01735787045678-000042-100.jsonl.tmp",
            "01735787045678-000042-100.json",
            "01735787045678-000042.jsonl",
            "01735787045678-000042-0.jsonl",
            "01735787045678-000042-100-1.jsonl",
            "1735-000042-100.jsonl",
            "+1735787045678-000042-100.jsonl",
            "99999999999999999999999-000042-100.jsonl",
            "01735787045678-000042-99999999999.jsonl",
        ] {
            assert_eq!(Name::parse(name), None, "{name}");
        }
    }

    #[test]
    fn what_posthog_would_refuse_is_damaged() {
        let good = String::from_utf8(event("a", &json!(1))).unwrap();
        let mut bad: Vec<String> = ["uuid", "event", "distinct_id", "timestamp"]
            .iter()
            .flat_map(|field| {
                let quoted = format!("\"{field}\"");
                [
                    good.replacen(&quoted, "\"other\"", 1),
                    good.replacen(&format!("{quoted}:\""), &format!("{quoted}:7,\"x\":\""), 1),
                ]
            })
            .collect();
        bad.extend([
            good.replace("\"a\"", "\" \""),
            good.replace("{\"v\":1}", "null"),
            good.replace("{\"v\":1}", "[1]"),
            good[..good.len() - 1].to_owned(),
            format!("{good}{good}"),
            format!("[{good}]"),
            "\0".repeat(50),
        ]);
        for bad in bad {
            let lines = read(bad.as_bytes());
            assert!(lines.events.is_empty(), "{bad}");
            assert_eq!(lines.damaged, [bad.as_bytes()]);
        }
    }
}
