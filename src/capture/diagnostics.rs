//! What users are told about single events: mistakes in fields, once each.

use crate::diagnostics::{OncePerEpisode, log};
use crate::event::record::Slot;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// How many different lines [`Diagnostics`] logs.
const MAX_LINES: usize = 64;

/// The lines about single events, each logged once. Bounded: field names can come from data.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics(Mutex<HashMap<String, OncePerEpisode>>);

pub(crate) fn late() {
    log!(
        warn,
        "events were captured after the shutdown; they are dropped, and counted in `stats`",
    );
}

impl Diagnostics {
    /// Whether this is the first time.
    fn first(&self, what: &str) -> bool {
        let mut logged = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(episode) = logged.get_mut(what) {
            return episode.begin();
        }
        if logged.len() >= MAX_LINES {
            return false;
        }
        logged.entry(what.to_owned()).or_default().begin()
    }

    pub(crate) fn unknown_field(&self, field: &str) {
        if self.first(field) {
            log!(
                warn,
                field,
                "unknown posthog field is ignored; see the field table in the documentation",
            );
        }
    }

    pub(crate) fn illegal_id(&self, id: &str) {
        if self.first(id) {
            log!(
                warn,
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
            log!(warn, field, "not a bool; the field is ignored",);
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
            log!(
                warn,
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
            log!(
                warn,
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
            log!(
                warn,
                limit,
                "an event is larger than the limit in bytes; it is dropped",
            );
        }
    }

    fn say(&self, what: &'static str) {
        if self.first(what) {
            log!(warn, "{what}");
        }
    }
}
