//! Flags as properties of events: `$feature/<key>` and `$active_feature_flags` within spans.
//!
//! Stands for what a span says of flags, shared by a snapshot and the spans that it is attached to.

use super::value::FlagValue;
use std::sync::Arc;
use tracing::Span;

/// The properties that events get, encoded as a part of a record; replaced as a whole when another flag is accessed.
#[derive(Debug, Default)]
pub(crate) struct EventFlags {}

impl EventFlags {
    /// Replaces what events get.
    pub(crate) fn set<'a>(&self, _flags: impl Iterator<Item = (&'a str, FlagValue<'a>)>) {}
}

/// Whether it is the name of a property that events have of flags.
pub(crate) fn is_of_flags(property: &str) -> bool {
    property.starts_with("$feature/") || property == "$active_feature_flags"
}

/// Lets events within the span carry these flags.
pub(crate) fn attach(_span: &Span, _flags: &Arc<EventFlags>) {}
