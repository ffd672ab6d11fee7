//! [`Event`]: what happened, to whom, with which properties; and the forms an event takes on its way.
//!
//! This module knows nothing of queues, requests or layers. Everything above it uses these parts:
//!
//! - [`Event`] is what programs build by hand and what hooks see.
//! - [`record`] is the compact form that crosses the queue: the layer and [`Event`] write it, the encoder reads it.
//! - [`callsite`] numbers the fields of a callsite once, so that records of it hold numbers instead of names.
//! - [`json`], [`timestamp`], [`uuid_v7`] write what stands in PostHog's JSON; [`device`] says what machine this is.
//!
//! Invariants: a record never exceeds its limit and never holds half a field; the uuid, timestamp, distinct id and
//! name of an event are decided when the event is encoded and never change between attempts.

pub(crate) mod callsite;
pub(crate) mod device;
pub(crate) mod json;
pub(crate) mod record;
pub(crate) mod timestamp;
pub(crate) mod uuid_v7;

use crate::error::PostHogError;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::SystemTime;
use uuid::Uuid;

/// One event, as captured from code; from `tracing`, the layer makes them. Import it by its name:
/// `tracing` has an `Event` too.
///
/// Without a distinct id it is personless: it gets a random id and `$process_person_profile: false`, and makes no person
/// in PostHog. What it [`set`](Self::set)s and its [`group`](Self::group)s are ignored there. The uuid and the timestamp
/// are set when it is captured, unless given.
///
/// PostHog's database takes no NUL characters: a `\0` becomes U+FFFD in names, ids, keys and values. So the distinct ids
/// `a\0` and `a\u{fffd}` are one person.
///
/// It is what goes to PostHog. What the REST API answers for events that are stored there is
/// [`models::Event`](crate::rest::models::Event).
///
/// ```
/// # use tracing_posthog::Event;
/// let event = Event::new("signup")
///     .distinct_id("user_42")
///     .property("plan", "pro")
///     .property("seats", 3)
///     .group("company", "acme")
///     .set("email", "ada@example.com");
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use = "an event does nothing until it is captured"]
pub struct Event {
    /// Its name. PostHog's own begin with `$`. By capture v1 PostHog drops events whose name has more than 200
    /// bytes.
    pub name: String,
    /// Who did it. What is longer than PostHog takes is cut: to 200 characters, by capture v1 to 200 bytes.
    pub distinct_id: Option<String>,
    /// Its properties. Objects named `$groups`, `$set` and `$set_once` among them are merged into `groups`, `set` and
    /// `set_once`, which win; hooks find them there.
    pub properties: Map<String, Value>,
    /// Group type → group key.
    pub groups: Map<String, Value>,
    /// Person properties to set.
    pub set: Map<String, Value>,
    /// Person properties to set where they are not set yet.
    pub set_once: Map<String, Value>,
    /// When it happened, to the millisecond. Default: when it is captured, also where this is outside of the years 0 to
    /// 9999. PostHog replaces a time that is more than 23 hours ahead by that of arrival.
    pub timestamp: Option<SystemTime>,
    /// What makes it this event: PostHog keeps one of all that come with the same.
    pub uuid: Option<Uuid>,
}

impl Event {
    /// An event of that name. PostHog refuses empty names, so such an event is dropped, and counted.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            distinct_id: None,
            properties: Map::new(),
            groups: Map::new(),
            set: Map::new(),
            set_once: Map::new(),
            timestamp: None,
            uuid: None,
        }
    }

    /// `$identify`: says who a distinct id is. Add person properties with [`set`](Self::set) and
    /// [`set_once`](Self::set_once). Where the id is empty the event is dropped, and counted.
    pub fn identify(distinct_id: impl Into<String>) -> Self {
        Self::new("$identify").distinct_id(distinct_id)
    }

    /// `$create_alias`: `alias` is another name of the person whose id is `distinct_id`. The event is dropped, and
    /// counted, where either is empty or one that PostHog merges with nobody, such as `null` or `anonymous`.
    pub fn alias(distinct_id: impl Into<String>, alias: impl Into<String>) -> Self {
        let distinct_id = distinct_id.into();
        Self::new("$create_alias")
            .property("distinct_id", distinct_id.clone())
            .property("alias", alias.into())
            .distinct_id(distinct_id)
    }

    /// `$groupidentify`: says what a group is. Add its properties with [`set`](Self::set). Where the
    /// type or the key is empty the event is dropped, and counted.
    pub fn group_identify(group_type: impl Into<String>, group_key: impl Into<String>) -> Self {
        Self::new("$groupidentify")
            .property("$group_type", group_type.into())
            .property("$group_key", group_key.into())
    }

    /// `$set`: changes person properties, nothing else. Add them with [`set`](Self::set) and
    /// [`set_once`](Self::set_once). Where the id is empty the event is dropped, and counted.
    pub fn person_properties(distinct_id: impl Into<String>) -> Self {
        Self::new("$set").distinct_id(distinct_id)
    }

    /// Who did it.
    pub fn distinct_id(mut self, id: impl Into<String>) -> Self {
        self.distinct_id = Some(id.into());
        self
    }

    /// Adds a property. Integers beyond 2^53 in it are sent as text: see [`LargeIntegers`](crate::LargeIntegers).
    pub fn property(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.properties.insert(name.into(), value.into());
        self
    }

    /// Adds every field of a struct or map as a property.
    ///
    /// # Errors
    /// [`PostHogError::SerializationError`] where `fields` is not an object in JSON.
    pub fn properties(mut self, fields: &impl Serialize) -> Result<Self, PostHogError> {
        let fields: Map<String, Value> = serde_json::to_value(fields)
            .and_then(serde_json::from_value)
            .map_err(|source| PostHogError::SerializationError {
                operation: "event properties",
                what: format!(
                    "the properties of event {:?} are not a JSON object",
                    self.name
                ),
                source,
            })?;
        self.properties.extend(fields);
        Ok(self)
    }

    /// Says that the event belongs to a group.
    pub fn group(mut self, group_type: impl Into<String>, key: impl Into<String>) -> Self {
        self.groups
            .insert(group_type.into(), Value::String(key.into()));
        self
    }

    /// Sets a person property (`$set`).
    pub fn set(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set.insert(name.into(), value.into());
        self
    }

    /// Sets a person property that is not set yet (`$set_once`).
    pub fn set_once(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.set_once.insert(name.into(), value.into());
        self
    }

    /// The session it belongs to (`$session_id`).
    pub fn session_id(self, id: impl Into<String>) -> Self {
        self.property("$session_id", id.into())
    }

    /// When it happened. PostHog keeps milliseconds.
    pub fn timestamp(mut self, at: SystemTime) -> Self {
        self.timestamp = Some(at);
        self
    }

    /// Its uuid (of the `uuid` crate, version 1), where you have one that is the same each time you
    /// capture the same event.
    pub fn uuid(mut self, uuid: Uuid) -> Self {
        self.uuid = Some(uuid);
        self
    }
}
