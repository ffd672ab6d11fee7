//! What users should know about their events, said once each.

use super::record::Slot;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use tracing::warn;

/// Remembers what was said. Bounded: field names can come from data.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<HashSet<String>>);

const MOST: usize = 64;

pub(crate) fn late() {
    warn!(
        target: "tracing_posthog::capture",
        "events were captured after the shutdown; they are dropped, and counted in `stats`",
    );
}

impl Notices {
    /// Whether this is the first time.
    fn first(&self, what: &str) -> bool {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        !said.contains(what) && said.len() < MOST && said.insert(what.to_owned())
    }

    pub(crate) fn unknown_field(&self, field: &str) {
        if self.first(field) {
            warn!(
                target: "tracing_posthog::capture",
                field,
                "unknown posthog field is ignored; see the field table in the documentation",
            );
        }
    }

    pub(crate) fn illegal_id(&self, id: &str) {
        if self.first(id) {
            warn!(
                target: "tracing_posthog::capture",
                distinct_id = id,
                "PostHog makes no person of this distinct id; events are still sent",
            );
        }
    }

    pub(crate) fn not_a_bool(&self, slot: Slot) {
        let field = match slot {
            Slot::GeoipDisable => "posthog.geoip_disable",
            _ => "posthog.process_person_profile",
        };
        if self.first(field) {
            warn!(
                target: "tracing_posthog::capture",
                field,
                "not a bool; the field is ignored",
            );
        }
    }

    pub(crate) fn not_inherited(&self, slot: Slot) {
        self.say(match slot {
            Slot::Timestamp => "posthog.timestamp on a span says nothing about the events within",
            Slot::Uuid => "posthog.uuid on a span says nothing about the events within",
            Slot::Set => "posthog.set.* on a span is ignored; put it on the event",
            _ => "posthog.set_once.* on a span is ignored; put it on the event",
        });
    }

    pub(crate) fn not_an_object(&self) {
        self.say("posthog.properties is not a JSON object; the field is ignored");
    }

    pub(crate) fn span_too_large(&self) {
        self.say("a span has more than 64 KiB of fields; those that do not fit are left out");
    }

    pub(crate) fn bad_uuid(&self) {
        self.say("posthog.uuid is not a UUID; a new one is used");
    }

    pub(crate) fn bad_timestamp(&self) {
        self.say(
            "posthog.timestamp is neither an RFC 3339 time with offset nor milliseconds since 1970; the time of capture is used",
        );
    }

    pub(crate) fn early_timestamp(&self, millis: i64) {
        if self.first("early timestamp") {
            warn!(
                target: "tracing_posthog::capture",
                timestamp = millis,
                "posthog.timestamp is in milliseconds, and this is before 1973; were seconds meant?",
            );
        }
    }

    pub(crate) fn id_cut(&self) {
        self.say(
            "a distinct id is longer than PostHog takes, 200 characters by capture v0 and 200 bytes by v1; it is cut",
        );
    }

    pub(crate) fn long_name(&self) {
        self.say("the name of an event has more than 200 bytes; by capture v1 PostHog drops it");
    }

    pub(crate) fn empty_name(&self) {
        self.say("an event without a name is dropped; PostHog would refuse the whole batch");
    }

    pub(crate) fn incomplete_identity(&self, event: &str, needs: &str) {
        if self.first(event) {
            warn!(
                target: "tracing_posthog::capture",
                event,
                "an event without {needs} is dropped; PostHog would ignore it",
            );
        }
    }

    pub(crate) fn set_of_nobody(&self) {
        self.say(
            "person properties are set by an event without a distinct id; it is sent, but PostHog ignores them",
        );
    }

    pub(crate) fn too_large(&self, limit: usize) {
        if self.first("too large") {
            warn!(
                target: "tracing_posthog::capture",
                limit,
                "an event is larger than the limit in bytes; it is dropped",
            );
        }
    }

    fn say(&self, what: &'static str) {
        if self.first(what) {
            warn!(target: "tracing_posthog::capture", "{what}");
        }
    }
}
