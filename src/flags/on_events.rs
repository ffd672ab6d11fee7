//! Flags as properties of events: `$feature/<key>`, and `$active_feature_flags` with the keys of those that are on.
//!
//! ```text
//!  first access to a flag ─► EventFlags::set: encoded once ─► SharedFields (layer) ◄── attach ── span
//!                                                                 └─► copied into each event within the span
//!  Event::flags ─► properties of that event
//! ```
//!
//! Here stands what events say of flags; how it reaches them stands in `layer::shared_fields`.

use super::FlagEvaluations;
use super::value::FlagValue;
use crate::event::Event;
use crate::event::record::{Key, Record, Slot};
use crate::layer::{self, SharedFields};
use serde_json::Value;
use std::sync::Arc;
use tracing::Span;

const FEATURE: &str = "$feature/";
const ACTIVE: &str = "$active_feature_flags";

/// What spans say of flags, shared by a snapshot and the spans that it is attached to.
#[derive(Debug, Default)]
pub(crate) struct EventFlags {
    fields: Arc<SharedFields>,
}

impl EventFlags {
    /// Replaces what events get. Without flags, they get what spans further out say.
    pub(crate) fn set<'a>(&self, flags: impl Iterator<Item = (&'a str, FlagValue<'a>)>) {
        let properties = properties(flags);
        self.fields.replace(|record| write(&properties, record));
    }
}

/// The properties, by name. The list comes first: where there are too many flags for a span, it is not what is left out.
fn properties<'a>(flags: impl Iterator<Item = (&'a str, FlagValue<'a>)>) -> Vec<(String, Value)> {
    let (mut properties, mut active) = (Vec::new(), Vec::new());
    for (key, value) in flags {
        properties.push((format!("{FEATURE}{key}"), value.to_json()));
        if value.is_enabled() {
            active.push(key);
        }
    }
    if !properties.is_empty() {
        active.sort_unstable();
        properties.insert(0, (ACTIVE.to_owned(), active.into()));
    }
    properties
}

fn write(properties: &[(String, Value)], record: &mut Record) {
    for (name, value) in properties {
        record.value(Key::Named(Slot::Property, name), value);
    }
}

/// Whether it is the name of a property that events have of flags.
pub(crate) fn is_of_flags(property: &str) -> bool {
    property.starts_with(FEATURE) || property == ACTIVE
}

/// Lets events within the span carry these flags, in place of those that were attached to it before.
pub(crate) fn attach(span: &Span, flags: &Arc<EventFlags>) {
    layer::attach(span, &flags.fields);
}

impl Event {
    /// Adds the flags of a snapshot: `$feature/<key>` for every flag that has a value in it, and `$active_feature_flags`
    /// with the keys of those that are on. Narrow the snapshot by [`only`](FlagEvaluations::only) or
    /// [`only_accessed`](FlagEvaluations::only_accessed). This counts as no access to the flags.
    ///
    /// Events within spans carry flags without it, where the snapshot is [attached](FlagEvaluations::attach).
    ///
    /// ```
    /// # use tracing_posthog::{CaptureHandle, Event, FlagEvaluations};
    /// # fn paid(posthog: &CaptureHandle, user: &FlagEvaluations) {
    /// posthog.capture(
    ///     Event::new("invoice paid")
    ///         .distinct_id("user_42")
    ///         .flags(&user.only(["checkout"])),
    /// );
    /// # }
    /// ```
    pub fn flags(mut self, flags: &FlagEvaluations) -> Self {
        self.properties.extend(properties(flags.all().into_iter()));
        self
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests;
