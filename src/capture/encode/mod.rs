//! Records into PostHog's JSON: identity resolved, every key once, nothing in it for which PostHog would refuse the
//! batch. Runs on the actor's thread, or on the thread that awaits `capture_batch`.
//!
//! ```text
//! record ─[resolve]─► Resolved ──────────────── no hooks, objects, profiles ──► write ──► JSON, or a DropReason
//!                        │                                                        ▲
//!                        └─► decode ─► Event ─[identity]─► before_send hooks ─► record again
//! ```
//!
//! - [`Encoder::event`] is the only entrance. It appends one event's JSON to a batch, or leaves the batch as it was.
//! - [`resolve`]: the nearest value of each name, and the last within one segment.
//! - [`integers`]: those that PostHog would round, as text.
//! - [`inherited`]: the same, of what spans say alone, for those who read it back.
//! - [`identity`]: PostHog's own events (`$identify`, `$create_alias`, `$groupidentify`, …): what they need, and what
//!   can be filled in.
//! - [`objects`]: `$groups`, `$set` and `$set_once` that are given as objects.
//! - [`minimal`]: the short form of `$feature_flag_called`, which is made after the hooks.
//! - An exception gets its list of errors and frames (`capture::exceptions`) before the hooks see it.
//! - Most events take the short way and are written straight from their record. One is decoded only where a hook is to
//!   see it, where it brings an object of properties, or where it is about a profile.
//! - [`decode`] makes an event of a record, [`write`](mod@write) its JSON. [`envelope`] decides for both, once and for all
//!   attempts: the uuid, the timestamp and the distinct id (or a random one for a personless event).
//!
//! Invariants:
//! - Every key stands in an object once. What the grammar says (`$groups`, `$session_id`, …) and `$lib` win over a plain
//!   field of that name, fields win over default properties, and these over what is known of the machine.
//! - An event that PostHog would refuse or ignore is dropped alone, with a reason; a bad value is replaced or left out.
//! - A hook that panics drops its event: what it was there to remove must not be sent.
//! - A default property that a hook removed stays removed.
//! - Mistakes in fields are logged here, once each, through [`Diagnostics`].

mod context;
mod decode;
mod envelope;
mod identity;
mod inherited;
mod integers;
mod json;
mod minimal;
mod objects;
mod resolve;
mod text;
mod write;

use super::diagnostics::{About, Diagnostics};
use super::hooks::Hooks;
use super::ledger::DropReason;
use crate::event::record::{Field, Record, Slot, begins_with_site};
use crate::event::timestamp::TimestampWriter;
use crate::event::uuid_v7::UuidV7;
use crate::words::words;
use context::{Constant, host_context};
use identity::{Ignored, PROCESS, complete, needs};
pub(crate) use inherited::Inherited;
pub use integers::LargeIntegers;
use objects::slot_of;
use resolve::Resolved;
use serde_json::{Map, Value};
use std::sync::Arc;
use write::Source;

/// What every event gets, and what is done to it, beside its own fields.
#[derive(Debug, Clone, Default)]
pub(crate) struct Enrichment {
    /// Properties of every event that does not bring its own of that name.
    pub(crate) defaults: Map<String, Value>,
    pub(crate) hooks: Hooks,
    /// PostHog looks an event's place up from the address that sent it: here, the server's.
    pub(crate) geoip: GeoIp,
    pub(crate) large_integers: LargeIntegers,
    pub(crate) max_event_bytes: usize,
    pub(crate) limit: IdLimit,
    /// The settings of exceptions, shared with the handles.
    #[cfg(feature = "errors")]
    pub(crate) exceptions: super::exceptions::Configured,
}

/// How long distinct ids and names may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum IdLimit {
    /// 200 characters of an id, as capture v0 takes them; a name of any length.
    #[default]
    Characters,
    /// 200 bytes of an id or a name, as capture v1 takes them.
    Bytes,
}

/// Whether PostHog looks up where an event came from by the address that sent it. As text: `off`, `on`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum GeoIp {
    /// No look-up (`$geoip_disable: true`): the address is the server's, not the person's.
    #[default]
    Off,
    /// Look-up, where the events come from the person's own machine or carry `$ip`.
    On,
}

words! { GeoIp, "geoip": Off = "off", On = "on", }

/// Turns records into JSON. One for each actor.
#[derive(Debug)]
pub(crate) struct Encoder {
    hooks: Hooks,
    defaults: Vec<Constant>,
    /// Which objects among the defaults are merged with what an event says of the kind.
    default_objects: Vec<Slot>,
    /// Whether a default property says that no profile is to be processed.
    personless_by_default: bool,
    /// What this SDK says about itself and its host, on every event.
    constants: Vec<Constant>,
    /// The same, joined; for the usual event that says nothing of the kind itself.
    joined: Vec<u8>,
    max_event_bytes: usize,
    limit: IdLimit,
    large_integers: LargeIntegers,
    ids: UuidV7,
    stamp: TimestampWriter,
    diagnostics: Arc<Diagnostics>,
    again: Vec<u8>,
    #[cfg(feature = "errors")]
    exceptions: super::exceptions::Finisher,
}

impl Encoder {
    pub(crate) fn new(mut enrichment: Enrichment, diagnostics: Arc<Diagnostics>) -> Self {
        objects::replace_nul(&mut enrichment.defaults);
        let large_integers = enrichment.large_integers;
        let objects = enrichment.defaults.iter().filter(|(_, v)| v.is_object());
        let personless_by_default = enrichment.defaults.get(PROCESS) == Some(&false.into());
        let default_objects = objects.filter_map(|(key, _)| slot_of(key)).collect();
        let constants: Vec<_> = host_context(enrichment.geoip)
            .into_iter()
            .map(|(key, value)| Constant::new(key, &value, large_integers))
            .collect();
        let joined = constants
            .iter()
            .map(|c| c.json.as_slice())
            .collect::<Vec<_>>()
            .join(&b","[..]);
        Self {
            hooks: enrichment.hooks,
            defaults: enrichment
                .defaults
                .iter()
                .map(|(key, value)| {
                    Constant::new(key, &objects::default_of(key, value), large_integers)
                })
                .collect(),
            default_objects,
            personless_by_default,
            constants,
            joined,
            max_event_bytes: enrichment.max_event_bytes,
            limit: enrichment.limit,
            large_integers,
            ids: UuidV7::default(),
            stamp: TimestampWriter::default(),
            diagnostics,
            again: Vec::new(),
            #[cfg(feature = "errors")]
            exceptions: super::exceptions::Finisher::new(enrichment.exceptions),
        }
    }

    /// Appends the event's JSON to `out`, or leaves it as it was and says why.
    pub(crate) fn event(
        &mut self,
        record: &[u8],
        at: i64,
        out: &mut Vec<u8>,
    ) -> Result<(), DropReason> {
        let about = About(record);
        let resolved = Resolved::of(record, about, &self.diagnostics);
        if let Some(field) = &resolved.exception_field {
            self.check_exception_field(&resolved, field);
        }
        if self.hooks.is_empty()
            && resolved.objects.is_empty()
            && !resolved.is_about_profiles()
            && !resolved.is_minimal
            && !resolved.is_exception()
            && !self.merges_defaults(&resolved)
            && !has_nul_in_key(record, &resolved)
        {
            return self.write(&resolved, at, Source::Record, out);
        }
        let is_minimal = resolved.is_minimal;
        let mut event = self.decode(&resolved, at);
        complete(&mut event).map_err(|why| self.ignored(about, &event.name, why))?;
        #[cfg(feature = "errors")]
        if resolved.is_exception() {
            self.exceptions
                .complete(&resolved.exception, &mut event, at)?;
        }
        let mut event = self.hooks.before_send(event)?;
        objects::gather(&mut event);
        if is_minimal {
            minimal::shorten(&mut event);
        }
        objects::replace_nul_in_keys(&mut event);
        let mut again = Record::over(std::mem::take(&mut self.again), usize::MAX);
        again.event(&event);
        let resolved = Resolved::of(again.bytes(), about, &self.diagnostics);
        let written = self.write(&resolved, at, Source::Decoded, out);
        drop(resolved);
        self.again = again.into_bytes();
        written
    }

    /// Warns of a field for exceptions on an event that is none, unless the same event is captured as both.
    #[cold]
    fn check_exception_field(&self, r: &Resolved<'_>, field: &Field<'_>) {
        #[cfg(feature = "errors")]
        let is_both = self.exceptions.is_configured() && r.exception.wanted;
        #[cfg(not(feature = "errors"))]
        let is_both = false;
        if !r.is_exception() && !is_both {
            self.diagnostics.not_an_exception(r.about, field);
        }
    }

    /// Warns of an event that was too large to be queued where there is that much room.
    pub(crate) fn warn_too_large(&self, room: usize) {
        self.diagnostics
            .too_large(About::default(), self.max_event_bytes.min(room));
    }

    /// Whether the event and the default properties have entries for the same object.
    fn merges_defaults(&self, r: &Resolved<'_>) -> bool {
        let of_event = |slot: &Slot| r.fields.iter().any(|field| field.slot == *slot);
        self.default_objects.iter().any(of_event)
    }

    /// Says why PostHog would ignore an event about people or groups, which is dropped.
    fn ignored(&self, about: About<'_>, name: &str, why: Ignored) -> DropReason {
        match why {
            Ignored::Incomplete => {
                let needs = needs(name).unwrap_or("what it needs");
                self.diagnostics.incomplete_identity(about, name, needs);
            }
            Ignored::Unmergeable => self.diagnostics.unmergeable(about, name),
            Ignored::Personless => self.diagnostics.personless_profile(about, name),
        }
        DropReason::Invalid
    }
}

/// Whether a key has a NUL character, which is replaced: then another may be the same. In the names of a callsite they are
/// replaced already, so that only an event without one is looked at.
fn has_nul_in_key(record: &[u8], r: &Resolved<'_>) -> bool {
    !begins_with_site(record) && r.fields.iter().any(|field| field.key.contains('\0'))
}
