//! What users are told about single events: mistakes in fields, each once.
//!
//! ```text
//! encoder: a mistake ──► Diagnostics::…(About, field) ──[said before? stop]──► log! (target tracing_posthog::capture)
//!                                                         │
//!                                      About: the record ─┴─► event = its name, callsite = "src/main.rs:7"
//! ```
//!
//! - Each kind of mistake has a method here, with its sentence.
//! - [`About`] is the record of the event. It is read only for a line that is logged.
//! - [`nearest_name`] knows what an unknown `posthog.*` name was probably meant to be.
//!
//! Invariants:
//! - A warning names events, fields and callsites, never a value. Names can be foreign text: [`shown`] cuts them and takes
//!   out keys and control characters.
//! - At most [`MAX_LINES`] different lines are logged: names can come from data.

mod nearest_name;

#[cfg(feature = "flags")]
pub(crate) use nearest_name::nearest;

use crate::diagnostics::log;
use crate::event::record::{self, Field, Slot, Val};
use crate::redact::{excerpt, without_keys};
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// How many different lines [`Diagnostics`] logs.
const MAX_LINES: usize = 64;

/// As much of a name as is shown, in characters.
const MAX_NAME: usize = 100;

/// Which lines about single events were logged: their sentence, and the field or name that they are about.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    said: Mutex<Vec<(&'static str, Box<str>)>>,
    lines: Lines,
}

#[derive(Debug, Default, PartialEq)]
enum Lines {
    #[default]
    Logged,
    Suppressed,
}

/// The record of the event that a warning is about.
#[derive(Clone, Copy, Default)]
pub(crate) struct About<'a>(pub(crate) &'a [u8]);

impl About<'_> {
    /// The event's name, and its callsite or that of `field`, which may stand on a span.
    fn names(self, field: Option<&Field<'_>>) -> (Option<String>, Option<String>) {
        let (mut name, mut callsite) = (None, None);
        let own = record::fields(self.0).take_while(|field| field.slot != Slot::Break);
        for field in own {
            callsite = field.name.map(|name| name.metadata).or(callsite);
            if field.slot == Slot::Name {
                name = Some(field.value);
            }
        }
        let of_field = field.and_then(|field| field.name).map(|name| name.metadata);
        let callsite = of_field.or(callsite).map(|at| match at.line() {
            Some(line) => format!("{}:{line}", at.file().unwrap_or(at.target())),
            None => at.target().to_owned(),
        });
        let name = name.map(|name| shown(&name.to_text()));
        // A path may be long, and its end counts.
        (name, callsite.map(|callsite| clean(&callsite)))
    }
}

/// A name as it may stand in a line.
pub(crate) fn shown(name: &str) -> String {
    clean(&excerpt(name, MAX_NAME))
}

/// Text without keys, and without characters that do not show.
fn clean(text: &str) -> String {
    let text = without_keys(text);
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\'' | '\\' => clean.push(c),
            c => clean.extend(c.escape_debug()),
        }
    }
    clean
}

/// What the field is called by those who write it.
fn name_of(field: &Field<'_>) -> String {
    let name = match field.slot {
        Slot::Group => "group",
        Slot::Set => "set",
        Slot::SetOnce => "set_once",
        Slot::Name => "event",
        Slot::DistinctId => "distinct_id",
        Slot::SessionId => "session_id",
        Slot::Timestamp => "timestamp",
        Slot::Uuid => "uuid",
        Slot::ProcessPersonProfile => "process_person_profile",
        Slot::GeoipDisable => "geoip_disable",
        Slot::Properties => "properties",
        _ => return shown(field.key),
    };
    match field.key {
        "" => format!("posthog.{name}"),
        key => format!("posthog.{name}.{}", shown(key)),
    }
}

pub(crate) const LATE: &str =
    "events were captured after the shutdown; they are dropped, and counted in `stats`";

pub(crate) fn late() {
    log!(warn, "{LATE}");
}

impl Diagnostics {
    /// Says nothing: for looks at what the actor reads, and warns of, by itself.
    pub(crate) fn silent() -> Self {
        Self {
            said: Mutex::default(),
            lines: Lines::Suppressed,
        }
    }

    /// Whether `what` is said of `of` for the first time.
    fn first(&self, what: &'static str, of: &str) -> bool {
        if self.lines == Lines::Suppressed {
            return false;
        }
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |(sentence, name): &(&str, Box<str>)| *sentence == what && **name == *of;
        if said.len() >= MAX_LINES || said.iter().any(known) {
            return false;
        }
        said.push((what, of.into()));
        true
    }

    /// Logs a line about an event, and about a field where it is about one.
    fn log(about: About<'_>, field: Option<&Field<'_>>, what: fmt::Arguments<'_>) {
        let (event, callsite) = about.names(field);
        let field = field.map(name_of);
        log!(warn, event, callsite, field, "{what}");
    }

    fn say(&self, about: About<'_>, what: &'static str) {
        if self.first(what, "") {
            Self::log(about, None, format_args!("{what}"));
        }
    }

    fn say_of(&self, about: About<'_>, field: &Field<'_>, what: &'static str) {
        if self.first(what, field.key) {
            Self::log(about, Some(field), format_args!("{what}"));
        }
    }

    pub(crate) fn unknown_field(&self, about: About<'_>, field: &Field<'_>) {
        let what = "unknown posthog field is ignored";
        if self.first(what, field.key) {
            match nearest_name::of(field.key) {
                Some(name) => Self::log(
                    about,
                    Some(field),
                    format_args!("{what}; did you mean `{}`?", shown(&name)),
                ),
                None => Self::log(
                    about,
                    Some(field),
                    format_args!("{what}; see the field table in the documentation"),
                ),
            }
        }
    }

    /// `id` is one of our list.
    pub(crate) fn illegal_id(&self, about: About<'_>, id: &'static str) {
        let what = "PostHog makes no person of this distinct id";
        if self.first(what, id) {
            Self::log(
                about,
                None,
                format_args!("{what}: `{id}`; events are still sent"),
            );
        }
    }

    pub(crate) fn not_a_bool(&self, about: About<'_>, field: &Field<'_>) {
        let what = match field.slot {
            Slot::GeoipDisable => "posthog.geoip_disable is not a bool; the field is ignored",
            _ => "posthog.process_person_profile is not a bool; the field is ignored",
        };
        self.say_of(about, field, what);
    }

    pub(crate) fn not_inherited(&self, about: About<'_>, field: &Field<'_>) {
        let what = match field.slot {
            Slot::Timestamp => "posthog.timestamp on a span says nothing about the events within",
            Slot::Uuid => "posthog.uuid on a span says nothing about the events within",
            Slot::Set => "posthog.set.* on a span is ignored; put it on the event",
            Slot::Exception => {
                "posthog.exception, posthog.fingerprint and posthog.issue_name on a span are ignored; put them on the event"
            }
            _ => "posthog.set_once.* on a span is ignored; put it on the event",
        };
        if self.first(what, "") {
            Self::log(about, Some(field), format_args!("{what}"));
        }
    }

    /// Of an event that is no exception.
    pub(crate) fn not_an_exception(&self, about: About<'_>, field: &Field<'_>) {
        let what = match cfg!(feature = "errors") {
            true => {
                "a field of exceptions is ignored, because the event is none; turn error tracking on by `errors(Errors::new())` on the builder, and add `posthog.exception = true`"
            }
            false => {
                "a field of exceptions is ignored; turn the feature `errors` of tracing-posthog on, and `errors(Errors::new())` on the builder"
            }
        };
        self.say_of(about, field, what);
    }

    pub(crate) fn not_an_object(&self, about: About<'_>) {
        self.say(
            about,
            "posthog.properties is not a JSON object; the field is ignored",
        );
    }

    /// `$groups`, `$set` or `$set_once`.
    pub(crate) fn no_object(&self, about: About<'_>, field: &Field<'_>) {
        self.say_of(
            about,
            field,
            "the property is not an object and gives way to the groups or person properties beside it",
        );
    }

    pub(crate) fn plain_distinct_id(&self, about: About<'_>, field: &Field<'_>) {
        self.say_of(
            about,
            field,
            "a personless event has a property in the place of a distinct id; did you mean `posthog.distinct_id`, or `Event::distinct_id`?",
        );
    }

    /// An id, a group or a name.
    pub(crate) fn debug_text(&self, about: About<'_>, slot: Slot, key: &str) {
        let what = match slot {
            Slot::Name => {
                "the name of an event looks like Debug output (quotes, or `Some(…)`); record it by `%` instead of `?`"
            }
            Slot::DistinctId => {
                "a distinct id looks like Debug output (quotes, or `Some(…)`), and PostHog takes these as part of it; record it by `%` instead of `?`"
            }
            Slot::SessionId => {
                "a session id looks like Debug output (quotes, or `Some(…)`), and PostHog takes these as part of it; record it by `%` instead of `?`"
            }
            _ => {
                "a group looks like Debug output (quotes, or `Some(…)`), and PostHog takes these as part of it; record it by `%` instead of `?`"
            }
        };
        if self.first(what, key) {
            // The nearest, of which there is none where a hook or a default said it.
            let same = |field: &Field<'_>| field.slot == slot && field.key == key;
            let field = record::fields(about.0).find(same).unwrap_or(Field {
                slot,
                key,
                value: Val::Null,
                name: None,
            });
            Self::log(about, Some(&field), format_args!("{what}"));
        }
    }

    pub(crate) fn span_too_large(&self, about: About<'_>) {
        self.say(
            about,
            "a span has more than 64 KiB of fields; those that do not fit are left out",
        );
    }

    pub(crate) fn span_too_verbose(&self, span: &str) {
        let what = "the posthog fields of this span are ignored, because its level is more verbose than the layer's max_level; raise one of the two";
        if self.first(what, span) {
            let span = shown(span);
            log!(warn, span, "{what}");
        }
    }

    pub(crate) fn bad_uuid(&self, about: About<'_>) {
        self.say(about, "posthog.uuid is not a UUID; a new one is used");
    }

    pub(crate) fn bad_timestamp(&self, about: About<'_>) {
        self.say(
            about,
            "posthog.timestamp is neither an RFC 3339 time with offset nor milliseconds since 1970; the time of capture is used",
        );
    }

    pub(crate) fn timestamp_out_of_range(&self, about: About<'_>) {
        self.say(
            about,
            "posthog.timestamp is outside of the years 0 to 9999, which PostHog reads; the time of capture is used",
        );
    }

    pub(crate) fn late_timestamp(&self, about: About<'_>) {
        self.say(
            about,
            "posthog.timestamp is more than 23 hours ahead; PostHog replaces it by the time at which the event arrives",
        );
    }

    pub(crate) fn early_timestamp(&self, about: About<'_>) {
        self.say(
            about,
            "posthog.timestamp is in milliseconds, and this is before 1973; were seconds meant?",
        );
    }

    pub(crate) fn id_cut(&self, about: About<'_>) {
        self.say(
            about,
            "a distinct id is longer than PostHog takes, 200 characters by capture v0 and 200 bytes by v1; it is cut",
        );
    }

    pub(crate) fn long_name(&self, about: About<'_>) {
        self.say(
            about,
            "the name of an event has more than 200 bytes; by capture v1 PostHog drops it",
        );
    }

    pub(crate) fn empty_name(&self, about: About<'_>) {
        self.say(
            about,
            "an event without a name is dropped; PostHog would refuse the whole batch",
        );
    }

    pub(crate) fn incomplete_identity(&self, about: About<'_>, event: &str, needs: &str) {
        let what = "an event is dropped without what it needs";
        if self.first(what, event) {
            Self::log(
                about,
                None,
                format_args!("an event without {needs} is dropped; PostHog would ignore it"),
            );
        }
    }

    /// A merge whose alias or distinct id cannot be merged.
    pub(crate) fn unmergeable(&self, about: About<'_>, event: &str) {
        let what = "an event is dropped whose alias or distinct id is one that PostHog merges with nobody, such as `null` or `anonymous`";
        if self.first(what, event) {
            Self::log(about, None, format_args!("{what}"));
        }
    }

    pub(crate) fn personless_profile(&self, about: About<'_>, event: &str) {
        let what = "an event about a profile is dropped that says `process_person_profile: false`; PostHog would ignore it";
        if self.first(what, event) {
            Self::log(about, None, format_args!("{what}"));
        }
    }

    pub(crate) fn set_of_nobody(&self, about: About<'_>) {
        self.say(
            about,
            "PostHog ignores the person properties that a personless event sets (one without a distinct id, or with `process_person_profile: false`); it is sent",
        );
    }

    pub(crate) fn groups_of_nobody(&self, about: About<'_>) {
        self.say(
            about,
            "PostHog ignores the groups of a personless event (one without a distinct id, or with `process_person_profile: false`); it is sent",
        );
    }

    pub(crate) fn too_large(&self, about: About<'_>, limit: usize) {
        let what = "an event is larger than the limit in bytes; it is dropped";
        if self.first(what, "") {
            let (event, callsite) = about.names(None);
            log!(warn, event, callsite, limit, "{what}");
        }
    }
}
