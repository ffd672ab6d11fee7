//! The `posthog.*` grammar: what a field's name means.

use crate::event::record::{Slot, exception};

/// Marks an event, or a span, as an analytics event.
pub(crate) const EVENT: &str = "posthog.event";

/// Makes an event an exception, or keeps it from being one.
#[cfg(feature = "errors")]
pub(crate) const EXCEPTION: &str = "posthog.exception";

const PREFIX: &str = "posthog.";

/// Whether the name belongs to this crate.
#[inline]
pub(crate) fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// What the field of that name is for, and its key there.
#[inline]
pub(crate) fn meaning(name: &str) -> (Slot, &str) {
    match name.strip_prefix(PREFIX) {
        None => (Slot::Property, name),
        Some(rest) => reserved(name, rest),
    }
}

fn reserved<'a>(name: &'a str, rest: &'a str) -> (Slot, &'a str) {
    let slot = match rest {
        "event" => Slot::Name,
        "distinct_id" => Slot::DistinctId,
        "session_id" => Slot::SessionId,
        "timestamp" => Slot::Timestamp,
        "uuid" => Slot::Uuid,
        "process_person_profile" => Slot::ProcessPersonProfile,
        "geoip_disable" => Slot::GeoipDisable,
        "properties" => Slot::Properties,
        exception::WANTED | exception::FINGERPRINT | exception::ISSUE_NAME => {
            return (Slot::Exception, rest);
        }
        _ => {
            let keyed = [
                ("group.", Slot::Group),
                ("set.", Slot::Set),
                ("set_once.", Slot::SetOnce),
            ];
            return keyed
                .into_iter()
                .find_map(|(prefix, slot)| Some((slot, rest.strip_prefix(prefix)?)))
                .filter(|(_, key)| !key.is_empty())
                .unwrap_or((Slot::Unknown, name));
        }
    };
    (slot, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_meaning() {
        for (name, want) in [
            ("plan", (Slot::Property, "plan")),
            ("posthog", (Slot::Property, "posthog")),
            ("posthogger.event", (Slot::Property, "posthogger.event")),
            ("posthog.event", (Slot::Name, "")),
            ("posthog.group.company", (Slot::Group, "company")),
            ("posthog.group.a.b", (Slot::Group, "a.b")),
            ("posthog.set.email", (Slot::Set, "email")),
            ("posthog.set_once.first", (Slot::SetOnce, "first")),
            ("posthog.set.", (Slot::Unknown, "posthog.set.")),
            ("posthog.group", (Slot::Unknown, "posthog.group")),
            ("posthog.distinctid", (Slot::Unknown, "posthog.distinctid")),
            ("posthog.", (Slot::Unknown, "posthog.")),
        ] {
            assert_eq!(meaning(name), want, "{name}");
        }
    }
}
